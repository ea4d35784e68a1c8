//! GoogleSQL's verdicts where the editor shows them.

use bigquill_tests::workspace::{Workspace, rich};
use serde_json::{Value, json};

use crate::support::{at, close, edit, editor_range, findings, findings_until, open, send_open};

/// A comparison that the resolver, which knows no types, lets pass.
const MISTYPED: &str = "SELECT name FROM shop.customers WHERE customer_id = 'x'";

#[tokio::test]
async fn a_type_error_is_flagged_and_vanishes_when_it_is_mended() {
    let workspace = Workspace::default();
    let (mut client, _gate) = workspace.judged_client(rich()).await;
    let uri = workspace.file_uri("a.sql");
    send_open(&mut client, &uri, &format!("SELECT 'é😀';\n{MISTYPED};\n")).await;
    let found = findings_until(&mut client, &uri, 1, |found| !found.is_empty()).await;
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0]["source"], "GoogleSQL");
    assert_eq!(found[0]["code"], "operator-types");
    assert_eq!(found[0]["range"]["start"]["line"], 1);
    assert_eq!(found[0]["severity"], 1);
    edit(&mut client, &uri, 2, (1, 52, 1, 55), "42").await;
    assert_eq!(findings(&mut client, &uri, 2).await, Vec::<Value>::new());
    close(&mut client, &uri).await;
    client.finish().await;
}

#[tokio::test]
async fn what_a_script_makes_the_next_statement_sees() {
    let workspace = Workspace::default();
    let (mut client, _gate) = workspace.judged_client(rich()).await;
    let uri = workspace.file_uri("a.sql");
    let text = "DECLARE country STRING DEFAULT 'DE';\n\
        CREATE TEMP TABLE chosen AS SELECT customer_id FROM shop.customers AS c WHERE c.country = country;\n\
        SELECT customer_id + 1 AS next FROM chosen WHERE customer_id LIKE '4%';";
    send_open(&mut client, &uri, text).await;
    let found = findings_until(&mut client, &uri, 1, |found| !found.is_empty()).await;
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0]["range"]["start"]["line"], 2);
    assert_eq!(found[0]["source"], "GoogleSQL");
    close(&mut client, &uri).await;
    client.finish().await;
}

#[tokio::test]
async fn a_client_that_pulls_gets_the_verdict_with_the_findings() {
    let workspace = Workspace::default();
    let mut capabilities = rich();
    capabilities["textDocument"]["diagnostic"] = json!({});
    capabilities["workspace"]["diagnostics"] = json!({ "refreshSupport": true });
    let (mut client, _gate) = workspace.judged_client(capabilities).await;
    let uri = workspace.file_uri("a.sql");
    send_open(&mut client, &uri, MISTYPED).await;
    // Once for the catalog, once for the judge; and where the machine is slow, for a verdict that came late.
    let items = loop {
        let (id, _) = client.server_request("workspace/diagnostic/refresh").await;
        client.answer(id, Value::Null).await;
        let params = json!({ "textDocument": { "uri": uri } });
        let report = client.request("textDocument/diagnostic", params).await;
        let items = report.expect("a report")["items"].take();
        if items != json!([]) {
            break items;
        }
    };
    assert_eq!(items[0]["source"], "GoogleSQL", "{items:#}");
    client
        .notify("textDocument/didClose", json!({ "textDocument": { "uri": uri } }))
        .await;
    // One for the catalog, one for the judge: which of them told of the finding is chance.
    client.finish_but_for("workspace/diagnostic/refresh").await;
}

#[tokio::test]
async fn the_columns_of_the_result_stand_on_select() {
    let workspace = Workspace::default();
    let (mut client, _gate) = workspace.judged_client(rich()).await;
    let uri = workspace.file_uri("a.sql");
    let text = "WITH c AS (SELECT * FROM shop.customers)\nSELECT COUNT(*) AS n, ARRAY_AGG(name), country FROM c GROUP BY country";
    let mistyped = format!("{text};\n{MISTYPED}");
    send_open(&mut client, &uri, &mistyped).await;
    // When the finding is there the judge is ready.
    findings_until(&mut client, &uri, 1, |found| !found.is_empty()).await;
    let hover = client
        .request("textDocument/hover", at(&uri, 1, 2))
        .await
        .expect("a hover");
    let value = hover["contents"]["value"].as_str().expect("text");
    assert!(
        value.contains("| n | INT64 |") && value.contains("| (no name) | ARRAY\\<STRING\\> |"),
        "{value}"
    );
    assert_eq!(hover["range"], editor_range((1, 0, 1, 6)));
    let within = client.request("textDocument/hover", at(&uri, 0, 13)).await;
    assert_eq!(within, Ok(Value::Null), "the inner SELECT is not the statement's");
    close(&mut client, &uri).await;
    client.finish().await;
}

#[tokio::test]
async fn an_answer_that_googlesql_refuses_is_asked_for_again_with_its_words() {
    let workspace = Workspace::default();
    let (mut client, gate) = workspace.judged_client(rich()).await;
    let uri = workspace.file_uri("a.sql");
    send_open(
        &mut client,
        &uri,
        &format!("{MISTYPED};\n\n-- newsletter readers\n"),
    )
    .await;
    findings_until(&mut client, &uri, 1, |found| !found.is_empty()).await;
    let argument = json!({ "uri": uri, "position": { "line": 2, "character": 0 } });
    let params = json!({ "command": "bigquill.generate", "arguments": [argument] });
    let reply = client.request("workspace/executeCommand", params).await;
    assert_eq!(reply, Ok(Value::Null));
    let (id, _) = client.server_request("window/workDoneProgress/create").await;
    client.answer(id, Value::Null).await;
    // `tags` is an array: every name is known, the types do not fit.
    let first = gate.next().await;
    first.answer("SELECT name FROM shop.customers WHERE tags LIKE '%newsletter%'");
    let second = gate.next().await;
    assert!(second.prompt().contains("LIKE"), "{}", second.prompt());
    second.answer("SELECT name FROM shop.customers WHERE 'newsletter' IN UNNEST(tags)");
    let (id, params) = client.server_request("workspace/applyEdit").await;
    let text = params["edit"]["documentChanges"][0]["edits"][0]["newText"]
        .as_str()
        .expect("text")
        .to_owned();
    assert!(text.contains("UNNEST") && !text.contains("not proved"), "{text}");
    client.answer(id, json!({ "applied": false })).await;
    client.notification("window/showMessage").await;
    loop {
        let progress = client.notification("$/progress").await;
        if progress["value"]["kind"] == "end" {
            break;
        }
    }
    close(&mut client, &uri).await;
    client.finish().await;
}

#[tokio::test]
async fn without_the_judge_the_resolver_answers_alone() {
    let workspace = Workspace::with_config(&format!(
        "catalog = {:?}\njudge = false\n",
        bigquill_tests::workspace::fixture("catalogs/shop.json")
            .display()
            .to_string()
    ));
    let (mut client, _gate) = workspace.judged_client(rich()).await;
    let uri = workspace.file_uri("a.sql");
    assert_eq!(open(&mut client, &uri, MISTYPED).await, Vec::<Value>::new());
    let text = "SELECT name FROM shop.customers WHERE customer_id = 'x' AND nme = ''";
    edit(&mut client, &uri, 2, (0, 0, 0, 55), text).await;
    let found = findings(&mut client, &uri, 2).await;
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0]["source"], "bigquill");
    close(&mut client, &uri).await;
    client.finish().await;
}
