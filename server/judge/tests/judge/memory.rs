//! Many verdicts in a row: no growth, and remembered ones are the same.

use std::sync::Arc;

use bigquill_analysis::schema::{CatalogSnapshot, Column, DataType, Mode, TableSchema};
use bigquill_judge::{Context, JudgeOptions, RefusalKind};

use crate::support::{columns, judge, judge_with, shop};

#[test]
fn a_thousand_different_statements_stay_within_a_small_memory() {
    // Less than twice what one instance needs at rest: growth by statement would end in a refused page.
    let judge = judge_with(JudgeOptions {
        instances: 1,
        memory_limit: 48 << 20,
        remembered: 0,
        ..JudgeOptions::default()
    });
    for i in 0..1_000 {
        let sql = format!(
            "WITH t{i} AS (SELECT status, SUM(total) AS s{i} FROM shop.orders GROUP BY status) SELECT s{i} + {i} AS x FROM t{i}"
        );
        let verdict = judge.verdict(&sql, &shop(), &Context::default());
        assert!(verdict.accepted().is_some(), "{i}: {verdict:?}");
    }
}

#[test]
fn a_changed_schema_changes_the_verdict() {
    let sql = "SELECT extra FROM shop.orders";
    let first = judge().verdict(sql, &shop(), &Context::default());
    assert_eq!(first.refusal().map(|r| r.kind), Some(RefusalKind::UnknownName));
    let widened = |table: &Arc<TableSchema>| {
        let mut table = TableSchema::clone(table);
        table.columns.push(Column {
            name: "extra".to_owned(),
            data_type: DataType::Date,
            mode: Mode::Nullable,
            description: String::new(),
            fields: Vec::new(),
        });
        table
    };
    let snapshot = CatalogSnapshot::new(None, shop().tables().map(widened), []);
    assert_eq!(
        columns(&judge().verdict(sql, &snapshot, &Context::default())),
        "extra DATE"
    );
    assert_eq!(judge().verdict(sql, &shop(), &Context::default()), first);
}

#[test]
fn a_new_table_is_seen_where_none_was() {
    let sql = "SELECT 1 AS one FROM shop.orders_new";
    let before = judge().verdict(sql, &shop(), &Context::default());
    assert_eq!(before.refusal().map(|r| r.kind), Some(RefusalKind::UnknownTable));
    let mut added = TableSchema::clone(shop().tables().next().unwrap());
    added.reference.table = "orders_new".to_owned();
    let tables = shop()
        .tables()
        .map(|t| TableSchema::clone(t))
        .chain([added])
        .collect::<Vec<_>>();
    let snapshot = CatalogSnapshot::new(None, tables, []);
    assert_eq!(
        columns(&judge().verdict(sql, &snapshot, &Context::default())),
        "one INT64"
    );
}

#[test]
fn threads_share_a_judge() {
    let judge = judge_with(JudgeOptions::default());
    std::thread::scope(|scope| {
        for thread in 0..6 {
            let judge = judge.clone();
            scope.spawn(move || {
                for i in 0..10 {
                    let sql = format!("SELECT title AS t{thread}_{i} FROM shop.products");
                    let verdict = judge.verdict(&sql, &shop(), &Context::default());
                    assert_eq!(columns(&verdict), format!("t{thread}_{i} STRING"));
                }
            });
        }
    });
}
