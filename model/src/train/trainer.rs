//! The loop: an update at a time, so that whoever drives it can report, save and stop between two.

use candle_core::Tensor;

use crate::lora::LoraAdapter;

use super::TrainError;
use super::checkpoint::{Best, Checkpoint};
use super::model::LoraModel;
use super::objective::{Objective, Tally};
use super::optimizer::{self, AdamW};
use super::recompute::{Activations, Gradients, accumulate};
use super::{parameters, schedule};
use crate::random::Random;

/// How it is trained.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainOptions {
    /// How often every item is seen.
    pub epochs: usize,
    /// Items of an update.
    pub batch: usize,
    /// Items that a device computes at once: memory grows with it, the result changes by rounding alone.
    pub micro_batch: usize,
    /// The highest learning rate.
    pub learning_rate: f64,
    /// Share of the updates in which the learning rate rises.
    pub warmup: f64,
    /// Subtracted from every parameter in an update, times the learning rate; 0 is usual for LoRA.
    pub weight_decay: f64,
    /// Longest gradient that is taken as it is.
    pub clip: f64,
    /// Decides the order of the data.
    pub seed: u64,
    /// Whether activations are kept or computed again.
    pub activations: Activations,
}

/// What an update did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Update {
    /// Updates made, this one included.
    pub step: u64,
    /// Sums over its items.
    pub tally: Tally,
    /// The gradient's norm before it was clipped.
    pub gradient_norm: f64,
    /// The learning rate it was made with.
    pub learning_rate: f64,
    /// Tokens that were computed, padding included.
    pub tokens: usize,
}

/// A run: models that hold the same pairs, one a device, and how far they got.
pub struct Trainer<'a> {
    models: Vec<LoraModel>,
    objective: &'a dyn Objective,
    options: TrainOptions,
    /// All pairs as one vector, on the first model's device.
    parameters: Tensor,
    optimizer: AdamW,
    /// The items of each update of one epoch.
    epoch: Option<(u64, Vec<Vec<usize>>)>,
}

impl<'a> Trainer<'a> {
    /// Begins a run. The first model's pairs are given to all others.
    ///
    /// # Errors
    /// Where there is no model or no item, or a device has no memory left.
    pub fn new(
        models: Vec<LoraModel>,
        objective: &'a dyn Objective,
        options: TrainOptions,
    ) -> Result<Self, TrainError> {
        let Some(first) = models.first() else {
            return Err(TrainError::Empty("no device was given".to_owned()));
        };
        if objective.is_empty() {
            return Err(TrainError::Empty("the data has none".to_owned()));
        }
        let parameters = parameters::flat(first)?;
        let optimizer = AdamW::new(&parameters, options.weight_decay)?;
        let trainer = Self {
            models,
            objective,
            options,
            parameters,
            optimizer,
            epoch: None,
        };
        trainer.share()?;
        Ok(trainer)
    }

    /// Updates made.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.optimizer.steps
    }

    /// Updates of the whole run.
    #[must_use]
    pub fn total_steps(&self) -> u64 {
        self.steps_per_epoch() * self.options.epochs as u64
    }

    /// Updates of an epoch.
    #[must_use]
    pub fn steps_per_epoch(&self) -> u64 {
        self.objective.len().div_ceil(self.options.batch.max(1)) as u64
    }

    /// Numbers that are trained.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.parameters.elem_count()
    }

    /// The first device's model, with the pairs as they are now.
    #[must_use]
    pub fn model(&self) -> &LoraModel {
        &self.models[0]
    }

    /// The pairs as they are now.
    ///
    /// # Errors
    /// Where the device fails.
    pub fn adapter(&self, name: &str) -> Result<LoraAdapter, TrainError> {
        Ok(self.model().adapter(name)?)
    }

    /// How far it got.
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            steps: self.optimizer.steps,
            tensors: [
                self.parameters.clone(),
                self.optimizer.first.clone(),
                self.optimizer.second.clone(),
            ],
            best: None,
        }
    }

    /// Puts back the parameters of an earlier moment, to be saved.
    ///
    /// # Errors
    /// Where the device fails.
    pub fn take_back(&mut self, best: &Best) -> Result<(), TrainError> {
        self.parameters = best.parameters.to_device(self.parameters.device())?;
        self.share()
    }

    /// The parameters as they are now, with what was measured of them.
    #[must_use]
    pub fn measured(&self, rank: Vec<f64>) -> Best {
        Best {
            steps: self.steps(),
            rank,
            parameters: self.parameters.clone(),
        }
    }

    /// Goes on where a checkpoint of the same run was written.
    ///
    /// # Errors
    /// Where the device fails.
    pub fn restore(&mut self, checkpoint: Checkpoint) -> Result<(), TrainError> {
        let device = self.parameters.device().clone();
        let [parameters, first, second] = checkpoint.tensors;
        self.parameters = parameters.to_device(&device)?;
        self.optimizer.first = first.to_device(&device)?;
        self.optimizer.second = second.to_device(&device)?;
        self.optimizer.steps = checkpoint.steps;
        self.share()
    }

    /// Makes the next update; none where the run is over.
    ///
    /// # Errors
    /// Where the loss or the gradient is no number any more, in which case nothing was changed, or a device fails.
    pub fn update(&mut self) -> Result<Option<Update>, TrainError> {
        let done = self.steps();
        if done >= self.total_steps() {
            return Ok(None);
        }
        let items = self.items(done);
        let denominator: usize = items.iter().map(|item| self.objective.weight(*item)).sum();
        let parts: Vec<&[usize]> = items.chunks(self.options.micro_batch.max(1)).collect();
        let (gradient, tally, tokens) = self.gradient(&parts, denominator.max(1) as f64)?;
        let gradient_norm = optimizer::norm(&gradient)?;
        for (what, value) in [("loss", tally.loss), ("gradient", gradient_norm)] {
            if !value.is_finite() {
                let step = done + 1;
                return Err(TrainError::NotFinite { what, value, step });
            }
        }
        let learning_rate = self.learning_rate(done);
        let gradient = optimizer::clip(gradient, gradient_norm, self.options.clip)?;
        self.parameters = self
            .optimizer
            .update(&self.parameters, &gradient, learning_rate)?;
        self.share()?;
        Ok(Some(Update {
            step: done + 1,
            tally,
            gradient_norm,
            learning_rate,
            tokens,
        }))
    }

    /// The items of an update, by length.
    fn items(&mut self, step: u64) -> Vec<usize> {
        let per_epoch = self.steps_per_epoch();
        let (epoch, index) = (step / per_epoch, (step % per_epoch) as usize);
        if self.epoch.as_ref().is_none_or(|(known, _)| *known != epoch) {
            let lengths: Vec<usize> = (0..self.objective.len())
                .map(|item| self.objective.length(item))
                .collect();
            let order = schedule::order(&lengths, self.options.batch, self.options.seed, epoch);
            self.epoch = Some((epoch, order));
        }
        let updates = self.epoch.as_ref().map(|(_, updates)| updates);
        updates
            .and_then(|updates| updates.get(index))
            .cloned()
            .unwrap_or_default()
    }

    fn learning_rate(&self, step: u64) -> f64 {
        let total = self.total_steps();
        let warmup = (total as f64 * self.options.warmup).round() as u64;
        schedule::learning_rate(self.options.learning_rate, step, warmup, total)
    }

    /// The gradient of the sum of the losses over `denominator`, summed over the devices: each takes every n-th part.
    fn gradient(&self, parts: &[&[usize]], denominator: f64) -> Result<(Tensor, Tally, usize), TrainError> {
        let workers = self.models.len().min(parts.len());
        let share = |worker: usize| parts.iter().enumerate().skip(worker).step_by(workers);
        let results: Vec<Result<(Tensor, Tally, usize), TrainError>> = if workers == 1 {
            vec![self.part(&self.models[0], share(0), denominator)]
        } else {
            std::thread::scope(|scope| {
                let threads: Vec<_> = (0..workers)
                    .map(|worker| {
                        let model = &self.models[worker];
                        scope.spawn(move || self.part(model, share(worker), denominator))
                    })
                    .collect();
                threads
                    .into_iter()
                    .map(|thread| thread.join().unwrap_or(Err(TrainError::Worker)))
                    .collect()
            })
        };
        let mut sums: Option<(Tensor, Tally, usize)> = None;
        for result in results {
            let (gradient, tally, tokens) = result?;
            let gradient = gradient.to_device(self.parameters.device())?;
            sums = Some(match sums {
                None => (gradient, tally, tokens),
                Some((sum, mut total, count)) => {
                    total.add(&tally);
                    ((sum + gradient)?, total, count + tokens)
                }
            });
        }
        sums.ok_or(TrainError::Worker)
    }

    /// What one device adds.
    fn part<'p>(
        &self,
        model: &LoraModel,
        parts: impl Iterator<Item = (usize, &'p &'p [usize])>,
        denominator: f64,
    ) -> Result<(Tensor, Tally, usize), TrainError> {
        let mut gradients = Gradients::new(model);
        let mut total = Tally::default();
        let mut tokens = 0;
        for (index, items) in parts {
            let batch = self.objective.batch(items).with_noise(self.noise(index));
            let tally = accumulate(model, &batch, self.options.activations, &mut gradients, |x| {
                let (loss, tally) = self.objective.loss(model, items, &batch, x)?;
                Ok(((loss / denominator)?, tally))
            })?;
            total.add(&tally);
            tokens += batch.tokens().len();
        }
        Ok((gradients.flat()?, total, tokens))
    }

    /// The seed of what is dropped in a part of the next update, whichever device computes it.
    fn noise(&self, part: usize) -> u64 {
        let purpose = format!("dropout {} {part}", self.steps());
        Random::new(self.options.seed, &purpose).next()
    }

    /// Gives every model the parameters.
    fn share(&self) -> Result<(), TrainError> {
        for model in &self.models {
            parameters::set_flat(model, &self.parameters)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
