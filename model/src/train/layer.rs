//! One layer, forward and backward.
//!
//! The backward pass is written out: a graph would keep a gradient for every frozen operand, begin each sum with zeros
//! and add a copy of every output. Rows are the positions of all sequences of a batch, one below the other.

use candle_core::{Result, Tensor, bail};
use candle_nn::ops as fused;

use crate::decoder::Config;
use crate::lora::Projection;

use super::dropout::Dropout;
use super::kernels::{self, Heads, Rotation};
use super::linear::{ByX, Linear, PairGradients};

/// A layer's weights.
#[derive(Debug)]
pub(crate) struct Layer {
    /// Which one it is, from below.
    pub(crate) index: usize,
    pub(crate) attention_norm: Tensor,
    pub(crate) feed_forward_norm: Tensor,
    /// By [`Projection`]'s order.
    pub(crate) linears: Vec<Linear>,
}

/// What all layers of one forward pass share.
#[derive(Debug)]
pub(crate) struct Positions {
    pub(crate) cos: Tensor,
    pub(crate) sin: Tensor,
    pub(crate) mask: Option<Tensor>,
    /// Sequences.
    pub(crate) batch: usize,
    /// While it is trained.
    pub(crate) dropout: Option<Dropout>,
}

impl Positions {
    fn rotation(&self, back: bool) -> Option<Rotation<'_>> {
        let (cos, sin) = (&self.cos, &self.sin);
        Some(Rotation { cos, sin, back })
    }
}

/// What a layer's backward pass needs of its forward pass.
#[derive(Debug)]
pub(crate) struct Kept {
    x: Tensor,
    attention: KeptAttention,
    /// Between the two halves.
    middle: Tensor,
    feed_forward: KeptFeedForward,
}

#[derive(Debug)]
struct KeptAttention {
    normed: Tensor,
    heads: Heads,
    attended: Tensor,
}

#[derive(Debug)]
struct KeptFeedForward {
    normed: Tensor,
    gate: Tensor,
    up: Tensor,
    inner: Tensor,
}

/// The gradients by a layer's pairs, by [`Projection`]'s order; none where there is no pair.
pub(crate) type LayerGradients = [Option<PairGradients>; Projection::ALL.len()];

impl Layer {
    /// x `(rows, hidden)` to the same, and what the backward pass needs.
    pub(crate) fn forward(
        &self,
        config: &Config,
        x: Tensor,
        positions: &Positions,
    ) -> Result<(Tensor, Kept)> {
        let (change, attention) = self.attention(config, &x, positions)?;
        let middle = (&x + change)?;
        let (change, feed_forward) = self.feed_forward(config, &middle, positions)?;
        let y = (&middle + change)?;
        let kept = Kept {
            x,
            attention,
            middle,
            feed_forward,
        };
        Ok((y, kept))
    }

    /// The gradients of a forward pass from that of its result: by x, where it is wanted, and by the pairs.
    pub(crate) fn backward(
        &self,
        config: &Config,
        kept: Kept,
        dy: Tensor,
        positions: &Positions,
        by_x: bool,
    ) -> Result<(Option<Tensor>, LayerGradients)> {
        let mut pass = Backward {
            layer: self,
            config,
            positions,
            gradients: LayerGradients::default(),
        };
        let kernels = kernels::of(dy.device());
        let epsilon = config.norm_epsilon;
        let d_normed = pass.feed_forward(kept.feed_forward, &dy)?;
        let weight = &self.feed_forward_norm;
        let d_middle = kernels.rms_norm_backward(&kept.middle, weight, epsilon, &d_normed, Some(dy))?;
        drop((kept.middle, d_normed));
        let d_normed = pass.attention(kept.attention, &d_middle, by_x)?;
        let dx = match d_normed {
            Some(d_normed) => {
                let (weight, sum) = (&self.attention_norm, Some(d_middle));
                Some(kernels.rms_norm_backward(&kept.x, weight, epsilon, &d_normed, sum)?)
            }
            None => None,
        };
        Ok((dx, pass.gradients))
    }

    fn attention(
        &self,
        config: &Config,
        x: &Tensor,
        positions: &Positions,
    ) -> Result<(Tensor, KeptAttention)> {
        let kernels = kernels::of(x.device());
        let normed = fused::rms_norm(x, &self.attention_norm, config.norm_epsilon as f32)?;
        let split = |projection: Projection, heads: usize, rotation: Option<Rotation<'_>>| {
            let rows = self.module(projection, &normed, positions)?;
            kernels.split_heads(&rows, positions.batch, heads, rotation)
        };
        let heads = Heads {
            q: split(Projection::Query, config.heads, positions.rotation(false))?,
            k: split(Projection::Key, config.kv_heads, positions.rotation(false))?,
            v: split(Projection::Value, config.kv_heads, None)?,
        };
        let attended = kernels.merge_heads(&kernels.attention(&heads, positions.mask.as_ref())?, None)?;
        let y = self.module(Projection::Output, &attended, positions)?;
        let kept = KeptAttention {
            normed,
            heads,
            attended,
        };
        Ok((y, kept))
    }

    fn feed_forward(
        &self,
        config: &Config,
        x: &Tensor,
        positions: &Positions,
    ) -> Result<(Tensor, KeptFeedForward)> {
        let normed = fused::rms_norm(x, &self.feed_forward_norm, config.norm_epsilon as f32)?;
        let gate = self.module(Projection::Gate, &normed, positions)?;
        let up = self.module(Projection::Up, &normed, positions)?;
        let inner = kernels::of(x.device()).swiglu(&gate, &up)?;
        let y = self.module(Projection::Down, &inner, positions)?;
        let kept = KeptFeedForward {
            normed,
            gate,
            up,
            inner,
        };
        Ok((y, kept))
    }

    fn module(&self, projection: Projection, x: &Tensor, positions: &Positions) -> Result<Tensor> {
        self.linears[projection as usize].forward(x, self.dropout(projection, positions))
    }

    fn dropout(&self, projection: Projection, positions: &Positions) -> Option<Dropout> {
        let of_layer = positions.dropout?.of_layer(self.index);
        Some(of_layer.of_module(projection))
    }
}

/// A backward pass through one layer.
struct Backward<'p> {
    layer: &'p Layer,
    config: &'p Config,
    positions: &'p Positions,
    gradients: LayerGradients,
}

impl Backward<'_> {
    /// The gradient by the norm's result.
    fn feed_forward(&mut self, kept: KeptFeedForward, dy: &Tensor) -> Result<Tensor> {
        let d_inner = self.module(Projection::Down, &kept.inner, dy, None)?;
        drop(kept.inner);
        let (d_gate, d_up) = kernels::of(dy.device()).swiglu_backward(&kept.gate, &kept.up, &d_inner)?;
        drop((kept.gate, kept.up, d_inner));
        let sum = self.module(Projection::Gate, &kept.normed, &d_gate, None)?;
        drop(d_gate);
        self.module(Projection::Up, &kept.normed, &d_up, Some(sum))
    }

    /// The gradient by the norm's result, where it is wanted.
    fn attention(&mut self, kept: KeptAttention, dy: &Tensor, by_x: bool) -> Result<Option<Tensor>> {
        let kernels = kernels::of(dy.device());
        let positions = self.positions;
        let d_attended = self.module(Projection::Output, &kept.attended, dy, None)?;
        let d_attended = kernels.split_heads(&d_attended, positions.batch, self.config.heads, None)?;
        let d_heads = kernels.attention_backward(&kept.heads, positions.mask.as_ref(), &d_attended)?;
        drop((kept.heads, kept.attended, d_attended));
        let mut sum = None;
        for (projection, dy, rotation) in [
            (Projection::Query, d_heads.q, positions.rotation(true)),
            (Projection::Key, d_heads.k, positions.rotation(true)),
            (Projection::Value, d_heads.v, None),
        ] {
            let dy = kernels.merge_heads(&dy, rotation)?;
            if by_x {
                sum = Some(self.module(projection, &kept.normed, &dy, sum)?);
            } else {
                self.module_by(projection, &kept.normed, &dy, ByX::Unwanted)?;
            }
        }
        Ok(sum)
    }

    /// The gradient by x, added to `sum`.
    fn module(
        &mut self,
        projection: Projection,
        x: &Tensor,
        dy: &Tensor,
        sum: Option<Tensor>,
    ) -> Result<Tensor> {
        match self.module_by(projection, x, dy, ByX::Wanted(sum))? {
            Some(dx) => Ok(dx),
            None => bail!("{} gave no gradient", projection.module()),
        }
    }

    /// The pair's gradient is put where it belongs.
    fn module_by(
        &mut self,
        projection: Projection,
        x: &Tensor,
        dy: &Tensor,
        by_x: ByX,
    ) -> Result<Option<Tensor>> {
        let dropout = self.layer.dropout(projection, self.positions);
        let of = self.layer.linears[projection as usize].backward(x, dy, by_x, dropout)?;
        self.gradients[projection as usize] = of.pair;
        Ok(of.x)
    }
}
