//! What goes wrong inside costs one verdict: the next statement is judged as if nothing had been.

use std::time::Duration;

use bigquill_judge::{Context, Judge, JudgeOptions, NoVerdict, Verdict};

use crate::support::{judge_with, shop};

fn ask(judge: &Judge, sql: &str) -> Verdict {
    judge.verdict(sql, &shop(), &Context::default())
}

/// Many columns, each an expression of its own: work that grows with `n` without being nested.
fn wide(n: usize) -> String {
    let columns: Vec<String> = (0..n)
        .map(|i| format!("CONCAT(status, '{i}', CAST(total * {i} AS STRING)) AS c{i}"))
        .collect();
    format!("SELECT {} FROM shop.orders", columns.join(", "))
}

fn assert_well(judge: &Judge) {
    let verdict = ask(judge, "SELECT title FROM shop.products");
    assert!(verdict.accepted().is_some(), "{verdict:?}");
}

#[test]
fn deep_nesting_gets_no_verdict() {
    let judge = judge_with(JudgeOptions::default());
    let parentheses = format!("SELECT {}1{}", "(".repeat(10_000), ")".repeat(10_000));
    assert_eq!(ask(&judge, &parentheses), Verdict::Unknown(NoVerdict::Nesting));
    assert_eq!(judge.grammar(&parentheses), Verdict::Unknown(NoVerdict::Nesting));
    // Without brackets the analyzer's own stack is what ends.
    for deep in [
        format!("SELECT {}TRUE", "NOT ".repeat(50_000)),
        format!("SELECT {}1", "- ".repeat(50_000)),
        format!(
            "SELECT {}1{}",
            "CASE WHEN TRUE THEN ".repeat(20_000),
            " END".repeat(20_000)
        ),
        format!("SELECT 1{}", " + 1".repeat(50_000)),
    ] {
        let verdict = ask(&judge, &deep);
        assert!(
            matches!(verdict, Verdict::Unknown(_)),
            "{}…: {verdict:?}",
            &deep[..40]
        );
        assert_well(&judge);
    }
}

#[test]
fn brackets_as_deep_as_people_write_them_are_judged() {
    let judge = judge_with(JudgeOptions::default());
    let sql = format!(
        "SELECT {}title{} FROM shop.products",
        "(".repeat(60),
        ")".repeat(60)
    );
    assert!(ask(&judge, &sql).accepted().is_some());
    let sql = format!(
        "SELECT * FROM {}shop.products{}",
        "(SELECT * FROM ".repeat(40),
        ")".repeat(40)
    );
    assert!(ask(&judge, &sql).accepted().is_some());
}

#[test]
fn a_statement_of_a_megabyte_gets_no_verdict() {
    let judge = judge_with(JudgeOptions::default());
    let sql = format!("SELECT '{}'", "x".repeat(1 << 20));
    assert_eq!(ask(&judge, &sql), Verdict::Unknown(NoVerdict::Length));
    assert_well(&judge);
}

#[test]
fn the_deadline_ends_an_analysis() {
    let judge = judge_with(JudgeOptions {
        deadline: Duration::ZERO,
        ..JudgeOptions::default()
    });
    let sql = wide(4_000);
    assert_eq!(ask(&judge, &sql), Verdict::Unknown(NoVerdict::Deadline));
    // Nothing of it is remembered, and the place in the pool is free again.
    for _ in 0..4 {
        assert_eq!(ask(&judge, &sql), Verdict::Unknown(NoVerdict::Deadline));
    }
}

#[test]
fn memory_has_an_end() {
    let judge = judge_with(JudgeOptions {
        memory_limit: 32 << 20,
        deadline: Duration::from_secs(60),
        ..JudgeOptions::default()
    });
    assert_eq!(ask(&judge, &wide(6_000)), Verdict::Unknown(NoVerdict::Memory));
    assert_well(&judge);
    let none = judge_with(JudgeOptions {
        memory_limit: 1 << 20,
        ..JudgeOptions::default()
    });
    assert_eq!(ask(&none, "SELECT 1"), Verdict::Unknown(NoVerdict::Memory));
}

#[test]
fn no_text_makes_it_panic() {
    let judge = judge_with(JudgeOptions::default());
    for sql in [
        "",
        ";",
        ";;;",
        "\0",
        "SELECT '\0'",
        "\u{feff}SELECT 1",
        "SELECT `",
        "SELECT \"",
        "/*",
        "SELECT 1 -- é",
        "SELECT é",
        "))))((((",
        "DECLARE",
        "SET",
        "SET =",
        "BEGIN",
        "SELECT 1 FROM a.b.c.d.e.f.g.h.i.j.k",
        "SELECT a.1.2.3 FROM `..`.`.`",
        "CREATE TEMP FUNCTION f(",
    ] {
        let _ = ask(&judge, sql);
        let _ = judge.grammar(sql);
    }
    assert_well(&judge);
}
