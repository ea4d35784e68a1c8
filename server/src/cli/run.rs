//! `bigquill run`: statements of a file are run in BigQuery, because a person asked.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, bail, ensure};
use clap::Args;
use tokio::runtime::Runtime;

use crate::bigquery::BigQuery;
use crate::bigquery::job::{Job, Query};
use crate::bigquery::parameter::Declared;
use crate::bigquery::rows::RowSource;
use crate::bigquery::unit::{Unit, has_template, units};
use crate::position::LineIndex;
use crate::results::{self, ExportFormat, console_link, count, export, export_to_file};
use crate::run::{self, Ended, RunError, effects};
use crate::settings::{ByteLimit, Settings};

use super::check::read;
use super::output::{Output, message};
use super::{Common, Outcome, progress, runtime, snippet};

/// What a shell gives for a program that Ctrl-C ended.
const INTERRUPTED: i32 = 130;

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
    if let Some(path) = &args.out {
        results::check_writable(path).with_context(|| format!("{} cannot be written", path.display()))?;
    }
    let runtime = runtime()?;
    let running = interruptible(&runtime);
    let bigquery = runtime.block_on(BigQuery::connect(&settings))?;
    for unit in &units {
        let sql = &file.text[unit.range.clone()];
        ensure!(
            !has_template(sql),
            "{} has template tags: it is no SQL yet",
            file.title(unit)
        );
        ask_missing(sql, &mut declared)?;
        let query = Query {
            sql: sql.to_owned(),
            parameters: declared.of(sql)?,
            maximum_bytes_billed: settings.maximum_bytes_billed.bytes(),
        };
        let ended = plan_and_run(
            &runtime,
            &bigquery,
            &query,
            &settings,
            args,
            &file.title(unit),
            &running,
        );
        let job = match ended {
            Ok(job) => job,
            Err(error) => match error.downcast::<RunError>()? {
                error @ (RunError::NotAsked(_) | RunError::Lost { .. }) => return Err(error.into()),
                error => {
                    file.report(unit, &error, out)?;
                    return Ok(Outcome::Findings);
                }
            },
        };
        // Before the rows: what was done is told though they cannot be read.
        message(&results::summary(&job, settings.price_per_tib));
        let link = settings
            .endpoint
            .is_none()
            .then(|| format!(" {}", console_link(&job.reference)));
        message(&format!(
            "job {}{}",
            job.reference.full_id(),
            link.unwrap_or_default()
        ));
        runtime.block_on(print_rows(&bigquery, &job, &settings, args, format, out))?;
    }
    Ok(Outcome::Clean)
}

/// Ctrl-C ends the program, but for while a job runs: then the job is cancelled, where it is waited for.
fn interruptible(runtime: &Runtime) -> Arc<AtomicBool> {
    let running = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&running);
    runtime.spawn(async move {
        while tokio::signal::ctrl_c().await.is_ok() {
            if !seen.load(Ordering::Relaxed) {
                std::process::exit(INTERRUPTED);
            }
        }
    });
    running
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

/// Plans, asks, runs; Ctrl-C cancels the job.
fn plan_and_run(
    runtime: &Runtime,
    bigquery: &BigQuery,
    query: &Query,
    settings: &Settings,
    args: &RunArgs,
    title: &str,
    running: &AtomicBool,
) -> anyhow::Result<Job> {
    let planned = runtime.block_on(run::plan(bigquery, query, settings))?;
    if let Some(what) = effects(&query.sql, &planned)
        && !args.yes
    {
        confirm(title, &what)?;
    }
    let bar = progress::spinner();
    bar.set_message("starting");
    let reference = bigquery.new_job(planned.location.as_deref())?;
    running.store(true, Ordering::Relaxed);
    let ended = runtime.block_on(async {
        let on_state = |job: &Job| bar.set_message(run::state(job));
        let interrupted = async {
            // Without signals nobody cancels.
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        run::execute(bigquery, &reference, query, on_state, interrupted).await
    });
    running.store(false, Ordering::Relaxed);
    bar.finish_and_clear();
    match ended? {
        Ended::Done(job) => Ok(*job),
        Ended::Cancelled => bail!("cancelled: job {}", reference.full_id()),
    }
}

async fn print_rows(
    bigquery: &BigQuery,
    job: &Job,
    settings: &Settings,
    args: &RunArgs,
    format: Option<ExportFormat>,
    out: &mut Output,
) -> anyhow::Result<()> {
    let source = RowSource::Job(job.reference.clone());
    match (format, &args.out) {
        (Some(format), Some(path)) => {
            let written = export_to_file(bigquery, &source, format, path, |_, _| {}).await;
            let written = written.with_context(|| path.display().to_string())?;
            message(&format!("{} in {}", count(written, "row"), path.display()));
        }
        (Some(format), None) => {
            export(bigquery, &source, format, out, |_, _| {}).await?;
        }
        (None, _) => {
            let rows = bigquery
                .rows(&source, 0, args.rows.unwrap_or(settings.result_rows))
                .await?;
            if !rows.fields.is_empty() {
                out.line(&results::table(&rows))?;
                message(&shown(
                    rows.rows.len() as u64,
                    rows.total,
                    "--out FILE.csv writes all",
                ));
            }
        }
    }
    Ok(())
}

pub(super) fn shown(rows: u64, total: u64, how_to_more: &str) -> String {
    if rows < total {
        format!("{} of {}; {how_to_more}", count(rows, "row"), count(total, "row"))
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
        if !matches!(error, RunError::Refused(_)) {
            message(&format!("{}: {error}", self.title(unit)));
        }
        let Some(refusal) = error.refusal() else {
            return Ok(());
        };
        let styled = std::io::stdout().is_terminal();
        out.line(&snippet::render_refusal(
            &self.path, &self.text, unit, refusal, styled,
        ))
    }
}
