//! Workload and workforce identity federation: somebody else's token for one of Google's.
//!
//! <https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token>

use async_trait::async_trait;
use reqwest::{Method, RequestBuilder, Url};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::http::{self, Failed};
use super::impersonation::{CLOUD_PLATFORM, Impersonation};
use super::subject::SubjectSource;
use super::token::{Token, TokenSource};
use super::{required, text};
use crate::bigquery::BigQueryError;

/// Credentials of an `external_account`.
pub(super) struct ExternalAccount {
    audience: String,
    subject_token_type: String,
    token_url: Url,
    client: Option<Client>,
    /// The project that a workforce's calls are counted in.
    user_project: Option<String>,
    source: SubjectSource,
    impersonation: Option<Impersonation>,
}

/// Credentials of an `external_account_authorized_user`: a person of a workforce who signed in.
pub(super) struct ExternalUser {
    token_url: Url,
    client: Client,
    /// Google may give another one with each token.
    refresh_token: Mutex<String>,
}

/// The OAuth client that asks.
struct Client {
    id: String,
    secret: String,
}

impl ExternalAccount {
    pub(super) fn read(value: &Value) -> Result<Self, String> {
        let impersonation = match value.get("service_account_impersonation_url") {
            Some(Value::String(_)) => Some(Impersonation::read(value)?),
            _ => None,
        };
        let (audience, subject_token_type) = (
            required(value, "audience")?,
            required(value, "subject_token_type")?,
        );
        let account = impersonation.as_ref().map(Impersonation::account);
        let source = SubjectSource::read(value, &audience, &subject_token_type, account)?;
        Ok(Self {
            audience,
            subject_token_type,
            token_url: http::google_url(value, "token_url")?,
            client: Client::read(value).ok(),
            user_project: text(value, "workforce_pool_user_project"),
            source,
            impersonation,
        })
    }

    async fn exchange(&self, scopes: &[&str]) -> Result<Token, BigQueryError> {
        let subject_token = self.source.token().await?;
        let scope = scopes.join(" ");
        let mut form = vec![
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            (
                "requested_token_type",
                "urn:ietf:params:oauth:token-type:access_token",
            ),
            ("audience", &self.audience),
            ("scope", &scope),
            ("subject_token_type", &self.subject_token_type),
            ("subject_token", &subject_token),
        ];
        let options = self.user_project.as_ref().filter(|_| self.client.is_none());
        let options = options.map(|project| json!({ "userProject": project }).to_string());
        form.extend(options.as_deref().map(|options| ("options", options)));
        let request = http::request(Method::POST, &self.token_url)?.form(&form);
        let request = match &self.client {
            Some(client) => client.sign(request),
            None => request,
        };
        let answer = http::json(request, "Google's token exchange").await;
        let answer = answer.and_then(|answer| read(&answer)).map_err(|failed| {
            failed.or(|status, words| {
                let what = format!("Google does not take the token of {} ({status}): {words}", self.source);
                let remedy = "check `audience` and `subject_token_type` in the credentials file against the pool's \
                              provider, its attribute condition, and whether that token is still good";
                (what, remedy.to_owned())
            })
        });
        answer.map(|(token, _)| token)
    }
}

#[async_trait]
impl TokenSource for ExternalAccount {
    async fn token(&self, scopes: &[&str], _new: bool) -> Result<Token, BigQueryError> {
        match &self.impersonation {
            None => self.exchange(scopes).await,
            Some(impersonation) => {
                let own = self.exchange(&[CLOUD_PLATFORM]).await?;
                impersonation.token(&own, scopes).await
            }
        }
    }
}

impl ExternalUser {
    pub(super) fn read(value: &Value) -> Result<Self, String> {
        Ok(Self {
            token_url: http::google_url(value, "token_url")?,
            client: Client::read(value)?,
            refresh_token: Mutex::new(required(value, "refresh_token")?),
        })
    }
}

#[async_trait]
impl TokenSource for ExternalUser {
    async fn token(&self, _scopes: &[&str], _new: bool) -> Result<Token, BigQueryError> {
        let mut refresh_token = self.refresh_token.lock().await;
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token.as_str()),
        ];
        let request = http::request(Method::POST, &self.token_url)?.form(&form);
        let answer = http::json(self.client.sign(request), "Google's sign-in").await;
        let (token, next) = answer.and_then(|answer| read(&answer)).map_err(|failed| {
            failed.or(|status, words| {
                let what = format!("Google does not renew the sign-in ({status}): {words}");
                let remedy = "run `gcloud auth application-default login` with the login configuration of the \
                              workforce pool";
                (what, remedy.to_owned())
            })
        })?;
        if let Some(next) = next {
            *refresh_token = next;
        }
        Ok(token)
    }
}

/// The token of an answer, and the refresh token where it has one.
fn read(answer: &Value) -> Result<(Token, Option<String>), Failed> {
    let Some(token) = text(answer, "access_token") else {
        return Err(Failed::Refused(200, "the answer has no token".to_owned()));
    };
    let seconds = answer
        .get("expires_in")
        .and_then(Value::as_u64)
        .unwrap_or_default();
    Ok((Token::for_seconds(token, seconds), text(answer, "refresh_token")))
}

impl Client {
    fn read(value: &Value) -> Result<Self, String> {
        Ok(Self {
            id: required(value, "client_id")?,
            secret: required(value, "client_secret")?,
        })
    }

    fn sign(&self, request: RequestBuilder) -> RequestBuilder {
        request.basic_auth(&self.id, Some(&self.secret))
    }
}
