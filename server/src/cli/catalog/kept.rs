//! `bigquill catalog show`, `export`, `clear`: what is kept of BigQuery's tables. None of them asks BigQuery.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use serde_json::{Value, json};

use crate::bigquery::Project;
use crate::catalog::{CatalogCache, DatasetSummary, ago, write_snapshot};
use crate::cli::output::{Output, message};
use crate::cli::{Common, Outcome, TextOrJson};
use crate::settings::Settings;

/// Shows what is kept of BigQuery's tables, and how old it is
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    bigquill catalog show --project my-project\n\n\
    Exit codes: 0 something is kept, 1 nothing is, 2 usage or input and output.")]
pub(super) struct ShowArgs {
    /// How it is printed
    #[arg(long, value_enum, default_value = "text")]
    format: TextOrJson,
}

/// Writes what is kept into a catalog file, for a repository whose checks have no credentials
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    bigquill catalog export --project my-project --out catalog.json.gz\n\n\
    Exit codes: 0 written, 2 nothing is kept, usage, or input and output.")]
pub(super) struct ExportArgs {
    /// The file; gzipped where its name ends in .gz
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Forgets what is kept of BigQuery's tables
#[derive(Debug, Args)]
pub(super) struct ClearArgs {}

pub(super) fn show(args: &ShowArgs, common: &Common, out: &mut Output) -> anyhow::Result<Outcome> {
    let cache = of_project(common)?;
    let summary = cache.summary()?;
    for dataset in &summary {
        match args.format {
            TextOrJson::Text => out.line(&text(dataset))?,
            TextOrJson::Json => out.line(&json(dataset).to_string())?,
        }
    }
    if summary.is_empty() {
        message("bigquill: nothing is kept; `bigquill catalog sync` reads BigQuery's tables");
    }
    Ok(Outcome::of(summary.is_empty()))
}

pub(super) fn export(args: &ExportArgs, common: &Common, out: &mut Output) -> anyhow::Result<Outcome> {
    let cache = of_project(common)?;
    let (tables, routines) = (cache.all_tables()?, cache.routines()?);
    anyhow::ensure!(
        !(tables.is_empty() && routines.is_empty()),
        "no schema is kept; `bigquill catalog sync` reads BigQuery's tables"
    );
    let of_tables = tables.iter().map(|table| &table.resource);
    let resources: Vec<Value> = of_tables
        .chain(routines.iter().map(|routine| &routine.resource))
        .filter_map(|resource| serde_json::from_str(resource).ok())
        .collect();
    write_snapshot(&args.out, &resources)
        .with_context(|| format!("{} cannot be written", args.out.display()))?;
    let what = super::sync::tables_and_routines(tables.len(), routines.len());
    out.line(&format!("{what} in {}", args.out.display()))?;
    Ok(Outcome::Clean)
}

pub(super) fn clear(_: &ClearArgs, common: &Common, out: &mut Output) -> anyhow::Result<Outcome> {
    let cache = of_project(common)?;
    let path = cache.path().to_owned();
    cache.clear()?;
    out.line(&format!("{} is removed", path.display()))?;
    Ok(Outcome::Clean)
}

/// The cache of a project.
pub(super) fn open(project: &str, settings: &Settings) -> anyhow::Result<CatalogCache> {
    let folder = CatalogCache::user_folder()
        .context("there is no home folder for the cache; set BIGQUILL_CACHE to a folder")?;
    Ok(CatalogCache::open(
        &folder,
        project,
        settings.endpoint.as_deref(),
    )?)
}

fn of_project(common: &Common) -> anyhow::Result<CatalogCache> {
    let settings = common.load(std::env::current_dir()?, &[])?.settings;
    let project = Project::find(&settings).ok_or_else(crate::bigquery::no_project)?;
    open(&project.id, &settings)
}

/// `p.shop: 5 tables, 5 schemas, read 3 minutes ago`.
fn text(summary: &DatasetSummary) -> String {
    let mut text = format!(
        "{}: {} tables, {} schemas",
        summary.dataset, summary.names, summary.schemas
    );
    if summary.routines > 0 {
        text.push_str(&format!(", {} routines", summary.routines));
    }
    let age = |at: std::time::SystemTime| ago(at.elapsed().unwrap_or_default());
    if let (Some(oldest), Some(newest)) = (summary.oldest.map(age), summary.newest.map(age)) {
        text.push_str(&format!(", read {newest}"));
        if oldest != newest {
            text.push_str(&format!(", the oldest {oldest}"));
        }
    }
    text
}

fn json(summary: &DatasetSummary) -> Value {
    let seconds = |at: std::time::SystemTime| {
        at.duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs()
    };
    json!({
        "dataset": summary.dataset.to_string(),
        "tables": summary.names,
        "schemas": summary.schemas,
        "routines": summary.routines,
        "oldest": summary.oldest.map(seconds),
        "newest": summary.newest.map(seconds),
    })
}
