//! What stands above the last layer, as operations of a graph: a loss is made of their results.

use candle_core::{Result, Tensor};
use candle_nn::ops as fused;

use super::linear::FrozenWeight;
use super::{graph, kernels};

/// Logits that exist at once.
pub(crate) const MOST_LOGITS: usize = 1 << 24;
const MOST_ROWS: usize = 256;

/// Root-mean-square norm over the last dimension (Zhang and Sennrich 2019): x `(rows, width)`, the weight `(width)` is
/// frozen.
pub(crate) fn rms_norm(x: &Tensor, weight: &Tensor, epsilon: f64) -> Result<Tensor> {
    let output = fused::rms_norm(&x.detach().contiguous()?, weight, epsilon as f32)?;
    let weight = weight.clone();
    graph::apply("rms-norm", x, output, move |x, dy| {
        let kernels = kernels::of(weight.device());
        kernels.rms_norm_backward(&x.contiguous()?, &weight, epsilon, &dy.contiguous()?, None)
    })
}

/// −log p(target) of each row, `(rows)` in F32: hidden `(rows, width)` after the last norm, targets `(rows)` in U32,
/// weight `(vocabulary, width)`.
///
/// The logits of a whole batch are the largest tensor of a small model: here they exist for a few rows at a time, and
/// what the backward pass needs of them, `(softmax − onehot)·W`, is made while they do.
pub(crate) fn cross_entropy_rows(weight: &FrozenWeight, hidden: &Tensor, targets: &Tensor) -> Result<Tensor> {
    let detached = hidden.detach().contiguous()?;
    let rows = detached.dim(0)?;
    let step = (MOST_LOGITS / weight.rows()?).clamp(1, MOST_ROWS);
    let matrix = weight.dequantize(detached.dtype())?;
    let kernels = kernels::of(detached.device());
    let (mut losses, mut slopes) = (Vec::new(), Vec::new());
    for start in (0..rows).step_by(step) {
        let count = step.min(rows - start);
        let logits = detached.narrow(0, start, count)?.matmul(&matrix.t()?)?;
        let target = targets.narrow(0, start, count)?;
        let (loss, slope) = kernels.cross_entropy(logits, &target, hidden.track_op())?;
        losses.push(loss);
        if let Some(slope) = slope {
            slopes.push(slope.matmul(&matrix)?);
        }
    }
    let losses = Tensor::cat(&losses, 0)?;
    if slopes.is_empty() {
        return Ok(losses);
    }
    let slopes = Tensor::cat(&slopes, 0)?;
    graph::apply("cross-entropy", hidden, losses, move |_, gradient| {
        slopes.broadcast_mul(&gradient.to_dtype(slopes.dtype())?.unsqueeze(1)?)
    })
}
