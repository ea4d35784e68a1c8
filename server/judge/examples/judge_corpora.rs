//! Measures the judge against the corpora of SQL with stored verdicts.
//!
//! `cargo run --release -p bigquill-judge --example judge_corpora -- CORPORA MODULE CACHE [analyze|parse]…`
//!
//! `CORPORA` is a folder with `analyze.jsonl.gz`, `analyze-catalogs/` and `parse-*.jsonl.gz`; `MODULE` the
//! `zetasql.wasm` of PyPI's zetasql 0.1.5; `CACHE` the folder for its compiled form. Prints each statement whose
//! verdict differs from the stored one, then counts and times.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

use bigquill_analysis::schema::{
    Argument, CatalogSnapshot, Column, DataType, Mode, Partitioning, Routine, RoutineKind, TableKind,
    TableNotes, TableReference, TableSchema,
};
use bigquill_judge::{
    CacheFolder, Context, Judge, JudgeOptions, ModuleSource, Refusal, RefusalKind, Verdict,
};
use flate2::read::GzDecoder;
use serde_json::Value;

type Error = Box<dyn std::error::Error>;

fn main() -> Result<(), Error> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [corpora, module, cache, parts @ ..] = arguments.as_slice() else {
        return Err("usage: judge_corpora CORPORA MODULE CACHE [analyze|parse]…".into());
    };
    let corpora = Path::new(corpora);
    let source = ModuleSource::pinned(module);
    let mut out = std::io::stdout().lock();
    let started = Instant::now();
    let options = JudgeOptions {
        remembered: 0,
        ..JudgeOptions::default()
    };
    let judge = Judge::open(&source, &CacheFolder(cache.into()), options, &|_| {})?;
    let opened = started.elapsed();
    let first = judge.verdict("SELECT 1", &CatalogSnapshot::default(), &Context::default());
    writeln!(
        out,
        "opened in {opened:.0?}, first verdict after {:.0?}: {first:?}",
        started.elapsed()
    )?;
    let wants = |part: &str| parts.is_empty() || parts.iter().any(|p| p == part);
    if wants("analyze") {
        analyze(&judge, corpora, &mut out)?;
    }
    if wants("parse") {
        parse(&judge, corpora, &mut out)?;
    }
    writeln!(out, "memory: {}", resident())?;
    Ok(())
}

fn analyze(judge: &Judge, corpora: &Path, out: &mut dyn Write) -> Result<(), Error> {
    let mut catalogs: BTreeMap<String, CatalogSnapshot> = BTreeMap::new();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut times = Vec::new();
    for row in rows(&corpora.join("analyze.jsonl.gz"))? {
        let row = row?;
        let name = text(&row, "catalog").to_owned();
        if !catalogs.contains_key(&name) {
            let path = corpora.join(format!("analyze-catalogs/{name}.json.gz"));
            let catalog = serde_json::from_reader(BufReader::new(GzDecoder::new(File::open(path)?)))?;
            catalogs.insert(name.clone(), snapshot(&catalog));
        }
        let sql = text(&row, "sql");
        let started = Instant::now();
        let verdicts = judge.script(sql, &catalogs[&name], &Context::default());
        times.push(started.elapsed() / u32::try_from(verdicts.len().max(1))?);
        let outcome = compare(&row, sql, &verdicts);
        let class = match &outcome {
            Ok(()) => "equal",
            Err(difference) => {
                writeln!(out, "{}: {}", text(&row, "id"), difference.1)?;
                difference.0
            }
        };
        *counts.entry(class).or_default() += 1;
    }
    writeln!(
        out,
        "analyze: {counts:?}; a statement takes {}",
        percentiles(&mut times)
    )?;
    Ok(())
}

/// The class of a difference, and what to say of it.
type Difference = (&'static str, String);

fn compare(row: &Value, sql: &str, verdicts: &[(Range<usize>, Verdict)]) -> Result<(), Difference> {
    let refused = verdicts.iter().find_map(|(_, v)| v.refusal());
    let valid = row["valid"].as_bool().unwrap_or_default();
    match refused {
        None if !verdicts.iter().any(|(_, v)| v.accepted().is_some()) || unjudged(verdicts) => Err((
            "no verdict",
            format!("{:?}", verdicts.iter().map(|(_, v)| v).collect::<Vec<_>>()),
        )),
        None if !valid => Err(("accepted wrongly", format!("stored: {}", row["error"]))),
        None => compare_columns(row, verdicts),
        Some(refusal) if valid => Err((
            "refused wrongly",
            format!("{}: {}", refusal.kind, refusal.message),
        )),
        Some(refusal) => compare_error(&row["error"], sql, refusal),
    }
}

fn unjudged(verdicts: &[(Range<usize>, Verdict)]) -> bool {
    verdicts
        .last()
        .is_some_and(|(_, v)| matches!(v, Verdict::Unknown(_)))
}

fn compare_columns(row: &Value, verdicts: &[(Range<usize>, Verdict)]) -> Result<(), Difference> {
    let stored: Vec<(Option<&str>, &str)> = row["columns"]
        .as_array()
        .map(|columns| {
            columns
                .iter()
                .map(|c| (c["name"].as_str(), text(c, "type")))
                .collect()
        })
        .unwrap_or_default();
    let accepted = verdicts.iter().rev().find_map(|(_, v)| v.accepted());
    let found: Vec<(Option<&str>, &str)> = accepted
        .map(|a| {
            a.columns
                .iter()
                .map(|c| (c.name.as_deref(), c.sql_type.as_str()))
                .collect()
        })
        .unwrap_or_default();
    let statement = accepted.map_or("", |a| a.statement);
    if stored != found {
        return Err((
            "other columns",
            format!("{statement} stored {stored:?}, found {found:?}"),
        ));
    }
    let same = row["statement"].as_str().is_none_or(|stored| stored == statement);
    if same {
        Ok(())
    } else {
        Err(("other statement", format!("{} is {statement}", row["statement"])))
    }
}

fn compare_error(stored: &Value, sql: &str, refusal: &Refusal) -> Result<(), Difference> {
    let kind = refusal.kind.as_str().replace('-', "_");
    let offset = sql[..refusal.range.start].chars().count();
    let at = stored["offset"].as_u64().and_then(|o| usize::try_from(o).ok());
    if stored["kind"] != kind.as_str() {
        return Err((
            "other kind",
            format!("{kind} at {offset}, stored {stored}: {}", refusal.message),
        ));
    }
    if at != Some(offset) {
        return Err(("other place", format!("{kind} at {offset}, stored {stored}")));
    }
    Ok(())
}

fn parse(judge: &Judge, corpora: &Path, out: &mut dyn Write) -> Result<(), Error> {
    let mut files: Vec<_> = fs::read_dir(corpora)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.file_name()
                .is_some_and(|n| n.to_string_lossy().starts_with("parse-"))
        })
        .collect();
    files.sort();
    let mut all = [0_usize; 4];
    let mut times = Vec::new();
    for file in files {
        let mut counts = [0_usize; 4];
        for row in rows(&file)? {
            let row = row?;
            let started = Instant::now();
            let verdict = judge.grammar(text(&row, "sql"));
            times.push(started.elapsed());
            let stored = row["zetasql_parse_ok"].as_bool().unwrap_or_default();
            let differs = match verdict {
                Verdict::Accepted(_) => !stored,
                Verdict::Refused(_) => stored,
                Verdict::Unknown(_) => true,
            };
            counts[0] += usize::from(stored);
            counts[1] += usize::from(stored && differs);
            counts[2] += usize::from(!stored);
            counts[3] += usize::from(!stored && differs);
            if differs {
                writeln!(
                    out,
                    "{}: stored {stored}, found {}",
                    text(&row, "id"),
                    short(&verdict)
                )?;
            }
        }
        let name = file
            .file_name()
            .map(|n| n.to_string_lossy().into_owned())
            .unwrap_or_default();
        writeln!(
            out,
            "{name}: {} valid, {} of them not accepted; {} invalid, {} of them not refused",
            counts[0], counts[1], counts[2], counts[3]
        )?;
        for (sum, count) in all.iter_mut().zip(counts) {
            *sum += count;
        }
    }
    writeln!(
        out,
        "parse: {all:?} (valid, not accepted, invalid, not refused); {}",
        percentiles(&mut times)
    )?;
    Ok(())
}

fn short(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Accepted(_) => "accepted".to_owned(),
        Verdict::Refused(r) if r.kind == RefusalKind::Syntax => r.message.clone(),
        Verdict::Refused(r) => format!("{}: {}", r.kind, r.message),
        Verdict::Unknown(reason) => format!("no verdict: {reason}"),
    }
}

fn rows(path: &Path) -> Result<impl Iterator<Item = Result<Value, Error>>, Error> {
    let lines = BufReader::new(GzDecoder::new(File::open(path)?)).lines();
    Ok(lines.map(|line| Ok(serde_json::from_str(&line?)?)))
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn items<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value[key].as_array().into_iter().flatten()
}

fn snapshot(catalog: &Value) -> CatalogSnapshot {
    let default = catalog["defaultProject"].as_str().map(str::to_owned);
    CatalogSnapshot::new(
        default,
        items(catalog, "tables").map(table),
        items(catalog, "routines").map(routine),
    )
}

fn reference(value: &Value, name: &str) -> TableReference {
    TableReference {
        project: text(value, "project").to_owned(),
        dataset: text(value, "dataset").to_owned(),
        table: text(value, name).to_owned(),
    }
}

fn table(value: &Value) -> TableSchema {
    let partitioning = value.get("timePartitioning").map(|p| Partitioning {
        column: p["field"].as_str().map(str::to_owned),
        kind: text(p, "type").to_owned(),
        require_filter: false,
    });
    TableSchema {
        reference: reference(value, "table"),
        kind: TableKind::Table,
        description: String::new(),
        columns: items(&value["schema"], "fields").map(column).collect(),
        primary_key: Vec::new(),
        foreign_keys: Vec::new(),
        partitioning,
        clustering: Vec::new(),
        num_rows: None,
        num_bytes: None,
        notes: TableNotes::default(),
    }
}

fn column(value: &Value) -> Column {
    Column {
        name: text(value, "name").to_owned(),
        data_type: DataType::from_name(text(value, "type")),
        mode: match text(value, "mode") {
            "REPEATED" => Mode::Repeated,
            "REQUIRED" => Mode::Required,
            _ => Mode::Nullable,
        },
        description: String::new(),
        fields: items(value, "fields").map(column).collect(),
    }
}

fn routine(value: &Value) -> Routine {
    let argument = |a: &Value| Argument {
        name: text(a, "name").to_owned(),
        data_type: a["type"].as_str().map(|_| column(a).sql_type()),
    };
    let aggregate = value["aggregate"].as_bool().unwrap_or_default();
    Routine {
        reference: reference(value, "routine"),
        kind: if aggregate {
            RoutineKind::Aggregate
        } else {
            RoutineKind::Scalar
        },
        description: String::new(),
        arguments: items(value, "arguments").map(argument).collect(),
        return_type: value.get("returns").map(|r| column(r).sql_type()),
        return_columns: Vec::new(),
    }
}

fn percentiles(times: &mut [Duration]) -> String {
    times.sort_unstable();
    let at = |share: usize| {
        times
            .get((times.len().saturating_sub(1)) * share / 100)
            .copied()
            .unwrap_or_default()
    };
    format!(
        "{:.1?} in the middle, {:.1?} at the 99th percentile, {:.1?} at most",
        at(50),
        at(99),
        at(100)
    )
}

fn resident() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = |name: &str| {
        status
            .lines()
            .find(|l| l.starts_with(name))
            .unwrap_or("not known here")
            .to_owned()
    };
    format!("{}; {}", line("VmRSS"), line("RssAnon"))
}
