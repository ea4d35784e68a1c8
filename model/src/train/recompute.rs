//! Gradients of a batch, with each layer computed a second time in the backward pass (Chen et al. 2016).
//!
//! The forward pass keeps only what enters each layer; backward, one layer at a time is computed again. The same
//! operations run on the same numbers in the same order, so that the gradients are those of kept activations bit for
//! bit, for a fraction of the memory and one more forward pass.

use candle_core::{Result, Tensor, Var, bail};

use crate::decoder::DecoderError;

use super::batch::Batch;
use super::layer::Kept;
use super::model::LoraModel;
use super::parameters;

/// Sums of gradients in the order of [`parameters::vars`].
#[derive(Debug, Default)]
pub(crate) struct Gradients(Vec<Option<Tensor>>);

/// How the backward pass gets at the activations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activations {
    /// Computed again, layer by layer.
    Recomputed,
    /// All kept: a third faster and many times the memory.
    Kept,
}

impl Gradients {
    /// None for any parameter yet.
    pub(crate) fn new(model: &LoraModel) -> Self {
        Self(vec![None; parameters::vars(model).count()])
    }

    fn add(&mut self, index: usize, gradient: Tensor) -> Result<()> {
        let Some(slot) = self.0.get_mut(index) else {
            bail!("there is no parameter {index}")
        };
        let sum = match slot.take() {
            Some(sum) => (sum + gradient)?,
            None => gradient,
        };
        *slot = Some(sum.detach());
        Ok(())
    }

    /// The gradient of each parameter.
    ///
    /// # Errors
    /// Where a parameter has none: an operation has lost it.
    #[cfg(test)]
    pub(crate) fn tensors(&self) -> Result<Vec<&Tensor>> {
        let given: Option<Vec<&Tensor>> = self.0.iter().map(Option::as_ref).collect();
        match given {
            Some(tensors) => Ok(tensors),
            None => bail!("a parameter has no gradient"),
        }
    }

    /// All as one vector, in the order of [`parameters::flat`].
    pub(crate) fn flat(&self) -> Result<Tensor> {
        let parts: Vec<Tensor> = self
            .0
            .iter()
            .map(|gradient| match gradient {
                Some(gradient) => gradient.flatten_all(),
                None => bail!("a parameter has no gradient"),
            })
            .collect::<Result<_>>()?;
        Tensor::cat(&parts, 0)
    }
}

/// Adds the gradients of a batch. `head` makes a scalar loss of the last layer's output `(batch · tokens, hidden)`, and
/// whatever else is wanted of it.
pub(crate) fn accumulate<T>(
    model: &LoraModel,
    batch: &Batch,
    activations: Activations,
    gradients: &mut Gradients,
    head: impl FnOnce(&Tensor) -> Result<(Tensor, T)>,
) -> std::result::Result<T, DecoderError> {
    let positions = model.positions(batch)?;
    let mut x = model.embed(batch)?;
    let mut entered = Vec::with_capacity(model.depth());
    for layer in 0..model.depth() {
        let before = x.clone();
        let (y, kept) = model.forward(layer, x, &positions)?;
        entered.push(match activations {
            Activations::Kept => Entered::Kept(kept),
            Activations::Recomputed => Entered::Input(before),
        });
        x = y;
    }
    let (mut gradient, result) = above(model, x, gradients, head)?;
    let mut end = 2 * model.pairs().count();
    for (layer, entered) in entered.into_iter().enumerate().rev() {
        let kept = match entered {
            Entered::Kept(kept) => kept,
            Entered::Input(x) => model.forward(layer, x, &positions)?.1,
        };
        let (by_x, by_pairs) = model.backward(layer, kept, gradient, &positions)?;
        let start = end - 2 * by_pairs.iter().flatten().count();
        for (index, tensor) in by_pairs.into_iter().flatten().flatten().enumerate() {
            gradients.add(start + index, tensor)?;
        }
        end = start;
        match by_x {
            Some(by_x) => gradient = by_x,
            None => break,
        }
    }
    Ok(result)
}

/// What is left of a layer's forward pass.
enum Entered {
    Input(Tensor),
    Kept(Kept),
}

/// The gradient of the loss by the last layer's output; that by a regression's head, which follows the pairs, is added.
fn above<T>(
    model: &LoraModel,
    x: Tensor,
    gradients: &mut Gradients,
    head: impl FnOnce(&Tensor) -> Result<(Tensor, T)>,
) -> Result<(Tensor, T)> {
    let last = Var::from_tensor(&x)?;
    drop(x);
    let (loss, result) = head(last.as_tensor())?;
    let mut store = loss.backward()?;
    if let Some(gradient) = model.score_var().and_then(|var| store.remove(var.as_tensor())) {
        gradients.add(2 * model.pairs().count(), gradient)?;
    }
    match store.remove(last.as_tensor()) {
        Some(gradient) => Ok((gradient.detach().contiguous()?, result)),
        None => bail!("the loss does not depend on the model"),
    }
}
