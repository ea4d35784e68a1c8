//! Calls to those who give tokens. Messages have their words, never their answers: these are secrets.

use std::net::IpAddr;
use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, Url};
use serde_json::Value;

use crate::bigquery::BigQueryError;
use crate::bigquery::endpoint::is_loopback;

/// The longest that one call may take.
const DEADLINE: Duration = Duration::from_secs(30);

/// A call that gave nothing to use.
#[derive(Debug)]
pub(super) enum Failed {
    /// Nobody answered, or with a failure of the server.
    Unavailable(String),
    /// The answer is a no, with its status and words.
    Refused(u16, String),
}

/// A member of a credentials file that is the address of Google's sign-in: over TLS, or on this machine.
pub(super) fn sign_in_url(value: &Value, member: &str) -> Result<Url, String> {
    url(value, member, is_loopback)
}

/// A member that is an address of Google's own which is sent somebody's identity: a file that names another host would
/// have it sent there. Or one on this machine.
pub(super) fn google_url(value: &Value, member: &str) -> Result<Url, String> {
    let url = sign_in_url(value, member)?;
    if is_of(&url, "googleapis.com") || is_loopback(&url) {
        Ok(url)
    } else {
        Err(format!("its `{member}` is no address of googleapis.com"))
    }
}

/// A member that is an address of Amazon's, or one on this machine.
pub(super) fn amazon_url(value: &Value, member: &str) -> Result<Url, String> {
    let url = sign_in_url(value, member)?;
    if is_of(&url, "amazonaws.com") || is_of(&url, "amazonaws.com.cn") || is_loopback(&url) {
        Ok(url)
    } else {
        Err(format!("its `{member}` is no address of amazonaws.com"))
    }
}

fn is_of(url: &Url, domain: &str) -> bool {
    let host = url.host_str().unwrap_or_default();
    host.strip_suffix(domain)
        .is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

/// A member that is the address of the machine's own identity: metadata servers are link-local and speak plain HTTP.
pub(super) fn machine_url(value: &Value, member: &str) -> Result<Url, String> {
    url(value, member, |url| is_loopback(url) || is_link_local(url))
}

fn url(value: &Value, member: &str, may_be_plain: impl Fn(&Url) -> bool) -> Result<Url, String> {
    let text = super::required(value, member)?;
    let url = Url::parse(&text).map_err(|_| format!("its `{member}` is no address"))?;
    match url.scheme() {
        "https" => Ok(url),
        "http" if may_be_plain(&url) => Ok(url),
        _ => Err(format!(
            "its `{member}` is no https address: a token or key would be sent in the open"
        )),
    }
}

fn is_link_local(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    match host.parse() {
        Ok(IpAddr::V4(address)) => address.is_link_local(),
        // Amazon's metadata server.
        Ok(IpAddr::V6(address)) => address.to_string() == "fd00:ec2::254",
        Err(_) => host == "metadata.google.internal",
    }
}

/// A request to this address.
pub(super) fn request(method: Method, url: &Url) -> Result<RequestBuilder, BigQueryError> {
    let mut builder = Client::builder()
        .user_agent(concat!("bigquill/", env!("CARGO_PKG_VERSION")))
        .timeout(DEADLINE)
        // A redirect would carry the token elsewhere.
        .redirect(reqwest::redirect::Policy::none());
    if is_loopback(url) || is_link_local(url) {
        builder = builder.no_proxy();
    }
    let client = builder
        .build()
        .map_err(|error| BigQueryError::Settings(format!("no TLS on this machine: {error}")))?;
    Ok(client.request(method, url.clone()))
}

/// The body of a success.
pub(super) async fn text(request: RequestBuilder, whom: &str) -> Result<String, Failed> {
    let unreachable = |error: reqwest::Error| {
        let error = error.without_url();
        let cause = std::error::Error::source(&error).map_or(String::new(), |cause| format!(": {cause}"));
        Failed::Unavailable(format!("{whom} cannot be reached: {error}{cause}"))
    };
    let answer = request.send().await.map_err(unreachable)?;
    let status = answer.status();
    let body = answer.text().await.map_err(unreachable)?;
    if status.is_success() {
        return Ok(body);
    }
    let words = words(&body).unwrap_or_else(|| format!("{whom} answers {status}"));
    Err(match status.as_u16() {
        429 | 500 | 502 | 503 | 504 => {
            Failed::Unavailable(format!("{whom} fails ({}): {words}", status.as_u16()))
        }
        code => Failed::Refused(code, words),
    })
}

/// The JSON of a success.
pub(super) async fn json(request: RequestBuilder, whom: &str) -> Result<Value, Failed> {
    let body = text(request, whom).await?;
    serde_json::from_str(&body)
        .map_err(|_| Failed::Refused(200, format!("{whom} answers with something that is no JSON")))
}

/// What an error says: Google's `{"error": {"message"}}`, or OAuth's `{"error", "error_description"}`.
fn words(body: &str) -> Option<String> {
    let value: Value = serde_json::from_str(body).ok()?;
    let text = |pointer: &str| Some(value.pointer(pointer)?.as_str()?.to_owned());
    text("/error/message").or_else(|| match (text("/error"), text("/error_description")) {
        (Some(error), Some(description)) => Some(format!("{error}: {description}")),
        (error, _) => error,
    })
}

impl Failed {
    /// As an error; what is refused gets this remedy.
    pub(super) fn or(self, refused: impl FnOnce(u16, String) -> (String, String)) -> BigQueryError {
        match self {
            Self::Unavailable(text) => BigQueryError::Unavailable(text),
            Self::Refused(status, words) => {
                let (what, remedy) = refused(status, words);
                BigQueryError::SignIn { what, remedy }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_a_machine_itself_is_spoken_to_in_the_open() {
        let of = |url: &str| json!({ "u": url });
        for good in [
            "https://sts.googleapis.com/v1/token",
            "http://127.0.0.1:9/x",
            "http://localhost/x",
            "http://[::1]/",
        ] {
            sign_in_url(&of(good), "u").expect(good);
            machine_url(&of(good), "u").expect(good);
        }
        for other in [
            "https://evil.example/token",
            "https://evilgoogleapis.com/",
            "https://googleapis.com.evil.example/",
        ] {
            google_url(&of(other), "u").expect_err(other);
            amazon_url(&of(other), "u").expect_err(other);
        }
        google_url(&of("https://sts.mtls.googleapis.com/v1/token"), "u").expect("Google's");
        amazon_url(&of("https://sts.eu-west-1.amazonaws.com?Action=A"), "u").expect("Amazon's");
        for of_machine in ["http://169.254.169.254/latest", "http://[fd00:ec2::254]/latest"] {
            machine_url(&of(of_machine), "u").expect(of_machine);
            sign_in_url(&of(of_machine), "u").expect_err(of_machine);
        }
        for bad in [
            "http://sts.googleapis.com/v1/token",
            "ftp://host/x",
            "http://127.0.0.1.example/",
            "nothing",
            "",
        ] {
            machine_url(&of(bad), "u").expect_err(bad);
        }
    }
}
