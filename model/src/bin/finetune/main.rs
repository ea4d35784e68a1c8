//! The `finetune` binary: LoRA adapters for the models that `bigquill` serves.
//!
//! Results go to standard output, progress and messages to standard error. Exit codes: 0 done, 1 failed, 2 usage.

mod answers;
mod base;
mod card;
mod dashboard;
mod data;
mod eval;
mod examples;
mod export;
mod hyper;
mod merge;
mod progress;
mod regress;
mod session;
mod synthesize;
mod train;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing::level_filters::LevelFilter;

/// What the command line takes.
#[derive(Debug, Parser)]
#[command(
    name = "finetune",
    version,
    about = "Trains LoRA adapters for the models that bigquill serves",
    after_help = "Examples:\n  \
        finetune data synthesize --catalog team.jsonl --out made.jsonl\n  \
        finetune data inspect --model base.gguf --data accepted.jsonl\n  \
        finetune train --model base.gguf --data accepted.jsonl --out adapters/team --plan\n  \
        finetune train --model base.gguf --data accepted.jsonl --out adapters/team\n  \
        finetune eval --model base.gguf --adapter adapters/team --data held-out.jsonl\n  \
        finetune eval --model base.gguf --adapter adapters/team --against base --data held-out.jsonl\n  \
        finetune merge --model base.gguf --adapter adapters/team --out team-f16.gguf\n  \
        finetune export --to trl --model base.gguf --data accepted.jsonl --base ORG/NAME --out trl --gpus 8\n  \
        finetune regress --model base.gguf --data flats.csv --target price --template \"{rooms} rooms in {city}\" --out adapters/price\n\n\
        Exit codes: 0 done, 1 failed, 2 usage."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Train(Box<train::TrainArgs>),
    Eval(eval::EvalArgs),
    #[command(subcommand, about = "Look at training data, or make some")]
    Data(data::DataCommand),
    Merge(merge::MergeArgs),
    Export(Box<export::ExportArgs>),
    Regress(Box<regress::RegressArgs>),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(LevelFilter::WARN)
        .without_time()
        .with_target(false)
        .init();
    let result = match cli.command {
        Command::Train(args) => train::run(&args),
        Command::Eval(args) => eval::run(&args),
        Command::Data(data::DataCommand::Inspect(args)) => data::run(&args),
        Command::Data(data::DataCommand::Synthesize(args)) => synthesize::run(&args),
        Command::Merge(args) => merge::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Regress(args) => regress::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error may be closed; there is nobody left to tell then.
            let _ = writeln!(std::io::stderr(), "finetune: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Writes a result.
fn say(text: impl std::fmt::Display) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{text}")?;
    Ok(())
}
