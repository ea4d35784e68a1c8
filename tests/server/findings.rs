//! Findings where the editor shows them, and their fixes.

use bigquill_tests::workspace::{Workspace, rich};
use serde_json::{Value, json};

use crate::support::{close, edit, editor_range, findings, open};

#[tokio::test]
async fn a_finding_behind_wide_characters_has_its_place_in_each_encoding() {
    // tab, emoji, decomposed é, CRLF above
    let text = "-- 😀\r\n\tSELECT '😀e\u{301}表' AS a, countr\r\nFROM shop.customers;\r\n";
    for (encoding, start) in [("utf-16", 22), ("utf-8", 27), ("utf-32", 21)] {
        let workspace = Workspace::default();
        let mut capabilities = rich();
        capabilities["general"]["positionEncodings"] = json!([encoding]);
        let (mut client, _gate) = workspace.gated_client(capabilities).await;
        let uri = workspace.file_uri("a.sql");
        let found = open(&mut client, &uri, text).await;
        assert_eq!(found.len(), 1, "{found:#?}");
        assert_eq!(
            found[0]["range"],
            editor_range((1, start, 1, start + 6)),
            "{encoding}"
        );
        assert_eq!(found[0]["source"], "bigquill");
        assert_eq!(found[0]["severity"], 1);
        close(&mut client, &uri).await;
        client.finish().await;
    }
}

#[tokio::test]
async fn a_fix_is_offered_and_is_an_edit_of_this_version() {
    let workspace = Workspace::default();
    let (mut client, _gate) = workspace.gated_client(rich()).await;
    let uri = workspace.file_uri("a.sql");
    let found = open(&mut client, &uri, "SELECT countr FROM shop.customers").await;
    let params = json!({
        "textDocument": { "uri": uri },
        "range": found[0]["range"],
        "context": { "diagnostics": found, "only": ["quickfix"] },
    });
    let actions = client
        .request("textDocument/codeAction", params)
        .await
        .expect("actions");
    let action = actions
        .as_array()
        .expect("a list")
        .iter()
        .find(|a| a["isPreferred"] == true);
    let action = action.unwrap_or_else(|| panic!("a preferred fix in {actions:#}"));
    assert_eq!(action["kind"], "quickfix");
    assert_eq!(action["diagnostics"][0]["code"], "unknown-column");
    let change = &action["edit"]["documentChanges"][0];
    assert_eq!(change["textDocument"], json!({ "uri": uri, "version": 1 }));
    assert_eq!(
        change["edits"],
        json!([{ "range": editor_range((0, 7, 0, 13)), "newText": "country" }])
    );
    edit(&mut client, &uri, 2, (0, 7, 0, 13), "country").await;
    assert_eq!(findings(&mut client, &uri, 2).await, Vec::<Value>::new());
    close(&mut client, &uri).await;
    client.finish().await;
}

#[tokio::test]
async fn a_client_that_pulls_is_not_pushed_at() {
    let workspace = Workspace::default();
    let mut capabilities = rich();
    capabilities["textDocument"]["diagnostic"] = json!({});
    capabilities["workspace"]["diagnostics"] = json!({ "refreshSupport": true });
    let (mut client, _gate) = workspace.gated_client(capabilities).await;
    let (id, _) = client.server_request("workspace/diagnostic/refresh").await;
    client.answer(id, Value::Null).await;
    let uri = workspace.file_uri("a.sql");
    crate::support::send_open(&mut client, &uri, "SELECT countr FROM shop.customers").await;
    let params = json!({ "textDocument": { "uri": uri } });
    let report = client
        .request("textDocument/diagnostic", params)
        .await
        .expect("a report");
    assert_eq!(report["kind"], "full");
    assert_eq!(report["items"][0]["code"], "unknown-column");
    client.finish().await;
}

#[tokio::test]
async fn ten_thousand_lines() {
    let workspace = Workspace::default();
    let (mut client, _gate) = workspace.gated_client(rich()).await;
    let uri = workspace.file_uri("a.sql");
    let statement = "SELECT\n  country,\n  COUNT(*) AS customers\nFROM shop.customers\nGROUP BY country;\n";
    let text = statement.repeat(2000);
    assert_eq!(open(&mut client, &uri, &text).await, Vec::<Value>::new());
    edit(&mut client, &uri, 2, (9_996, 2, 9_996, 9), "countr").await;
    let found = findings(&mut client, &uri, 2).await;
    assert!(
        found
            .iter()
            .any(|f| f["range"] == editor_range((9_996, 2, 9_996, 8))),
        "{found:#?}"
    );
    close(&mut client, &uri).await;
    client.finish().await;
}
