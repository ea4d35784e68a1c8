//! The decoder over candle tensors: the form for CUDA and Metal, and the reference for the CPU's own kernels.

use candle_core::{DType, Device, Result as CandleResult, Tensor};

use crate::gguf::Gguf;
use crate::kv_cache::{KvCache, Layers};
use crate::linear::{Linear, LoraLayer};
use crate::lora::{LoraAdapter, Projection};
use crate::ops::{self, Rotary};

use super::embedding::Embedding;
use super::rope::RopeTable;
use super::{Config, DecoderError, Logits, Pairs, weights};

/// Rows that a cache grows by.
const CACHE_STEP: usize = 256;

/// A model on a candle device.
#[derive(Debug)]
pub(crate) struct TensorDecoder {
    config: Config,
    device: Device,
    embedding: Embedding,
    layers: Vec<Layer>,
    norm: Tensor,
    output: Linear,
    rotary: Rotary,
}

#[derive(Debug)]
struct Layer {
    attention_norm: Tensor,
    query: Linear,
    key: Linear,
    value: Linear,
    attention_output: Linear,
    feed_forward_norm: Tensor,
    gate: Linear,
    up: Linear,
    down: Linear,
}

/// One layer's keys and values, `(1, kv_heads, capacity, head_dim)`; positions from the cache's length on are free.
#[derive(Debug)]
pub(crate) struct TensorLayer {
    k: Tensor,
    v: Tensor,
}

impl TensorDecoder {
    pub(crate) fn load(gguf: &Gguf, config: &Config, device: &Device) -> Result<Self, DecoderError> {
        let layers: Result<Vec<_>, _> = (0..config.layers)
            .map(|layer| Layer::load(gguf, config, layer, device))
            .collect();
        let table = RopeTable::load(gguf, config)?;
        Ok(Self {
            config: config.clone(),
            device: device.clone(),
            embedding: Embedding::load(gguf, config)?,
            layers: layers?,
            norm: vector(weights::output_norm(gguf, config)?, device)?,
            output: Linear::load(weights::output(gguf, config)?, None, device)?,
            rotary: Rotary::load(&table, config.architecture, config.context, device)?,
        })
    }

    /// An adapter's pairs on the device.
    pub(crate) fn prepare(&self, adapter: &LoraAdapter) -> CandleResult<Pairs<LoraLayer>> {
        let pair = |(layer, projection, _)| {
            let weights = adapter.module_for(&self.config, layer, projection)?;
            let pair = LoraLayer::load(&weights, &self.device);
            Some(pair.map(|pair| ((layer, projection), pair)))
        };
        adapter.modules().filter_map(pair).collect()
    }

    /// Applies these pairs and no others.
    pub(crate) fn apply(&mut self, pairs: &Pairs<LoraLayer>) {
        for (number, layer) in self.layers.iter_mut().enumerate() {
            for projection in Projection::ALL {
                let pair = pairs.get(&(number, projection)).cloned();
                layer.linear(projection).set_lora(pair);
            }
        }
    }

    pub(crate) fn cache(&self) -> Result<KvCache, DecoderError> {
        let layer = |_| TensorLayer::new(&self.config, 0, &self.device);
        let layers: CandleResult<Vec<_>> = (0..self.config.layers).map(layer).collect();
        Ok(KvCache::new(Layers::Tensor(layers?)))
    }

    /// Embedding, layers, norm, logits: the paper's order. Activations are `(tokens, hidden)`.
    pub(crate) fn forward(
        &mut self,
        tokens: &[u32],
        cache: &mut KvCache,
        logits: Logits,
    ) -> Result<Vec<f32>, DecoderError> {
        let position = cache.len();
        let Layers::Tensor(cached) = &mut cache.layers else {
            return Err(DecoderError::ForeignCache);
        };
        let embedded = self.embedding.rows(tokens)?;
        let mut x = Tensor::from_vec(embedded, (tokens.len(), self.config.hidden), &self.device)?;
        let mask = match tokens.len() {
            1 => None,
            count => Some(ops::causal_mask(count, position, &self.device)?),
        };
        for (layer, kv) in self.layers.iter().zip(cached) {
            x = layer.forward(&self.config, &self.rotary, &x, kv, position, mask.as_ref())?;
        }
        cache.advance(tokens.len());
        let x = match logits {
            Logits::None => return Ok(Vec::new()),
            Logits::Last => x.narrow(0, tokens.len() - 1, 1)?,
            Logits::All => x,
        };
        let x = ops::rms_norm(&x, &self.norm, self.config.norm_epsilon)?;
        Ok(self
            .output
            .forward(&x)?
            .to_dtype(DType::F32)?
            .flatten_all()?
            .to_vec1()?)
    }
}

impl Layer {
    fn load(gguf: &Gguf, config: &Config, layer: usize, device: &Device) -> Result<Self, DecoderError> {
        let linear = |projection: Projection| -> Result<Linear, DecoderError> {
            let weight = weights::linear(gguf, config, layer, projection)?;
            let bias = weights::bias(gguf, config, layer, projection)?;
            let bias = bias.map(|bias| vector(bias, device)).transpose()?;
            Ok(Linear::load(weight, bias, device)?)
        };
        Ok(Self {
            attention_norm: vector(weights::norm(gguf, config, layer, "attn_norm")?, device)?,
            query: linear(Projection::Query)?,
            key: linear(Projection::Key)?,
            value: linear(Projection::Value)?,
            attention_output: linear(Projection::Output)?,
            feed_forward_norm: vector(weights::norm(gguf, config, layer, "ffn_norm")?, device)?,
            gate: linear(Projection::Gate)?,
            up: linear(Projection::Up)?,
            down: linear(Projection::Down)?,
        })
    }

    fn linear(&mut self, projection: Projection) -> &mut Linear {
        match projection {
            Projection::Query => &mut self.query,
            Projection::Key => &mut self.key,
            Projection::Value => &mut self.value,
            Projection::Output => &mut self.attention_output,
            Projection::Gate => &mut self.gate,
            Projection::Up => &mut self.up,
            Projection::Down => &mut self.down,
        }
    }

    fn forward(
        &self,
        config: &Config,
        rotary: &Rotary,
        x: &Tensor,
        cache: &mut TensorLayer,
        position: usize,
        mask: Option<&Tensor>,
    ) -> CandleResult<Tensor> {
        let tokens = x.dim(0)?;
        let heads = |y: Tensor, count: usize| -> CandleResult<Tensor> {
            y.reshape((1, tokens, count, config.head_dim))?
                .transpose(1, 2)?
                .contiguous()
        };
        let normed = ops::rms_norm(x, &self.attention_norm, config.norm_epsilon)?;
        let q = rotary.apply(&heads(self.query.forward(&normed)?, config.heads)?, position)?;
        let k = rotary.apply(&heads(self.key.forward(&normed)?, config.kv_heads)?, position)?;
        let v = heads(self.value.forward(&normed)?, config.kv_heads)?;
        let (k, v) = cache.append(&k, &v, position)?;
        let attended = ops::attention(&q, &k, &v, mask)?;
        let attended = attended
            .transpose(1, 2)?
            .reshape((tokens, config.query_width()))?;
        let x = (x + self.attention_output.forward(&attended)?)?;
        let normed = ops::rms_norm(&x, &self.feed_forward_norm, config.norm_epsilon)?;
        let inner = ops::swiglu(&self.gate.forward(&normed)?, &self.up.forward(&normed)?)?;
        x + self.down.forward(&inner)?
    }
}

impl TensorLayer {
    fn new(config: &Config, capacity: usize, device: &Device) -> CandleResult<Self> {
        let shape = (
            1,
            config.kv_heads,
            capacity.next_multiple_of(CACHE_STEP).max(CACHE_STEP),
            config.head_dim,
        );
        let zeros = || Tensor::zeros(shape, DType::F32, device);
        Ok(Self {
            k: zeros()?,
            v: zeros()?,
        })
    }

    pub(crate) fn bytes(&self) -> usize {
        2 * self.k.elem_count() * DType::F32.size_in_bytes()
    }

    pub(crate) fn fork(&self, len: usize) -> CandleResult<Self> {
        Ok(Self {
            k: with_capacity(&self.k, len, len)?,
            v: with_capacity(&self.v, len, len)?,
        })
    }

    /// Writes at `position`; gives all keys and values up to there.
    fn append(&mut self, k: &Tensor, v: &Tensor, position: usize) -> CandleResult<(Tensor, Tensor)> {
        let end = position + k.dim(2)?;
        if end > self.k.dim(2)? {
            let capacity = end.max(position * 2);
            self.k = with_capacity(&self.k, position, capacity)?;
            self.v = with_capacity(&self.v, position, capacity)?;
        }
        self.k.slice_set(&k.contiguous()?, 2, position)?;
        self.v.slice_set(&v.contiguous()?, 2, position)?;
        Ok((self.k.narrow(2, 0, end)?, self.v.narrow(2, 0, end)?))
    }
}

/// A copy of the first `len` positions with room for `capacity`.
fn with_capacity(tensor: &Tensor, len: usize, capacity: usize) -> CandleResult<Tensor> {
    let (one, heads, _, head_dim) = tensor.dims4()?;
    let capacity = capacity.next_multiple_of(CACHE_STEP).max(CACHE_STEP);
    let grown = Tensor::zeros((one, heads, capacity, head_dim), tensor.dtype(), tensor.device())?;
    if len > 0 {
        grown.slice_set(&tensor.narrow(2, 0, len)?.contiguous()?, 2, 0)?;
    }
    Ok(grown)
}

fn vector(values: Vec<f32>, device: &Device) -> CandleResult<Tensor> {
    let len = values.len();
    Tensor::from_vec(values, len, device)
}
