//! The inner parts as tensor operations: for the CPU and for Metal, and the reference of devices' own kernels.

use candle_core::quantized::QTensor;
use candle_core::{D, DType, Device, Result, Tensor};
use candle_nn::{ops as fused, rotary_emb};

use super::{Heads, Kernels, Rotation};

/// Tensor operations and nothing else.
#[derive(Debug)]
pub(super) struct Plain;

impl Kernels for Plain {
    fn free_memory(&self, _: &Device) -> Option<f64> {
        None
    }

    fn peak_memory(&self, _: &Device) -> Option<f64> {
        None
    }

    fn dequantize(&self, weight: &QTensor, dtype: DType) -> Result<Tensor> {
        weight.dequantize(&weight.device())?.to_dtype(dtype)
    }

    fn gather(&self, _: &QTensor, _: &[u32], _: DType) -> Result<Option<Tensor>> {
        // The table is read from the mapped file, row by row.
        Ok(None)
    }

    fn product(&self, a: &Tensor, b: &Tensor, scale: f64, dtype: DType) -> Result<Tensor> {
        let product = readable(a)?.matmul(&readable(b)?)?.to_dtype(dtype)?;
        if scale == 1.0 {
            Ok(product)
        } else {
            product * scale
        }
    }

    fn add_product(&self, sum: Tensor, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        sum + readable(a)?.matmul(&readable(b)?)?
    }

    fn add_bias(&self, y: Tensor, bias: &Tensor) -> Result<Tensor> {
        y.broadcast_add(bias)
    }

    fn rms_norm_backward(
        &self,
        x: &Tensor,
        weight: &Tensor,
        epsilon: f64,
        dy: &Tensor,
        sum: Option<Tensor>,
    ) -> Result<Tensor> {
        let width = dy.dim(D::Minus1)? as f64;
        let x = x.to_dtype(DType::F32)?;
        let h = dy
            .to_dtype(DType::F32)?
            .broadcast_mul(&weight.to_dtype(DType::F32)?)?;
        let mean_square = (x.sqr()?.sum_keepdim(D::Minus1)? / width)?;
        let r = (mean_square + epsilon)?.sqrt()?.recip()?;
        let pull = ((&h * &x)?.sum_keepdim(D::Minus1)? / width)?;
        let pull = (pull * (&r * &(&r * &r)?)?)?;
        let dx = (h.broadcast_mul(&r)? - x.broadcast_mul(&pull)?)?.to_dtype(dy.dtype())?;
        match sum {
            Some(sum) => sum + dx,
            None => Ok(dx),
        }
    }

    fn swiglu(&self, gate: &Tensor, up: &Tensor) -> Result<Tensor> {
        fused::silu(gate)? * up
    }

    fn swiglu_backward(&self, gate: &Tensor, up: &Tensor, dy: &Tensor) -> Result<(Tensor, Tensor)> {
        let sigmoid = fused::sigmoid(gate)?;
        let silu = (gate * &sigmoid)?;
        // d silu / dx = σ + silu·(1 − σ)
        let slope = (&sigmoid + (&silu * sigmoid.affine(-1.0, 1.0)?)?)?;
        Ok((((dy * up)? * slope)?, (dy * silu)?))
    }

    fn split_heads(
        &self,
        x: &Tensor,
        batch: usize,
        heads: usize,
        rotation: Option<Rotation<'_>>,
    ) -> Result<Tensor> {
        let (rows, width) = x.dims2()?;
        let x = x
            .reshape((batch, rows / batch, heads, width / heads))?
            .transpose(1, 2)?
            .contiguous()?;
        rotated(x, rotation)
    }

    fn merge_heads(&self, x: &Tensor, rotation: Option<Rotation<'_>>) -> Result<Tensor> {
        let (batch, heads, tokens, head_dim) = x.dims4()?;
        rotated(x.contiguous()?, rotation)?
            .transpose(1, 2)?
            .contiguous()?
            .reshape((batch * tokens, heads * head_dim))
    }

    /// What is added to the scores of one sequence, `(1, kv_heads, heads / kv_heads · tokens, tokens)`: 0 where a token
    /// may look, else −∞. Expanded once, since broadcasting it at each use is slow.
    fn causal_mask(
        &self,
        heads: usize,
        kv_heads: usize,
        tokens: usize,
        dtype: DType,
        device: &Device,
    ) -> Result<Option<Tensor>> {
        let allowed = |token: usize, position: usize| if position <= token { 0.0 } else { f32::NEG_INFINITY };
        let mask: Vec<f32> = (0..tokens)
            .flat_map(|token| (0..tokens).map(move |position| allowed(token, position)))
            .collect();
        let group = heads / kv_heads;
        let mask = Tensor::from_vec(mask, (1, 1, 1, tokens, tokens), device)?
            .to_dtype(dtype)?
            .broadcast_as((1, kv_heads, group, tokens, tokens))?
            .contiguous()?
            .reshape((1, kv_heads, group * tokens, tokens))?;
        Ok(Some(mask))
    }

    fn attention(&self, heads: &Heads, mask: Option<&Tensor>) -> Result<Tensor> {
        let outputs = (0..heads.q.dim(0)?).map(|index| {
            let one = Sequence::new(heads, index)?;
            let (_, count, tokens, head_dim) = heads.q.dims4()?;
            let output = one.weights(mask)?.matmul(&one.v)?;
            output.reshape((1, count, tokens, head_dim))
        });
        Tensor::cat(&outputs.collect::<Result<Vec<_>>>()?, 0)
    }

    fn attention_backward(&self, heads: &Heads, mask: Option<&Tensor>, dy: &Tensor) -> Result<Heads> {
        let (batch, count, tokens, head_dim) = heads.q.dims4()?;
        let (mut dq, mut dk, mut dv) = (Vec::new(), Vec::new(), Vec::new());
        for index in 0..batch {
            let one = Sequence::new(heads, index)?;
            let dy = grouped(&sequence(dy, index)?, heads.k.dim(1)?, 1.0)?;
            let weights = one.weights(mask)?;
            dv.push(weights.t()?.matmul(&dy)?);
            let d_weights = dy.matmul(&one.v.t()?)?;
            let delta = (&d_weights * &weights)?.sum_keepdim(D::Minus1)?;
            let d_scores = (d_weights.broadcast_sub(&delta)? * weights)?;
            let d_query = (d_scores.matmul(&one.k)? * one.scale)?;
            dq.push(d_query.reshape((1, count, tokens, head_dim))?);
            // The queries are scaled already.
            dk.push(d_scores.t()?.matmul(&one.q)?);
        }
        Ok(Heads {
            q: Tensor::cat(&dq, 0)?,
            k: Tensor::cat(&dk, 0)?,
            v: Tensor::cat(&dv, 0)?,
        })
    }

    fn cross_entropy(
        &self,
        logits: Tensor,
        targets: &Tensor,
        slopes: bool,
    ) -> Result<(Tensor, Option<Tensor>)> {
        let dtype = logits.dtype();
        let logits = logits.to_dtype(DType::F32)?;
        let target = targets.unsqueeze(1)?;
        let shifted = logits.broadcast_sub(&logits.max_keepdim(1)?)?;
        let exponentials = shifted.exp()?;
        let sum = exponentials.sum_keepdim(1)?;
        let losses = (sum.log()? - shifted.gather(&target, 1)?)?.squeeze(1)?;
        if !slopes {
            return Ok((losses, None));
        }
        let probabilities = exponentials.broadcast_div(&sum)?;
        let minus_one = Tensor::full(-1f32, target.shape(), logits.device())?;
        let slopes = probabilities.scatter_add(&target, &minus_one, 1)?;
        Ok((losses, Some(slopes.to_dtype(dtype)?)))
    }
}

/// As a product takes it: whole, or a whole matrix seen transposed.
fn readable(matrix: &Tensor) -> Result<Tensor> {
    if matrix.is_contiguous() || matrix.t()?.is_contiguous() {
        Ok(matrix.clone())
    } else {
        matrix.contiguous()
    }
}

fn rotated(x: Tensor, rotation: Option<Rotation<'_>>) -> Result<Tensor> {
    match rotation {
        None => Ok(x),
        Some(Rotation {
            cos,
            sin,
            back: false,
        }) => rotary_emb::rope(&x, cos, sin),
        Some(Rotation { cos, sin, back: true }) => rotary_emb::rope(&x, cos, &sin.neg()?),
    }
}

/// One sequence of a batch: queries `(1, kv_heads, heads / kv_heads · tokens, head_dim)`, scaled, and its keys and
/// values.
struct Sequence {
    q: Tensor,
    k: Tensor,
    v: Tensor,
    scale: f64,
}

impl Sequence {
    fn new(heads: &Heads, index: usize) -> Result<Self> {
        let scale = 1.0 / (heads.q.dim(3)? as f64).sqrt();
        Ok(Self {
            q: grouped(&sequence(&heads.q, index)?, heads.k.dim(1)?, scale)?,
            k: sequence(&heads.k, index)?,
            v: sequence(&heads.v, index)?,
            scale,
        })
    }

    fn weights(&self, mask: Option<&Tensor>) -> Result<Tensor> {
        let scores = self.q.matmul(&self.k.t()?)?;
        fused::softmax_last_dim(&match mask {
            Some(mask) => (scores + mask)?,
            None => scores,
        })
    }
}

fn sequence(tensor: &Tensor, index: usize) -> Result<Tensor> {
    tensor.narrow(0, index, 1)?.contiguous()
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
