//! Examples to token sequences: rendered and tokenized as in serving, doubles and over-long ones left out and counted.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bigquill_analysis::check::{Proof, Severity, prove};
use bigquill_analysis::schema::CatalogSnapshot;

use crate::generate::Prompt;
use crate::prompt::{self, PromptInput};
use crate::tokenizer::{Tokenizer, TokenizerError};
use crate::train::Sequence;

use super::{Answer, DataError, Example, ExamplePrompt, Place};

/// How examples become sequences.
#[derive(Debug, Clone, Copy)]
pub struct Preparer<'a> {
    /// The base's tokenizer.
    pub tokenizer: &'a Tokenizer,
    /// Tokens that a rendered prompt may have.
    pub budget: usize,
    /// Tokens that a sequence may have, its answer included.
    pub max_tokens: usize,
    /// Whether a prompt that is over its budget keeps the tables that the answer names: to learn from, never to measure
    /// on, for whoever asks does not know them.
    pub answer_tables: bool,
}

/// A prompt with its answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// Where the example stands.
    pub place: Place,
    /// Prompt and completion; of a preference, prompt and chosen answer.
    pub sequence: Sequence,
    /// Prompt and rejected answer of a preference.
    pub rejected: Option<Sequence>,
    /// Paths of the tables that the prompt shows.
    pub tables: Vec<String>,
}

/// The two sequences of a preference; they share their prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preference {
    /// Prompt and better answer.
    pub chosen: Sequence,
    /// Prompt and worse answer.
    pub rejected: Sequence,
}

/// An example that is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dropped {
    /// Where it stands.
    pub place: Place,
    /// Why, for people.
    pub why: String,
}

/// What became of the examples.
#[derive(Debug, Clone, Default)]
pub struct Preparation {
    /// What is learned, in the order of the files.
    pub examples: Vec<Prepared>,
    /// Examples that were given.
    pub read: usize,
    /// Examples that were there already.
    pub duplicates: usize,
    /// Examples that are too long. Nothing is ever cut: half a query teaches half a query.
    pub too_long: Vec<Dropped>,
    /// Examples whose answer BigQuery would refuse against the catalog as it is now.
    pub refused: Vec<Dropped>,
}

impl Preparer<'_> {
    /// Renders, tokenizes, and leaves out doubles and what is too long.
    ///
    /// # Errors
    /// Where a text cannot be tokenized for this model.
    pub fn prepare(&self, examples: &[Example]) -> Result<Preparation, DataError> {
        let mut preparation = Preparation {
            read: examples.len(),
            ..Preparation::default()
        };
        let mut seen = HashSet::new();
        for example in examples {
            let failed = |source| DataError::Tokenizer {
                place: example.place.clone(),
                source,
            };
            if let Some(why) = refused(example) {
                preparation.refused.push(Dropped {
                    place: example.place.clone(),
                    why,
                });
                continue;
            }
            let prepared = self.one(example).map_err(failed)?;
            if !seen.insert((prepared.sequence.clone(), prepared.rejected.clone())) {
                preparation.duplicates += 1;
                continue;
            }
            let sequences = [Some(&prepared.sequence), prepared.rejected.as_ref()];
            let tokens = sequences.iter().flatten().map(|s| s.tokens.len()).max();
            let tokens = tokens.unwrap_or(0);
            if tokens > self.max_tokens {
                preparation.too_long.push(Dropped {
                    place: prepared.place,
                    why: format!("{tokens} tokens"),
                });
                continue;
            }
            preparation.examples.push(prepared);
        }
        Ok(preparation)
    }

    /// The chat that an example's prompt stands for; none for rendered text.
    #[must_use]
    pub fn chat(&self, example: &Example) -> Option<Prompt> {
        match &example.prompt {
            ExamplePrompt::Chat(chat) => Some(chat.clone()),
            ExamplePrompt::Text(_) => None,
            ExamplePrompt::Question {
                question,
                evidence,
                catalog,
            } => {
                let input = PromptInput {
                    question,
                    evidence: evidence.as_deref(),
                    snapshot: catalog,
                    budget: self.budget,
                };
                let proof = if self.answer_tables { proof(example) } else { None };
                let required = proof.map(|proof| proof.tables).unwrap_or_default();
                let count = |text: &str| self.tokenizer.count(text);
                Some(prompt::build_with(&input, &required, &count))
            }
        }
    }

    fn one(&self, example: &Example) -> Result<Prepared, TokenizerError> {
        let mut tables: Vec<String> = Vec::new();
        let mut shows = |text: &str| tables.extend(prompt::shown_tables(text).map(str::to_owned));
        let prompt = match &example.prompt {
            ExamplePrompt::Text(text) => {
                shows(text);
                self.tokenizer.encode_rendered(text)?
            }
            _ => {
                let chat = self.chat(example).unwrap_or_default();
                chat.messages.iter().for_each(|message| shows(&message.content));
                self.tokenizer.encode_chat(&chat)?
            }
        };
        let sequence = |answer: &str| -> Result<Sequence, TokenizerError> {
            let mut tokens = prompt.clone();
            tokens.extend(self.tokenizer.encode_answer(answer)?);
            Ok(Sequence {
                tokens,
                prompt: prompt.len(),
            })
        };
        let (sequence, rejected) = match &example.answer {
            Answer::Completion(text) => (sequence(text)?, None),
            Answer::Preference { chosen, rejected } => (sequence(chosen)?, Some(sequence(rejected)?)),
        };
        Ok(Prepared {
            place: example.place.clone(),
            sequence,
            rejected,
            tables,
        })
    }
}

/// Why an answer is not learned: BigQuery would refuse it against the question's catalog, or against each that is named.
fn refused(example: &Example) -> Option<String> {
    if let Some(proof) = proof(example) {
        return refusal_of(&proof);
    }
    let (Answer::Completion(sql) | Answer::Preference { chosen: sql, .. }) = &example.answer;
    let refusals = example.against.iter().map(|catalog| refusal(sql, catalog));
    // None as soon as one takes it.
    refusals.collect::<Option<Vec<_>>>()?.into_iter().next()
}

/// What is known of the answer to a question over known tables.
fn proof(example: &Example) -> Option<Proof> {
    let (ExamplePrompt::Question { catalog, .. }, Answer::Completion(sql)) =
        (&example.prompt, &example.answer)
    else {
        return None;
    };
    (!catalog.is_empty()).then(|| prove(sql, catalog))
}

/// What BigQuery would refuse about an answer over these tables. Doubts do not count: what is only suspected stays.
#[must_use]
pub fn refusal(sql: &str, catalog: &CatalogSnapshot) -> Option<String> {
    if sql.trim().is_empty() {
        return Some("there is no statement".to_owned());
    }
    refusal_of(&prove(sql, catalog))
}

fn refusal_of(proof: &Proof) -> Option<String> {
    let mut findings = proof.diagnostics.iter();
    let certain = findings.find(|finding| finding.severity == Severity::Error);
    certain.map(|finding| finding.message.clone())
}

impl Preparation {
    /// The examples that are left as they were read, in the order of `examples`; `read` holds them and others.
    #[must_use]
    pub fn as_read<'e>(&self, read: &'e [Example]) -> Vec<&'e Example> {
        let key = |place: &Place| (Arc::clone(&place.path), place.line);
        let by_place: HashMap<_, &Example> = read.iter().map(|e| (key(&e.place), e)).collect();
        let examples = self.examples.iter();
        examples
            .filter_map(|example| by_place.get(&key(&example.place)).copied())
            .collect()
    }

    /// The completions.
    ///
    /// # Errors
    /// Where an example is a preference.
    pub fn completions(&self) -> Result<Vec<Sequence>, DataError> {
        let one = |example: &Prepared| match example.rejected {
            None => Ok(example.sequence.clone()),
            Some(_) => Err(DataError::Kind {
                place: example.place.clone(),
                what: "this is a preference where completions are learned; train on it with --preference",
            }),
        };
        self.examples.iter().map(one).collect()
    }

    /// The preferences.
    ///
    /// # Errors
    /// Where an example is a completion.
    pub fn preferences(&self) -> Result<Vec<Preference>, DataError> {
        let one = |example: &Prepared| match &example.rejected {
            Some(rejected) => Ok(Preference {
                chosen: example.sequence.clone(),
                rejected: rejected.clone(),
            }),
            None => Err(DataError::Kind {
                place: example.place.clone(),
                what: "this is a completion where preferences are learned; give lines with prompt, chosen and rejected",
            }),
        };
        self.examples.iter().map(one).collect()
    }
}
