//! What these tests have in common.

use bigquill_tests::client::Client;
use serde_json::{Value, json};

/// Opens a document at version 1 and waits for its findings.
pub(crate) async fn open(client: &mut Client, uri: &str, text: &str) -> Vec<Value> {
    send_open(client, uri, text).await;
    findings(client, uri, 1).await
}

/// Opens a document at version 1.
pub(crate) async fn send_open(client: &mut Client, uri: &str, text: &str) {
    let document = json!({ "uri": uri, "languageId": "sql", "version": 1, "text": text });
    client
        .notify("textDocument/didOpen", json!({ "textDocument": document }))
        .await;
}

/// Edits a document: replaces a range, given as (line, character, line, character).
pub(crate) async fn edit(
    client: &mut Client,
    uri: &str,
    version: i32,
    range: (u32, u32, u32, u32),
    text: &str,
) {
    let change = json!({ "range": editor_range(range), "text": text });
    change_with(client, uri, version, json!([change])).await;
}

pub(crate) async fn change_with(client: &mut Client, uri: &str, version: i32, changes: Value) {
    let params = json!({ "textDocument": { "uri": uri, "version": version }, "contentChanges": changes });
    client.notify("textDocument/didChange", params).await;
}

/// Closes a document and reads the removal of its findings.
pub(crate) async fn close(client: &mut Client, uri: &str) {
    client
        .notify("textDocument/didClose", json!({ "textDocument": { "uri": uri } }))
        .await;
    loop {
        let published = client.notification("textDocument/publishDiagnostics").await;
        if published.get("version").is_none() {
            assert_eq!(published["diagnostics"], json!([]));
            return;
        }
    }
}

/// Reads published findings until those of this version.
pub(crate) async fn findings(client: &mut Client, uri: &str, version: i32) -> Vec<Value> {
    loop {
        let mut published = client.notification("textDocument/publishDiagnostics").await;
        assert_eq!(published["uri"], uri);
        let got = published["version"].as_i64().expect("findings have a version");
        assert!(got <= i64::from(version), "no findings of a later version");
        if got == i64::from(version) {
            let Value::Array(findings) = published["diagnostics"].take() else {
                panic!("findings are a list");
            };
            return findings;
        }
    }
}

/// Reads findings of a version until they are these: what changes beside the text has them published again.
pub(crate) async fn findings_until(
    client: &mut Client,
    uri: &str,
    version: i32,
    wanted: impl Fn(&[Value]) -> bool,
) -> Vec<Value> {
    loop {
        let found = findings(client, uri, version).await;
        if wanted(&found) {
            return found;
        }
    }
}

pub(crate) fn editor_range((a, b, c, d): (u32, u32, u32, u32)) -> Value {
    json!({ "start": { "line": a, "character": b }, "end": { "line": c, "character": d } })
}

/// A request's parameters for a position.
pub(crate) fn at(uri: &str, line: u32, character: u32) -> Value {
    json!({ "textDocument": { "uri": uri }, "position": { "line": line, "character": character } })
}

/// The error code of a refused request.
pub(crate) fn code(response: Result<Value, Value>) -> i64 {
    response.expect_err("an error")["code"].as_i64().expect("a code")
}
