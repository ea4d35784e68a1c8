//! Real statements: the verdict, the output columns and the place of an error are those that GoogleSQL gave
//! outside of this crate (`fixtures/README.md` says where they come from).

use std::collections::BTreeMap;

use bigquill_analysis::schema::{CatalogSnapshot, read_resources};
use bigquill_judge::{Context, OutputColumn, Refusal, Verdict};
use serde_json::Value;

use crate::support::{judge, unpacked};

fn catalogs() -> BTreeMap<&'static str, CatalogSnapshot> {
    let read = |name: &str, project: Option<&str>| {
        let (tables, routines, errors) =
            read_resources(&unpacked(&format!("statements/catalogs/{name}.jsonl.gz")));
        assert!(errors.is_empty(), "{name}: {errors:?}");
        CatalogSnapshot::new(project.map(str::to_owned), tables, routines)
    };
    [
        ("docs", CatalogSnapshot::new(None, [], [])),
        ("etl", read("etl", Some("moz-fx-data-shared-prod"))),
        ("mimic", read("mimic", None)),
        ("spider2", read("spider2", None)),
    ]
    .into()
}

#[test]
fn verdicts_are_those_of_the_corpus() {
    let catalogs = catalogs();
    let text = unpacked("statements/judge.jsonl.gz");
    let rows: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert!(rows.len() > 300);
    let mut differences = Vec::new();
    for row in &rows {
        let sql = row["sql"].as_str().unwrap();
        let verdict = judge().verdict(
            sql,
            &catalogs[row["catalog"].as_str().unwrap()],
            &Context::default(),
        );
        if let Err(difference) = same(row, sql, &verdict) {
            differences.push(format!("{}: {difference}", row["id"]));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

fn same(row: &Value, sql: &str, verdict: &Verdict) -> Result<(), String> {
    match (verdict, row["valid"] == Value::Bool(true)) {
        (Verdict::Accepted(accepted), true) => same_columns(&row["columns"], &accepted.columns),
        (Verdict::Refused(refusal), false) => same_refusal(&row["error"], sql, refusal),
        _ => Err(format!("stored {}, found {verdict:?}", row["error"])),
    }
}

fn same_columns(stored: &Value, found: &[OutputColumn]) -> Result<(), String> {
    let stored: Vec<_> = stored.as_array().into_iter().flatten().collect();
    let equal = |(stored, found): (&&Value, &OutputColumn)| {
        stored["name"].as_str() == found.name.as_deref() && stored["type"] == found.sql_type.as_str()
    };
    if stored.len() == found.len() && stored.iter().zip(found).all(equal) {
        Ok(())
    } else {
        Err(format!("stored {stored:?}, found {found:?}"))
    }
}

fn same_refusal(stored: &Value, sql: &str, refusal: &Refusal) -> Result<(), String> {
    let kind = refusal.kind.as_str().replace('-', "_");
    let offset = sql[..refusal.range.start].chars().count();
    if stored["kind"] == kind.as_str() && stored["offset"] == offset {
        Ok(())
    } else {
        Err(format!(
            "stored {stored}, found {kind} at {offset}: {}",
            refusal.message
        ))
    }
}
