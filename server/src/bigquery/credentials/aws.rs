//! The token of a machine or a role of Amazon's: a signed request that says who it is.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>; what Google wants of it:
//! <https://google.aip.dev/auth/4117>.

use reqwest::{Method, Url};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use super::http::{self, Failed};
use super::{required, text};
use crate::bigquery::{BigQueryError, environment};

/// Bytes of a block of SHA-256.
const BLOCK: usize = 64;

/// How long a session of Amazon's metadata server lives, in seconds.
const SESSION: &str = "300";

/// A `credential_source` of the environment `aws1`.
pub(super) struct Aws {
    region_url: Option<Url>,
    keys_url: Option<Url>,
    session_url: Option<Url>,
    /// The call that tells who signed it, with `{region}` in it.
    verification: String,
    audience: String,
}

/// Keys to sign with.
#[derive(Clone)]
struct Keys {
    id: String,
    secret: String,
    session: Option<String>,
}

impl Aws {
    pub(super) fn read(source: &Value, audience: &str) -> Result<Self, String> {
        if text(source, "environment_id").as_deref() != Some("aws1") {
            return Err("the `environment_id` of its `credential_source` is not aws1".to_owned());
        }
        let optional = |member: &str| match source.get(member) {
            Some(_) => http::machine_url(source, member).map(Some),
            None => Ok(None),
        };
        let verification = required(source, "regional_cred_verification_url")?;
        let tried =
            json!({ "regional_cred_verification_url": verification.replace("{region}", "us-east-1") });
        http::amazon_url(&tried, "regional_cred_verification_url")?;
        Ok(Self {
            region_url: optional("region_url")?,
            keys_url: optional("url")?,
            session_url: optional("imdsv2_session_token_url")?,
            verification,
            audience: audience.to_owned(),
        })
    }

    /// The signed request as Google's token exchange takes it.
    pub(super) async fn token(&self) -> Result<String, BigQueryError> {
        let region = environment("AWS_REGION").or_else(|| environment("AWS_DEFAULT_REGION"));
        let keys = Keys::of_environment();
        let session = if region.is_none() || keys.is_none() {
            self.session().await?
        } else {
            None
        };
        let region = match region {
            Some(region) => region,
            None => self.region(session.as_deref()).await?,
        };
        let keys = match keys {
            Some(keys) => keys,
            None => self.keys(session.as_deref()).await?,
        };
        let url = self.verification.replace("{region}", &region);
        let url = Url::parse(&url).map_err(|_| missing(format!("the region {region:?} makes no address")))?;
        let signed = signed(&url, &region, &keys, &self.audience, OffsetDateTime::now_utc());
        Ok(escaped(&signed.to_string()))
    }

    async fn session(&self) -> Result<Option<String>, BigQueryError> {
        let Some(url) = &self.session_url else {
            return Ok(None);
        };
        let request =
            http::request(Method::PUT, url)?.header("X-aws-ec2-metadata-token-ttl-seconds", SESSION);
        let answer = http::text(request, "AWS's metadata server").await;
        answer.map(Some).map_err(refused)
    }

    async fn ask(&self, url: &Url, session: Option<&str>) -> Result<String, BigQueryError> {
        let mut request = http::request(Method::GET, url)?;
        if let Some(session) = session {
            request = request.header("X-aws-ec2-metadata-token", session);
        }
        http::text(request, "AWS's metadata server")
            .await
            .map_err(refused)
    }

    async fn region(&self, session: Option<&str>) -> Result<String, BigQueryError> {
        let none = || missing("neither AWS_REGION nor `region_url` tells the region".to_owned());
        let zone = self
            .ask(self.region_url.as_ref().ok_or_else(none)?, session)
            .await?;
        // `us-east-1d` is a zone of `us-east-1`.
        let mut region = zone.trim().to_owned();
        region.pop();
        Ok(region)
    }

    async fn keys(&self, session: Option<&str>) -> Result<Keys, BigQueryError> {
        let none = || missing("neither AWS_ACCESS_KEY_ID nor `url` gives keys".to_owned());
        let url = self.keys_url.as_ref().ok_or_else(none)?;
        let role = self.ask(url, session).await?;
        let mut of_role = url.clone();
        if let Ok(mut path) = of_role.path_segments_mut() {
            path.pop_if_empty().push(role.trim());
        }
        let answer = self.ask(&of_role, session).await?;
        let answer: Value = serde_json::from_str(&answer).unwrap_or_default();
        match (text(&answer, "AccessKeyId"), text(&answer, "SecretAccessKey")) {
            (Some(id), Some(secret)) => Ok(Keys {
                id,
                secret,
                session: text(&answer, "Token"),
            }),
            _ => Err(missing(
                "the metadata server gives no keys of the role".to_owned(),
            )),
        }
    }
}

impl Keys {
    fn of_environment() -> Option<Self> {
        Some(Self {
            id: environment("AWS_ACCESS_KEY_ID")?,
            secret: environment("AWS_SECRET_ACCESS_KEY")?,
            session: environment("AWS_SESSION_TOKEN"),
        })
    }
}

fn refused(failed: Failed) -> BigQueryError {
    failed.or(|status, words| {
        (
            format!("AWS gives no identity ({status}): {words}"),
            REMEDY.to_owned(),
        )
    })
}

fn missing(why: String) -> BigQueryError {
    BigQueryError::SignIn {
        what: format!("AWS gives no identity: {why}"),
        remedy: REMEDY.to_owned(),
    }
}

const REMEDY: &str =
    "set AWS_REGION, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role";

/// A `POST` without a body, signed by Signature Version 4.
fn signed(url: &Url, region: &str, keys: &Keys, audience: &str, now: OffsetDateTime) -> Value {
    let day = format!("{:04}{:02}{:02}", now.year(), u8::from(now.month()), now.day());
    let moment = format!("{day}T{:02}{:02}{:02}Z", now.hour(), now.minute(), now.second());
    let host = url.host_str().unwrap_or_default();
    let host = url
        .port()
        .map_or(host.to_owned(), |port| format!("{host}:{port}"));
    // In the order of their names, as they are signed.
    let mut headers = vec![("host", host), ("x-amz-date", moment.clone())];
    headers.extend(
        keys.session
            .clone()
            .map(|session| ("x-amz-security-token", session)),
    );
    headers.push(("x-goog-cloud-target-resource", audience.to_owned()));
    let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let lines: String = headers
        .iter()
        .map(|(name, value)| format!("{name}:{value}\n"))
        .collect();
    let mut query: Vec<(String, String)> = url
        .query_pairs()
        .map(|(k, v)| (escaped(&k), escaped(&v)))
        .collect();
    query.sort();
    let query: Vec<String> = query
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let request = format!(
        "POST\n{}\n{}\n{lines}\n{names}\n{}",
        url.path(),
        query.join("&"),
        hex(&Sha256::digest(""))
    );
    let service = url
        .host_str()
        .and_then(|host| host.split('.').next())
        .unwrap_or("sts");
    let scope = format!("{day}/{region}/{service}/aws4_request");
    let text = format!(
        "AWS4-HMAC-SHA256\n{moment}\n{scope}\n{}",
        hex(&Sha256::digest(&request))
    );
    let mut key = format!("AWS4{}", keys.secret).into_bytes();
    for part in [&day, region, service, "aws4_request"] {
        key = hmac(&key, part.as_bytes()).to_vec();
    }
    let signature = hex(&hmac(&key, text.as_bytes()));
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
        keys.id
    );
    headers.push(("Authorization", authorization));
    let headers: Vec<Value> = headers
        .iter()
        .map(|(name, value)| json!({ "key": name, "value": value }))
        .collect();
    json!({ "url": url.as_str(), "method": "POST", "headers": headers })
}

/// HMAC (RFC 2104) over SHA-256.
fn hmac(key: &[u8], text: &[u8]) -> [u8; 32] {
    let mut block = [0_u8; BLOCK];
    if key.len() > BLOCK {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let inner = Sha256::new()
        .chain_update(block.map(|b| b ^ 0x36))
        .chain_update(text)
        .finalize();
    Sha256::new()
        .chain_update(block.map(|b| b ^ 0x5c))
        .chain_update(inner)
        .finalize()
        .into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Percent-encoded, all but the unreserved characters of RFC 3986.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, test cases 2 and 6.
    #[test]
    fn hmac_is_that_of_the_rfc() {
        assert_eq!(
            hex(&hmac(b"Jefe", b"what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        assert_eq!(
            hex(&hmac(
                &[0xaa; 131],
                b"Test Using Larger Than Block-Size Key - Hash Key First"
            )),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }

    /// The signature is that of Amazon's own library, botocore 1.x, for the same request.
    #[test]
    fn a_request_is_signed_as_amazon_signs_it() {
        let url =
            Url::parse("https://sts.us-east-2.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15")
                .expect("an address");
        let keys = Keys {
            id: "AKIDEXAMPLE".into(),
            secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into(),
            session: Some("session".into()),
        };
        let now = OffsetDateTime::from_unix_timestamp(1_440_938_160).expect("a time");
        let request = signed(&url, "us-east-2", &keys, "//iam.googleapis.com/pool", now);
        let authorization = request["headers"]
            .as_array()
            .and_then(|headers| headers.last()?["value"].as_str())
            .expect("a header");
        assert_eq!(
            authorization,
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-2/sts/aws4_request, \
             SignedHeaders=host;x-amz-date;x-amz-security-token;x-goog-cloud-target-resource, \
             Signature=a6b68d65269290d63819a591c57b6fdf51f2f0d56faee6040a67d84f93cac1d7"
        );
        assert!(
            !request.to_string().contains("wJalr"),
            "the key itself is not sent"
        );
    }
}
