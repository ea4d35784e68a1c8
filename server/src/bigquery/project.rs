//! The project of a person: from bigquill's settings, from credentials, from gcloud.

use std::path::Path;

use super::credentials::{CredentialsFile, gcloud_folder};
use super::environment;
use crate::settings::Settings;

/// A project, and who named it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// Its id.
    pub id: String,
    /// What named it.
    pub origin: String,
}

impl Project {
    /// The project of the setting, else the one that Google's tools would take: of the key file, of the environment, of
    /// gcloud's active configuration, the one whose quota a sign-in uses. Another `endpoint` is no business of gcloud's.
    #[must_use]
    pub fn find(settings: &Settings) -> Option<Self> {
        if let Some(id) = &settings.project {
            return Some(Self::new(id.clone(), "`project`"));
        }
        if settings.endpoint.is_some() {
            return None;
        }
        let file = CredentialsFile::find(settings.credentials.as_deref());
        let of_file = |member: &str| {
            let file = file.as_ref()?;
            Some(Self::new(file.member(member)?, format!("`{member}` in {file}")))
        };
        of_file("project_id")
            .or_else(|| {
                let named = |name: &&str| Some(Self::new(environment(name)?, *name));
                ["GOOGLE_CLOUD_PROJECT", "CLOUDSDK_CORE_PROJECT"]
                    .iter()
                    .find_map(named)
            })
            .or_else(of_gcloud)
            .or_else(|| of_file("quota_project_id"))
    }

    /// The project whose quota requests with these credentials use, where one is named: by the environment, else by the
    /// file.
    #[must_use]
    pub fn of_quota(file: Option<&CredentialsFile>) -> Option<Self> {
        let variable = "GOOGLE_CLOUD_QUOTA_PROJECT";
        let asked = environment(variable).map(|id| Self::new(id, variable));
        asked.or_else(|| {
            let file = file?;
            Some(Self::new(
                file.member("quota_project_id")?,
                format!("`quota_project_id` in {file}"),
            ))
        })
    }

    fn new(id: String, origin: impl Into<String>) -> Self {
        Self {
            id,
            origin: origin.into(),
        }
    }
}

/// `project` in the section `core` of the active configuration.
fn of_gcloud() -> Option<Project> {
    let folder = gcloud_folder()?;
    let read = |path: &Path| std::fs::read_to_string(path).ok();
    let active = environment("CLOUDSDK_ACTIVE_CONFIG_NAME")
        .or_else(|| Some(read(&folder.join("active_config"))?.trim().to_owned()))
        .filter(|name| !name.is_empty() && !name.contains(['/', '\\']))
        .unwrap_or_else(|| "default".to_owned());
    let text = read(&folder.join("configurations").join(format!("config_{active}")))?;
    Some(Project::new(
        core_project(&text)?,
        format!("gcloud's configuration {active}"),
    ))
}

/// `project` of an INI text's section `core`.
fn core_project(text: &str) -> Option<String> {
    let mut in_core = false;
    for line in text.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[') {
            in_core = section.trim_end_matches(']').trim() == "core";
        } else if let Some((key, value)) = line.split_once('=')
            && in_core
            && key.trim() == "project"
            && !value.trim().is_empty()
        {
            return Some(value.trim().to_owned());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_project_stands_in_its_section() {
        let text = "# mine\n[compute]\nproject = other\n[core]\naccount = a@b.example\nproject = mine\n";
        assert_eq!(core_project(text), Some("mine".to_owned()));
        assert_eq!(core_project("[core]\naccount = a\nproject =\n"), None);
        assert_eq!(core_project("project = nowhere"), None);
    }
}
