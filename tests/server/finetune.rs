//! The whole loop: completions that were accepted become an adapter, which the same server takes up.

use std::path::Path;
use std::process::Stdio;

use bigquill_model::corpus::{Corpus, Outcome};
use bigquill_model::testing::{SMOLLM2, model_file};
use bigquill_tests::binary;
use bigquill_tests::client::Client;
use bigquill_tests::workspace::{Workspace, rich};
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use crate::support::{at, change_with, editor_range, send_open};

/// Questions that the small model answers with something like a query, and what the person makes of that.
const WANTED: [(&str, &str); 3] = [
    ("SQL query of towns", "SELECT DISTINCT town FROM d.s"),
    ("the SQL that counts rows", "SELECT COUNT(*) AS shops FROM d.s"),
    ("count towns", "SELECT COUNT(DISTINCT town) FROM d.s"),
];

const CATALOG: &str = r#"[{"kind": "bigquery#table", "id": "p:d.s",
    "tableReference": {"projectId": "p", "datasetId": "d", "tableId": "s"}, "type": "TABLE",
    "schema": {"fields": [{"name": "id", "type": "INTEGER"}, {"name": "town", "type": "STRING"}]}}]"#;

/// A server on a small model, whose adapter is not there yet.
fn place() -> Workspace {
    let model = model_file(SMOLLM2);
    let workspace = Workspace::with_config(&format!(
        "catalog = 'catalog.json'\nmodel = {:?}\nadapter = 'team'\nmax_tokens = 24\njudge = false\n\
         store_accepted = true\nstore_file = 'accepted.sqlite'\n",
        model.display().to_string()
    ));
    workspace.write("catalog.json", CATALOG);
    workspace
}

fn server(workspace: &Workspace) -> Child {
    Command::new(binary::path())
        .current_dir(workspace.path("."))
        .env_remove("BIGQUILL_LOG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the server starts")
}

/// Ghost text at the end of the document's only line.
async fn ghost(client: &mut Client, uri: &str, comment: &str) -> Value {
    let end = u32::try_from(comment.len()).expect("a short line");
    let mut params = at(uri, 0, end);
    params["context"] = json!({ "triggerKind": 1 });
    let items = client.request("textDocument/inlineCompletion", params).await;
    items.expect("an answer")[0].take()
}

/// Takes an answer, makes of it what is wanted, and saves.
async fn accept(client: &mut Client, uri: &str, comment: &str, wanted: &str) {
    let item = ghost(client, uri, comment).await;
    let text = item["insertText"].as_str().expect("something that can be put in");
    let edit = json!([{ "range": item["range"], "text": text }]);
    change_with(client, uri, 2, edit).await;
    let reply = client
        .request("workspace/executeCommand", item["command"].clone())
        .await;
    assert_eq!(reply, Ok(Value::Null));
    // Two edits, as typing is: the end, then the beginning.
    let lines = u32::try_from(text.lines().count()).expect("few");
    let (start, end) = wanted.split_at(7);
    let last = json!([{ "range": editor_range((1, 0, lines, 0)), "text": format!("{end};\n") }]);
    change_with(client, uri, 3, last).await;
    change_with(
        client,
        uri,
        4,
        json!([{ "range": editor_range((1, 0, 1, 0)), "text": start }]),
    )
    .await;
    client
        .notify("textDocument/didSave", json!({ "textDocument": { "uri": uri } }))
        .await;
}

async fn train(folder: &Path) {
    let model = model_file(SMOLLM2);
    let output = Command::new(binary::finetune())
        .args(["train", "--data", "accepted.sqlite", "--out", "team", "--model"])
        .arg(model)
        .args([
            "--keep-activations",
            "--epochs",
            "6",
            "--batch",
            "3",
            "--micro-batch",
            "3",
            "--rank",
            "8",
            "--learning-rate",
            "1e-2",
        ])
        .current_dir(folder)
        .output()
        .await
        .expect("it runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[tokio::test]
async fn what_was_accepted_is_learned_and_written_by_the_same_server() {
    let workspace = place();
    let mut child = server(&workspace);
    let stdout = child.stdout.take().expect("piped");
    let mut client = Client::over(stdout, child.stdin.take().expect("piped"));
    client.initialize(workspace.initialize_params(rich())).await;
    for (name, (question, wanted)) in ["a.sql", "b.sql", "c.sql"].into_iter().zip(WANTED) {
        let (uri, comment) = (workspace.file_uri(name), format!("-- {question}"));
        send_open(&mut client, &uri, &comment).await;
        accept(&mut client, &uri, &comment, wanted).await;
    }
    let message = client.notification("window/showMessage").await;
    assert!(
        message["message"]
            .as_str()
            .expect("a text")
            .contains("There is no adapter in"),
        "{message}"
    );
    stored(&mut client, &workspace).await;
    train(&workspace.path(".")).await;
    for (name, (question, wanted)) in ["d.sql", "e.sql", "f.sql"].into_iter().zip(WANTED) {
        let (uri, comment) = (workspace.file_uri(name), format!("-- {question}"));
        send_open(&mut client, &uri, &comment).await;
        let item = ghost(&mut client, &uri, &comment).await;
        assert_eq!(item["insertText"], format!("\n{wanted};"), "{question}");
    }
    // What cannot be used is told, and the adapter of before goes on answering.
    let config = workspace.path("team/adapter_config.json");
    let text = std::fs::read_to_string(&config).expect("it is there");
    std::fs::write(&config, text.replace("\"use_dora\": false", "\"use_dora\": true")).expect("ours");
    let (question, wanted) = WANTED[2];
    let item = ghost(
        &mut client,
        &workspace.file_uri("f.sql"),
        &format!("-- {question}"),
    )
    .await;
    assert_eq!(item["insertText"], format!("\n{wanted};"));
    let message = client.notification("window/showMessage").await;
    assert!(
        message["message"].as_str().expect("a text").contains("uses DoRA"),
        "{message}"
    );
    client.ignore("textDocument/publishDiagnostics");
    client.ignore("window/logMessage");
    client.finish().await;
}

/// Checks that the store has what was saved.
async fn stored(client: &mut Client, workspace: &Workspace) {
    // A number that is nobody's: the reply comes when everything before is written.
    let argument = json!({ "uri": workspace.file_uri("a.sql"), "offer": 0 });
    let params = json!({ "command": "bigquill.accepted", "arguments": [argument] });
    assert_eq!(
        client.request("workspace/executeCommand", params).await,
        Ok(Value::Null)
    );
    let store = Corpus::open(&workspace.path("accepted.sqlite")).expect("a store");
    let all = store.list(&[Outcome::Edited]).expect("it is readable");
    let kept: Vec<Option<&str>> = all.iter().map(|stored| stored.completion.wanted()).collect();
    assert_eq!(kept, WANTED.map(|(_, wanted)| Some(wanted)));
}
