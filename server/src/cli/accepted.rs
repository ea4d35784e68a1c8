//! `bigquill accepted`: what was kept of completions, for people to see, take along and forget.

use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context, bail, ensure};
use bigquill_model::corpus::{Completion, Corpus, Forget, Outcome as Became, Stored, export, import, now};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::output::{Output, message};
use super::{Common, Outcome, TextOrJson};
use crate::catalog::ago;

/// Shows, exports, imports and forgets the completions that were kept for training
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    bigquill accepted list --outcome edited\n  \
    bigquill accepted show 12\n  \
    bigquill accepted export --out accepted.jsonl\n  \
    bigquill accepted export --preferences --out pairs.jsonl\n  \
    bigquill accepted import colleague.jsonl\n  \
    bigquill accepted forget 12 13\n  \
    bigquill accepted forget --older-than 90d\n  \
    bigquill accepted stats\n\n\
    The language server keeps completions only where `store_accepted = true` is set: on this machine, in one file, for its\n\
    owner alone. `finetune train --data accepted` learns from them.\n\
    Exit codes: 0 done, 1 nothing is there, 2 usage or input and output.")]
pub(super) struct AcceptedArgs {
    #[command(subcommand)]
    command: AcceptedCommand,
    /// The store, instead of the one that `store_file` names or the user's own
    #[arg(long, global = true, value_name = "FILE")]
    store: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum AcceptedCommand {
    /// Lists completions, the newest first
    List {
        /// Only those of these outcomes
        #[arg(long, value_enum, value_delimiter = ',')]
        outcome: Vec<OutcomeName>,
        /// Most of them
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: usize,
        /// How it is printed
        #[arg(long, value_enum, default_value = "text")]
        format: TextOrJson,
    },
    /// Shows all that is kept of completions: prompt, SQL, outcome
    Show {
        /// Their numbers
        #[arg(required = true, value_name = "NUMBER")]
        numbers: Vec<i64>,
        /// How it is printed
        #[arg(long, value_enum, default_value = "text")]
        format: TextOrJson,
    },
    /// Writes what can be learned as JSON lines that TRL reads, too: prompt and completion as messages
    Export {
        /// Pairs instead: the SQL that was wanted, and the one that was not
        #[arg(long)]
        preferences: bool,
        /// The file, for its owner alone; standard output without it
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Adds lines of `export`, or of TRL's conversational form; those that are there already are left as they are
    Import {
        /// The files
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Removes completions, also from the free space of the file
    #[command(group = clap::ArgGroup::new("which").required(true))]
    Forget {
        /// Their numbers
        #[arg(value_name = "NUMBER", group = "which")]
        numbers: Vec<i64>,
        /// All of them
        #[arg(long, group = "which")]
        all: bool,
        /// Those offered so long ago, such as 90d, 12h or 4w
        #[arg(long, value_name = "AGE", group = "which", value_parser = age)]
        older_than: Option<Duration>,
        /// Those whose prompt shows this table, as dataset.table or project.dataset.table
        #[arg(long, value_name = "TABLE", group = "which")]
        table: Option<String>,
    },
    /// Counts completions by outcome
    Stats {
        /// How it is printed
        #[arg(long, value_enum, default_value = "text")]
        format: TextOrJson,
    },
}

/// [`Became`] on the command line.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum OutcomeName {
    Shown,
    Accepted,
    Edited,
    Rejected,
}

impl From<OutcomeName> for Became {
    fn from(name: OutcomeName) -> Self {
        match name {
            OutcomeName::Shown => Self::Shown,
            OutcomeName::Accepted => Self::Accepted,
            OutcomeName::Edited => Self::Edited,
            OutcomeName::Rejected => Self::Rejected,
        }
    }
}

pub(super) fn run(args: &AcceptedArgs, common: &Common, out: &mut Output) -> anyhow::Result<Outcome> {
    let path = store_path(args, common)?;
    // To look is no reason to make a file.
    if !path.exists() && !matches!(args.command, AcceptedCommand::Import { .. }) {
        message(&format!(
            "bigquill: {} is not there: nothing was kept; the language server keeps completions where \
             `store_accepted = true` is set",
            path.display()
        ));
        return Ok(Outcome::Findings);
    }
    let store = Corpus::open(&path)?;
    match &args.command {
        AcceptedCommand::List {
            outcome,
            limit,
            format,
        } => {
            let outcomes: Vec<Became> = outcome.iter().map(|name| Became::from(*name)).collect();
            list(&store.list(&outcomes)?, *limit, *format, out)
        }
        AcceptedCommand::Show { numbers, format } => show(&store, numbers, *format, out),
        AcceptedCommand::Export {
            preferences,
            out: file,
        } => export_to(&store, *preferences, file.as_deref(), out),
        AcceptedCommand::Import { files } => import_files(files, &store, out),
        AcceptedCommand::Forget {
            numbers,
            all,
            older_than,
            table,
        } => {
            let which = match (older_than, table) {
                (Some(age), _) => Forget::Before(now() - i64::try_from(age.as_millis()).unwrap_or(i64::MAX)),
                (None, Some(table)) => Forget::Table(table.clone()),
                (None, None) if *all => Forget::All,
                (None, None) => Forget::Ids(numbers.clone()),
            };
            let removed = store.forget(&which)?;
            out.line(&format!("{removed} forgotten"))?;
            Ok(Outcome::of(removed == 0))
        }
        AcceptedCommand::Stats { format } => stats(&store, *format, out),
    }
}

fn store_path(args: &AcceptedArgs, common: &Common) -> anyhow::Result<PathBuf> {
    if let Some(path) = &args.store {
        return Ok(path.clone());
    }
    let settings = common.load(std::env::current_dir()?, &[])?.settings;
    settings
        .store_path()
        .context("there is no home folder for the store; name a file by --store or `store_file`")
}

fn list(all: &[Stored], limit: usize, format: TextOrJson, out: &mut Output) -> anyhow::Result<Outcome> {
    for stored in all.iter().rev().take(limit) {
        match format {
            TextOrJson::Json => out.line(&as_json(stored).to_string())?,
            TextOrJson::Text => {
                let completion = &stored.completion;
                let question = completion.question.lines().next().unwrap_or_default();
                let (outcome, offered) = (completion.outcome.as_str(), offered(completion));
                out.line(&format!(
                    "{:>5}  {outcome:<8}  {offered:<14}  {question}",
                    stored.id
                ))?;
            }
        }
    }
    Ok(Outcome::of(all.is_empty()))
}

fn show(store: &Corpus, numbers: &[i64], format: TextOrJson, out: &mut Output) -> anyhow::Result<Outcome> {
    let mut missing = false;
    for number in numbers {
        match (store.get(*number)?, format) {
            (Some(stored), TextOrJson::Json) => out.line(&as_json(&stored).to_string())?,
            (Some(stored), TextOrJson::Text) => out.text(&as_text(&stored))?,
            (None, _) => {
                missing = true;
                message(&format!("bigquill: there is no completion {number}"));
            }
        }
    }
    Ok(Outcome::of(missing))
}

fn as_text(stored: &Stored) -> String {
    let completion = &stored.completion;
    let mut lines = vec![
        format!(
            "completion {}: {}, offered {}",
            stored.id,
            completion.outcome.as_str(),
            offered(completion)
        ),
        format!(
            "by {}{}, {}",
            completion.model,
            completion
                .adapter
                .as_ref()
                .map_or(String::new(), |adapter| format!(" with {adapter}")),
            completion
                .proved_by
                .as_ref()
                .map_or("not proved".to_owned(), |by| format!("proved by {by}"))
        ),
    ];
    for said in &completion.prompt {
        lines.push(format!("--- {}\n{}", said.role, said.content));
    }
    lines.push(format!("--- offered\n{}", completion.generated));
    if let Some(kept) = &completion.kept {
        lines.push(format!("--- kept\n{kept}"));
    }
    lines.join("\n") + "\n\n"
}

fn as_json(stored: &Stored) -> Value {
    let mut value = json!(stored.completion);
    value["id"] = stored.id.into();
    value["decided_at"] = stored.decided_at.into();
    value
}

fn export_to(
    store: &Corpus,
    preferences: bool,
    file: Option<&Path>,
    out: &mut Output,
) -> anyhow::Result<Outcome> {
    let all: Vec<Completion> = store
        .list(&[])?
        .into_iter()
        .map(|stored| stored.completion)
        .collect();
    let lines = export(&all, preferences);
    let text: String = lines
        .iter()
        .map(|(_, line)| Ok(serde_json::to_string(line)? + "\n"))
        .collect::<Result<_, serde_json::Error>>()?;
    match file {
        None => out.text(&text)?,
        Some(file) => {
            write_private(file, &text).with_context(|| format!("{} cannot be written", file.display()))?;
            let what = if preferences { "pairs" } else { "completions" };
            out.line(&format!(
                "{} {what} of {} in {}",
                lines.len(),
                all.len(),
                file.display()
            ))?;
        }
    }
    Ok(Outcome::of(lines.is_empty()))
}

/// A file for its owner alone; one that is there keeps its permissions.
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.create(true).write(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    std::io::Write::write_all(&mut options.open(path)?, text.as_bytes())
}

fn import_files(files: &[PathBuf], store: &Corpus, out: &mut Output) -> anyhow::Result<Outcome> {
    // All are read before any is added.
    let mut read = Vec::new();
    for file in files {
        let text =
            std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
        let completions = import(&text).map_err(|error| {
            anyhow::anyhow!(
                "{}:{}: {}; mend the line or take it out",
                file.display(),
                error.line,
                error.what
            )
        })?;
        read.extend(completions);
    }
    let before = store.stats()?.total();
    for completion in &read {
        store.add(completion)?;
    }
    let found = read.len();
    let new = store.stats()?.total() - before;
    out.line(&format!(
        "{found} completions read, {new} of them new, in {}",
        store.path().display()
    ))?;
    Ok(Outcome::of(found == 0))
}

fn stats(store: &Corpus, format: TextOrJson, out: &mut Output) -> anyhow::Result<Outcome> {
    let stats = store.stats()?;
    match format {
        TextOrJson::Json => {
            let mut value = json!(stats);
            value["store"] = store.path().to_string_lossy().into();
            out.line(&value.to_string())?;
        }
        TextOrJson::Text => {
            for (name, count) in [
                ("accepted", stats.accepted),
                ("edited", stats.edited),
                ("rejected", stats.rejected),
                ("shown only", stats.shown),
            ] {
                out.line(&format!("{count:>6} {name}"))?;
            }
            out.line(&format!("in {}", store.path().display()))?;
        }
    }
    Ok(Outcome::of(stats.total() == 0))
}

/// How long ago it was offered; nothing where that is not known.
fn offered(completion: &Completion) -> String {
    let Ok(moment @ 1..) = u64::try_from(completion.offered_at) else {
        return "once".to_owned();
    };
    let age = (UNIX_EPOCH + Duration::from_millis(moment)).elapsed();
    ago(age.unwrap_or_default())
}

/// `90d`: a number and a unit.
fn age(text: &str) -> anyhow::Result<Duration> {
    let unit = text.chars().next_back().map_or(0, char::len_utf8);
    let (number, unit) = text.split_at(text.len() - unit);
    let hours = match unit {
        "h" => 1,
        "d" => 24,
        "w" => 24 * 7,
        _ => bail!("write a number with h, d or w, such as 90d"),
    };
    let number: u64 = number
        .parse()
        .context("write a number with h, d or w, such as 90d")?;
    let seconds = number.checked_mul(hours * 3600);
    ensure!(
        seconds.is_some_and(|seconds| seconds < 1 << 40),
        "{text} is too long ago"
    );
    Ok(Duration::from_secs(seconds.unwrap_or_default()))
}
