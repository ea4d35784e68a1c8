//! Where the token comes from that an `external_account` gives for one of Google's: a file, an address, a program, AWS.

use std::fmt;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::{Method, Url};
use serde_json::Value;
use tokio::process::Command;

use super::aws::Aws;
use super::{http, required, text};
use crate::bigquery::BigQueryError;

/// Programs are run only where this variable is `1`.
const ALLOW_EXECUTABLES: &str = "GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES";

/// Where a program's time is not set.
const PROGRAM_DEADLINE: Duration = Duration::from_secs(30);

/// Who gives the token.
pub(super) enum SubjectSource {
    File {
        path: PathBuf,
        format: Format,
    },
    Url {
        url: Url,
        headers: Vec<(String, String)>,
        format: Format,
    },
    Program(Box<Program>),
    Aws(Box<Aws>),
}

/// How the token stands in a file or an answer.
pub(super) enum Format {
    Text,
    /// In this member of an object.
    Json(String),
}

/// A program that prints a token.
pub(super) struct Program {
    command: Vec<String>,
    deadline: Duration,
    output_file: Option<PathBuf>,
    environment: Vec<(&'static str, String)>,
}

impl SubjectSource {
    /// Of the whole credentials file. `account` is the service account that is acted as in the end.
    pub(super) fn read(
        value: &Value,
        audience: &str,
        kind: &str,
        account: Option<&str>,
    ) -> Result<Self, String> {
        let source = value
            .get("credential_source")
            .ok_or("it lacks `credential_source`")?;
        if source.get("environment_id").is_some() {
            return Ok(Self::Aws(Box::new(Aws::read(source, audience)?)));
        }
        if let Some(path) = text(source, "file") {
            let format = Format::read(source)?;
            return Ok(Self::File {
                path: path.into(),
                format,
            });
        }
        if source.get("url").is_some() {
            let headers = source
                .get("headers")
                .and_then(Value::as_object)
                .into_iter()
                .flatten();
            let header = |(name, value): (&String, &Value)| Some((name.clone(), value.as_str()?.to_owned()));
            return Ok(Self::Url {
                url: http::machine_url(source, "url")?,
                headers: headers.filter_map(header).collect(),
                format: Format::read(source)?,
            });
        }
        match source.get("executable") {
            Some(program) => Ok(Self::Program(Box::new(Program::read(
                program, audience, kind, account,
            )?))),
            None => Err("its `credential_source` has neither `file`, `url`, `executable` nor AWS".to_owned()),
        }
    }

    /// The token of the moment.
    pub(super) async fn token(&self) -> Result<String, BigQueryError> {
        match self {
            Self::File { path, format } => {
                let content = tokio::fs::read_to_string(path).await;
                let content = content.map_err(|error| self.missing(&error.to_string()))?;
                format
                    .token(&content)
                    .ok_or_else(|| self.missing("it has no token"))
            }
            Self::Url { url, headers, format } => {
                let mut request = http::request(Method::GET, url)?;
                for (name, value) in headers {
                    request = request.header(name, value);
                }
                let answer = http::text(request, &self.to_string()).await;
                let answer = answer.map_err(|failed| {
                    failed.or(|status, words| missing(self, &format!("{words} ({status})")))
                })?;
                format
                    .token(&answer)
                    .ok_or_else(|| self.missing("the answer has no token"))
            }
            Self::Program(program) => program.token().await.map_err(|why| self.missing(&why)),
            Self::Aws(aws) => aws.token().await,
        }
    }

    fn missing(&self, why: &str) -> BigQueryError {
        let (what, remedy) = missing(self, why);
        BigQueryError::SignIn { what, remedy }
    }
}

fn missing(source: &SubjectSource, why: &str) -> (String, String) {
    (
        format!("{source} gives no token: {why}"),
        "correct `credential_source` in the credentials file, or see to it that the token is there"
            .to_owned(),
    )
}

impl fmt::Display for SubjectSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, .. } => write!(f, "the file {}", path.display()),
            Self::Url { url, .. } => write!(f, "{}", url.host_str().unwrap_or("the address")),
            Self::Program(program) => write!(f, "the program {}", program.command[0]),
            Self::Aws(_) => f.write_str("AWS"),
        }
    }
}

impl Format {
    fn read(source: &Value) -> Result<Self, String> {
        let Some(format) = source.get("format") else {
            return Ok(Self::Text);
        };
        match text(format, "type").as_deref() {
            Some("json") => Ok(Self::Json(required(format, "subject_token_field_name")?)),
            Some("text") | None => Ok(Self::Text),
            Some(_) => Err("the `format` of its `credential_source` is neither `text` nor `json`".to_owned()),
        }
    }

    fn token(&self, content: &str) -> Option<String> {
        let token = match self {
            Self::Text => content.trim().to_owned(),
            Self::Json(member) => text(&serde_json::from_str(content).ok()?, member)?,
        };
        Some(token).filter(|token| !token.is_empty())
    }
}

impl Program {
    fn read(value: &Value, audience: &str, kind: &str, account: Option<&str>) -> Result<Self, String> {
        let command: Vec<String> = required(value, "command")?
            .split_whitespace()
            .map(str::to_owned)
            .collect();
        if command.is_empty() {
            return Err("its `command` is empty".to_owned());
        }
        let output_file = text(value, "output_file");
        let mut environment = vec![
            ("GOOGLE_EXTERNAL_ACCOUNT_AUDIENCE", audience.to_owned()),
            ("GOOGLE_EXTERNAL_ACCOUNT_TOKEN_TYPE", kind.to_owned()),
            ("GOOGLE_EXTERNAL_ACCOUNT_INTERACTIVE", "0".to_owned()),
        ];
        environment.extend(account.map(|a| ("GOOGLE_EXTERNAL_ACCOUNT_IMPERSONATED_EMAIL", a.to_owned())));
        environment.extend(
            output_file
                .iter()
                .map(|f| ("GOOGLE_EXTERNAL_ACCOUNT_OUTPUT_FILE", f.clone())),
        );
        let deadline = value.get("timeout_millis").and_then(Value::as_u64);
        Ok(Self {
            command,
            deadline: deadline.map_or(PROGRAM_DEADLINE, Duration::from_millis),
            output_file: output_file.map(Into::into),
            environment,
        })
    }

    async fn token(&self) -> Result<String, String> {
        if std::env::var(ALLOW_EXECUTABLES).as_deref() != Ok("1") {
            return Err(format!("programs are run only where {ALLOW_EXECUTABLES} is 1"));
        }
        self.run().await
    }

    async fn run(&self) -> Result<String, String> {
        if let Some(token) = self.written().await {
            return Ok(token);
        }
        let mut command = Command::new(&self.command[0]);
        command
            .args(&self.command[1..])
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let ran = tokio::time::timeout(self.deadline, command.output()).await;
        let ran = ran
            .map_err(|_| format!("it did not end within {} s", self.deadline.as_secs_f64()))?
            .map_err(|error| format!("it cannot be run: {error}"))?;
        let output = String::from_utf8_lossy(&ran.stdout);
        match answer(&output) {
            Some(result) => result,
            None if !ran.status.success() => Err(format!("it ends with {}", ran.status)),
            None => Err("it prints no answer".to_owned()),
        }
    }

    /// What the program wrote before, where that is still good.
    async fn written(&self) -> Option<String> {
        let content = tokio::fs::read_to_string(self.output_file.as_ref()?).await.ok()?;
        let value: Value = serde_json::from_str(&content).ok()?;
        value.get("expiration_time")?;
        answer(&content)?.ok()
    }
}

/// The token of a program's answer, or its own words.
fn answer(output: &str) -> Option<Result<String, String>> {
    let value: Value = serde_json::from_str(output).ok()?;
    if value.get("success").and_then(Value::as_bool) != Some(true) {
        let words = text(&value, "message").unwrap_or_else(|| "it says that it failed".to_owned());
        return Some(Err(words));
    }
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    if value
        .get("expiration_time")
        .and_then(Value::as_u64)
        .is_some_and(|until| until <= now)
    {
        return Some(Err("its token is too old".to_owned()));
    }
    let member = match text(&value, "token_type").as_deref() {
        Some("urn:ietf:params:oauth:token-type:saml2") => "saml_response",
        Some("urn:ietf:params:oauth:token-type:access_token") => "access_token",
        _ => "id_token",
    };
    Some(text(&value, member).ok_or_else(|| format!("its answer lacks `{member}`")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_programs_answer_is_a_token_or_its_words() {
        for (output, expected) in [
            (
                r#"{"version": 1, "success": true, "token_type": "urn:ietf:params:oauth:token-type:jwt", "id_token": "t"}"#,
                Ok("t"),
            ),
            (
                r#"{"success": true, "token_type": "urn:ietf:params:oauth:token-type:saml2", "saml_response": "s"}"#,
                Ok("s"),
            ),
            (
                r#"{"success": true, "id_token": "t", "expiration_time": 1}"#,
                Err("its token is too old"),
            ),
            (
                r#"{"success": false, "code": "401", "message": "not signed in"}"#,
                Err("not signed in"),
            ),
            (r#"{"success": true}"#, Err("its answer lacks `id_token`")),
        ] {
            let expected = expected.map(str::to_owned).map_err(str::to_owned);
            assert_eq!(answer(output), Some(expected), "{output}");
        }
        assert_eq!(answer("secret"), None);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_program_is_told_what_for_and_what_it_wrote_is_taken_first() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        let (script, written) = (folder.path().join("token"), folder.path().join("written"));
        let text = "#!/bin/sh\necho \"{\\\"success\\\": true, \\\"id_token\\\": \\\"$1 $GOOGLE_EXTERNAL_ACCOUNT_AUDIENCE\\\"}\"\n";
        std::fs::write(&script, text).expect("the folder is ours");
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o700)).expect("it is ours");
        let value = serde_json::json!({
            "command": format!("{} for", script.display()), "output_file": written.display().to_string(),
        });
        let program = Program::read(&value, "pool", "jwt", None).expect("a program");
        assert_eq!(program.run().await, Ok("for pool".to_owned()));
        let later = r#"{"success": true, "id_token": "written", "expiration_time": 32503680000}"#;
        std::fs::write(&written, later).expect("the folder is ours");
        assert_eq!(program.run().await, Ok("written".to_owned()));
        let value = serde_json::json!({ "command": "/nowhere/program" });
        let program = Program::read(&value, "pool", "jwt", None).expect("a program");
        assert!(
            program
                .run()
                .await
                .is_err_and(|why| why.contains("cannot be run"))
        );
    }
}
