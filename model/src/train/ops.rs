//! The decoder's operations in differentiable forms: fused forward passes with gradients written by hand.
//!
//! Shapes are `(rows, width)` where nothing else is said: rows are the positions of all sequences of a batch, one below
//! the other. Each gradient is held against finite differences in `ops/tests.rs`.

mod attention;
mod cross_entropy;
mod linear;

use candle_core::{D, DType, Result, Tensor};
use candle_nn::{ops as fused, rotary_emb};

use super::graph;

pub(crate) use attention::{attention, grouped_causal_mask};
pub(crate) use cross_entropy::cross_entropy_rows;
pub(crate) use linear::{FrozenWeight, frozen_linear, lora_linear};

/// Root-mean-square norm over the last dimension (Zhang and Sennrich 2019); the weight `(width)` is frozen.
///
/// With r = 1/√(mean(x²) + ε) and h = w·dy: dx = r·h − x·r³·mean(h·x).
pub(crate) fn rms_norm(x: &Tensor, weight: &Tensor, epsilon: f64) -> Result<Tensor> {
    let output = fused::rms_norm(&x.detach().contiguous()?, weight, epsilon as f32)?;
    let weight = weight.clone();
    graph::apply("rms-norm", &[x], output, move |node| {
        let width = node.gradient.dim(D::Minus1)? as f64;
        let x = node.inputs[0].to_dtype(DType::F32)?;
        let h = node
            .gradient
            .to_dtype(DType::F32)?
            .broadcast_mul(&weight.to_dtype(DType::F32)?)?;
        let mean_square = (x.sqr()?.sum_keepdim(D::Minus1)? / width)?;
        let r = (mean_square + epsilon)?.sqrt()?.recip()?;
        let pull = ((&h * &x)?.sum_keepdim(D::Minus1)? / width)?;
        let pull = (pull * (&r * &(&r * &r)?)?)?;
        let dx = (h.broadcast_mul(&r)? - x.broadcast_mul(&pull)?)?;
        Ok(vec![Some(dx.to_dtype(node.gradient.dtype())?)])
    })
}

/// Rotates pairs that stand half a head apart (Su et al. 2021): x `(batch, heads, tokens, head_dim)`, cos and sin
/// `(tokens, head_dim / 2)`. The gradient is the rotation back.
pub(crate) fn rope(x: &Tensor, cos: &Tensor, sin: &Tensor) -> Result<Tensor> {
    let output = rotary_emb::rope(&x.detach().contiguous()?, cos, sin)?;
    let (cos, back) = (cos.clone(), sin.neg()?);
    graph::apply("rope", &[x], output, move |node| {
        let dx = rotary_emb::rope(&node.gradient.contiguous()?, &cos, &back)?;
        Ok(vec![Some(dx)])
    })
}

/// `silu(gate) · up` (Shazeer 2020). Both inputs are tracked, or neither is.
pub(crate) fn swiglu(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    let output = (fused::silu(&gate.detach())? * up.detach())?;
    graph::apply("swiglu", &[gate, up], output, |node| {
        let (gate, up) = (&node.inputs[0], &node.inputs[1]);
        let sigmoid = fused::sigmoid(gate)?;
        let silu = (gate * &sigmoid)?;
        // d silu / dx = σ + silu·(1 − σ)
        let slope = (&sigmoid + (&silu * sigmoid.affine(-1.0, 1.0)?)?)?;
        let d_gate = ((node.gradient * up)? * slope)?;
        let d_up = (node.gradient * silu)?;
        Ok(vec![
            node.tracked[0].then_some(d_gate),
            node.tracked[1].then_some(d_up),
        ])
    })
}

/// A scalar 0 whose gradient by `y` is `gradient`: begins a backward pass in the middle of a network.
pub(crate) fn seed(y: &Tensor, gradient: &Tensor) -> Result<Tensor> {
    let output = Tensor::zeros((), y.dtype(), y.device())?;
    let gradient = gradient.detach();
    graph::apply("seed", &[y], output, move |_| Ok(vec![Some(gradient.clone())]))
}

#[cfg(test)]
mod tests;
