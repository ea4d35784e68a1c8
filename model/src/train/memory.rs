//! How much memory a training takes, estimated before anything is loaded.

use std::fmt;

use candle_core::Device;

use crate::decoder::Config;
use crate::gguf::Gguf;
use crate::lora::Projection;

use super::head::MOST_LOGITS;
use super::kernels::{self, MOST_SCORES};
use super::parameters::LoraOptions;
use super::recompute::Activations;

const GIB: f64 = 1024.0 * 1024.0 * 1024.0;
/// Numbers of the pairs that exist at once besides themselves: all as one vector, their gradient, two moments.
const PAIRS: f64 = 5.0;
/// The same while the optimizer runs, when there are no activations.
const OPTIMIZER: f64 = 10.0;
/// Score matrices that live at once on a device, and in tensor operations.
const SCORES: [f64; 2] = [3.0, 5.0];
/// Feed-forward activations that live at once in the backward pass on a device, and in tensor operations.
const FEED_FORWARD: [f64; 2] = [5.0, 8.0];
/// A CUDA context with its libraries and the allocator's slack, measured on an H200.
const DEVICE: f64 = 0.9 * GIB;
/// The process and the allocator's slack on the CPU.
const PROCESS: f64 = 0.25 * GIB;

/// Bytes by what they are for. An upper bound: on an H200 it was 6 to 12 % over what was measured with Mistral-7B's shape,
/// and up to a quarter over with small models.
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
        let plain = usize::from(load.cpu);
        let (hidden, layers) = (config.hidden as f64, config.layers as f64);
        let (kv, feed_forward) = (config.kv_width() as f64, config.feed_forward as f64);
        let largest = Projection::ALL
            .iter()
            .map(|projection| projection.shape(config))
            .map(|(rows, columns)| rows * columns)
            .max()
            .unwrap_or(0) as f64;
        let parameters: usize = options
            .targets
            .iter()
            .map(|projection| projection.shape(config))
            .map(|(rows, columns)| options.rank * (rows + columns))
            .sum();
        let pairs = 4.0 * parameters as f64 * layers;
        let positions = (load.sequences * load.tokens) as f64;
        let kept = match load.activations {
            Activations::Recomputed => layers * hidden,
            Activations::Kept => layers * (6.0 * hidden + 2.0 * kv + 3.0 * feed_forward),
        };
        let live = 7.0 * hidden + 2.0 * kv + FEED_FORWARD[plain] * feed_forward;
        let of_one = config.heads as f64 * (load.tokens as f64).powi(2);
        let scores = if load.cpu {
            of_one
        } else {
            (of_one * load.sequences as f64).min(of_one.max(MOST_SCORES as f64))
        };
        let activations = bytes * (positions * (kept + live) + SCORES[plain] * scores);
        let logits = 3.0 * 4.0 * MOST_LOGITS.min(load.learned * config.vocabulary) as f64;
        let output = bytes * config.vocabulary as f64 * hidden;
        let stored: usize = gguf
            .tensors()
            // The CPU reads the embedding from the file, row by row.
            .filter(|(name, _)| !load.cpu || *name != "token_embd.weight")
            .map(|(_, info)| info.quantization.row_bytes(info.elements()))
            .sum();
        Self {
            base: stored as f64,
            pairs: PAIRS * pairs,
            // After the backward pass the optimizer takes its place.
            activations: activations.max((OPTIMIZER - PAIRS) * pairs),
            working: (output + logits).max((bytes + 4.0 * plain as f64) * largest)
                + if load.cpu { PROCESS } else { DEVICE },
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

/// The memory that a device can still give, where it tells; for the CPU the less of what is free and of the control
/// group's limit.
#[must_use]
pub fn available(device: &Device) -> Option<f64> {
    if device.is_cpu() {
        return system();
    }
    kernels::of(device).free_memory(device)
}

/// The most memory that this process held on a device so far, in bytes, where it tells; the CPU's is the system's to tell.
#[must_use]
pub fn peak_memory(device: &Device) -> Option<f64> {
    kernels::of(device).peak_memory(device)
}

fn system() -> Option<f64> {
    let meminfo = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = meminfo.lines().find(|line| line.starts_with("MemAvailable:"))?;
    let kilobytes: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    let limit = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let limit: Option<f64> = limit.and_then(|text| text.trim().parse().ok());
    let free = kilobytes * 1024.0;
    Some(limit.map_or(free, |limit| free.min(limit)))
}
