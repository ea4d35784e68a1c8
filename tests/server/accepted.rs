//! What is kept of completions: only where it is wanted, what was shown and taken, and how it stands in the end.

use bigquill_model::corpus::{Completion, Corpus, Outcome};
use bigquill_tests::client::Client;
use bigquill_tests::generator::Gate;
use bigquill_tests::workspace::{Workspace, fixture, rich};
use serde_json::{Value, json};

use crate::support::{at, change_with, close, edit, editor_range, open, send_open};

const QUESTION: &str = "-- number of customers per country";
const SQL: &str = "SELECT country, COUNT(*) AS customers FROM shop.customers GROUP BY country";

/// A workspace whose completions are kept in it.
fn keeping(more: &str) -> Workspace {
    let catalog = fixture("catalogs/shop.json");
    Workspace::with_config(&format!(
        "catalog = {:?}\nstore_accepted = true\nstore_file = 'kept/accepted.sqlite'\n{more}",
        catalog.display().to_string()
    ))
}

fn kept(workspace: &Workspace) -> Vec<Completion> {
    let store = Corpus::open(&workspace.path("kept/accepted.sqlite")).expect("a store");
    let all = store.list(&[]).expect("it is readable");
    all.into_iter().map(|stored| stored.completion).collect()
}

/// Asks for ghost text at the end of the first line.
async fn ghost(client: &mut Client, gate: &Gate, uri: &str, answer: Option<&str>) -> Value {
    let mut params = at(uri, 0, 34);
    params["context"] = json!({ "triggerKind": 2 });
    let id = client.send("textDocument/inlineCompletion", params).await;
    if let Some(answer) = answer {
        gate.next().await.answer(answer);
    }
    client.response(id).await.expect("items")[0].take()
}

/// Takes ghost text, as an editor does: the text, then the command.
async fn take(client: &mut Client, uri: &str, item: &Value, version: i32) {
    let text = item["insertText"].as_str().expect("a text");
    edit(client, uri, version, (0, 34, 0, 34), text).await;
    run(client, &item["command"]).await;
}

async fn run(client: &mut Client, command: &Value) {
    assert_eq!(command["command"], "bigquill.accepted");
    let reply = client.request("workspace/executeCommand", command.clone()).await;
    assert_eq!(reply, Ok(Value::Null));
}

async fn save(client: &mut Client, uri: &str) {
    client
        .notify("textDocument/didSave", json!({ "textDocument": { "uri": uri } }))
        .await;
}

async fn finish(mut client: Client) {
    client.ignore("window/logMessage");
    client.finish_but_for("textDocument/publishDiagnostics").await;
}

#[tokio::test]
async fn nothing_is_kept_unless_it_is_wanted() {
    let workspace = Workspace::with_config("store_file = 'kept/accepted.sqlite'\n");
    let (mut client, gate) = workspace.gated_client(rich()).await;
    let uri = workspace.file_uri("a.sql");
    open(&mut client, &uri, QUESTION).await;
    let item = ghost(&mut client, &gate, &uri, Some(SQL)).await;
    assert_eq!(item.get("command"), None);
    close(&mut client, &uri).await;
    client.finish().await;
    assert!(!workspace.path("kept").exists());
}

#[tokio::test]
async fn ghost_text_is_shown_taken_and_edited() {
    let workspace = keeping("");
    let (mut client, gate) = workspace.gated_client(rich()).await;
    let uri = workspace.file_uri("a.sql");
    open(&mut client, &uri, QUESTION).await;
    let item = ghost(&mut client, &gate, &uri, Some(SQL)).await;
    let logged = client.notification("window/logMessage").await;
    let text = logged["message"].as_str().expect("a text");
    assert!(text.contains("kept/accepted.sqlite"), "{text}");
    // Shown again it is the same completion.
    let again = ghost(&mut client, &gate, &uri, None).await;
    assert_eq!(again["command"], item["command"]);
    take(&mut client, &uri, &item, 2).await;
    edit(&mut client, &uri, 3, (0, 0, 0, 0), "SELECT 1;\n\n").await;
    edit(&mut client, &uri, 4, (3, 72, 3, 74), " AND country").await;
    save(&mut client, &uri).await;
    // What is changed after the last save counts, too.
    edit(&mut client, &uri, 5, (3, 7, 3, 14), "city").await;
    finish(client).await;
    let kept = kept(&workspace);
    let [completion] = kept.as_slice() else {
        panic!("one completion: {kept:#?}")
    };
    assert_eq!(completion.question, "number of customers per country");
    assert_eq!(
        (completion.generated.as_str(), completion.outcome),
        (SQL, Outcome::Edited)
    );
    let edited = "SELECT city, COUNT(*) AS customers FROM shop.customers GROUP BY count AND country";
    assert_eq!(completion.wanted(), Some(edited));
    assert_eq!(completion.proved_by.as_deref(), Some("resolver"));
    assert_eq!(completion.model, "qwen2.5-coder-0.5b");
    assert!(
        completion.tables.contains(&"shop.customers".to_owned()),
        "{completion:?}"
    );
    let roles: Vec<&str> = completion.prompt.iter().map(|said| said.role.as_str()).collect();
    assert_eq!(roles, ["system", "user"]);
    assert!(
        completion.prompt[1]
            .content
            .ends_with("Question: number of customers per country")
    );
}

#[tokio::test]
async fn what_is_not_taken_stays_shown_and_what_is_taken_away_is_rejected() {
    let workspace = keeping("");
    let (mut client, gate) = workspace.gated_client(rich()).await;
    let (first, second) = (workspace.file_uri("a.sql"), workspace.file_uri("b.sql"));
    send_open(&mut client, &first, QUESTION).await;
    let item = ghost(&mut client, &gate, &first, Some(SQL)).await;
    take(&mut client, &first, &item, 2).await;
    edit(&mut client, &first, 3, (0, 34, 1, 75), "").await;
    save(&mut client, &first).await;
    send_open(&mut client, &second, "-- names of all of the customers..").await;
    ghost(
        &mut client,
        &gate,
        &second,
        Some("SELECT name FROM shop.customers"),
    )
    .await;
    finish(client).await;
    let outcomes: Vec<Outcome> = kept(&workspace)
        .iter()
        .map(|completion| completion.outcome)
        .collect();
    assert_eq!(outcomes, [Outcome::Rejected, Outcome::Shown]);
}

#[tokio::test]
async fn an_offer_of_another_server_is_nobodys() {
    let workspace = keeping("");
    let (mut client, _gate) = workspace.gated_client(rich()).await;
    let uri = workspace.file_uri("a.sql");
    open(&mut client, &uri, QUESTION).await;
    run(
        &mut client,
        &json!({ "command": "bigquill.accepted", "arguments": [{ "uri": uri, "offer": 7 }] }),
    )
    .await;
    finish(client).await;
    assert!(!workspace.path("kept").exists());
}

/// Runs *Generate SQL*, makes the edit, and waits until the server is done with it.
async fn generate(client: &mut Client, gate: &Gate, uri: &str, version: i32, sql: &str) {
    let argument = json!({ "uri": uri, "position": { "line": 0, "character": 0 } });
    let params = json!({ "command": "bigquill.generate", "arguments": [argument] });
    client
        .request("workspace/executeCommand", params)
        .await
        .expect("a reply");
    let (id, _) = client.server_request("window/workDoneProgress/create").await;
    client.answer(id, Value::Null).await;
    gate.next().await.answer(sql);
    let (id, params) = client.server_request("workspace/applyEdit").await;
    let edits = &params["edit"]["documentChanges"][0]["edits"];
    let change = json!([{ "range": edits[0]["range"], "text": edits[0]["newText"] }]);
    change_with(client, uri, version, change).await;
    client.answer(id, json!({ "applied": true })).await;
    while client.notification("$/progress").await["value"]["kind"] != "end" {}
}

#[tokio::test]
async fn a_generated_query_is_taken_and_another_in_its_place_rejects_it() {
    let workspace = keeping("redact_literals = true\n");
    let (mut client, gate) = workspace.gated_client(rich()).await;
    let uri = workspace.file_uri("a.sql");
    open(&mut client, &uri, "-- customers of Peru\n").await;
    let sql = |name: &str| format!("SELECT name FROM shop.customers WHERE country = '{name}'");
    generate(&mut client, &gate, &uri, 2, &sql("Chile")).await;
    generate(&mut client, &gate, &uri, 3, &sql("Peru")).await;
    let place = editor_range((1, 7, 1, 11));
    change_with(&mut client, &uri, 4, json!([{ "range": place, "text": "city" }])).await;
    finish(client).await;
    let kept = kept(&workspace);
    let [first, second] = kept.as_slice() else {
        panic!("two completions: {kept:#?}")
    };
    assert_eq!(
        (first.outcome, second.outcome),
        (Outcome::Rejected, Outcome::Edited)
    );
    assert_eq!(second.question, "customers of …");
    assert_eq!(
        second.wanted(),
        Some("SELECT city FROM shop.customers WHERE country = ''")
    );
    for completion in &kept {
        assert!(!format!("{completion:?}").contains("Chile"), "{completion:?}");
    }
    assert!(!format!("{second:?}").contains("Peru"), "{second:?}");
}

#[tokio::test]
async fn a_store_that_cannot_be_written_is_told_once() {
    let workspace = keeping("");
    workspace.write("kept", "a file where a folder is wanted");
    let (mut client, gate) = workspace.gated_client(rich()).await;
    let uri = workspace.file_uri("a.sql");
    open(&mut client, &uri, QUESTION).await;
    let item = ghost(&mut client, &gate, &uri, Some(SQL)).await;
    let message = client.notification("window/showMessage").await;
    let text = message["message"].as_str().expect("a text");
    assert!(text.contains("was not kept: the store of completions"), "{text}");
    take(&mut client, &uri, &item, 2).await;
    finish(client).await;
}
