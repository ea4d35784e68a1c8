//! Who we are to BigQuery: where credentials are found, what kind they are, and tokens for them.
//!
//! Lacks, and says so: impersonated service accounts and external accounts.

use std::path::{Path, PathBuf};
use std::time::Duration;

use gcp_bigquery_client::yup_oauth2::Error as TokenError;
use gcp_bigquery_client::yup_oauth2::authenticator::{
    ApplicationDefaultCredentialsTypes, DefaultAuthenticator,
};
use gcp_bigquery_client::yup_oauth2::authorized_user::AuthorizedUserSecret;
use gcp_bigquery_client::yup_oauth2::{
    ApplicationDefaultCredentialsAuthenticator, ApplicationDefaultCredentialsFlowOpts,
    AuthorizedUserAuthenticator, ServiceAccountAuthenticator, ServiceAccountKey,
};
use serde_json::Value;

use super::BigQueryError;

/// BigQuery, all of it: a dry run is a job, for which the read-only scope is not enough.
const SCOPES: &[&str] = &["https://www.googleapis.com/auth/bigquery"];

/// How long the metadata server may take: it is on the same machine, or not there.
const METADATA: Duration = Duration::from_secs(5);

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
}

/// Credentials that tokens can be had for.
pub(super) struct Credentials {
    authenticator: DefaultAuthenticator,
    /// The project that they name.
    pub(super) project: Option<String>,
    /// The project whose quota is used, where the file names one.
    pub(super) quota_project: Option<String>,
    /// Whether they are those of a machine on Google Cloud, if it is one.
    of_machine: bool,
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

    /// Reads the file and tells what it holds.
    ///
    /// # Errors
    /// A message where it cannot be read, or is of a kind that we do not take.
    pub fn kind(&self) -> Result<CredentialsKind, String> {
        kind(&self.read()?)
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

impl std::fmt::Display for CredentialsKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::AuthorizedUser => "authorized_user",
            Self::ServiceAccount => "service_account",
        })
    }
}

impl Credentials {
    /// The credentials of the setting, else application default credentials: a file, or the machine's own on Google
    /// Cloud. No token is asked for yet.
    pub(super) async fn load(setting: Option<&str>) -> Result<Self, BigQueryError> {
        match CredentialsFile::find(setting) {
            Some(file) => Self::of_file(&file)
                .await
                .map_err(|why| BigQueryError::Credentials(format!("{file} cannot be used: {why}"))),
            None => Self::of_machine().await,
        }
    }

    async fn of_file(file: &CredentialsFile) -> Result<Self, String> {
        let value = file.read()?;
        let authenticator = match kind(&value)? {
            CredentialsKind::AuthorizedUser => {
                let secret: AuthorizedUserSecret = parse(&value)?;
                AuthorizedUserAuthenticator::builder(secret).build().await
            }
            CredentialsKind::ServiceAccount => {
                let key: ServiceAccountKey = parse(&value)?;
                ServiceAccountAuthenticator::builder(key).build().await
            }
        };
        let quota_project = text(&value, "quota_project_id");
        Ok(Self {
            authenticator: authenticator.map_err(|error| error.to_string())?,
            project: text(&value, "project_id").or_else(|| quota_project.clone()),
            quota_project,
            of_machine: false,
        })
    }

    async fn of_machine() -> Result<Self, BigQueryError> {
        let options = ApplicationDefaultCredentialsFlowOpts::default();
        let authenticator = match ApplicationDefaultCredentialsAuthenticator::builder(options).await {
            ApplicationDefaultCredentialsTypes::InstanceMetadata(builder) => builder.build().await,
            ApplicationDefaultCredentialsTypes::ServiceAccount(builder) => builder.build().await,
        };
        Ok(Self {
            authenticator: authenticator.map_err(|error| BigQueryError::Credentials(error.to_string()))?,
            project: std::env::var("GOOGLE_CLOUD_PROJECT")
                .ok()
                .filter(|project| !project.is_empty()),
            quota_project: None,
            of_machine: true,
        })
    }

    /// A token that is good now; with `new` one that was not handed out before.
    pub(super) async fn token(&self, new: bool) -> Result<String, BigQueryError> {
        let asked = async {
            if new {
                self.authenticator.force_refreshed_token(SCOPES).await
            } else {
                self.authenticator.token(SCOPES).await
            }
        };
        let token = if self.of_machine {
            // Outside of Google Cloud the name of the metadata server may take long to be found nowhere.
            match tokio::time::timeout(METADATA, asked).await {
                Ok(Ok(token)) => token,
                Ok(Err(_)) | Err(_) => {
                    let what =
                        "there are no application default credentials, and no metadata server gives a token";
                    return Err(BigQueryError::Credentials(what.to_owned()));
                }
            }
        } else {
            asked.await.map_err(no_token)?
        };
        let none = || BigQueryError::Credentials("no token can be had: the answer has none".to_owned());
        token.token().map(str::to_owned).ok_or_else(none)
    }
}

fn no_token(error: TokenError) -> BigQueryError {
    match error {
        TokenError::HttpError(_) | TokenError::HttpClientError(_) | TokenError::LowLevelError(_) => {
            BigQueryError::Unavailable(format!("Google's sign-in cannot be reached: {error}"))
        }
        other => BigQueryError::Credentials(format!("no token can be had: {other}")),
    }
}

fn kind(value: &Value) -> Result<CredentialsKind, String> {
    match value.get("type").and_then(Value::as_str) {
        Some("authorized_user") => Ok(CredentialsKind::AuthorizedUser),
        Some("service_account") => Ok(CredentialsKind::ServiceAccount),
        Some(other) => Err(format!("credentials of the kind {other} are not supported")),
        None => Err("it names no `type` of credentials".to_owned()),
    }
}

/// serde would name the members' values, and these are secrets.
fn parse<T: serde::de::DeserializeOwned>(value: &Value) -> Result<T, String> {
    serde_json::from_value(value.clone()).map_err(|error| {
        let error = error.to_string();
        let missing = error.starts_with("missing field").then_some(error);
        missing.unwrap_or_else(|| "it is damaged".to_owned())
    })
}

fn text(value: &Value, member: &str) -> Option<String> {
    Some(value.get(member)?.as_str()?.to_owned())
}

fn gcloud_folder() -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os("CLOUDSDK_CONFIG").filter(|folder| !folder.is_empty()) {
        return Some(folder.into());
    }
    if cfg!(windows) {
        return Some(Path::new(&std::env::var_os("APPDATA")?).join("gcloud"));
    }
    Some(Path::new(&std::env::var_os("HOME")?).join(".config/gcloud"))
}
