//! Who bigquill is to BigQuery: kinds of credentials, tokens, quota project.

use std::sync::OnceLock;

use bigquill::bigquery::{BigQuery, BigQueryError, ConnectOptions};
use bigquill::settings::Settings;
use bigquill_tests::fault_server::{FaultServer, Reply};
use bigquill_tests::workspace::Workspace;
use rsa::RsaPrivateKey;
use rsa::pkcs8::{EncodePrivateKey, LineEnding};
use rsa::rand_core::OsRng;
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::support::{impatient, message};

/// An RSA key made for this run.
fn private_key() -> &'static str {
    static KEY: OnceLock<String> = OnceLock::new();
    KEY.get_or_init(|| {
        let key = RsaPrivateKey::new(&mut OsRng, 2048).expect("a key of this size");
        let pem = key.to_pkcs8_pem(LineEnding::LF).expect("a key can be written");
        pem.to_string()
    })
}

/// The key file of a service account.
pub(crate) fn key(token_uri: &str) -> Value {
    json!({
        "type": "service_account",
        "project_id": "of-the-key",
        "quota_project_id": "pays",
        "private_key_id": "1",
        "private_key": private_key(),
        "client_email": "reader@of-the-key.example",
        "client_id": "1",
        "auth_uri": token_uri,
        "token_uri": token_uri,
        "auth_provider_x509_cert_url": token_uri,
        "client_x509_cert_url": token_uri,
    })
}

fn key_file(token_uri: &str) -> NamedTempFile {
    file(&key(token_uri))
}

/// A file with this content.
pub(crate) fn file(value: &Value) -> NamedTempFile {
    let file = NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), value.to_string()).expect("the file is ours");
    file
}

/// A connection with this file, to a BigQuery at this address.
pub(crate) async fn connect(file: &NamedTempFile, google: &str) -> Result<BigQuery, BigQueryError> {
    let settings = Settings {
        credentials: Some(file.path().to_string_lossy().into_owned()),
        ..Settings::default()
    };
    let options = ConnectOptions {
        google: google.to_owned(),
        ..impatient()
    };
    BigQuery::connect_with(&settings, &options).await
}

/// A token of Google's sign-in.
pub(crate) fn token(token: &str) -> Reply {
    Reply::json(&json!({"access_token": token, "expires_in": 3600, "token_type": "Bearer"}))
}

#[tokio::test]
async fn a_key_gets_a_token_and_a_refused_token_a_new_one() {
    let server = FaultServer::start().await;
    server.on("/token", [token("old"), token("new")]);
    let refused = Reply::error(401, "authError", "Invalid Credentials");
    server.on("/datasets", [refused, Reply::json(&json!({"datasets": []}))]);
    let file = key_file(&format!("{}/token", server.url()));
    let bigquery = connect(&file, &server.url()).await.expect("a key");
    assert_eq!(bigquery.project(), Some("of-the-key"));
    bigquery.datasets("p").await.expect("the new token is taken");
    let calls: Vec<_> = server
        .received()
        .into_iter()
        .filter(|r| r.path.ends_with("/datasets"))
        .collect();
    let sent: Vec<&str> = calls
        .iter()
        .map(|r| r.headers["authorization"].as_str())
        .collect();
    assert_eq!(sent, ["Bearer old", "Bearer new"]);
    assert_eq!(calls[0].headers["x-goog-user-project"], "pays");
}

#[tokio::test]
async fn a_key_that_is_not_taken_any_more_names_the_login() {
    let server = FaultServer::start().await;
    let revoked = json!({"error": "invalid_grant", "error_description": "Token has been revoked."});
    server.on(
        "/token",
        [Reply::text(400, "application/json", &revoked.to_string())],
    );
    let file = key_file(&format!("{}/token", server.url()));
    let bigquery = connect(&file, &server.url()).await.expect("a key");
    let text = message(bigquery.datasets("p").await);
    assert!(
        text.contains("no token can be had") && text.contains("revoked"),
        "{text}"
    );
    assert!(text.contains("gcloud auth application-default login"), "{text}");
}

#[tokio::test]
async fn files_that_are_no_credentials_say_why_and_show_no_secret() {
    let cases = [
        (
            json!({"type": "gdch_service_account"}),
            "gdch_service_account are not supported",
        ),
        (json!({"installed": {}}), "names no `type`"),
        (
            json!({"type": "authorized_user", "client_id": "a", "client_secret": "b"}),
            "missing field `refresh_token`",
        ),
        (
            json!({"type": "authorized_user", "client_id": 1, "client_secret": "hush"}),
            "it is damaged",
        ),
    ];
    for (content, expected) in cases {
        let error = connect(&file(&content), "https://bigquery.example")
            .await
            .err()
            .expect("no credentials");
        let text = error.to_string();
        assert!(
            text.contains(expected) && text.contains("`credentials`"),
            "{text}"
        );
        assert!(!text.contains("hush"), "{text}");
    }
}

#[tokio::test]
async fn the_doctor_tells_which_project_it_is_and_why() {
    let workspace = Workspace::with_config("live_catalog = \"off\"\n");
    let doctor = async |environment: &[(&str, &str)]| {
        let ran = workspace.run_with(&["doctor"], "", environment).await;
        ran.stdout
    };
    let nothing = doctor(&[]).await;
    assert!(
        nothing.contains("no project") && nothing.contains("gcloud config set project"),
        "{nothing}"
    );

    std::fs::create_dir(workspace.path("configurations")).expect("the folder is ours");
    workspace.write("configurations/config_default", "[core]\nproject = of-gcloud\n");
    workspace.write("configurations/config_other", "[core]\nproject = of-other\n");
    let text = doctor(&[]).await;
    assert!(
        text.contains("project of-gcloud (gcloud's configuration default)"),
        "{text}"
    );
    workspace.write("active_config", "other\n");
    let text = doctor(&[]).await;
    assert!(
        text.contains("project of-other (gcloud's configuration other)"),
        "{text}"
    );
    let text = doctor(&[
        ("CLOUDSDK_CORE_PROJECT", "named"),
        ("GOOGLE_CLOUD_QUOTA_PROJECT", "pays"),
    ])
    .await;
    assert!(text.contains("project named (CLOUDSDK_CORE_PROJECT)"), "{text}");
    assert!(
        text.contains("requests are counted in pays (GOOGLE_CLOUD_QUOTA_PROJECT)"),
        "{text}"
    );

    workspace.write("key.json", &key("https://oauth2.example/token").to_string());
    let text = doctor(&[
        ("BIGQUILL_CREDENTIALS", "key.json"),
        ("GOOGLE_CLOUD_PROJECT", "named"),
    ])
    .await;
    assert!(
        text.contains("project of-the-key (`project_id` in key.json (`credentials`))"),
        "{text}"
    );
    assert!(text.contains("kind service_account"), "{text}");
    let text = doctor(&[("BIGQUILL_PROJECT", "mine"), ("GOOGLE_CLOUD_PROJECT", "named")]).await;
    assert!(text.contains("project mine (`project`)"), "{text}");
}
