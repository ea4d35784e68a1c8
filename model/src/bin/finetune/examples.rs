//! The flags that name data, and the way from them to sequences.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::ensure;
use bigquill_model::prompt::DEFAULT_BUDGET;
use bigquill_model::train::data::{
    Catalogs, Dropped, Example, Preparation, Preparer, hold_out, read, read_store,
};
use clap::Args;

use crate::base::Base;

#[derive(Debug, Clone, Args)]
pub(crate) struct DataArgs {
    /// `accepted` for the completions that bigquill kept, or the path of such a store (.sqlite, .db); else examples, one
    /// JSON object a line (.jsonl, .jsonl.gz): TRL's prompt and completion, messages, prompt with chosen and rejected, or
    /// question, catalog and bigquery_sql. May be given several times
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    pub(crate) data: Vec<PathBuf>,
    /// Files or folders with the catalogs that questions name
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub(crate) catalogs: Vec<PathBuf>,
    /// The catalog as it is now (`bigquill catalog sync --out FILE`): answers of the store and to chats that no longer hold
    /// against it are left out and counted
    #[arg(long, value_name = "FILE")]
    pub(crate) current_catalog: Option<PathBuf>,
    /// Longest sequence in tokens, answer included; longer examples are left out and counted, never cut
    #[arg(long, value_name = "TOKENS", default_value_t = 1280)]
    pub(crate) max_tokens: usize,
    /// Tokens that the prompt of a question may have; the server's own default
    #[arg(long, value_name = "TOKENS", default_value_t = DEFAULT_BUDGET)]
    pub(crate) prompt_tokens: usize,
}

/// What data is prepared for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To learn from: what an answer names is always shown.
    Learning,
    /// To measure on: what is shown is what the server would show.
    Measuring,
}

impl DataArgs {
    pub(crate) fn preparer<'a>(&self, base: &'a Base, purpose: Purpose) -> Preparer<'a> {
        Preparer {
            tokenizer: &base.tokenizer,
            budget: self.prompt_tokens,
            max_tokens: self.max_tokens.min(base.config.context),
            answer_tables: purpose == Purpose::Learning,
        }
    }

    /// The examples of these files; of a store of accepted completions its pairs, where `preferences` are wanted.
    pub(crate) fn read(&self, paths: &[PathBuf], preferences: bool) -> anyhow::Result<Vec<Example>> {
        let catalogs = Catalogs::read(&self.catalogs)?;
        let current = Catalogs::read(self.current_catalog.as_slice())?;
        let mut examples = Vec::new();
        for path in paths {
            examples.extend(match read_store(path, preferences)? {
                Some(stored) => stored,
                None => read(path, &catalogs)?,
            });
        }
        if self.current_catalog.is_some() {
            for example in &mut examples {
                example.against = current.iter().map(|(_, catalog)| Arc::clone(catalog)).collect();
            }
        }
        Ok(examples)
    }

    pub(crate) fn prepare(
        &self,
        base: &Base,
        paths: &[PathBuf],
        purpose: Purpose,
    ) -> anyhow::Result<Preparation> {
        Ok(self.preparer(base, purpose).prepare(&self.read(paths, false)?)?)
    }
}

/// What is learned and what is held out.
#[derive(Debug, Clone, Args)]
pub(crate) struct LearnedArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// Examples that are measured after each epoch and not learned from
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(crate) eval_data: Vec<PathBuf>,
    /// Hold out so large a share of the examples for that instead, none of whose tables is learned
    #[arg(
        long,
        value_name = "SHARE",
        default_value_t = 0.0,
        conflicts_with = "eval_data"
    )]
    pub(crate) eval_share: f64,
    /// Learn to prefer chosen answers to rejected ones (DPO), measured against the model as it is at the start
    #[arg(long)]
    pub(crate) preference: bool,
    /// How closely preferences keep to the model as it was
    #[arg(long, default_value_t = 0.1, requires = "preference")]
    pub(crate) beta: f64,
}

/// Examples to learn from, and those that are measured.
pub(crate) struct Learned {
    pub(crate) examples: Preparation,
    pub(crate) held_out: Option<Preparation>,
    /// As they were read.
    read: Vec<Example>,
}

impl Learned {
    /// The examples of a preparation as they were read.
    pub(crate) fn read(&self, preparation: &Preparation) -> Vec<&Example> {
        preparation.as_read(&self.read)
    }
}

impl LearnedArgs {
    pub(crate) fn prepare(&self, base: &Base, seed: u64) -> anyhow::Result<Learned> {
        ensure!(
            (0.0..1.0).contains(&self.eval_share),
            "--eval-share is a share below 1, such as 0.1"
        );
        let read = self.data.read(&self.data.data, self.preference)?;
        let mut learned = Learned {
            examples: self.data.preparer(base, Purpose::Learning).prepare(&read)?,
            held_out: None,
            read,
        };
        if self.eval_share > 0.0 {
            let held = hold_out(&mut learned.examples, self.eval_share, seed);
            // Once more, as the server would show it.
            let held: Vec<Example> = learned.read(&held).into_iter().cloned().collect();
            let held = self.data.preparer(base, Purpose::Measuring).prepare(&held)?;
            learned.held_out = Some(held).filter(|held| !held.examples.is_empty());
        } else if !self.eval_data.is_empty() {
            let read = self.data.read(&self.eval_data, self.preference)?;
            learned.held_out = Some(self.data.preparer(base, Purpose::Measuring).prepare(&read)?);
            learned.read.extend(read);
        }
        let sides = [Some(&learned.examples), learned.held_out.as_ref()];
        for (preparation, what) in sides.into_iter().flatten().zip(["train", "measure"]) {
            ensure!(
                !preparation.examples.is_empty(),
                "no example is left to {what} on: {}; look at them with `finetune data inspect`, or raise --max-tokens",
                counts(preparation)
            );
        }
        Ok(learned)
    }

    /// The files that the held-out examples come from.
    pub(crate) fn held_out_files(&self) -> &[PathBuf] {
        if self.eval_data.is_empty() {
            &self.data.data
        } else {
            &self.eval_data
        }
    }
}

/// How many examples there are and what became of the others, in one line.
pub(crate) fn counts(preparation: &Preparation) -> String {
    let tokens: usize = preparation.examples.iter().map(|e| e.sequence.tokens.len()).sum();
    let learned: usize = preparation.examples.iter().map(|e| e.sequence.completion()).sum();
    format!(
        "{} of {} examples ({} twice, {} too long, {} refused by the check), {tokens} tokens, {learned} of them learned",
        preparation.examples.len(),
        preparation.read,
        preparation.duplicates,
        preparation.too_long.len(),
        preparation.refused.len()
    )
}

/// Lines for the first examples that were left out.
pub(crate) fn dropped(preparation: &Preparation, most: usize) -> Vec<String> {
    let lines = |kind: &'static str, dropped: &[Dropped]| -> Vec<String> {
        let line = |dropped: &Dropped| format!("{kind}  {}: {}", dropped.place, dropped.why);
        dropped.iter().take(most).map(line).collect()
    };
    [
        lines("too long", &preparation.too_long),
        lines("refused ", &preparation.refused),
    ]
    .concat()
}
