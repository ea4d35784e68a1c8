//! What is learned: the tokens of completions.

use candle_core::{Result, Tensor};

use super::batch::{Batch, Sequence};
use super::model::LoraModel;

/// Sums over some items.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Tally {
    /// Sum of the losses.
    pub loss: f64,
    /// What it is divided by for the mean: learned tokens of completions, or pairs of preferences.
    pub weight: usize,
    /// Pairs of preferences whose chosen answer has gained more than the rejected one; 0 for completions.
    pub preferred: usize,
    /// Sum of these gains' differences, times β; 0 for completions.
    pub margin: f64,
}

impl Tally {
    /// The mean loss.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.loss / self.weight as f64
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.loss += other.loss;
        self.weight += other.weight;
        self.preferred += other.preferred;
        self.margin += other.margin;
    }
}

/// Items that a model learns from.
pub trait Objective: Sync {
    /// How many items there are.
    fn len(&self) -> usize;

    /// Whether there is none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The tokens of an item, by which items are put together.
    fn length(&self, item: usize) -> usize;

    /// What an item adds to the denominator of the mean loss.
    fn weight(&self, item: usize) -> usize;

    /// The sequences of some items side by side.
    fn batch(&self, items: &[usize]) -> Batch;

    /// The sum of the items' losses as a scalar in F32, from the last layer's output `(batch · tokens, hidden)`, and
    /// the sums to report.
    ///
    /// # Errors
    /// Where the device fails.
    fn loss(&self, model: &LoraModel, items: &[usize], batch: &Batch, x: &Tensor) -> Result<(Tensor, Tally)>;
}

/// Cross entropy of the completions' tokens.
#[derive(Debug, Clone, Copy)]
pub struct Completions<'a>(
    /// Prompts with their completions.
    pub &'a [Sequence],
);

impl Objective for Completions<'_> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn length(&self, item: usize) -> usize {
        self.0[item].tokens.len()
    }

    fn weight(&self, item: usize) -> usize {
        self.0[item].completion()
    }

    fn batch(&self, items: &[usize]) -> Batch {
        Batch::new(items.iter().map(|item| &self.0[*item]))
    }

    fn loss(&self, model: &LoraModel, _: &[usize], batch: &Batch, x: &Tensor) -> Result<(Tensor, Tally)> {
        let losses = model.losses(x, batch)?;
        let values: Vec<f32> = losses.to_vec1()?;
        let tally = Tally {
            loss: values.iter().map(|loss| f64::from(*loss)).sum(),
            weight: values.len(),
            ..Tally::default()
        };
        Ok((losses.sum_all()?, tally))
    }
}
