//! The flags of `finetune train`, and what stands for those that were not given.

use std::path::PathBuf;

use anyhow::{bail, ensure};
use bigquill_model::lora::Projection;
use bigquill_model::train::{Activations, LoraOptions, TrainOptions};
use clap::Args;

use crate::examples::DataArgs;

/// Parameters from which a model is trained more gently.
const LARGE: usize = 3_000_000_000;
/// Parameters up to which it takes larger steps.
const SMALL: usize = 300_000_000;

/// Train an adapter; the base stays quantized as it is
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    finetune train --model base.gguf --data accepted.jsonl --out adapters/team --plan\n  \
    finetune train --model base.gguf --data accepted.jsonl --out adapters/team\n  \
    finetune train --model base.gguf --data accepted.jsonl --out adapters/team --resume\n  \
    finetune train --model base.gguf --data train/*.jsonl.gz --catalogs catalogs --eval-data dev/spider.jsonl.gz \\\n    \
    --out adapters/sql --batch 64 --epochs 3\n  \
    finetune train --model base.gguf --data edits.jsonl --preference --init adapters/team --out adapters/team-2")]
pub(crate) struct TrainArgs {
    /// The base model; it is not changed
    #[arg(long, value_name = "FILE.gguf")]
    pub(crate) model: PathBuf,
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// Examples that are measured after each epoch and not learned from
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(crate) eval_data: Vec<PathBuf>,
    /// Hold out so large a share of the examples for that instead, none of whose tables is learned
    #[arg(
        long,
        value_name = "SHARE",
        default_value_t = 0.0,
        conflicts_with = "eval_data"
    )]
    pub(crate) eval_share: f64,
    /// The adapter's folder; its name is the adapter's
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Say what would be done and how much memory it takes, and stop
    #[arg(long)]
    pub(crate) plan: bool,
    /// Go on with a run that was cut
    #[arg(long, conflicts_with = "overwrite")]
    pub(crate) resume: bool,
    /// Replace what the folder holds
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Begin with this adapter instead of a new one; its rank and targets must be those given
    #[arg(long, value_name = "DIR")]
    pub(crate) init: Option<PathBuf>,
    /// Learn to prefer chosen answers to rejected ones (DPO), measured against the model as it is at the start
    #[arg(long)]
    pub(crate) preference: bool,
    /// How closely preferences keep to the model as it was
    #[arg(long, default_value_t = 0.1, requires = "preference")]
    pub(crate) beta: f64,
    /// How often every example is seen
    #[arg(long, default_value_t = 3)]
    pub(crate) epochs: usize,
    /// Rank of the adapter
    #[arg(long, default_value_t = 16)]
    pub(crate) rank: usize,
    /// The adapter is scaled with alpha / rank [default: twice the rank]
    #[arg(long)]
    pub(crate) alpha: Option<f64>,
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
    /// Decides the adapter's first numbers and the order of the data
    #[arg(long, default_value_t = 42)]
    pub(crate) seed: u64,
    /// Updates between two checkpoints
    #[arg(long, default_value_t = 50, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) checkpoint_every: u64,
    /// Keep all activations instead of computing them again: a third faster, many times the memory
    #[arg(long)]
    pub(crate) keep_activations: bool,
    /// Where it computes: cpu, cuda, cuda:1, metal; given several times, the work is shared
    #[arg(long, default_value = "cpu", value_name = "DEVICE", num_args = 1..)]
    pub(crate) device: Vec<String>,
}

impl TrainArgs {
    /// What is trained.
    pub(crate) fn lora(&self) -> anyhow::Result<LoraOptions> {
        ensure!(
            (1..=1024).contains(&self.rank),
            "--rank {} is impossible; 8 to 64 are usual",
            self.rank
        );
        ensure!(
            (0.0..1.0).contains(&self.eval_share),
            "--eval-share is a share below 1, such as 0.1"
        );
        let alpha = self.alpha.unwrap_or(2.0 * self.rank as f64);
        ensure!(alpha.is_finite() && alpha > 0.0, "--alpha must be above 0");
        Ok(LoraOptions {
            rank: self.rank,
            alpha,
            targets: self.projections()?,
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

    /// How it is trained, for a model of so many parameters.
    pub(crate) fn options(&self, parameters: usize) -> TrainOptions {
        let usual = match parameters {
            LARGE.. => 2e-4,
            SMALL.. => 4e-4,
            _ => 5e-4,
        };
        let usual = if self.preference { usual / 10.0 } else { usual };
        TrainOptions {
            epochs: self.epochs.max(1),
            batch: self.batch.max(1),
            micro_batch: self.micro_batch.clamp(1, self.batch.max(1)),
            learning_rate: self.learning_rate.unwrap_or(usual),
            warmup: self.warmup.clamp(0.0, 1.0),
            weight_decay: self.weight_decay,
            clip: self.clip.unwrap_or(if parameters >= LARGE { 0.3 } else { 1.0 }),
            seed: self.seed,
            activations: if self.keep_activations {
                Activations::Kept
            } else {
                Activations::Recomputed
            },
        }
    }
}
