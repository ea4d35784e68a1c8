//! BigQuery's tables in the editor: completion, hover and findings over tables that no file tells of.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bigquill::catalog::LiveOptions;
use bigquill::session::ServerOptions;
use bigquill_tests::client::Client;
use bigquill_tests::emulator::Emulator;
use bigquill_tests::fault_server::{FaultServer, Reply};
use bigquill_tests::generator::{Gate, Ready, gated};
use bigquill_tests::workspace::{Workspace, options, rich};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{impatient, shop, workspace};

/// A client of a server that keeps what BigQuery says in this folder.
pub(crate) async fn client(workspace: &Workspace, cache: &Path) -> Client {
    let live = LiveOptions {
        cache: Some(cache.to_owned()),
        connect: impatient(),
        retry: Duration::from_millis(20),
        ..LiveOptions::default()
    };
    client_and_gate(workspace, live, rich()).await.0
}

pub(crate) async fn client_and_gate(
    workspace: &Workspace,
    live: LiveOptions,
    capabilities: Value,
) -> (Client, Gate) {
    let (generator, gate) = gated();
    let options = ServerOptions {
        live,
        ..options(Arc::new(Ready(generator)))
    };
    let mut client = workspace.start(options, capabilities).await;
    client.ignore("textDocument/publishDiagnostics");
    client.ignore("window/logMessage");
    (client, gate)
}

pub(crate) async fn open(client: &mut Client, uri: &str, text: &str) {
    let document = json!({ "uri": uri, "languageId": "sql", "version": 1, "text": text });
    client
        .notify("textDocument/didOpen", json!({ "textDocument": document }))
        .await;
}

fn at(uri: &str, character: usize) -> Value {
    json!({ "textDocument": { "uri": uri }, "position": { "line": 0, "character": character } })
}

pub(crate) async fn labels(client: &mut Client, uri: &str, character: usize) -> Vec<String> {
    let list = client
        .request("textDocument/completion", at(uri, character))
        .await
        .expect("a list");
    let items = list["items"].as_array().cloned().unwrap_or_default();
    items
        .iter()
        .filter_map(|item| Some(item["label"].as_str()?.to_owned()))
        .collect()
}

pub(crate) async fn hover(client: &mut Client, uri: &str, character: usize) -> String {
    let hover = client
        .request("textDocument/hover", at(uri, character))
        .await
        .expect("an answer");
    hover["contents"]["value"].as_str().unwrap_or_default().to_owned()
}

pub(crate) async fn refresh(client: &mut Client) -> Value {
    let command = json!({ "command": "bigquill.refreshCatalog", "arguments": [] });
    client
        .request("workspace/executeCommand", command)
        .await
        .expect("an answer")
}

/// Reads published findings until these are their codes.
pub(crate) async fn codes_become(client: &mut Client, expected: &[&str]) {
    loop {
        let published = client.notification("textDocument/publishDiagnostics").await;
        let found = published["diagnostics"].as_array().cloned().unwrap_or_default();
        let codes: Vec<&str> = found
            .iter()
            .filter_map(|finding| finding["code"].as_str())
            .collect();
        if codes == expected {
            return;
        }
    }
}

/// A server with one dataset and one table of these columns.
fn serve(server: &FaultServer, columns: &[&str]) {
    server.forget();
    let fields: Vec<Value> = columns
        .iter()
        .map(|name| json!({"name": name, "type": "STRING"}))
        .collect();
    let reference = json!({"projectId": "acme-analytics", "datasetId": "far", "tableId": "stars"});
    let table = json!({"tableReference": reference, "schema": {"fields": fields}, "lastModifiedTime": "1"});
    let dataset = json!({"datasets": [{"datasetReference": {"datasetId": "far"}}]});
    server.on("/datasets", [Reply::json(&dataset)]);
    server.on(
        "/tables",
        [Reply::json(&json!({"tables": [{"tableReference": reference}]}))],
    );
    server.on("/tables/stars", [Reply::json(&table)]);
}

/// Nothing but failures.
fn break_down(server: &FaultServer) {
    server.forget();
    server.on("", [Reply::error(503, "backendError", "down")]);
}

#[tokio::test]
async fn a_table_never_seen_before_is_completed_and_shown() {
    let emulator = Emulator::start().await;
    emulator.make(&shop()).await;
    let (workspace, cache) = (workspace(&emulator.url()), TempDir::new().expect("a folder"));
    let mut client = client(&workspace, cache.path()).await;
    let uri = workspace.file_uri("report.sql");
    open(&mut client, &uri, "SELECT  FROM shop.customers").await;
    // On a busy machine the first lists end before BigQuery has answered.
    let mut columns = Vec::new();
    for _ in 0..30 {
        columns = labels(&mut client, &uri, 7).await;
        if columns.contains(&"email".to_owned()) {
            break;
        }
    }
    assert!(columns.contains(&"email".to_owned()), "{columns:?}");
    let tables = labels(&mut client, &uri, 18).await;
    for table in ["customers", "orders", "events_*"] {
        assert!(tables.contains(&table.to_owned()), "{tables:?}");
    }
    let card = hover(&mut client, &uri, 20).await;
    assert!(
        card.contains("email") && card.contains("Read from BigQuery just now"),
        "{card}"
    );
    client.finish().await;
}

#[tokio::test]
async fn a_column_that_is_gone_is_flagged_after_a_refresh() {
    let emulator = Emulator::start().await;
    let mut tables = shop();
    emulator.make(&tables).await;
    let (workspace, cache) = (workspace(&emulator.url()), TempDir::new().expect("a folder"));
    let mut client = client(&workspace, cache.path()).await;
    let uri = workspace.file_uri("report.sql");
    open(
        &mut client,
        &uri,
        "SELECT email FROM shop.customers;\nSELECT 1 FROM shop.later;\n",
    )
    .await;
    codes_become(&mut client, &["unknown-table"]).await;
    let known = refresh(&mut client).await;
    assert_eq!(
        (&known["tables"], &known["online"]),
        (&json!(5), &json!(true)),
        "{known}"
    );

    let customers = tables
        .iter_mut()
        .find(|t| t["tableReference"]["tableId"] == "customers");
    let customers = customers.expect("the shop has customers");
    let fields = customers["schema"]["fields"].as_array_mut().expect("columns");
    fields.retain(|field| field["name"] != json!("email"));
    emulator.drop_table("customers").await;
    emulator.make_table(customers).await;
    let mut later = customers.clone();
    later["tableReference"]["tableId"] = json!("later");
    emulator.make_table(&later).await;
    refresh(&mut client).await;
    codes_become(&mut client, &["unknown-column"]).await;
    client.finish().await;
}

#[tokio::test]
async fn without_bigquery_the_cache_serves_and_what_comes_back_is_taken() {
    let server = FaultServer::start().await;
    serve(&server, &["name", "colour"]);
    let (workspace, cache) = (workspace(&server.url()), TempDir::new().expect("a folder"));
    let uri = workspace.file_uri("report.sql");
    let text = "SELECT colour FROM far.stars";
    let mut first = client(&workspace, cache.path()).await;
    open(&mut first, &uri, text).await;
    assert_eq!(refresh(&mut first).await["online"], json!(true));
    first.finish().await;

    break_down(&server);
    let mut second = client(&workspace, cache.path()).await;
    open(&mut second, &uri, text).await;
    codes_become(&mut second, &[]).await;
    assert_eq!(
        labels(&mut second, &uri, 7)
            .await
            .iter()
            .filter(|label| *label == "colour")
            .count(),
        1
    );
    let known = refresh(&mut second).await;
    assert_eq!(known["online"], json!(false), "{known}");
    assert!(
        known["problem"].as_str().is_some_and(|why| why.contains("down")),
        "{known}"
    );
    let card = hover(&mut second, &uri, 24).await;
    assert!(card.contains("BigQuery is not reached now"), "{card}");

    serve(&server, &["name"]);
    codes_become(&mut second, &["unknown-column"]).await;
    second.finish().await;
}

#[tokio::test]
async fn without_bigquery_and_cache_catalog_files_count() {
    let server = FaultServer::start().await;
    break_down(&server);
    let catalog = bigquill_tests::workspace::fixture("catalogs/shop.json");
    let workspace = Workspace::with_config(&format!(
        "endpoint = {:?}\nproject = \"acme-analytics\"\ncatalog = {:?}\n",
        server.url(),
        catalog.display().to_string()
    ));
    let cache = TempDir::new().expect("a folder");
    let mut client = client(&workspace, cache.path()).await;
    let uri = workspace.file_uri("report.sql");
    open(
        &mut client,
        &uri,
        "SELECT emial FROM shop.customers; SELECT 1 FROM shop.nothing",
    )
    .await;
    codes_become(&mut client, &["unknown-column", "unknown-table"]).await;
    client.finish().await;
}

#[tokio::test]
async fn what_the_account_may_not_see_is_neither_judged_nor_asked_for_at_every_key() {
    let server = FaultServer::start().await;
    serve(&server, &["name"]);
    server.forget();
    server.on(
        "/datasets",
        [Reply::json(
            &json!({"datasets": [{"datasetReference": {"datasetId": "far"}}]}),
        )],
    );
    server.on(
        "/tables",
        [Reply::error(403, "accessDenied", "Access Denied: Dataset far")],
    );
    let (workspace, cache) = (workspace(&server.url()), TempDir::new().expect("a folder"));
    let mut client = client(&workspace, cache.path()).await;
    let uri = workspace.file_uri("report.sql");
    open(&mut client, &uri, "SELECT anything FROM far.stars").await;
    refresh(&mut client).await;
    for _ in 0..3 {
        hover(&mut client, &uri, 24).await;
    }
    codes_become(&mut client, &[]).await;
    let asked = server
        .received()
        .iter()
        .filter(|r| r.path.ends_with("/tables"))
        .count();
    assert!(
        asked <= 3,
        "once at the start, once by the refresh, once for the document: {asked}"
    );
    client.finish().await;
}

#[tokio::test]
async fn a_single_table_that_may_be_read_is_read_where_its_dataset_may_not_be_listed() {
    let server = FaultServer::start().await;
    let table = json!({
        "tableReference": {"projectId": "acme-analytics", "datasetId": "far", "tableId": "stars"},
        "schema": {"fields": [{"name": "name", "type": "STRING"}]},
    });
    server.on("/datasets", [Reply::json(&json!({}))]);
    server.on(
        "/tables",
        [Reply::error(403, "accessDenied", "Access Denied: Dataset far")],
    );
    server.on("/tables/stars", [Reply::json(&table)]);
    let (workspace, cache) = (workspace(&server.url()), TempDir::new().expect("a folder"));
    let mut client = client(&workspace, cache.path()).await;
    let uri = workspace.file_uri("report.sql");
    refresh(&mut client).await;
    open(&mut client, &uri, "SELECT nme FROM far.stars").await;
    codes_become(&mut client, &["unknown-column"]).await;
    refresh(&mut client).await;
    let card = hover(&mut client, &uri, 21).await;
    assert!(card.contains("Read from BigQuery"), "{card}");
    let asked = || {
        let received = server.received();
        received
            .iter()
            .filter(|r| r.path.ends_with("/tables/stars"))
            .count()
    };
    let before = asked();
    refresh(&mut client).await;
    assert!(asked() > before, "a refresh looks at it again");
    client.finish().await;
}

#[tokio::test]
async fn nothing_is_asked_where_it_is_off() {
    let server = FaultServer::start().await;
    serve(&server, &["name"]);
    let config = format!(
        "endpoint = {:?}\nproject = \"p\"\nlive_catalog = \"off\"\n",
        server.url()
    );
    let workspace = Workspace::with_config(&config);
    let cache = TempDir::new().expect("a folder");
    let mut client = client(&workspace, cache.path()).await;
    let uri = workspace.file_uri("report.sql");
    open(&mut client, &uri, "SELECT name FROM far.stars").await;
    assert_eq!(refresh(&mut client).await["online"], Value::Null);
    client.finish().await;
    assert_eq!(server.received().len(), 0);
}

#[tokio::test]
async fn a_comment_is_answered_over_a_table_never_seen_before() {
    let emulator = Emulator::start().await;
    emulator.make(&shop()).await;
    let workspace = workspace(&emulator.url());
    let live = LiveOptions {
        cache: None,
        // As in a project too large to be read: only what the question needs.
        whole: 0,
        ..LiveOptions::default()
    };
    let (mut client, gate) = client_and_gate(&workspace, live, json!({})).await;
    client.ignore("window/showMessage");
    let uri = workspace.file_uri("report.sql");
    open(&mut client, &uri, "-- number of customers per country\n").await;
    let argument = json!({ "uri": uri, "position": { "line": 0, "character": 5 } });
    let command = json!({ "command": "bigquill.generate", "arguments": [argument] });
    client
        .request("workspace/executeCommand", command)
        .await
        .expect("accepted");
    let call = gate.next().await;
    let prompt = call.prompt();
    assert!(
        prompt.contains("shop.customers") && prompt.contains("signed_up_at"),
        "{prompt}"
    );
    assert!(!prompt.contains("written_on"), "reviews were not read: {prompt}");
    call.answer("SELECT country, COUNT(*) AS customers FROM shop.customers GROUP BY country");
    let (id, edit) = client.server_request("workspace/applyEdit").await;
    assert!(edit.to_string().contains("GROUP BY country"), "{edit}");
    client.answer(id, json!({ "applied": false })).await;
    client.finish().await;
}
