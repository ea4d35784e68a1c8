//! `bigquill run`: statements of a file are run in BigQuery, because a person asked.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use anyhow::{Context, bail, ensure};
use clap::Args;
use indicatif::ProgressBar;

use crate::bigquery::BigQuery;
use crate::bigquery::job::{Job, Query};
use crate::bigquery::parameter::Declared;
use crate::bigquery::rows::RowSource;
use crate::bigquery::unit::{Unit, units};
use crate::position::LineIndex;
use crate::results::{self, ExportFormat, console_link, count, export, export_to_file};
use crate::run::{self, RunError, effects};
use crate::settings::{ByteLimit, Settings};

use super::check::read;
use super::output::{Output, message};
use super::{Common, Outcome, progress, runtime, snippet};

/// Runs statements in BigQuery and prints their rows
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    bigquill run report.sql\n  \
    bigquill run report.sql --line 12 --parameter 'day=DATE 2024-01-01'\n  \
    bigquill run report.sql --out report.csv\n  \
    echo 'SELECT 1 AS one' | bigquill run - --format jsonl\n\n\
    Each statement is planned first: over the limit (`maximum_bytes_billed`) it is not run. What changes data, and a\n\
    script, is asked about first; --yes answers. Ctrl-C cancels the job. Values of parameters come from comments\n\
    (`-- @day DATE = 2024-01-01`), settings (`parameters`) or --parameter; on a terminal the missing ones are asked for.\n\
    Rows go to standard output, what the job did and cost to standard error.\n\n\
    Exit codes: 0 all was run, 1 BigQuery refuses a statement or it is over the limit, 2 usage, input and output,\n\
    or BigQuery cannot be asked.")]
pub(super) struct RunArgs {
    /// SQL file; `-` is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Only the statement at this line
    #[arg(long, value_name = "N")]
    line: Option<usize>,
    /// Rows as this, all of them; without it the first ones as a table
    #[arg(long, value_enum)]
    format: Option<ExportFormat>,
    /// Write all rows into a file: .csv, .jsonl or .md, unless --format says otherwise
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Most rows of the table; without it the setting `result_rows`
    #[arg(long, value_name = "N", conflicts_with_all = ["format", "out"])]
    rows: Option<usize>,
    /// Value of a query parameter, as `day=DATE 2024-01-01`; may be given several times
    #[arg(long, value_name = "NAME=TYPE VALUE")]
    parameter: Vec<String>,
    /// Most bytes that a statement may read, such as `10 GiB`; 0 for no limit
    #[arg(long, value_name = "BYTES")]
    maximum_bytes_billed: Option<ByteLimit>,
    /// Run what changes data, and scripts, without asking
    #[arg(long, short)]
    yes: bool,
}

pub(super) fn run(args: &RunArgs, common: &Common, out: &mut Output) -> anyhow::Result<Outcome> {
    let start = std::path::absolute(&args.file)?;
    let mut settings = common.load(start, &[])?.settings;
    if let Some(limit) = &args.maximum_bytes_billed {
        settings.maximum_bytes_billed = limit.clone();
    }
    let text = read(&args.file)?;
    let units = chosen(&text, args)?;
    if units.is_empty() {
        message("bigquill: there is no statement");
        return Ok(Outcome::Clean);
    }
    let format = format(args)?;
    let mut declared = Declared::read(&text, &settings.parameters);
    for parameter in &args.parameter {
        let (name, text) = parameter.split_once('=').with_context(|| {
            format!("--parameter {parameter:?} is not NAME=TYPE VALUE, as in day=DATE 2024-01-01")
        })?;
        declared.set(name.trim(), text);
    }
    let file = File {
        path: args.file.to_string_lossy().into_owned(),
        text,
    };
    let mut outcome = Outcome::Clean;
    for unit in &units {
        let sql = &file.text[unit.range.clone()];
        ask_missing(sql, &mut declared)?;
        let query = Query {
            sql: sql.to_owned(),
            parameters: declared.of(sql)?,
            maximum_bytes_billed: settings.maximum_bytes_billed.bytes(),
        };
        if let Some(what) = effects(sql)
            && !args.yes
        {
            confirm(&file.title(unit), &what)?;
        }
        let ended = runtime()?.block_on(run_one(&query, &settings, args, format, out));
        match ended {
            Ok(()) => {}
            Err(error) => match error.downcast::<RunError>()? {
                RunError::BigQuery(error) => return Err(error.into()),
                error => {
                    file.report(unit, &error, out)?;
                    outcome = Outcome::Findings;
                    break;
                }
            },
        }
    }
    Ok(outcome)
}

/// The statements to run.
fn chosen(text: &str, args: &RunArgs) -> anyhow::Result<Vec<Unit>> {
    let mut units = units(text);
    if let Some(line) = args.line {
        let index = LineIndex::new(text);
        units.retain(|unit| {
            let lines = index.line_of(unit.range.start) + 1..=index.line_of(unit.range.end) + 1;
            lines.contains(&line)
        });
        ensure!(!units.is_empty(), "no statement stands at line {line}");
        units.truncate(1);
    }
    let whole_files = args.out.is_some() || args.format == Some(ExportFormat::Csv);
    ensure!(
        units.len() < 2 || !whole_files,
        "the file has {} statements, whose rows do not fit in one file: choose one with --line",
        units.len()
    );
    Ok(units)
}

fn format(args: &RunArgs) -> anyhow::Result<Option<ExportFormat>> {
    match (&args.out, args.format) {
        (Some(path), None) => ExportFormat::of_path(path).map(Some).with_context(|| {
            let path = path.display();
            format!("{path}: the name tells no format; end it in .csv, .jsonl or .md, or give --format")
        }),
        (_, format) => Ok(format),
    }
}

/// Asks for values of parameters that have none, where somebody can answer.
fn ask_missing(sql: &str, declared: &mut Declared) -> anyhow::Result<()> {
    if !std::io::stdin().is_terminal() {
        return Ok(());
    }
    for name in declared.missing(sql) {
        let answer = ask(&format!("@{name} (type and value, such as DATE 2024-01-01): "))?;
        declared.set(&name, &answer);
    }
    Ok(())
}

fn confirm(title: &str, what: &str) -> anyhow::Result<()> {
    ensure!(
        std::io::stdin().is_terminal(),
        "{title} is {what}, which may change data: give --yes to run it"
    );
    let answer = ask(&format!(
        "{title} is {what}, which may change data. Run it? [y/N] "
    ))?;
    ensure!(matches!(answer.trim(), "y" | "Y" | "yes"), "not run");
    Ok(())
}

fn ask(question: &str) -> anyhow::Result<String> {
    write!(std::io::stderr(), "{question}")?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(answer.trim().to_owned())
}

async fn run_one(
    query: &Query,
    settings: &Settings,
    args: &RunArgs,
    format: Option<ExportFormat>,
    out: &mut Output,
) -> anyhow::Result<()> {
    let bigquery = BigQuery::connect(settings).await?;
    let bar = progress::spinner();
    let job = job(&bigquery, query, settings, &bar).await;
    bar.finish_and_clear();
    let job = job?;
    let source = RowSource::Job(job.reference.clone());
    match (format, &args.out) {
        (Some(format), Some(path)) => {
            let written = export_to_file(&bigquery, &source, format, path, |_, _| {}).await;
            let written = written.with_context(|| path.display().to_string())?;
            message(&format!("{} in {}", count(written, "row"), path.display()));
        }
        (Some(format), None) => {
            export(&bigquery, &source, format, out, |_, _| {}).await?;
        }
        (None, _) => {
            let rows = bigquery
                .rows(&source, 0, args.rows.unwrap_or(settings.result_rows))
                .await?;
            if !rows.fields.is_empty() {
                out.line(&results::table(&rows))?;
                message(&shown(rows.rows.len() as u64, rows.total));
            }
        }
    }
    message(&results::summary(&job, settings.price_per_tib));
    let link = settings.endpoint.is_none().then(|| console_link(&job.reference));
    message(&format!(
        "job {} {}",
        job.reference.full_id(),
        link.unwrap_or_default()
    ));
    Ok(())
}

/// Plans and runs; Ctrl-C cancels the job.
async fn job(
    bigquery: &BigQuery,
    query: &Query,
    settings: &Settings,
    bar: &ProgressBar,
) -> anyhow::Result<Job> {
    bar.set_message("planning");
    run::plan(bigquery, query, settings).await?;
    let reference = bigquery.new_job()?;
    bar.set_message("starting");
    tokio::select! {
        job = run::finish(bigquery, &reference, query, |job| bar.set_message(run::state(job))) => Ok(job?),
        _ = tokio::signal::ctrl_c() => {
            run::cancel(bigquery, &reference).await?;
            bail!("cancelled: job {}", reference.full_id())
        }
    }
}

pub(super) fn shown(rows: u64, total: u64) -> String {
    if rows < total {
        format!(
            "{} of {}; --out FILE.csv writes all",
            count(rows, "row"),
            count(total, "row")
        )
    } else {
        count(rows, "row")
    }
}

struct File {
    path: String,
    text: String,
}

impl File {
    fn title(&self, unit: &Unit) -> String {
        let line = LineIndex::new(&self.text).line_of(unit.range.start) + 1;
        format!("{}:{line}", self.path)
    }

    fn report(&self, unit: &Unit, error: &RunError, out: &mut Output) -> anyhow::Result<()> {
        let RunError::Refused(refusal) = error else {
            message(&format!("{}: not run: {error}", self.title(unit)));
            return Ok(());
        };
        let range = unit.place(&self.text, refusal.place);
        let styled = std::io::stdout().is_terminal();
        out.line(&snippet::render_error(
            &self.path,
            &self.text,
            &refusal.message,
            range,
            styled,
        ))
    }
}
