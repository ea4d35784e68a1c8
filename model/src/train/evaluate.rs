//! How good a model is: its loss on data it does not learn from, and what it says.

use crate::decoder::{Decoder, DecoderError, Logits};
use crate::kv_cache::KvCache;
use crate::sampler::argmax;

use super::TrainError;
use super::model::LoraModel;
use super::objective::{Objective, Tally};

/// The sums over all items, `together` of them at once, without a graph. `done` hears how many items are done.
///
/// # Errors
/// Where the device fails.
pub fn measure(
    model: &LoraModel,
    objective: &dyn Objective,
    together: usize,
    mut done: impl FnMut(usize, &Tally),
) -> Result<Tally, TrainError> {
    let mut items: Vec<usize> = (0..objective.len()).collect();
    items.sort_by_key(|item| objective.length(*item));
    let mut total = Tally::default();
    let mut count = 0;
    for items in items.chunks(together.max(1)) {
        let batch = objective.batch(items);
        let x = model.hidden(&batch)?;
        total.add(&objective.loss(model, items, &batch, &x)?.1);
        count += items.len();
        done(count, &total);
    }
    Ok(total)
}

/// A decoder that answers one prompt after another with the likeliest tokens, and keeps what the next prompt shares.
#[derive(Debug)]
pub struct Greedy {
    decoder: Decoder,
    cache: KvCache,
    /// What the cache holds.
    tokens: Vec<u32>,
}

impl Greedy {
    /// Nothing is kept yet.
    ///
    /// # Errors
    /// Where the device has no memory left.
    pub fn new(decoder: Decoder) -> Result<Self, DecoderError> {
        let cache = decoder.cache()?;
        Ok(Self {
            decoder,
            cache,
            tokens: Vec::new(),
        })
    }

    /// The continuation of a prompt up to a token of `ends`, which is left out, or `most` tokens. An empty prompt has
    /// none.
    ///
    /// # Errors
    /// Where prompt and answer do not fit the context, or the device fails.
    pub fn answer(&mut self, prompt: &[u32], ends: &[u32], most: usize) -> Result<Vec<u32>, DecoderError> {
        let pairs = prompt.iter().zip(&self.tokens);
        let shared = pairs.take_while(|(a, b)| a == b).count();
        // The last token is always run, for its logits.
        let kept = shared.min(prompt.len().saturating_sub(1));
        self.cache.truncate(kept);
        self.tokens.truncate(kept);
        let mut ids = Vec::new();
        let mut next = prompt[kept..].to_vec();
        loop {
            let logits = self.decoder.forward(&next, &mut self.cache, Logits::Last)?;
            self.tokens.extend(&next);
            match argmax(&logits).filter(|token| !ends.contains(token)) {
                Some(token) if ids.len() < most => {
                    ids.push(token);
                    next = vec![token];
                }
                _ => return Ok(ids),
            }
        }
    }
}
