//! Output layer and cross entropy in one, over the supervised rows alone.
//!
//! The logits of a whole batch are the largest tensor of a small model: here they exist for a few rows at a time, and
//! what the backward pass needs of them is made while they do.

use candle_core::{DType, Result, Tensor};

use super::FrozenWeight;
use crate::train::graph;

/// Logits that exist at once.
const MOST_LOGITS: usize = 1 << 24;
const MOST_ROWS: usize = 256;

/// −log p(target) of each row, `(rows)` in F32: hidden `(rows, width)` after the last norm, targets `(rows)` in U32,
/// weight `(vocabulary, width)`.
///
/// The gradient by hidden is `(softmax − onehot)·W`, times the gradient of the row's loss.
pub(crate) fn cross_entropy_rows(weight: &FrozenWeight, hidden: &Tensor, targets: &Tensor) -> Result<Tensor> {
    let detached = hidden.detach();
    let rows = detached.dim(0)?;
    let step = (MOST_LOGITS / weight.rows()?).clamp(1, MOST_ROWS);
    let matrix = weight.dequantize(detached.dtype())?;
    let (mut losses, mut slopes) = (Vec::new(), Vec::new());
    for start in (0..rows).step_by(step) {
        let count = step.min(rows - start);
        let logits = detached.narrow(0, start, count)?.matmul(&matrix.t()?)?;
        let logits = logits.to_dtype(DType::F32)?;
        let target = targets.narrow(0, start, count)?.unsqueeze(1)?;
        let largest = logits.max_keepdim(1)?;
        let shifted = logits.broadcast_sub(&largest)?;
        let exponentials = shifted.exp()?;
        let sum = exponentials.sum_keepdim(1)?;
        losses.push((sum.log()? - shifted.gather(&target, 1)?)?.squeeze(1)?);
        if hidden.track_op() {
            let probabilities = exponentials.broadcast_div(&sum)?;
            let minus_one = Tensor::full(-1f32, (count, 1), detached.device())?;
            let slope = probabilities.scatter_add(&target, &minus_one, 1)?;
            slopes.push(slope.to_dtype(detached.dtype())?.matmul(&matrix)?);
        }
    }
    let losses = Tensor::cat(&losses, 0)?;
    if slopes.is_empty() {
        return Ok(losses);
    }
    let slopes = Tensor::cat(&slopes, 0)?;
    graph::apply("cross-entropy", &[hidden], losses, move |node| {
        let of_rows = node.gradient.to_dtype(slopes.dtype())?.unsqueeze(1)?;
        Ok(vec![Some(slopes.broadcast_mul(&of_rows)?)])
    })
}
