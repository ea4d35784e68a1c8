//! Direct preference optimization (Rafailov et al. 2023): the better answer is to gain more than the worse one against
//! the model as it was.
//!
//! With the log probabilities π of the model and ρ of the model as it was: loss = −log σ(m), where
//! m = β·((π_chosen − ρ_chosen) − (π_rejected − ρ_rejected)) (their equation 7).

use candle_core::{Device, Result, Tensor};

use super::TrainError;
use super::batch::Batch;
use super::data::Preference;
use super::graph;
use super::model::LoraModel;
use super::objective::{Objective, Tally};

/// Preferences, and what the model thought of both answers before.
#[derive(Debug, Clone)]
pub struct Preferences<'a> {
    /// Prompts with a better and a worse answer.
    pub pairs: &'a [Preference],
    /// The sums of −log p of the chosen and of the rejected answer's tokens, of [`reference()`].
    pub reference: Vec<(f64, f64)>,
    /// How closely the model is held to what it was; 0.1 is usual.
    pub beta: f64,
}

/// What a model thinks of the answers now, `together` pairs at once. `done` hears how many pairs are done.
///
/// # Errors
/// Where the device fails.
pub fn reference(
    model: &LoraModel,
    pairs: &[Preference],
    together: usize,
    mut done: impl FnMut(usize),
) -> std::result::Result<Vec<(f64, f64)>, TrainError> {
    let mut sums = Vec::with_capacity(pairs.len());
    for pairs in pairs.chunks(together.max(1)) {
        let batch = batch_of(pairs.iter());
        let losses: Vec<f32> = model.losses(&model.hidden(&batch)?, &batch)?.to_vec1()?;
        sums.extend(sums_of_pairs(&losses, &batch));
        done(sums.len());
    }
    Ok(sums)
}

/// All chosen answers, then all rejected ones.
fn batch_of<'a>(pairs: impl Iterator<Item = &'a Preference> + Clone) -> Batch {
    let chosen = pairs.clone().map(|pair| &pair.chosen);
    Batch::new(chosen.chain(pairs.map(|pair| &pair.rejected)))
}

/// The sums over each pair's chosen and rejected tokens.
fn sums_of_pairs(losses: &[f32], batch: &Batch) -> Vec<(f64, f64)> {
    let mut rest = losses;
    let sums: Vec<f64> = batch
        .counts()
        .iter()
        .map(|count| {
            let (own, others) = rest.split_at((*count).min(rest.len()));
            rest = others;
            own.iter().map(|loss| f64::from(*loss)).sum()
        })
        .collect();
    let (chosen, rejected) = sums.split_at(sums.len() / 2);
    chosen.iter().copied().zip(rejected.iter().copied()).collect()
}

impl Objective for Preferences<'_> {
    fn len(&self) -> usize {
        self.pairs.len()
    }

    fn length(&self, item: usize) -> usize {
        let pair = &self.pairs[item];
        pair.chosen.tokens.len().max(pair.rejected.tokens.len())
    }

    fn weight(&self, _: usize) -> usize {
        1
    }

    fn batch(&self, items: &[usize]) -> Batch {
        batch_of(items.iter().map(|item| &self.pairs[*item]))
    }

    fn loss(&self, model: &LoraModel, items: &[usize], batch: &Batch, x: &Tensor) -> Result<(Tensor, Tally)> {
        let losses = model.losses(x, batch)?;
        let sums = sums_of_pairs(&losses.to_vec1()?, batch);
        let mut tally = Tally::default();
        let mut slopes = Vec::with_capacity(items.len());
        for (item, (chosen, rejected)) in items.iter().zip(sums) {
            let (chosen_before, rejected_before) = self.reference[*item];
            let margin = self.beta * ((chosen_before - chosen) - (rejected_before - rejected));
            // −log σ(m) without overflow.
            tally.loss += (-margin).max(0.0) + (-margin.abs()).exp().ln_1p();
            tally.weight += 1;
            tally.preferred += usize::from(margin > 0.0);
            tally.margin += margin;
            slopes.push(self.beta / (1.0 + margin.exp()));
        }
        let gradient = token_slopes(&slopes, batch, losses.device())?;
        let value = Tensor::new(tally.loss as f32, losses.device())?;
        let loss = graph::apply("preference", &losses, value, move |_, of_loss| {
            gradient.broadcast_mul(of_loss)
        })?;
        Ok((loss, tally))
    }
}

/// The slope of the loss by each token's −log p: β·σ(−m) for chosen tokens, the negative for rejected ones.
fn token_slopes(slopes: &[f64], batch: &Batch, device: &Device) -> Result<Tensor> {
    let signed = slopes.iter().copied().chain(slopes.iter().map(|slope| -slope));
    let tokens: Vec<f32> = signed
        .zip(batch.counts())
        .flat_map(|(slope, count)| std::iter::repeat_n(slope as f32, *count))
        .collect();
    Tensor::new(tokens.as_slice(), device)
}

#[cfg(test)]
mod tests;
