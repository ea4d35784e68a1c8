//! Answers given lately, so that showing ghost text again or accepting an item does not generate again.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use bigquill_model::lora::AdapterStamp;

use crate::pipeline::Answer;

/// How many answers are kept.
const KEPT: usize = 32;

/// What an answer depends on.
#[derive(Debug, Clone, PartialEq)]
pub struct AnswerKey {
    /// The question's text.
    pub question: String,
    /// The catalog's epoch.
    pub catalog_epoch: u64,
    /// The settings that matter for the answer.
    pub settings: Arc<crate::settings::Settings>,
    /// The adapter in the folder that they name.
    pub adapter: Option<AdapterStamp>,
}

/// The latest answers.
#[derive(Default)]
pub struct Answers {
    kept: Mutex<VecDeque<(AnswerKey, Arc<Answer>)>>,
}

impl Answers {
    /// The answer to the same question over the same schemas with the same settings.
    #[must_use]
    pub fn get(&self, key: &AnswerKey) -> Option<Arc<Answer>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter()
            .find(|(k, _)| k == key)
            .map(|(_, answer)| Arc::clone(answer))
    }

    /// Keeps an answer; the oldest goes.
    pub fn put(&self, key: AnswerKey, answer: Arc<Answer>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(k, _)| *k != key);
        kept.push_back((key, answer));
        if kept.len() > KEPT {
            kept.pop_front();
        }
    }
}
