//! How long an editor waits: from a keystroke to its findings, for a completion list, and to GoogleSQL's verdict, through
//! the whole server (messages, documents, analysis) in this process. The file has 2,000 lines and a hundred statements.
//!
//! `BIGQUILL_TEST_MODELS=DIR cargo bench -p bigquill-tests --bench keystroke`

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

/// What is typed into a statement, key by key, before it is taken back.
const TYPED: [&str; 9] = ["c", ".", "e", "m", "a", "i", "l", ",", " "];

#[tokio::main]
async fn main() {
    let text: String = (0..STATEMENTS).map(statement).collect();
    assert_eq!(text.lines().count(), (STATEMENTS * LINES) as usize);
    without_judge(&text).await;
    with_judge(&text).await;
}

/// Line and character of a keystroke.
fn place(keystroke: u32) -> (u32, u32, usize) {
    let keys = u32::try_from(TYPED.len()).unwrap_or(1);
    let line = 1 + LINES * (keystroke / keys * 37 % STATEMENTS);
    let at = keystroke % keys;
    (line, 18 + at, at as usize)
}

/// Publishes findings, as to a client that does not pull them: the resolver's.
async fn without_judge(text: &str) {
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
    let mut version = 1;
    for keystroke in 0..KEYSTROKES {
        let (line, character, at) = place(keystroke);
        version += 1;
        let begin = Instant::now();
        type_key(&mut client, &uri, version, keystroke).await;
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
        if at + 1 == TYPED.len() {
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

/// Hands findings out to a client that pulls them, with GoogleSQL's verdict in them.
async fn with_judge(text: &str) {
    let before = resident_megabytes();
    let begin = Instant::now();
    let _ = bigquill_tests::judge::judge();
    println!("\nGoogleSQL opened in {:.1} ms", millis(begin.elapsed()));
    let workspace = Workspace::default();
    let mut capabilities = rich();
    capabilities["textDocument"]["diagnostic"] = json!({});
    capabilities["workspace"]["diagnostics"] = json!({ "refreshSupport": true });
    let (mut client, _gate) = workspace.judged_client(capabilities).await;
    let uri = workspace.file_uri("report.sql");
    // A type error in the last statement tells when all are judged.
    let wrong = format!("{text}SELECT customer_id || 1.5 > '' AND name FROM shop.customers;\n");
    let document = json!({ "uri": uri, "languageId": "sql", "version": 1, "text": wrong });
    let begin = Instant::now();
    client
        .notify("textDocument/didOpen", json!({ "textDocument": document }))
        .await;
    while pull(&mut client, &uri).await == 0 {
        let (id, _) = client.server_request("workspace/diagnostic/refresh").await;
        client.answer(id, json!(null)).await;
    }
    println!(
        "first verdict on each of {STATEMENTS} statements: {:.1} ms",
        millis(begin.elapsed())
    );
    let mut verdicts = Vec::new();
    let mut version = 1;
    for keystroke in 0..KEYSTROKES {
        let (line, character, at) = place(keystroke);
        version += 1;
        let begin = Instant::now();
        type_key(&mut client, &uri, version, keystroke).await;
        pull(&mut client, &uri).await;
        verdicts.push(begin.elapsed());
        if at + 1 == TYPED.len() {
            version += 1;
            change(&mut client, &uri, version, (line, 18, line, character + 1), "").await;
            pull(&mut client, &uri).await;
        }
    }
    println!("\n| of {KEYSTROKES} | p50 ms | p99 ms | worst ms |\n|---|---|---|---|");
    row("keystroke to GoogleSQL's verdict", verdicts);
    println!(
        "memory: {before} MB before GoogleSQL was opened, {} MB now",
        resident_megabytes()
    );
    client.drain();
    client.finish().await;
}

/// Asks for the findings, with the verdicts; how many there are.
async fn pull(client: &mut Client, uri: &str) -> usize {
    let params = json!({ "textDocument": { "uri": uri } });
    let report = client.request("textDocument/diagnostic", params).await;
    report.expect("a report")["items"].as_array().map_or(0, Vec::len)
}

/// Memory of this process, on Linux; 0 elsewhere.
fn resident_megabytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|n| n.parse::<u64>().ok());
    pages.unwrap_or(0) * 4096 / 1_000_000
}

/// Types the key of a keystroke.
async fn type_key(client: &mut Client, uri: &str, version: u32, keystroke: u32) {
    let (line, character, at) = place(keystroke);
    change(
        client,
        uri,
        version,
        (line, character, line, character),
        TYPED[at],
    )
    .await;
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
