//! Functions and procedures of BigQuery: listed, read where they changed, known in the editor.

use bigquill::catalog::LiveOptions;
use bigquill_tests::fault_server::{FaultServer, Reply};
use bigquill_tests::workspace::rich;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::live::{client, client_and_gate, codes_become, hover, labels, open, refresh};
use crate::support::{impatient, workspace};

fn routine(name: &str, kind: &str, modified: &str) -> Value {
    json!({
        "routineReference": {"projectId": "acme-analytics", "datasetId": "far", "routineId": name},
        "routineType": kind, "language": "SQL", "lastModifiedTime": modified,
    })
}

/// `twice` as `routines.get` gives it.
fn twice(returns: &str, modified: &str) -> Value {
    let mut resource = routine("twice", "SCALAR_FUNCTION", modified);
    resource["arguments"] = json!([{"name": "x", "dataType": {"typeKind": "INT64"}}]);
    resource["returnType"] = json!({ "typeKind": returns });
    resource["definitionBody"] = json!("x * 2");
    resource
}

/// A dataset `far` with a table `stars` and these routines.
fn serve(server: &FaultServer, routines: &[Value]) {
    let dataset = json!({"datasets": [{"datasetReference": {"datasetId": "far"}}]});
    let reference = json!({"projectId": "acme-analytics", "datasetId": "far", "tableId": "stars"});
    let table = json!({
        "tableReference": reference,
        "schema": {"fields": [{"name": "name", "type": "STRING"}, {"name": "size", "type": "INT64"}]},
    });
    let listed: Vec<Value> = routines
        .iter()
        .map(|routine| {
            let name = routine["routineReference"]["routineId"].as_str().expect("a name");
            let kind = routine["routineType"].as_str().expect("a kind");
            self::routine(name, kind, routine["lastModifiedTime"].as_str().expect("a time"))
        })
        .collect();
    server.on("/datasets", [Reply::json(&dataset)]);
    server.on(
        "/tables",
        [Reply::json(&json!({"tables": [{"tableReference": reference}]}))],
    );
    server.on("/tables/stars", [Reply::json(&table)]);
    server.on("/routines", [Reply::json(&json!({ "routines": listed }))]);
    for routine in routines {
        let name = routine["routineReference"]["routineId"].as_str().expect("a name");
        server.on(&format!("/routines/{name}"), [Reply::json(routine)]);
    }
}

fn asked(server: &FaultServer, path_end: &str) -> usize {
    server
        .received()
        .iter()
        .filter(|r| r.path.ends_with(path_end))
        .count()
}

#[tokio::test]
async fn routines_are_completed_shown_and_judged() {
    let server = FaultServer::start().await;
    let of_table = {
        let mut resource = routine("rows", "TABLE_VALUED_FUNCTION", "1700000000000");
        resource["returnTableType"] = json!({"columns": [{"name": "a", "type": {"typeKind": "STRING"}}]});
        resource
    };
    let procedure = routine("tidy", "PROCEDURE", "1700000000000");
    serve(&server, &[twice("INT64", "1700000000000"), of_table, procedure]);
    let (workspace, cache) = (workspace(&server.url()), TempDir::new().expect("a folder"));
    let mut client = client(&workspace, cache.path()).await;
    let uri = workspace.file_uri("report.sql");
    refresh(&mut client).await;
    open(
        &mut client,
        &uri,
        "SELECT far.twice(size), far.thrice(size) FROM far.stars;\nSELECT b FROM far.rows() AS r;\n",
    )
    .await;
    codes_become(&mut client, &["unknown-function", "unknown-column"]).await;
    let card = hover(&mut client, &uri, 12).await;
    assert!(card.contains("far.twice(x INT64) -> INT64"), "{card}");
    let names = labels(&mut client, &uri, 7).await;
    for name in ["far.twice", "far.rows", "far.tidy"] {
        assert!(names.contains(&name.to_owned()), "{names:?}");
    }
    client.finish().await;

    // The next start has them from the cache, without BigQuery.
    server.forget();
    server.on("", [Reply::error(503, "backendError", "down")]);
    let mut client = crate::live::client(&workspace, cache.path()).await;
    open(&mut client, &uri, "SELECT far.thrice(size) FROM far.stars").await;
    codes_become(&mut client, &["unknown-function"]).await;
    client.finish().await;
}

#[tokio::test]
async fn only_a_routine_that_changed_is_read_again() {
    let server = FaultServer::start().await;
    let still = routine("still", "SCALAR_FUNCTION", "1700000000000");
    serve(&server, &[twice("INT64", "1700000000000"), still.clone()]);
    let (workspace, cache) = (workspace(&server.url()), TempDir::new().expect("a folder"));
    let mut client = client(&workspace, cache.path()).await;
    let uri = workspace.file_uri("report.sql");
    refresh(&mut client).await;
    server.forget();
    serve(&server, &[twice("STRING", "1700000000001"), still]);
    refresh(&mut client).await;
    open(&mut client, &uri, "SELECT far.twice(size) FROM far.stars").await;
    let card = hover(&mut client, &uri, 12).await;
    assert!(card.contains("far.twice(x INT64) -> STRING"), "{card}");
    assert_eq!(
        (
            asked(&server, "/routines/twice"),
            asked(&server, "/routines/still")
        ),
        (2, 1)
    );
    client.finish().await;
}

#[tokio::test]
async fn a_routine_that_may_not_be_read_is_known_by_its_name() {
    let server = FaultServer::start().await;
    server.on(
        "/routines/secret",
        [Reply::error(403, "accessDenied", "Access Denied: Routine secret")],
    );
    let strange = {
        let mut resource = routine("strange", "NEW_KIND", "1700000000000");
        resource["arguments"] = json!({"form": "new"});
        resource
    };
    serve(
        &server,
        &[
            twice("INT64", "1700000000000"),
            strange,
            routine("secret", "SCALAR_FUNCTION", "1"),
        ],
    );
    let (workspace, cache) = (workspace(&server.url()), TempDir::new().expect("a folder"));
    let mut client = client(&workspace, cache.path()).await;
    let uri = workspace.file_uri("report.sql");
    refresh(&mut client).await;
    open(
        &mut client,
        &uri,
        "SELECT far.secret(1), far.strange(), far.nothing() FROM far.stars",
    )
    .await;
    codes_become(&mut client, &["unknown-function"]).await;
    client.finish().await;
}

#[tokio::test]
async fn a_call_brings_the_routines_of_a_dataset_that_nobody_read() {
    let server = FaultServer::start().await;
    serve(&server, &[twice("INT64", "1700000000000")]);
    let workspace = workspace(&server.url());
    let live = LiveOptions {
        cache: None,
        connect: impatient(),
        // As in a project too large to be read.
        whole: 0,
        ..LiveOptions::default()
    };
    let (mut client, _gate) = client_and_gate(&workspace, live, rich()).await;
    client.ignore("textDocument/publishDiagnostics");
    client.ignore("window/logMessage");
    refresh(&mut client).await;
    assert_eq!(asked(&server, "/routines"), 0);
    let uri = workspace.file_uri("report.sql");
    open(&mut client, &uri, "SELECT far.twice(1), far.thrice(1)").await;
    codes_become(&mut client, &["unknown-function"]).await;
    client.finish().await;
}

#[tokio::test]
async fn sync_writes_routines_beside_tables() {
    let server = FaultServer::start().await;
    serve(
        &server,
        &[
            twice("INT64", "1700000000000"),
            routine("tidy", "PROCEDURE", "1700000000000"),
        ],
    );
    let workspace = workspace(&server.url());
    let synced = workspace
        .run(&["catalog", "sync", "--out", "catalog.json"], "")
        .await;
    assert_eq!(
        synced.stdout, "1 tables and 2 routines of acme-analytics.far in catalog.json\n",
        "{synced:?}"
    );
    let text = std::fs::read_to_string(workspace.path("catalog.json")).expect("the file");
    let last: Value = serde_json::from_str(text.lines().nth(1).expect("a second line")).expect("JSON");
    assert_eq!(last, twice("INT64", "1700000000000"));
    workspace.write("query.sql", "SELECT far.thrice(size) FROM far.stars;\n");
    let check = ["check", "query.sql", "--no-judge", "--catalog", "catalog.json"];
    let flagged = workspace.run(&check, "").await;
    assert!(flagged.stdout.contains("unknown-function"), "{flagged:?}");

    let kept = workspace.run(&["catalog", "sync"], "").await;
    assert_eq!(kept.code, Some(0), "{kept:?}");
    let shown = workspace.run(&["catalog", "show"], "").await;
    assert!(
        shown.stdout.contains("1 tables, 1 schemas, 2 routines"),
        "{shown:?}"
    );
    let exported = workspace
        .run(&["catalog", "export", "--out", "other.json"], "")
        .await;
    assert_eq!(
        exported.stdout, "1 tables and 2 routines in other.json\n",
        "{exported:?}"
    );
}
