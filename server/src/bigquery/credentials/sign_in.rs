//! People, keys of service accounts and the machine's own account, by `yup-oauth2`, which keeps their tokens.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
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

use super::http;
use super::token::{Token, TokenSource};
use crate::bigquery::BigQueryError;

/// How long the metadata server may take: it is on the same machine, or not there.
const METADATA: Duration = Duration::from_secs(5);

/// Credentials of our own.
pub(super) struct SignIn {
    authenticator: DefaultAuthenticator,
    /// Whether they are those of a machine on Google Cloud, if it is one.
    of_machine: bool,
}

impl SignIn {
    pub(super) async fn of_person(value: &Value) -> Result<Self, String> {
        let secret: AuthorizedUserSecret = parse(value)?;
        Self::of(AuthorizedUserAuthenticator::builder(secret).build().await)
    }

    pub(super) async fn of_key(value: &Value) -> Result<Self, String> {
        let key: ServiceAccountKey = parse(value)?;
        http::sign_in_url(value, "token_uri")?;
        Self::of(ServiceAccountAuthenticator::builder(key).build().await)
    }

    fn of(authenticator: std::io::Result<DefaultAuthenticator>) -> Result<Self, String> {
        Ok(Self {
            authenticator: authenticator.map_err(|error| error.to_string())?,
            of_machine: false,
        })
    }

    pub(super) async fn of_machine() -> Result<Self, BigQueryError> {
        let options = ApplicationDefaultCredentialsFlowOpts::default();
        let authenticator = match ApplicationDefaultCredentialsAuthenticator::builder(options).await {
            ApplicationDefaultCredentialsTypes::InstanceMetadata(builder) => builder.build().await,
            ApplicationDefaultCredentialsTypes::ServiceAccount(builder) => builder.build().await,
        };
        Ok(Self {
            authenticator: authenticator.map_err(|error| BigQueryError::Credentials(error.to_string()))?,
            of_machine: true,
        })
    }
}

#[async_trait]
impl TokenSource for SignIn {
    async fn token(&self, scopes: &[&str], new: bool) -> Result<Token, BigQueryError> {
        let asked = async {
            if new {
                self.authenticator.force_refreshed_token(scopes).await
            } else {
                self.authenticator.token(scopes).await
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
        Ok(Token {
            text: token.token().map(str::to_owned).ok_or_else(none)?,
            // Kept there, and given only while it is good.
            expires_at: token.expiration_time().map_or_else(SystemTime::now, Into::into),
        })
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

/// serde would name the members' values, and these are secrets.
fn parse<T: serde::de::DeserializeOwned>(value: &Value) -> Result<T, String> {
    serde_json::from_value(value.clone()).map_err(|error| {
        let error = error.to_string();
        let missing = error.starts_with("missing field").then_some(error);
        missing.unwrap_or_else(|| "it is damaged".to_owned())
    })
}
