//! One decoder for the architectures `llama` and `qwen2`: token ids in, logits out, keys and values kept.
//!
//! The CPU has kernels of its own (`cpu`) over weights repacked at load; other devices compute with candle's tensors
//! (`tensor`). Both take the same file, adapter and cache calls, and a test holds their logits together.

pub(crate) mod config;
pub(crate) mod cpu;
pub(crate) mod embedding;
pub(crate) mod rope;
pub(crate) mod tensor;
pub(crate) mod weights;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use candle_core::Device;

use crate::cpu::linear::HostLora;
use crate::gguf::{Gguf, GgufError, Quantization};
use crate::kv_cache::KvCache;
use crate::linear::LoraLayer;
use crate::lora::{LoraAdapter, LoraError, Projection};

pub use config::{Architecture, Config};

/// Why a model cannot be loaded or run.
#[derive(Debug, thiserror::Error)]
pub enum DecoderError {
    /// The file cannot be used.
    #[error(transparent)]
    Gguf(#[from] GgufError),
    /// The file holds a model of another architecture.
    #[error(
        "{path} has the architecture {architecture}; llama (Mistral, SmolLM2) and qwen2 are supported: \
         name another model, or run `bigquill model pull`"
    )]
    Architecture {
        /// The file.
        path: PathBuf,
        /// What it says.
        architecture: String,
    },
    /// The file stretches positions in a way that is not computed here.
    #[error("{path} scales its rotary positions ({kind}), which is not supported; use a file without it")]
    RopeScaling {
        /// The file.
        path: PathBuf,
        /// The method.
        kind: String,
    },
    /// The adapter cannot be used with the model.
    #[error(transparent)]
    Lora(#[from] LoraError),
    /// A token id is none of the vocabulary's.
    #[error("token {token} is outside the vocabulary of {vocabulary}")]
    Token {
        /// The id.
        token: u32,
        /// How many there are.
        vocabulary: usize,
    },
    /// More positions than the model has.
    #[error("{positions} positions exceed the model's context of {context}")]
    ContextFull {
        /// Positions asked for.
        positions: usize,
        /// Positions that there are.
        context: usize,
    },
    /// The cache was made by a decoder of another kind.
    #[error("the cache belongs to another decoder")]
    ForeignCache,
    /// The adapter was prepared by a decoder of another kind.
    #[error("the adapter was prepared for another decoder")]
    ForeignAdapter,
    /// There is no memory for the weights.
    #[error("there is no memory for the model: {0}; choose a smaller one, or free some")]
    Memory(#[from] std::io::Error),
    /// The device failed.
    #[error("the device failed: {0}")]
    Device(#[from] candle_core::Error),
}

/// Which logits a forward pass gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Logits {
    /// None: only keys and values are wanted. Saves the output layer, the largest of a small model.
    None,
    /// The last position's, `(vocabulary)`.
    Last,
    /// Every position's, `(tokens, vocabulary)`.
    All,
}

/// Where a decoder computes.
#[derive(Debug, Clone)]
pub enum Placement {
    /// On the CPU with the kernels of this crate.
    Cpu {
        /// Threads that compute, this one included; at least 1.
        threads: usize,
    },
    /// With candle's tensors on a device: CUDA, Metal, or the CPU as a reference.
    Tensors(Device),
}

impl Placement {
    /// Tokens of a prompt that are best run at once: the longest that a cancelled request still computes, which is a
    /// fraction of a second on either.
    #[must_use]
    pub fn prompt_chunk(&self) -> usize {
        match self {
            Self::Cpu { .. } => 64,
            Self::Tensors(_) => 512,
        }
    }
}

/// A loaded model.
#[derive(Debug)]
pub struct Decoder {
    config: Config,
    quantization: Quantization,
    parameters: usize,
    backend: Backend,
}

/// LoRA pairs by layer and projection.
pub(crate) type Pairs<P> = HashMap<(usize, Projection), P>;

/// An adapter as a decoder applies it. Any number of them share one base.
#[derive(Debug, Clone)]
pub struct PreparedAdapter {
    pairs: PreparedPairs,
}

#[derive(Debug, Clone)]
enum PreparedPairs {
    Cpu(Pairs<Arc<HostLora>>),
    Tensor(Pairs<LoraLayer>),
}

#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "a process has one decoder, which never moves"
)]
enum Backend {
    Cpu(cpu::CpuDecoder),
    Tensor(tensor::TensorDecoder),
}

impl Decoder {
    /// Loads a model, with an adapter or without.
    ///
    /// # Errors
    /// Where the file or the adapter cannot be used, or the device has no memory left.
    pub fn load(
        gguf: &Gguf,
        adapter: Option<&LoraAdapter>,
        placement: &Placement,
    ) -> Result<Self, DecoderError> {
        let config = Config::read(gguf)?;
        // Before the weights, for it is quickly told.
        adapter.map(|adapter| adapter.check(&config)).transpose()?;
        let backend = match placement {
            Placement::Cpu { threads } => Backend::Cpu(cpu::CpuDecoder::load(gguf, &config, *threads)?),
            Placement::Tensors(device) => {
                Backend::Tensor(tensor::TensorDecoder::load(gguf, &config, device)?)
            }
        };
        gguf.release();
        let parameters = gguf.tensors().map(|(_, info)| info.elements()).sum();
        let mut decoder = Self {
            config,
            quantization: weights::main_quantization(gguf),
            parameters,
            backend,
        };
        if let Some(adapter) = adapter {
            decoder.apply(Some(&decoder.prepare(adapter)?))?;
        }
        Ok(decoder)
    }

    /// Makes an adapter ready to be applied by this decoder.
    ///
    /// # Errors
    /// Where it does not fit the model, or the device has no memory left.
    pub fn prepare(&self, adapter: &LoraAdapter) -> Result<PreparedAdapter, DecoderError> {
        adapter.check(&self.config)?;
        let pairs = match &self.backend {
            Backend::Cpu(decoder) => PreparedPairs::Cpu(decoder.prepare(adapter)),
            Backend::Tensor(decoder) => PreparedPairs::Tensor(decoder.prepare(adapter)?),
        };
        Ok(PreparedAdapter { pairs })
    }

    /// Applies this adapter from now on, or none. Nothing is computed or copied. A cache that another one filled is of
    /// no use then.
    ///
    /// # Errors
    /// Where a decoder of another kind prepared it.
    pub fn apply(&mut self, adapter: Option<&PreparedAdapter>) -> Result<(), DecoderError> {
        match (&mut self.backend, adapter.map(|adapter| &adapter.pairs)) {
            (Backend::Cpu(decoder), None) => decoder.apply(&Pairs::default()),
            (Backend::Tensor(decoder), None) => decoder.apply(&Pairs::default()),
            (Backend::Cpu(decoder), Some(PreparedPairs::Cpu(pairs))) => decoder.apply(pairs),
            (Backend::Tensor(decoder), Some(PreparedPairs::Tensor(pairs))) => decoder.apply(pairs),
            _ => return Err(DecoderError::ForeignAdapter),
        }
        Ok(())
    }

    /// The model's sizes.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// How its layers are mostly stored.
    #[must_use]
    pub fn quantization(&self) -> Quantization {
        self.quantization
    }

    /// Numbers in the file's tensors.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.parameters
    }

    /// An empty cache.
    ///
    /// # Errors
    /// Where the device has no memory left.
    pub fn cache(&self) -> Result<KvCache, DecoderError> {
        match &self.backend {
            Backend::Cpu(decoder) => Ok(decoder.cache()),
            Backend::Tensor(decoder) => decoder.cache(),
        }
    }

    /// Runs tokens that follow what the cache holds; their keys and values are appended to it.
    ///
    /// A long prompt is better run in chunks: attention scores are held for a whole chunk, and nothing else is done
    /// before it ends.
    ///
    /// # Errors
    /// Where a token is none of the vocabulary's, the context is full, or the device fails. The cache then holds what
    /// it held before.
    pub fn forward(
        &mut self,
        tokens: &[u32],
        cache: &mut KvCache,
        logits: Logits,
    ) -> Result<Vec<f32>, DecoderError> {
        let positions = cache.len() + tokens.len();
        if positions > self.config.context {
            return Err(DecoderError::ContextFull {
                positions,
                context: self.config.context,
            });
        }
        let vocabulary = self.config.vocabulary;
        if let Some(token) = tokens.iter().find(|token| **token as usize >= vocabulary) {
            return Err(DecoderError::Token {
                token: *token,
                vocabulary,
            });
        }
        if tokens.is_empty() {
            return Ok(Vec::new());
        }
        match &mut self.backend {
            Backend::Cpu(decoder) => decoder.forward(tokens, cache, logits),
            Backend::Tensor(decoder) => decoder.forward(tokens, cache, logits),
        }
    }
}
