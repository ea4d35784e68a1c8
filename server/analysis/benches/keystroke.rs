//! From a keystroke to findings, and to completions, in a file of 2,000 lines and a hundred statements.
//!
//! `cargo bench -p bigquill-analysis --bench keystroke`. The catalog has 200 tables of 30 columns. Besides criterion's
//! figures a table with percentiles is printed, for criterion gives none.
#![expect(clippy::disallowed_methods, reason = "a measurement, not the library")]

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Instant;

use bigquill_analysis::check::Checker;
use bigquill_analysis::features::completion::complete;
use bigquill_analysis::schema::{
    CatalogSnapshot, Column, DataType, Mode, TableKind, TableNotes, TableReference, TableSchema,
};
use criterion::{Criterion, criterion_group, criterion_main};

fn snapshot() -> CatalogSnapshot {
    let column = |i: usize| Column {
        name: format!("column_{i}"),
        data_type: if i.is_multiple_of(3) {
            DataType::String
        } else {
            DataType::Int64
        },
        mode: Mode::Nullable,
        description: format!("what column {i} holds"),
        fields: Vec::new(),
    };
    let table = |t: usize| TableSchema {
        reference: TableReference {
            project: "project".into(),
            dataset: "shop".into(),
            table: format!("table_{t}"),
        },
        kind: TableKind::Table,
        description: String::new(),
        columns: (0..30).map(column).collect(),
        primary_key: Vec::new(),
        foreign_keys: Vec::new(),
        partitioning: None,
        clustering: Vec::new(),
        num_rows: None,
        num_bytes: None,
        notes: TableNotes::default(),
    };
    CatalogSnapshot::new(None, (0..200).map(table), [])
}

/// A hundred statements of twenty lines each.
fn text() -> String {
    let mut text = String::new();
    for i in 0..100 {
        let (a, b) = (i % 200, (i * 7 + 1) % 200);
        let _ = write!(
            text,
            "-- question {i}: how many of each kind?\nWITH first_{i} AS (\n  SELECT\n    a.column_1,\n    a.column_2,\n    \
             COUNT(*) AS amount,\n    SUM(a.column_4) AS total\n  FROM shop.table_{a} AS a\n  JOIN shop.table_{b} AS b ON \
             a.column_1 = b.column_1\n  WHERE a.column_3 = 'x' AND b.column_5 > {i}\n  GROUP BY a.column_1, a.column_2\n)\n\
             SELECT\n  f.column_1,\n  f.amount,\n  f.total / NULLIF(f.amount, 0) AS mean\nFROM first_{i} AS f\nORDER BY \
             f.amount DESC\nLIMIT 10;\n\n"
        );
    }
    text
}

/// The text after each of 200 keystrokes in the middle: a column's name is typed, with its places.
fn keystrokes(text: &str) -> Vec<(String, usize)> {
    let at = text
        .match_indices("WHERE a.column_3")
        .nth(50)
        .map_or(0, |(i, _)| i + "WHERE ".len());
    let typed = "a.column_7 > 10 AND b.column_9 < 5 OR a.colunm_2 = 1 AND ";
    let steps = (1..=typed.len()).map(|n| (format!("{}{}{}", &text[..at], &typed[..n], &text[at..]), at + n));
    steps.collect()
}

fn percentiles(name: &str, mut milliseconds: Vec<f64>) {
    milliseconds.sort_by(f64::total_cmp);
    let at = |p: f64| milliseconds[((milliseconds.len() - 1) as f64 * p) as usize];
    eprintln!(
        "{name}: p50 {:.2} ms, p99 {:.2} ms, worst {:.2} ms",
        at(0.5),
        at(0.99),
        at(1.0)
    );
}

fn keystroke(criterion: &mut Criterion) {
    let (snapshot, text) = (snapshot(), text());
    let steps = keystrokes(&text);
    let mut checker = Checker::new();
    black_box(checker.check(&text, &snapshot));
    let (mut checks, mut completions) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        for (text, offset) in &steps {
            let start = Instant::now();
            black_box(checker.check(text, &snapshot));
            checks.push(start.elapsed().as_secs_f64() * 1e3);
            let start = Instant::now();
            black_box(complete(text, *offset, &snapshot));
            completions.push(start.elapsed().as_secs_f64() * 1e3);
        }
    }
    eprintln!("{} lines, {} bytes", text.lines().count(), text.len());
    percentiles("keystroke to findings", checks);
    percentiles("keystroke to completions", completions);
    let mut step = 0;
    criterion.bench_function("keystroke to findings", |b| {
        b.iter(|| {
            step = (step + 1) % steps.len();
            checker.check(&steps[step].0, &snapshot)
        });
    });
    criterion.bench_function("keystroke to completions", |b| {
        b.iter(|| {
            step = (step + 1) % steps.len();
            complete(&steps[step].0, steps[step].1, &snapshot)
        });
    });
    criterion.bench_function("whole file, nothing known", |b| {
        b.iter(|| Checker::new().check(&text, &snapshot));
    });
}

criterion_group!(benches, keystroke);
criterion_main!(benches);
