//! Completions as JSON lines: our own form, whole, and TRL's prompt and completion, for training.

use serde::Serialize;

use super::{Completion, Outcome, PromptMessage};

/// A line that is no completion.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {source}")]
pub struct LineError {
    /// The line, from 1.
    pub line: usize,
    source: serde_json::Error,
}

/// A line as TRL takes it (<https://huggingface.co/docs/trl/dataset_formats>, conversational): `prompt` and `completion`,
/// or with a preference `prompt`, `chosen` and `rejected`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum TrainingLine {
    /// For supervised training.
    Completion {
        /// The messages before.
        prompt: Vec<PromptMessage>,
        /// The one that was wanted.
        completion: Vec<PromptMessage>,
    },
    /// For preference training.
    Preference {
        /// The messages before.
        prompt: Vec<PromptMessage>,
        /// The one that was wanted.
        chosen: Vec<PromptMessage>,
        /// The one that was not.
        rejected: Vec<PromptMessage>,
    },
}

/// Reads a line of our own form.
///
/// # Errors
/// Where it is none.
pub fn read_line(line: usize, text: &str) -> Result<Completion, LineError> {
    serde_json::from_str(text).map_err(|source| LineError { line, source })
}

/// What can be learnt of completions: of each that was taken the SQL that was wanted, and where `preferences` are wanted,
/// of each that was changed both. A completion that was rejected is set against one that was taken for the same question.
#[must_use]
pub fn training_lines(completions: &[Completion], preferences: bool) -> Vec<TrainingLine> {
    let line = |completion: &Completion| {
        let wanted = completion.wanted()?;
        if !preferences {
            return Some(TrainingLine::Completion {
                prompt: completion.prompt.clone(),
                completion: said(wanted),
            });
        }
        let rejected = unwanted(completion, completions)?;
        (rejected != wanted).then(|| TrainingLine::Preference {
            prompt: completion.prompt.clone(),
            chosen: said(wanted),
            rejected: said(rejected),
        })
    };
    completions.iter().filter_map(line).collect()
}

fn unwanted<'a>(taken: &'a Completion, all: &'a [Completion]) -> Option<&'a str> {
    if taken.outcome == Outcome::Edited {
        return Some(&taken.generated);
    }
    let refused = |other: &&Completion| other.outcome == Outcome::Rejected && other.prompt == taken.prompt;
    all.iter().find(refused).map(|other| other.generated.as_str())
}

fn said(sql: &str) -> Vec<PromptMessage> {
    vec![PromptMessage {
        role: "assistant".to_owned(),
        content: sql.to_owned(),
    }]
}
