//! A frozen quantized weight and the low-rank pair that is trained beside it.

use std::borrow::Cow;
use std::sync::Arc;

use candle_core::quantized::{QStorage, QTensor};
use candle_core::{DType, Device, Result, Tensor};

use crate::gguf::Quantization;

use super::dropout::Dropout;
use super::kernels;
use super::parameters::Pair;

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
        kernels::of(&self.stored.device()).dequantize(&self.stored, dtype)
    }

    /// Some rows as floats, where the device can read them.
    pub(crate) fn gather(&self, rows: &[u32], dtype: DType) -> Result<Option<Tensor>> {
        kernels::of(&self.stored.device()).gather(&self.stored, rows, dtype)
    }

    /// Rows.
    pub(crate) fn rows(&self) -> Result<usize> {
        Ok(self.stored.shape().dims2()?.0)
    }

    /// `x·Wᵀ + b`: x `(rows, in)`.
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = x.matmul(&self.dequantize(x.dtype())?.t()?)?;
        match &self.bias {
            Some(bias) => kernels::of(x.device()).add_bias(y, bias),
            None => Ok(y),
        }
    }

    /// The gradient by x, `dy·W`, added to `sum`.
    fn backward(&self, dy: &Tensor, sum: Option<Tensor>) -> Result<Tensor> {
        let weight = self.dequantize(dy.dtype())?;
        match sum {
            Some(sum) => kernels::of(dy.device()).add_product(sum, dy, &weight),
            None => dy.matmul(&weight),
        }
    }
}

/// A module: `y = x·Wᵀ + b + s·(x·Aᵀ)·Bᵀ` with A `(rank, in)` and B `(out, rank)` (Hu et al. 2021), or without a pair. While
/// it is trained, a part of what enters A may be dropped.
#[derive(Debug)]
pub(crate) struct Linear {
    pub(crate) weight: FrozenWeight,
    pub(crate) pair: Option<Pair>,
}

/// The gradients by A and B, in F32.
pub(crate) type PairGradients = [Tensor; 2];

/// Whether the gradient by what entered is wanted, and what it is added to.
#[derive(Debug)]
pub(crate) enum ByX {
    Unwanted,
    Wanted(Option<Tensor>),
}

/// What a backward pass gives, as far as it was wanted and there is a pair.
#[derive(Debug)]
pub(crate) struct Gradients {
    pub(crate) x: Option<Tensor>,
    pub(crate) pair: Option<PairGradients>,
}

impl Linear {
    /// x `(rows, in)` to `(rows, out)`.
    pub(crate) fn forward(&self, x: &Tensor, dropout: Option<Dropout>) -> Result<Tensor> {
        let y = self.weight.forward(x)?;
        let Some(pair) = &self.pair else { return Ok(y) };
        let kernels = kernels::of(x.device());
        let (a, b) = pair.matrices(x.dtype())?;
        let low = kernels.product(&Entered::new(x, dropout)?.x, &a.t()?, pair.scale, x.dtype())?;
        kernels.add_product(y, &low, &b.t()?)
    }

    /// The gradients of a forward pass from that of its result: by x where it is wanted, added to `sum`, which nobody
    /// else holds, and by the pair. The low-rank product is computed again.
    pub(crate) fn backward(
        &self,
        x: &Tensor,
        dy: &Tensor,
        by_x: ByX,
        dropout: Option<Dropout>,
    ) -> Result<Gradients> {
        let kernels = kernels::of(dy.device());
        let dx = match by_x {
            ByX::Unwanted => None,
            ByX::Wanted(sum) => Some(self.weight.backward(dy, sum)?),
        };
        let Some(pair) = &self.pair else {
            return Ok(Gradients { x: dx, pair: None });
        };
        let (a, b) = pair.matrices(x.dtype())?;
        let entered = Entered::new(x, dropout)?;
        let low = kernels.product(&entered.x, &a.t()?, pair.scale, x.dtype())?;
        let db = kernels.product(&dy.t()?, &low, 1.0, DType::F32)?;
        let d_low = kernels.product(dy, &b, pair.scale, x.dtype())?;
        let da = kernels.product(&d_low.t()?, &entered.x, 1.0, DType::F32)?;
        let dx = match (dx, &entered.mask) {
            (None, _) => None,
            (Some(dx), None) => Some(kernels.add_product(dx, &d_low, &a)?),
            (Some(dx), Some(mask)) => Some((dx + (d_low.matmul(&a)? * mask)?)?),
        };
        Ok(Gradients {
            x: dx,
            pair: Some([da, db]),
        })
    }
}

/// What enters A.
struct Entered {
    x: Tensor,
    mask: Option<Tensor>,
}

impl Entered {
    fn new(x: &Tensor, dropout: Option<Dropout>) -> Result<Self> {
        let mask = dropout.map(|dropout| dropout.mask_like(x)).transpose()?;
        let x = match &mask {
            Some(mask) => (x * mask)?,
            None => x.clone(),
        };
        Ok(Self { x, mask })
    }
}
