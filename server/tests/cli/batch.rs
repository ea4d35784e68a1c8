//! `bigquill check --jsonl`: statements in, verdicts out, in the same order.

use super::{Place, fixture};

#[test]
fn verdicts_come_in_order_and_a_bad_line_does_not_stop_the_rest() {
    let place = Place::new();
    let input = r#"{"id": 1, "sql": "SELECT name FROM shop.customers"}
{"id": "b", "sql": "SELECT nmae FROM shop.customers"}
{"id": 3, "query": "SELECT 1"}
not JSON

{"id": 5, "sql": "SELECT name FROM shop.customers"}
"#;
    let run = place
        .run_with(
            &[
                "check",
                "--jsonl",
                "-",
                "--catalog",
                &fixture("catalogs/shop.json"),
            ],
            input,
        )
        .expect(2);
    let lines = run.lines();
    assert_eq!(lines.len(), 5);
    assert_eq!(
        (lines[0]["id"].as_i64(), lines[0]["ok"].as_bool()),
        (Some(1), Some(true))
    );
    assert_eq!(
        (lines[1]["id"].as_str(), lines[1]["ok"].as_bool()),
        (Some("b"), Some(false))
    );
    assert_eq!(lines[1]["diagnostics"][0]["start"]["character"], 7);
    assert_eq!(lines[2]["id"], 3);
    assert!(
        lines[2]["error"].as_str().is_some_and(|e| e.contains("sql")),
        "{}",
        lines[2]
    );
    assert_eq!(lines[3].get("id"), None);
    assert!(lines[3]["error"].is_string());
    assert_eq!(
        (lines[4]["id"].as_i64(), lines[4]["ok"].as_bool()),
        (Some(5), Some(true))
    );
}

#[test]
fn lines_name_their_catalog() {
    let place = Place::new();
    std::fs::create_dir(place.path("catalogs")).expect("folder");
    std::fs::copy(fixture("catalogs/shop.json"), place.path("catalogs/shop.json")).expect("copy");
    let input = r#"{"id": 1, "sql": "SELECT name FROM shop.customers", "catalog": "shop"}
{"id": 2, "sql": "SELECT nmae FROM shop.customers", "catalog": "shop"}
{"id": 3, "sql": "SELECT 1", "catalog": "../catalogs/shop"}
{"id": 4, "sql": "SELECT nmae FROM shop.customers"}
"#;
    let run = place
        .run_with(&["check", "--jsonl", "-", "--catalogs", "catalogs"], input)
        .expect(2);
    let lines = run.lines();
    assert_eq!(lines[0]["ok"], true);
    assert_eq!(lines[1]["ok"], false);
    assert!(
        lines[2]["error"]
            .as_str()
            .is_some_and(|e| e.contains("there is no catalog"))
    );
    assert_eq!(
        lines[3]["ok"], true,
        "without a catalog only the grammar is checked"
    );
}

#[test]
fn without_findings_the_code_is_0_and_with_them_1() {
    let place = Place::new();
    let good = "{\"id\": 1, \"sql\": \"SELECT 1\"}\n";
    let bad = "{\"id\": 1, \"sql\": \"SELECT nmae FROM shop.customers\"}\n";
    place.run_with(&["check", "--jsonl", "-"], good).expect(0);
    place
        .run_with(
            &[
                "check",
                "--jsonl",
                "-",
                "--catalog",
                &fixture("catalogs/shop.json"),
            ],
            bad,
        )
        .expect(1);
    place.run(&["check", "--jsonl", "missing.jsonl"]).expect(2);
    place
        .run(&["check", "--jsonl", "-", "--catalogs", "missing"])
        .expect(2);
}
