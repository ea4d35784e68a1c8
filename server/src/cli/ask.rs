//! `bigquill ask`: questions without a file.

use std::io::BufRead;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use bigquill_analysis::schema::CatalogSnapshot;
use bigquill_judge::Judge;
use bigquill_model::generate::Generator;
use clap::Args;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::catalog::{CatalogDirectory, FileCatalog};
use crate::pipeline::{self, Answer, DryRunStep, Options, Request};

use super::generator;
use super::output::{Output, message};
use super::progress::AnswerProgress;
use super::{Common, Outcome, TextOrJson, json, judge, runtime};

/// Answers a question with SQL, or many from JSON lines
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    bigquill ask \"how many orders were returned?\" --catalog tables.json\n  \
    bigquill ask --jsonl questions.jsonl --catalogs catalogs/ > answers.jsonl\n\n\
    A line of --jsonl is {\"id\", \"question\", \"evidence\"?, \"catalog\"?}; `catalog` names DIR/NAME.json or .json.gz.\n\
    A line out is {\"id\", \"sql\", \"proved\", \"proved_by\", \"bytes_processed\"?, \"over_limit\"?, \"diagnostics\", \"prompt_tokens\", \"tokens\", \"ms\"}, or {\"id\", \"error\"}.\n\
    Exit codes: 0 all proved, 1 something is not proved, 2 usage or input and output.")]
pub(super) struct AskArgs {
    /// The question
    #[arg(required_unless_present = "jsonl", conflicts_with = "jsonl")]
    question: Option<String>,
    /// Knowledge that the question needs, such as what a code means
    #[arg(long, value_name = "TEXT", conflicts_with = "jsonl")]
    evidence: Option<String>,
    /// Catalog file (or pattern); may be given several times. Without it `catalog` of bigquill.toml
    #[arg(long, value_name = "FILE")]
    catalog: Vec<PathBuf>,
    /// Folder of catalogs that lines of --jsonl name
    #[arg(long, value_name = "DIR", requires = "jsonl")]
    catalogs: Option<PathBuf>,
    /// Questions as JSON lines; `-` is standard input
    #[arg(long, value_name = "FILE")]
    jsonl: Option<PathBuf>,
    /// How an answer is printed
    #[arg(long, value_enum, default_value = "text", conflicts_with = "jsonl")]
    format: TextOrJson,
    /// JSON with repairs, reused tokens, tokens per second and how the answer ended
    #[arg(long)]
    details: bool,
}

pub(super) fn run(args: &AskArgs, common: &Common, out: &mut Output) -> anyhow::Result<Outcome> {
    let loaded = common.load(std::env::current_dir()?, &args.catalog)?;
    let settings = loaded.settings;
    let files = FileCatalog::open(&settings.catalog, settings.project.clone());
    for problem in files.problems() {
        message(&format!("bigquill: {problem}"));
    }
    let options = Options::from_settings(&settings);
    let runtime = runtime()?;
    if let Some(path) = &args.jsonl {
        let input = open_lines(path)?;
        let catalogs = args
            .catalogs
            .clone()
            .map(|folder| CatalogDirectory::open(folder, settings.project.clone()))
            .transpose()?;
        let batch = Batch {
            files: files.current(),
            catalogs,
            judge: judge::fetched(&settings),
            dry_run: runtime.block_on(DryRunStep::connect(&settings)),
            generator: generator::open(&settings)?,
            options,
            details: args.details,
        };
        return batch.run(input, &runtime, out);
    }
    anyhow::ensure!(
        !files.current().is_empty(),
        "there is no table to ask about; name a catalog with --catalog FILE or with `catalog` in bigquill.toml"
    );
    let generator = generator::open(&settings)?;
    let question = args.question.clone().unwrap_or_default();
    let request = Request {
        question: question.clone(),
        evidence: args.evidence.clone(),
        snapshot: files.current(),
        judge: judge::fetched(&settings),
        dry_run: runtime.block_on(DryRunStep::connect(&settings)),
        options,
    };
    let answer = answer(&request, generator.as_ref(), &runtime)?;
    match args.format {
        TextOrJson::Text => {
            out.line(&shown(&answer))?;
            message(&verdict(&answer));
        }
        TextOrJson::Json => {
            let mut line = Map::new();
            line.insert("question".to_owned(), question.into());
            line.extend(json::answer(&answer, args.details));
            out.line(&Value::Object(line).to_string())?;
        }
    }
    Ok(Outcome::of(!answer.proved))
}

/// Lines of a file, or of standard input for `-`.
pub(super) fn open_lines(path: &std::path::Path) -> anyhow::Result<Box<dyn BufRead>> {
    if path.as_os_str() == "-" {
        return Ok(Box::new(std::io::stdin().lock()));
    }
    let file = std::fs::File::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
    if path.extension().is_some_and(|e| e == "gz") {
        let decoder = flate2::bufread::MultiGzDecoder::new(std::io::BufReader::new(file));
        return Ok(Box::new(std::io::BufReader::new(decoder)));
    }
    Ok(Box::new(std::io::BufReader::new(file)))
}

/// Answers one question, with progress.
pub(super) fn answer(
    request: &Request,
    generator: &dyn Generator,
    runtime: &tokio::runtime::Runtime,
) -> anyhow::Result<Answer> {
    let progress = AnswerProgress::start(&request.question);
    let mut show = |event: pipeline::Progress<'_>| progress.show(event);
    Ok(runtime.block_on(pipeline::complete(request, generator, &mut show))?)
}

/// The SQL as it would stand in a file; what may not be inserted stands in comments.
pub(super) fn shown(answer: &Answer) -> String {
    answer.text("").unwrap_or_else(|| {
        let lines: Vec<String> = answer.sql.lines().map(|line| format!("-- {line}")).collect();
        format!(
            "-- {}{}\n{}",
            pipeline::NOT_PROVED,
            answer.reason().unwrap_or_default(),
            lines.join("\n")
        )
    })
}

/// One line on what the check says and what the answer took.
pub(super) fn verdict(answer: &Answer) -> String {
    let verdict = match (answer.reason(), &answer.over_limit) {
        (Some(reason), _) => format!("{}{reason}", pipeline::NOT_PROVED),
        (None, Some(over_limit)) => format!("{}; {over_limit}", answer.proof()),
        (None, None) => answer.proof().to_owned(),
    };
    let repairs: String = answer
        .repairs
        .iter()
        .map(|r| format!("; repaired: {r}"))
        .collect();
    format!(
        "{verdict}{repairs} ({} tokens at {:.1} tokens/s, prompt {} of which {} were known, {:.1} s)",
        answer.tokens,
        answer.tokens_per_second,
        answer.prompt_tokens,
        answer.reused_tokens,
        answer.ms / 1000.0
    )
}

/// A line of input.
#[derive(Debug, Deserialize)]
struct Line {
    question: String,
    evidence: Option<String>,
    catalog: Option<String>,
}

struct Batch {
    files: Arc<CatalogSnapshot>,
    catalogs: Option<CatalogDirectory>,
    judge: Option<Judge>,
    dry_run: Option<DryRunStep>,
    generator: Arc<dyn Generator>,
    options: Options,
    details: bool,
}

impl Batch {
    fn run(
        mut self,
        input: Box<dyn BufRead>,
        runtime: &tokio::runtime::Runtime,
        out: &mut Output,
    ) -> anyhow::Result<Outcome> {
        let mut outcome = Outcome::Clean;
        for line in input.lines() {
            let line = line.context("the input cannot be read")?;
            if line.trim().is_empty() {
                continue;
            }
            let id = id_of(&line);
            let mut reply = Map::new();
            if let Some(id) = id {
                reply.insert("id".to_owned(), id);
            }
            match self.answer(&line, runtime) {
                Ok(answer) => {
                    outcome = outcome.max(Outcome::of(!answer.proved));
                    reply.extend(json::answer(&answer, self.details));
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

    fn answer(&mut self, line: &str, runtime: &tokio::runtime::Runtime) -> anyhow::Result<Answer> {
        let line: Line = serde_json::from_str(line).context("this line is no question")?;
        let request = Request {
            question: line.question,
            evidence: line.evidence.filter(|e| !e.trim().is_empty()),
            snapshot: self.snapshot(line.catalog.as_deref())?,
            judge: self.judge.clone(),
            // Tables of another catalog are not those of the connection.
            dry_run: self.dry_run.clone().filter(|_| line.catalog.is_none()),
            options: self.options,
        };
        answer(&request, self.generator.as_ref(), runtime)
    }

    fn snapshot(&mut self, name: Option<&str>) -> anyhow::Result<Arc<CatalogSnapshot>> {
        match (name, &mut self.catalogs) {
            (Some(name), Some(catalogs)) => {
                let (snapshot, problems) = catalogs.get(name)?;
                for problem in problems {
                    message(&format!("bigquill: {problem}"));
                }
                Ok(snapshot)
            }
            (Some(name), None) if self.files.is_empty() => {
                anyhow::bail!("the line names the catalog {name:?}; say where it lies with --catalogs DIR")
            }
            _ => Ok(Arc::clone(&self.files)),
        }
    }
}

/// The `id` of a line, as far as it can be read.
pub(super) fn id_of(line: &str) -> Option<Value> {
    let value: Value = serde_json::from_str(line).ok()?;
    value.get("id").cloned()
}
