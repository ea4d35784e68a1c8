//! Products with a frozen quantized weight, with and without a trained low-rank pair.

use std::borrow::Cow;
use std::sync::Arc;

use candle_core::quantized::{QStorage, QTensor};
use candle_core::{DType, Device, Result, Tensor};

use crate::gguf::Quantization;
use crate::train::graph;

/// A weight `(out, in)` that stays as it is stored and is dequantized for each use.
///
/// Dequantizing and multiplying is both more exact and, for the many rows of a training batch, faster than the
/// quantized product, which rounds the activations to 8 bits.
#[derive(Debug, Clone)]
pub(crate) struct FrozenWeight {
    stored: Arc<QTensor>,
    /// `(out)`
    bias: Option<Tensor>,
}

impl FrozenWeight {
    /// Puts stored blocks on a device; `data` holds whole rows.
    pub(crate) fn load(
        quantization: Quantization,
        data: Cow<'_, [u8]>,
        shape: &[usize],
        bias: Option<Tensor>,
        device: &Device,
    ) -> Result<Self> {
        let storage = QStorage::from_data(data, device, quantization.to_candle())?;
        let stored = Arc::new(QTensor::new(storage, shape)?);
        Ok(Self { stored, bias })
    }

    /// As floats, `(out, in)`.
    pub(crate) fn dequantize(&self, dtype: DType) -> Result<Tensor> {
        self.stored.dequantize(&self.stored.device())?.to_dtype(dtype)
    }

    /// Rows.
    pub(crate) fn rows(&self) -> Result<usize> {
        Ok(self.stored.shape().dims2()?.0)
    }

    /// `x·Wᵀ + b`, untracked.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = x.matmul(&self.dequantize(x.dtype())?.t()?)?;
        match &self.bias {
            Some(bias) => y.broadcast_add(bias),
            None => Ok(y),
        }
    }

    /// `dy·W`, untracked.
    fn backward(&self, gradient: &Tensor) -> Result<Tensor> {
        gradient.matmul(&self.dequantize(gradient.dtype())?)
    }
}

/// `y = x·Wᵀ + b`: `(rows, in)` to `(rows, out)`.
pub(crate) fn frozen_linear(weight: &FrozenWeight, x: &Tensor) -> Result<Tensor> {
    let output = weight.forward(&x.detach())?;
    let weight = weight.clone();
    graph::apply("frozen-linear", &[x], output, move |node| {
        Ok(vec![Some(weight.backward(&node.gradient.contiguous()?)?)])
    })
}

/// `y = x·Wᵀ + b + s·(x·Aᵀ)·Bᵀ` with A `(rank, in)` and B `(out, rank)` (Hu et al. 2021). Only x is kept for the
/// backward pass; the low-rank product is computed again.
pub(crate) fn lora_linear(
    weight: &FrozenWeight,
    x: &Tensor,
    a: &Tensor,
    b: &Tensor,
    scale: f64,
) -> Result<Tensor> {
    let dtype = x.dtype();
    let low = low_rank(&x.detach(), &a.detach().to_dtype(dtype)?, scale)?;
    let change = low.matmul(&b.detach().to_dtype(dtype)?.t()?)?;
    let output = (weight.forward(&x.detach())? + change)?;
    let weight = weight.clone();
    graph::apply("lora-linear", &[x, a, b], output, move |node| {
        let (x, masters) = (&node.inputs[0], (&node.inputs[1], &node.inputs[2]));
        let gradient = node.gradient.contiguous()?;
        let (a, b) = (masters.0.to_dtype(x.dtype())?, masters.1.to_dtype(x.dtype())?);
        let low = low_rank(x, &a, scale)?;
        // (hᵀ·dy)ᵀ rather than dyᵀ·h: the large matrix is never transposed.
        let db = low.t()?.contiguous()?.matmul(&gradient)?.t()?.contiguous()?;
        let d_low = (gradient.matmul(&b)? * scale)?;
        let da = d_low.t()?.contiguous()?.matmul(x)?;
        let dx = if node.tracked[0] {
            Some((weight.backward(&gradient)? + d_low.matmul(&a)?)?)
        } else {
            None
        };
        Ok(vec![
            dx,
            node.tracked[1].then_some(da.to_dtype(masters.0.dtype())?),
            node.tracked[2].then_some(db.to_dtype(masters.1.dtype())?),
        ])
    })
}

/// `s·x·Aᵀ`, `(rows, rank)`.
fn low_rank(x: &Tensor, a: &Tensor, scale: f64) -> Result<Tensor> {
    x.matmul(&a.t()?)? * scale
}
