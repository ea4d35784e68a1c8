//! `bigquill preview`: rows of a table, for nothing.

use anyhow::Context;
use bigquill_analysis::schema::TableReference;
use clap::Args;

use crate::bigquery::rows::RowSource;
use crate::bigquery::{BigQuery, no_project};
use crate::results;

use super::output::{Output, message};
use super::run::shown;
use super::{Common, Outcome, runtime};

/// Prints the first rows of a table; BigQuery bills nothing for it
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    bigquill preview shop.orders\n  \
    bigquill preview bigquery-public-data.samples.shakespeare --rows 5\n\n\
    Tables only: a view has no rows of its own, run `SELECT * FROM view` for that.\n\n\
    Exit codes: 0 the rows are there, 2 usage, input and output, or BigQuery cannot be asked.")]
pub(super) struct PreviewArgs {
    /// DATASET.TABLE, or PROJECT.DATASET.TABLE
    #[arg(value_name = "TABLE")]
    table: String,
    /// Most rows; without it the setting `result_rows`
    #[arg(long, value_name = "N")]
    rows: Option<usize>,
}

pub(super) fn run(args: &PreviewArgs, common: &Common, out: &mut Output) -> anyhow::Result<Outcome> {
    let settings = common.load(std::env::current_dir()?, &[])?.settings;
    let rows = runtime()?.block_on(async {
        let bigquery = BigQuery::connect(&settings).await?;
        let source = RowSource::Table(reference(&args.table, bigquery.project())?);
        let most = args.rows.unwrap_or(settings.result_rows);
        anyhow::Ok(bigquery.rows(&source, 0, most).await?)
    })?;
    out.line(&results::table(&rows))?;
    message(&shown(rows.rows.len() as u64, rows.total, "--rows N prints more"));
    Ok(Outcome::Clean)
}

/// The table of a name; a project may have dots of its own (`example.com:project`).
fn reference(name: &str, project: Option<&str>) -> anyhow::Result<TableReference> {
    let mut parts = name.trim_matches('`').rsplitn(3, '.');
    let table = parts.next().unwrap_or_default();
    let dataset = parts
        .next()
        .with_context(|| format!("{name:?} is not DATASET.TABLE or PROJECT.DATASET.TABLE"))?;
    let project = match parts.next().or(project) {
        Some(project) => project,
        None => return Err(no_project().into()),
    };
    Ok(TableReference {
        project: project.to_owned(),
        dataset: dataset.to_owned(),
        table: table.to_owned(),
    })
}
