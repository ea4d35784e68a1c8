//! Causal grouped-query attention. The weights of a sequence are computed again in the backward pass, so that memory
//! grows with one sequence's scores and not with the batch's.

use candle_core::{D, DType, Device, Result, Tensor};
use candle_nn::ops::softmax_last_dim;

use crate::train::graph;

/// Columns that fold the subtraction of δ into a product: one, padded to what matrix units like.
const PAD: usize = 8;

/// What is added to the scores of one sequence, `(1, kv_heads, heads / kv_heads · tokens, tokens)`: 0 where a token may
/// look, else −∞. Expanded once, since broadcasting it at each use is slow on devices.
pub(crate) fn grouped_causal_mask(
    heads: usize,
    kv_heads: usize,
    tokens: usize,
    dtype: DType,
    device: &Device,
) -> Result<Tensor> {
    let allowed = |token: usize, position: usize| if position <= token { 0.0 } else { f32::NEG_INFINITY };
    let mask: Vec<f32> = (0..tokens)
        .flat_map(|token| (0..tokens).map(move |position| allowed(token, position)))
        .collect();
    let group = heads / kv_heads;
    Tensor::from_vec(mask, (1, 1, 1, tokens, tokens), device)?
        .to_dtype(dtype)?
        .broadcast_as((1, kv_heads, group, tokens, tokens))?
        .contiguous()?
        .reshape((1, kv_heads, group * tokens, tokens))
}

/// `softmax(q·kᵀ/√head_dim + mask)·v`: q `(batch, heads, tokens, head_dim)`, k and v `(batch, kv_heads, tokens,
/// head_dim)`, the mask of [`grouped_causal_mask`]. Keys and values are never repeated: the query heads that share them
/// stand below each other. All three inputs are tracked, or none is.
pub(crate) fn attention(q: &Tensor, k: &Tensor, v: &Tensor, mask: &Tensor) -> Result<Tensor> {
    let (batch, heads, tokens, head_dim) = q.dims4()?;
    let kv_heads = k.dim(1)?;
    let scale = 1.0 / (head_dim as f64).sqrt();
    let mut outputs = Vec::with_capacity(batch);
    for row in 0..batch {
        let q = grouped(&sequence(&q.detach(), row)?, kv_heads, scale)?;
        let weights = weights(&q, &sequence(&k.detach(), row)?, mask)?;
        let output = weights.matmul(&sequence(&v.detach(), row)?)?;
        outputs.push(output.reshape((1, heads, tokens, head_dim))?);
    }
    let output = Tensor::cat(&outputs, 0)?;
    let mask = mask.clone();
    graph::apply("attention", &[q, k, v], output, move |node| {
        let (mut dq, mut dk, mut dv) = (Vec::new(), Vec::new(), Vec::new());
        for row in 0..batch {
            let of = |tensor: &Tensor| sequence(tensor, row);
            let q = grouped(&of(&node.inputs[0])?, kv_heads, scale)?;
            let (k, v) = (of(&node.inputs[1])?, of(&node.inputs[2])?);
            let output = grouped(&of(node.output)?, kv_heads, 1.0)?;
            let gradient = grouped(&of(node.gradient)?, kv_heads, 1.0)?;
            let weights = weights(&q, &k, &mask)?;
            dv.push(weights.t()?.matmul(&gradient)?);
            let d_scores = (d_weights_less_delta(&gradient, &output, &v)? * weights)?;
            let d_query = (d_scores.matmul(&k)? * scale)?;
            dq.push(d_query.reshape((1, heads, tokens, head_dim))?);
            dk.push(d_scores.t()?.matmul(&q)?);
        }
        let whole = |index: usize, parts: &[Tensor]| -> Result<Option<Tensor>> {
            node.tracked[index].then(|| Tensor::cat(parts, 0)).transpose()
        };
        Ok(vec![whole(0, &dq)?, whole(1, &dk)?, whole(2, &dv)?])
    })
}

/// One sequence of a batch, contiguous.
fn sequence(tensor: &Tensor, row: usize) -> Result<Tensor> {
    tensor.narrow(0, row, 1)?.contiguous()
}

/// `(1, heads, tokens, head_dim)` to `(1, kv_heads, heads / kv_heads · tokens, head_dim)`, scaled.
fn grouped(tensor: &Tensor, kv_heads: usize, scale: f64) -> Result<Tensor> {
    let (_, heads, tokens, head_dim) = tensor.dims4()?;
    let shape = (1, kv_heads, heads / kv_heads * tokens, head_dim);
    if scale == 1.0 {
        tensor.reshape(shape)
    } else {
        (tensor * scale)?.reshape(shape)
    }
}

fn weights(q: &Tensor, k: &Tensor, mask: &Tensor) -> Result<Tensor> {
    softmax_last_dim(&(q.matmul(&k.t()?)? + mask)?)
}

/// `do·vᵀ − δ` with δ = Σ do·o of each row, as one product: `[do, −δ, 0…]·[v, 1, 0…]ᵀ`.
fn d_weights_less_delta(gradient: &Tensor, output: &Tensor, v: &Tensor) -> Result<Tensor> {
    let minus_delta = (gradient * output)?.sum_keepdim(D::Minus1)?.neg()?;
    let zeros = |like: &Tensor| {
        let (one, heads, rows, _) = like.dims4()?;
        Tensor::zeros((one, heads, rows, PAD - 1), like.dtype(), like.device())
    };
    let gradient = Tensor::cat(&[gradient, &minus_delta, &zeros(gradient)?], 3)?;
    let (one, heads, rows, _) = v.dims4()?;
    let ones = Tensor::ones((one, heads, rows, 1), v.dtype(), v.device())?;
    let v = Tensor::cat(&[v, &ones, &zeros(v)?], 3)?;
    gradient.matmul(&v.t()?)
}
