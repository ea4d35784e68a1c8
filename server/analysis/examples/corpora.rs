//! Measures the check on the SQL corpora: `cargo run --release --example corpora -- CORPORA_FOLDER [--list KIND]`.
//!
//! False alarms are findings of severity error or warning on statements that GoogleSQL takes; a fault counts as found
//! where such a finding stands on its line.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a program that measures, not the library"
)]

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::time::Instant;

use bigquill_analysis::check::{Severity, check};
use bigquill_analysis::schema::{CatalogSnapshot, read_resources};
use serde_json::{Value, json};

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let folder = arguments.first().ok_or("name the corpora's folder")?;
    let list = arguments
        .iter()
        .position(|a| a == "--list")
        .and_then(|i| arguments.get(i + 1));
    analyze(Path::new(folder), list.map(String::as_str))?;
    parse(Path::new(folder), list.map(String::as_str))
}

fn unzip(path: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(std::fs::File::open(path)?).read_to_string(&mut text)?;
    Ok(text)
}

fn rows(path: &Path) -> Result<Vec<Value>, Failure> {
    unzip(path)?
        .lines()
        .map(|l| serde_json::from_str(l).map_err(Into::into))
        .collect()
}

/// The corpora's catalogs, which have the API's `schema.fields` but names beside it, as `tables.get` resources.
fn catalog(path: &Path) -> Result<CatalogSnapshot, Failure> {
    let raw: Value = serde_json::from_str(&unzip(path)?)?;
    let mut resources = Vec::new();
    for table in raw["tables"].as_array().into_iter().flatten() {
        let mut resource = table.clone();
        resource["tableReference"] =
            json!({"projectId": table["project"], "datasetId": table["dataset"], "tableId": table["table"]});
        resource["type"] = json!("TABLE");
        resources.push(resource);
    }
    for routine in raw["routines"].as_array().into_iter().flatten() {
        resources.push(json!({"routineReference": {"projectId": routine["project"], "datasetId": routine["dataset"],
            "routineId": routine["routine"].as_str().or(routine["name"].as_str())}, "routineType": "SCALAR_FUNCTION"}));
    }
    let (tables, routines, errors) = read_resources(&serde_json::to_string(&resources)?);
    for error in errors {
        println!("  catalog {}: {error}", path.display());
    }
    Ok(CatalogSnapshot::new(
        raw["defaultProject"].as_str().map(str::to_owned),
        tables,
        routines,
    ))
}

fn alarms(sql: &str, snapshot: &CatalogSnapshot) -> Vec<(usize, String)> {
    check(sql, snapshot)
        .into_iter()
        .filter(|d| d.severity <= Severity::Warning)
        .map(|d| {
            (
                1 + sql[..d.range.start].matches('\n').count(),
                format!("{} {:?} {}", d.code.as_str(), &sql[d.range.clone()], d.message),
            )
        })
        .collect()
}

fn analyze(folder: &Path, list: Option<&str>) -> Result<(), Failure> {
    let mut catalogs = BTreeMap::new();
    for name in ["docs", "etl", "mimic", "spider2"] {
        catalogs.insert(
            name,
            catalog(&folder.join(format!("analyze-catalogs/{name}.json.gz")))?,
        );
    }
    let mut kinds: BTreeMap<String, (usize, usize, usize)> = BTreeMap::new();
    let (mut valid, mut false_alarms, mut slowest) = (0, 0, 0.0_f64);
    for row in rows(&folder.join("analyze.jsonl.gz"))? {
        let sql = row["sql"].as_str().unwrap_or_default();
        let Some(snapshot) = row["catalog"].as_str().and_then(|c| catalogs.get(c)) else {
            continue;
        };
        let start = Instant::now();
        let found = alarms(sql, snapshot);
        slowest = slowest.max(start.elapsed().as_secs_f64() * 1e3);
        if row["valid"].as_bool() == Some(true) {
            valid += 1;
            if !found.is_empty() {
                false_alarms += 1;
                println!(
                    "FALSE ALARM {} {}",
                    row["id"],
                    found
                        .iter()
                        .map(|f| format!("{}: {}", f.0, f.1))
                        .collect::<Vec<_>>()
                        .join(" | ")
                );
            }
            continue;
        }
        let kind = row["error"]["kind"].as_str().unwrap_or_default();
        let line = row["error"]["line"].as_u64().unwrap_or_default() as usize;
        let entry = kinds.entry(kind.to_owned()).or_default();
        entry.0 += 1;
        entry.1 += usize::from(!found.is_empty());
        let right = found.iter().any(|f| f.0 == line);
        entry.2 += usize::from(right);
        if !right && list == Some(kind) {
            println!(
                "MISSED {} {} line {line}: {} | found {found:?}",
                row["id"], row["mutation"], row["error"]["message"]
            );
        }
    }
    println!("analyze: false alarms {false_alarms} of {valid} valid statements; slowest {slowest:.1} ms");
    for (kind, (all, any, right)) in kinds {
        println!(
            "  {kind:24} {all:4} any finding {any:4} on its line {right:4} ({:.1} %)",
            100.0 * right as f64 / all as f64
        );
    }
    Ok(())
}

fn parse(folder: &Path, list: Option<&str>) -> Result<(), Failure> {
    let none = CatalogSnapshot::default();
    let mut files: Vec<_> = std::fs::read_dir(folder)?
        .filter_map(Result::ok)
        .map(|e| e.path())
        .collect();
    files.sort();
    for path in files {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if !name.starts_with("parse-") {
            continue;
        }
        let (mut ok, mut alarmed, mut hinted, mut bad, mut caught, mut bad_hinted) = (0, 0, 0, 0, 0, 0);
        for row in rows(&path)? {
            let sql = row["sql"].as_str().unwrap_or_default();
            let found: Vec<_> = check(sql, &none);
            let alarm: Vec<_> = found.iter().filter(|d| d.severity <= Severity::Warning).collect();
            if row["zetasql_parse_ok"].as_bool() == Some(true) {
                ok += 1;
                alarmed += usize::from(!alarm.is_empty());
                hinted += usize::from(alarm.is_empty() && !found.is_empty());
                if list == Some("parse-false") && !alarm.is_empty() {
                    println!(
                        "FALSE {} {:?}",
                        row["id"],
                        alarm
                            .iter()
                            .map(|d| format!("{} {:?} {}", d.code.as_str(), &sql[d.range.clone()], d.message))
                            .collect::<Vec<_>>()
                    );
                }
                if list == Some("gaps") && alarm.is_empty() && !found.is_empty() {
                    let d = &found[0];
                    let around: String = sql[..d.range.start]
                        .chars()
                        .rev()
                        .take(60)
                        .collect::<Vec<_>>()
                        .into_iter()
                        .rev()
                        .collect();
                    println!(
                        "GAP {} {} near {:?}",
                        row["id"],
                        d.message,
                        format!(
                            "{around}▸{}",
                            sql[d.range.start..].chars().take(40).collect::<String>()
                        )
                    );
                }
            } else {
                bad += 1;
                caught += usize::from(!alarm.is_empty());
                bad_hinted += usize::from(alarm.is_empty() && !found.is_empty());
                if list == Some("parse-missed") && alarm.is_empty() {
                    println!(
                        "MISSED {} {:?} {} {}",
                        row["id"],
                        &sql.chars().take(100).collect::<String>(),
                        row["zetasql_error"],
                        found.len()
                    );
                }
            }
        }
        println!(
            "{name:40} valid {ok:5}: alarms {alarmed}, hints {hinted}; invalid {bad:5}: caught {caught}, hinted {bad_hinted}"
        );
    }
    Ok(())
}
