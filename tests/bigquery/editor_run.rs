//! Statements run in the editor, because a person asked: questions, progress, pages of rows, exports.

use bigquill_tests::client::Client;
use bigquill_tests::emulator::Emulator;
use bigquill_tests::fault_server::{FaultServer, Reply};
use bigquill_tests::workspace::{Workspace, rich};
use serde_json::{Value, json};

use crate::support::shop;

/// A folder whose server asks BigQuery only when told, with two rows a page.
fn workspace(endpoint: &str) -> Workspace {
    Workspace::with_config(&format!(
        "endpoint = {endpoint:?}\nproject = \"acme-analytics\"\nlive_catalog = \"off\"\nresult_rows = 2\n"
    ))
}

async fn client(workspace: &Workspace, capabilities: Value) -> Client {
    let (mut client, _gate) = workspace.gated_client(capabilities).await;
    client.ignore("textDocument/publishDiagnostics");
    client.ignore("$/progress");
    client
}

/// An editor that shows documents, asks for those of the server, and takes a line of text from the person.
fn newest() -> Value {
    let mut capabilities = rich();
    capabilities["window"]["showDocument"] = json!({ "support": true });
    capabilities["window"]["workDoneProgress"] = json!(false);
    capabilities["workspace"]["textDocumentContent"] = json!({});
    capabilities["experimental"] = json!({ "bigquill": { "input": true } });
    capabilities
}

async fn open(client: &mut Client, uri: &str, text: &str) {
    let document = json!({ "uri": uri, "languageId": "sql", "version": 1, "text": text });
    client
        .notify("textDocument/didOpen", json!({ "textDocument": document }))
        .await;
}

async fn command(client: &mut Client, name: &str, argument: Value) -> Result<Value, Value> {
    let params = json!({ "command": name, "arguments": [argument] });
    client.request("workspace/executeCommand", params).await
}

async fn run(client: &mut Client, uri: &str, line: u32) {
    let position = json!({ "line": line, "character": 0 });
    let argument = json!({ "uri": uri, "position": position });
    command(client, "bigquill.run", argument).await.expect("accepted");
}

/// The document that the client is told to show.
async fn shown(client: &mut Client) -> String {
    let (id, params) = client.server_request("window/showDocument").await;
    client.answer(id, json!({ "success": true })).await;
    assert_eq!(params["takeFocus"], true);
    params["uri"].as_str().expect("an address").to_owned()
}

async fn content(client: &mut Client, uri: &str) -> String {
    let answer = client
        .request("workspace/textDocumentContent", json!({ "uri": uri }))
        .await
        .expect("a page");
    answer["text"].as_str().expect("a text").to_owned()
}

async fn emulator() -> Emulator {
    let emulator = Emulator::start().await;
    emulator.make(&shop()).await;
    let rows: Vec<String> = (1..=5).map(|n| format!("({n}, 'customer {n}')")).collect();
    let insert = format!(
        "INSERT INTO shop.customers (customer_id, name) VALUES {}",
        rows.join(", ")
    );
    emulator.sql(&insert).await;
    emulator
}

#[tokio::test]
async fn rows_are_paged_in_a_document_and_exported() {
    let emulator = emulator().await;
    let workspace = workspace(&emulator.url());
    let mut client = client(&workspace, newest()).await;
    let uri = workspace.file_uri("report.sql");
    let text = "SELECT 1;\n\nSELECT customer_id AS id, name FROM shop.customers\nWHERE customer_id > @least ORDER BY id;\n";
    open(&mut client, &uri, text).await;
    run(&mut client, &uri, 3).await;
    let (id, asked) = client.server_request("bigquill/input").await;
    assert_eq!(asked["prompt"], "Type and value of the parameter @least");
    client.answer(id, json!("INT64 1")).await;

    let first = shown(&mut client).await;
    assert!(
        first.starts_with("bigquill:/results/") && first.ends_with("/report-results-1.md"),
        "{first}"
    );
    let page = content(&mut client, &first).await;
    assert!(page.starts_with("report.sql, lines 3–4\n\n"), "{page}");
    assert!(
        page.contains(" processed, ") && page.contains("\n\njob acme-analytics:bigquill_"),
        "{page}"
    );
    let table = "4 rows, page 1 of 2\n\n| id | name       |\n|----|------------|\n|  2 | customer 2 |\n|  3 | customer 3 |\n";
    assert!(page.ends_with(table), "{page}");

    let next = json!([{ "uri": first, "page": "next" }]);
    let params = json!({ "command": "bigquill.resultsPage", "arguments": next });
    let id = client.send("workspace/executeCommand", params).await;
    let second = shown(&mut client).await;
    client.response(id).await.expect("shown");
    let page = content(&mut client, &second).await;
    assert!(
        page.contains("page 2 of 2") && page.contains("customer 5"),
        "{page}"
    );
    let refused = command(
        &mut client,
        "bigquill.resultsPage",
        json!({ "uri": second, "page": 3 }),
    )
    .await;
    let message = refused.expect_err("there is none")["message"].to_string();
    assert!(message.contains("there is no page 3: there are 2"), "{message}");

    let path = workspace.path("all.csv");
    let argument = json!({ "uri": second, "path": path });
    let rows = command(&mut client, "bigquill.exportResults", argument).await;
    assert_eq!(rows, Ok(json!(4)));
    let written = std::fs::read_to_string(&path).expect("it was written");
    assert_eq!(
        written,
        "id,name\n2,customer 2\n3,customer 3\n4,customer 4\n5,customer 5\n"
    );

    let gone = json!({ "uri": "bigquill:/results/99/1/x.md" });
    let refused = client.request("workspace/textDocumentContent", gone).await;
    assert!(
        refused.expect_err("gone")["message"]
            .to_string()
            .contains("run the statement again")
    );
    client.finish().await;
}

#[tokio::test]
async fn without_documents_of_the_server_a_page_is_a_file_that_goes_with_the_session() {
    let emulator = emulator().await;
    let workspace = workspace(&emulator.url());
    let mut capabilities = newest();
    capabilities["workspace"] = json!({});
    let mut client = client(&workspace, capabilities).await;
    let uri = workspace.file_uri("report.sql");
    open(&mut client, &uri, "SELECT name FROM shop.customers").await;

    let position = json!({ "line": 0, "character": 25 });
    let argument = json!({ "uri": uri, "position": position });
    command(&mut client, "bigquill.previewTable", argument)
        .await
        .expect("accepted");
    let message = client.notification("window/showMessage").await;
    assert!(
        message["message"]
            .to_string()
            .contains("no name of a table with rows"),
        "the catalog is off: {message}"
    );

    run(&mut client, &uri, 0).await;
    let shown = shown(&mut client).await;
    let path = std::path::PathBuf::from(shown.strip_prefix("file://").expect("a file"));
    let page = std::fs::read_to_string(&path).expect("it is there");
    assert!(page.contains("5 rows, page 1 of 3"), "{page}");
    let metadata = std::fs::metadata(&path).expect("it is there");
    assert!(metadata.permissions().readonly());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let folder = path.ancestors().nth(3).expect("the session's folder");
        let folder = std::fs::metadata(folder).expect("it is there");
        assert_eq!(metadata.permissions().mode() & 0o777, 0o400);
        assert_eq!(folder.permissions().mode() & 0o777, 0o700);
    }
    client.finish().await;
    assert!(!path.exists());
}

#[tokio::test]
async fn a_table_is_previewed_from_its_name() {
    let emulator = emulator().await;
    let workspace = Workspace::with_config(&format!(
        "endpoint = {:?}\nproject = \"acme-analytics\"\ncatalog = {:?}\nlive_catalog = \"off\"\nresult_rows = 2\n",
        emulator.url(),
        bigquill_tests::workspace::fixture("catalogs/shop.json"),
    ));
    let mut client = client(&workspace, newest()).await;
    let uri = workspace.file_uri("report.sql");
    open(&mut client, &uri, "SELECT name FROM shop.customers").await;
    let place = json!({ "line": 0, "character": 25 });
    let params = json!({
        "textDocument": { "uri": uri }, "range": { "start": place, "end": place }, "context": { "diagnostics": [] },
    });
    let actions = client
        .request("textDocument/codeAction", params)
        .await
        .expect("a list");
    let actions = actions.as_array().expect("a list");
    let action = actions
        .iter()
        .find(|action| action["command"] == "bigquill.previewTable")
        .expect("it is offered");
    assert_eq!(action["title"], "Preview rows of `shop.customers`, for nothing");
    command(
        &mut client,
        "bigquill.previewTable",
        action["arguments"][0].clone(),
    )
    .await
    .expect("accepted");
    let shown = shown(&mut client).await;
    let page = content(&mut client, &shown).await;
    assert!(
        page.starts_with("Rows of acme-analytics.shop.customers, for nothing\n"),
        "{page}"
    );
    assert!(
        page.contains("5 rows, page 1 of 3") && page.contains("customer 2"),
        "{page}"
    );
    client.finish().await;
}

#[tokio::test]
async fn what_changes_data_is_asked_about_and_a_refusal_names_its_line() {
    let emulator = emulator().await;
    let workspace = workspace(&emulator.url());
    let mut client = client(&workspace, newest()).await;
    let uri = workspace.file_uri("report.sql");
    let text = "DELETE FROM shop.customers WHERE customer_id > 3;\n\nSELECT COUNT(*) AS n\nFROM shop.customers;\n\nSELECT 1,\n  nme FROM shop.customers;\n";
    open(&mut client, &uri, text).await;
    for (choice, left) in [(json!(null), 5), (json!({ "title": "Run it" }), 3)] {
        run(&mut client, &uri, 0).await;
        let (id, question) = client.server_request("window/showMessageRequest").await;
        assert_eq!(
            question["message"],
            "report.sql, line 1 is DELETE, which may change data. Run it?"
        );
        let runs = !choice.is_null();
        client.answer(id, choice).await;
        if runs {
            let done = client.notification("window/showMessage").await;
            assert!(
                done["message"].to_string().contains("report.sql, line 1: done"),
                "{done}"
            );
        }
        run(&mut client, &uri, 2).await;
        let shown = shown(&mut client).await;
        let page = content(&mut client, &shown).await;
        assert!(page.contains(&format!("| {left} |")), "{page}");
    }
    run(&mut client, &uri, 5).await;
    let refused = client.notification("window/showMessage").await;
    let message = refused["message"].as_str().unwrap_or_default();
    assert!(
        message.starts_with("report.sql, lines 6–7: at line 7: BigQuery refuses it: Unrecognized name: nme"),
        "{message}"
    );

    run(&mut client, &uri, 4).await;
    let nothing = client.notification("window/showMessage").await;
    assert_eq!(nothing["message"], "There is no statement here to run.");
    let stale = json!({ "uri": uri, "position": { "line": 2, "character": 0 }, "version": 0 });
    command(&mut client, "bigquill.run", stale)
        .await
        .expect("accepted");
    let stale = client.notification("window/showMessage").await;
    assert!(stale["message"].to_string().contains("has changed"), "{stale}");
    client.finish().await;
}

fn estimate(bytes: &str) -> Reply {
    let query = json!({"totalBytesProcessed": bytes, "statementType": "SELECT"});
    Reply::json(&json!({"statistics": {"query": query}}))
}

#[tokio::test]
async fn a_query_over_the_limit_is_stopped_before_it_starts_and_its_lens_says_so() {
    let server = FaultServer::start().await;
    server.on("/jobs", [estimate("1319413953331")]);
    let workspace = workspace(&server.url());
    let mut client = client(&workspace, newest()).await;
    let uri = workspace.file_uri("report.sql");
    open(&mut client, &uri, "SELECT a FROM d.t;\n").await;
    run(&mut client, &uri, 0).await;
    let stopped = client.notification("window/showMessage").await;
    let message = stopped["message"].as_str().unwrap_or_default();
    assert_eq!(
        message,
        "report.sql, line 1: it was not run: it would read 1.2 TiB, 7.50 USD, over the limit of 100 GiB; read less, or \
         raise `maximum_bytes_billed`"
    );
    assert!(
        server
            .received()
            .iter()
            .all(|request| request.body.contains("\"dryRun\":true"))
    );

    assert_eq!(titles(&mut client, &uri).await, ["Run"]);
    let argument = json!({ "uri": uri });
    command(&mut client, "bigquill.dryRun", argument)
        .await
        .expect("accepted");
    while titles(&mut client, &uri).await.len() < 2 {}
    assert_eq!(
        titles(&mut client, &uri).await,
        [
            "Run · 1.2 TiB, over the limit of 100 GiB",
            "SELECT reads 1.2 TiB, 7.50 USD"
        ]
    );
    let range = json!({ "start": { "line": 0, "character": 0 }, "end": { "line": 1, "character": 0 } });
    let params = json!({ "textDocument": { "uri": uri }, "range": range });
    let hints = client
        .request("textDocument/inlayHint", params)
        .await
        .expect("hints");
    assert_eq!(hints[0]["label"], "1.2 TiB, 7.50 USD");
    assert_eq!(hints[0]["position"], json!({ "line": 0, "character": 18 }));
    client.finish().await;
}

async fn titles(client: &mut Client, uri: &str) -> Vec<String> {
    let params = json!({ "textDocument": { "uri": uri } });
    let lenses = client
        .request("textDocument/codeLens", params)
        .await
        .expect("a list");
    let title = |lens: &Value| lens["command"]["title"].as_str().map(str::to_owned);
    lenses
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(title)
        .collect()
}

#[tokio::test]
async fn a_running_job_shows_its_state_and_is_cancelled() {
    let server = FaultServer::start().await;
    let job = json!({"status": {"state": "RUNNING"}, "jobReference": {"location": "EU"}});
    server.on(
        "/cancel",
        [
            Reply::error(404, "notFound", "no such job yet"),
            Reply::json(&json!({})),
        ],
    );
    server.on("*/jobs/bigquill_", [Reply::json(&job)]);
    server.on("/jobs", [estimate("1024"), Reply::json(&job)]);
    let workspace = workspace(&server.url());
    let (mut client, _gate) = workspace.gated_client(rich()).await;
    client.ignore("textDocument/publishDiagnostics");
    let uri = workspace.file_uri("report.sql");
    open(&mut client, &uri, "SELECT a FROM d.t").await;
    run(&mut client, &uri, 0).await;
    let (id, created) = client.server_request("window/workDoneProgress/create").await;
    client.answer(id, Value::Null).await;
    let mut said = String::new();
    while !said.starts_with("running, job bigquill_") {
        let progress = client.notification("$/progress").await;
        assert_ne!(progress["value"]["kind"], "end", "{progress}");
        said = progress["value"]["message"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
    }
    let token = json!({ "token": created["token"] });
    client.notify("window/workDoneProgress/cancel", token).await;
    let ended = loop {
        let progress = client.notification("$/progress").await;
        if progress["value"]["kind"] == "end" {
            break progress;
        }
    };
    assert_eq!(ended["value"]["message"], "cancelled");
    let cancels = server
        .received()
        .into_iter()
        .filter(|request| request.path.ends_with("/cancel"));
    let cancels: Vec<String> = cancels.map(|request| request.query).collect();
    assert_eq!(
        cancels.len(),
        2,
        "a job that is not there yet is cancelled once it is"
    );
    assert!(cancels.iter().all(|query| query == "location=EU"), "{cancels:?}");
    client.finish().await;
}

#[tokio::test]
async fn a_query_of_the_emulator_is_cancelled_and_the_next_one_runs() {
    let emulator = emulator().await;
    let workspace = workspace(&emulator.url());
    let mut capabilities = newest();
    capabilities["window"]["workDoneProgress"] = json!(true);
    let (mut client, _gate) = workspace.gated_client(capabilities).await;
    client.ignore("textDocument/publishDiagnostics");
    let uri = workspace.file_uri("report.sql");
    let text = "SELECT COUNT(*) FROM UNNEST(GENERATE_ARRAY(1, 300000));\n\nSELECT 7 AS seven;\n";
    open(&mut client, &uri, text).await;
    run(&mut client, &uri, 0).await;
    let (id, created) = client.server_request("window/workDoneProgress/create").await;
    client.answer(id, Value::Null).await;
    loop {
        let progress = client.notification("$/progress").await;
        let said = progress["value"]["message"].as_str().unwrap_or_default();
        if said.starts_with("starting bigquill_") {
            break;
        }
    }
    client
        .notify(
            "window/workDoneProgress/cancel",
            json!({ "token": created["token"] }),
        )
        .await;
    let ended = client.notification("$/progress").await;
    assert_eq!(ended["value"], json!({ "kind": "end", "message": "cancelled" }));

    client.ignore("$/progress");
    run(&mut client, &uri, 2).await;
    let (id, _) = client.server_request("window/workDoneProgress/create").await;
    client.answer(id, Value::Null).await;
    let shown = shown(&mut client).await;
    assert!(content(&mut client, &shown).await.contains("|     7 |"));
    client.finish().await;
}
