//! Requests to the REST API: token, deadline, tries, JSON.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::{Client, Method};
use serde_json::Value;
use tokio::time::Instant;
use tracing::Instrument;

use super::credentials::Credentials;
use super::endpoint::Endpoint;
use super::refused::{Failure, Retry, failure};
use super::{BigQueryError, ConnectOptions};

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(10);

/// Speaks to one endpoint.
pub(super) struct Transport {
    client: Client,
    endpoint: Endpoint,
    credentials: Option<Credentials>,
    options: ConnectOptions,
    /// Counts calls, for the log.
    calls: AtomicU64,
}

struct Request<'a> {
    method: Method,
    url: reqwest::Url,
    body: Option<&'a Value>,
}

impl Transport {
    pub(super) fn new(
        endpoint: Endpoint,
        credentials: Option<Credentials>,
        options: &ConnectOptions,
    ) -> Result<Self, BigQueryError> {
        let mut builder = Client::builder()
            .user_agent(concat!("bigquill/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            // BigQuery's API redirects nowhere: a redirect leads to a sign-in page.
            .redirect(reqwest::redirect::Policy::none());
        if endpoint.is_loopback() {
            builder = builder.no_proxy();
        }
        let client = builder
            .build()
            .map_err(|error| BigQueryError::Settings(format!("no TLS on this machine: {error}")))?;
        Ok(Self {
            client,
            endpoint,
            credentials,
            options: options.clone(),
            calls: AtomicU64::new(1),
        })
    }

    pub(super) async fn get(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Value, BigQueryError> {
        let url = self.endpoint.url(path, query);
        self.call(&Request {
            method: Method::GET,
            url,
            body: None,
        })
        .await
    }

    pub(super) async fn post(&self, path: &[&str], body: &Value) -> Result<Value, BigQueryError> {
        self.post_to(path, &[], body).await
    }

    pub(super) async fn post_to(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        body: &Value,
    ) -> Result<Value, BigQueryError> {
        let url = self.endpoint.url(path, query);
        self.call(&Request {
            method: Method::POST,
            url,
            body: Some(body),
        })
        .await
    }

    async fn call(&self, request: &Request<'_>) -> Result<Value, BigQueryError> {
        let deadline = self.options.deadline;
        let until = Instant::now() + deadline;
        let id = self.calls.fetch_add(1, Ordering::Relaxed);
        // Names of projects and tables stand in the path; neither SQL nor a token does.
        let span = tracing::debug_span!("bigquery", id, method = %request.method, path = request.url.path());
        match tokio::time::timeout_at(until, self.tries(request, until).instrument(span)).await {
            Ok(answer) => answer,
            Err(_) => Err(BigQueryError::Unavailable(format!(
                "{} did not answer within {} s",
                self.endpoint.host(),
                deadline.as_secs_f64()
            ))),
        }
    }

    /// All calls may be made twice: they read, plan, cancel, or make a job whose name is in them.
    async fn tries(&self, request: &Request<'_>, until: Instant) -> Result<Value, BigQueryError> {
        let mut new_token = false;
        let mut tried = 0;
        loop {
            let Failure { error, retry } = match self.send(request, new_token).await {
                Ok(answer) => {
                    tracing::debug!("answered");
                    return Ok(answer);
                }
                Err(failure) => failure,
            };
            tried += 1;
            let wait = match retry {
                Retry::NewToken if self.credentials.is_some() && !new_token => {
                    new_token = true;
                    continue;
                }
                Retry::Backoff => jittered(self.options.backoff, tried),
                // All who were told the same moment must not come back in the same moment.
                Retry::After(wait) => wait + jittered(self.options.backoff, 1),
                Retry::No | Retry::NewToken => return Err(error),
            };
            if tried >= self.options.tries || Instant::now() + wait >= until {
                return Err(error);
            }
            tracing::debug!(tried, ?wait, path = request.url.path(), "BigQuery is asked again");
            tokio::time::sleep(wait).await;
        }
    }

    async fn send(&self, request: &Request<'_>, new_token: bool) -> Result<Value, Failure> {
        let mut builder = self.client.request(request.method.clone(), request.url.clone());
        if let Some(credentials) = &self.credentials {
            let token = credentials.token(new_token).await.map_err(no_token)?;
            builder = builder.bearer_auth(token);
            if let Some(project) = &credentials.quota_project {
                builder = builder.header("x-goog-user-project", project);
            }
        }
        if let Some(body) = request.body {
            builder = builder
                .header(reqwest::header::CONTENT_TYPE, "application/json")
                .body(body.to_string());
        }
        let answer = builder.send().await.map_err(|error| self.broken(error))?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = answer.bytes().await.map_err(|error| self.broken(error))?;
        if !status.is_success() {
            return Err(failure(&self.endpoint.host(), status, &headers, &body));
        }
        serde_json::from_slice(&body).map_err(|_| {
            let what = format!(
                "{} answers with something that is not BigQuery's JSON",
                self.endpoint.host()
            );
            Failure::last(BigQueryError::NotBigQuery(what))
        })
    }

    /// A connection that was not made or not held.
    fn broken(&self, error: reqwest::Error) -> Failure {
        let refused = error.is_connect();
        let error = error.without_url();
        let mut text = format!("{} cannot be reached: {error}", self.endpoint.host());
        let mut cause = std::error::Error::source(&error);
        while let Some(inner) = cause {
            text = format!("{text}: {inner}");
            cause = inner.source();
        }
        Failure {
            error: BigQueryError::Unavailable(text),
            // Where nobody listens nobody will in a second; a connection that was cut may hold the next time.
            retry: if refused { Retry::No } else { Retry::Backoff },
        }
    }
}

/// Without a token another try helps only where the network was at fault.
fn no_token(error: BigQueryError) -> Failure {
    let retry = match error {
        BigQueryError::Unavailable(_) => Retry::Backoff,
        _ => Retry::No,
    };
    Failure { error, retry }
}

/// From half to the whole of the wait of this try, so that many clients do not come back at once.
fn jittered(backoff: Duration, tried: u32) -> Duration {
    let longest = backoff.saturating_mul(1 << (tried - 1).min(6));
    longest.mul_f64(0.5 + 0.5 * fastrand::f64())
}
