//! `bigquill catalog sync`: the schemas of BigQuery's tables in a file.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use crate::bigquery::BigQuery;
use crate::catalog::{BigQueryCatalog, DatasetReference, SyncProgress, write_snapshot};
use crate::cli::output::{Output, message};
use crate::cli::{Common, Outcome, progress, runtime};

/// Reads the schemas of BigQuery's tables into a catalog file
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    bigquill catalog sync --project my-project --out catalog.json\n  \
    bigquill catalog sync --dataset shop --dataset bigquery-public-data.samples --out catalog.json.gz\n\n\
    Then `catalog = \"catalog.json\"` in bigquill.toml. The file holds what `bq show --format=json` prints, a table a\n\
    line: schemas, no rows. Date-sharded tables (events_20240101, …) are one, events_*, with the newest one's columns.\n\
    What the account needs, and how to sign in: docs/bigquery.md.\n\n\
    Exit codes: 0 all read, 1 something was left out, 2 usage or input and output.")]
pub(super) struct SyncArgs {
    /// Dataset, or PROJECT.DATASET; may be given several times. Without it all datasets of the project
    #[arg(long, value_name = "DATASET")]
    dataset: Vec<DatasetReference>,
    /// The file; gzipped where its name ends in .gz
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub(super) fn run(args: &SyncArgs, common: &Common, out: &mut Output) -> anyhow::Result<Outcome> {
    let settings = common.load(std::env::current_dir()?, &[])?.settings;
    let bar = progress::counting_bar();
    let fetched = runtime()?.block_on(async {
        let bigquery = BigQuery::connect(&settings).await?;
        let catalog = BigQueryCatalog::new(bigquery, args.dataset.clone());
        let fetched = catalog.fetch(|progress| match progress {
            SyncProgress::Listed(tables) => bar.set_message(format!("listed, {tables}")),
            SyncProgress::Read(read, total) => {
                bar.set_message("tables");
                bar.set_length(total as u64);
                bar.set_position(read as u64);
            }
        });
        anyhow::Ok(fetched.await?)
    });
    bar.finish_and_clear();
    let fetched = fetched?;
    for problem in &fetched.problems {
        message(&format!("bigquill: {problem}"));
    }
    anyhow::ensure!(
        !fetched.resources.is_empty(),
        "there is no table that the account can see in {}; nothing was written",
        datasets(&fetched.datasets)
    );
    write_snapshot(&args.out, &fetched.resources)
        .with_context(|| format!("{} cannot be written", args.out.display()))?;
    out.line(&format!(
        "{} tables of {} in {}",
        fetched.resources.len(),
        datasets(&fetched.datasets),
        args.out.display()
    ))?;
    Ok(Outcome::of(!fetched.problems.is_empty()))
}

fn datasets(datasets: &[DatasetReference]) -> String {
    match datasets {
        [] => "the project, which has no dataset".to_owned(),
        [one] => one.to_string(),
        several => format!("{} datasets", several.len()),
    }
}
