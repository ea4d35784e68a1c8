//! `bigquill dry-run`: what BigQuery says of each statement, without running any.

use std::io::IsTerminal;
use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value, json};

use crate::bigquery::job::Query;
use crate::bigquery::parameter::Declared;
use crate::bigquery::unit::{Unit, units};
use crate::bigquery::{Accuracy, BigQuery, DryRun, cost};
use crate::position::{Encoding, LineIndex};
use crate::settings::Settings;

use super::check::read;
use super::output::{Output, message};
use super::{Common, Outcome, TextOrJson, runtime, snippet};

/// Asks BigQuery what each statement would read, and what is wrong with it; runs nothing
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    bigquill dry-run report.sql\n  \
    bigquill dry-run - --format json < report.sql\n\n\
    The SQL goes to BigQuery, which plans it and bills nothing. A file with DECLARE, SET, a block or anything temporary\n\
    is one script; otherwise each statement is asked by itself. The price is bytes times `price_per_tib`. Values of\n\
    parameters come from comments (`-- @day DATE = 2024-01-01`) or the setting `parameters`.\n\
    A line of --format json has `file`, `start`, `end`, `ok` and either `bytes_processed`, `price`, … or `error`;\n\
    positions count from 0, characters in UTF-16 units. How to sign in: docs/bigquery.md.\n\n\
    Exit codes: 0 BigQuery takes all, 1 it refuses something, 2 usage, input and output, or BigQuery cannot be asked.")]
pub(super) struct DryRunArgs {
    /// SQL file; `-` is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// How the answers are printed
    #[arg(long, value_enum, default_value = "text")]
    format: TextOrJson,
}

pub(super) fn run(args: &DryRunArgs, common: &Common, out: &mut Output) -> anyhow::Result<Outcome> {
    // Of standard input the name `-` stands in the current folder, which is right.
    let start = std::path::absolute(&args.file)?;
    let settings = common.load(start, &[])?.settings;
    let text = read(&args.file)?;
    let file = File {
        path: args.file.to_string_lossy().into_owned(),
        index: LineIndex::new(&text),
        text,
    };
    let units = units(&file.text);
    if units.is_empty() {
        message("bigquill: there is no statement");
        return Ok(Outcome::Clean);
    }
    let mut outcome = Outcome::Clean;
    let mut total = 0;
    let declared = Declared::read(&file.text, &settings.parameters);
    runtime()?.block_on(async {
        let bigquery = BigQuery::connect(&settings).await?;
        for unit in &units {
            let sql = &file.text[unit.range.clone()];
            let query = Query {
                sql: sql.to_owned(),
                parameters: declared.of(sql)?,
                maximum_bytes_billed: None,
            };
            let answer = bigquery.plan(&query).await?;
            match &answer {
                DryRun::Estimate(estimate) => total += estimate.bytes_processed,
                DryRun::Refused(_) => outcome = Outcome::Findings,
            }
            match args.format {
                TextOrJson::Text => file.print(unit, &answer, &settings, out)?,
                TextOrJson::Json => out.line(&file.json(unit, &answer, &settings).to_string())?,
            }
        }
        anyhow::Ok(())
    })?;
    if args.format == TextOrJson::Text && units.len() > 1 {
        message(&format!(
            "{} statements: {}",
            units.len(),
            cost::text(total, settings.price_per_tib)
        ));
    }
    Ok(outcome)
}

struct File {
    path: String,
    text: String,
    index: LineIndex,
}

impl File {
    fn print(
        &self,
        unit: &Unit,
        answer: &DryRun,
        settings: &Settings,
        out: &mut Output,
    ) -> anyhow::Result<()> {
        match answer {
            DryRun::Estimate(estimate) => {
                let line = self.index.line_of(unit.range.start) + 1;
                out.line(&format!(
                    "{}:{line}: {}",
                    self.path,
                    cost::summary(estimate, settings.price_per_tib)
                ))
            }
            DryRun::Refused(refusal) => {
                let styled = std::io::stdout().is_terminal();
                out.line(&snippet::render_refusal(
                    &self.path, &self.text, unit, refusal, styled,
                ))
            }
        }
    }

    fn json(&self, unit: &Unit, answer: &DryRun, settings: &Settings) -> Value {
        let place = |offset| {
            let position = self.index.position(&self.text, offset, Encoding::Utf16);
            json!({"line": position.line, "character": position.character})
        };
        let mut line = Map::new();
        let mut set = |key: &str, value: Value| line.insert(key.to_owned(), value);
        set("file", self.path.clone().into());
        set("start", place(unit.range.start));
        set("end", place(unit.range.end));
        match answer {
            DryRun::Estimate(estimate) => {
                set("ok", true.into());
                set("statement_type", estimate.statement_type.clone().into());
                set("bytes_processed", estimate.bytes_processed.into());
                set("accuracy", accuracy(estimate.accuracy).into());
                set(
                    "price",
                    cost::price(estimate.bytes_processed, settings.price_per_tib).into(),
                );
                set(
                    "tables",
                    estimate.tables.iter().map(ToString::to_string).collect(),
                );
                let columns = estimate.columns.iter();
                set(
                    "columns",
                    columns
                        .map(|column| json!({"name": column.name, "type": column.sql_type()}))
                        .collect(),
                );
            }
            DryRun::Refused(refusal) => {
                let range = unit.place(&self.text, refusal.place);
                set("ok", false.into());
                set(
                    "error",
                    json!({
                        "reason": refusal.reason,
                        "message": refusal.message,
                        "start": place(range.start),
                        "end": place(range.end),
                    }),
                );
            }
        }
        Value::Object(line)
    }
}

fn accuracy(accuracy: Accuracy) -> Option<&'static str> {
    match accuracy {
        Accuracy::Unknown => None,
        Accuracy::Precise => Some("precise"),
        Accuracy::LowerBound => Some("lower_bound"),
        Accuracy::UpperBound => Some("upper_bound"),
    }
}
