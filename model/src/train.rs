//! Fine-tuning: LoRA pairs trained on a quantized base (QLoRA, Dettmers et al. 2023) in the order of the data, with
//! everything that decides the result taken from one seed.

mod batch;
mod checkpoint;
pub mod data;
mod dropout;
mod error;
mod evaluate;
mod graph;
mod head;
mod kernels;
mod layer;
mod linear;
mod memory;
mod model;
mod objective;
mod optimizer;
mod parameters;
mod preference;
mod recompute;
mod regression;
mod schedule;
pub mod statistics;
mod trainer;

pub use batch::{Batch, Sequence};
pub use checkpoint::{Best, Checkpoint, Settings, first_difference};
pub use error::TrainError;
pub use evaluate::{Greedy, measure};
pub use memory::{Load, MemoryEstimate, available, peak_memory};
pub use model::LoraModel;
pub use objective::{Completions, Objective, Tally};
pub use parameters::LoraOptions;
pub use preference::{Preferences, reference};
pub use recompute::Activations;
pub use regression::{Regression, predict};
pub use schedule::padding_share;
pub use trainer::{TrainOptions, Trainer, Update};

#[cfg(test)]
mod parity;
#[cfg(test)]
mod tests;
