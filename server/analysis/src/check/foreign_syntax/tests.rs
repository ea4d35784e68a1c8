use super::*;
use crate::check::{apply_edits, check};
use crate::schema::CatalogSnapshot;

fn found(sql: &str) -> Vec<(&str, &'static str)> {
    let none = CatalogSnapshot::default();
    check(sql, &none)
        .into_iter()
        .filter(|d| matches!(d.code, Code::ForeignSyntax | Code::SyntaxError))
        .map(|d| (&sql[d.range], d.code.as_str()))
        .collect()
}

fn fixed(sql: &str) -> String {
    let none = CatalogSnapshot::default();
    let mut edits: Vec<_> = check(sql, &none)
        .into_iter()
        .flat_map(|d| d.fixes)
        .filter(|f| f.preferred)
        .flat_map(|f| f.edits)
        .collect();
    edits.sort_by_key(|e| e.0.start);
    apply_edits(sql, &edits)
}

#[test]
fn other_dialects_are_named_and_mended() {
    for (sql, mended) in [
        ("SELECT a::int FROM t", "SELECT CAST(a AS INT64) FROM t"),
        (
            "SELECT f(x.y)::varchar(10) FROM t",
            "SELECT CAST(f(x.y) AS STRING) FROM t",
        ),
        (
            "SELECT a FROM t WHERE b.a NOT ILIKE 'x%'",
            "SELECT a FROM t WHERE LOWER(b.a) NOT LIKE LOWER('x%')",
        ),
        ("SELECT 1 UNION SELECT 2", "SELECT 1 UNION DISTINCT SELECT 2"),
        ("SELECT a FROM \"d.t\"", "SELECT a FROM `d.t`"),
        ("SELECT a AS 'my name' FROM t", "SELECT a AS `my name` FROM t"),
        ("SELECT a AS order FROM t", "SELECT a AS `order` FROM t"),
        ("SELECT a FROM t WHERE a == 1", "SELECT a FROM t WHERE a = 1"),
        ("SELECT a % 2 FROM t", "SELECT MOD(a, 2) FROM t"),
        ("SELECT a FROM t LIMIT 5, 10", "SELECT a FROM t LIMIT 10 OFFSET 5"),
        (
            "SELECT NOW() - INTERVAL '7 days'",
            "SELECT NOW() - INTERVAL 7 DAY",
        ),
        ("SELECT a FROM d.events_*", "SELECT a FROM `d.events_*`"),
        (
            "WITH x AS (SELECT 1), SELECT * FROM x",
            "WITH x AS (SELECT 1) SELECT * FROM x",
        ),
    ] {
        assert_eq!(fixed(sql), mended);
    }
}

#[test]
fn every_slip_is_found() {
    for sql in [
        "SELECT TOP 10 a FROM t",
        "SELECT DISTINCT ON (a) b FROM t",
        "SELECT STRING_AGG(a, ',') WITHIN GROUP (ORDER BY a) FROM t",
        "SELECT a->>'b' FROM t",
        "SELECT a FROM t WHERE a RLIKE 'x'",
        "SELECT a FROM t WHERE a ~ 'x'",
        "SELECT a FROM t FETCH FIRST 5 ROWS ONLY",
        "SELECT * FROM (VALUES (1, 2))",
        "WITH x(a) AS (SELECT 1) SELECT a FROM x",
        "WITH x AS MATERIALIZED (SELECT 1) SELECT * FROM x",
        "WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x",
        "SELECT * FROM t LATERAL VIEW EXPLODE(a) x",
        "SELECT TRIM(LEADING 'x' FROM a) FROM t",
        "SELECT SUBSTRING(a FROM 1 FOR 2) FROM t",
        "SELECT POSITION('a' IN b) FROM t",
        "SELECT a INTO x FROM t",
        "SELECT a FROM t WHERE a = ANY(ARRAY[1])",
        "SELECT a, COUNT(*) FROM t GROUP BY a WITH ROLLUP",
        "SELECT FIRST_VALUE(a) IGNORE NULLS OVER (ORDER BY b) FROM t",
        "SELECT * FROM [p:d.t]",
        "SELECT a:b FROM t",
        "SELECT rows FROM t",
        "INSERT INTO TABLE d.x SELECT 1",
        "SELECT 'abc FROM t",
        "SELECT (a FROM t",
        "SELECT a FROM t WHERE a > 1)",
        "SELECT a FROM t WHERE",
        "SELECT a FROM t,",
        "SELECT FROM t",
        "SELECT CASE WHEN a THEN 1 FROM t",
        "SELECT “a” FROM t",
    ] {
        assert_ne!(found(sql), [], "{sql}");
    }
}

#[test]
fn what_googlesql_takes_is_left_alone() {
    for sql in [
        "SELECT 1,",
        "SELECT * FROM t",
        "SELECT a, FROM t",
        "SELECT EXTRACT(DAY FROM '2020-01-01')",
        "SELECT a IS DISTINCT FROM 'x' FROM t",
        "SELECT * EXCEPT (a) FROM t",
        "SELECT 1 UNION ALL (SELECT 2)",
        "SELECT * FROM t UNPIVOT(a FOR b IN (x AS 'y'))",
        "SELECT CAST(a AS INTERVAL), STRUCT(1 AS x), ARRAY<STRUCT<a INT64>>[(1)] FROM t",
        "SELECT t.rows, t.`order` FROM t",
        "SELECT INTERVAL '1' DAY, INTERVAL '1-2' YEAR TO MONTH",
        "SELECT a * b FROM t",
        "SELECT AS STRUCT 1 AS x",
        "CREATE FUNCTION d.f() RETURNS STRING LANGUAGE js AS '''return \"a\"; '''",
        "SELECT COUNT(*) FROM t GROUP BY ALL",
        "SELECT ~1, -1, NOT TRUE",
        "FROM t |> WHERE a > 1 |> UNION ALL (SELECT 1)",
        "SELECT x FROM UNNEST([1,2]) AS x WITH OFFSET AS i",
        "SELECT a FROM t WHERE a IN UNNEST([1])",
    ] {
        assert_eq!(found(sql), [], "{sql}");
    }
}
