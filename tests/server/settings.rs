//! Settings, catalog and model: what is wrong with them is said once and clearly, and the server goes on.

use std::sync::Arc;

use bigquill::models::OpenError;
use bigquill::session::ModelSource;
use bigquill_tests::client::Client;
use bigquill_tests::generator::{Broken, Fetchable, Ready, gated};
use bigquill_tests::workspace::{Workspace, fixture, options, rich};
use serde_json::{Value, json};

use crate::support::{close, edit, findings_until, open};

fn idle() -> Arc<dyn ModelSource> {
    Arc::new(Ready(gated().0))
}

async fn shown(client: &mut Client) -> String {
    let message = client.notification("window/showMessage").await;
    message["message"].as_str().expect("text").to_owned()
}

async fn ask_for_sql(client: &mut Client, uri: &str) {
    let argument = json!({ "uri": uri, "position": { "line": 0, "character": 0 } });
    let params = json!({ "command": "bigquill.generate", "arguments": [argument] });
    assert_eq!(
        client.request("workspace/executeCommand", params).await,
        Ok(Value::Null)
    );
}

fn without_progress() -> Value {
    let mut capabilities = rich();
    capabilities["window"] = json!({});
    capabilities
}

#[tokio::test]
async fn unknown_keys_are_named_once_wherever_they_stand() {
    let catalog = fixture("catalogs/shop.json");
    let workspace = Workspace::with_config(&format!(
        "catalog = {:?}\ncatalogue = 1\n",
        catalog.display().to_string()
    ));
    let mut client = Client::in_memory(options(idle()));
    let mut params = workspace.initialize_params(rich());
    params["initializationOptions"] = json!({ "modell": "x" });
    client.initialize(params).await;
    let mut messages = [shown(&mut client).await, shown(&mut client).await];
    messages.sort_by_key(|message| message.contains("modell"));
    assert!(
        messages[0].contains("catalogue") && messages[0].contains("bigquill.toml:2"),
        "{messages:?}"
    );
    assert!(messages[1].contains("modell"), "{messages:?}");
    let uri = workspace.file_uri("a.sql");
    assert_eq!(
        open(&mut client, &uri, "SELECT countr FROM shop.customers")
            .await
            .len(),
        1
    );
    close(&mut client, &uri).await;
    client.finish().await;
}

#[tokio::test]
async fn a_broken_line_of_the_catalog_is_told_and_the_rest_is_used() {
    let workspace = Workspace::with_config("catalog = \"tables.jsonl\"\n");
    let table = |name: &str, column: &str| {
        json!({
            "tableReference": { "projectId": "p", "datasetId": "d", "tableId": name },
            "type": "TABLE",
            "schema": { "fields": [{ "name": column, "type": "STRING", "mode": "NULLABLE" }] },
        })
    };
    let lines = format!(
        "{}\n{{\"tableReference\":\n{}\n",
        table("one", "a"),
        table("two", "b")
    );
    std::fs::write(workspace.path("tables.jsonl"), lines).expect("the folder is ours");
    let mut client = workspace.client(idle(), rich()).await;
    let message = shown(&mut client).await;
    assert!(message.contains("tables.jsonl:2"), "{message}");
    let uri = workspace.file_uri("a.sql");
    let found = open(
        &mut client,
        &uri,
        "SELECT a FROM d.one;\nSELECT b FROM d.two;\nSELECT c FROM d.two;",
    )
    .await;
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0]["range"]["start"]["line"], 2);
    close(&mut client, &uri).await;
    client.finish().await;
}

#[tokio::test]
async fn a_missing_catalog_and_a_missing_configuration_are_told() {
    let workspace = Workspace::with_config("catalog = \"nowhere.json\"\n");
    let mut client = workspace.client(idle(), rich()).await;
    let message = shown(&mut client).await;
    assert!(message.contains("nowhere.json"), "{message}");
    let uri = workspace.file_uri("a.sql");
    assert_eq!(
        open(&mut client, &uri, "SELECT a FROM d.one;").await,
        Vec::<Value>::new()
    );
    close(&mut client, &uri).await;
    client.finish().await;
}

#[tokio::test]
async fn a_changed_catalog_is_read_again() {
    let workspace = Workspace::with_config("catalog = \"tables.json\"\n");
    std::fs::copy(fixture("catalogs/gender_gap.json"), workspace.path("tables.json")).expect("a copy");
    let mut capabilities = rich();
    capabilities["workspace"]["didChangeWatchedFiles"] = json!({ "dynamicRegistration": true });
    let mut client = workspace.client(idle(), capabilities).await;
    let mut watched = String::new();
    for _ in 0..2 {
        let (id, params) = client.server_request("client/registerCapability").await;
        client.answer(id, Value::Null).await;
        watched.push_str(&params.to_string());
    }
    assert!(watched.contains("**/bigquill.toml"), "{watched}");
    assert!(watched.contains("tables.json"), "{watched}");
    let uri = workspace.file_uri("a.sql");
    let found = open(&mut client, &uri, "SELECT countr FROM shop.customers").await;
    assert_eq!(found[0]["code"], "unknown-table");
    // In one step, as tools write files: the server looks at the files of its catalog when a document is opened, too,
    // and would see a half-written one.
    std::fs::copy(fixture("catalogs/shop.json"), workspace.path("next.json")).expect("a copy");
    std::fs::rename(workspace.path("next.json"), workspace.path("tables.json")).expect("the folder is ours");
    let changes = json!([{ "uri": workspace.file_uri("tables.json"), "type": 2 }]);
    client
        .notify("workspace/didChangeWatchedFiles", json!({ "changes": changes }))
        .await;
    findings_until(&mut client, &uri, 1, |found| {
        found
            .first()
            .is_some_and(|finding| finding["code"] == "unknown-column")
    })
    .await;
    close(&mut client, &uri).await;
    client.finish().await;
}

#[tokio::test]
async fn the_editors_configuration_is_asked_for_and_followed() {
    let workspace = Workspace::with_config("");
    let mut capabilities = rich();
    capabilities["workspace"]["configuration"] = json!(true);
    let mut client = Client::in_memory(options(idle()));
    client.initialize(workspace.initialize_params(capabilities)).await;
    let (id, params) = client.server_request("workspace/configuration").await;
    assert_eq!(params["items"], json!([{ "section": "bigquill" }]));
    let catalog = fixture("catalogs/shop.json").display().to_string();
    client
        .answer(id, json!([{ "catalog": catalog, "model": null }]))
        .await;
    let uri = workspace.file_uri("a.sql");
    let found = open(&mut client, &uri, "SELECT countr FROM shop.customers").await;
    assert_eq!(found[0]["code"], "unknown-column");
    client
        .notify("workspace/didChangeConfiguration", json!({ "settings": null }))
        .await;
    let (id, _) = client.server_request("workspace/configuration").await;
    let catalog = fixture("catalogs/gender_gap.json").display().to_string();
    client.answer(id, json!([{ "catalog": [catalog] }])).await;
    findings_until(&mut client, &uri, 1, |found| {
        found
            .first()
            .is_some_and(|finding| finding["code"] == "unknown-table")
    })
    .await;
    close(&mut client, &uri).await;
    client.finish().await;
}

#[tokio::test]
async fn a_pushed_configuration_is_followed() {
    let workspace = Workspace::with_config("");
    let mut client = workspace.client(idle(), rich()).await;
    let uri = workspace.file_uri("a.sql");
    assert_eq!(
        open(&mut client, &uri, "SELECT countr FROM shop.customers").await,
        Vec::<Value>::new()
    );
    let catalog = fixture("catalogs/shop.json").display().to_string();
    let settings = json!({ "python": { "path": "x" }, "bigquill": { "catalog": catalog } });
    client
        .notify(
            "workspace/didChangeConfiguration",
            json!({ "settings": settings }),
        )
        .await;
    findings_until(&mut client, &uri, 1, |found| {
        found
            .first()
            .is_some_and(|finding| finding["code"] == "unknown-column")
    })
    .await;
    close(&mut client, &uri).await;
    client.finish().await;
}

#[tokio::test]
async fn a_model_that_cannot_be_loaded_is_told_and_the_server_goes_on() {
    let workspace = Workspace::default();
    let broken = Broken(OpenError::Failed("the file is cut off; fetch it again".into()));
    let mut client = workspace.client(Arc::new(broken), without_progress()).await;
    assert_eq!(shown(&mut client).await, "the file is cut off; fetch it again");
    let uri = workspace.file_uri("a.sql");
    open(&mut client, &uri, "-- number of customers per country\n").await;
    // Unasked it is not said again; the person who asks is told again.
    let mut params = crate::support::at(&uri, 0, 34);
    params["context"] = json!({ "triggerKind": 2 });
    assert_eq!(
        client.request("textDocument/inlineCompletion", params).await,
        Ok(Value::Null)
    );
    ask_for_sql(&mut client, &uri).await;
    assert_eq!(shown(&mut client).await, "the file is cut off; fetch it again");
    close(&mut client, &uri).await;
    client.finish().await;
}

#[tokio::test]
async fn a_missing_model_is_offered_fetched_and_used() {
    let workspace = Workspace::default();
    let (generator, gate) = gated();
    let mut client = workspace
        .client(Arc::new(Fetchable::new(generator)), rich())
        .await;
    let uri = workspace.file_uri("a.sql");
    open(&mut client, &uri, "-- number of customers per country\n").await;
    ask_for_sql(&mut client, &uri).await;
    let (id, create) = client.server_request("window/workDoneProgress/create").await;
    client.answer(id, Value::Null).await;
    let (id, params) = client.server_request("window/showMessageRequest").await;
    assert_eq!(params["actions"][0]["title"], "Download (3 MB)");
    assert!(params["message"].as_str().expect("text").contains("small"));
    client.answer(id, params["actions"][0].clone()).await;
    let (id, download) = client.server_request("window/workDoneProgress/create").await;
    client.answer(id, Value::Null).await;
    gate.next().await.answer("SELECT country FROM shop.customers");
    let (id, _) = client.server_request("workspace/applyEdit").await;
    edit(
        &mut client,
        &uri,
        2,
        (0, 34, 0, 34),
        "\nSELECT country FROM shop.customers;",
    )
    .await;
    client.answer(id, json!({ "applied": true })).await;
    let (mut percentages, mut endings) = (Vec::new(), 0);
    while endings < 2 {
        let progress = client.notification("$/progress").await;
        if progress["token"] == download["token"] && progress["value"]["kind"] == "report" {
            percentages.push(progress["value"]["percentage"].clone());
        }
        endings += i32::from(progress["value"]["kind"] == "end");
    }
    assert_eq!(percentages, [33, 66, 100]);
    assert_ne!(create["token"], download["token"]);
    close(&mut client, &uri).await;
    client.finish().await;
}

#[tokio::test]
async fn a_refused_download_leaves_everything_as_it_is() {
    let workspace = Workspace::default();
    let missing = Broken(OpenError::Missing {
        name: "small".into(),
        bytes: 491_000_000,
    });
    let mut client = workspace.client(Arc::new(missing), without_progress()).await;
    let uri = workspace.file_uri("a.sql");
    open(&mut client, &uri, "-- number of customers per country\n").await;
    for answer in [Value::Null, json!({ "title": "Not now" })] {
        ask_for_sql(&mut client, &uri).await;
        let (id, params) = client.server_request("window/showMessageRequest").await;
        assert_eq!(params["actions"][0]["title"], "Download (491 MB)");
        client.answer(id, answer).await;
    }
    // A client that cannot ask is a refusal too; a failed download is told.
    ask_for_sql(&mut client, &uri).await;
    let (id, _) = client.server_request("window/showMessageRequest").await;
    client.refuse(id, "no such method").await;
    ask_for_sql(&mut client, &uri).await;
    let (id, params) = client.server_request("window/showMessageRequest").await;
    client.answer(id, params["actions"][0].clone()).await;
    assert!(shown(&mut client).await.contains("there is no network"));
    close(&mut client, &uri).await;
    client.finish().await;
}
