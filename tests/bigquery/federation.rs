//! Credentials that act as others: impersonated service accounts and external accounts.

use bigquill_tests::fault_server::{FaultServer, Received, Reply};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::credentials::{connect, file, key, token};
use crate::support::message;

const ACCOUNT: &str = "robot@acme.iam.gserviceaccount.com";

/// The path of the account's tokens.
fn generate(server: &FaultServer) -> String {
    format!(
        "{}/v1/projects/-/serviceAccounts/{ACCOUNT}:generateAccessToken",
        server.url()
    )
}

/// A token of the account that ends in so many seconds.
fn of_account(token: &str, seconds: u64) -> Reply {
    let until = std::time::SystemTime::now() + std::time::Duration::from_secs(seconds);
    Reply::json(&json!({ "accessToken": token, "expireTime": rfc3339(until) }))
}

/// As IAM writes a time. Civil from days: <https://howardhinnant.github.io/date_algorithms.html>.
fn rfc3339(at: std::time::SystemTime) -> String {
    let seconds = at
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970")
        .as_secs();
    let (days, of_day) = (seconds / 86400 + 719_468, seconds % 86400);
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// What `gcloud auth application-default login --impersonate-service-account` writes, with a key as its source.
fn impersonated(server: &FaultServer) -> Value {
    json!({
        "type": "impersonated_service_account",
        "delegates": ["between@acme.iam.gserviceaccount.com"],
        "service_account_impersonation_url": generate(server),
        "source_credentials": key(&format!("{}/token", server.url())),
        "quota_project_id": "pays",
    })
}

/// A workload identity whose token stands in this file.
fn external(server: &FaultServer, source: Value) -> Value {
    json!({
        "type": "external_account",
        "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/ci",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": format!("{}/v1/token", server.url()),
        "credential_source": source,
    })
}

fn no_datasets(server: &FaultServer) {
    server.on("/datasets", [Reply::json(&json!({}))]);
}

fn calls(server: &FaultServer, path_end: &str) -> Vec<Received> {
    let received = server.received().into_iter();
    received.filter(|r| r.path.ends_with(path_end)).collect()
}

fn bearers(server: &FaultServer, path_end: &str) -> Vec<String> {
    let of = |call: Received| call.headers.get("authorization").cloned().unwrap_or_default();
    calls(server, path_end).into_iter().map(of).collect()
}

/// A form's fields as they were before they were sent.
fn form(call: &Received) -> std::collections::HashMap<String, String> {
    let fields = call.body.split('&').filter_map(|field| field.split_once('='));
    fields
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits: String = rest.by_ref().take(2).map(char::from).collect();
                u8::from_str_radix(&digits, 16).expect("two digits")
            }
            other => other,
        });
    }
    String::from_utf8(bytes).expect("UTF-8")
}

#[tokio::test]
async fn an_impersonated_account_is_acted_as_with_its_own_token() {
    let server = FaultServer::start().await;
    server.on("/token", [token("own")]);
    server.on(":generateAccessToken", [of_account("robots", 3600)]);
    no_datasets(&server);
    let bigquery = connect(&file(&impersonated(&server)), &server.url())
        .await
        .expect("credentials");
    for _ in 0..3 {
        bigquery
            .datasets("p")
            .await
            .expect("the account's token is taken");
    }
    let sent = calls(&server, ":generateAccessToken");
    assert_eq!(sent.len(), 1, "a token is kept");
    assert_eq!(sent[0].headers["authorization"], "Bearer own");
    let body: Value = serde_json::from_str(&sent[0].body).expect("JSON");
    assert_eq!(
        body,
        json!({
            "scope": ["https://www.googleapis.com/auth/bigquery"],
            "lifetime": "3600s",
            "delegates": ["projects/-/serviceAccounts/between@acme.iam.gserviceaccount.com"],
        })
    );
    assert_eq!(bearers(&server, "/datasets"), ["Bearer robots"; 3]);
    assert_eq!(
        calls(&server, "/datasets")[0].headers["x-goog-user-project"],
        "pays"
    );
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends_and_where_it_is_refused() {
    let server = FaultServer::start().await;
    server.on("/token", [token("own")]);
    let tokens = [
        of_account("soon", 100),
        of_account("long", 3600),
        of_account("new", 3600),
    ];
    server.on(":generateAccessToken", tokens);
    let (none, refused) = (
        Reply::json(&json!({})),
        Reply::error(401, "authError", "Invalid Credentials"),
    );
    server.on(
        "/datasets",
        [none.clone(), none.clone(), none.clone(), refused, none],
    );
    let bigquery = connect(&file(&impersonated(&server)), &server.url())
        .await
        .expect("credentials");
    for _ in 0..4 {
        bigquery
            .datasets("p")
            .await
            .expect("there is always a good token");
    }
    let expected = ["soon", "long", "long", "long", "new"].map(|token| format!("Bearer {token}"));
    assert_eq!(bearers(&server, "/datasets"), expected);
}

#[tokio::test]
async fn who_may_not_act_as_an_account_reads_which_role_is_missing() {
    let server = FaultServer::start().await;
    server.on("/token", [token("hush")]);
    let denied = "Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist).";
    server.on(
        ":generateAccessToken",
        [
            Reply::error(403, "forbidden", denied),
            Reply::error(404, "notFound", "Not found; Gaia id not found"),
        ],
    );
    let bigquery = connect(&file(&impersonated(&server)), &server.url())
        .await
        .expect("credentials");
    let text = message(bigquery.datasets("p").await);
    for part in [
        denied,
        ACCOUNT,
        "roles/iam.serviceAccountTokenCreator",
        "iamcredentials.googleapis.com",
    ] {
        assert!(text.contains(part), "{text}");
    }
    assert!(!text.contains("hush"), "{text}");
    let text = message(bigquery.datasets("p").await);
    assert!(
        text.contains("correct `service_account_impersonation_url`"),
        "{text}"
    );
}

#[tokio::test]
async fn the_token_of_a_file_is_given_for_one_of_googles() {
    let server = FaultServer::start().await;
    server.on("/v1/token", [token("federated")]);
    server.on(":generateAccessToken", [of_account("robots", 3600)]);
    no_datasets(&server);
    let subject = file(&json!({ "jwt": "hush" }));
    let source = json!({
        "file": subject.path(), "format": {"type": "json", "subject_token_field_name": "jwt"},
    });
    let mut content = external(&server, source);
    let plain = connect(&file(&content), &server.url())
        .await
        .expect("credentials");
    plain.datasets("p").await.expect("the token is taken");
    content["service_account_impersonation_url"] = json!(generate(&server));
    content["service_account_impersonation"] = json!({"token_lifetime_seconds": 600});
    let acting = connect(&file(&content), &server.url())
        .await
        .expect("credentials");
    acting.datasets("p").await.expect("the token is taken");

    assert_eq!(
        bearers(&server, "/datasets"),
        ["Bearer federated", "Bearer robots"]
    );
    let exchanged: Vec<_> = calls(&server, "/v1/token").iter().map(form).collect();
    assert_eq!(exchanged[0]["subject_token"], "hush");
    assert_eq!(exchanged[0]["audience"], content["audience"]);
    assert_eq!(
        exchanged[0]["grant_type"],
        "urn:ietf:params:oauth:grant-type:token-exchange"
    );
    assert_eq!(exchanged[0]["scope"], "https://www.googleapis.com/auth/bigquery");
    assert_eq!(
        exchanged[1]["scope"],
        "https://www.googleapis.com/auth/cloud-platform"
    );
    let asked = calls(&server, ":generateAccessToken");
    assert_eq!(asked[0].headers["authorization"], "Bearer federated");
    assert!(asked[0].body.contains("600s"), "{}", asked[0].body);
}

#[tokio::test]
async fn the_token_of_an_address_is_asked_for_with_its_headers() {
    let server = FaultServer::start().await;
    server.on(
        "/identity",
        [Reply::text(200, "text/plain", "from-the-machine\n")],
    );
    server.on("/v1/token", [token("federated")]);
    no_datasets(&server);
    let source = json!({"url": format!("{}/identity", server.url()), "headers": {"Metadata": "True"}});
    let bigquery = connect(&file(&external(&server, source)), &server.url())
        .await
        .expect("credentials");
    bigquery.datasets("p").await.expect("the token is taken");
    assert_eq!(calls(&server, "/identity")[0].headers["metadata"], "True");
    assert_eq!(
        form(&calls(&server, "/v1/token")[0])["subject_token"],
        "from-the-machine"
    );
}

#[tokio::test]
async fn a_role_of_amazons_signs_a_call_that_tells_who_it_is() {
    let server = FaultServer::start().await;
    server.on("/session", [Reply::text(200, "text/plain", "a-session")]);
    server.on("/zone", [Reply::text(200, "text/plain", "eu-central-1b")]);
    server.on(
        "/keys/builder",
        [Reply::json(
            &json!({"AccessKeyId": "AKID", "SecretAccessKey": "hush", "Token": "t"}),
        )],
    );
    server.on("/keys", [Reply::text(200, "text/plain", "builder")]);
    server.on("/v1/token", [token("federated")]);
    no_datasets(&server);
    let at = |path: &str| format!("{}{path}", server.url());
    let source = json!({
        "environment_id": "aws1",
        "region_url": at("/zone"),
        "url": at("/keys"),
        "imdsv2_session_token_url": at("/session"),
        "regional_cred_verification_url": "https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15",
    });
    let bigquery = connect(&file(&external(&server, source)), &server.url())
        .await
        .expect("credentials");
    bigquery.datasets("p").await.expect("the token is taken");
    let token = &form(&calls(&server, "/v1/token")[0])["subject_token"];
    assert!(
        token.starts_with("%7B%22") && token.contains("GetCallerIdentity"),
        "{token}"
    );
    assert!(
        token.contains("AWS4-HMAC-SHA256") && !token.contains("hush"),
        "{token}"
    );
}

#[tokio::test]
async fn a_person_of_a_workforce_is_signed_in_again_with_each_new_refresh_token() {
    let server = FaultServer::start().await;
    let next = json!({"access_token": "second", "expires_in": 3600});
    let first = json!({"access_token": "first", "expires_in": 10, "refresh_token": "turned"});
    server.on("/oauthtoken", [Reply::json(&first), Reply::json(&next)]);
    no_datasets(&server);
    let content = json!({
        "type": "external_account_authorized_user",
        "client_id": "cid", "client_secret": "secret", "refresh_token": "given",
        "token_url": format!("{}/v1/oauthtoken", server.url()),
    });
    let bigquery = connect(&file(&content), &server.url())
        .await
        .expect("credentials");
    bigquery.datasets("p").await.expect("the token is taken");
    bigquery.datasets("p").await.expect("the token is taken");
    assert_eq!(bearers(&server, "/datasets"), ["Bearer first", "Bearer second"]);
    let forms: Vec<_> = calls(&server, "/oauthtoken").iter().map(form).collect();
    assert_eq!(
        (&*forms[0]["refresh_token"], &*forms[1]["refresh_token"]),
        ("given", "turned")
    );
    assert!(bearers(&server, "/oauthtoken")[0].starts_with("Basic "));
}

#[tokio::test]
async fn who_gives_no_token_says_why_without_a_secret() {
    let server = FaultServer::start().await;
    let oauth = json!({"error": "invalid_grant", "error_description": "The audience does not match."});
    server.on(
        "/v1/token",
        [Reply::text(400, "application/json", &oauth.to_string())],
    );
    server.on("/identity", [Reply::text(404, "text/plain", "hush")]);
    let subject = NamedTempFile::new().expect("a file");
    std::fs::write(subject.path(), "hush").expect("the file is ours");
    let (of_file, nowhere) = (json!({"file": subject.path()}), json!({"file": "/nowhere/token"}));
    let of_url = json!({"url": format!("{}/identity", server.url())});
    let program = json!({"executable": {"command": "/bin/echo hush"}});
    for (source, expected) in [
        (of_file, "The audience does not match."),
        (nowhere, "the file /nowhere/token gives no token"),
        (of_url, "127.0.0.1 gives no token"),
        (program, "GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES"),
    ] {
        let bigquery = connect(&file(&external(&server, source)), &server.url())
            .await
            .expect("credentials");
        let text = message(bigquery.datasets("p").await);
        assert!(
            text.contains(expected) && text.contains("credentials file"),
            "{text}"
        );
        assert!(!text.contains("hush"), "{text}");
    }
}

#[tokio::test]
async fn files_that_cannot_be_used_say_why_and_nothing_is_sent() {
    let server = FaultServer::start().await;
    let without = |value: Value, member: &str| {
        let mut value = value;
        value.as_object_mut().expect("an object").remove(member);
        value
    };
    let with = |value: Value, member: &str, content: Value| {
        let mut value = value;
        value[member] = content;
        value
    };
    let (acting, pool) = (impersonated(&server), external(&server, json!({"file": "token"})));
    let plain = "http://iamcredentials.googleapis.com/v1/x:generateAccessToken";
    let cases = [
        (
            without(acting.clone(), "source_credentials"),
            "lacks `source_credentials`",
        ),
        (
            without(acting.clone(), "service_account_impersonation_url"),
            "lacks `service_account_impersonation_url`",
        ),
        (
            with(acting.clone(), "service_account_impersonation_url", json!(plain)),
            "is no https address",
        ),
        (
            with(acting.clone(), "source_credentials", acting.clone()),
            "name the accounts in between",
        ),
        (
            with(
                acting.clone(),
                "source_credentials",
                key("http://oauth2.example/token"),
            ),
            "`token_uri` is no https",
        ),
        (
            with(
                acting,
                "source_credentials",
                json!({"type": "authorized_user", "client_secret": "hush"}),
            ),
            "missing field",
        ),
        (without(pool.clone(), "audience"), "lacks `audience`"),
        (
            without(pool.clone(), "credential_source"),
            "lacks `credential_source`",
        ),
        (
            with(
                pool.clone(),
                "token_url",
                json!("http://sts.googleapis.com/v1/token"),
            ),
            "is no https address",
        ),
        (
            with(
                pool.clone(),
                "credential_source",
                json!({"url": "http://token.example/"}),
            ),
            "is no https address",
        ),
        (
            with(pool.clone(), "credential_source", json!({"certificate": {}})),
            "has neither",
        ),
        (
            with(pool, "credential_source", json!({"environment_id": "azure1"})),
            "is not aws1",
        ),
    ];
    for (content, expected) in cases {
        let error = connect(&file(&content), &server.url())
            .await
            .err()
            .expect("no credentials");
        let text = error.to_string();
        assert!(
            text.contains(expected) && text.contains("cannot be used"),
            "{expected}: {text}"
        );
        assert!(!text.contains("hush") && !text.contains("PRIVATE KEY"), "{text}");
    }
    assert_eq!(server.received().len(), 0);
}
