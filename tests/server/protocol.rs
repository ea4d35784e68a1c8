//! The protocol's frame: capabilities, states, malformed messages, cancellation.

use bigquill_tests::client::Client;
use bigquill_tests::generator::{Ready, gated};
use bigquill_tests::workspace::{Workspace, options, rich};
use serde_json::{Value, json};
use std::sync::Arc;

use crate::support::{at, code, open, send_open};

#[tokio::test]
async fn capabilities_are_announced() {
    let workspace = Workspace::default();
    let (generator, _gate) = gated();
    let mut client = Client::in_memory(options(Arc::new(Ready(generator))));
    let result = client.initialize(workspace.initialize_params(rich())).await;
    let capabilities = &result["capabilities"];
    assert_eq!(capabilities["positionEncoding"], "utf-16");
    assert_eq!(capabilities["inlineCompletionProvider"], json!({}));
    assert_eq!(capabilities["textDocumentSync"]["change"], 2);
    assert_eq!(
        capabilities["executeCommandProvider"]["commands"],
        json!([
            "bigquill.generate",
            "bigquill.refreshCatalog",
            "bigquill.dryRun",
            "bigquill.run",
            "bigquill.previewTable",
            "bigquill.resultsPage",
            "bigquill.exportResults",
            "bigquill.accepted",
        ])
    );
    assert_eq!(capabilities["completionProvider"]["resolveProvider"], true);
    assert_eq!(result["serverInfo"]["name"], "bigquill");
    client.finish().await;
}

#[tokio::test]
async fn the_clients_first_encoding_is_taken() {
    for (offer, agreed) in [
        (json!(["utf-8", "utf-16"]), "utf-8"),
        (json!(["utf-32"]), "utf-32"),
        (json!(["utf-16", "utf-8"]), "utf-16"),
        (json!(null), "utf-16"),
    ] {
        let workspace = Workspace::default();
        let (generator, _gate) = gated();
        let mut client = Client::in_memory(options(Arc::new(Ready(generator))));
        let capabilities = json!({ "general": { "positionEncodings": offer } });
        let result = client.initialize(workspace.initialize_params(capabilities)).await;
        assert_eq!(result["capabilities"]["positionEncoding"], agreed);
        client.finish().await;
    }
}

#[tokio::test]
async fn requests_out_of_their_state_are_refused() {
    let workspace = Workspace::default();
    let (generator, _gate) = gated();
    let mut client = Client::in_memory(options(Arc::new(Ready(generator))));
    assert_eq!(
        code(
            client
                .request("textDocument/completion", at("file:///a.sql", 0, 0))
                .await
        ),
        -32002
    );
    client.initialize(workspace.initialize_params(rich())).await;
    assert_eq!(
        code(
            client
                .request("initialize", workspace.initialize_params(rich()))
                .await
        ),
        -32600
    );
    assert_eq!(code(client.request("bigquill/unknown", json!({})).await), -32601);
    assert_eq!(
        code(
            client
                .request("textDocument/completion", json!({ "nonsense": 1 }))
                .await
        ),
        -32602
    );
    assert_eq!(
        code(
            client
                .request("textDocument/completion", at("file:///not-open.sql", 0, 0))
                .await
        ),
        -32602
    );
    client.notify("$/unknown", json!({})).await;
    client.notify("workspace/unknown", json!({})).await;
    assert_eq!(client.request("shutdown", Value::Null).await, Ok(Value::Null));
    assert_eq!(
        code(
            client
                .request("textDocument/completion", at("file:///a.sql", 0, 0))
                .await
        ),
        -32600
    );
    client.notify("exit", Value::Null).await;
    client.ended().await;
}

#[tokio::test]
async fn malformed_messages_are_answered_and_outlived() {
    let workspace = Workspace::default();
    let (mut client, _gate) = workspace.gated_client(rich()).await;
    let cases: [(&str, i64); 5] = [
        ("Content-Length: 12\r\n\r\n{\"jsonrpc\":\"", -32700),
        ("Content-Length: many\r\n\r\n", -32700),
        ("Content-Length: 4\r\n\r\n\u{fffd}x", -32700),
        (
            "Content-Length: 35\r\n\r\n{\"jsonrpc\":\"1.0\",\"method\":\"shutdown\"}",
            -32700,
        ),
        ("Content-Length: 19\r\n\r\n{\"hello\":\"nothing\"}", -32600),
    ];
    for (bytes, code) in cases {
        client.raw(bytes.as_bytes()).await;
        assert_eq!(client.nameless_error().await["code"], code, "{bytes}");
    }
    let uri = workspace.file_uri("a.sql");
    open(&mut client, &uri, "select 1").await;
    client
        .notify("textDocument/didChange", json!({ "textDocument": 7 }))
        .await;
    client
        .request("textDocument/completion", at(&uri, 0, 8))
        .await
        .expect("it goes on");
    client.finish().await;
}

#[tokio::test]
async fn a_cancelled_request_is_answered_as_cancelled() {
    let workspace = Workspace::default();
    let (mut client, gate) = workspace.gated_client(rich()).await;
    let uri = workspace.file_uri("a.sql");
    open(&mut client, &uri, "-- number of customers per country\n").await;
    let mut params = at(&uri, 1, 0);
    params["context"] = json!({ "triggerKind": 1 });
    let id = client.send("textDocument/inlineCompletion", params).await;
    let call = gate.next().await;
    assert!(!call.is_cancelled());
    client.notify("$/cancelRequest", json!({ "id": id })).await;
    assert_eq!(code(client.response(id).await), -32800);
    assert!(call.is_cancelled(), "dropping the request dropped the generation");
    client.finish().await;
}

#[tokio::test]
async fn hundreds_of_waiting_requests_keep_no_notice_waiting() {
    let workspace = Workspace::default();
    let (mut client, gate) = workspace.gated_client(rich()).await;
    let mut waiting = Vec::new();
    for number in 0..300 {
        let uri = workspace.file_uri(&format!("{number}.sql"));
        send_open(&mut client, &uri, "-- number of customers per country\n").await;
        client.notification("textDocument/publishDiagnostics").await;
        let mut params = at(&uri, 1, 0);
        params["context"] = json!({ "triggerKind": 1 });
        waiting.push(client.send("textDocument/inlineCompletion", params).await);
    }
    let mut calls = Vec::new();
    for _ in &waiting {
        calls.push(gate.next().await);
    }
    let last = waiting.pop().expect("there are 300");
    client.notify("$/cancelRequest", json!({ "id": last })).await;
    assert_eq!(code(client.response(last).await), -32800);
    for call in calls {
        call.answer("SELECT 1");
    }
    for id in waiting {
        client.response(id).await.expect("an answer");
    }
    client.finish().await;
}
