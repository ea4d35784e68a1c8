//! How much memory a training takes, estimated before anything is loaded.

use std::fmt;

use crate::decoder::Config;
use crate::gguf::Gguf;
use crate::lora::Projection;

use super::parameters::LoraOptions;
use super::recompute::Activations;

const GIB: f64 = 1024.0 * 1024.0 * 1024.0;
/// Activations of one layer that live at once, over those that its operations name: gradients and intermediate results.
const LIVE: f64 = 2.2;
/// Score matrices of one head that live at once.
const SCORES: f64 = 5.0;
/// The most logits that exist at once.
const LOGITS: usize = 1 << 24;
/// Bytes of a logit in F32 with its probability and gradients.
const LOGIT_BYTES: f64 = 5.0 * 4.0;
/// A CUDA context, its allocator's slack and the optimizer's temporaries, measured on an H100.
const DEVICE: f64 = 1.0 * GIB;

/// Bytes by what they are for. An upper bound: it was between 2 % under and 10 % over on an H100.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MemoryEstimate {
    /// The base's weights as they are stored.
    pub base: f64,
    /// Pairs, their gradients and the optimizer's moments.
    pub pairs: f64,
    /// Activations of the sequences that are computed at once.
    pub activations: f64,
    /// Dequantized matrices, logits, the device's own needs.
    pub working: f64,
}

/// What is computed at once.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Sequences.
    pub sequences: usize,
    /// Tokens of the longest.
    pub tokens: usize,
    /// Tokens that are learned, of all of them.
    pub learned: usize,
    /// Whether it is the CPU that computes.
    pub cpu: bool,
    /// Whether activations are kept.
    pub activations: Activations,
}

impl MemoryEstimate {
    /// The estimate for a base and what is trained of it.
    #[must_use]
    pub fn new(gguf: &Gguf, config: &Config, options: &LoraOptions, load: &Load) -> Self {
        let bytes = if load.cpu { 4.0 } else { 2.0 };
        let (hidden, layers) = (config.hidden as f64, config.layers as f64);
        let largest = Projection::ALL
            .iter()
            .map(|projection| projection.shape(config))
            .map(|(rows, columns)| rows * columns)
            .max()
            .unwrap_or(0);
        let parameters: usize = options
            .targets
            .iter()
            .map(|projection| projection.shape(config))
            .map(|(rows, columns)| options.rank * (rows + columns))
            .sum();
        let positions = (load.sequences * load.tokens) as f64;
        let widths = 8.0 * hidden + 3.0 * config.kv_width() as f64 + 3.0 * config.feed_forward as f64;
        let live = match load.activations {
            Activations::Recomputed => layers * hidden + LIVE * widths,
            Activations::Kept => layers * widths + LIVE * widths,
        };
        let scores = SCORES * config.heads as f64 * (load.tokens as f64).powi(2);
        let output = config.vocabulary as f64 * hidden;
        let stored: usize = gguf
            .tensors()
            .filter(|(name, _)| *name != "token_embd.weight")
            .map(|(_, info)| info.quantization.row_bytes(info.elements()))
            .sum();
        Self {
            base: stored as f64,
            // Weight, gradient twice while it is gathered, two moments and the optimizer's temporaries.
            pairs: 8.0 * 4.0 * parameters as f64 * layers,
            activations: bytes * (positions * live + scores),
            working: 4.0 * output
                + (4.0 + bytes) * largest as f64
                + LOGIT_BYTES * LOGITS.min(load.learned * config.vocabulary) as f64
                + if load.cpu { 0.25 * GIB } else { DEVICE },
        }
    }

    /// With a serving decoder of the same base beside it.
    #[must_use]
    pub fn with_decoder(mut self) -> Self {
        self.base *= 2.0;
        self
    }

    /// All together.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.base + self.pairs + self.activations + self.working
    }
}

impl fmt::Display for MemoryEstimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.1} GiB (base {:.1}, adapter and optimizer {:.1}, activations {:.1}, working space {:.1})",
            self.total() / GIB,
            self.base / GIB,
            self.pairs / GIB,
            self.activations / GIB,
            self.working / GIB
        )
    }
}

/// The memory that the system can still give, where it tells: the less of what is free and of the control group's limit.
#[must_use]
pub fn available() -> Option<f64> {
    let meminfo = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = meminfo.lines().find(|line| line.starts_with("MemAvailable:"))?;
    let kilobytes: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    let limit = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let limit: Option<f64> = limit.and_then(|text| text.trim().parse().ok());
    let free = kilobytes * 1024.0;
    Some(limit.map_or(free, |limit| free.min(limit)))
}
