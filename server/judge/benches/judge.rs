//! What a verdict costs: opening from the cache, time for a statement, memory.
//!
//! `BIGQUILL_TEST_MODELS=DIR cargo bench -p bigquill-judge --bench judge [-- VERDICTS]`. Statements are those of
//! `fixtures/statements/judge.jsonl.gz`; nothing is remembered between them. `VERDICTS` (2,000 unless said) is
//! how many are asked for in a row to see memory grow.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bigquill_analysis::schema::{CatalogSnapshot, read_resources};
use bigquill_judge::{
    CacheFolder, CompiledModule, Context, Judge, JudgeOptions, MODULE_FILE, ModuleSource, Verdict,
};
use serde_json::Value;

type Error = Box<dyn std::error::Error>;

fn main() -> Result<(), Error> {
    let verdicts = std::env::args()
        .skip(1)
        .find_map(|a| a.parse().ok())
        .unwrap_or(2_000);
    let models = std::env::var_os("BIGQUILL_TEST_MODELS").ok_or("BIGQUILL_TEST_MODELS names no folder")?;
    let models = PathBuf::from(models);
    let source = ModuleSource::pinned(models.join(MODULE_FILE));
    let cache = CacheFolder(models.join("googlesql"));
    if CompiledModule::load(&source, &cache)?.is_none() {
        CompiledModule::compile(&source, &cache, &|phase| eprintln!("{phase:?}"))?;
        return Err(
            "the module was not compiled yet; now it is: run this again, for compiling leaves memory behind"
                .into(),
        );
    }
    let statements = statements()?;
    let before = resident();
    let judge = open(&source, &cache)?;
    let opened = resident();
    passes(&judge, &statements);
    in_a_row(&judge, &statements, verdicts);
    eprintln!(
        "memory: {before} MB before, {opened} MB with one instance, {} MB at the end, {} MB of it anonymous",
        resident(),
        status("RssAnon")
    );
    Ok(())
}

struct Statement {
    sql: String,
    snapshot: std::sync::Arc<CatalogSnapshot>,
}

fn open(source: &ModuleSource, cache: &CacheFolder) -> Result<Judge, Error> {
    let started = Instant::now();
    let options = JudgeOptions {
        remembered: 0,
        ..JudgeOptions::default()
    };
    let judge = Judge::open(source, cache, options, &|_| {})?;
    let opened = started.elapsed();
    let first = judge.verdict("SELECT 1", &CatalogSnapshot::default(), &Context::default());
    let ready = started.elapsed();
    eprintln!("open from the cache: {opened:.1?}; with an instance and its first verdict: {ready:.1?}");
    match first {
        Verdict::Accepted(_) => Ok(judge),
        other => Err(format!("SELECT 1 is {other:?}").into()),
    }
}

/// Each statement twice: with its tables new to the judge, and as when a person types in it.
fn passes(judge: &Judge, statements: &[Statement]) {
    let mut first = Vec::new();
    let mut again = Vec::new();
    for statement in statements {
        for times in [&mut first, &mut again] {
            let started = Instant::now();
            black_box(judge.verdict(&statement.sql, &statement.snapshot, &Context::default()));
            times.push(started.elapsed());
        }
    }
    eprintln!("a statement with new tables: {}", percentiles(first));
    eprintln!("the same again: {}", percentiles(again));
}

fn in_a_row(judge: &Judge, statements: &[Statement], verdicts: usize) {
    let started = Instant::now();
    for statement in statements.iter().cycle().take(verdicts) {
        black_box(judge.verdict(&statement.sql, &statement.snapshot, &Context::default()));
    }
    eprintln!("{verdicts} verdicts in a row: {:.1?}", started.elapsed());
}

fn percentiles(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |p: usize| times[(times.len() - 1) * p / 100];
    format!(
        "{} times, p50 {:.1?}, p90 {:.1?}, p99 {:.1?}, at most {:.1?}",
        times.len(),
        at(50),
        at(90),
        at(99),
        at(100)
    )
}

/// Megabytes of this process in memory; 0 where the system does not tell.
fn resident() -> u64 {
    status("VmRSS")
}

fn status(name: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find(|l| l.starts_with(name));
    let kilobytes = line.and_then(|l| l.split_whitespace().nth(1)?.parse::<u64>().ok());
    kilobytes.unwrap_or_default() / 1024
}

fn statements() -> Result<Vec<Statement>, Error> {
    let mut snapshots = BTreeMap::new();
    let mut statements = Vec::new();
    for line in unpacked("judge.jsonl.gz")?.lines() {
        let row: Value = serde_json::from_str(line)?;
        let name = row["catalog"].as_str().unwrap_or_default().to_owned();
        if !snapshots.contains_key(&name) {
            snapshots.insert(name.clone(), std::sync::Arc::new(snapshot(&name)?));
        }
        statements.push(Statement {
            sql: row["sql"].as_str().unwrap_or_default().to_owned(),
            snapshot: snapshots[&name].clone(),
        });
    }
    Ok(statements)
}

fn snapshot(name: &str) -> Result<CatalogSnapshot, Error> {
    if name == "docs" {
        return Ok(CatalogSnapshot::new(None, [], []));
    }
    let (tables, routines, _) = read_resources(&unpacked(&format!("catalogs/{name}.jsonl.gz"))?);
    let project = (name == "etl").then(|| "moz-fx-data-shared-prod".to_owned());
    Ok(CatalogSnapshot::new(project, tables, routines))
}

fn unpacked(name: &str) -> Result<String, Error> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fixtures/statements")
        .join(name);
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(std::fs::File::open(path)?).read_to_string(&mut text)?;
    Ok(text)
}
