//! Pairs made from a catalog and run on made rows, in the emulator.

use std::sync::Arc;

use bigquill_analysis::schema::{CatalogSnapshot, read_resources};
use bigquill_judge::{Context, Judge, Verdict};
use bigquill_model::synthesize::{
    Check, Emulator as Made, EmulatorError, Named, Outcome, Pair, RowSet, Runner as _, Synthesizer, Weights,
};
use bigquill_tests::emulator::Emulator;
use bigquill_tests::judge::judge;
use bigquill_tests::workspace::fixture;
use serde_json::json;

const SEED: u64 = 8;

struct Googlesql(Judge);

impl Check for Googlesql {
    fn accepts(&self, sql: &str, catalog: &CatalogSnapshot) -> bool {
        matches!(
            self.0.verdict(sql, catalog, &Context::default()),
            Verdict::Accepted(_)
        )
    }
}

/// The fixtures' shop, which has a family of date shards, and a second catalog whose dataset is called the same.
fn catalogs() -> Vec<Named> {
    let shop = std::fs::read_to_string(fixture("catalogs/shop.json")).expect("a fixture");
    let other = json!({
        "tableReference": {"projectId": "p", "datasetId": "shop", "tableId": "orders"},
        "schema": {"fields": [
            {"name": "größe", "type": "STRING", "description": "small, medium or large"},
            {"name": "order", "type": "FLOAT"},
            {"name": "paid", "type": "BOOLEAN"},
        ]},
    });
    let named = |(name, text): (&str, String)| {
        let (tables, routines, errors) = read_resources(&text);
        assert!(errors.is_empty(), "{errors:?}");
        Named {
            name: name.to_owned(),
            snapshot: Arc::new(CatalogSnapshot::new(None, tables, routines)),
        }
    };
    [("shop", shop), ("other", other.to_string())].map(named).into()
}

/// The pairs behind those that there are.
fn made(emulator: &Made, count: usize, before: &[Pair]) -> Vec<Pair> {
    let weights = Weights::built_in().expect("the built-in weights");
    let mut synthesizer = Synthesizer::new(catalogs(), &weights, SEED, count).running(emulator);
    synthesizer.resume(before);
    let mut pairs = before.to_vec();
    while pairs.len() < count
        && let Some(more) = synthesizer
            .batch(&Googlesql(judge()), 2, 32)
            .expect("the emulator runs")
    {
        pairs.extend(more);
    }
    pairs.truncate(count);
    pairs
}

/// The outcomes of pairs, each run by itself.
fn run_again(emulator: &Made, pairs: &[Pair]) {
    for Named { name, snapshot } in catalogs() {
        let rows = RowSet::made(&snapshot, SEED);
        emulator.open(&rows).expect("rows");
        for pair in pairs.iter().filter(|p| p.catalog == name) {
            let sql = rows.runnable(&pair.bigquery_sql);
            let outcome = emulator
                .run(std::slice::from_ref(&sql))
                .expect("the emulator runs");
            assert!(
                matches!(outcome.as_slice(), [Outcome::Rows | Outcome::Unable(_)]),
                "{outcome:?}: {sql}"
            );
        }
    }
}

#[tokio::test]
async fn pairs_are_kept_that_give_rows_and_a_cut_run_goes_on() {
    let emulator = Emulator::start().await;
    let url = emulator.url();
    let work = move || {
        let emulator = Made::connect(&url).expect("it is an emulator");
        let pairs = made(&emulator, 40, &[]);
        assert_eq!(pairs.len(), 40);
        assert!(pairs.iter().any(|p| p.catalog == "other"));
        run_again(&emulator, &pairs);
        assert_eq!(made(&emulator, 40, &pairs[..27]), pairs);

        let rows = RowSet::made(&catalogs()[0].snapshot, SEED);
        emulator.open(&rows).expect("rows");
        let outcome = |sql: &str| {
            let outcomes = emulator.run(&["SELECT 1".to_owned(), sql.to_owned()]);
            let outcomes = outcomes.expect("the emulator runs");
            assert_eq!(outcomes[0], Outcome::Rows);
            outcomes[1].clone()
        };
        for empty in [
            "SELECT name FROM shop.customers WHERE FALSE",
            "SELECT COUNT(*) FROM shop.customers WHERE FALSE",
            "SELECT MAX(name), 0.0 FROM shop.customers WHERE FALSE",
        ] {
            assert_eq!(outcome(empty), Outcome::Empty, "{empty}");
        }
        for failing in ["SELECT nothing FROM shop.customers", "SELECT 1 / 0"] {
            assert!(matches!(outcome(failing), Outcome::Failed(_)), "{failing}");
        }
    };
    tokio::task::spawn_blocking(work).await.expect("all holds");
}

#[tokio::test]
async fn tables_of_somebody_else_are_left_alone() {
    let emulator = Emulator::start().await;
    emulator.make(&[]).await;
    let url = emulator.url();
    let work = move || {
        let emulator = Made::connect(&url).expect("it is an emulator");
        let rows = RowSet::made(&catalogs()[0].snapshot, SEED);
        let error = emulator.open(&rows).expect_err("the dataset is there");
        assert!(
            error.to_string().contains("has a dataset shop already"),
            "{error}"
        );
    };
    tokio::task::spawn_blocking(work).await.expect("all holds");
}

#[test]
fn queries_run_on_this_machine_only() {
    for remote in [
        "https://bigquery.googleapis.com",
        "http://10.0.0.7:9050",
        "https://127.0.0.1:9050",
        "http://localhost.example.com",
    ] {
        let error = Made::connect(remote).err().expect("it is not local");
        assert!(matches!(error, EmulatorError::Remote(_)), "{error}");
    }
    let absent = Made::connect("http://127.0.0.1:1")
        .err()
        .expect("nobody is there");
    assert!(
        absent.to_string().contains("bigquery-emulator --project"),
        "{absent}"
    );
    assert!(matches!(Made::connect("9050"), Err(EmulatorError::Address(_))));
}
