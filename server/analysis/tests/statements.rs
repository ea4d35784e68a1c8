//! Real statements with GoogleSQL's verdicts (`fixtures/statements`): no false alarm on the valid ones, a counted share
//! of the invalid found on the right line.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test reads its fixtures"
)]

use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;

use bigquill_analysis::check::{Code, Severity, check};
use bigquill_analysis::schema::{CatalogSnapshot, read_resources};
use serde_json::Value;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/statements")
}

fn read(path: &str) -> String {
    let path = folder().join(path);
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(std::fs::File::open(&path).unwrap())
        .read_to_string(&mut text)
        .unwrap();
    text
}

fn rows(path: &str) -> Vec<Value> {
    read(path)
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect()
}

fn snapshots() -> BTreeMap<String, CatalogSnapshot> {
    let catalog = |name: &str| {
        let (tables, routines, errors) = read_resources(&read(&format!("catalogs/{name}.jsonl.gz")));
        assert!(errors.is_empty(), "{name}: {errors:?}");
        (name.to_owned(), CatalogSnapshot::new(None, tables, routines))
    };
    let none = (String::new(), CatalogSnapshot::default());
    let docs = ("docs".to_owned(), CatalogSnapshot::new(None, [], []));
    [none, docs, catalog("mimic"), catalog("spider2")].into()
}

fn snapshot<'s>(all: &'s BTreeMap<String, CatalogSnapshot>, row: &Value) -> &'s CatalogSnapshot {
    &all[row["catalog"].as_str().unwrap_or_default()]
}

/// Lines, from 1, of findings that are errors or warnings.
fn alarms(sql: &str, snapshot: &CatalogSnapshot) -> Vec<(usize, String)> {
    let line = |at: usize| 1 + sql[..at].matches('\n').count();
    check(sql, snapshot)
        .into_iter()
        .filter(|d| d.severity <= Severity::Warning)
        .map(|d| (line(d.range.start), format!("{} {}", d.code.as_str(), d.message)))
        .collect()
}

#[test]
fn no_false_alarm_on_valid_statements() {
    let all = snapshots();
    let rows = rows("valid.jsonl.gz");
    assert!(rows.len() > 300);
    for row in rows {
        let found = alarms(row["sql"].as_str().unwrap(), snapshot(&all, &row));
        assert!(found.is_empty(), "{}: {found:?}", row["id"]);
    }
}

#[test]
fn most_faults_are_found_on_their_line() {
    let all = snapshots();
    let mut kinds: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for row in rows("invalid.jsonl.gz") {
        let found = alarms(row["sql"].as_str().unwrap(), snapshot(&all, &row));
        let line = usize::try_from(row["line"].as_u64().unwrap()).unwrap();
        let counts = kinds.entry(row["kind"].as_str().unwrap().to_owned()).or_default();
        counts.0 += 1;
        counts.1 += usize::from(found.iter().any(|f| f.0 == line));
    }
    for (kind, least) in [
        ("unknown_table", 0.9),
        ("unknown_name", 0.9),
        ("unknown_field", 0.9),
        ("unknown_function", 0.9),
        ("ambiguous_name", 0.9),
        ("syntax", 0.6),
    ] {
        let (all, caught) = kinds[kind];
        assert!(caught as f64 >= least * all as f64, "{kind}: {caught} of {all}");
    }
}

/// Valid statements that sqlparser does not read: a hint at most. One that parses now belongs with the valid.
#[test]
fn known_gaps_are_hints_at_most() {
    let none = CatalogSnapshot::default();
    for row in rows("known-gaps.jsonl.gz") {
        let found = check(row["sql"].as_str().unwrap(), &none);
        assert!(
            found
                .iter()
                .all(|d| d.severity == Severity::Hint && d.code == Code::NotParsed),
            "{}: {found:?}",
            row["id"]
        );
        assert!(!found.is_empty(), "{} is no gap any more", row["id"]);
    }
}

#[test]
fn long_and_deep_statements_end() {
    let none = CatalogSnapshot::new(None, [], []);
    let deep = format!("SELECT {}1{}", "(".repeat(10_000), ")".repeat(10_000));
    let chain = format!("SELECT 1{}", " + 1".repeat(30_000));
    let beyond = format!("SELECT 1{}", " + 1".repeat(200_000));
    let unions = format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(5_000));
    let cases = format!(
        "SELECT {}1{}",
        "CASE WHEN TRUE THEN ".repeat(2_000),
        " END".repeat(2_000)
    );
    let string = format!("SELECT '{}'", "x".repeat(1 << 20));
    let list = format!("SELECT * FROM t WHERE a IN ({}1)", "1, ".repeat(300_000));
    let lines = "SELECT a FROM d.t;\n".repeat(10_000);
    for text in [deep, chain, beyond, unions, cases, string, list, lines] {
        for finding in check(&text, &none) {
            assert!(text.get(finding.range.clone()).is_some());
        }
    }
}

/// Findings stay in the text, and edits between characters, whatever is cut off.
#[test]
fn any_prefix_of_a_statement_is_checked() {
    let all = snapshots();
    for row in rows("valid.jsonl.gz").iter().step_by(12) {
        let sql = row["sql"].as_str().unwrap();
        let cuts: Vec<usize> = sql.char_indices().map(|(i, _)| i).step_by(17).collect();
        for cut in cuts {
            let text = &sql[..cut];
            for finding in check(text, snapshot(&all, row)) {
                assert!(text.get(finding.range.clone()).is_some(), "{text}");
                assert!(
                    finding
                        .fixes
                        .iter()
                        .flat_map(|f| &f.edits)
                        .all(|(r, _)| text.get(r.clone()).is_some()),
                    "{text}"
                );
            }
        }
    }
}
