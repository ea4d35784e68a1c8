//! Tokens of a service account for somebody who may act as it.
//!
//! <https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateAccessToken>

use async_trait::async_trait;
use reqwest::{Method, Url};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::http::{self, Failed};
use super::token::{Token, TokenSource};
use crate::bigquery::BigQueryError;

/// Whoever may act as others needs this scope.
pub(super) const CLOUD_PLATFORM: &str = "https://www.googleapis.com/auth/cloud-platform";

/// The longest that a token lives without a rule of the organisation.
const LIFETIME: u64 = 3600;

/// The service account to act as.
pub(super) struct Impersonation {
    url: Url,
    /// Accounts in between, each of which may act as the next.
    delegates: Vec<String>,
    lifetime: u64,
}

/// Credentials of an `impersonated_service_account`.
pub(super) struct Impersonated {
    pub(super) source: Box<dyn TokenSource>,
    pub(super) impersonation: Impersonation,
}

#[async_trait]
impl TokenSource for Impersonated {
    async fn token(&self, scopes: &[&str], new: bool) -> Result<Token, BigQueryError> {
        let own = self.source.token(&[CLOUD_PLATFORM], new).await?;
        self.impersonation.token(&own, scopes).await
    }
}

impl Impersonation {
    /// Of a credentials file; `lifetime` in seconds where the file wants another one.
    pub(super) fn read(value: &Value) -> Result<Self, String> {
        let delegates = value
            .get("delegates")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        let name = |delegate: &str| {
            if delegate.starts_with("projects/") {
                delegate.to_owned()
            } else {
                format!("projects/-/serviceAccounts/{delegate}")
            }
        };
        Ok(Self {
            url: http::google_url(value, "service_account_impersonation_url")?,
            delegates: delegates.filter_map(Value::as_str).map(name).collect(),
            lifetime: value
                .pointer("/service_account_impersonation/token_lifetime_seconds")
                .and_then(Value::as_u64)
                .unwrap_or(LIFETIME),
        })
    }

    /// The account's address.
    pub(super) fn account(&self) -> &str {
        let path = self.url.path();
        let name = path.rsplit('/').next().unwrap_or_default();
        name.strip_suffix(":generateAccessToken").unwrap_or(name)
    }

    /// The account's token for somebody with this token.
    pub(super) async fn token(&self, own: &Token, scopes: &[&str]) -> Result<Token, BigQueryError> {
        let mut body = json!({ "scope": scopes, "lifetime": format!("{}s", self.lifetime) });
        if !self.delegates.is_empty() {
            body["delegates"] = json!(self.delegates);
        }
        let request = http::request(Method::POST, &self.url)?
            .bearer_auth(&own.text)
            .header(reqwest::header::CONTENT_TYPE, "application/json")
            .body(body.to_string());
        let answer = http::json(request, "IAM")
            .await
            .map_err(|failed| self.refused(failed))?;
        let text = answer.get("accessToken").and_then(Value::as_str);
        let until = answer.get("expireTime").and_then(Value::as_str);
        let until = until.and_then(|until| OffsetDateTime::parse(until, &Rfc3339).ok());
        match (text, until) {
            (Some(text), Some(until)) => Ok(Token {
                text: text.to_owned(),
                expires_at: until.into(),
            }),
            _ => Err(self.refused(Failed::Refused(200, "the answer has no token".to_owned()))),
        }
    }

    fn refused(&self, failed: Failed) -> BigQueryError {
        failed.or(|status, words| {
            let account = self.account();
            let what = format!("no token of the service account {account} can be had ({status}): {words}");
            let remedy = match status {
                403 => format!(
                    "the one who signs in, and every account of `delegates`, needs the role Service Account Token \
                     Creator (roles/iam.serviceAccountTokenCreator) on the next account, here on {account}, and the \
                     API iamcredentials.googleapis.com must be enabled in its project"
                ),
                404 => "correct `service_account_impersonation_url` in the credentials file".to_owned(),
                401 => "sign in again: `gcloud auth application-default login --impersonate-service-account` with \
                        this account"
                    .to_owned(),
                _ => "check `service_account_impersonation_url` and `delegates` in the credentials file".to_owned(),
            };
            (what, remedy)
        })
    }
}
