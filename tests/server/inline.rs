//! Ghost text.

use bigquill_tests::client::Client;
use bigquill_tests::workspace::{Workspace, rich};
use serde_json::{Value, json};

use crate::support::{at, close, code, edit, editor_range, findings, open};

const SQL: &str = "SELECT country, COUNT(*) AS customers FROM shop.customers GROUP BY country";
const INVOKED: u32 = 1;
const AUTOMATIC: u32 = 2;

async fn ask(client: &mut Client, uri: &str, line: u32, character: u32, trigger: u32) -> i64 {
    let mut params = at(uri, line, character);
    params["context"] = json!({ "triggerKind": trigger });
    client.send("textDocument/inlineCompletion", params).await
}

#[tokio::test]
async fn at_the_end_of_the_comment_and_on_the_empty_line_below() {
    let workspace = Workspace::default();
    let (mut client, gate) = workspace.gated_client(rich()).await;
    let uri = workspace.file_uri("a.sql");
    open(
        &mut client,
        &uri,
        "  -- number of customers per country\n  \n\nSELECT 2;",
    )
    .await;
    let id = ask(&mut client, &uri, 0, 36, AUTOMATIC).await;
    gate.next().await.answer(SQL);
    let items = client.response(id).await.expect("items");
    let item = json!([{ "insertText": format!("\n  {SQL};"), "range": editor_range((0, 36, 0, 36)) }]);
    assert_eq!(items, item);
    // The same question again, one line below: the answer is known.
    let id = ask(&mut client, &uri, 1, 2, AUTOMATIC).await;
    let items = client.response(id).await.expect("items");
    let item = json!([{ "insertText": format!("  {SQL};"), "range": editor_range((1, 0, 1, 2)) }]);
    assert_eq!(items, item);
    close(&mut client, &uri).await;
    client.finish().await;
}

#[tokio::test]
async fn nothing_where_nothing_is_asked() {
    let workspace = Workspace::default();
    let (mut client, gate) = workspace.gated_client(rich()).await;
    let uri = workspace.file_uri("a.sql");
    let text = "-- number of customers\nSELECT 1;\n\n-- TODO: number of orders\n\n-- number of orders\n\n\nSELECT 2;";
    open(&mut client, &uri, text).await;
    for (line, character, trigger) in [
        (0, 22, AUTOMATIC), // has its answer
        (0, 22, INVOKED),
        (1, 5, INVOKED),
        (3, 25, AUTOMATIC), // asks for nothing
        (5, 10, INVOKED),   // inside the comment
        (7, 0, INVOKED),    // not just below
        (8, 9, INVOKED),
        (99, 0, INVOKED),
    ] {
        let id = ask(&mut client, &uri, line, character, trigger).await;
        assert_eq!(
            client.response(id).await,
            Ok(Value::Null),
            "{line}:{character} {trigger}"
        );
    }
    assert!(gate.is_empty().await);
    // A comment that is not offered an answer unasked gets one when asked for.
    let id = ask(&mut client, &uri, 3, 25, INVOKED).await;
    gate.next().await.answer("SELECT order_id FROM shop.orders");
    assert!(client.response(id).await.expect("items").is_array());
    close(&mut client, &uri).await;
    client.finish().await;
}

#[tokio::test]
async fn a_newer_request_takes_the_place_of_an_older_one() {
    let workspace = Workspace::default();
    let (mut client, gate) = workspace.gated_client(rich()).await;
    let uri = workspace.file_uri("a.sql");
    open(
        &mut client,
        &uri,
        "-- number of customers per country\n\n-- names of the customers\n",
    )
    .await;
    let first = ask(&mut client, &uri, 0, 34, INVOKED).await;
    let first_call = gate.next().await;
    let second = ask(&mut client, &uri, 2, 25, INVOKED).await;
    assert_eq!(code(client.response(first).await), -32801);
    assert!(first_call.is_cancelled());
    gate.next().await.answer("SELECT name FROM shop.customers");
    assert!(client.response(second).await.expect("items").is_array());
    close(&mut client, &uri).await;
    client.finish().await;
}

#[tokio::test]
async fn typing_on_ends_it() {
    let workspace = Workspace::default();
    let (mut client, gate) = workspace.gated_client(rich()).await;
    let uri = workspace.file_uri("a.sql");
    open(&mut client, &uri, "-- number of customers per country\n").await;
    let id = ask(&mut client, &uri, 0, 34, AUTOMATIC).await;
    let call = gate.next().await;
    edit(&mut client, &uri, 2, (0, 34, 0, 34), " and city").await;
    assert_eq!(code(client.response(id).await), -32801);
    assert!(call.is_cancelled());
    findings(&mut client, &uri, 2).await;
    close(&mut client, &uri).await;
    client.finish().await;
}

#[tokio::test]
async fn the_command_is_not_disturbed_by_ghost_text_nobody_asked_for() {
    let workspace = Workspace::default();
    let mut capabilities = rich();
    capabilities["window"] = json!({});
    let (mut client, gate) = workspace.gated_client(capabilities).await;
    let uri = workspace.file_uri("a.sql");
    open(
        &mut client,
        &uri,
        "-- number of customers per country\n\n-- names of all customers\n",
    )
    .await;
    let argument = json!({ "uri": uri, "position": { "line": 0, "character": 0 } });
    let params = json!({ "command": "bigquill.generate", "arguments": [argument] });
    client
        .request("workspace/executeCommand", params)
        .await
        .expect("a reply");
    let call = gate.next().await;
    let id = ask(&mut client, &uri, 2, 25, AUTOMATIC).await;
    assert_eq!(code(client.response(id).await), -32801);
    assert!(!call.is_cancelled());
    call.answer(SQL);
    let (id, _) = client.server_request("workspace/applyEdit").await;
    client.answer(id, json!({ "applied": true })).await;
    close(&mut client, &uri).await;
    client.finish().await;
}

#[tokio::test]
async fn it_can_be_turned_off() {
    for (config, trigger) in [
        ("ghost_text = false", INVOKED),
        ("ghost_text_automatic = false", AUTOMATIC),
    ] {
        let workspace = Workspace::with_config(config);
        let (mut client, gate) = workspace.gated_client(rich()).await;
        let uri = workspace.file_uri("a.sql");
        open(&mut client, &uri, "-- number of customers per country\n").await;
        let id = ask(&mut client, &uri, 0, 34, trigger).await;
        assert_eq!(client.response(id).await, Ok(Value::Null));
        assert!(gate.is_empty().await);
        close(&mut client, &uri).await;
        client.finish().await;
    }
}
