//! The model that is trained: frozen quantized weights, a LoRA pair beside each chosen one.
//!
//! It computes what the serving decoder computes, in differentiable operations and over whole batches. Rows of q and k
//! are put back into the checkpoint's order when they are loaded, so that adapters need no conversion in either
//! direction and every architecture rotates alike.

use std::borrow::Cow;
use std::path::PathBuf;

use candle_core::{DType, Device, Result, Tensor, Var};

use crate::decoder::embedding::Embedding;
use crate::decoder::rope::RopeTable;
use crate::decoder::{Architecture, Config, DecoderError, weights};
use crate::gguf::{Gguf, TensorView};
use crate::lora::{LoraAdapter, LoraWeights, Projection};

use super::batch::Batch;
use super::dropout::Dropout;
use super::ops::{self, FrozenWeight};
use super::parameters::{LoraOptions, Pair};
use super::regression::ScoreHead;

/// Whether a forward pass is recorded for a backward pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Graph {
    /// Recorded from the LoRA pairs on.
    Recorded,
    /// Not recorded: activations are freed as soon as they are used.
    Untracked,
}

/// A base model with LoRA pairs.
#[derive(Debug)]
pub struct LoraModel {
    config: Config,
    path: PathBuf,
    device: Device,
    dtype: DType,
    embedding: Embedding,
    rope: RopeTable,
    layers: Vec<Layer>,
    norm: Tensor,
    output: FrozenWeight,
    /// Share of what enters a pair that is dropped while it is trained.
    dropout: f64,
    score: Option<ScoreHead>,
}

#[derive(Debug)]
struct Layer {
    attention_norm: Tensor,
    feed_forward_norm: Tensor,
    /// By [`Projection`]'s order.
    linears: Vec<Linear>,
}

#[derive(Debug)]
struct Linear {
    weight: FrozenWeight,
    pair: Option<Pair>,
}

/// What all layers of one forward pass share.
#[derive(Debug)]
pub(crate) struct Positions {
    cos: Tensor,
    sin: Tensor,
    mask: Tensor,
    dropout: Option<Dropout>,
}

/// One pass through one layer.
struct Pass<'p> {
    positions: &'p Positions,
    graph: Graph,
    dropout: Option<Dropout>,
}

impl LoraModel {
    /// Loads the base and starts the pairs that `options` choose: A random, B zero, so that the model begins as the
    /// base. Without options the model has no pairs and can only be measured.
    ///
    /// Activations are F32 on the CPU and BF16 elsewhere; pairs are F32.
    ///
    /// # Errors
    /// Where the file cannot be used or the device has no memory left.
    pub fn load(
        gguf: &Gguf,
        options: Option<&LoraOptions>,
        device: &Device,
    ) -> std::result::Result<Self, DecoderError> {
        let config = Config::read(gguf)?;
        let mut model = Self::with_pairs(gguf, config, device, |config, layer, projection| {
            let options = options.filter(|options| options.targets.contains(&projection));
            options
                .map(|options| Pair::start(options, config, layer, projection, device))
                .transpose()
        })?;
        model.dropout = options.map_or(0.0, |options| options.dropout);
        Ok(model)
    }

    /// Loads the base with an adapter as it is, whose modules may differ in rank and scale: to be measured.
    ///
    /// # Errors
    /// As [`load`](Self::load), and where the adapter is another model's.
    pub fn load_adapter(
        gguf: &Gguf,
        adapter: &LoraAdapter,
        device: &Device,
    ) -> std::result::Result<Self, DecoderError> {
        let config = Config::read(gguf)?;
        adapter.check(&config)?;
        Self::with_pairs(gguf, config, device, |_, layer, projection| {
            let weights = adapter.module(layer, projection);
            weights
                .map(|weights| Pair::of(weights, layer, projection, device))
                .transpose()
        })
    }

    fn with_pairs(
        gguf: &Gguf,
        config: Config,
        device: &Device,
        pair: impl Fn(&Config, usize, Projection) -> Result<Option<Pair>>,
    ) -> std::result::Result<Self, DecoderError> {
        let dtype = if device.is_cpu() { DType::F32 } else { DType::BF16 };
        let vector = |values: Vec<f32>| vector(values, dtype, device);
        let mut layers = Vec::with_capacity(config.layers);
        for layer in 0..config.layers {
            let mut linears = Vec::with_capacity(Projection::ALL.len());
            for projection in Projection::ALL {
                let weight = frozen(gguf, &config, layer, projection, dtype, device)?;
                let pair = pair(&config, layer, projection)?;
                linears.push(Linear { weight, pair });
            }
            layers.push(Layer {
                attention_norm: vector(weights::norm(gguf, &config, layer, "attn_norm")?)?,
                feed_forward_norm: vector(weights::norm(gguf, &config, layer, "ffn_norm")?)?,
                linears,
            });
        }
        let view = weights::output(gguf, &config)?;
        let output = FrozenWeight::load(
            view.quantization,
            Cow::Borrowed(view.data),
            view.shape,
            None,
            device,
        )?;
        let model = Self {
            embedding: Embedding::load(gguf, &config)?,
            rope: RopeTable::load(gguf, &config)?,
            norm: vector(weights::output_norm(gguf, &config)?)?,
            path: gguf.path().to_owned(),
            device: device.clone(),
            dtype,
            layers,
            output,
            dropout: 0.0,
            score: None,
            config,
        };
        gguf.release();
        Ok(model)
    }

    /// Gives the model a head that scores a sequence, for a regression: zero, so that every sequence scores 0 at first.
    ///
    /// # Errors
    /// Where the device has no memory left.
    pub fn add_score_head(&mut self) -> Result<()> {
        self.score = Some(ScoreHead::new(self.config.hidden, &self.device)?);
        Ok(())
    }

    /// The weights of the head that scores, `(hidden)`, where there is one.
    ///
    /// # Errors
    /// Where the device fails.
    pub fn score_weights(&self) -> Result<Option<Vec<f32>>> {
        self.score.as_ref().map(ScoreHead::weights).transpose()
    }

    /// Replaces the weights of the head that scores; there are as many as the model is wide.
    ///
    /// # Errors
    /// Where there is no head, or another number of weights.
    pub fn set_score_weights(&self, weights: &[f32]) -> Result<()> {
        match &self.score {
            Some(head) => head.set(weights),
            None => candle_core::bail!("the model has no head that scores"),
        }
    }

    /// The trained numbers of the head that scores.
    pub(crate) fn score_var(&self) -> Option<&Var> {
        self.score.as_ref().map(ScoreHead::var)
    }

    /// The scores of some rows of the last layer's output, `(rows)` in F32.
    pub(crate) fn scores(&self, x: &Tensor, rows: &Tensor) -> Result<Tensor> {
        match &self.score {
            Some(head) => head.scores(&self.normed_rows(x, rows)?),
            None => candle_core::bail!("the model has no head that scores"),
        }
    }

    /// The base's sizes.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The base's file.
    #[must_use]
    pub fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// Where it computes.
    #[must_use]
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Its pairs, by layer and projection.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = &Pair> {
        self.layers
            .iter()
            .flat_map(|layer| layer.linears.iter().filter_map(|linear| linear.pair.as_ref()))
    }

    /// Layers.
    pub(crate) fn depth(&self) -> usize {
        self.layers.len()
    }

    /// Pairs of one layer.
    pub(crate) fn pairs_of(&self, layer: usize) -> impl Iterator<Item = &Pair> {
        self.layers[layer]
            .linears
            .iter()
            .filter_map(|linear| linear.pair.as_ref())
    }

    /// Puts an adapter's numbers where the pairs are; the adapter has exactly this model's modules.
    ///
    /// # Errors
    /// Where it is another model's, or its modules or ranks differ from those chosen.
    pub fn set_adapter(&self, adapter: &LoraAdapter) -> std::result::Result<(), DecoderError> {
        adapter.check(&self.config)?;
        let foreign = |what: String| crate::lora::LoraError::Foreign(what);
        let count = self.pairs().count();
        if adapter.modules().count() != count {
            let what = format!(
                "it changes {} modules where {count} are trained",
                adapter.modules().count()
            );
            return Err(foreign(what).into());
        }
        for pair in self.pairs() {
            let module = pair.projection.module();
            let Some(weights) = adapter.module(pair.layer, pair.projection) else {
                let what = format!("it does not change {module} of layer {}", pair.layer);
                return Err(foreign(what).into());
            };
            if weights.rank != pair.rank() || (f64::from(weights.scale) - pair.scale).abs() > 1e-6 {
                let what = format!(
                    "its {module} has rank {} and scale {} where {} and {} are trained",
                    weights.rank,
                    weights.scale,
                    pair.rank(),
                    pair.scale
                );
                return Err(foreign(what).into());
            }
            pair.set(weights)?;
        }
        Ok(())
    }

    /// The pairs as an adapter of that name, in the checkpoint's order of rows.
    ///
    /// # Errors
    /// Where the device fails.
    pub fn adapter(&self, name: &str) -> Result<LoraAdapter> {
        let mut modules = Vec::new();
        for pair in self.pairs() {
            let weights = LoraWeights {
                rank: pair.rank(),
                a: pair.a.flatten_all()?.to_vec1()?,
                b: pair.b.flatten_all()?.to_vec1()?,
                scale: pair.scale as f32,
            };
            modules.push((pair.layer, pair.projection, weights));
        }
        Ok(LoraAdapter::new(name.to_owned(), modules))
    }

    /// Angles, mask and dropout of a batch.
    pub(crate) fn positions(&self, batch: &Batch) -> Result<Positions> {
        let tokens = batch.width();
        let (cos, sin) = self.rope.rows(0..tokens);
        let table = |values: Vec<f32>| {
            Tensor::from_vec(values, (tokens, self.rope.half()), &self.device)?.to_dtype(self.dtype)
        };
        let (heads, kv_heads) = (self.config.heads, self.config.kv_heads);
        Ok(Positions {
            cos: table(cos)?,
            sin: table(sin)?,
            mask: ops::grouped_causal_mask(heads, kv_heads, tokens, self.dtype, &self.device)?,
            dropout: Dropout::new(self.dropout, batch.noise()),
        })
    }

    /// What enters the first layer, `(batch, tokens, hidden)`.
    pub(crate) fn embed(&self, batch: &Batch) -> std::result::Result<Tensor, DecoderError> {
        let rows = self.embedding.rows(batch.tokens())?;
        let shape = (batch.sequences(), batch.width(), self.config.hidden);
        Ok(Tensor::from_vec(rows, shape, &self.device)?.to_dtype(self.dtype)?)
    }

    /// One layer, `(batch, tokens, hidden)` to the same.
    pub(crate) fn layer(
        &self,
        layer: usize,
        x: &Tensor,
        positions: &Positions,
        graph: Graph,
    ) -> Result<Tensor> {
        let pass = Pass {
            positions,
            graph,
            dropout: positions.dropout.map(|dropout| dropout.of_layer(layer)),
        };
        self.layers[layer].forward(&self.config, x, &pass)
    }

    /// All layers without a graph, `(batch, tokens, hidden)`.
    pub(crate) fn hidden(&self, batch: &Batch) -> std::result::Result<Tensor, DecoderError> {
        let positions = self.positions(batch)?;
        let mut x = self.embed(batch)?;
        for layer in 0..self.depth() {
            x = self.layer(layer, &x, &positions, Graph::Untracked)?;
        }
        Ok(x)
    }

    /// The last norm of some rows: x `(batch, tokens, hidden)`, row indices into `batch · tokens`; gives
    /// `(rows, hidden)`.
    pub(crate) fn normed_rows(&self, x: &Tensor, rows: &Tensor) -> Result<Tensor> {
        let (batch, tokens, hidden) = x.dims3()?;
        let rows = x.reshape((batch * tokens, hidden))?.index_select(rows, 0)?;
        ops::rms_norm(&rows, &self.norm, self.config.norm_epsilon)
    }

    /// −log p of each supervised token, `(targets)` in F32.
    pub(crate) fn losses(&self, x: &Tensor, batch: &Batch) -> Result<Tensor> {
        let (rows, targets) = batch.supervised(&self.device)?;
        ops::cross_entropy_rows(&self.output, &self.normed_rows(x, &rows)?, &targets)
    }

    /// Logits of every position, `(batch, tokens, vocabulary)` in F32; for measurements, as they are large.
    ///
    /// # Errors
    /// Where the device fails or a token is none of the vocabulary's.
    pub fn logits(&self, batch: &Batch) -> std::result::Result<Tensor, DecoderError> {
        let x = self.hidden(batch)?;
        let rows = Tensor::arange(0, (batch.sequences() * batch.width()) as u32, &self.device)?;
        let logits = ops::frozen_linear(&self.output, &self.normed_rows(&x, &rows)?)?;
        let shape = (batch.sequences(), batch.width(), self.config.vocabulary);
        Ok(logits.to_dtype(DType::F32)?.reshape(shape)?)
    }
}

impl Layer {
    fn forward(&self, config: &Config, x: &Tensor, pass: &Pass<'_>) -> Result<Tensor> {
        let (batch, tokens, hidden) = x.dims3()?;
        let positions = pass.positions;
        let linear = |projection: Projection, x: &Tensor| {
            let dropout = pass.dropout.map(|dropout| dropout.of_module(projection));
            self.linears[projection as usize].forward(x, pass.graph, dropout)
        };
        let norm = |x: &Tensor, weight: &Tensor| ops::rms_norm(x, weight, config.norm_epsilon);
        // (rows, heads · head_dim) to (batch, heads, tokens, head_dim)
        let heads = |x: Tensor, count: usize| {
            x.reshape((batch, tokens, count, config.head_dim))?
                .transpose(1, 2)?
                .contiguous()
        };
        let x = x.reshape((batch * tokens, hidden))?;
        let normed = norm(&x, &self.attention_norm)?;
        let q = heads(linear(Projection::Query, &normed)?, config.heads)?;
        let k = heads(linear(Projection::Key, &normed)?, config.kv_heads)?;
        let v = heads(linear(Projection::Value, &normed)?, config.kv_heads)?;
        let q = ops::rope(&q, &positions.cos, &positions.sin)?;
        let k = ops::rope(&k, &positions.cos, &positions.sin)?;
        let attended = ops::attention(&q, &k, &v, &positions.mask)?;
        let attended = attended
            .transpose(1, 2)?
            .contiguous()?
            .reshape((batch * tokens, config.query_width()))?;
        let x = (x + linear(Projection::Output, &attended)?)?;
        let normed = norm(&x, &self.feed_forward_norm)?;
        let inner = ops::swiglu(
            &linear(Projection::Gate, &normed)?,
            &linear(Projection::Up, &normed)?,
        )?;
        (x + linear(Projection::Down, &inner)?)?.reshape((batch, tokens, hidden))
    }
}

impl Linear {
    fn forward(&self, x: &Tensor, graph: Graph, dropout: Option<Dropout>) -> Result<Tensor> {
        let Some(pair) = &self.pair else {
            return ops::frozen_linear(&self.weight, x);
        };
        let of = |var: &Var| match graph {
            Graph::Recorded => var.as_tensor().clone(),
            Graph::Untracked => var.as_detached_tensor(),
        };
        let (a, b) = (of(&pair.a), of(&pair.b));
        match dropout {
            None => ops::lora_linear(&self.weight, x, &a, &b, pair.scale),
            Some(dropout) => dropout.lora_linear(&self.weight, x, &a, &b, pair.scale),
        }
    }
}

/// A layer's weight with its rows in the checkpoint's order.
fn frozen(
    gguf: &Gguf,
    config: &Config,
    layer: usize,
    projection: Projection,
    dtype: DType,
    device: &Device,
) -> std::result::Result<FrozenWeight, DecoderError> {
    let view = weights::linear(gguf, config, layer, projection)?;
    let bias = weights::bias(gguf, config, layer, projection)?;
    let permuted = config.architecture == Architecture::Llama
        && matches!(projection, Projection::Query | Projection::Key);
    let (data, bias) = if permuted {
        let row_bytes = view.quantization.row_bytes(config.hidden);
        let data = half_split(view.data, row_bytes, config.head_dim);
        (
            Cow::Owned(data),
            bias.map(|bias| half_split(&bias, 1, config.head_dim)),
        )
    } else {
        (Cow::Borrowed(view.data), bias)
    };
    let bias = bias.map(|bias| vector(bias, dtype, device)).transpose()?;
    let TensorView {
        quantization, shape, ..
    } = view;
    Ok(FrozenWeight::load(quantization, data, shape, bias, device)?)
}

/// Rows of `width` items from `[head][pair][half]`, as GGUF's `llama` has q and k, to `[head][half][pair]`, as
/// checkpoints have them. Quantized blocks lie within a row, so that nothing is lost.
fn half_split<T: Copy>(rows: &[T], width: usize, head_dim: usize) -> Vec<T> {
    let half = head_dim / 2;
    let mut out = Vec::with_capacity(rows.len());
    for head in rows.chunks_exact(head_dim * width) {
        for row in (0..2).flat_map(|side| (0..half).map(move |pair| 2 * pair + side)) {
            out.extend_from_slice(&head[row * width..(row + 1) * width]);
        }
    }
    out
}

fn vector(values: Vec<f32>, dtype: DType, device: &Device) -> Result<Tensor> {
    let len = values.len();
    Tensor::from_vec(values, len, device)?.to_dtype(dtype)
}
