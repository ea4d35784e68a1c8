//! Scripts: what a statement makes, the later ones see; control flow is parsed, not judged.

use bigquill_judge::{Context, NoVerdict, RefusalKind, Verdict};

use crate::support::{columns, judge, shop};

/// One letter a statement: `+` accepted, `-` refused, `?` unknown.
fn marks(script: &str) -> String {
    let verdicts = judge().script(script, &shop(), &Context::default());
    let mark = |verdict: &Verdict| match verdict {
        Verdict::Accepted(_) => '+',
        Verdict::Refused(_) => '-',
        Verdict::Unknown(_) => '?',
    };
    verdicts.iter().map(|(_, verdict)| mark(verdict)).collect()
}

#[test]
fn variables_tables_and_functions_are_remembered() {
    for (script, expected) in [
        (
            "DECLARE least INT64 DEFAULT 10; CREATE TEMP TABLE t AS SELECT order_id FROM shop.orders WHERE order_id < least; SELECT order_id FROM t;",
            "+++",
        ),
        ("CREATE TEMP TABLE t AS SELECT 1 AS a; SELECT b FROM t", "+-"),
        (
            "CREATE TABLE shop.t (a INT64, b STRING); SELECT b FROM `acme-analytics.shop.t`",
            "++",
        ),
        (
            "CREATE TABLE shop.t (a INT64, b STRING); SELECT b FROM shop.t; SELECT c FROM shop.t",
            "++-",
        ),
        (
            "CREATE TEMP FUNCTION plus1(x INT64) AS (x + 1); SELECT plus1(order_id) AS y FROM shop.orders",
            "++",
        ),
        (
            "CREATE TEMP FUNCTION plus1(x INT64) AS (x + 1); SELECT plus1('a')",
            "+-",
        ),
        (
            "CREATE TEMP FUNCTION twice(x ANY TYPE) AS (x + x); SELECT twice(1), twice(1.5)",
            "++",
        ),
        (
            "CREATE TEMP FUNCTION f(x STRING) RETURNS STRING LANGUAGE js AS 'return x'; SELECT UPPER(f('a'))",
            "++",
        ),
        ("DECLARE d DATE; SET d = CURRENT_DATE(); SELECT d + 1", "+++"),
        ("DECLARE d DATE; SET D = 5", "+-"),
        (
            "DECLARE s STRUCT<a INT64, b ARRAY<STRING>>; SET s = (1, ['x']); SELECT s.a",
            "+++",
        ),
        ("DECLARE a, b INT64 DEFAULT 1; SELECT a + b", "++"),
        (
            "DECLARE a DEFAULT (SELECT MAX(total) FROM shop.orders); SELECT ROUND(a)",
            "++",
        ),
        ("DECLARE a DATE DEFAULT 5; SELECT 1", "-+"),
        ("DECLARE a NOTYPE; SELECT 1", "-+"),
        ("SELECT a; DECLARE a INT64", "-+"),
        // What a statement that does not hold would have made is doubtful, and nothing else.
        (
            "CREATE TEMP TABLE t AS SELECT titel FROM shop.products; SELECT 1 FROM t; SELECT titel FROM shop.products",
            "-?-",
        ),
        (
            "DECLARE a INT64 DEFAULT nothing; SELECT a + 1; SELECT b + 1",
            "-?-",
        ),
        (
            "CREATE PROCEDURE shop.p(x INT64) BEGIN SELECT x; END; CALL shop.p(1)",
            "+?",
        ),
    ] {
        assert_eq!(marks(script), expected, "{script}");
    }
}

#[test]
fn control_flow_is_parsed_not_judged() {
    for (script, expected) in [
        ("IF TRUE THEN SELECT nothing; END IF", "?"),
        ("BEGIN SELECT 1; END; SELECT titel FROM shop.products", "??"),
        ("LOOP LEAVE; END LOOP; SELECT title FROM shop.products", "?+"),
        ("BEGIN TRANSACTION; COMMIT TRANSACTION", "++"),
        (
            "SELECT titel FROM shop.products; IF TRUE THEN SELECT 1; END IF",
            "-?",
        ),
    ] {
        assert_eq!(marks(script), expected, "{script}");
    }
}

#[test]
fn places_are_of_the_whole_text() {
    let script = "-- first\nSELECT title FROM shop.products;\n\n\tDECLARE n INT64 DEFAULT nothing;\nSELECT 'é' AS e, titel FROM shop.products";
    let verdicts = judge().script(script, &shop(), &Context::default());
    let at = |index: usize| {
        let (range, verdict) = &verdicts[index];
        (
            &script[range.clone()],
            verdict.refusal().map(|r| &script[r.range.clone()]),
        )
    };
    assert_eq!(at(0), ("SELECT title FROM shop.products", None));
    assert_eq!(at(1), ("DECLARE n INT64 DEFAULT nothing", Some("nothing")));
    assert_eq!(
        at(2),
        ("SELECT 'é' AS e, titel FROM shop.products", Some("titel"))
    );
}

#[test]
fn one_verdict_over_several_statements_is_the_worst() {
    let verdict = |sql: &str| judge().verdict(sql, &shop(), &Context::default());
    let last = verdict("CREATE TEMP TABLE t AS SELECT order_id FROM shop.orders; SELECT order_id FROM t");
    assert_eq!(columns(&last), "order_id INT64");
    let refused = verdict("SELECT titel FROM shop.products; SELECT 1");
    assert_eq!(refused.refusal().map(|r| r.kind), Some(RefusalKind::UnknownName));
    let unknown = verdict("IF TRUE THEN SELECT 1; END IF; SELECT 1");
    assert!(
        matches!(unknown, Verdict::Unknown(NoVerdict::Script(_))),
        "{unknown:?}"
    );
    assert_eq!(verdict("-- nothing"), Verdict::Unknown(NoVerdict::Empty));
}
