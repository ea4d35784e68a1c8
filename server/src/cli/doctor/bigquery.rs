//! Whether BigQuery could be reached: which credentials there are, and whether a client can be made from them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use gcp_bigquery_client::Client;
use gcp_bigquery_client::project::GetOptions;
use serde_json::Value;

use super::Item;

/// How long BigQuery may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Reports the access to BigQuery. Nothing is sent unless `online`.
pub(super) async fn report(online: bool) -> Vec<Item> {
    let Some((path, origin)) = credentials_file() else {
        return vec![Item::lack(
            "no application default credentials",
            "only for reading schemas from BigQuery itself: run `gcloud auth application-default login`, or set \
             GOOGLE_APPLICATION_CREDENTIALS to a key file; catalog files need none",
        )];
    };
    let kind = match credentials_kind(&path) {
        Ok(kind) => kind,
        Err(problem) => {
            return vec![Item::fault(
                format!("{} ({origin}): {problem}", path.display()),
                "run `gcloud auth application-default login`, or correct GOOGLE_APPLICATION_CREDENTIALS",
            )];
        }
    };
    let found = Item::fine(format!("{} ({origin}), kind {kind}", path.display()));
    if kind != "service_account" && kind != "authorized_user" {
        return vec![
            found,
            Item::fault(
                format!("no client can be made from credentials of the kind {kind}"),
                "use a service account key, or `gcloud auth application-default login`",
            ),
        ];
    }
    let client = match Client::from_application_default_credentials().await {
        Ok(client) => client,
        Err(error) => {
            let remedy = "the file is damaged: make a new one with `gcloud auth application-default login`";
            return vec![
                found,
                Item::fault(format!("no client can be made: {error}"), remedy),
            ];
        }
    };
    if online {
        return vec![found, ask(&client).await];
    }
    vec![
        found,
        Item::fine(
            "a client can be made; whether BigQuery takes it, `bigquill doctor --online` asks".to_owned(),
        ),
    ]
}

async fn ask(client: &Client) -> Item {
    let remedy = "check the network, and that the account has the role BigQuery Metadata Viewer";
    match tokio::time::timeout(PATIENCE, client.project().list(GetOptions::default())).await {
        Ok(Ok(list)) => Item::fine(format!(
            "BigQuery answers: {} projects",
            list.projects.unwrap_or_default().len()
        )),
        Ok(Err(error)) => Item::fault(format!("BigQuery refuses: {error}"), remedy),
        Err(_) => Item::fault(
            format!("BigQuery did not answer within {} s", PATIENCE.as_secs()),
            remedy,
        ),
    }
}

/// The file that Google's libraries would take, and why that one.
fn credentials_file() -> Option<(PathBuf, &'static str)> {
    if let Some(path) = std::env::var_os("GOOGLE_APPLICATION_CREDENTIALS") {
        return Some((path.into(), "GOOGLE_APPLICATION_CREDENTIALS"));
    }
    let folder = if cfg!(windows) {
        PathBuf::from(std::env::var_os("APPDATA")?).join("gcloud")
    } else {
        PathBuf::from(std::env::var_os("HOME")?).join(".config/gcloud")
    };
    let path = folder.join("application_default_credentials.json");
    path.is_file().then_some((path, "gcloud's default place"))
}

fn credentials_kind(path: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}"))?;
    let value: Value = serde_json::from_str(&text).map_err(|error| format!("is no JSON: {error}"))?;
    let kind = value.get("type").and_then(Value::as_str);
    kind.map(str::to_owned)
        .ok_or_else(|| "names no `type` of credentials".to_owned())
}
