//! How long an editor waits: from a keystroke to its findings, and for a completion list, through the whole server
//! (messages, documents, analysis) in this process. The file has 2,000 lines and a hundred statements.
//!
//! `cargo bench -p bigquill-tests --bench keystroke`

#![expect(clippy::print_stdout, reason = "a bench prints its table")]

use std::time::{Duration, Instant};

use bigquill_tests::client::Client;
use bigquill_tests::workspace::{Workspace, rich};
use serde_json::json;

const STATEMENTS: u32 = 100;
const LINES: u32 = 20;
const KEYSTROKES: u32 = 1000;

/// Twenty lines over the shop's tables; the second line is typed into.
fn statement(number: u32) -> String {
    format!(
        "-- report {number}\nSELECT c.country, \n  c.name,\n  COUNT(DISTINCT o.order_id) AS orders,\n  \
         SUM(i.quantity * i.unit_price) AS revenue,\n  MAX(o.ordered_at) AS last_order,\n  \
         AVG(i.unit_price) AS price,\n  MIN(o.ordered_at) AS first_order,\n  ANY_VALUE(c.email) AS email\n\
         FROM shop.customers AS c\nJOIN shop.orders AS o\n  ON o.customer_id = c.customer_id\n\
         CROSS JOIN UNNEST(o.items) AS i\nWHERE o.status = 'delivered'\n  AND c.country IS NOT NULL\n\
         GROUP BY c.country, c.name\nHAVING COUNT(*) > {number}\nORDER BY revenue DESC\nLIMIT 10;\n\n"
    )
}

#[tokio::main]
async fn main() {
    let text: String = (0..STATEMENTS).map(statement).collect();
    assert_eq!(text.lines().count(), (STATEMENTS * LINES) as usize);
    let workspace = Workspace::default();
    let (mut client, _gate) = workspace.gated_client(rich()).await;
    let uri = workspace.file_uri("report.sql");
    let begin = Instant::now();
    let document = json!({ "uri": uri, "languageId": "sql", "version": 1, "text": text });
    client
        .notify("textDocument/didOpen", json!({ "textDocument": document }))
        .await;
    let published = client.notification("textDocument/publishDiagnostics").await;
    println!(
        "first findings of {STATEMENTS} statements: {:.1} ms",
        millis(begin.elapsed())
    );
    println!(
        "findings in the file: {}",
        published["diagnostics"].as_array().map_or(0, Vec::len)
    );

    let (mut findings, mut completions) = (Vec::new(), Vec::new());
    let typed = ["c", ".", "e", "m", "a", "i", "l", ",", " "];
    let mut version = 1;
    for keystroke in 0..KEYSTROKES {
        let line = 1 + LINES * (keystroke / u32::try_from(typed.len()).unwrap_or(1) * 37 % STATEMENTS);
        let at = keystroke as usize % typed.len();
        let character = 18 + u32::try_from(at).unwrap_or(0);
        version += 1;
        let begin = Instant::now();
        change(
            &mut client,
            &uri,
            version,
            (line, character, line, character),
            typed[at],
        )
        .await;
        loop {
            let published = client.notification("textDocument/publishDiagnostics").await;
            if published["version"] == version {
                break;
            }
        }
        findings.push(begin.elapsed());
        let begin = Instant::now();
        let position = json!({ "line": line, "character": character + 1 });
        let params = json!({ "textDocument": { "uri": uri }, "position": position });
        client
            .request("textDocument/completion", params)
            .await
            .expect("a list");
        completions.push(begin.elapsed());
        if at + 1 == typed.len() {
            version += 1;
            change(&mut client, &uri, version, (line, 18, line, character + 1), "").await;
            client.notification("textDocument/publishDiagnostics").await;
        }
    }
    println!("\n| of {KEYSTROKES} | p50 ms | p99 ms | worst ms |\n|---|---|---|---|");
    row("keystroke to findings", findings);
    row("completion", completions);
    client.drain();
    client.finish().await;
}

async fn change(client: &mut Client, uri: &str, version: u32, range: (u32, u32, u32, u32), text: &str) {
    let (a, b, c, d) = range;
    let range = json!({ "start": { "line": a, "character": b }, "end": { "line": c, "character": d } });
    let changes = json!([{ "range": range, "text": text }]);
    let params = json!({ "textDocument": { "uri": uri, "version": version }, "contentChanges": changes });
    client.notify("textDocument/didChange", params).await;
}

fn row(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |share: usize| millis(times[(times.len() * share / 100).min(times.len() - 1)]);
    println!("| {what} | {:.2} | {:.2} | {:.2} |", at(50), at(99), at(100));
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
