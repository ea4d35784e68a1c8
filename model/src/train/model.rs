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
use super::layer::{Kept, Layer, LayerGradients, Positions};
use super::linear::{FrozenWeight, Linear};
use super::parameters::{LoraOptions, Pair};
use super::regression::ScoreHead;
use super::{head, kernels};

/// A base model with LoRA pairs.
#[derive(Debug)]
pub struct LoraModel {
    config: Config,
    path: PathBuf,
    device: Device,
    dtype: DType,
    embedding: Embedding,
    /// The embedding on a device that can read it there.
    table: Option<FrozenWeight>,
    rope: RopeTable,
    layers: Vec<Layer>,
    norm: Tensor,
    output: FrozenWeight,
    /// Share of what enters a pair that is dropped while it is trained.
    dropout: f64,
    score: Option<ScoreHead>,
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
                index: layer,
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
            table: table(gguf, &config, &output, device)?,
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
        let kernels = kernels::of(&self.device);
        Ok(Positions {
            cos: table(cos)?,
            sin: table(sin)?,
            mask: kernels.causal_mask(heads, kv_heads, tokens, self.dtype, &self.device)?,
            batch: batch.sequences(),
            dropout: Dropout::new(self.dropout, batch.noise()),
        })
    }

    /// What enters the first layer, `(batch · tokens, hidden)`.
    pub(crate) fn embed(&self, batch: &Batch) -> std::result::Result<Tensor, DecoderError> {
        // A token that is none of the vocabulary's is refused here, since a device would read beside the table.
        self.embedding.check(batch.tokens())?;
        if let Some(table) = &self.table
            && let Some(rows) = table.gather(batch.tokens(), self.dtype)?
        {
            return Ok(rows);
        }
        let rows = self.embedding.rows(batch.tokens())?;
        let shape = (batch.tokens().len(), self.config.hidden);
        Ok(Tensor::from_vec(rows, shape, &self.device)?.to_dtype(self.dtype)?)
    }

    /// One layer of `(batch · tokens, hidden)`.
    pub(crate) fn forward(&self, layer: usize, x: Tensor, positions: &Positions) -> Result<(Tensor, Kept)> {
        self.layers[layer].forward(&self.config, x, positions)
    }

    /// The gradients of one layer: by what entered it, except for the first one, and by its pairs.
    pub(crate) fn backward(
        &self,
        layer: usize,
        kept: Kept,
        dy: Tensor,
        positions: &Positions,
    ) -> Result<(Option<Tensor>, LayerGradients)> {
        // Nothing below the first layer is trained.
        self.layers[layer].backward(&self.config, kept, dy, positions, layer > 0)
    }

    /// All layers, `(batch · tokens, hidden)`.
    pub(crate) fn hidden(&self, batch: &Batch) -> std::result::Result<Tensor, DecoderError> {
        let positions = self.positions(batch)?;
        let mut x = self.embed(batch)?;
        for layer in 0..self.depth() {
            (x, _) = self.forward(layer, x, &positions)?;
        }
        Ok(x)
    }

    /// The last norm of some rows of x `(batch · tokens, hidden)`, by their indices; gives `(rows, hidden)`.
    pub(crate) fn normed_rows(&self, x: &Tensor, rows: &Tensor) -> Result<Tensor> {
        head::rms_norm(&x.index_select(rows, 0)?, &self.norm, self.config.norm_epsilon)
    }

    /// −log p of each supervised token, `(targets)` in F32.
    pub(crate) fn losses(&self, x: &Tensor, batch: &Batch) -> Result<Tensor> {
        let (rows, targets) = batch.supervised(&self.device)?;
        head::cross_entropy_rows(&self.output, &self.normed_rows(x, &rows)?, &targets)
    }

    /// Logits of every position, `(batch, tokens, vocabulary)` in F32; for measurements, as they are large.
    ///
    /// # Errors
    /// Where the device fails or a token is none of the vocabulary's.
    pub fn logits(&self, batch: &Batch) -> std::result::Result<Tensor, DecoderError> {
        let x = self.hidden(batch)?;
        let rows = Tensor::arange(0, (batch.sequences() * batch.width()) as u32, &self.device)?;
        let logits = self.output.forward(&self.normed_rows(&x, &rows)?)?;
        let shape = (batch.sequences(), batch.width(), self.config.vocabulary);
        Ok(logits.to_dtype(DType::F32)?.reshape(shape)?)
    }
}

/// The embedding on another device than the CPU, where it is read from the file; the output layer's if it is the same.
fn table(
    gguf: &Gguf,
    config: &Config,
    output: &FrozenWeight,
    device: &Device,
) -> std::result::Result<Option<FrozenWeight>, DecoderError> {
    if device.is_cpu() {
        return Ok(None);
    }
    let (view, last) = (weights::embedding(gguf, config)?, weights::output(gguf, config)?);
    if std::ptr::eq(view.data, last.data) {
        return Ok(Some(output.clone()));
    }
    let data = Cow::Borrowed(view.data);
    Ok(Some(FrozenWeight::load(
        view.quantization,
        data,
        view.shape,
        None,
        device,
    )?))
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
