//! The flags that name data, and the way from them to sequences.

use std::path::PathBuf;

use bigquill_model::prompt::DEFAULT_BUDGET;
use bigquill_model::train::data::{Catalogs, Dropped, Example, Preparation, Preparer, read, read_store};
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
    /// Longest sequence in tokens, answer included; longer examples are left out and counted, never cut
    #[arg(long, value_name = "TOKENS", default_value_t = 1280)]
    pub(crate) max_tokens: usize,
    /// Tokens that the prompt of a question may have; the server's own default
    #[arg(long, value_name = "TOKENS", default_value_t = DEFAULT_BUDGET)]
    pub(crate) prompt_tokens: usize,
}

impl DataArgs {
    pub(crate) fn preparer<'a>(&self, base: &'a Base) -> Preparer<'a> {
        Preparer {
            tokenizer: &base.tokenizer,
            budget: self.prompt_tokens,
            max_tokens: self.max_tokens.min(base.config.context),
        }
    }

    /// The examples of these files; of a store of accepted completions its pairs, where `preferences` are wanted.
    pub(crate) fn read(&self, paths: &[PathBuf], preferences: bool) -> anyhow::Result<Vec<Example>> {
        let catalogs = Catalogs::read(&self.catalogs)?;
        let mut examples = Vec::new();
        for path in paths {
            examples.extend(match read_store(path, preferences)? {
                Some(stored) => stored,
                None => read(path, &catalogs)?,
            });
        }
        Ok(examples)
    }

    pub(crate) fn prepare(
        &self,
        base: &Base,
        paths: &[PathBuf],
        preferences: bool,
    ) -> anyhow::Result<Preparation> {
        Ok(self.preparer(base).prepare(&self.read(paths, preferences)?)?)
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
