//! The inner parts of the model's operations: plain tensor operations, or kernels of its own where a device has them.
//!
//! Shapes are `(rows, width)` where nothing else is said: rows are the positions of all sequences of a batch, one below
//! the other. Nothing here is recorded in a graph: gradients are functions beside the operations.

#[cfg(feature = "cuda")]
mod cuda;
mod plain;

use std::fmt;

use candle_core::quantized::QTensor;
use candle_core::{DType, Device, Result, Tensor};

/// Scores of the attention that exist at once where several sequences are computed together: 128 MiB in BF16.
pub(crate) const MOST_SCORES: usize = 1 << 26;

/// Angles by which pairs that stand half a head apart are rotated, `(tokens, head_dim / 2)` each.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rotation<'a> {
    pub(crate) cos: &'a Tensor,
    pub(crate) sin: &'a Tensor,
    /// Whether they are rotated back, which is the gradient of rotating.
    pub(crate) back: bool,
}

/// Queries `(batch, heads, tokens, head_dim)`, keys and values `(batch, kv_heads, tokens, head_dim)`.
#[derive(Debug, Clone)]
pub(crate) struct Heads {
    pub(crate) q: Tensor,
    pub(crate) k: Tensor,
    pub(crate) v: Tensor,
}

/// How a device computes what the operations are made of.
pub(crate) trait Kernels: fmt::Debug + Sync {
    /// Bytes that can still be allocated, where the device tells.
    fn free_memory(&self, device: &Device) -> Option<f64>;

    /// The most bytes that this process held on the device so far, where it tells.
    fn peak_memory(&self, device: &Device) -> Option<f64>;

    /// A stored weight as floats, in its shape.
    fn dequantize(&self, weight: &QTensor, dtype: DType) -> Result<Tensor>;

    /// Some rows of a stored table `(rows, width)` in `dtype`; none where the table has to be read elsewhere.
    fn gather(&self, table: &QTensor, rows: &[u32], dtype: DType) -> Result<Option<Tensor>>;

    /// `scale · a·b` in `dtype`: a `(m, k)` and b `(k, n)`, either of them perhaps a transposed view.
    fn product(&self, a: &Tensor, b: &Tensor, scale: f64, dtype: DType) -> Result<Tensor>;

    /// `sum + a·b`; nobody else holds `sum`.
    fn add_product(&self, sum: Tensor, a: &Tensor, b: &Tensor) -> Result<Tensor>;

    /// `y + bias` for each row; nobody else holds `y`.
    fn add_bias(&self, y: Tensor, bias: &Tensor) -> Result<Tensor>;

    /// The gradient by x of the RMS norm of each row, weight `(width)`, added to `sum`, which nobody else holds.
    ///
    /// With r = 1/√(mean(x²) + ε) and h = w·dy: dx = r·h − x·r³·mean(h·x).
    fn rms_norm_backward(
        &self,
        x: &Tensor,
        weight: &Tensor,
        epsilon: f64,
        dy: &Tensor,
        sum: Option<Tensor>,
    ) -> Result<Tensor>;

    /// `silu(gate) · up` (Shazeer 2020).
    fn swiglu(&self, gate: &Tensor, up: &Tensor) -> Result<Tensor>;

    /// The gradients by gate and up.
    fn swiglu_backward(&self, gate: &Tensor, up: &Tensor, dy: &Tensor) -> Result<(Tensor, Tensor)>;

    /// `(batch · tokens, heads · head_dim)` to `(batch, heads, tokens, head_dim)`, rotated on the way.
    fn split_heads(
        &self,
        x: &Tensor,
        batch: usize,
        heads: usize,
        rotation: Option<Rotation<'_>>,
    ) -> Result<Tensor>;

    /// The way back.
    fn merge_heads(&self, x: &Tensor, rotation: Option<Rotation<'_>>) -> Result<Tensor>;

    /// What [`Self::attention`] needs to keep tokens from looking ahead, if anything.
    fn causal_mask(
        &self,
        heads: usize,
        kv_heads: usize,
        tokens: usize,
        dtype: DType,
        device: &Device,
    ) -> Result<Option<Tensor>>;

    /// `softmax(q·kᵀ/√head_dim + mask)·v`, in q's shape. Keys and values are never repeated: the query heads that share
    /// them stand below each other.
    fn attention(&self, heads: &Heads, mask: Option<&Tensor>) -> Result<Tensor>;

    /// The gradients by queries, keys and values. The weights are computed again, so that memory grows with the scores
    /// of some sequences and not with the batch's.
    fn attention_backward(&self, heads: &Heads, mask: Option<&Tensor>, dy: &Tensor) -> Result<Heads>;

    /// −log p(target) of each row of logits `(rows, vocabulary)`, F32, and with `slopes` its gradient
    /// `softmax − onehot` in the logits' type; nobody else holds the logits.
    fn cross_entropy(
        &self,
        logits: Tensor,
        targets: &Tensor,
        slopes: bool,
    ) -> Result<(Tensor, Option<Tensor>)>;
}

/// The device's way.
pub(crate) fn of(device: &Device) -> &'static dyn Kernels {
    #[cfg(feature = "cuda")]
    if device.is_cuda() {
        return &cuda::Cuda;
    }
    let _ = device;
    &plain::Plain
}

#[cfg(test)]
mod gradients;
