//! Who we are to BigQuery: where credentials are found, what kind they are, and tokens for them.
//!
//! Keys and sign-ins of people are `yup-oauth2`'s. Impersonation and federation are made here, over the HTTP client that
//! is here anyway: Google's own crate for them, `google-cloud-auth`, brings a second one, a crypto provider for the whole
//! process and tries that know nothing of our deadlines.

use std::path::{Path, PathBuf};

use futures::future::BoxFuture;
use serde_json::Value;

use super::{BigQueryError, Project};
use federated::{ExternalAccount, ExternalUser};
use impersonation::{Impersonated, Impersonation};
use sign_in::SignIn;
use token::{Kept, TokenSource};

mod aws;
mod federated;
mod http;
mod impersonation;
mod sign_in;
mod subject;
mod token;

/// BigQuery, all of it: a dry run is a job, for which the read-only scope is not enough.
const SCOPES: &[&str] = &["https://www.googleapis.com/auth/bigquery"];

/// A file with credentials, and why that one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialsFile {
    /// Its path.
    pub path: PathBuf,
    /// What named it.
    pub origin: &'static str,
}

/// The kinds of credentials that Google's tools make, as far as we take them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialsKind {
    /// A person, by `gcloud auth application-default login`.
    AuthorizedUser,
    /// The key of a service account.
    ServiceAccount,
    /// A service account that somebody else may act as.
    ImpersonatedServiceAccount,
    /// A workload or person of another identity provider, by federation.
    ExternalAccount,
    /// A person of a workforce pool who signed in.
    ExternalAccountAuthorizedUser,
}

/// Credentials that tokens can be had for.
pub(super) struct Credentials {
    source: Box<dyn TokenSource>,
    /// The project whose quota is used, where one is named.
    pub(super) quota_project: Option<String>,
}

impl CredentialsFile {
    /// The file of the setting `credentials`, else the one that Google's libraries would take.
    #[must_use]
    pub fn find(setting: Option<&str>) -> Option<Self> {
        if let Some(path) = setting {
            return Some(Self {
                path: path.into(),
                origin: "`credentials`",
            });
        }
        if let Some(path) = std::env::var_os("GOOGLE_APPLICATION_CREDENTIALS").filter(|path| !path.is_empty())
        {
            return Some(Self {
                path: path.into(),
                origin: "GOOGLE_APPLICATION_CREDENTIALS",
            });
        }
        let path = gcloud_folder()?.join("application_default_credentials.json");
        let origin = "gcloud's default place";
        path.is_file().then_some(Self { path, origin })
    }

    /// Reads the file and tells what it holds. Nothing is sent.
    ///
    /// # Errors
    /// A message where it cannot be read or used, or is of a kind that we do not take.
    pub async fn check(&self) -> Result<CredentialsKind, String> {
        let value = self.read()?;
        source_of(&value).await?;
        kind(&value)
    }

    /// The service account that is acted as, where the file names one.
    #[must_use]
    pub fn acts_as(&self) -> Option<String> {
        let impersonation = Impersonation::read(&self.read().ok()?).ok()?;
        Some(impersonation.account().to_owned())
    }

    /// A text of the file.
    pub(super) fn member(&self, member: &str) -> Option<String> {
        text(&self.read().ok()?, member)
    }

    fn read(&self) -> Result<Value, String> {
        let text =
            std::fs::read_to_string(&self.path).map_err(|error| format!("it cannot be read: {error}"))?;
        serde_json::from_str(&text).map_err(|_| "it is no JSON".to_owned())
    }
}

impl std::fmt::Display for CredentialsFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.path.display(), self.origin)
    }
}

impl CredentialsKind {
    const ALL: [Self; 5] = [
        Self::AuthorizedUser,
        Self::ServiceAccount,
        Self::ImpersonatedServiceAccount,
        Self::ExternalAccount,
        Self::ExternalAccountAuthorizedUser,
    ];

    /// Google's word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AuthorizedUser => "authorized_user",
            Self::ServiceAccount => "service_account",
            Self::ImpersonatedServiceAccount => "impersonated_service_account",
            Self::ExternalAccount => "external_account",
            Self::ExternalAccountAuthorizedUser => "external_account_authorized_user",
        }
    }
}

impl std::fmt::Display for CredentialsKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Credentials {
    /// The credentials of the setting, else application default credentials: a file, or the machine's own on Google
    /// Cloud. No token is asked for yet.
    pub(super) async fn load(setting: Option<&str>) -> Result<Self, BigQueryError> {
        let file = CredentialsFile::find(setting);
        let source: Box<dyn TokenSource> = match &file {
            Some(file) => {
                let source = async { source_of(&file.read()?).await };
                let unusable = |why| BigQueryError::Credentials(format!("{file} cannot be used: {why}"));
                source.await.map_err(unusable)?
            }
            None => Box::new(SignIn::of_machine().await?),
        };
        Ok(Self {
            source,
            quota_project: Project::of_quota(file.as_ref()).map(|project| project.id),
        })
    }

    /// A token that is good now; with `new` one that was not handed out before.
    pub(super) async fn token(&self, new: bool) -> Result<String, BigQueryError> {
        Ok(self.source.token(SCOPES, new).await?.text)
    }
}

/// Who gives tokens for this credentials file.
fn source_of(value: &Value) -> BoxFuture<'_, Result<Box<dyn TokenSource>, String>> {
    Box::pin(async move {
        Ok::<Box<dyn TokenSource>, _>(match kind(value)? {
            CredentialsKind::AuthorizedUser => Box::new(SignIn::of_person(value).await?),
            CredentialsKind::ServiceAccount => Box::new(SignIn::of_key(value).await?),
            CredentialsKind::ImpersonatedServiceAccount => {
                let inner = value
                    .get("source_credentials")
                    .ok_or("it lacks `source_credentials`")?;
                let of_inner = |why| format!("in its `source_credentials`: {why}");
                if kind(inner).map_err(of_inner)? == CredentialsKind::ImpersonatedServiceAccount {
                    return Err(
                        "its `source_credentials` are impersonated, too; name the accounts in between in \
                                `delegates`"
                            .to_owned(),
                    );
                }
                let source = source_of(inner).await.map_err(of_inner)?;
                let impersonation = Impersonation::read(value)?;
                Box::new(Kept::new(Impersonated {
                    source,
                    impersonation,
                }))
            }
            CredentialsKind::ExternalAccount => Box::new(Kept::new(ExternalAccount::read(value)?)),
            CredentialsKind::ExternalAccountAuthorizedUser => Box::new(Kept::new(ExternalUser::read(value)?)),
        })
    })
}

fn kind(value: &Value) -> Result<CredentialsKind, String> {
    let Some(named) = value.get("type").and_then(Value::as_str) else {
        return Err("it names no `type` of credentials".to_owned());
    };
    let found = CredentialsKind::ALL
        .into_iter()
        .find(|kind| kind.as_str() == named);
    found.ok_or_else(|| format!("credentials of the kind {named} are not supported"))
}

fn required(value: &Value, member: &str) -> Result<String, String> {
    text(value, member)
        .filter(|text| !text.is_empty())
        .ok_or_else(|| format!("it lacks `{member}`"))
}

fn text(value: &Value, member: &str) -> Option<String> {
    Some(value.get(member)?.as_str()?.to_owned())
}

/// gcloud's folder of settings and credentials.
pub(super) fn gcloud_folder() -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os("CLOUDSDK_CONFIG").filter(|folder| !folder.is_empty()) {
        return Some(folder.into());
    }
    if cfg!(windows) {
        return Some(Path::new(&std::env::var_os("APPDATA")?).join("gcloud"));
    }
    Some(Path::new(&std::env::var_os("HOME")?).join(".config/gcloud"))
}
