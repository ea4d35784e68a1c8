//! What these tests share.

use std::time::Duration;

use bigquill::bigquery::{BigQuery, BigQueryError, ConnectOptions};
use bigquill::settings::Settings;
use bigquill_tests::emulator::PROJECT;
use bigquill_tests::fault_server::FaultServer;
use bigquill_tests::workspace::{Workspace, fixture};
use serde_json::{Value, json};

/// The tables of the fixtures' shop; its date-sharded family as two days of it.
pub(crate) fn shop() -> Vec<Value> {
    let text = std::fs::read_to_string(fixture("catalogs/shop.json")).expect("a fixture");
    let resources: Vec<Value> = serde_json::from_str(&text).expect("JSON");
    let mut tables: Vec<Value> = resources
        .into_iter()
        .filter(|r| r.get("tableReference").is_some())
        .collect();
    let family = tables
        .iter()
        .position(|t| t["tableReference"]["tableId"] == "events_*");
    let family = tables.remove(family.expect("the shop has a family"));
    for day in ["events_20240101", "events_20240102"] {
        let mut shard = family.clone();
        shard["tableReference"]["tableId"] = json!(day);
        tables.push(shard);
    }
    tables
}

/// A folder whose `bigquill.toml` leads to this endpoint.
pub(crate) fn workspace(endpoint: &str) -> Workspace {
    Workspace::with_config(&format!("endpoint = {endpoint:?}\nproject = {PROJECT:?}\n"))
}

/// Options with which no test waits long.
pub(crate) fn impatient() -> ConnectOptions {
    ConnectOptions {
        deadline: Duration::from_secs(20),
        tries: 3,
        backoff: Duration::from_millis(1),
        pages: 5,
        ..ConnectOptions::default()
    }
}

/// A connection to the fault server.
pub(crate) async fn connect(server: &FaultServer, options: &ConnectOptions) -> BigQuery {
    let settings = Settings {
        endpoint: Some(server.url()),
        project: Some(PROJECT.to_owned()),
        ..Settings::default()
    };
    BigQuery::connect_with(&settings, options)
        .await
        .expect("nothing is asked yet")
}

/// The message of an error that must be one.
pub(crate) fn message<T: std::fmt::Debug>(result: Result<T, BigQueryError>) -> String {
    result.expect_err("the server is at fault").to_string()
}
