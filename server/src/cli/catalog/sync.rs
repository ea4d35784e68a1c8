//! `bigquill catalog sync`: the schemas of BigQuery's tables in a file.

use std::path::PathBuf;
use std::time::SystemTime;

use anyhow::Context;
use clap::Args;
use serde_json::Value;

use super::kept;
use crate::bigquery::BigQuery;
use crate::catalog::{
    BigQueryCatalog, CachedResource, CatalogCache, DatasetReference, Fetched, SyncProgress,
    dataset_references, write_snapshot,
};
use crate::cli::output::{Output, message};
use crate::cli::{Common, Outcome, progress, runtime};

/// Reads the schemas of BigQuery's tables, for the editor or into a catalog file
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    bigquill catalog sync --project my-project\n  \
    bigquill catalog sync --project my-project --out catalog.json\n  \
    bigquill catalog sync --dataset shop --dataset bigquery-public-data.samples --out catalog.json.gz\n\n\
    Without --out they are kept for the editor (`live_catalog`) and for `bigquill catalog show` and `export`.\n\
    With it, set `catalog = \"catalog.json\"` in bigquill.toml. The file holds what `bq show --format=json` prints, a table\n\
    or routine a line: schemas, no rows. Date-sharded tables (events_20240101, …) are one, events_*, with the newest one's columns.\n\
    What the account needs, and how to sign in: docs/bigquery.md.\n\n\
    Exit codes: 0 all read, 1 something was left out, 2 usage or input and output.")]
pub(super) struct SyncArgs {
    /// Dataset, or PROJECT.DATASET; may be given several times. Without it those that the setting `datasets`
    /// names, else all of the project
    #[arg(long, value_name = "DATASET")]
    dataset: Vec<DatasetReference>,
    /// A catalog file instead; gzipped where its name ends in .gz
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) fn run(args: &SyncArgs, common: &Common, out: &mut Output) -> anyhow::Result<Outcome> {
    let settings = common.load(std::env::current_dir()?, &[])?.settings;
    let mut wanted = args.dataset.clone();
    if wanted.is_empty() {
        wanted = dataset_references(&settings.datasets);
    }
    let all = wanted.is_empty();
    let bar = progress::counting_bar();
    let fetched = runtime()?.block_on(async {
        let bigquery = BigQuery::connect(&settings).await?;
        let project = bigquery.project().map(str::to_owned);
        let catalog = BigQueryCatalog::new(bigquery, wanted);
        let fetched = catalog.fetch(|progress| match progress {
            SyncProgress::Listed(tables) => bar.set_message(format!("listed, {tables}")),
            SyncProgress::Read(read, total) => {
                bar.set_message("tables");
                bar.set_length(total as u64);
                bar.set_position(read as u64);
            }
        });
        anyhow::Ok((fetched.await?, project))
    });
    bar.finish_and_clear();
    let (fetched, project) = fetched?;
    for problem in &fetched.problems {
        message(&format!("bigquill: {problem}"));
    }
    anyhow::ensure!(
        !(fetched.resources.is_empty() && fetched.routines.is_empty()),
        "there is no table that the account can see in {}; nothing was written",
        datasets(&fetched.datasets)
    );
    let place = match &args.out {
        Some(path) => {
            let all: Vec<Value> = fetched
                .resources
                .iter()
                .chain(&fetched.routines)
                .cloned()
                .collect();
            write_snapshot(path, &all).with_context(|| format!("{} cannot be written", path.display()))?;
            path.display().to_string()
        }
        None => {
            let project = project.ok_or_else(crate::bigquery::no_project)?;
            let cache = kept::open(&project, &settings)?;
            keep(&cache, &project, &fetched, all)?;
            "the cache".to_owned()
        }
    };
    out.line(&format!(
        "{} of {} in {place}",
        tables_and_routines(fetched.resources.len(), fetched.routines.len()),
        datasets(&fetched.datasets),
    ))?;
    Ok(Outcome::of(!fetched.problems.is_empty()))
}

/// Keeps what was read. `all` says that the project has no other datasets.
fn keep(cache: &CatalogCache, project: &str, fetched: &Fetched, all: bool) -> anyhow::Result<()> {
    if all {
        let datasets = fetched.datasets.iter().map(|dataset| dataset.dataset.clone());
        cache.put_datasets(project, &datasets.collect::<Vec<_>>())?;
    }
    for (dataset, members) in &fetched.names {
        cache.put_names(dataset, members)?;
    }
    let read_at = SystemTime::now();
    let tables = fetched
        .resources
        .iter()
        .filter_map(|resource| CachedResource::table(resource, read_at));
    cache.put_tables(&tables.collect::<Vec<_>>())?;
    let routines = fetched
        .routines
        .iter()
        .filter_map(|resource| CachedResource::routine(resource, read_at));
    let routines: Vec<CachedResource> = routines.collect();
    for dataset in &fetched.with_routines {
        let of_dataset = routines.iter().filter(|routine| {
            routine.reference.project == dataset.project && routine.reference.dataset == dataset.dataset
        });
        let of_dataset: Vec<CachedResource> = of_dataset.cloned().collect();
        let names: Vec<String> = of_dataset.iter().map(|r| r.reference.table.clone()).collect();
        cache.put_routines(dataset, &names, &of_dataset)?;
    }
    Ok(())
}

/// `5 tables`, `5 tables and 2 routines`.
pub(super) fn tables_and_routines(tables: usize, routines: usize) -> String {
    match routines {
        0 => format!("{tables} tables"),
        1 => format!("{tables} tables and 1 routine"),
        several => format!("{tables} tables and {several} routines"),
    }
}

fn datasets(datasets: &[DatasetReference]) -> String {
    match datasets {
        [] => "the project, which has no dataset".to_owned(),
        [one] => one.to_string(),
        several => format!("{} datasets", several.len()),
    }
}
