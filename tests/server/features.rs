//! Editor features, through the protocol: what analysis finds, at the editor's positions.

use bigquill_tests::client::Client;
use bigquill_tests::workspace::{Workspace, rich};
use serde_json::{Value, json};

use crate::support::{at, close, code, editor_range, open};

const TEXT: &str = "-- number of customers per country\nWITH named AS (\n  SELECT '😀' AS face, country FROM shop.customers\n)\nSELECT COUNT(country) FROM named;\n";

async fn opened(capabilities: Value, text: &str) -> (Workspace, Client, String) {
    let workspace = Workspace::default();
    let (mut client, _gate) = workspace.gated_client(capabilities).await;
    let uri = workspace.file_uri("a.sql");
    open(&mut client, &uri, text).await;
    (workspace, client, uri)
}

async fn finished(mut client: Client, uri: &str) {
    close(&mut client, uri).await;
    client.finish().await;
}

fn labels(list: &Value) -> Vec<&str> {
    let items = list["items"].as_array().expect("a list");
    items.iter().filter_map(|item| item["label"].as_str()).collect()
}

#[tokio::test]
async fn completion_replaces_the_name_that_is_typed() {
    let text = "SELECT '😀', coun FROM shop.customers";
    let (_workspace, mut client, uri) = opened(rich(), text).await;
    let list = client
        .request("textDocument/completion", at(&uri, 0, 17))
        .await
        .expect("a list");
    let items = list["items"].as_array().expect("a list");
    let country = items.iter().find(|item| item["label"] == "country");
    let country = country.unwrap_or_else(|| panic!("country in {:?}", labels(&list)));
    assert_eq!(
        country["textEdit"],
        json!({ "range": editor_range((0, 13, 0, 17)), "newText": "country" })
    );
    let resolved = client
        .request("completionItem/resolve", country.clone())
        .await
        .expect("an item");
    assert_eq!(&resolved, country, "there is nothing more to it");
    finished(client, &uri).await;
}

#[tokio::test]
async fn without_ghost_text_an_item_writes_the_query() {
    let workspace = Workspace::default();
    let mut capabilities = rich();
    capabilities["textDocument"]
        .as_object_mut()
        .expect("an object")
        .remove("inlineCompletion");
    let (mut client, gate) = workspace.gated_client(capabilities).await;
    let uri = workspace.file_uri("a.sql");
    open(&mut client, &uri, "-- number of customers per country").await;
    let list = client
        .request("textDocument/completion", at(&uri, 0, 34))
        .await
        .expect("a list");
    assert_eq!(labels(&list), ["Generate SQL: number of customers per country"]);
    let item = &list["items"][0];
    assert_eq!(
        item["textEdit"],
        json!({ "range": editor_range((0, 27, 0, 34)), "newText": "country" })
    );
    assert_eq!(item["command"]["command"], "bigquill.generate");
    assert!(gate.is_empty().await, "typing asks for nothing");
    let id = client.send("completionItem/resolve", item.clone()).await;
    let sql = "SELECT COUNT(*) FROM shop.customers";
    gate.next().await.answer(sql);
    let resolved = client.response(id).await.expect("an item");
    assert_eq!(
        resolved["documentation"]["value"],
        format!("```sql\n{sql};\n```\nproved by the resolver")
    );
    finished(client, &uri).await;
}

#[tokio::test]
async fn with_ghost_text_there_is_no_such_item() {
    let (_workspace, mut client, uri) = opened(rich(), "-- number of customers per country").await;
    let list = client
        .request("textDocument/completion", at(&uri, 0, 34))
        .await
        .expect("a list");
    assert_eq!(labels(&list), Vec::<&str>::new());
    finished(client, &uri).await;
}

#[tokio::test]
async fn hover_and_signatures() {
    let (_workspace, mut client, uri) = opened(rich(), TEXT).await;
    let hover = client
        .request("textDocument/hover", at(&uri, 2, 23))
        .await
        .expect("a hover");
    assert_eq!(hover["range"], editor_range((2, 23, 2, 30)));
    assert!(
        hover["contents"]["value"]
            .as_str()
            .expect("text")
            .contains("STRING"),
        "{hover}"
    );
    assert_eq!(
        client.request("textDocument/hover", at(&uri, 3, 0)).await,
        Ok(Value::Null)
    );
    let help = client
        .request("textDocument/signatureHelp", at(&uri, 4, 13))
        .await
        .expect("help");
    assert!(
        help["signatures"][0]["label"]
            .as_str()
            .expect("text")
            .starts_with("COUNT("),
        "{help}"
    );
    finished(client, &uri).await;
}

#[tokio::test]
async fn outline_nested_and_flat() {
    for nested in [true, false] {
        let mut capabilities = rich();
        capabilities["textDocument"]["documentSymbol"]["hierarchicalDocumentSymbolSupport"] = json!(nested);
        let (_workspace, mut client, uri) = opened(capabilities, TEXT).await;
        let params = json!({ "textDocument": { "uri": uri } });
        let symbols = client
            .request("textDocument/documentSymbol", params.clone())
            .await
            .expect("symbols");
        let text = symbols.to_string();
        assert!(text.contains("\"named\""), "{symbols:#}");
        assert_eq!(text.contains("containerName"), !nested, "{symbols:#}");
        assert_eq!(text.contains("children"), nested, "{symbols:#}");
        let folds = client
            .request("textDocument/foldingRange", params)
            .await
            .expect("regions");
        let whole = folds
            .as_array()
            .expect("a list")
            .iter()
            .find(|fold| fold["endLine"] == 4);
        assert_eq!(whole.map(|fold| &fold["startLine"]), Some(&json!(1)), "{folds:#}");
        finished(client, &uri).await;
    }
}

#[tokio::test]
async fn definition_references_and_rename() {
    let (_workspace, mut client, uri) = opened(rich(), TEXT).await;
    let definition = client
        .request("textDocument/definition", at(&uri, 4, 29))
        .await
        .expect("a place");
    assert_eq!(
        definition,
        json!({ "uri": uri, "range": editor_range((1, 5, 1, 10)) })
    );
    for (with_definition, count) in [(true, 2), (false, 1)] {
        let mut params = at(&uri, 4, 29);
        params["context"] = json!({ "includeDeclaration": with_definition });
        let places = client
            .request("textDocument/references", params)
            .await
            .expect("places");
        assert_eq!(places.as_array().map(Vec::len), Some(count), "{places:#}");
    }
    let here = client
        .request("textDocument/prepareRename", at(&uri, 4, 29))
        .await;
    assert_eq!(here, Ok(editor_range((4, 27, 4, 32))));
    let mut params = at(&uri, 4, 29);
    params["newName"] = json!("all customers");
    let edit = client
        .request("textDocument/rename", params)
        .await
        .expect("an edit");
    let change = &edit["documentChanges"][0];
    assert_eq!(change["textDocument"]["version"], 1);
    let edits = change["edits"].as_array().expect("a list");
    assert_eq!(edits.len(), 2);
    assert!(
        edits.iter().all(|edit| edit["newText"] == "`all customers`"),
        "{edit:#}"
    );
    let mut params = at(&uri, 2, 44);
    params["newName"] = json!("x");
    assert_eq!(
        code(client.request("textDocument/rename", params).await),
        -32803,
        "a table is not ours to rename"
    );
    finished(client, &uri).await;
}
