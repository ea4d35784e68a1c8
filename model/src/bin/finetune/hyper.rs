//! What decides how an adapter is trained, and what stands for flags that were not given.

use anyhow::{bail, ensure};
use bigquill_model::lora::Projection;
use bigquill_model::train::{Activations, LoraOptions, TrainOptions};
use clap::Args;

/// Parameters from which a model is trained more gently.
const LARGE: usize = 3_000_000_000;
/// Parameters up to which it takes larger steps.
const SMALL: usize = 300_000_000;

#[derive(Debug, Clone, Args)]
pub(crate) struct HyperArgs {
    /// How often every example is seen
    #[arg(long, default_value_t = 3)]
    pub(crate) epochs: usize,
    /// Rank of the adapter
    #[arg(long, default_value_t = 16)]
    pub(crate) rank: usize,
    /// The adapter is scaled with alpha / rank [default: twice the rank]
    #[arg(long)]
    pub(crate) alpha: Option<f64>,
    /// Share of the numbers entering the adapter that are dropped in training, for little data
    #[arg(long, default_value_t = 0.0, value_name = "SHARE")]
    pub(crate) dropout: f64,
    /// Linear layers that are trained [default: all seven]
    #[arg(long, num_args = 1.., value_name = "MODULE")]
    pub(crate) targets: Vec<String>,
    /// Examples of an update
    #[arg(long, default_value_t = 16)]
    pub(crate) batch: usize,
    /// Examples that a device computes at once: less takes less memory
    #[arg(long, default_value_t = 4)]
    pub(crate) micro_batch: usize,
    /// Highest learning rate [default: 5e-4 up to 0.3 B parameters, 2e-4 from 3 B on, else 4e-4; a tenth for --preference]
    #[arg(long)]
    pub(crate) learning_rate: Option<f64>,
    /// Share of the updates in which the learning rate rises; then it falls along a cosine
    #[arg(long, default_value_t = 0.03)]
    pub(crate) warmup: f64,
    /// Weight decay of AdamW
    #[arg(long, default_value_t = 0.0)]
    pub(crate) weight_decay: f64,
    /// Longest gradient that is taken as it is [default: 0.3 from 3 B parameters on, else 1]
    #[arg(long)]
    pub(crate) clip: Option<f64>,
    /// Decides the adapter's first numbers, the order of the data and what is dropped
    #[arg(long, default_value_t = 42)]
    pub(crate) seed: u64,
}

impl HyperArgs {
    /// What is trained.
    pub(crate) fn lora(&self) -> anyhow::Result<LoraOptions> {
        ensure!(
            (1..=1024).contains(&self.rank),
            "--rank {} is impossible; 8 to 64 are usual",
            self.rank
        );
        let alpha = self.alpha.unwrap_or(2.0 * self.rank as f64);
        ensure!(alpha.is_finite() && alpha > 0.0, "--alpha must be above 0");
        ensure!(
            (0.0..0.95).contains(&self.dropout),
            "--dropout is a share below 0.95; 0.05 is usual where data is scarce"
        );
        Ok(LoraOptions {
            rank: self.rank,
            alpha,
            targets: self.projections()?,
            dropout: self.dropout,
            seed: self.seed,
        })
    }

    fn projections(&self) -> anyhow::Result<Vec<Projection>> {
        if self.targets.is_empty() {
            return Ok(Projection::ALL.to_vec());
        }
        let mut targets = Vec::new();
        for name in &self.targets {
            let named = |projection: &Projection| projection.module().rsplit('.').next() == Some(name);
            let Some(projection) = Projection::ALL.into_iter().find(named) else {
                bail!(
                    "there is no module {name}; choose of q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj"
                );
            };
            targets.push(projection);
        }
        targets.sort();
        targets.dedup();
        Ok(targets)
    }

    /// How a model of so many parameters is trained. `preference` learns more gently.
    pub(crate) fn options(&self, parameters: usize, preference: bool) -> TrainOptions {
        let usual = match parameters {
            LARGE.. => 2e-4,
            SMALL.. => 4e-4,
            _ => 5e-4,
        };
        let usual = if preference { usual / 10.0 } else { usual };
        TrainOptions {
            epochs: self.epochs.max(1),
            batch: self.batch.max(1),
            micro_batch: self.micro_batch.clamp(1, self.batch.max(1)),
            learning_rate: self.learning_rate.unwrap_or(usual),
            warmup: self.warmup.clamp(0.0, 1.0),
            weight_decay: self.weight_decay,
            clip: self.clip.unwrap_or(if parameters >= LARGE { 0.3 } else { 1.0 }),
            seed: self.seed,
            activations: Activations::Recomputed,
        }
    }
}

/// PEFT's names of modules.
pub(crate) fn names(targets: &[Projection]) -> Vec<&'static str> {
    let last = |projection: &Projection| projection.module().rsplit('.').next().unwrap_or_default();
    targets.iter().map(last).collect()
}
