//! LoRA adapters in PEFT's layout: `adapter_config.json` beside `adapter_model.safetensors`.
//!
//! A module computes `y = W·x + s·B·A·x` with A `(rank, in)`, B `(out, rank)` and s = alpha / rank, or
//! alpha / sqrt(rank) with rank-stabilised LoRA (Hu et al. 2021, Kalajdzievski 2023). Adapters are applied unmerged:
//! the base stays quantized as it is, and without an adapter the answer is the base's.

mod config;
mod embedded;
mod merge;
mod stamp;
mod write;

use std::collections::BTreeMap;
use std::path::Path;

use half::{bf16, f16};
use safetensors::{Dtype, SafeTensors};
use sha2::{Digest, Sha256};

use crate::decoder::{Architecture, Config};

pub use config::LoraConfig;
pub use embedded::{EmbeddedAdapter, embedded_adapters};
pub use merge::{MergeError, merge};
pub use stamp::AdapterStamp;
pub use write::write_atomically;

/// The files of a PEFT folder.
const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";

/// Largest file that is read: a rank of 256 over all of a 7B model in 32 bits is about 2.7 GB.
const MAX_BYTES: u64 = 4 << 30;

/// Why an adapter cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LoraError {
    /// A file of the adapter is missing or cannot be read.
    #[error(
        "the adapter file {path} cannot be read: {reason}; name a folder with adapter_config.json and adapter_model.safetensors"
    )]
    Read {
        /// The file.
        path: String,
        /// What the system says.
        reason: String,
    },
    /// The configuration or the weights are damaged.
    #[error("the adapter is damaged: {0}")]
    Malformed(String),
    /// The adapter uses a form of LoRA that is not computed here.
    #[error("the adapter uses {0}, which is not supported; train it as plain LoRA on the linear layers")]
    Unsupported(String),
    /// The adapter cannot be stored.
    #[error("the adapter cannot be written to {path}: {reason}; free some space, or name another folder")]
    Write {
        /// The file or folder.
        path: String,
        /// What the system says.
        reason: String,
    },
    /// The adapter was made for another model.
    #[error("the adapter does not fit the model: {0}; name the adapter's own base model, or no adapter")]
    Foreign(String),
}

/// The seven linear layers of a transformer block that an adapter can change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Projection {
    /// Queries.
    Query,
    /// Keys.
    Key,
    /// Values.
    Value,
    /// The attention's output.
    Output,
    /// The feed-forward gate.
    Gate,
    /// The feed-forward input.
    Up,
    /// The feed-forward output.
    Down,
}

/// The pair of one module.
#[derive(Debug, Clone, PartialEq)]
pub struct LoraWeights {
    /// Rows of A, columns of B.
    pub rank: usize,
    /// A, `(rank, in)`, row after row.
    pub a: Vec<f32>,
    /// B, `(out, rank)`, row after row, in the checkpoint's order of rows.
    pub b: Vec<f32>,
    /// What B·A·x is multiplied with.
    pub scale: f32,
}

/// An adapter: its modules by layer and projection.
#[derive(Debug, Clone, PartialEq)]
pub struct LoraAdapter {
    /// What people call it: the folder's name, or the embedded one's.
    pub name: String,
    /// SHA-256 of the weights, so that caches of different adapters are never mixed.
    pub fingerprint: [u8; 32],
    modules: BTreeMap<(usize, Projection), LoraWeights>,
}

impl Projection {
    /// All seven.
    pub const ALL: [Self; 7] = [
        Self::Query,
        Self::Key,
        Self::Value,
        Self::Output,
        Self::Gate,
        Self::Up,
        Self::Down,
    ];

    /// The module's name in a PEFT file, below the layer.
    #[must_use]
    pub fn module(self) -> &'static str {
        match self {
            Self::Query => "self_attn.q_proj",
            Self::Key => "self_attn.k_proj",
            Self::Value => "self_attn.v_proj",
            Self::Output => "self_attn.o_proj",
            Self::Gate => "mlp.gate_proj",
            Self::Up => "mlp.up_proj",
            Self::Down => "mlp.down_proj",
        }
    }

    /// The tensor's name in a GGUF file, below the block.
    #[must_use]
    pub fn tensor(self) -> &'static str {
        match self {
            Self::Query => "attn_q",
            Self::Key => "attn_k",
            Self::Value => "attn_v",
            Self::Output => "attn_output",
            Self::Gate => "ffn_gate",
            Self::Up => "ffn_up",
            Self::Down => "ffn_down",
        }
    }

    /// Rows and row length of its weight, `(out, in)`.
    #[must_use]
    pub fn shape(self, config: &Config) -> (usize, usize) {
        match self {
            Self::Query => (config.query_width(), config.hidden),
            Self::Key | Self::Value => (config.kv_width(), config.hidden),
            Self::Output => (config.hidden, config.query_width()),
            Self::Gate | Self::Up => (config.feed_forward, config.hidden),
            Self::Down => (config.hidden, config.feed_forward),
        }
    }
}

impl LoraAdapter {
    /// Reads a PEFT folder.
    ///
    /// # Errors
    /// Where a file is missing, damaged, or uses another form than plain LoRA on the seven linear layers.
    pub fn read(folder: &Path) -> Result<Self, LoraError> {
        let config = read_file(&folder.join(CONFIG))?;
        let weights = read_file(&folder.join(WEIGHTS))?;
        let name = folder
            .file_name()
            .map_or_else(|| folder.display().to_string(), |n| n.display().to_string());
        Self::parse(name, &config, &weights)
    }

    /// Reads the two files' contents.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn parse(name: String, config: &[u8], weights: &[u8]) -> Result<Self, LoraError> {
        let config = LoraConfig::parse(config)?;
        let tensors = SafeTensors::deserialize(weights)
            .map_err(|error| LoraError::Malformed(format!("adapter_model.safetensors: {error}")))?;
        let mut halves: BTreeMap<(usize, Projection), Halves> = BTreeMap::new();
        for (key, view) in tensors.tensors() {
            let (layer, projection, half) = parse_key(&key).ok_or_else(|| {
                LoraError::Unsupported(format!(
                    "the tensor {key}, which is no LoRA pair of a linear layer"
                ))
            })?;
            let matrix = Matrix::read(&key, &view)?;
            let pair = halves.entry((layer, projection)).or_default();
            match half {
                Half::A => pair.a = Some(matrix),
                Half::B => pair.b = Some(matrix),
            }
        }
        let mut modules = BTreeMap::new();
        for ((layer, projection), pair) in halves {
            modules.insert((layer, projection), pair.join(&config, layer, projection)?);
        }
        if modules.is_empty() {
            return Err(LoraError::Malformed("it has no weights".to_owned()));
        }
        Ok(Self {
            name,
            fingerprint: Sha256::digest(weights).into(),
            modules,
        })
    }

    /// The pair of one module, where the adapter changes it.
    #[must_use]
    pub fn module(&self, layer: usize, projection: Projection) -> Option<&LoraWeights> {
        self.modules.get(&(layer, projection))
    }

    /// The modules that the adapter changes, by layer and projection.
    pub fn modules(&self) -> impl Iterator<Item = (usize, Projection, &LoraWeights)> {
        self.modules
            .iter()
            .map(|((layer, projection), weights)| (*layer, *projection, weights))
    }

    /// The pair of one module with B's rows in the order of the GGUF weight's rows.
    ///
    /// GGUF's `llama` stores q and k so that a rotary pair stands side by side; PEFT keeps the checkpoint's order, half
    /// a head apart. Skipping this gives answers that look plausible and are wrong.
    #[must_use]
    pub fn module_for(&self, config: &Config, layer: usize, projection: Projection) -> Option<LoraWeights> {
        let mut weights = self.module(layer, projection)?.clone();
        let permuted = matches!(projection, Projection::Query | Projection::Key);
        if permuted && config.architecture == Architecture::Llama {
            weights.b = interleave_rows(&weights.b, weights.rank, config.head_dim);
        }
        Some(weights)
    }

    /// Checks that every module exists in the model, with the adapter's shapes.
    ///
    /// # Errors
    /// Where one does not.
    pub fn check(&self, config: &Config) -> Result<(), LoraError> {
        for ((layer, projection), weights) in &self.modules {
            let (rows, columns) = projection.shape(config);
            let found = (weights.b.len() / weights.rank, weights.a.len() / weights.rank);
            let module = projection.module();
            if *layer >= config.layers {
                let what = format!("it changes layer {layer} and the model has {}", config.layers);
                return Err(LoraError::Foreign(what));
            }
            if found != (rows, columns) {
                let what = format!(
                    "its {module} is {found:?} where the model's is {:?}",
                    (rows, columns)
                );
                return Err(LoraError::Foreign(what));
            }
        }
        Ok(())
    }
}

/// Reorders rows `[head][half][pair]` to `[head][pair][half]`, as llama.cpp's converter does with q and k.
fn interleave_rows(rows: &[f32], width: usize, head_dim: usize) -> Vec<f32> {
    let half = head_dim / 2;
    let mut out = Vec::with_capacity(rows.len());
    for head in rows.chunks_exact(head_dim * width) {
        for pair in 0..half {
            out.extend_from_slice(&head[pair * width..(pair + 1) * width]);
            out.extend_from_slice(&head[(half + pair) * width..(half + pair + 1) * width]);
        }
    }
    out
}

enum Half {
    A,
    B,
}

/// `base_model.model.model.layers.{layer}.{module}.lora_{A|B}.weight`
fn parse_key(key: &str) -> Option<(usize, Projection, Half)> {
    let rest = key.strip_prefix("base_model.model.model.layers.")?;
    let (layer, rest) = rest.split_once('.')?;
    let (module, half) = match rest.strip_suffix(".lora_A.weight") {
        Some(module) => (module, Half::A),
        None => (rest.strip_suffix(".lora_B.weight")?, Half::B),
    };
    let projection = Projection::ALL
        .into_iter()
        .find(|projection| projection.module() == module)?;
    Some((layer.parse().ok()?, projection, half))
}

#[derive(Default)]
struct Halves {
    a: Option<Matrix>,
    b: Option<Matrix>,
}

impl Halves {
    fn join(
        self,
        config: &LoraConfig,
        layer: usize,
        projection: Projection,
    ) -> Result<LoraWeights, LoraError> {
        let module = format!("model.layers.{layer}.{}", projection.module());
        let (Some(a), Some(b)) = (self.a, self.b) else {
            return Err(LoraError::Malformed(format!(
                "{module} has only one half of its pair"
            )));
        };
        if !config.targets(&module) {
            return Err(LoraError::Malformed(format!(
                "{module} has weights and is none of its target_modules"
            )));
        }
        let (rank, scale) = config.rank_and_scale(&module);
        if a.rows != rank || b.columns != rank {
            let what = format!("{module} has rank {} where its configuration says {rank}", a.rows);
            return Err(LoraError::Malformed(what));
        }
        Ok(LoraWeights {
            rank,
            a: a.values,
            b: b.values,
            scale,
        })
    }
}

struct Matrix {
    rows: usize,
    columns: usize,
    values: Vec<f32>,
}

impl Matrix {
    fn read(key: &str, view: &safetensors::tensor::TensorView<'_>) -> Result<Self, LoraError> {
        let &[rows, columns] = view.shape() else {
            return Err(LoraError::Malformed(format!("{key} is no matrix")));
        };
        let data = view.data();
        let values: Vec<f32> = match view.dtype() {
            Dtype::F32 => data
                .as_chunks::<4>()
                .0
                .iter()
                .map(|bytes| f32::from_le_bytes(*bytes))
                .collect(),
            Dtype::F16 => data
                .as_chunks::<2>()
                .0
                .iter()
                .map(|b| f16::from_le_bytes(*b).to_f32())
                .collect(),
            Dtype::BF16 => data
                .as_chunks::<2>()
                .0
                .iter()
                .map(|b| bf16::from_le_bytes(*b).to_f32())
                .collect(),
            other => {
                return Err(LoraError::Unsupported(format!(
                    "numbers of type {other:?} ({key})"
                )));
            }
        };
        // Half precision holds them on the way to the kernels.
        if values
            .iter()
            .any(|value| !value.is_finite() || value.abs() > f16::MAX.to_f32())
        {
            return Err(LoraError::Malformed(format!(
                "{key} holds numbers that are not finite or too large"
            )));
        }
        Ok(Self {
            rows,
            columns,
            values,
        })
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>, LoraError> {
    let failed = |reason: String| LoraError::Read {
        path: path.display().to_string(),
        reason,
    };
    let size = std::fs::metadata(path)
        .map_err(|error| failed(error.to_string()))?
        .len();
    if size > MAX_BYTES {
        return Err(failed(format!("it has {size} bytes, more than any adapter")));
    }
    std::fs::read(path).map_err(|error| failed(error.to_string()))
}
