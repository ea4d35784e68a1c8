//! The command *Generate SQL from comment*, from the code action to the edit.

use bigquill_tests::client::Client;
use bigquill_tests::workspace::{Workspace, rich};
use serde_json::{Value, json};

use crate::support::{change_with, close, code, edit, editor_range, findings, open};

const QUESTION: &str = "-- number of customers per country";
const SQL: &str = "SELECT country, COUNT(*) AS customers FROM shop.customers GROUP BY country";

/// The code actions at a position.
async fn actions(client: &mut Client, uri: &str, line: u32) -> Vec<Value> {
    let params = json!({
        "textDocument": { "uri": uri },
        "range": editor_range((line, 0, line, 0)),
        "context": { "diagnostics": [], "only": ["refactor"] },
    });
    let actions = client
        .request("textDocument/codeAction", params)
        .await
        .expect("actions");
    actions.as_array().expect("a list").clone()
}

/// Runs the action's command; returns the token of the progress that it begins.
async fn run(client: &mut Client, action: &Value) -> Value {
    let command = &action["command"];
    let params = json!({ "command": command["command"], "arguments": command["arguments"] });
    let reply = client.request("workspace/executeCommand", params).await;
    assert_eq!(reply, Ok(Value::Null), "the reply comes at once");
    begun(client).await
}

async fn begun(client: &mut Client) -> Value {
    let (id, params) = client.server_request("window/workDoneProgress/create").await;
    client.answer(id, Value::Null).await;
    let progress = client.notification("$/progress").await;
    assert_eq!(progress["token"], params["token"]);
    assert_eq!(progress["value"]["kind"], "begin");
    assert_eq!(progress["value"]["cancellable"], true);
    params["token"].clone()
}

/// Reads the progress to its end; returns the last message.
async fn ended(client: &mut Client, token: &Value) -> String {
    loop {
        let progress = client.notification("$/progress").await;
        assert_eq!(&progress["token"], token);
        if progress["value"]["kind"] == "end" {
            return progress["value"]["message"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
        }
    }
}

/// Takes the edit that the server wants, as an editor does: makes it and tells of it; returns version and edits.
async fn taken(client: &mut Client, uri: &str) -> (Value, Value) {
    let (id, mut params) = client.server_request("workspace/applyEdit").await;
    let change = &mut params["edit"]["documentChanges"][0];
    let (version, edits) = (change["textDocument"]["version"].take(), change["edits"].take());
    let backwards = edits.as_array().expect("a list").iter().rev();
    let changes = backwards.map(|edit| json!({ "range": edit["range"], "text": edit["newText"] }));
    let next = i32::try_from(version.as_i64().expect("a number")).expect("a small one") + 1;
    change_with(client, uri, next, changes.collect()).await;
    client.answer(id, json!({ "applied": true })).await;
    (version, edits)
}

#[tokio::test]
async fn the_answer_goes_below_its_comment() {
    let workspace = Workspace::default();
    let (mut client, gate) = workspace.gated_client(rich()).await;
    let uri = workspace.file_uri("a.sql");
    open(
        &mut client,
        &uri,
        &format!("SELECT 1;\r\n\r\n  {QUESTION}\r\n\r\nSELECT 2;\r\n"),
    )
    .await;
    let actions = actions(&mut client, &uri, 2).await;
    assert_eq!(actions[0]["title"], "Generate SQL from comment");
    let token = run(&mut client, &actions[0]).await;
    let call = gate.next().await;
    assert!(call.prompt().contains("number of customers per country"));
    assert!(
        call.prompt().contains("customers"),
        "the tables are in the prompt"
    );
    call.answer(SQL);
    let (version, edits) = taken(&mut client, &uri).await;
    assert_eq!(version, 1);
    let text = format!("\r\n  {SQL};");
    assert_eq!(
        edits,
        json!([{ "range": editor_range((2, 36, 2, 36)), "newText": text }])
    );
    assert_eq!(ended(&mut client, &token).await, "proved by the resolver");
    close(&mut client, &uri).await;
    client.finish().await;
}

#[tokio::test]
async fn an_answer_that_stands_there_is_replaced() {
    let workspace = Workspace::default();
    let (mut client, gate) = workspace.gated_client(rich()).await;
    let uri = workspace.file_uri("a.sql");
    open(
        &mut client,
        &uri,
        &format!("{QUESTION}\nSELECT 1\n  AS one;\nSELECT 2;\n"),
    )
    .await;
    let actions = actions(&mut client, &uri, 0).await;
    assert_eq!(actions[0]["title"], "Regenerate SQL from comment");
    let token = run(&mut client, &actions[0]).await;
    gate.next().await.answer(SQL);
    let (_, edits) = taken(&mut client, &uri).await;
    assert_eq!(
        edits,
        json!([{ "range": editor_range((1, 0, 2, 8)), "newText": SQL }])
    );
    assert_eq!(ended(&mut client, &token).await, "proved by the resolver");
    close(&mut client, &uri).await;
    client.finish().await;
}

#[tokio::test]
async fn what_is_typed_meanwhile_is_kept() {
    let workspace = Workspace::default();
    let (mut client, gate) = workspace.gated_client(rich()).await;
    let uri = workspace.file_uri("a.sql");
    open(&mut client, &uri, &format!("{QUESTION}\n\nSELECT 2;\n")).await;
    let actions = actions(&mut client, &uri, 0).await;
    let token = run(&mut client, &actions[0]).await;
    let call = gate.next().await;
    call.begin();
    // Two lines above, a word below: the comment moves, the edit follows.
    edit(&mut client, &uri, 2, (0, 0, 0, 0), "SELECT 1;\n\n").await;
    edit(&mut client, &uri, 3, (4, 8, 4, 9), ", 3;").await;
    findings(&mut client, &uri, 3).await;
    call.text(SQL);
    call.end();
    let (version, edits) = taken(&mut client, &uri).await;
    assert_eq!(version, 3);
    assert_eq!(edits[0]["range"], editor_range((2, 34, 2, 34)));
    assert_eq!(ended(&mut client, &token).await, "proved by the resolver");
    close(&mut client, &uri).await;
    client.finish().await;
}

#[tokio::test]
async fn a_comment_that_changed_meanwhile_gets_nothing() {
    for range in [(0, 3, 0, 9), (1, 0, 1, 0)] {
        let workspace = Workspace::default();
        let (mut client, gate) = workspace.gated_client(rich()).await;
        let uri = workspace.file_uri("a.sql");
        open(&mut client, &uri, &format!("{QUESTION}\n")).await;
        let actions = actions(&mut client, &uri, 0).await;
        let token = run(&mut client, &actions[0]).await;
        let call = gate.next().await;
        // Another question, or an answer of the person's own.
        edit(&mut client, &uri, 2, range, "SELECT 7").await;
        findings(&mut client, &uri, 2).await;
        call.answer(SQL);
        let message = client.notification("window/showMessage").await;
        assert!(
            message["message"]
                .as_str()
                .expect("text")
                .contains("changed while"),
            "{message}"
        );
        assert_eq!(ended(&mut client, &token).await, "the comment changed");
        close(&mut client, &uri).await;
        client.finish().await;
    }
}

#[tokio::test]
async fn an_edit_that_comes_too_late_is_made_anew() {
    let workspace = Workspace::default();
    let (mut client, gate) = workspace.gated_client(rich()).await;
    let uri = workspace.file_uri("a.sql");
    open(&mut client, &uri, &format!("{QUESTION}\n")).await;
    let actions = actions(&mut client, &uri, 0).await;
    let token = run(&mut client, &actions[0]).await;
    gate.next().await.answer(SQL);
    let (id, params) = client.server_request("workspace/applyEdit").await;
    assert_eq!(params["edit"]["documentChanges"][0]["textDocument"]["version"], 1);
    edit(&mut client, &uri, 2, (0, 0, 0, 0), "SELECT 1;\n").await;
    client
        .answer(
            id,
            json!({ "applied": false, "failureReason": "the document changed" }),
        )
        .await;
    let (version, edits) = taken(&mut client, &uri).await;
    assert_eq!(version, 2);
    assert_eq!(edits[0]["range"], editor_range((1, 34, 1, 34)));
    assert_eq!(ended(&mut client, &token).await, "proved by the resolver");
    close(&mut client, &uri).await;
    client.finish().await;
}

/// Neovim answers that it applied an edit also where it let it fall, because the buffer was newer.
#[tokio::test]
async fn an_edit_that_the_client_let_fall_is_made_anew() {
    let workspace = Workspace::default();
    let (mut client, gate) = workspace.gated_client(rich()).await;
    let uri = workspace.file_uri("a.sql");
    open(&mut client, &uri, &format!("{QUESTION}\n")).await;
    let actions = actions(&mut client, &uri, 0).await;
    let token = run(&mut client, &actions[0]).await;
    gate.next().await.answer(SQL);
    let (id, _) = client.server_request("workspace/applyEdit").await;
    client.answer(id, json!({ "applied": true })).await;
    edit(&mut client, &uri, 2, (0, 0, 0, 0), "SELECT 1;\n").await;
    let (version, edits) = taken(&mut client, &uri).await;
    assert_eq!(version, 2);
    assert_eq!(edits[0]["range"], editor_range((1, 34, 1, 34)));
    assert_eq!(ended(&mut client, &token).await, "proved by the resolver");
    close(&mut client, &uri).await;
    client.finish().await;
}

#[tokio::test]
async fn a_refused_edit_is_told() {
    let workspace = Workspace::default();
    let (mut client, gate) = workspace.gated_client(rich()).await;
    let uri = workspace.file_uri("a.sql");
    open(&mut client, &uri, QUESTION).await;
    let actions = actions(&mut client, &uri, 0).await;
    let token = run(&mut client, &actions[0]).await;
    gate.next().await.answer(SQL);
    let (id, _) = client.server_request("workspace/applyEdit").await;
    client
        .answer(
            id,
            json!({ "applied": false, "failureReason": "the file is read-only" }),
        )
        .await;
    let message = client.notification("window/showMessage").await;
    assert_eq!(message["type"], 1);
    assert!(
        message["message"]
            .as_str()
            .expect("text")
            .contains("the file is read-only"),
        "{message}"
    );
    assert_eq!(ended(&mut client, &token).await, "the editor did not take it");
    close(&mut client, &uri).await;
    client.finish().await;
}

#[tokio::test]
async fn progress_can_be_cancelled() {
    let workspace = Workspace::default();
    let (mut client, gate) = workspace.gated_client(rich()).await;
    let uri = workspace.file_uri("a.sql");
    open(&mut client, &uri, QUESTION).await;
    let actions = actions(&mut client, &uri, 0).await;
    let token = run(&mut client, &actions[0]).await;
    let call = gate.next().await;
    client
        .notify("window/workDoneProgress/cancel", json!({ "token": token }))
        .await;
    assert_eq!(ended(&mut client, &token).await, "cancelled");
    assert!(call.is_cancelled());
    close(&mut client, &uri).await;
    client.finish().await;
}

#[tokio::test]
async fn a_newer_command_takes_the_place_of_an_older_one() {
    let workspace = Workspace::default();
    let (mut client, gate) = workspace.gated_client(rich()).await;
    let uri = workspace.file_uri("a.sql");
    open(
        &mut client,
        &uri,
        &format!("{QUESTION}\n\n-- names of all customers\n"),
    )
    .await;
    let first_action = actions(&mut client, &uri, 0).await;
    let first = run(&mut client, &first_action[0]).await;
    let first_call = gate.next().await;
    let second_action = actions(&mut client, &uri, 2).await;
    let command = &second_action[0]["command"];
    let params = json!({ "command": command["command"], "arguments": command["arguments"] });
    client
        .request("workspace/executeCommand", params)
        .await
        .expect("a reply");
    let (id, create) = client.server_request("window/workDoneProgress/create").await;
    client.answer(id, Value::Null).await;
    let second_call = gate.next().await;
    assert!(first_call.is_cancelled());
    assert!(!second_call.is_cancelled());
    second_call.answer("SELECT name FROM shop.customers");
    let (_, edits) = taken(&mut client, &uri).await;
    assert_eq!(edits[0]["range"], editor_range((2, 25, 2, 25)));
    let mut endings = std::collections::HashMap::new();
    while endings.len() < 2 {
        let progress = client.notification("$/progress").await;
        if progress["value"]["kind"] == "end" {
            endings.insert(
                progress["token"].to_string(),
                progress["value"]["message"].clone(),
            );
        }
    }
    assert_eq!(endings[&first.to_string()], "cancelled");
    assert_eq!(endings[&create["token"].to_string()], "proved by the resolver");
    close(&mut client, &uri).await;
    client.finish().await;
}

#[tokio::test]
async fn an_answer_that_does_not_hold_is_marked_and_told() {
    let workspace = Workspace::default();
    let (mut client, gate) = workspace.gated_client(rich()).await;
    let uri = workspace.file_uri("a.sql");
    open(&mut client, &uri, QUESTION).await;
    let actions = actions(&mut client, &uri, 0).await;
    let token = run(&mut client, &actions[0]).await;
    // Asked again twice at most; it insists.
    for number in 0..3 {
        gate.next()
            .await
            .answer(&format!("SELECT zzz_{number}_qqq FROM shop.customers"));
    }
    let (_, edits) = taken(&mut client, &uri).await;
    let text = edits[0]["newText"].as_str().expect("text");
    assert!(text.contains("not proved: "), "{text}");
    let message = client.notification("window/showMessage").await;
    assert_eq!(message["type"], 2);
    assert!(
        message["message"].as_str().expect("text").contains("not proved"),
        "{message}"
    );
    assert_eq!(ended(&mut client, &token).await, "not proved");
    close(&mut client, &uri).await;
    client.finish().await;
}

#[tokio::test]
async fn what_is_no_single_query_is_not_put_in() {
    let workspace = Workspace::default();
    let (mut client, gate) = workspace.gated_client(rich()).await;
    let uri = workspace.file_uri("a.sql");
    open(&mut client, &uri, QUESTION).await;
    let actions = actions(&mut client, &uri, 0).await;
    let token = run(&mut client, &actions[0]).await;
    let ending = {
        let mut ending = std::pin::pin!(ended(&mut client, &token));
        loop {
            tokio::select! {
                ending = &mut ending => break ending,
                call = gate.next() => call.answer("DROP TABLE shop.customers"),
            }
        }
    };
    assert_eq!(ending, "not put in");
    let message = client.notification("window/showMessage").await;
    let text = message["message"].as_str().expect("text");
    assert!(text.contains("something else than one query"), "{text}");
    close(&mut client, &uri).await;
    client.finish().await;
}

#[tokio::test]
async fn a_place_without_a_question_is_told() {
    let workspace = Workspace::default();
    let (mut client, _gate) = workspace.gated_client(rich()).await;
    let uri = workspace.file_uri("a.sql");
    open(&mut client, &uri, "SELECT 1;\n\n\n\n").await;
    assert_eq!(actions(&mut client, &uri, 0).await, Vec::<Value>::new());
    let argument = json!({ "uri": uri, "position": { "line": 0, "character": 0 } });
    let params = json!({ "command": "bigquill.generate", "arguments": [argument] });
    assert_eq!(
        client.request("workspace/executeCommand", params).await,
        Ok(Value::Null)
    );
    let message = client.notification("window/showMessage").await;
    assert!(
        message["message"]
            .as_str()
            .expect("text")
            .contains("no comment here"),
        "{message}"
    );
    for (command, arguments) in [("bigquill.unknown", json!([])), ("bigquill.generate", json!([7]))] {
        let params = json!({ "command": command, "arguments": arguments });
        assert_eq!(
            code(client.request("workspace/executeCommand", params).await),
            -32602
        );
    }
    close(&mut client, &uri).await;
    client.finish().await;
}

#[tokio::test]
async fn a_client_without_progress_or_versions_is_served_too() {
    let workspace = Workspace::default();
    let (mut client, gate) = workspace
        .gated_client(json!({ "workspace": { "applyEdit": true } }))
        .await;
    let uri = workspace.file_uri("a.sql");
    open(&mut client, &uri, QUESTION).await;
    let commands = actions(&mut client, &uri, 0).await;
    assert_eq!(
        commands[0]["command"], "bigquill.generate",
        "a command, for there are no literals"
    );
    let params = json!({ "command": "bigquill.generate", "arguments": commands[0]["arguments"] });
    client
        .request("workspace/executeCommand", params)
        .await
        .expect("a reply");
    gate.next().await.answer(SQL);
    let (id, params) = client.server_request("workspace/applyEdit").await;
    assert_eq!(params["edit"]["changes"][&uri][0]["newText"], format!("\n{SQL};"));
    client.answer(id, json!({ "applied": true })).await;
    close(&mut client, &uri).await;
    client.finish().await;
}
