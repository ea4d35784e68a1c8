//! From an HTTP answer that is no success to an error, and whether another try may help.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde_json::Value;

use super::BigQueryError;

/// A try that did not succeed.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: BigQueryError,
    pub(super) retry: Retry,
}

/// Whether another try may help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Retry {
    No,
    /// After a while that the client chooses.
    Backoff,
    /// After a while that the server names.
    After(Duration),
    /// At once, with a new token.
    NewToken,
}

impl Failure {
    /// A failure that no second try mends.
    pub(super) fn last(error: BigQueryError) -> Self {
        Self {
            error,
            retry: Retry::No,
        }
    }
}

/// The reason of a refusal by an emulator that lacks a method.
pub(super) const UNSUPPORTED: &str = "unsupported";

/// What an answer with this status says.
pub(super) fn failure(host: &str, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Failure {
    let Some(detail) = Detail::read(body) else {
        return without_detail(host, status, headers);
    };
    let Detail { reason, message } = detail;
    let limited = matches!(
        reason.as_str(),
        "rateLimitExceeded" | "jobRateLimitExceeded" | "userRateLimitExceeded"
    );
    match status.as_u16() {
        401 => Failure {
            error: BigQueryError::Unauthorized(message),
            retry: Retry::NewToken,
        },
        403 | 429 if limited || status.as_u16() == 429 => Failure {
            error: BigQueryError::Quota(message),
            retry: after(headers),
        },
        403 if reason == "quotaExceeded" => Failure::last(BigQueryError::Quota(message)),
        403 => Failure::last(BigQueryError::Forbidden(message)),
        404 => Failure::last(BigQueryError::NotFound(message)),
        // The emulator's word for a method that it does not have.
        500 if message.starts_with("unsupported bigquery.") => Failure::last(BigQueryError::Refused {
            reason: UNSUPPORTED.to_owned(),
            message,
        }),
        500 | 502 | 503 | 504 => Failure {
            error: BigQueryError::Unavailable(format!("BigQuery fails ({}): {message}", status.as_u16())),
            retry: after(headers),
        },
        _ => Failure::last(BigQueryError::Refused { reason, message }),
    }
}

/// Front ends answer without BigQuery's JSON: an overload is still one, anything else is not BigQuery's word.
fn without_detail(host: &str, status: StatusCode, headers: &HeaderMap) -> Failure {
    let text = format!("{host} answers {status} without BigQuery's JSON");
    match status.as_u16() {
        429 => Failure {
            error: BigQueryError::Quota(text),
            retry: after(headers),
        },
        500 | 502 | 503 | 504 => Failure {
            error: BigQueryError::Unavailable(text),
            retry: after(headers),
        },
        401 => Failure {
            error: BigQueryError::Unauthorized(text),
            retry: Retry::NewToken,
        },
        _ => Failure::last(BigQueryError::NotBigQuery(text)),
    }
}

/// `Retry-After` in seconds, as Google sends it.
fn after(headers: &HeaderMap) -> Retry {
    let seconds: Option<u64> = headers
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.trim().parse().ok());
    seconds.map_or(Retry::Backoff, |seconds| {
        // Longer than any deadline is no time to count with.
        Retry::After(Duration::from_secs(seconds.min(24 * 60 * 60)))
    })
}

struct Detail {
    reason: String,
    message: String,
}

impl Detail {
    /// The first reason and the message of `{"error": {"message", "errors": [{"reason"}]}}`.
    fn read(body: &[u8]) -> Option<Self> {
        let value: Value = serde_json::from_slice(body).ok()?;
        let error = value.get("error")?;
        let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
        Some(Self {
            reason: text(error.pointer("/errors/0/reason").or_else(|| error.get("status"))),
            message: match error.get("message") {
                Some(message) => text(Some(message)),
                None => text(Some(error)),
            },
        })
    }
}
