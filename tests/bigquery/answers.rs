//! Generated statements and BigQuery's dry run, the last step of every answer where a connection stands.

use std::sync::Arc;
use std::time::Duration;

use bigquill::bigquery::BigQuery;
use bigquill::catalog::read_catalog_text;
use bigquill::pipeline::{self, Answer, DryRunStep, Options, ProvedBy, Repair, Request};
use bigquill::settings::Settings;
use bigquill_analysis::schema::CatalogSnapshot;
use bigquill_tests::emulator::{Emulator, PROJECT};
use bigquill_tests::fault_server::{FaultServer, Reply};
use bigquill_tests::generator::gated;
use serde_json::{Value, json};

use crate::support::{connect, impatient, shop};

/// The answer to a question over the fixtures' catalog, of a model that writes these texts; and what it was told.
async fn answer(step: DryRunStep, texts: &[&str]) -> (Answer, Vec<String>) {
    let text = serde_json::to_string(&shop()).expect("JSON");
    let (tables, routines, problems) = read_catalog_text(&text);
    assert_eq!(problems, []);
    let request = Request {
        question: "names of customers".to_owned(),
        evidence: None,
        snapshot: Arc::new(CatalogSnapshot::new(Some(PROJECT.to_owned()), tables, routines)),
        judge: None,
        dry_run: Some(step),
        options: Options::from_settings(&Settings::default()),
    };
    let (generator, gate) = gated();
    let mut ignore = |_: pipeline::Progress<'_>| {};
    let mut work = std::pin::pin!(pipeline::complete(&request, generator.as_ref(), &mut ignore));
    let (mut texts, mut prompts) = (texts.iter(), Vec::new());
    loop {
        tokio::select! {
            answer = &mut work => {
                assert_eq!(texts.next(), None, "every text is asked for");
                return (answer.expect("an answer"), prompts);
            }
            call = gate.next() => {
                prompts.push(call.prompt());
                call.answer(texts.next().expect("a text for every request"));
            }
        }
    }
}

async fn step_of(emulator: &Emulator) -> DryRunStep {
    let bigquery = BigQuery::connect_with(&emulator.settings(), &impatient()).await;
    DryRunStep::new(Arc::new(bigquery.expect("an address")), &Settings::default())
}

fn messages(answer: &Answer) -> Vec<&str> {
    answer.diagnostics.iter().map(|d| d.message.as_str()).collect()
}

#[tokio::test]
async fn what_bigquery_takes_is_proved_by_it_and_has_its_bytes() {
    let emulator = Emulator::start().await;
    emulator.make(&shop()).await;
    let (answer, _) = answer(step_of(&emulator).await, &["SELECT name FROM shop.customers"]).await;
    assert_eq!(answer.proved_by, Some(ProvedBy::DryRun), "{answer:?}");
    assert!(answer.bytes_processed.is_some());
    assert_eq!(answer.proof(), "proved by BigQuery's dry run");
}

#[tokio::test]
async fn what_bigquery_refuses_is_repaired_with_its_words() {
    let emulator = Emulator::start().await;
    // The catalog is older than the table.
    let mut tables = shop();
    let customers = tables
        .iter_mut()
        .find(|t| t["tableReference"]["tableId"] == "customers");
    let fields = customers.expect("the shop has customers")["schema"]["fields"].as_array_mut();
    fields
        .expect("columns")
        .retain(|field| field["name"] != json!("email"));
    emulator.make(&tables).await;
    let stale = "SELECT email FROM shop.customers";
    let texts = [stale, "SELECT name FROM shop.customers"];
    let (repaired, prompts) = answer(step_of(&emulator).await, &texts).await;
    assert_eq!(repaired.proved_by, Some(ProvedBy::DryRun), "{repaired:?}");
    assert_eq!(repaired.repairs, [Repair::AskedAgain(1)]);
    assert!(prompts[1].contains("Unrecognized name: email"), "{}", prompts[1]);

    let (reported, _) = answer(step_of(&emulator).await, &[stale, stale, stale]).await;
    assert!(
        !reported.proved && reported.bytes_processed.is_none(),
        "{reported:?}"
    );
    assert!(
        messages(&reported)[0].contains("Unrecognized name: email"),
        "{reported:?}"
    );
    assert_eq!(&stale[reported.diagnostics[0].range.clone()], "email");
    let text = reported.text("").expect("it is one query");
    assert!(text.contains("not proved: Unrecognized name: email"), "{text}");
}

#[tokio::test]
async fn a_refusal_that_no_sql_mends_is_reported_at_once() {
    let server = FaultServer::start().await;
    let denied = "Access Denied: Table acme-analytics:shop.customers: User does not have permission";
    server.on("/jobs", [Reply::error(403, "accessDenied", denied)]);
    let step = DryRunStep::new(
        Arc::new(connect(&server, &impatient()).await),
        &Settings::default(),
    );
    let (answer, _) = answer(step, &["SELECT name FROM shop.customers"]).await;
    assert!(
        !answer.proved && messages(&answer)[0].contains("Access Denied"),
        "{answer:?}"
    );
}

#[tokio::test]
async fn a_bigquery_that_does_not_answer_changes_nothing() {
    let server = FaultServer::start().await;
    for reply in [Reply::error(503, "backendError", "down"), Reply::Stalled] {
        server.forget();
        server.on("/jobs", [reply]);
        let bigquery = Arc::new(connect(&server, &impatient()).await);
        let step = DryRunStep::new(bigquery, &Settings::default()).within(Duration::from_millis(200));
        let (answer, _) = answer(step, &["SELECT name FROM shop.customers"]).await;
        assert_eq!(answer.proved_by, Some(ProvedBy::Resolver), "{answer:?}");
        assert_eq!(answer.bytes_processed, None);
    }
}

#[tokio::test]
async fn nothing_but_one_query_is_sent() {
    let server = FaultServer::start().await;
    let job: Value = json!({"statistics": {"query": {"totalBytesProcessed": "7"}}});
    server.on("/jobs", [Reply::json(&job)]);
    let bigquery = Arc::new(connect(&server, &impatient()).await);
    let drop = "DROP TABLE shop.customers";
    let (refused, _) = answer(
        DryRunStep::new(Arc::clone(&bigquery), &Settings::default()),
        &[drop, drop, drop],
    )
    .await;
    assert!(refused.refused, "{refused:?}");
    assert_eq!(server.received().len(), 0);
    let (taken, _) = answer(
        DryRunStep::new(bigquery, &Settings::default()),
        &["SELECT name FROM shop.customers"],
    )
    .await;
    assert_eq!(taken.bytes_processed, Some(7));
    let sent: Value = serde_json::from_str(&server.received()[0].body).expect("a job");
    assert_eq!(sent["configuration"]["dryRun"], json!(true));
}

#[tokio::test]
async fn what_reads_too_much_is_shown_with_the_reason() {
    let server = FaultServer::start().await;
    let job = json!({"statistics": {"query": {"totalBytesProcessed": "1319413953331"}}});
    server.on("/jobs", [Reply::json(&job)]);
    let bigquery = Arc::new(connect(&server, &impatient()).await);
    let step = DryRunStep::new(bigquery, &Settings::default());
    let (answer, _) = answer(step, &["SELECT name FROM shop.customers"]).await;
    assert_eq!(answer.proved_by, Some(ProvedBy::DryRun), "{answer:?}");
    assert_eq!(
        answer.text("").as_deref(),
        Some(
            "SELECT /* it would read 1.2 TiB, 7.50 USD, over the limit of 100 GiB; read less, or raise \
             `maximum_bytes_billed` */ name FROM shop.customers;"
        )
    );
}
