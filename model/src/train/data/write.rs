//! Examples in TRL's forms, for trainers that are not ours.

use serde_json::{Value, json};

use crate::generate::Role;

use super::{Answer, Example, ExamplePrompt, Preparer};

/// An example as a line of TRL's conversational form, `prompt` with `completion` or with `chosen` and `rejected`; a
/// prompt that is rendered text stays text.
#[must_use]
pub fn trl(preparer: &Preparer<'_>, example: &Example) -> Value {
    let said = |text: &str| match &example.prompt {
        ExamplePrompt::Text(_) => json!(text),
        _ => json!([{ "role": "assistant", "content": text }]),
    };
    let prompt = match &example.prompt {
        ExamplePrompt::Text(text) => json!(text),
        _ => {
            let chat = preparer.chat(example).unwrap_or_default();
            let message = |role, content| json!({ "role": role, "content": content });
            chat.messages
                .into_iter()
                .map(|m| message(role_name(m.role), m.content))
                .collect()
        }
    };
    match &example.answer {
        Answer::Completion(text) => json!({ "prompt": prompt, "completion": said(text) }),
        Answer::Preference { chosen, rejected } => {
            json!({ "prompt": prompt, "chosen": said(chosen), "rejected": said(rejected) })
        }
    }
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
    }
}
