//! JSON lines to examples.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use flate2::read::GzDecoder;
use serde::Deserialize;
use serde_json::Value;

use crate::corpus::PromptMessage;
use crate::generate::{Message, Prompt, Role};

use super::{Answer, Catalogs, DataError, Example, ExamplePrompt, Place};

/// The text of a file, unpacked where its name ends in `.gz`.
pub(super) fn text_of(path: &Path) -> Result<String, DataError> {
    let failed = |source| DataError::Read {
        path: path.to_owned(),
        source,
    };
    let mut file = File::open(path).map_err(failed)?;
    let mut text = String::new();
    if path.extension().is_some_and(|extension| extension == "gz") {
        GzDecoder::new(file).read_to_string(&mut text).map_err(failed)?;
    } else {
        file.read_to_string(&mut text).map_err(failed)?;
    }
    Ok(text)
}

/// The lines of a text that are not blank, each with its place.
pub(super) fn lines<'t>(path: &Path, text: &'t str) -> impl Iterator<Item = (Place, &'t str)> {
    let path: Arc<Path> = path.into();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .map(move |(index, line)| {
            let place = Place {
                path: Arc::clone(&path),
                line: index + 1,
            };
            (place, line)
        })
}

/// The examples of a file.
///
/// # Errors
/// Where the file cannot be read, has no line, or a line is no example: the first such line is named, and how many
/// others there are.
pub fn read(path: &Path, catalogs: &Catalogs) -> Result<Vec<Example>, DataError> {
    let text = text_of(path)?;
    let mut examples = Vec::new();
    let mut wrong = Vec::new();
    for (place, line) in lines(path, &text) {
        match example(line) {
            Ok((prompt, answer)) => {
                let prompt = match prompt {
                    RawPrompt::Ready(prompt) => prompt,
                    RawPrompt::Question {
                        question,
                        evidence,
                        catalog,
                    } => ExamplePrompt::Question {
                        question,
                        evidence,
                        catalog: catalogs.find(catalog.as_deref(), &place)?,
                    },
                };
                examples.push(Example {
                    place,
                    prompt,
                    answer,
                    against: Vec::new(),
                });
            }
            Err(what) => wrong.push((place, what)),
        }
    }
    let others = wrong.len().saturating_sub(1);
    match wrong.into_iter().next() {
        Some((place, what)) => Err(DataError::Line {
            place,
            what,
            more: if others == 0 {
                String::new()
            } else {
                format!(" ({others} more cannot be read)")
            },
        }),
        None if examples.is_empty() => Err(DataError::Empty(path.display().to_string())),
        None => Ok(examples),
    }
}

enum RawPrompt {
    Ready(ExamplePrompt),
    Question {
        question: String,
        evidence: Option<String>,
        catalog: Option<String>,
    },
}

/// The keys of all forms; others are ignored, for data carries more than we need.
#[derive(Deserialize)]
struct Line {
    prompt: Option<Value>,
    completion: Option<Value>,
    chosen: Option<Value>,
    rejected: Option<Value>,
    messages: Option<Value>,
    question: Option<String>,
    evidence: Option<String>,
    catalog: Option<String>,
    bigquery_sql: Option<String>,
}

fn example(line: &str) -> Result<(RawPrompt, Answer), String> {
    let line: Line =
        serde_json::from_str(line).map_err(|error| format!("this is no JSON object ({error})"))?;
    match line {
        Line {
            prompt: Some(prompt),
            completion: Some(completion),
            ..
        } => {
            let completion = answer_text(completion, "completion")?;
            Ok((
                RawPrompt::Ready(prompt_of(prompt)?),
                Answer::Completion(completion),
            ))
        }
        Line {
            prompt: Some(prompt),
            chosen: Some(chosen),
            rejected: Some(rejected),
            ..
        } => {
            let chosen = answer_text(chosen, "chosen")?;
            let rejected = answer_text(rejected, "rejected")?;
            if chosen == rejected {
                return Err("`chosen` and `rejected` are the same".to_owned());
            }
            Ok((
                RawPrompt::Ready(prompt_of(prompt)?),
                Answer::Preference { chosen, rejected },
            ))
        }
        Line {
            messages: Some(messages),
            ..
        } => {
            let mut messages = chat(messages, "messages")?;
            let last = messages.pop().filter(|message| message.role == Role::Assistant);
            let last = last.ok_or("`messages` does not end with the assistant's message")?;
            if messages.is_empty() {
                return Err("`messages` has nothing before the assistant's message".to_owned());
            }
            let answer = Answer::Completion(filled(last.content, "the assistant's message")?);
            Ok((RawPrompt::Ready(ExamplePrompt::Chat(Prompt { messages })), answer))
        }
        Line {
            question: Some(question),
            bigquery_sql: Some(sql),
            evidence,
            catalog,
            ..
        } => {
            let question = RawPrompt::Question {
                question: filled(question, "question")?,
                evidence,
                catalog,
            };
            Ok((question, Answer::Completion(filled(sql, "bigquery_sql")?)))
        }
        _ => Err(
            "it has none of: prompt with completion, prompt with chosen and rejected, messages, \
             question with bigquery_sql"
                .to_owned(),
        ),
    }
}

fn prompt_of(value: Value) -> Result<ExamplePrompt, String> {
    match value {
        Value::String(text) => Ok(ExamplePrompt::Text(filled(text, "prompt")?)),
        value => {
            let messages = chat(value, "prompt")?;
            Ok(ExamplePrompt::Chat(Prompt { messages }))
        }
    }
}

/// A text, or messages of which there is one.
fn answer_text(value: Value, key: &str) -> Result<String, String> {
    match value {
        Value::String(text) => filled(text, key),
        value => match <[Message; 1]>::try_from(chat(value, key)?) {
            Ok([message]) if message.role == Role::Assistant => filled(message.content, key),
            _ => Err(format!("`{key}` is not one message of the assistant")),
        },
    }
}

fn chat(value: Value, key: &str) -> Result<Vec<Message>, String> {
    let raw: Vec<PromptMessage> = serde_json::from_value(value)
        .map_err(|error| format!("`{key}` is neither text nor messages ({error})"))?;
    if raw.is_empty() {
        return Err(format!("`{key}` has no message"));
    }
    raw.into_iter().map(|raw| message(raw, key)).collect()
}

/// A message of a role that is known.
pub(super) fn message(raw: PromptMessage, key: &str) -> Result<Message, String> {
    let role = match raw.role.as_str() {
        "system" => Role::System,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        other => {
            return Err(format!(
                "`{key}` has a message of the role {other:?}, which is not known"
            ));
        }
    };
    Ok(Message {
        role,
        content: raw.content,
    })
}

fn filled(text: String, key: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        Err(format!("`{key}` is empty"))
    } else {
        Ok(text)
    }
}
