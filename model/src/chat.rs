//! A chat as token ids, in the form that the model was trained on.
//!
//! The form is the model's own Jinja template, from the GGUF file. It is rendered with placeholders for what the
//! messages say; control tokens are then looked for in the template's own text only, and everything between two
//! of them is encoded as plain text. So nothing that a question or a table description says can become a control
//! token, and the ids are still those of the whole rendered text.
//!
//! Mistral's SentencePiece models are written by hand, as `mistral_common` does it: their templates disagree
//! with it by a space. Tools are deliberately lacking.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use minijinja::{Environment, Error, ErrorKind, Value, context};

use crate::generate::{Message, Prompt, Role};
use crate::tokenizer::{Tokenizer, TokenizerError};

/// Jinja instructions that a template may use; a chat needs some thousands.
const FUEL: u64 = 1_000_000;

/// Stands before and after the number of a message in a rendered template. A noncharacter: no template writes it.
const MARK: char = '\u{fdd0}';

/// Stands for an answer where only what follows it matters.
const ANSWER: &str = "SELECT 1 AS answer";

/// A compiled chat template.
#[derive(Debug, Clone)]
pub(crate) struct ChatTemplate {
    environment: Arc<Environment<'static>>,
}

/// A piece of a chat.
#[derive(Debug, PartialEq, Eq)]
enum Segment {
    Control(u32),
    Text(String),
}

impl Tokenizer {
    /// The ids of a chat with the opening of the answer: what the model continues.
    ///
    /// # Errors
    /// Where the chat is empty, and where the model has neither a usable template nor tokens of a known form.
    pub fn encode_chat(&self, prompt: &Prompt) -> Result<Vec<u32>, TokenizerError> {
        if prompt.messages.is_empty() {
            return Err(TokenizerError::Chat("the chat has no message".to_owned()));
        }
        self.segment_ids(self.chat_segments(&prompt.messages)?)
    }

    fn segment_ids(&self, segments: Vec<Segment>) -> Result<Vec<u32>, TokenizerError> {
        let mut ids = Vec::new();
        for segment in segments {
            match segment {
                Segment::Control(id) => ids.push(id),
                Segment::Text(text) => ids.extend(self.encode(&text)?),
            }
        }
        if let Some(bos) = self.bos().filter(|bos| ids.first() != Some(bos)) {
            ids.insert(0, bos);
        }
        Ok(ids)
    }

    /// The ids of a chat that was rendered already: control tokens that stand in the text become control tokens. For
    /// text that a template made, never for what people say.
    ///
    /// # Errors
    /// Where the BPE fails.
    pub fn encode_rendered(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        let (mut segments, mut rest) = (Vec::new(), String::new());
        self.split_controls(text, &mut rest, &mut segments);
        push_text(&mut rest, &mut segments);
        self.segment_ids(segments)
    }

    /// The ids of a plain text that stands for itself, after the token that opens every text, where the model wants one.
    ///
    /// # Errors
    /// Where the BPE fails.
    pub fn encode_document(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        self.segment_ids(vec![Segment::Text(text.to_owned())])
    }

    /// The ids of an answer with the token that ends it: what a model learns to say.
    ///
    /// # Errors
    /// Where the model names no token that ends an answer, or the BPE fails.
    pub fn encode_answer(&self, answer: &str) -> Result<Vec<u32>, TokenizerError> {
        let end = self.answer_end()?;
        // Data for other trainers writes the end into the text.
        let written = self.written(end).unwrap_or_default();
        let mut ids = self.encode(answer.strip_suffix(written).unwrap_or(answer))?;
        ids.push(end);
        Ok(ids)
    }

    /// The token that the chat's form puts after an answer; the end of the text where it puts none.
    fn answer_end(&self) -> Result<u32, TokenizerError> {
        let message = |role, content: &str| Message {
            role,
            content: content.to_owned(),
        };
        let turn = [message(Role::User, "?"), message(Role::Assistant, ANSWER)];
        let segments = self.chat_segments(&turn)?;
        let answer = |segment: &Segment| matches!(segment, Segment::Text(text) if text.contains(ANSWER));
        let after =
            segments
                .iter()
                .skip_while(|segment| !answer(segment))
                .find_map(|segment| match segment {
                    Segment::Control(id) if self.is_end(*id) => Some(*id),
                    _ => None,
                });
        after.or(self.eos()).ok_or_else(|| {
            TokenizerError::Chat(
                "the model names no token that ends an answer; take another model".to_owned(),
            )
        })
    }

    fn chat_segments(&self, messages: &[Message]) -> Result<Vec<Segment>, TokenizerError> {
        if self.is_sentence_piece() && self.control_token("[INST]").is_some() {
            return self.mistral_segments(messages);
        }
        let mut reason = "the model file has no chat template".to_owned();
        if let Some(template) = &self.template {
            match self.template_segments(template, messages) {
                Ok(segments) => return Ok(segments),
                Err(error) => reason = format!("the model's chat template failed: {error}"),
            }
        }
        tracing::debug!(reason, "no use of the chat template");
        if let (Some(start), Some(end)) = (
            self.control_token("<|im_start|>"),
            self.control_token("<|im_end|>"),
        ) {
            return Ok(chat_ml(messages, start, end));
        }
        if self.control_token("[INST]").is_some() {
            return self.mistral_segments(messages);
        }
        Err(TokenizerError::Chat(format!(
            "{reason}, and its vocabulary has no known chat tokens; take an instruction-tuned (\"Instruct\") model"
        )))
    }

    fn template_segments(
        &self,
        template: &ChatTemplate,
        messages: &[Message],
    ) -> Result<Vec<Segment>, TokenizerError> {
        match self.rendered_segments(template, messages) {
            Ok(segments) => Ok(segments),
            // Some templates know no system message: they fail, or leave it out.
            Err(error) => {
                let merged = merge_system(messages, 0).ok_or(error)?;
                self.rendered_segments(template, &merged)
            }
        }
    }

    fn rendered_segments(
        &self,
        template: &ChatTemplate,
        messages: &[Message],
    ) -> Result<Vec<Segment>, TokenizerError> {
        let written = |id: Option<u32>| id.and_then(|id| self.written(id)).unwrap_or_default();
        let rendered = template
            .render(messages, written(self.bos()), written(self.eos()))
            .map_err(|e| TokenizerError::Chat(e.to_string()))?;
        self.split_rendered(&rendered, messages)
    }

    /// Cuts a rendered template at its control tokens and puts the messages in place of their marks.
    fn split_rendered(&self, rendered: &str, messages: &[Message]) -> Result<Vec<Segment>, TokenizerError> {
        let mut segments = Vec::new();
        let mut text = String::new();
        let mut next = 0;
        for (index, part) in rendered.split(MARK).enumerate() {
            // Marks come in pairs: odd parts are the numbers between them.
            if index % 2 == 1 {
                if part.parse() != Ok(next) {
                    return Err(TokenizerError::Chat(
                        "it does not write each message once, in order".into(),
                    ));
                }
                text.push_str(&messages[next].content);
                next += 1;
            } else {
                self.split_controls(part, &mut text, &mut segments);
            }
        }
        if next != messages.len() {
            return Err(TokenizerError::Chat("it leaves messages out".to_owned()));
        }
        push_text(&mut text, &mut segments);
        Ok(segments)
    }

    /// Walks the template's own text, where the longest control token at a place counts.
    fn split_controls(&self, part: &str, text: &mut String, segments: &mut Vec<Segment>) {
        let mut rest = part;
        while let Some(first) = rest.chars().next() {
            let control = self
                .controls()
                .iter()
                .filter(|(written, _)| rest.starts_with(written.as_str()))
                .max_by_key(|(written, _)| written.len());
            if let Some((written, &id)) = control {
                push_text(text, segments);
                segments.push(Segment::Control(id));
                rest = &rest[written.len()..];
                if self.has_space_prefix() {
                    // SentencePiece puts a space before a text by itself; the template's would be a second.
                    rest = rest.strip_prefix(' ').unwrap_or(rest);
                }
            } else {
                text.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }

    /// `[INST] user [/INST] answer </s>`, the system message before the last user message, as `mistral_common`
    /// has it since its third tokenizer.
    fn mistral_segments(&self, messages: &[Message]) -> Result<Vec<Segment>, TokenizerError> {
        let control = |name: &str| {
            self.control_token(name).ok_or_else(|| {
                TokenizerError::Chat(format!(
                    "the vocabulary has `[INST]` but no `{name}`; take another model"
                ))
            })
        };
        let (open, close) = (control("[INST]")?, control("[/INST]")?);
        let end = self.eos().map_or_else(|| control("</s>"), Ok)?;
        let last = messages
            .iter()
            .filter(|m| m.role == Role::User)
            .count()
            .saturating_sub(1);
        let merged = merge_system(messages, last);
        let mut segments = Vec::new();
        for message in merged.as_deref().unwrap_or(messages) {
            let text = Segment::Text(message.content.clone());
            match message.role {
                Role::Assistant => segments.extend([text, Segment::Control(end)]),
                Role::System | Role::User => {
                    segments.extend([Segment::Control(open), text, Segment::Control(close)]);
                }
            }
        }
        Ok(segments)
    }
}

fn push_text(text: &mut String, segments: &mut Vec<Segment>) {
    if !text.is_empty() {
        segments.push(Segment::Text(std::mem::take(text)));
    }
}

/// `<|im_start|>role\ncontent<|im_end|>\n`, as Qwen and SmolLM2 have it.
fn chat_ml(messages: &[Message], start: u32, end: u32) -> Vec<Segment> {
    let mut segments = Vec::new();
    for message in messages {
        let line_end = if segments.is_empty() {
            None
        } else {
            Some(Segment::Text("\n".to_owned()))
        };
        segments.extend(line_end);
        let text = format!("{}\n{}", role_name(message.role), message.content);
        segments.extend([
            Segment::Control(start),
            Segment::Text(text),
            Segment::Control(end),
        ]);
    }
    let open = Segment::Text("assistant\n".to_owned());
    segments.extend([Segment::Text("\n".to_owned()), Segment::Control(start), open]);
    segments
}

/// The system messages put before the user message of this number (from 0); none where there is nothing to merge.
fn merge_system(messages: &[Message], user: usize) -> Option<Vec<Message>> {
    let system: Vec<&str> = messages
        .iter()
        .filter(|m| m.role == Role::System)
        .map(|m| m.content.as_str())
        .collect();
    if system.is_empty() {
        return None;
    }
    let mut merged: Vec<Message> = messages
        .iter()
        .filter(|m| m.role != Role::System)
        .cloned()
        .collect();
    let target = merged.iter_mut().filter(|m| m.role == Role::User).nth(user)?;
    target.content = format!("{}\n\n{}", system.join("\n\n"), target.content);
    Some(merged)
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
    }
}

impl ChatTemplate {
    /// None where the template is no Jinja that is known here; the chat then takes one of the known forms.
    pub(crate) fn parse(source: &str) -> Option<Self> {
        let mut environment = Environment::new();
        // As transformers renders chat templates.
        environment.set_trim_blocks(true);
        environment.set_lstrip_blocks(true);
        environment.set_fuel(Some(FUEL));
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", |message: String| -> Result<Value, Error> {
            Err(Error::new(ErrorKind::InvalidOperation, message))
        });
        environment.add_function("strftime_now", |format: String| {
            strftime(&format, SystemTime::now())
        });
        environment
            .add_template_owned("chat", source.to_owned())
            .inspect_err(|error| tracing::warn!(%error, "the model's chat template cannot be read"))
            .ok()?;
        Some(Self {
            environment: Arc::new(environment),
        })
    }

    /// Renders the chat with a mark and a number in place of what each message says.
    fn render(&self, messages: &[Message], bos: &str, eos: &str) -> Result<String, Error> {
        let messages: Vec<Value> = messages
            .iter()
            .enumerate()
            .map(|(index, message)| {
                let content = format!("{MARK}{index}{MARK}");
                context! { role => role_name(message.role), content }
            })
            .collect();
        self.environment.get_template("chat")?.render(context! {
            messages,
            bos_token => bos,
            eos_token => eos,
            add_generation_prompt => true,
        })
    }
}

/// The date, in the few directives that chat templates use; UTC.
fn strftime(format: &str, now: SystemTime) -> String {
    const MONTHS: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    let seconds = now.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let (year, month, day) = civil_date(seconds / 86_400);
    let month_name = MONTHS[month as usize - 1];
    let mut text = String::new();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            text.push(c);
            continue;
        }
        match chars.next() {
            Some('Y') => text.push_str(&year.to_string()),
            Some('m') => text.push_str(&format!("{month:02}")),
            Some('d') => text.push_str(&format!("{day:02}")),
            Some('B') => text.push_str(month_name),
            Some('b') => text.push_str(&month_name[..3]),
            Some('H') => text.push_str(&format!("{:02}", seconds / 3600 % 24)),
            Some('M') => text.push_str(&format!("{:02}", seconds / 60 % 60)),
            Some('S') => text.push_str(&format!("{:02}", seconds % 60)),
            Some(other) => text.extend(['%', other]),
            None => text.push('%'),
        }
    }
    text
}

/// Year, month (from 1) and day (from 1) of a day counted from 1970-01-01, in the Gregorian calendar.
///
/// Years are counted from March, so that the leap day is a year's last: the months' lengths from March on are
/// then those of the line `(153 m + 2) / 5`.
fn civil_date(days_since_epoch: u64) -> (u64, u64, u64) {
    let days = days_since_epoch + 719_468; // from 0000-03-01
    let (era, day_of_era) = (days / 146_097, days % 146_097); // 400 years
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests;
