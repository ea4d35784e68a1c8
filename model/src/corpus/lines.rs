//! Completions as JSON lines in TRL's forms, out and in.

use serde::{Deserialize, Serialize};
use serde_json::{Value, from_value};

use crate::prompt;

use super::{Completion, Outcome, PromptMessage};

/// A line that is no completion.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct LineError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: String,
}

/// A line as TRL takes it (its conversational dataset formats): `prompt` and `completion`, or with a preference
/// `prompt`, `chosen` and `rejected`. The other keys are for people and for [`import`]; TRL passes them over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TrainingLine {
    /// The messages before.
    pub prompt: Vec<PromptMessage>,
    /// What is learned.
    #[serde(flatten)]
    pub answer: TrainingAnswer,
    question: String,
    model: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    adapter: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proved_by: Option<String>,
    offered_at: i64,
}

/// What is learned of a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum TrainingAnswer {
    /// The message that was wanted.
    Completion {
        /// It alone.
        completion: [PromptMessage; 1],
    },
    /// The message that was wanted, and the one that was not.
    Preference {
        /// The one.
        chosen: [PromptMessage; 1],
        /// The other.
        rejected: [PromptMessage; 1],
    },
}

/// What can be learned of completions: of each that was taken the SQL that was wanted; with `preferences`, of each that was
/// changed both. A completion that was rejected is set against one that was taken for the same question. Each with the
/// index of its completion.
#[must_use]
pub fn export(completions: &[Completion], preferences: bool) -> Vec<(usize, TrainingLine)> {
    let line = |(index, completion): (usize, &Completion)| {
        let wanted = completion.wanted()?;
        let answer = if preferences {
            let rejected = unwanted(completion, completions).filter(|rejected| *rejected != wanted)?;
            TrainingAnswer::Preference {
                chosen: said(wanted),
                rejected: said(rejected),
            }
        } else {
            TrainingAnswer::Completion {
                completion: said(wanted),
            }
        };
        let line = TrainingLine {
            prompt: completion.prompt.clone(),
            answer,
            question: completion.question.clone(),
            model: completion.model.clone(),
            adapter: completion.adapter.clone(),
            proved_by: completion.proved_by.clone(),
            offered_at: completion.offered_at,
        };
        Some((index, line))
    };
    completions.iter().enumerate().filter_map(line).collect()
}

fn unwanted<'a>(taken: &'a Completion, all: &'a [Completion]) -> Option<&'a str> {
    if taken.outcome == Outcome::Edited {
        return Some(&taken.generated);
    }
    let refused = |other: &&Completion| other.outcome == Outcome::Rejected && other.prompt == taken.prompt;
    all.iter().find(refused).map(|other| other.generated.as_str())
}

fn said(sql: &str) -> [PromptMessage; 1] {
    [PromptMessage {
        role: "assistant".to_owned(),
        content: sql.to_owned(),
    }]
}

/// Reads lines that [`export`] gave, or of TRL's conversational form from elsewhere: a completion counts as accepted, a
/// preference as the rejected answer that was edited into the chosen one. Blank lines are passed over.
///
/// # Errors
/// Where a line is neither; nothing is taken then.
pub fn import(text: &str) -> Result<Vec<Completion>, LineError> {
    let lines = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(index, line)| {
            completion(line).map_err(|what| LineError {
                line: index + 1,
                what,
            })
        })
        .collect()
}

/// The keys of both forms; other ones are passed over.
#[derive(Deserialize)]
struct Raw {
    prompt: Vec<PromptMessage>,
    completion: Option<Value>,
    chosen: Option<Value>,
    rejected: Option<Value>,
    question: Option<String>,
    model: Option<String>,
    adapter: Option<String>,
    proved_by: Option<String>,
    offered_at: Option<i64>,
}

fn completion(line: &str) -> Result<Completion, String> {
    let raw: Raw = serde_json::from_str(line)
        .map_err(|error| format!("this is no line with `prompt` as messages ({error})"))?;
    let (generated, kept) = match (raw.completion, raw.chosen, raw.rejected) {
        (Some(completion), None, None) => (answer(completion, "completion")?, None),
        (None, Some(chosen), Some(rejected)) => {
            (answer(rejected, "rejected")?, Some(answer(chosen, "chosen")?))
        }
        _ => return Err("it has neither `completion` alone nor `chosen` with `rejected`".to_owned()),
    };
    let last = raw.prompt.iter().rev().find(|message| message.role == "user");
    let last = last.ok_or("`prompt` has no message of the user")?;
    let asked = last
        .content
        .rsplit_once("Question: ")
        .map_or(last.content.as_str(), |(_, question)| question);
    let shown = raw
        .prompt
        .iter()
        .flat_map(|message| prompt::shown_tables(&message.content));
    Ok(Completion {
        question: raw.question.unwrap_or_else(|| asked.to_owned()),
        tables: shown.map(str::to_owned).collect(),
        generated,
        outcome: if kept.is_some() {
            Outcome::Edited
        } else {
            Outcome::Accepted
        },
        kept,
        proved_by: raw.proved_by,
        model: raw.model.unwrap_or_else(|| "imported".to_owned()),
        adapter: raw.adapter,
        // Unknown: older than any other, so that the same lines are the same completions when they come again.
        offered_at: raw.offered_at.unwrap_or_default(),
        prompt: raw.prompt,
    })
}

/// A text, or one message of the assistant.
fn answer(value: Value, key: &str) -> Result<String, String> {
    let text = match value {
        Value::String(text) => text,
        value => match from_value::<[PromptMessage; 1]>(value) {
            Ok([message]) if message.role == "assistant" => message.content,
            _ => {
                return Err(format!(
                    "`{key}` is neither text nor one message of the assistant"
                ));
            }
        },
    };
    if text.trim().is_empty() {
        return Err(format!("`{key}` is empty"));
    }
    Ok(text)
}
