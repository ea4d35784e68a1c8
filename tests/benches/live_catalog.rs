//! Start from a cache of 100,000 tables with 2,000,000 columns, with BigQuery out of reach: how long the first completion
//! takes, and the memory of a server that has it. And a cold sync of 1,000 tables from a server on this machine.
//!
//! `cargo build --release --bin bigquill && cargo bench -p bigquill-tests --bench live_catalog`

#![expect(clippy::print_stdout, reason = "a bench prints its table")]

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime};

use bigquill::bigquery::BigQuery;
use bigquill::catalog::{BigQueryCatalog, CachedResource, CatalogCache, DatasetReference, Member};
use bigquill::settings::Settings;
use bigquill_tests::client::Client;
use bigquill_tests::fault_server::{FaultServer, Reply};
use bigquill_tests::workspace::Workspace;
use serde_json::{Value, json};
use tempfile::TempDir;

const PROJECT: &str = "large";
const DATASETS: usize = 100;
const TABLES: usize = 1000;
const COLUMNS: usize = 20;
const SYNCED: usize = 1000;
/// Nobody listens there.
const NOWHERE: &str = "http://127.0.0.1:9";

#[tokio::main]
async fn main() {
    let cache = TempDir::new().expect("a folder");
    fill(&cache.path().join("bigquery"));
    for round in 1..=3 {
        start(cache.path(), round).await;
    }
    sync().await;
}

fn resource(dataset: &str, table: &str) -> Value {
    let field = |n: usize| {
        let description = format!("What column {n} of {table} tells of a customer's order");
        json!({"name": format!("column_{n}"), "type": "STRING", "description": description})
    };
    json!({
        "tableReference": {"projectId": PROJECT, "datasetId": dataset, "tableId": table},
        "lastModifiedTime": "1700000000000",
        "schema": {"fields": (0..COLUMNS).map(field).collect::<Vec<_>>()},
    })
}

fn fill(folder: &Path) {
    let begin = Instant::now();
    let cache = CatalogCache::open(folder, PROJECT, Some(NOWHERE)).expect("a cache");
    let datasets: Vec<String> = (0..DATASETS).map(|n| format!("dataset_{n}")).collect();
    cache.put_datasets(PROJECT, &datasets).expect("written");
    for dataset in datasets {
        let names: Vec<String> = (0..TABLES).map(|n| format!("table_{n}")).collect();
        let member = |name: &String| Member {
            id: name.clone(),
            name: name.clone(),
        };
        let reference = DatasetReference {
            project: PROJECT.to_owned(),
            dataset: dataset.clone(),
        };
        let members: Vec<Member> = names.iter().map(member).collect();
        cache.put_names(&reference, &members).expect("written");
        let table = |name: &String| CachedResource::table(&resource(&dataset, name), SystemTime::now());
        let tables: Vec<CachedResource> = names.iter().filter_map(table).collect();
        cache.put_tables(&tables).expect("written");
    }
    let bytes = std::fs::metadata(cache.path()).expect("a file").len();
    let seconds = begin.elapsed().as_secs_f64();
    println!(
        "{} tables written in {seconds:.1} s, {} MB",
        DATASETS * TABLES,
        bytes >> 20
    );
}

/// Starts the server and completes a column of a table that it has not read yet.
async fn start(cache: &Path, round: usize) {
    let workspace = Workspace::with_config(&format!(
        "endpoint = {NOWHERE:?}\nproject = {PROJECT:?}\njudge = false\nghost_text = false\n"
    ));
    let begin = Instant::now();
    let mut server = tokio::process::Command::new(bigquill_tests::binary::path())
        .current_dir(workspace.path(""))
        .env("BIGQUILL_CACHE", cache)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the server starts");
    let (output, input) = (
        server.stdout.take().expect("piped"),
        server.stdin.take().expect("piped"),
    );
    let mut client = Client::over(output, input);
    client.ignore("window/logMessage");
    client.ignore("textDocument/publishDiagnostics");
    client.initialize(workspace.initialize_params(json!({}))).await;
    let uri = workspace.file_uri("report.sql");
    let document =
        json!({ "uri": uri, "languageId": "sql", "version": 1, "text": "SELECT  FROM dataset_42.table_500" });
    client
        .notify("textDocument/didOpen", json!({ "textDocument": document }))
        .await;
    let columns = complete(&mut client, &uri, 7).await;
    let first = begin.elapsed();
    assert!(columns.contains("column_19"), "{columns}");
    let begin = Instant::now();
    let tables = complete(&mut client, &uri, 24).await;
    let second = begin.elapsed();
    assert!(tables.contains("table_1"), "{tables}");
    let status = server
        .id()
        .map(|id| std::fs::read_to_string(format!("/proc/{id}/status")));
    let status = status.and_then(Result::ok).unwrap_or_default();
    let memory = |key: &str| {
        status
            .lines()
            .find(|line| line.starts_with(key))
            .unwrap_or_default()
            .to_owned()
    };
    println!(
        "start {round}: first completion {} after the process began, tables of a dataset {}, {}, {}",
        ms(first),
        ms(second),
        memory("VmRSS"),
        memory("VmHWM")
    );
    client.finish().await;
}

async fn complete(client: &mut Client, uri: &str, character: usize) -> String {
    let at = json!({ "textDocument": { "uri": uri }, "position": { "line": 0, "character": character } });
    client
        .request("textDocument/completion", at)
        .await
        .expect("a list")
        .to_string()
}

/// Reads 1,000 tables over HTTP.
async fn sync() {
    let server = FaultServer::start().await;
    let name = |n: usize| json!({"tableReference": {"tableId": format!("table_{n}")}});
    let tables = json!({"tables": (0..SYNCED).map(name).collect::<Vec<_>>()});
    server.on(
        "/datasets",
        [Reply::json(
            &json!({"datasets": [{"datasetReference": {"datasetId": "d"}}]}),
        )],
    );
    server.on("/tables", [Reply::json(&tables)]);
    for n in 0..SYNCED {
        let table = format!("table_{n}");
        server.on(&format!("/{table}"), [Reply::json(&resource("d", &table))]);
    }
    let settings = Settings {
        endpoint: Some(server.url()),
        project: Some(PROJECT.to_owned()),
        ..Settings::default()
    };
    let bigquery = BigQuery::connect(&settings).await.expect("an endpoint");
    let begin = Instant::now();
    let fetched = BigQueryCatalog::new(bigquery, Vec::new())
        .fetch(|_| {})
        .await
        .expect("a catalog");
    assert_eq!(fetched.resources.len(), SYNCED);
    println!("cold sync of {SYNCED} tables: {}", ms(begin.elapsed()));
}

fn ms(time: Duration) -> String {
    format!("{:.0} ms", time.as_secs_f64() * 1000.0)
}
