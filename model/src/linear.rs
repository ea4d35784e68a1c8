//! A frozen quantized weight plus an optional LoRA pair, over candle tensors: `y = W·x + b + s·B·(A·x)`.
//!
//! This is the form for devices. The CPU computes the same with its own kernels in `cpu`.

use std::borrow::Cow;

use candle_core::quantized::{QMatMul, QStorage, QTensor};
use candle_core::{Device, Module, Result, Tensor};

use crate::gguf::TensorView;
use crate::lora::LoraWeights;

/// A linear layer whose base never changes.
#[derive(Debug, Clone)]
pub struct Linear {
    weight: QMatMul,
    bias: Option<Tensor>,
    lora: Option<LoraLayer>,
}

/// A LoRA pair on a device.
#[derive(Debug, Clone)]
pub struct LoraLayer {
    /// A transposed, `(in, rank)`, already multiplied with the scale.
    a: Tensor,
    /// B transposed, `(rank, out)`.
    b: Tensor,
}

impl Linear {
    /// Puts a stored weight `(out, in)` on a device.
    ///
    /// # Errors
    /// Where the device has no memory left.
    pub fn load(weight: TensorView<'_>, bias: Option<Tensor>, device: &Device) -> Result<Self> {
        let weight = QMatMul::from_qtensor(quantized(weight, device)?)?;
        Ok(Self {
            weight,
            bias,
            lora: None,
        })
    }

    /// Puts this LoRA pair, or none, in the place of the one before.
    pub fn set_lora(&mut self, lora: Option<LoraLayer>) {
        self.lora = lora;
    }

    /// `(tokens, in)` to `(tokens, out)`.
    ///
    /// # Errors
    /// Where the device fails.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let mut y = self.weight.forward(x)?;
        if let Some(bias) = &self.bias {
            y = y.broadcast_add(bias)?;
        }
        match &self.lora {
            Some(lora) => y + lora.forward(x)?,
            None => Ok(y),
        }
    }
}

impl LoraLayer {
    /// Puts a pair on a device.
    ///
    /// # Errors
    /// Where the device has no memory left.
    pub fn load(weights: &LoraWeights, device: &Device) -> Result<Self> {
        let (rank, scale) = (weights.rank, f64::from(weights.scale));
        let a = Tensor::from_slice(&weights.a, (rank, weights.a.len() / rank), device)?;
        let b = Tensor::from_slice(&weights.b, (weights.b.len() / rank, rank), device)?;
        Ok(Self {
            a: (a.t()?.contiguous()? * scale)?,
            b: b.t()?.contiguous()?,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        x.matmul(&self.a)?.matmul(&self.b)
    }
}

/// A stored tensor on a device, as it is stored.
pub(crate) fn quantized(view: TensorView<'_>, device: &Device) -> Result<QTensor> {
    let storage = QStorage::from_data(Cow::Borrowed(view.data), device, view.quantization.to_candle())?;
    QTensor::new(storage, view.shape)
}
