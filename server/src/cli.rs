//! The command line: the same pipeline and checks as in the editor, without one.
//!
//! Exit codes: 0 clean, 1 findings, 2 usage or input and output.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use serde_json::{Map, Value};

use crate::settings::{self, ConfigFile, Device, Loaded, Sources};

mod accepted;
mod ask;
mod catalog;
mod check;
mod complete;
mod demo;
mod doctor;
mod dry_run;
mod generator;
mod json;
mod judge;
mod model;
mod output;
mod preview;
mod progress;
mod run;
mod sarif;
mod serve;
mod snippet;

use output::Output;

/// What the command line takes.
#[derive(Debug, Parser)]
#[command(
    name = "bigquill",
    version,
    about = "Completes plain-language comments with checked BigQuery SQL",
    long_about = "Completes plain-language comments with checked BigQuery SQL.\n\n\
        Without a command bigquill is a language server on standard input and output: editors start it so.",
    after_help = "Examples:\n  \
        bigquill demo\n  \
        bigquill ask \"revenue per country\" --catalog tables.json\n  \
        bigquill check queries/*.sql --catalog tables.json\n  \
        bigquill catalog sync --project my-project --out tables.json\n  \
        bigquill dry-run report.sql\n  \
        bigquill run report.sql --out report.csv\n  \
        bigquill doctor\n\n\
        Exit codes: 0 clean, 1 findings, 2 usage or input and output."
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// Editors pass this out of habit; standard input and output are the only way there is.
    #[arg(long, hide = true)]
    stdio: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::DemoArgs),
    Complete(complete::CompleteArgs),
    Ask(ask::AskArgs),
    Check(check::CheckArgs),
    Model(model::ModelArgs),
    Catalog(catalog::CatalogArgs),
    DryRun(dry_run::DryRunArgs),
    Run(run::RunArgs),
    Preview(preview::PreviewArgs),
    Accepted(accepted::AcceptedArgs),
    Doctor(doctor::DoctorArgs),
}

/// Flags of every command; they win over every other source of settings.
#[derive(Debug, Clone, Default, Args)]
struct Common {
    /// Configuration file instead of the nearest bigquill.toml
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "BIGQUILL_CONFIG",
        hide_env = true,
        help_heading = "Settings"
    )]
    config: Option<PathBuf>,
    /// Known model, or a .gguf file
    #[arg(long, global = true, value_name = "NAME|FILE", help_heading = "Settings")]
    model: Option<String>,
    /// `default`, `none`, or the folder of a PEFT LoRA adapter
    #[arg(long, global = true, value_name = "FOLDER", help_heading = "Settings")]
    adapter: Option<String>,
    /// Where the model runs
    #[arg(long, global = true, value_enum, help_heading = "Settings")]
    device: Option<Device>,
    /// Draw answers at random with this seed; without it the likeliest token is taken
    #[arg(long, global = true, value_name = "N", help_heading = "Settings")]
    seed: Option<u64>,
    /// Most tokens of an answer
    #[arg(long, global = true, value_name = "N", help_heading = "Settings")]
    max_tokens: Option<usize>,
    /// Most tokens of the prompt
    #[arg(long, global = true, value_name = "N", help_heading = "Settings")]
    prompt_tokens: Option<usize>,
    /// Threads of the model on the CPU
    #[arg(long, global = true, value_name = "N", help_heading = "Settings")]
    threads: Option<usize>,
    /// Project whose tables are written dataset.table
    #[arg(long, global = true, value_name = "ID", help_heading = "Settings")]
    project: Option<String>,
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TextOrJson {
    Text,
    Json,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    /// Nothing to report.
    Clean,
    /// Something was found.
    Findings,
    /// Some input could not be used; the message is out already.
    Failed,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(match outcome {
            Outcome::Clean => 0,
            Outcome::Findings => 1,
            Outcome::Failed => 2,
        })
    }
}

impl Outcome {
    fn of(findings: bool) -> Self {
        if findings { Self::Findings } else { Self::Clean }
    }
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    start_log();
    match run(std::env::args_os()) {
        Ok(code) => code,
        // Who closed our output, `head` for one, has what it wanted.
        Err(error) if output::is_broken_pipe(&error) => Outcome::Clean.into(),
        Err(error) => {
            output::message(&format!("bigquill: {error:#}"));
            Outcome::Failed.into()
        }
    }
}

fn run(arguments: impl Iterator<Item = OsString>) -> anyhow::Result<ExitCode> {
    let cli = Cli::try_parse_from(arguments).unwrap_or_else(|error| error.exit());
    tracing::debug!(stdio = cli.stdio, "started");
    let common = cli.common;
    let Some(command) = cli.command else {
        return serve::run(&common);
    };
    // Only now: it holds the lock of stdout, which the server writes to from other threads.
    let out = &mut Output::stdout();
    let outcome = match command {
        Command::Demo(args) => demo::run(&args, &common, out),
        Command::Complete(args) => complete::run(&args, &common, out),
        Command::Ask(args) => ask::run(&args, &common, out),
        Command::Check(args) => check::run(&args, &common, out),
        Command::Model(args) => model::run(&args, out),
        Command::Catalog(args) => catalog::run(&args, &common, out),
        Command::DryRun(args) => dry_run::run(&args, &common, out),
        Command::Run(args) => run::run(&args, &common, out),
        Command::Preview(args) => preview::run(&args, &common, out),
        Command::Accepted(args) => accepted::run(&args, &common, out),
        Command::Doctor(args) => doctor::run(&args, &common, out),
    };
    outcome.map(Into::into)
}

/// The log goes to standard error: warnings, or what `BIGQUILL_LOG` asks for.
fn start_log() {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_env("BIGQUILL_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    let started = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .try_init();
    if let Err(error) = started {
        output::message(&format!("bigquill: no log: {error}"));
    }
}

/// The runtime of commands that use the model.
fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?)
}

impl Common {
    /// Where settings come from, with `bigquill.toml` searched from `start` on.
    fn sources(&self, start: PathBuf, catalog: &[PathBuf]) -> Sources {
        Sources {
            config: match &self.config {
                Some(path) => ConfigFile::Path(path.clone()),
                None => ConfigFile::Search(start),
            },
            environment: std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .collect(),
            flags: self.flags(catalog),
            ..Sources::default()
        }
    }

    /// The settings for work in or beside `start`; problems go to standard error.
    ///
    /// # Errors
    /// Where a configuration file was named and cannot be read.
    fn load(&self, start: PathBuf, catalog: &[PathBuf]) -> anyhow::Result<Loaded> {
        self.checked(settings::load(&self.sources(start, catalog)))
    }

    /// The settings without a `bigquill.toml` that nobody named.
    fn load_without_search(&self) -> anyhow::Result<Loaded> {
        let mut sources = self.sources(PathBuf::new(), &[]);
        if self.config.is_none() {
            sources.config = ConfigFile::None;
        }
        self.checked(settings::load(&sources))
    }

    /// The settings with their problems, which the caller shows.
    fn read(&self, start: PathBuf) -> Loaded {
        settings::load(&self.sources(start, &[]))
    }

    fn checked(&self, loaded: Loaded) -> anyhow::Result<Loaded> {
        for problem in &loaded.problems {
            output::message(&format!("bigquill: {problem}"));
        }
        anyhow::ensure!(
            self.config.is_none() || loaded.config_file.is_some(),
            "stopped, for the configuration file that was named cannot be used"
        );
        Ok(loaded)
    }

    fn flags(&self, catalog: &[PathBuf]) -> Map<String, Value> {
        let mut flags = Map::new();
        let mut set = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                flags.insert(key.to_owned(), value);
            }
        };
        set("model", self.model.clone().map(Value::from));
        set("adapter", self.adapter.clone().map(Value::from));
        set("device", self.device.map(|d| d.to_string().into()));
        set("seed", self.seed.map(Value::from));
        set("max_tokens", self.max_tokens.map(Value::from));
        set("prompt_tokens", self.prompt_tokens.map(Value::from));
        set("threads", self.threads.map(Value::from));
        set("project", self.project.clone().map(Value::from));
        let paths: Vec<Value> = catalog.iter().map(|p| p.to_string_lossy().into()).collect();
        set("catalog", (!paths.is_empty()).then_some(Value::Array(paths)));
        flags
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_flag_of_a_setting_is_a_setting() {
        let all = Common {
            config: None,
            model: Some("m".into()),
            adapter: Some("a".into()),
            device: Some(Device::Cpu),
            seed: Some(1),
            max_tokens: Some(1),
            prompt_tokens: Some(100),
            threads: Some(1),
            project: Some("p".into()),
        };
        let loaded = settings::load(&Sources {
            flags: all.flags(&["c.json".into()]),
            ..Sources::default()
        });
        assert_eq!(loaded.problems, []);
    }
}
