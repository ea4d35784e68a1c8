//! Hand-made statements over the shop: accepted with these columns, refused at this place for this reason.

use bigquill_judge::{Context, NoVerdict, RefusalKind, Unlisted, Verdict};

use crate::support::{columns, judge, shop, verdict};

#[test]
fn accepted_with_these_columns() {
    for (sql, expected) in [
        (
            "SELECT order_id, total FROM `acme-analytics.shop.orders`",
            "order_id INT64, total NUMERIC",
        ),
        (
            "SELECT order_id FROM acme-analytics.shop.orders",
            "order_id INT64",
        ),
        (
            "SELECT order_id FROM `acme-analytics`.shop.`orders`",
            "order_id INT64",
        ),
        (
            "SELECT order_id FROM `acme-analytics.shop`.orders",
            "order_id INT64",
        ),
        ("SELECT order_id FROM shop.orders", "order_id INT64"),
        (
            "SELECT order_id FROM `shop.orders` AS o WHERE o.status = 'paid'",
            "order_id INT64",
        ),
        (
            "SELECT shipping.address.city, i.product_id, SUM(i.quantity) AS n\nFROM shop.orders, UNNEST(items) AS i GROUP BY 1, 2",
            "city STRING, product_id INT64, n INT64",
        ),
        (
            "SELECT c.name, t, place FROM shop.customers c, c.tags t WITH OFFSET place",
            "name STRING, t STRING, place INT64",
        ),
        (
            "SELECT order_id, ROW_NUMBER() OVER (PARTITION BY customer_id ORDER BY ordered_at) AS nth\nFROM shop.orders QUALIFY nth = 1",
            "order_id INT64, nth INT64",
        ),
        (
            "SELECT * FROM (SELECT status, EXTRACT(YEAR FROM ordered_at) AS y, total FROM shop.orders)\nPIVOT(SUM(total) FOR y IN (2023 AS y23, 2024 AS y24))",
            "status STRING, y23 NUMERIC, y24 NUMERIC",
        ),
        (
            "SELECT * FROM (SELECT 1 AS a, 2 AS b) UNPIVOT(v FOR k IN (a, b))",
            "v INT64, k STRING",
        ),
        (
            "FROM shop.orders |> WHERE total > 10 |> AGGREGATE SUM(total) AS s GROUP BY status |> ORDER BY s DESC |> LIMIT 3",
            "status STRING, s NUMERIC",
        ),
        (
            "SELECT * EXCEPT (shipping, items) REPLACE (UPPER(status) AS status) FROM shop.orders",
            "order_id INT64, customer_id INT64, ordered_at TIMESTAMP, status STRING, total NUMERIC",
        ),
        (
            "SELECT items FROM shop.orders",
            "items ARRAY<STRUCT<product_id INT64, quantity INT64, unit_price NUMERIC>>",
        ),
        (
            "SELECT event_name FROM `acme-analytics.shop.events_*` WHERE _TABLE_SUFFIX BETWEEN '20240101' AND '20240131'",
            "event_name STRING",
        ),
        ("SELECT event_name FROM shop.events_20240101", "event_name STRING"),
        (
            "SELECT line FROM logs.raw WHERE _PARTITIONDATE = '2024-01-01'",
            "line STRING",
        ),
        (
            "SELECT line, _PARTITIONTIME AS t FROM logs.raw",
            "line STRING, t TIMESTAMP",
        ),
        (
            "SELECT JSON_VALUE(attributes, '$.a') AS a, attributes.b AS b FROM logs.raw",
            "a STRING, b JSON",
        ),
        (
            "SELECT SAFE_DIVIDE(1, 0) AS x, DATE_TRUNC(CURRENT_DATE(), WEEK(MONDAY)) AS d, FORMAT('%t', 1) AS f, @p + 1 AS p",
            "x FLOAT64, d DATE, f STRING, p INT64",
        ),
        ("SELECT ? + 1 AS next, ?", "next INT64, ? INT64"),
        (
            "SELECT @@project_id AS p, @@script.slot_ms AS s, @@row_count AS n",
            "p STRING, s INT64, n INT64",
        ),
        (
            "SELECT MAX_BY(status, total) AS m, COUNTIF(CONTAINS_SUBSTR(status, 'a')) AS n FROM shop.orders",
            "m STRING, n INT64",
        ),
        (
            "SELECT shop.net_price(total, 'DE') AS net FROM shop.orders",
            "net NUMERIC",
        ),
        (
            "SELECT `acme-analytics`.shop.net_price(1, 'DE') AS net",
            "net NUMERIC",
        ),
        (
            "SELECT table_name FROM shop.INFORMATION_SCHEMA.TABLES",
            "table_name STRING",
        ),
        (
            "SELECT job_id FROM `region-eu`.INFORMATION_SCHEMA.JOBS WHERE cache_hit",
            "job_id STRING",
        ),
        (
            "CREATE OR REPLACE TABLE shop.new PARTITION BY d CLUSTER BY c OPTIONS (description = 'x') AS\nSELECT CURRENT_DATE() AS d, 'a' AS c",
            "d DATE, c STRING",
        ),
        (
            "CREATE VIEW shop.v AS SELECT title FROM shop.products",
            "title STRING",
        ),
        (
            "MERGE shop.products p USING shop.reviews r ON p.product_id = r.product_id\nWHEN MATCHED THEN UPDATE SET title = r.body\nWHEN NOT MATCHED THEN INSERT (product_id, title) VALUES (r.product_id, r.body)",
            "",
        ),
        ("UPDATE shop.customers SET name = 'x' WHERE customer_id = 1", ""),
        ("DELETE shop.customers WHERE TRUE", ""),
        ("INSERT INTO shop.products (product_id, title) SELECT 1, 'a'", ""),
        ("TRUNCATE TABLE shop.products", ""),
        (
            "SELECT CAST('1' AS BIGINT) AS a, CAST(1 AS DECIMAL) AS b, CAST(1 AS STRING) AS c",
            "a INT64, b NUMERIC, c STRING",
        ),
        (
            "SELECT RANGE(DATE '2024-01-01', DATE '2024-02-01') AS r, INTERVAL 1 DAY AS i",
            "r RANGE<DATE>, i INTERVAL",
        ),
    ] {
        assert_eq!(columns(&verdict(sql)), expected, "{sql}");
    }
}

#[test]
fn refused_at_this_place() {
    use RefusalKind as K;
    // What stands between ‹ and › is the place.
    for (marked, kind, message) in [
        (
            "SELECT ‹titel› FROM shop.products",
            K::UnknownName,
            "Unrecognized name: titel",
        ),
        (
            "SELECT order_id\nFROM ‹shop.ordrs›",
            K::UnknownTable,
            "Table not found",
        ),
        (
            "SELECT 1 FROM ‹`acme-analytics.shop.ordrs`› AS o",
            K::UnknownTable,
            "Table not found",
        ),
        (
            "SELECT 1 FROM ‹acme-analytics.shop.ordrs› AS o",
            K::UnknownTable,
            "Table not found",
        ),
        ("SELECT shipping.‹town› FROM shop.orders", K::UnknownField, "town"),
        (
            "SELECT items.‹quantity› FROM shop.orders",
            K::UnknownField,
            "Cannot access field quantity",
        ),
        (
            "SELECT ‹UPPERCASE›(status) FROM shop.orders",
            K::UnknownFunction,
            "Function not found: UPPERCASE",
        ),
        (
            "SELECT ‹ROUND›(status) FROM shop.orders",
            K::ArgumentTypes,
            "No matching signature for function ROUND",
        ),
        (
            "SELECT ‹SUBSTR›(status) FROM shop.orders",
            K::ArgumentCount,
            "No matching signature for function SUBSTR",
        ),
        (
            "SELECT status, ‹order_id› FROM shop.orders GROUP BY status",
            K::NotGrouped,
            "neither grouped nor aggregated",
        ),
        (
            "SELECT ‹customer_id› FROM shop.orders o JOIN shop.customers c ON o.customer_id = c.customer_id",
            K::AmbiguousName,
            "ambiguous",
        ),
        (
            "SELECT ‹x›.order_id FROM shop.orders o",
            K::UnknownName,
            "Unrecognized name: x",
        ),
        (
            "SELECT 1 FROM shop.orders WHERE ‹ordered_at› > 5",
            K::OperatorTypes,
            "No matching signature for operator >",
        ),
        (
            "SELECT order_id FROM shop.orders UNION ALL ‹SELECT› title FROM shop.products",
            K::SetOperationColumns,
            "incompatible types",
        ),
        (
            "SELECT ‹IFERROR›(1, 2)",
            K::UnknownFunction,
            "Function not found: IFERROR",
        ),
        (
            "SELECT ‹LCASE›('A')",
            K::UnknownFunction,
            "Function not found: LCASE",
        ),
        (
            "SELECT CAST(1 AS ‹FLOAT32›)",
            K::UnknownType,
            "Type not found: FLOAT32",
        ),
        (
            "‹DELETE› FROM shop.orders",
            K::Other,
            "DELETE must have a WHERE clause",
        ),
        (
            "\n-- all of them\n‹UPDATE› shop.orders SET total = 1",
            K::Other,
            "UPDATE must have a WHERE clause",
        ),
        ("‹SHOW› TABLES", K::NotInBigQuery, "not supported"),
        ("SELECT ‹FROM› WHERE", K::Syntax, "Syntax error"),
        (
            "SELECT 1 FROM shop.orders WHERE ‹SUM›(total) > 1",
            K::AggregateNotAllowed,
            "Aggregate function SUM not allowed in WHERE",
        ),
        (
            "INSERT shop.products (product_id, ‹titel›) VALUES (1, 'a')",
            K::UnknownNameInList,
            "titel is not present",
        ),
        ("SELECT ‹shop.nett›(1)", K::UnknownFunction, "Function not found"),
        (
            "-- é😀\tü\nSELECT '😀é',\t‹titel› FROM shop.products",
            K::UnknownName,
            "titel",
        ),
    ] {
        let start = marked.find('‹').unwrap();
        let end = marked.find('›').unwrap() - '‹'.len_utf8();
        let sql = marked.replace(['‹', '›'], "");
        let verdict = verdict(&sql);
        let refusal = verdict.refusal().unwrap_or_else(|| panic!("{sql}: {verdict:?}"));
        assert_eq!(
            (refusal.kind, &sql[refusal.range.clone()]),
            (kind, &sql[start..end]),
            "{sql}: {refusal:?}"
        );
        assert_eq!(refusal.range, start..end, "{sql}: {refusal:?}");
        assert!(refusal.message.contains(message), "{sql}: {refusal:?}");
        assert!(!refusal.message.contains("[at "), "{sql}: {refusal:?}");
        assert!(!refusal.message.contains("Did you mean"), "{sql}: {refusal:?}");
    }
}

#[test]
fn the_nearest_name_is_proposed() {
    for (sql, name) in [
        ("SELECT titel FROM shop.products", "title"),
        ("SELECT 1 FROM shop.ordrs", "shop.orders"),
        ("SELECT 1 FROM `acme-analytics.shop.ordrs`", "shop.orders"),
        ("SELECT COALESCEE(1, 2)", "COALESCE"),
        ("SELECT coalescee(1, 2)", "coalesce"),
    ] {
        let verdict = verdict(sql);
        let refusal = verdict.refusal().unwrap_or_else(|| panic!("{sql}: {verdict:?}"));
        assert_eq!(refusal.suggestion.as_deref(), Some(name), "{sql}");
    }
}

#[test]
fn tables_read_and_written_are_named() {
    let names = |sql: &str| {
        let verdict = verdict(sql);
        let accepted = verdict.accepted().unwrap_or_else(|| panic!("{sql}: {verdict:?}"));
        accepted
            .tables
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(
        names(
            "WITH o AS (SELECT customer_id FROM shop.orders) SELECT 1 FROM o JOIN `shop.customers` USING (customer_id)"
        ),
        "acme-analytics.shop.customers acme-analytics.shop.orders"
    );
    assert_eq!(
        names("INSERT INTO shop.products (product_id) SELECT order_id FROM shop.orders"),
        "acme-analytics.shop.orders acme-analytics.shop.products"
    );
    assert_eq!(
        names("SELECT 1 FROM shop.events_20240101"),
        "acme-analytics.shop.events_*"
    );
    assert_eq!(names("SELECT 'shop.orders'"), "");
}

#[test]
fn declared_parameters_have_their_type() {
    let context = Context {
        parameters: vec![("Day".to_owned(), "DATE".to_owned())],
        ..Context::default()
    };
    let judged = |sql: &str| judge().verdict(sql, &shop(), &context);
    let good =
        judged("SELECT DATE_ADD(@day, INTERVAL 1 DAY) AS d FROM shop.orders WHERE @day < '2024-01-01'");
    assert_eq!(columns(&good), "d DATE");
    let bad = judged("SELECT @day + 'x'");
    assert_eq!(bad.refusal().map(|r| r.kind), Some(RefusalKind::OperatorTypes));
}

#[test]
fn a_default_dataset_stands_before_bare_names() {
    let dataset = bigquill_analysis::schema::TableReference {
        project: String::new(),
        dataset: "shop".to_owned(),
        table: String::new(),
    };
    let context = Context {
        default_dataset: Some(dataset),
        ..Context::default()
    };
    let judged = |sql: &str| judge().verdict(sql, &shop(), &context);
    assert_eq!(columns(&judged("SELECT title FROM products")), "title STRING");
    let unknown = judged("SELECT title FROM prodcuts");
    assert_eq!(unknown.refusal().map(|r| r.kind), Some(RefusalKind::UnknownTable));
    assert!(verdict("SELECT title FROM products").refusal().is_some());
}

#[test]
fn what_is_not_known_gets_no_verdict() {
    let partial = Context {
        unlisted: Unlisted::NoVerdict,
        ..Context::default()
    };
    let judged = |sql: &str, context: &Context| judge().verdict(sql, &shop(), context);
    let whole = Context::default();
    for (sql, context) in [
        ("SELECT x FROM logs.bare", &whole),
        ("SELECT x FROM `other-project.shop.orders`", &whole),
        (
            "SELECT * FROM ML.PREDICT(MODEL shop.m, TABLE shop.orders)",
            &whole,
        ),
        ("SELECT new_column FROM shop.INFORMATION_SCHEMA.TABLES", &whole),
        ("SELECT x FROM shop.INFORMATION_SCHEMA.NO_SUCH_VIEW", &whole),
        ("SELECT x FROM shop.ordrs", &partial),
        ("SELECT shop.no_function(1)", &partial),
    ] {
        let verdict = judged(sql, context);
        assert!(matches!(verdict, Verdict::Unknown(_)), "{sql}: {verdict:?}");
    }
    let unknown = judge().verdict("SELECT x FROM a.b", &Default::default(), &whole);
    assert!(
        matches!(unknown, Verdict::Unknown(NoVerdict::Unlisted(_))),
        "{unknown:?}"
    );
}

#[test]
fn templates_get_no_verdict() {
    for sql in [
        "SELECT a FROM {{ ref('orders') }}",
        "{% if x %} SELECT 1 {% endif %}",
        "SELECT 1 FROM shop.orders WHERE ordered_at > '{{ ds }}'",
        "SELECT 1 FROM `{{ project }}.shop.orders`",
    ] {
        assert_eq!(verdict(sql), Verdict::Unknown(NoVerdict::Template), "{sql}");
    }
}

#[test]
fn case_of_tables_counts() {
    assert!(verdict("SELECT 1 FROM shop.Orders").refusal().is_some());
    assert_eq!(
        columns(&verdict("SELECT Order_ID FROM shop.orders")),
        "Order_ID INT64"
    );
}
