//! Regression: a number read off the last token of a text, by a linear head over the last norm's output.
//!
//! It is what transformers computes for `…ForSequenceClassification` with one label, on targets of mean 0 and deviation
//! 1, with Huber's loss: a quadratic for small errors, a straight line for large ones (Huber 1964).

use candle_core::{DType, Device, Result, Tensor, Var};

use super::TrainError;
use super::batch::{Batch, Sequence};
use super::graph;
use super::model::LoraModel;
use super::objective::{Objective, Tally};

/// The error, in deviations of the target, from which on the loss grows in a straight line.
const DELTA: f64 = 1.0;

/// The head learns at this share of the pairs' rate: the optimizer's steps have the same length for every number, and the
/// head's numbers each move the result by much more.
const HEAD_RATE: f64 = 0.2;

/// `score`, a linear layer from the model's width to one number, without bias.
#[derive(Debug)]
pub(crate) struct ScoreHead {
    /// `(1, hidden)` in F32: the weights over [`HEAD_RATE`], so that equal steps of the optimizer move them by less.
    scaled: Var,
}

impl ScoreHead {
    pub(crate) fn new(hidden: usize, device: &Device) -> Result<Self> {
        let scaled = Var::zeros((1, hidden), DType::F32, device)?;
        Ok(Self { scaled })
    }

    pub(crate) fn var(&self) -> &Var {
        &self.scaled
    }

    /// The weights, `(hidden)`.
    pub(crate) fn weights(&self) -> Result<Vec<f32>> {
        (self.scaled.as_detached_tensor().flatten_all()? * HEAD_RATE)?.to_vec1()
    }

    pub(crate) fn set(&self, weights: &[f32]) -> Result<()> {
        let weights = Tensor::from_slice(weights, self.scaled.shape().clone(), self.scaled.device())?;
        self.scaled.set(&(weights / HEAD_RATE)?)
    }

    /// `(rows, hidden)` to `(rows)` in F32.
    pub(crate) fn scores(&self, x: &Tensor) -> Result<Tensor> {
        let weights = (self.scaled.as_tensor() * HEAD_RATE)?;
        x.to_dtype(DType::F32)?.matmul(&weights.t()?)?.squeeze(1)
    }
}

/// Texts with the numbers that they stand for.
#[derive(Debug, Clone, Copy)]
pub struct Regression<'a> {
    /// The texts, all of them read and none of them learned.
    pub texts: &'a [Sequence],
    /// Their numbers, of mean 0 and deviation 1.
    pub targets: &'a [f64],
}

/// Indices of the last tokens, into `sequences · width`.
fn last_rows<'s>(
    texts: impl Iterator<Item = &'s Sequence>,
    batch: &Batch,
    device: &Device,
) -> Result<Tensor> {
    let rows: Vec<u32> = texts
        .enumerate()
        .map(|(index, text)| (index * batch.width() + text.tokens.len().saturating_sub(1)) as u32)
        .collect();
    Tensor::new(rows, device)
}

impl Objective for Regression<'_> {
    fn len(&self) -> usize {
        self.texts.len()
    }

    fn length(&self, item: usize) -> usize {
        self.texts[item].tokens.len()
    }

    fn weight(&self, _: usize) -> usize {
        1
    }

    fn batch(&self, items: &[usize]) -> Batch {
        Batch::new(items.iter().map(|item| &self.texts[*item]))
    }

    fn loss(&self, model: &LoraModel, items: &[usize], batch: &Batch, x: &Tensor) -> Result<(Tensor, Tally)> {
        let texts = items.iter().map(|item| &self.texts[*item]);
        let scores = model.scores(x, &last_rows(texts, batch, x.device())?)?;
        let errors: Vec<f64> = scores
            .to_vec1::<f32>()?
            .into_iter()
            .zip(items)
            .map(|(score, item)| f64::from(score) - self.targets[*item])
            .collect();
        let tally = Tally {
            loss: errors.iter().map(|error| huber(*error)).sum(),
            weight: items.len(),
            ..Tally::default()
        };
        let slopes: Vec<f32> = errors.iter().map(|e| e.clamp(-DELTA, DELTA) as f32).collect();
        let slopes = Tensor::new(slopes, scores.device())?;
        let value = Tensor::new(tally.loss as f32, scores.device())?;
        let loss = graph::apply("huber", &scores, value, move |_, of_loss| {
            slopes.broadcast_mul(of_loss)
        })?;
        Ok((loss, tally))
    }
}

fn huber(error: f64) -> f64 {
    let size = error.abs();
    if size <= DELTA {
        0.5 * size * size
    } else {
        DELTA * (size - 0.5 * DELTA)
    }
}

/// The scores of texts, `together` of them at once. `done` hears how many are done.
///
/// # Errors
/// Where the model has no head that scores, or the device fails.
pub fn predict(
    model: &LoraModel,
    texts: &[Sequence],
    together: usize,
    mut done: impl FnMut(usize),
) -> std::result::Result<Vec<f64>, TrainError> {
    let mut order: Vec<usize> = (0..texts.len()).collect();
    order.sort_by_key(|item| texts[*item].tokens.len());
    let mut scores = vec![0.0; texts.len()];
    for (index, items) in order.chunks(together.max(1)).enumerate() {
        let chosen = || items.iter().map(|item| &texts[*item]);
        let batch = Batch::new(chosen());
        let rows = last_rows(chosen(), &batch, model.device())?;
        let found: Vec<f32> = model.scores(&model.hidden(&batch)?, &rows)?.to_vec1()?;
        for (item, score) in items.iter().zip(found) {
            scores[*item] = f64::from(score);
        }
        done(index * together.max(1) + items.len());
    }
    Ok(scores)
}

#[cfg(test)]
mod tests;
