//! What a model is: its architecture and sizes, read from GGUF metadata and checked against each other.

use crate::gguf::{Gguf, GgufError};

use super::DecoderError;

/// The architectures that are decoded, by GGUF's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Architecture {
    /// Llama, Mistral, SmolLM2: rotary pairs stand side by side, because GGUF permutes the rows of q and k.
    Llama,
    /// Qwen2 and Qwen2.5: biases on q, k and v; a rotary pair is half a head apart, rows as in the checkpoint.
    Qwen2,
}

/// A model's sizes, in the checkpoints' words.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The architecture.
    pub architecture: Architecture,
    /// What the file calls itself (`general.name`), for people and for finding the adapter's base.
    pub name: String,
    /// Layers.
    pub layers: usize,
    /// Width of the residual stream.
    pub hidden: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; query heads are a multiple.
    pub kv_heads: usize,
    /// Width of a head; even.
    pub head_dim: usize,
    /// Width of the feed-forward layer.
    pub feed_forward: usize,
    /// Tokens in the vocabulary.
    pub vocabulary: usize,
    /// Most positions.
    pub context: usize,
    /// Base of the rotary frequencies.
    pub rope_base: f64,
    /// Added to the mean square in a norm.
    pub norm_epsilon: f64,
}

/// Sizes above these are no model but a damaged file.
const MAX_SIZE: usize = 1 << 20;
const MAX_LAYERS: usize = 1024;

impl Architecture {
    /// GGUF's name, which is also the prefix of its metadata keys.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Llama => "llama",
            Self::Qwen2 => "qwen2",
        }
    }

    /// The architecture of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Llama, Self::Qwen2]
            .into_iter()
            .find(|architecture| architecture.name() == name)
    }
}

impl Config {
    /// Reads the sizes.
    ///
    /// # Errors
    /// Where the architecture is not one of ours, a key is missing, or the sizes contradict each other.
    pub fn read(gguf: &Gguf) -> Result<Self, DecoderError> {
        let name = gguf.string("general.architecture")?;
        let architecture = Architecture::from_name(name).ok_or_else(|| DecoderError::Architecture {
            path: gguf.path().to_owned(),
            architecture: name.to_owned(),
        })?;
        refuse_other_rope(gguf, architecture)?;
        let size = |key: &str| gguf.unsigned(&format!("{}.{key}", architecture.name()));
        let number = |key: &str| gguf.float(&format!("{}.{key}", architecture.name()));
        let heads = size("attention.head_count")?;
        let hidden = size("embedding_length")?;
        let embedding = gguf
            .find("token_embd.weight")
            .ok_or_else(|| GgufError::MissingTensor {
                path: gguf.path().to_owned(),
                tensor: "token_embd.weight".to_owned(),
            })?;
        let config = Self {
            architecture,
            name: gguf.string("general.name").unwrap_or_default().to_owned(),
            layers: size("block_count")?,
            hidden,
            heads,
            kv_heads: size("attention.head_count_kv").unwrap_or(heads),
            head_dim: size("attention.key_length").unwrap_or(hidden / heads.max(1)),
            feed_forward: size("feed_forward_length")?,
            vocabulary: embedding.shape.first().copied().unwrap_or(0),
            context: size("context_length")?,
            rope_base: number("rope.freq_base").unwrap_or(10_000.0),
            norm_epsilon: number("attention.layer_norm_rms_epsilon")?,
        };
        match config.contradiction(gguf) {
            None => Ok(config),
            Some(what) => Err(GgufError::Malformed {
                path: gguf.path().to_owned(),
                what,
            }
            .into()),
        }
    }

    /// Width of all key heads together.
    #[must_use]
    pub fn kv_width(&self) -> usize {
        self.kv_heads * self.head_dim
    }

    /// Width of all query heads together.
    #[must_use]
    pub fn query_width(&self) -> usize {
        self.heads * self.head_dim
    }

    /// What cannot be, where the sizes do not fit together.
    fn contradiction(&self, gguf: &Gguf) -> Option<String> {
        let sizes = [
            self.hidden,
            self.heads,
            self.kv_heads,
            self.head_dim,
            self.feed_forward,
            self.vocabulary,
        ];
        let key = |key: &str| gguf.unsigned(&format!("{}.{key}", self.architecture.name()));
        let rotated = key("rope.dimension_count").unwrap_or(self.head_dim);
        if sizes.iter().any(|size| !(1..=MAX_SIZE).contains(size)) || !(1..=MAX_LAYERS).contains(&self.layers)
        {
            Some("its sizes are impossible".to_owned())
        } else if !self.heads.is_multiple_of(self.kv_heads) {
            Some(format!(
                "{} query heads do not share {} key heads evenly",
                self.heads, self.kv_heads
            ))
        } else if !self.head_dim.is_multiple_of(2) || self.head_dim > 1024 {
            Some(format!("heads of width {} cannot be rotated", self.head_dim))
        } else if rotated != self.head_dim || key("attention.value_length").is_ok_and(|n| n != self.head_dim)
        {
            Some("its heads are rotated in part, or its values have another width".to_owned())
        } else if self.context == 0 || !self.rope_base.is_finite() || self.rope_base < 1.0 {
            Some("its context or its rotary base is impossible".to_owned())
        } else if !(self.norm_epsilon > 0.0 && self.norm_epsilon < 1.0) {
            Some("its norm's epsilon is impossible".to_owned())
        } else {
            None
        }
    }
}

/// Scaled rotary frequencies (YaRN, linear) change every position: refused rather than silently ignored.
/// Llama 3's factors come as the tensor `rope_freqs.weight`, which is honoured.
fn refuse_other_rope(gguf: &Gguf, architecture: Architecture) -> Result<(), DecoderError> {
    let prefix = architecture.name();
    let kind = gguf
        .get(&format!("{prefix}.rope.scaling.type"))
        .and_then(|value| value.as_str());
    let linear = gguf.float(&format!("{prefix}.rope.scale_linear")).unwrap_or(1.0);
    if matches!(kind, None | Some("none")) && linear == 1.0 {
        return Ok(());
    }
    Err(DecoderError::RopeScaling {
        path: gguf.path().to_owned(),
        kind: kind.unwrap_or("linear").to_owned(),
    })
}
