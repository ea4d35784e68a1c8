//! The decoder's operations over candle tensors, in their fused forms for inference.

use candle_core::{Device, Result, Tensor};
use candle_nn::rotary_emb;

use crate::decoder::Architecture;
use crate::decoder::rope::RopeTable;

/// Rotary tables on a device, one row per position, `(positions, head_dim / 2)` each.
#[derive(Debug, Clone)]
pub struct Rotary {
    architecture: Architecture,
    cos: Tensor,
    sin: Tensor,
}

impl Rotary {
    /// Puts the first `positions` rows of a table on a device.
    ///
    /// # Errors
    /// Where the device has no memory left.
    pub fn load(
        table: &RopeTable,
        architecture: Architecture,
        positions: usize,
        device: &Device,
    ) -> Result<Self> {
        let half = table.half();
        let (cos, sin) = table.rows(0..positions);
        let cos = Tensor::from_vec(cos, (positions, half), device)?;
        let sin = Tensor::from_vec(sin, (positions, half), device)?;
        Ok(Self {
            architecture,
            cos,
            sin,
        })
    }

    /// Rotates `(1, heads, tokens, head_dim)` whose first token stands at `position`.
    ///
    /// # Errors
    /// Where the positions exceed the table.
    pub fn apply(&self, x: &Tensor, position: usize) -> Result<Tensor> {
        let tokens = x.dim(2)?;
        let cos = self.cos.narrow(0, position, tokens)?;
        let sin = self.sin.narrow(0, position, tokens)?;
        match self.architecture {
            Architecture::Llama => rotary_emb::rope_i(x, &cos, &sin),
            Architecture::Qwen2 => rotary_emb::rope(x, &cos, &sin),
        }
    }
}

/// Root-mean-square norm over the last dimension (Zhang and Sennrich 2019).
///
/// # Errors
/// Where the device fails.
pub fn rms_norm(x: &Tensor, weight: &Tensor, epsilon: f64) -> Result<Tensor> {
    candle_nn::ops::rms_norm(&x.contiguous()?, weight, epsilon as f32)
}

/// `silu(gate) * up` (Shazeer 2020).
///
/// # Errors
/// Where the device fails.
pub fn swiglu(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    candle_nn::ops::silu(gate)? * up
}

/// Grouped-query attention: q `(1, heads, tokens, head_dim)`, k and v `(1, kv_heads, positions, head_dim)`, the mask of
/// [`causal_mask`] or none for a single token; gives `(1, heads, tokens, head_dim)`. Keys are never repeated: the query
/// heads that share a key head stand below each other as one matrix.
///
/// # Errors
/// Where the device fails.
pub fn attention(q: &Tensor, k: &Tensor, v: &Tensor, mask: Option<&Tensor>) -> Result<Tensor> {
    let (_, heads, tokens, head_dim) = q.dims4()?;
    let (_, kv_heads, positions, _) = k.dims4()?;
    let rows = heads / kv_heads * tokens;
    let q = (q.reshape((1, kv_heads, rows, head_dim))? * (1.0 / (head_dim as f64).sqrt()))?;
    let mut scores = q.matmul(&k.transpose(2, 3)?)?;
    if let Some(mask) = mask {
        let shape = (1, heads, tokens, positions);
        scores = scores
            .reshape(shape)?
            .broadcast_add(mask)?
            .reshape((1, kv_heads, rows, positions))?;
    }
    let weights = candle_nn::ops::softmax_last_dim(&scores)?;
    weights
        .matmul(&v.contiguous()?)?
        .reshape((1, heads, tokens, head_dim))
}

/// What is added to the scores of `tokens` new tokens after `before` old ones: 0 where a token may look, else -∞;
/// `(tokens, before + tokens)`.
///
/// # Errors
/// Where the device has no memory left.
pub fn causal_mask(tokens: usize, before: usize, device: &Device) -> Result<Tensor> {
    let positions = before + tokens;
    let allowed = |token: usize, position: usize| {
        if position <= before + token {
            0.0
        } else {
            f32::NEG_INFINITY
        }
    };
    let mask: Vec<f32> = (0..tokens)
        .flat_map(|token| (0..positions).map(move |position| allowed(token, position)))
        .collect();
    Tensor::from_vec(mask, (tokens, positions), device)
}
