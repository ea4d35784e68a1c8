//! Against the emulator, whose analyzer is GoogleSQL itself.

use bigquill::bigquery::{BigQuery, DryRun};
use bigquill::catalog::{BigQueryCatalog, Catalog, CatalogError, DatasetReference, FileCatalog};
use bigquill_analysis::schema::{TableReference, TableSchema};
use bigquill_tests::emulator::{Emulator, PROJECT};
use bigquill_tests::workspace::fixture;
use serde_json::json;

use crate::support::{shop, workspace};

fn shop_dataset() -> DatasetReference {
    "acme-analytics.shop".parse().expect("a dataset")
}

/// A table as far as the emulator keeps it: without counts and keys.
fn comparable(table: &TableSchema) -> TableSchema {
    TableSchema {
        num_rows: None,
        num_bytes: None,
        primary_key: Vec::new(),
        foreign_keys: Vec::new(),
        ..table.clone()
    }
}

#[tokio::test]
async fn the_catalog_gives_the_schemas_back() {
    let emulator = Emulator::start().await;
    emulator.make(&shop()).await;
    let bigquery = BigQuery::connect(&emulator.settings())
        .await
        .expect("an endpoint");
    let listing = bigquery.datasets(PROJECT).await.expect("datasets");
    assert_eq!((listing.ids, listing.complete), (vec!["shop".to_owned()], true));

    let catalog = BigQueryCatalog::new(bigquery, Vec::new());
    let snapshot = catalog.snapshot().await.expect("a snapshot");
    let files = FileCatalog::open(
        &[fixture("catalogs/shop.json").to_string_lossy().into_owned()],
        None,
    )
    .current();
    let mut expected: Vec<_> = files.tables().map(|table| comparable(table)).collect();
    expected.sort_by(|a, b| a.reference.cmp(&b.reference));
    let found: Vec<_> = snapshot.tables().map(|table| comparable(table)).collect();
    assert_eq!(found, expected);

    let names = catalog.tables(&shop_dataset()).await.expect("tables");
    assert_eq!(names.len(), 5);
    let table = |name: &str| TableReference {
        project: String::new(),
        dataset: "shop".to_owned(),
        table: name.to_owned(),
    };
    for name in ["orders", "events_*", "events_20240101"] {
        let schema = catalog
            .schema(&table(name))
            .await
            .expect("an answer")
            .expect("it is there");
        assert_eq!(schema.reference.table, name);
    }
    for name in ["nothing", "nothing_*"] {
        assert_eq!(catalog.schema(&table(name)).await, Ok(None));
    }
    let nowhere = DatasetReference {
        project: String::new(),
        dataset: "nowhere".to_owned(),
    };
    let listed = catalog.tables(&nowhere).await;
    assert!(matches!(listed, Err(CatalogError::NotFound(_))), "{listed:?}");
}

#[tokio::test]
async fn a_dry_run_tells_bytes_or_what_is_wrong_and_where() {
    let emulator = Emulator::start().await;
    emulator.make(&shop()).await;
    let bigquery = BigQuery::connect(&emulator.settings())
        .await
        .expect("an endpoint");
    let good = bigquery
        .dry_run("SELECT name FROM shop.customers")
        .await
        .expect("an answer");
    assert!(matches!(good, DryRun::Estimate(_)), "{good:?}");
    let bad = bigquery
        .dry_run("SELECT name,\n  emial FROM shop.customers")
        .await
        .expect("an answer");
    let DryRun::Refused(refusal) = bad else {
        panic!("there is no such column: {bad:?}")
    };
    assert_eq!(refusal.place, Some((2, 3)));
    assert_eq!(refusal.message, "Unrecognized name: emial; Did you mean email?");
    let nothing = bigquery
        .dry_run("SELECT 1 FROM shop.nothing")
        .await
        .expect("an answer");
    assert!(matches!(nothing, DryRun::Refused(_)), "{nothing:?}");
}

#[tokio::test]
async fn a_column_that_is_gone_is_found_after_the_next_sync() {
    let emulator = Emulator::start().await;
    let mut tables = shop();
    emulator.make(&tables).await;
    let workspace = workspace(&emulator.url());
    workspace.write("query.sql", "SELECT name, email FROM shop.customers;\n");
    let sync = ["catalog", "sync", "--dataset", "shop", "--out", "catalog.json.gz"];
    let check = ["check", "query.sql", "--no-judge", "--catalog", "catalog.json.gz"];

    let synced = workspace.run(&sync, "").await;
    assert_eq!((synced.code, synced.stderr.as_str()), (Some(0), ""), "{synced:?}");
    assert_eq!(
        synced.stdout,
        "5 tables of acme-analytics.shop in catalog.json.gz\n"
    );
    let clean = workspace.run(&check, "").await;
    assert_eq!(clean.code, Some(0), "{clean:?}");

    // The emulator's analyzer forgets a column only with its table.
    let customers = tables
        .iter_mut()
        .find(|t| t["tableReference"]["tableId"] == "customers");
    let customers = customers.expect("the shop has customers");
    let fields = customers["schema"]["fields"].as_array_mut().expect("columns");
    fields.retain(|field| field["name"] != json!("email"));
    emulator.drop_table("customers").await;
    emulator.make_table(customers).await;

    let synced = workspace.run(&sync, "").await;
    assert_eq!(synced.code, Some(0), "{synced:?}");
    let flagged = workspace.run(&check, "").await;
    assert_eq!(flagged.code, Some(1), "{flagged:?}");
    assert!(
        flagged.stdout.contains("email") && flagged.stdout.contains("unknown-column"),
        "{flagged:?}"
    );
    let refused = workspace.run(&["dry-run", "query.sql"], "").await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stdout.contains("Unrecognized name: email"), "{refused:?}");
}
