//! Recall of schema linking: `cargo run --release --example linking -- DATA_FOLDER`.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a program that measures, not the library"
)]

use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::path::Path;

use bigquill_analysis::check::prove;
use bigquill_analysis::linking::rank;
use bigquill_analysis::schema::{CatalogSnapshot, read_resources};
use serde_json::{Value, json};

type Failure = Box<dyn std::error::Error>;

fn rows(path: &Path) -> Result<Vec<Value>, Failure> {
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(std::fs::File::open(path)?).read_to_string(&mut text)?;
    text.lines()
        .map(|l| serde_json::from_str(l).map_err(Into::into))
        .collect()
}

fn main() -> Result<(), Failure> {
    let folder = std::env::args().nth(1).ok_or("name the data folder")?;
    let folder = Path::new(&folder);
    let mut catalogs: HashMap<String, CatalogSnapshot> = HashMap::new();
    let mut all: Vec<Value> = Vec::new();
    for entry in std::fs::read_dir(folder.join("catalogs"))? {
        for catalog in rows(&entry?.path())? {
            let mut resources = Vec::new();
            for table in catalog["tables"].as_array().into_iter().flatten() {
                let keys: Vec<Value> = catalog["foreign_keys"].as_array().into_iter().flatten().filter_map(|k| {
                    let (from, to) = (k[0].as_str()?.split_once('.')?, k[1].as_str()?.split_once('.')?);
                    let own = table["table"].as_str()?.eq_ignore_ascii_case(from.0);
                    let target = catalog["tables"].as_array()?.iter().find(|t| t["table"].as_str().is_some_and(|n| n.eq_ignore_ascii_case(to.0)))?;
                    own.then(|| json!({"referencedTable": {"datasetId": target["dataset"], "tableId": target["table"]}}))
                }).collect();
                resources.push(json!({
                    "tableReference": {"projectId": table["project"].as_str().unwrap_or(""), "datasetId": table["dataset"], "tableId": table["table"]},
                    "type": "TABLE", "description": table["description"].as_str().unwrap_or(""),
                    "schema": {"fields": table["fields"]}, "tableConstraints": {"foreignKeys": keys}}));
            }
            let (tables, routines, _) = read_resources(&serde_json::to_string(&resources)?);
            if catalog["source"] != "wikisql" {
                all.extend(resources);
            }
            catalogs.insert(
                catalog["name"].as_str().unwrap_or_default().to_owned(),
                CatalogSnapshot::new(None, tables, routines),
            );
        }
    }
    let (tables, routines, _) = read_resources(&serde_json::to_string(&all)?);
    let union = CatalogSnapshot::new(None, tables, routines);
    println!("union of all catalogs: {} tables", union.tables().count());
    let mut files: Vec<_> = std::fs::read_dir(folder.join("dev"))?
        .filter_map(Result::ok)
        .map(|e| e.path())
        .collect();
    files.sort();
    for path in files {
        let mut at: BTreeMap<usize, usize> = BTreeMap::new();
        let mut wide: BTreeMap<usize, usize> = BTreeMap::new();
        let (mut n, mut proved, mut sizes) = (0, 0, 0);
        let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
        for row in rows(&path)? {
            let Some(snapshot) = row["catalog"].as_str().and_then(|c| catalogs.get(c)) else {
                continue;
            };
            let sql = row["bigquery_sql"].as_str().unwrap_or_default();
            let proof = prove(sql, snapshot);
            proved += usize::from(proof.proved);
            if !proof.proved {
                let why = proof
                    .diagnostics
                    .first()
                    .map(|d| format!("{}: {}", d.code.as_str(), d.message))
                    .or(proof.reasons.first().cloned())
                    .unwrap_or_default();
                *reasons.entry(why.chars().take(90).collect()).or_default() += 1;
            }
            if proof.tables.is_empty() {
                continue;
            }
            n += 1;
            sizes += snapshot.tables().count();
            let question = row["question"].as_str().unwrap_or_default();
            let evidence = row["evidence"].as_str();
            for (snapshot, hits) in [(snapshot, &mut at), (&union, &mut wide)] {
                let ranked = rank(question, evidence, snapshot);
                let worst = proof
                    .tables
                    .iter()
                    .map(|g| {
                        ranked
                            .iter()
                            .position(|r| &r.table.reference == g)
                            .unwrap_or(usize::MAX)
                    })
                    .max()
                    .unwrap_or(usize::MAX);
                for k in [1, 2, 3, 5, 8, 10, 20, 50] {
                    *hits.entry(k).or_default() += usize::from(worst < k);
                }
            }
        }
        let show = |m: &BTreeMap<usize, usize>| {
            m.iter()
                .map(|(k, v)| format!("@{k} {:.1}", 100.0 * *v as f64 / n as f64))
                .collect::<Vec<_>>()
                .join("  ")
        };
        println!(
            "{}: n {n} (mean catalog {:.0}), gold proved {proved}\n   own catalog  {}\n   union        {}",
            path.file_name().unwrap_or_default().to_string_lossy(),
            sizes as f64 / n as f64,
            show(&at),
            show(&wide)
        );
        let mut reasons: Vec<_> = reasons.into_iter().collect();
        reasons.sort_by_key(|r| std::cmp::Reverse(r.1));
        for (why, count) in reasons.into_iter().take(8) {
            println!("      {count} {why}");
        }
    }
    Ok(())
}
