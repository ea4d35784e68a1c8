//! Rows of a small catalog: types, modes, sets of values, keys that meet.

use std::collections::HashSet;

use bigquill_analysis::schema::read_resources;

use super::*;

const CATALOG: &str = r#"[
    {"tableReference": {"projectId": "p", "datasetId": "d", "tableId": "orders"}, "description": "One row per order",
     "timePartitioning": {"type": "DAY", "field": "placed_at"},
     "schema": {"fields": [
        {"name": "order_id", "type": "INTEGER", "mode": "REQUIRED"},
        {"name": "customer_id", "type": "INTEGER"},
        {"name": "status", "type": "STRING", "description": "placed, shipped or returned"},
        {"name": "rating", "type": "INTEGER", "description": "rating from 1 to 5"},
        {"name": "amount", "type": "NUMERIC", "mode": "REQUIRED"},
        {"name": "gift", "type": "BOOLEAN"},
        {"name": "placed_at", "type": "TIMESTAMP"},
        {"name": "shipped_at", "type": "TIMESTAMP", "description": "null until shipped"},
        {"name": "lines", "type": "RECORD", "mode": "REPEATED", "fields": [
            {"name": "sku", "type": "STRING"}, {"name": "quantity", "type": "INTEGER"}]},
        {"name": "tags", "type": "STRING", "mode": "REPEATED", "description": "new, fragile or express"},
        {"name": "params", "type": "RECORD", "mode": "REPEATED", "fields": [
            {"name": "key", "type": "STRING"},
            {"name": "value", "type": "RECORD", "fields": [
                {"name": "string_value", "type": "STRING"}, {"name": "int_value", "type": "INTEGER"}]}]},
        {"name": "valid", "type": "RANGE"}]},
     "tableConstraints": {"primaryKey": {"columns": ["order_id"]}, "foreignKeys": [
        {"referencedTable": {"projectId": "p", "datasetId": "d", "tableId": "customers"},
         "columnReferences": [{"referencingColumn": "customer_id", "referencedColumn": "customer_id"}]}]}},
    {"tableReference": {"projectId": "p", "datasetId": "d", "tableId": "customers"}, "description": "One row per customer",
     "schema": {"fields": [
        {"name": "customer_id", "type": "INTEGER", "mode": "REQUIRED"},
        {"name": "select", "type": "STRING"},
        {"name": "birth_date", "type": "DATE"}]},
     "tableConstraints": {"primaryKey": {"columns": ["customer_id"]}}},
    {"tableReference": {"projectId": "p", "datasetId": "d", "tableId": "events_*"},
     "schema": {"fields": [{"name": "name", "type": "STRING"}, {"name": "value", "type": "FLOAT"}]}},
    {"tableReference": {"projectId": "other", "datasetId": "d", "tableId": "customers"},
     "schema": {"fields": [{"name": "name", "type": "STRING"}]}}
]"#;

fn made(seed: u64) -> RowSet {
    let (tables, routines, errors) = read_resources(CATALOG);
    assert!(errors.is_empty(), "{errors:?}");
    RowSet::made(
        &CatalogSnapshot::new(Some("p".to_owned()), tables, routines),
        seed,
    )
}

fn table<'s>(set: &'s RowSet, name: &str) -> &'s RowTable {
    let found = set.tables.iter().find(|t| t.table == name);
    found.unwrap_or_else(|| panic!("no table {name}"))
}

fn values<'t>(table: &'t RowTable, column: &str) -> Vec<&'t Value> {
    table.rows.iter().map(|row| &row[column]).collect()
}

fn texts(values: &[&Value]) -> HashSet<String> {
    values
        .iter()
        .filter_map(|v| v.as_str())
        .map(str::to_owned)
        .collect()
}

#[test]
fn equal_seeds_make_equal_rows() {
    let rows = |seed| made(seed).tables.into_iter().map(|t| t.rows).collect::<Vec<_>>();
    assert_eq!(rows(1), rows(1));
    assert_ne!(rows(1), rows(2));
}

#[test]
fn values_are_of_the_types_modes_and_sets_of_their_columns() {
    let set = made(1);
    let orders = table(&set, "orders");
    assert!(orders.rows.len() >= 100);
    assert_eq!(
        texts(&values(orders, "status")),
        ["placed", "shipped", "returned"].map(str::to_owned).into()
    );
    for rating in values(orders, "rating").iter().filter(|v| !v.is_null()) {
        assert!((1..=5).contains(&rating.as_i64().expect("a whole number")));
    }
    assert!(
        values(orders, "amount")
            .iter()
            .all(|v| v.as_str().is_some_and(|n| n.parse::<f64>().is_ok()))
    );
    for (column, some) in [
        ("gift", true),
        ("status", true),
        ("order_id", false),
        ("amount", false),
    ] {
        assert_eq!(
            values(orders, column).iter().any(|v| v.is_null()),
            some,
            "{column}"
        );
    }
    let keys: HashSet<i64> = values(orders, "order_id")
        .iter()
        .filter_map(|v| v.as_i64())
        .collect();
    assert_eq!(keys.len(), orders.rows.len());
    for column in ["lines", "tags"] {
        let lengths: HashSet<usize> = values(orders, column)
            .iter()
            .map(|v| v.as_array().expect("a list").len())
            .collect();
        assert!(lengths.contains(&0) && lengths.len() > 2, "{column}: {lengths:?}");
    }
    let first = &orders
        .rows
        .iter()
        .find_map(|row| row["lines"].get(0))
        .expect("an order with a line");
    assert!(first["quantity"].is_i64() || first["quantity"].is_null());
    let pair = orders
        .rows
        .iter()
        .find_map(|row| row["params"].get(0))
        .expect("an order with params");
    assert!(pair["key"].is_string() && pair["value"].is_object());
}

#[test]
fn what_follows_in_time_is_later_mostly_and_missing_where_it_may_be() {
    let set = made(1);
    let orders = table(&set, "orders");
    let shipped: Vec<(&str, &str)> = orders
        .rows
        .iter()
        .filter_map(|row| Some((row["placed_at"].as_str()?, row["shipped_at"].as_str()?)))
        .collect();
    let later = shipped
        .iter()
        .filter(|(placed, shipped)| placed < shipped)
        .count();
    assert!(
        later * 10 > shipped.len() * 8 && later < shipped.len(),
        "{later} of {}",
        shipped.len()
    );
    assert!(shipped.len() * 10 < orders.rows.len() * 8);
    assert!(values(orders, "placed_at").iter().all(|v| v.is_string()));
    let born = texts(&values(table(&set, "customers"), "birth_date"));
    assert!(
        born.iter()
            .all(|day| day.as_str() < "2010" && day.as_str() > "1940"),
        "{born:?}"
    );
    for recent in ["2026-05", "2025-"] {
        let of_then = values(orders, "placed_at");
        assert!(
            of_then
                .iter()
                .any(|v| v.as_str().is_some_and(|t| t.starts_with(recent))),
            "{recent}"
        );
    }
}

#[test]
fn keys_join_and_some_have_no_other() {
    let set = made(1);
    let keys = |name| -> HashSet<i64> {
        let all = values(table(&set, name), "customer_id");
        all.iter().filter_map(|v| v.as_i64()).collect()
    };
    let (customers, ordering) = (keys("customers"), keys("orders"));
    assert!(ordering.is_subset(&customers));
    assert!(ordering.len() > 20 && ordering.len() < customers.len());
    assert!((0..ids::ASKED).all(|asked| customers.contains(&ids::integer("customer_id", asked))));
}

#[test]
fn queries_run_on_what_stands_for_the_tables() {
    let set = made(1);
    assert_eq!(
        set.runnable("SELECT COUNT(*) FROM `d.events_*` WHERE _TABLE_SUFFIX = '20250101'"),
        "SELECT COUNT(*) FROM d.events_all_days WHERE table_suffix = '20250101'"
    );
    assert_eq!(
        set.runnable("SELECT name FROM other.d.customers WHERE d >= CURRENT_DATE()"),
        "SELECT name FROM d.customers_too WHERE d >= DATE '2026-06-17'"
    );
    assert_eq!(
        set.runnable("SELECT name FROM d.customers"),
        "SELECT name FROM d.customers"
    );
    let events = table(&set, "events_all_days");
    assert!(
        events
            .ddl()
            .starts_with("CREATE TABLE d.events_all_days (name STRING, value FLOAT64, table_suffix STRING)")
    );
    assert!(
        values(events, "table_suffix")
            .iter()
            .all(|v| v.as_str().is_some_and(|day| day.len() == 8))
    );
    assert!(table(&set, "orders").ddl().ends_with("valid STRING)"));
}

#[test]
fn rows_are_inserted_with_the_types_of_their_columns() {
    let set = made(1);
    let inserts = table(&set, "orders").inserts();
    assert!(inserts.len() > 1);
    for part in [
        "INSERT INTO d.orders (order_id, customer_id, status, ",
        "NUMERIC '",
        "TIMESTAMP '20",
        "ARRAY<STRUCT<sku STRING, quantity INT64>>[('",
        "ARRAY<STRING>['",
        "ARRAY<STRING>[]",
        "ARRAY<STRUCT<key STRING, value STRUCT<string_value STRING, int_value INT64>>>[('",
    ] {
        assert!(
            inserts.iter().any(|sql| sql.contains(part)),
            "{part}: {}",
            inserts[0]
        );
    }
    let customers = table(&set, "customers").inserts();
    assert!(customers[0].starts_with("INSERT INTO d.customers (customer_id, `select`, birth_date) VALUES ("));
}
