//! What is trained: the LoRA pairs and the head of a regression, and all of them as one flat vector.
//!
//! The optimizer, the checkpoint and the sum over devices work on the flat vector: one tensor instead of hundreds.

use candle_core::{DType, Device, Result, Tensor, Var};

use crate::decoder::Config;
use crate::lora::{LoraWeights, Projection};

use super::model::LoraModel;
use crate::random::Random;

/// Which modules are trained, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct LoraOptions {
    /// Rows of A, columns of B.
    pub rank: usize,
    /// The change is scaled with alpha / rank.
    pub alpha: f64,
    /// The modules of each layer.
    pub targets: Vec<Projection>,
    /// Share of the numbers entering A that are dropped while it is trained, as in PEFT.
    pub dropout: f64,
    /// Decides the numbers that A begins with.
    pub seed: u64,
}

/// The trained pair of one module.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) layer: usize,
    pub(crate) projection: Projection,
    /// A, `(rank, in)`, F32.
    pub(crate) a: Var,
    /// B, `(out, rank)`, F32.
    pub(crate) b: Var,
    pub(crate) scale: f64,
}

impl Pair {
    /// A uniform within 1/√in, as PyTorch's `kaiming_uniform_(a=√5)` gives it to PEFT; B zero.
    pub(crate) fn start(
        options: &LoraOptions,
        config: &Config,
        layer: usize,
        projection: Projection,
        device: &Device,
    ) -> Result<Self> {
        let (rows, columns) = projection.shape(config);
        let mut random = Random::new(options.seed, &format!("lora-a {layer} {}", projection.module()));
        let bound = 1.0 / (columns as f32).sqrt();
        let a: Vec<f32> = (0..options.rank * columns)
            .map(|_| random.uniform(bound))
            .collect();
        Ok(Self {
            layer,
            projection,
            a: Var::from_vec(a, (options.rank, columns), device)?,
            b: Var::from_vec(vec![0f32; rows * options.rank], (rows, options.rank), device)?,
            scale: options.alpha / options.rank as f64,
        })
    }

    /// The pair of an adapter, whose shapes were checked.
    pub(crate) fn of(
        weights: &LoraWeights,
        layer: usize,
        projection: Projection,
        device: &Device,
    ) -> Result<Self> {
        let LoraWeights { rank, a, b, scale } = weights;
        Ok(Self {
            layer,
            projection,
            a: Var::from_slice(a, (*rank, a.len() / rank), device)?,
            b: Var::from_slice(b, (b.len() / rank, *rank), device)?,
            scale: f64::from(*scale),
        })
    }

    pub(crate) fn rank(&self) -> usize {
        self.a.dims()[0]
    }

    /// Replaces both matrices; shapes and rank were checked.
    pub(crate) fn set(&self, weights: &LoraWeights) -> Result<()> {
        let set = |var: &Var, values: &[f32]| {
            var.set(&Tensor::from_slice(values, var.shape().clone(), var.device())?)
        };
        set(&self.a, &weights.a)?;
        set(&self.b, &weights.b)
    }

    /// A and B as the activations' type.
    pub(crate) fn matrices(&self, dtype: DType) -> Result<(Tensor, Tensor)> {
        let of = |var: &Var| var.as_detached_tensor().to_dtype(dtype);
        Ok((of(&self.a)?, of(&self.b)?))
    }

    /// A and B.
    pub(crate) fn vars(&self) -> [&Var; 2] {
        [&self.a, &self.b]
    }
}

/// All trained numbers, one after the other, `(count)`.
pub(crate) fn flat(model: &LoraModel) -> Result<Tensor> {
    let parts: Vec<Tensor> = vars(model)
        .map(|var| var.as_detached_tensor().flatten_all())
        .collect::<Result<_>>()?;
    Tensor::cat(&parts, 0)
}

/// Puts numbers in the order of [`flat`] where they belong.
pub(crate) fn set_flat(model: &LoraModel, flat: &Tensor) -> Result<()> {
    // Moved as a whole: another device would be sent all of it for each part.
    let flat = flat.to_device(model.device())?;
    let mut start = 0;
    for var in vars(model) {
        let part = flat.narrow(0, start, var.elem_count())?;
        start += var.elem_count();
        var.set(&part.reshape(var.shape().clone())?)?;
    }
    Ok(())
}

/// The variables in the order of [`flat`]: the pairs, then the head of a regression.
pub(crate) fn vars(model: &LoraModel) -> impl Iterator<Item = &Var> {
    model.pairs().flat_map(Pair::vars).chain(model.score_var())
}
