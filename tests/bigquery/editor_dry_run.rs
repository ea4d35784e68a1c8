//! Dry runs in the editor: BigQuery's error at its place, bytes and price above the statement.

use bigquill_tests::client::Client;
use bigquill_tests::emulator::Emulator;
use bigquill_tests::fault_server::{FaultServer, Reply};
use bigquill_tests::workspace::{Workspace, rich};
use serde_json::{Value, json};

use crate::support::{shop, workspace};

/// Without the live catalog, so that every call is a dry run.
fn only_dry_runs(server: &FaultServer) -> Workspace {
    let url = server.url();
    Workspace::with_config(&format!(
        "endpoint = {url:?}\nproject = \"p\"\nlive_catalog = \"off\"\n"
    ))
}

async fn client(workspace: &Workspace) -> Client {
    let (mut client, _gate) = workspace.gated_client(rich()).await;
    client.ignore("textDocument/publishDiagnostics");
    client
}

async fn open(client: &mut Client, uri: &str, text: &str) {
    let document = json!({ "uri": uri, "languageId": "sql", "version": 1, "text": text });
    client
        .notify("textDocument/didOpen", json!({ "textDocument": document }))
        .await;
}

async fn save(client: &mut Client, uri: &str) {
    let document = json!({ "textDocument": { "uri": uri } });
    client.notify("textDocument/didSave", document).await;
}

/// Reads published findings until BigQuery's are there; returns them.
async fn refusals(client: &mut Client) -> Vec<Value> {
    loop {
        let published = client.notification("textDocument/publishDiagnostics").await;
        let all = published["diagnostics"].as_array().cloned().unwrap_or_default();
        let of_bigquery: Vec<Value> = all.into_iter().filter(|d| d["source"] == "BigQuery").collect();
        if !of_bigquery.is_empty() {
            return of_bigquery;
        }
    }
}

async fn lenses(client: &mut Client, uri: &str) -> Vec<(u64, String)> {
    let params = json!({ "textDocument": { "uri": uri } });
    let lenses = client
        .request("textDocument/codeLens", params)
        .await
        .expect("an answer");
    let lens = |lens: &Value| {
        // The others run the statement.
        (lens["command"]["command"] == "bigquill.dryRun").then_some(())?;
        let line = lens["range"]["start"]["line"].as_u64()?;
        Some((line, lens["command"]["title"].as_str()?.to_owned()))
    };
    lenses.as_array().into_iter().flatten().filter_map(lens).collect()
}

fn estimate(bytes: &str) -> Reply {
    let query = json!({"totalBytesProcessed": bytes, "statementType": "SELECT"});
    Reply::json(&json!({"statistics": {"query": query}}))
}

#[tokio::test]
async fn a_save_brings_bigquerys_error_at_its_place_and_bytes_above_the_rest() {
    let emulator = Emulator::start().await;
    emulator.make(&shop()).await;
    let workspace = workspace(&emulator.url());
    let mut client = client(&workspace).await;
    let uri = workspace.file_uri("report.sql");
    let text = "SELECT name FROM shop.customers;\n\nSELECT '😀', emial\nFROM shop.customers;\n";
    open(&mut client, &uri, text).await;
    assert_eq!(lenses(&mut client, &uri).await, []);
    save(&mut client, &uri).await;
    let refused = refusals(&mut client).await;
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert_eq!(
        refused[0]["message"],
        "Unrecognized name: emial; Did you mean email?"
    );
    let place = json!({"start": {"line": 2, "character": 13}, "end": {"line": 2, "character": 18}});
    assert_eq!(refused[0]["range"], place, "characters in UTF-16 units");
    let lenses = lenses(&mut client, &uri).await;
    assert!(
        matches!(lenses.as_slice(), [(0, title)] if title.starts_with("SELECT reads ")),
        "{lenses:?}"
    );
    client.finish().await;
}

#[tokio::test]
async fn an_answer_stays_with_its_text_and_is_not_asked_for_again_by_a_save() {
    let server = FaultServer::start().await;
    server.on(
        "/jobs",
        [
            estimate("1319413953331"),
            Reply::error(400, "invalidQuery", "Syntax error at [1:8]"),
        ],
    );
    let workspace = only_dry_runs(&server);
    let mut client = client(&workspace).await;
    let uri = workspace.file_uri("report.sql");
    open(&mut client, &uri, "SELECT a FROM d.t;\nSELECT b FROM d.t;\n").await;
    save(&mut client, &uri).await;
    assert_eq!(refusals(&mut client).await.len(), 1);
    assert_eq!(
        lenses(&mut client, &uri).await,
        [(0, "SELECT reads 1.2 TiB, 7.50 USD".to_owned())]
    );

    let start = json!({ "line": 0, "character": 0 });
    let change = json!([{ "range": { "start": start, "end": start }, "text": "-- mine\n" }]);
    let document = json!({ "uri": uri, "version": 2 });
    let params = json!({ "textDocument": document, "contentChanges": change });
    client.notify("textDocument/didChange", params).await;
    assert_eq!(
        lenses(&mut client, &uri).await,
        [(1, "SELECT reads 1.2 TiB, 7.50 USD".to_owned())]
    );
    save(&mut client, &uri).await;
    assert_eq!(
        refusals(&mut client).await[0]["range"]["start"],
        json!({"line": 2, "character": 7})
    );
    assert_eq!(server.received().len(), 2);
    client.finish().await;
}

#[tokio::test]
async fn the_command_asks_again_and_says_why_it_cannot() {
    let server = FaultServer::start().await;
    server.on(
        "/jobs",
        [
            estimate("1024"),
            Reply::error(401, "authError", "Invalid Credentials"),
        ],
    );
    let workspace = only_dry_runs(&server);
    let mut client = client(&workspace).await;
    let uri = workspace.file_uri("report.sql");
    open(&mut client, &uri, "SELECT a FROM d.t").await;
    let command = json!({ "command": "bigquill.dryRun", "arguments": [{ "uri": uri }] });
    client
        .request("workspace/executeCommand", command.clone())
        .await
        .expect("accepted");
    while lenses(&mut client, &uri).await.is_empty() {}
    client
        .request("workspace/executeCommand", command)
        .await
        .expect("accepted");
    let shown = client.notification("window/showMessage").await;
    let message = shown["message"].as_str().unwrap_or_default();
    assert!(
        message.contains("gcloud auth application-default login"),
        "{message}"
    );
    assert_eq!(server.received().len(), 2);

    let nowhere = json!({ "command": "bigquill.dryRun", "arguments": [{ "uri": "file:///nowhere.sql" }] });
    client
        .request("workspace/executeCommand", nowhere)
        .await
        .expect_err("it is not open");
    client.finish().await;
}

#[tokio::test]
async fn a_change_gives_up_the_call_and_nothing_is_sent_unasked() {
    let server = FaultServer::start().await;
    server.on("/jobs", [Reply::Stalled, estimate("1024")]);
    let workspace = only_dry_runs(&server);
    let mut client = client(&workspace).await;
    let uri = workspace.file_uri("report.sql");
    open(&mut client, &uri, "SELECT a FROM d.t").await;
    save(&mut client, &uri).await;
    while server.received().is_empty() {
        lenses(&mut client, &uri).await;
    }
    let change = json!([{ "text": "SELECT b FROM d.t" }]);
    let document = json!({ "uri": uri, "version": 2 });
    let params = json!({ "textDocument": document, "contentChanges": change });
    client.notify("textDocument/didChange", params).await;
    save(&mut client, &uri).await;
    while lenses(&mut client, &uri).await.is_empty() {}
    let asked: Vec<bool> = server
        .received()
        .iter()
        .map(|r| r.body.contains("SELECT b"))
        .collect();
    assert_eq!(asked, [false, true]);
    client.finish().await;

    let off = Workspace::with_config("project = \"p\"\n");
    let mut client = self::client(&off).await;
    let uri = off.file_uri("report.sql");
    open(&mut client, &uri, "SELECT a FROM d.t").await;
    save(&mut client, &uri).await;
    assert_eq!(lenses(&mut client, &uri).await, []);
    client.finish().await;
}
