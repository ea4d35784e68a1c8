//! The flags of `finetune train`.

use std::path::PathBuf;

use bigquill_model::train::TrainOptions;
use clap::{Args, ValueEnum};

use crate::answers::ANSWER_TOKENS;
use crate::examples::LearnedArgs;
use crate::hyper::HyperArgs;
use crate::session::RunArgs;

/// Which epoch's adapter is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Keep {
    /// Whose answers to held-out examples are exact most often, then pass the check most often, then have the least loss
    Generation,
    /// Whose held-out loss is least
    Loss,
    /// The last one
    Last,
}

/// Train an adapter; the base stays quantized as it is
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    finetune train --model base.gguf --data accepted.jsonl --out adapters/team --plan\n  \
    finetune train --model base.gguf --data accepted.jsonl --eval-share 0.1 --out adapters/team\n  \
    finetune train --model base.gguf --data accepted.jsonl --eval-share 0.1 --out adapters/team --resume\n  \
    finetune train --model base.gguf --data train/*.jsonl.gz --catalogs catalogs --eval-data dev/spider.jsonl.gz \\\n    \
    --out adapters/sql --batch 64 --epochs 3 --dashboard runs\n  \
    finetune train --model base.gguf --data edits.jsonl --preference --init adapters/team --out adapters/team-2")]
pub(crate) struct TrainArgs {
    /// The base model, a .gguf file or a name of `bigquill model list`; it is not changed
    #[arg(long, value_name = "MODEL")]
    pub(crate) model: PathBuf,
    #[command(flatten)]
    pub(crate) learned: LearnedArgs,
    /// The epoch that is kept, by what held-out data show [default: generation where completions are held out, loss where
    /// preferences are, else last]
    #[arg(long, value_enum, value_name = "BY")]
    pub(crate) keep_best: Option<Keep>,
    /// Held-out examples that are answered after each epoch, evenly over the data
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub(crate) eval_answers: usize,
    /// Longest of these answers in tokens
    #[arg(long, value_name = "TOKENS", default_value_t = ANSWER_TOKENS)]
    pub(crate) answer_tokens: usize,
    /// Begin with this adapter instead of a new one; its rank and targets must be those given
    #[arg(long, value_name = "DIR")]
    pub(crate) init: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) hyper: HyperArgs,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

impl TrainArgs {
    /// How it is trained, for a model of so many parameters.
    pub(crate) fn options(&self, parameters: usize) -> TrainOptions {
        TrainOptions {
            activations: self.run.activations(),
            ..self.hyper.options(parameters, self.learned.preference)
        }
    }
}
