//! Gradients of a batch, with each layer computed a second time in the backward pass (Chen et al. 2016).
//!
//! The forward pass keeps only what enters each layer; backward, one layer at a time is computed again with a graph.
//! The same operations run on the same numbers in the same order, so that the gradients are those of the whole graph
//! bit for bit, for a fraction of the memory and one more forward pass.

use candle_core::backprop::GradStore;
use candle_core::{Result, Tensor, Var, bail};

use crate::decoder::DecoderError;

use super::batch::Batch;
use super::model::{Graph, LoraModel};
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

/// Adds the gradients of a batch. `head` makes a scalar loss of the last layer's output `(batch, tokens, hidden)`, and
/// whatever else is wanted of it.
pub(crate) fn accumulate<T>(
    model: &LoraModel,
    batch: &Batch,
    activations: Activations,
    gradients: &mut Gradients,
    head: impl FnOnce(&Tensor) -> Result<(Tensor, T)>,
) -> std::result::Result<T, DecoderError> {
    match activations {
        Activations::Kept => kept(model, batch, gradients, head),
        Activations::Recomputed => recomputed(model, batch, gradients, head),
    }
}

fn kept<T>(
    model: &LoraModel,
    batch: &Batch,
    gradients: &mut Gradients,
    head: impl FnOnce(&Tensor) -> Result<(Tensor, T)>,
) -> std::result::Result<T, DecoderError> {
    let positions = model.positions(batch)?;
    let mut x = model.embed(batch)?;
    for layer in 0..model.depth() {
        x = model.layer(layer, &x, &positions, Graph::Recorded)?;
    }
    let (loss, result) = head(&x)?;
    let mut store = loss.backward()?;
    let mut index = 0;
    for layer in 0..model.depth() {
        index = take(model, layer, index, &mut store, gradients)?;
    }
    take_head(model, &mut store, gradients)?;
    Ok(result)
}

fn recomputed<T>(
    model: &LoraModel,
    batch: &Batch,
    gradients: &mut Gradients,
    head: impl FnOnce(&Tensor) -> Result<(Tensor, T)>,
) -> std::result::Result<T, DecoderError> {
    let positions = model.positions(batch)?;
    let mut x = model.embed(batch)?;
    let mut entered = Vec::with_capacity(model.depth());
    for layer in 0..model.depth() {
        let y = model.layer(layer, &x, &positions, Graph::Untracked)?;
        entered.push(std::mem::replace(&mut x, y));
    }
    let last = Var::from_tensor(&x)?;
    drop(x);
    let (loss, result) = head(last.as_tensor())?;
    let mut store = loss.backward()?;
    let mut gradient = of_input(&mut store, &last)?;
    take_head(model, &mut store, gradients)?;
    drop((store, loss, last));
    let mut first_index = 2 * model.pairs().count();
    for (layer, x) in entered.into_iter().enumerate().rev() {
        first_index -= model.pairs_of(layer).count() * 2;
        if layer == 0 {
            // Nothing below the first layer is trained.
            let y = model.layer(layer, &x, &positions, Graph::Recorded)?;
            let mut store = super::ops::seed(&y, &gradient)?.backward()?;
            take(model, layer, first_index, &mut store, gradients)?;
            break;
        }
        let x = Var::from_tensor(&x)?;
        let y = model.layer(layer, x.as_tensor(), &positions, Graph::Recorded)?;
        let mut store = super::ops::seed(&y, &gradient)?.backward()?;
        take(model, layer, first_index, &mut store, gradients)?;
        gradient = of_input(&mut store, &x)?;
    }
    Ok(result)
}

/// Moves the gradients of a layer's pairs; `index` is that of the layer's first parameter, the result the next layer's.
fn take(
    model: &LoraModel,
    layer: usize,
    mut index: usize,
    store: &mut GradStore,
    gradients: &mut Gradients,
) -> Result<usize> {
    for var in model.pairs_of(layer).flat_map(super::parameters::Pair::vars) {
        if let Some(gradient) = store.remove(var.as_tensor()) {
            gradients.add(index, gradient)?;
        }
        index += 1;
    }
    Ok(index)
}

/// Moves the gradient of the head that scores, which follows those of the pairs.
fn take_head(model: &LoraModel, store: &mut GradStore, gradients: &mut Gradients) -> Result<()> {
    match model.score_var().and_then(|var| store.remove(var.as_tensor())) {
        Some(gradient) => gradients.add(2 * model.pairs().count(), gradient),
        None => Ok(()),
    }
}

fn of_input(store: &mut GradStore, input: &Var) -> Result<Tensor> {
    match store.remove(input.as_tensor()) {
        Some(gradient) => Ok(gradient.detach()),
        None => bail!("an operation has lost the gradient"),
    }
}
