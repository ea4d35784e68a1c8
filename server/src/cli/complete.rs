//! `bigquill complete`: answers the open questions of a file.

use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::Context;
use bigquill_analysis::syntax::question::{Question, questions};
use clap::Args;
use similar::TextDiff;

use crate::catalog::FileCatalog;
use crate::pipeline::{self, Answer, DryRunStep, Options, Request};

use super::output::{Output, message};
use super::{Common, Outcome, ask, generator, judge, runtime};

/// Answers the open questions of SQL files: comments that ask, without a statement below
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    bigquill complete report.sql            prints a diff\n  \
    bigquill complete report.sql --write    changes the file\n\n\
    Exit codes: 0 all proved, 1 something is not proved, 2 usage or input and output.")]
pub(super) struct CompleteArgs {
    /// SQL files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Change the files instead of printing a diff
    #[arg(long)]
    write: bool,
    /// Catalog file (or pattern); may be given several times. Without it `catalog` of bigquill.toml
    #[arg(long, value_name = "FILE")]
    catalog: Vec<PathBuf>,
}

pub(super) fn run(args: &CompleteArgs, common: &Common, out: &mut Output) -> anyhow::Result<Outcome> {
    let mut outcome = Outcome::Clean;
    for path in &args.files {
        outcome = outcome.max(file(path, args, common, out)?);
    }
    Ok(outcome)
}

fn file(path: &Path, args: &CompleteArgs, common: &Common, out: &mut Output) -> anyhow::Result<Outcome> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let open = open_questions(&text);
    if open.is_empty() {
        message(&format!("{}: no open question", path.display()));
        return Ok(Outcome::Clean);
    }
    let settings = common.load(path.to_owned(), &args.catalog)?.settings;
    let catalog = FileCatalog::open(&settings.catalog, settings.project.clone());
    for problem in catalog.problems() {
        message(&format!("bigquill: {problem}"));
    }
    let googlesql = judge::fetched(&settings);
    let generator = generator::open(&settings)?;
    let runtime = runtime()?;
    let dry_run = runtime.block_on(DryRunStep::connect(&settings));
    let mut edits = Vec::new();
    let mut outcome = Outcome::Clean;
    for question in &open {
        let request = Request {
            question: question.text.clone(),
            evidence: None,
            snapshot: catalog.current(),
            judge: googlesql.clone(),
            dry_run: dry_run.clone(),
            options: Options::from_settings(&settings),
        };
        let answer = ask::answer(&request, generator.as_ref(), &runtime)?;
        outcome = outcome.max(Outcome::of(!answer.proved));
        report(path, &text, question, &answer);
        edits.extend(pipeline::edits(&text, question, &answer).unwrap_or_default());
    }
    let new = apply(&text, edits);
    if args.write {
        write(path, &text, &new)?;
    } else {
        let name = path.to_string_lossy();
        let diff = TextDiff::from_lines(&text, &new);
        out.text(&diff.unified_diff().header(&name, &name).to_string())?;
    }
    Ok(outcome)
}

/// The questions that a person who opens the file would be offered an answer for.
pub(super) fn open_questions(text: &str) -> Vec<Question> {
    questions(text)
        .into_iter()
        .filter(|q| q.automatic && q.answer.is_none())
        .collect()
}

fn report(path: &Path, text: &str, question: &Question, answer: &Answer) {
    let line = text[..question.comment.start].matches('\n').count() + 1;
    message(&format!("{}:{line}: {}", path.display(), ask::verdict(answer)));
    if answer.refused {
        message(&format!("  not inserted: {}", answer.sql));
    }
}

fn apply(text: &str, mut edits: Vec<(Range<usize>, String)>) -> String {
    edits.sort_by_key(|(range, _)| range.start);
    // Questions that follow the same statement each give it the `;` that it lacks.
    edits.dedup();
    let mut out = text.to_owned();
    for (range, replacement) in edits.into_iter().rev() {
        out.replace_range(range, &replacement);
    }
    out
}

/// Writes the file unless somebody else changed it meanwhile.
fn write(path: &Path, old: &str, new: &str) -> anyhow::Result<()> {
    let now = std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    anyhow::ensure!(
        now == old,
        "{} was changed while it was answered; it is left as it is, run the command again",
        path.display()
    );
    std::fs::write(path, new).with_context(|| format!("{} cannot be written", path.display()))
}
