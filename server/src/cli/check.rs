//! `bigquill check`: the check of the editor, without one.

use std::collections::HashMap;
use std::io::{BufRead, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use bigquill_analysis::check::{Diagnostic, Severity};
use bigquill_analysis::schema::CatalogSnapshot;
use bigquill_judge::Judge;
use clap::{Args, ValueEnum};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::catalog::{CatalogDirectory, FileCatalog};

use super::ask::{id_of, open_lines};
use super::output::{Output, message};
use super::sarif::{self, FileFindings};
use super::{Common, Outcome, judge, snippet};

mod checked;
mod disagreements;

use checked::Checked;
use disagreements::Disagreements;

/// Checks SQL files against the catalog
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    bigquill check queries/*.sql --catalog tables.json\n  \
    bigquill check report.sql --format sarif > report.sarif\n  \
    bigquill check --jsonl - --catalogs catalogs/ < statements.jsonl\n  \
    bigquill check queries/*.sql --catalog tables.json --disagreements\n\n\
    A line of --jsonl is {\"id\", \"sql\", \"catalog\"?}; a line out is {\"id\", \"ok\", \"diagnostics\", \"statements\"}, or {\"id\", \"error\"}.\n\
    `statements` has GoogleSQL's verdict on each: accepted (with columns), refused, or none (with the reason).\n\
    Positions in JSON count from 0, characters in UTF-16 units. Without a catalog only the grammar is checked.\n\
    Exit codes: 0 clean, 1 findings, 2 usage or input and output.")]
pub(super) struct CheckArgs {
    /// SQL files; `-` is standard input
    #[arg(
        required_unless_present = "jsonl",
        conflicts_with = "jsonl",
        value_name = "FILE"
    )]
    files: Vec<PathBuf>,
    /// Catalog file (or pattern); may be given several times. Without it `catalog` of bigquill.toml
    #[arg(long, value_name = "FILE")]
    catalog: Vec<PathBuf>,
    /// Folder of catalogs that lines of --jsonl name
    #[arg(long, value_name = "DIR", requires = "jsonl")]
    catalogs: Option<PathBuf>,
    /// Statements as JSON lines; `-` is standard input
    #[arg(long, value_name = "FILE")]
    jsonl: Option<PathBuf>,
    /// How findings are printed
    #[arg(long, value_enum, default_value = "text", conflicts_with = "jsonl")]
    format: Format,
    /// Without GoogleSQL: the fast layer alone
    #[arg(long)]
    no_judge: bool,
    /// Print where the fast layer and GoogleSQL do not agree, counted by class, in place of findings
    #[arg(long, conflicts_with_all = ["format", "no_judge"])]
    disagreements: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
    Sarif,
}

pub(super) fn run(args: &CheckArgs, common: &Common, out: &mut Output) -> anyhow::Result<Outcome> {
    let googlesql = if args.no_judge {
        None
    } else {
        let here = std::env::current_dir()?;
        let settings = match args.jsonl {
            Some(_) => common.load(here, &[])?.settings,
            // The problems are told when the settings of each file's folder are loaded.
            None => common.read(here).settings,
        };
        judge::wanted(&settings)
    };
    anyhow::ensure!(
        googlesql.is_some() || !args.disagreements,
        "--disagreements needs GoogleSQL"
    );
    let mut disagreements = args.disagreements.then(Disagreements::default);
    let outcome = match &args.jsonl {
        Some(path) => batch(path, args, common, googlesql.as_ref(), &mut disagreements, out),
        None => files(args, common, googlesql.as_ref(), &mut disagreements, out),
    }?;
    match disagreements {
        Some(found) => Ok(Outcome::of(found.summarize(out)?)),
        None => Ok(outcome),
    }
}

/// Whether a finding makes a statement not hold; hints do not.
fn counts(diagnostic: &Diagnostic) -> bool {
    matches!(diagnostic.severity, Severity::Error | Severity::Warning)
}

fn files(
    args: &CheckArgs,
    common: &Common,
    googlesql: Option<&Judge>,
    disagreements: &mut Option<Disagreements>,
    out: &mut Output,
) -> anyhow::Result<Outcome> {
    let mut outcome = Outcome::Clean;
    let mut catalogs = Catalogs::default();
    let mut all = Vec::new();
    for path in &args.files {
        let text = match read(path) {
            Ok(text) => text,
            Err(error) => {
                message(&format!("bigquill: {error:#}"));
                outcome = Outcome::Failed;
                continue;
            }
        };
        let snapshot = catalogs.snapshot(path, args, common)?;
        let checked = Checked::new(&text, &snapshot, googlesql);
        outcome = outcome.max(Outcome::of(checked.diagnostics.iter().any(counts)));
        let path = path.to_string_lossy().into_owned();
        match disagreements {
            Some(all) => all.add(&path, &text, checked.counts(), &checked.disagreements, out)?,
            None if args.format == Format::Json => {
                let mut line = Map::new();
                line.insert("file".to_owned(), path.into());
                line.extend(verdict(&text, &checked));
                out.line(&Value::Object(line).to_string())?;
            }
            None => all.push(FileFindings {
                path,
                text,
                diagnostics: checked.diagnostics,
            }),
        }
    }
    if disagreements.is_none() {
        print(&all, args.format, out)?;
    }
    Ok(outcome)
}

pub(super) fn read(path: &Path) -> anyhow::Result<String> {
    let bytes = if path.as_os_str() == "-" {
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut std::io::stdin().lock(), &mut bytes)
            .context("standard input cannot be read")?;
        bytes
    } else {
        std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?
    };
    String::from_utf8(bytes).with_context(|| format!("{} is not UTF-8 text", path.display()))
}

fn print(files: &[FileFindings], format: Format, out: &mut Output) -> anyhow::Result<()> {
    match format {
        Format::Text => {
            let styled = std::io::stdout().is_terminal();
            for file in files {
                for diagnostic in &file.diagnostics {
                    out.line(&snippet::render(&file.path, &file.text, diagnostic, styled))?;
                    out.line("")?;
                }
            }
            let findings: usize = files.iter().map(|f| f.diagnostics.len()).sum();
            message(&format!(
                "{}, {}",
                count(findings, "finding"),
                count(files.len(), "file")
            ));
            Ok(())
        }
        // Printed file by file.
        Format::Json => Ok(()),
        Format::Sarif => out.line(&sarif::render(files)?),
    }
}

fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// `ok`, `diagnostics` and, with GoogleSQL, `statements`.
fn verdict(text: &str, checked: &Checked) -> Map<String, Value> {
    let mut map = Map::new();
    map.insert("ok".to_owned(), (!checked.diagnostics.iter().any(counts)).into());
    map.extend(checked.json(text));
    map
}

/// Catalogs of files: those that the nearest `bigquill.toml` names, or the flags.
#[derive(Default)]
struct Catalogs {
    folders: HashMap<PathBuf, Arc<CatalogSnapshot>>,
}

impl Catalogs {
    fn snapshot(
        &mut self,
        path: &Path,
        args: &CheckArgs,
        common: &Common,
    ) -> anyhow::Result<Arc<CatalogSnapshot>> {
        let folder = std::path::absolute(path)?
            .parent()
            .unwrap_or(Path::new(""))
            .to_owned();
        if let Some(snapshot) = self.folders.get(&folder) {
            return Ok(Arc::clone(snapshot));
        }
        let settings = common.load(folder.clone(), &args.catalog)?.settings;
        let catalog = FileCatalog::open(&settings.catalog, settings.project.clone());
        for problem in catalog.problems() {
            message(&format!("bigquill: {problem}"));
        }
        anyhow::ensure!(
            args.catalog.is_empty() || !catalog.current().is_empty(),
            "the catalog that was named has no table that can be read"
        );
        if settings.catalog.is_empty() {
            message(&format!(
                "bigquill: only the grammar is checked in {}: name a catalog with --catalog FILE or with `catalog` in bigquill.toml",
                folder.display()
            ));
        }
        self.folders.insert(folder, catalog.current());
        Ok(catalog.current())
    }
}

/// A line of input.
#[derive(Debug, Deserialize)]
struct Line {
    sql: String,
    catalog: Option<String>,
}

fn batch(
    path: &Path,
    args: &CheckArgs,
    common: &Common,
    googlesql: Option<&Judge>,
    disagreements: &mut Option<Disagreements>,
    out: &mut Output,
) -> anyhow::Result<Outcome> {
    let files = FileCatalog::open(
        &args
            .catalog
            .iter()
            .map(|p| p.to_string_lossy().into_owned())
            .collect::<Vec<_>>(),
        common.project.clone(),
    );
    for problem in files.problems() {
        message(&format!("bigquill: {problem}"));
    }
    let mut folder = args
        .catalogs
        .clone()
        .map(|folder| CatalogDirectory::open(folder, common.project.clone()))
        .transpose()?;
    let mut outcome = Outcome::Clean;
    for line in open_lines(path)?.lines() {
        let line = line.context("the input cannot be read")?;
        if line.trim().is_empty() {
            continue;
        }
        let mut reply = Map::new();
        if let Some(id) = id_of(&line) {
            reply.insert("id".to_owned(), id);
        }
        match check_line(&line, &files.current(), folder.as_mut(), googlesql) {
            Ok((sql, checked)) => {
                if let Some(all) = disagreements {
                    let place = reply.get("id").map(Value::to_string).unwrap_or_default();
                    let place = place.trim_matches('"');
                    all.add(place, &sql, checked.counts(), &checked.disagreements, out)?;
                    continue;
                }
                outcome = outcome.max(Outcome::of(checked.diagnostics.iter().any(counts)));
                reply.extend(verdict(&sql, &checked));
            }
            Err(error) => {
                outcome = Outcome::Failed;
                reply.insert("error".to_owned(), format!("{error:#}").into());
            }
        }
        out.line(&Value::Object(reply).to_string())?;
    }
    Ok(outcome)
}

fn check_line(
    line: &str,
    files: &Arc<CatalogSnapshot>,
    folder: Option<&mut CatalogDirectory>,
    googlesql: Option<&Judge>,
) -> anyhow::Result<(String, Checked)> {
    let line: Line = serde_json::from_str(line).context("this line is no statement")?;
    let snapshot = match (line.catalog.as_deref(), folder) {
        (Some(name), Some(folder)) => {
            let (snapshot, problems) = folder.get(name)?;
            for problem in problems {
                message(&format!("bigquill: {problem}"));
            }
            snapshot
        }
        _ => Arc::clone(files),
    };
    let checked = Checked::new(&line.sql, &snapshot, googlesql);
    Ok((line.sql, checked))
}
