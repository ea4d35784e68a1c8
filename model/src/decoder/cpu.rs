//! The decoder on the CPU: the same steps as `tensor`, over plain slices that are reused from call to call.

use std::sync::Arc;

use crate::cpu::attention::{HostLayer, attend};
use crate::cpu::linear::{HostLinear, HostLora, Input, Shared, Target, multiply};
use crate::cpu::pool::Pool;
use crate::cpu::vector;
use crate::gguf::Gguf;
use crate::kv_cache::{KvCache, Layers};
use crate::lora::{LoraAdapter, Projection};

use super::embedding::Embedding;
use super::rope::RopeTable;
use super::{Architecture, Config, DecoderError, Logits, Pairs, weights};

/// A model in memory.
#[derive(Debug)]
pub(crate) struct CpuDecoder {
    config: Config,
    pool: Pool,
    embedding: Embedding,
    layers: Vec<Layer>,
    norm: Vec<f32>,
    output: HostLinear,
    rope: RopeTable,
    scratch: Scratch,
}

#[derive(Debug)]
struct Layer {
    attention_norm: Vec<f32>,
    query: HostLinear,
    key: HostLinear,
    value: HostLinear,
    attention_output: HostLinear,
    feed_forward_norm: Vec<f32>,
    gate: HostLinear,
    up: HostLinear,
    down: HostLinear,
}

/// Activations between the steps.
#[derive(Debug, Default)]
struct Scratch {
    input: Input,
    /// `(tokens, heads, head_dim)`
    query: Vec<f32>,
    /// `(tokens, kv_heads, head_dim)`
    key: Vec<f32>,
    value: Vec<f32>,
    /// `(tokens, heads, head_dim)`
    attended: Vec<f32>,
    /// `(tokens, feed_forward)`
    gate: Vec<f32>,
    up: Vec<f32>,
}

/// Rotations of the tokens of one call, `(tokens, head_dim / 2)`.
struct Rotation {
    architecture: Architecture,
    half: usize,
    cos: Vec<f32>,
    sin: Vec<f32>,
}

impl CpuDecoder {
    pub(crate) fn load(gguf: &Gguf, config: &Config, threads: usize) -> Result<Self, DecoderError> {
        let pool = Pool::new(threads);
        let layers: Result<Vec<_>, _> = (0..config.layers)
            .map(|layer| Layer::load(gguf, config, layer, &pool))
            .collect();
        Ok(Self {
            config: config.clone(),
            embedding: Embedding::load(gguf, config)?,
            layers: layers?,
            norm: weights::output_norm(gguf, config)?,
            output: HostLinear::load(weights::output(gguf, config)?, None, &pool)?,
            rope: RopeTable::load(gguf, config)?,
            scratch: Scratch::default(),
            pool,
        })
    }

    /// An adapter's pairs as they are applied here.
    pub(crate) fn prepare(&self, adapter: &LoraAdapter) -> Pairs<Arc<HostLora>> {
        let pair = |(layer, projection, _)| {
            let weights = adapter.module_for(&self.config, layer, projection)?;
            Some(((layer, projection), Arc::new(HostLora::new(&weights))))
        };
        adapter.modules().filter_map(pair).collect()
    }

    /// Applies these pairs and no others.
    pub(crate) fn apply(&mut self, pairs: &Pairs<Arc<HostLora>>) {
        for (number, layer) in self.layers.iter_mut().enumerate() {
            for projection in Projection::ALL {
                let pair = pairs.get(&(number, projection)).cloned();
                layer.linear(projection).set_lora(pair);
            }
        }
    }

    pub(crate) fn cache(&self) -> KvCache {
        let layer = |_| HostLayer::new(self.config.kv_heads, self.config.head_dim);
        KvCache::new(Layers::Host((0..self.config.layers).map(layer).collect()))
    }

    /// Embedding, layers, norm, logits: the paper's order. `x` is the residual stream, `(tokens, hidden)`.
    pub(crate) fn forward(
        &mut self,
        tokens: &[u32],
        cache: &mut KvCache,
        logits: Logits,
    ) -> Result<Vec<f32>, DecoderError> {
        let position = cache.len();
        let Layers::Host(cached) = &mut cache.layers else {
            return Err(DecoderError::ForeignCache);
        };
        let mut x = self.embedding.rows(tokens)?;
        let (cos, sin) = self.rope.rows(position..position + tokens.len());
        let rotation = Rotation {
            architecture: self.config.architecture,
            half: self.rope.half(),
            cos,
            sin,
        };
        for (layer, kv) in self.layers.iter().zip(cached) {
            layer.forward(
                &self.config,
                &self.pool,
                &rotation,
                &mut x,
                kv,
                position,
                &mut self.scratch,
            );
        }
        cache.advance(tokens.len());
        let hidden = self.config.hidden;
        let first = match logits {
            Logits::None => return Ok(Vec::new()),
            Logits::Last => tokens.len() - 1,
            Logits::All => 0,
        };
        Ok(self.logits(&x[first * hidden..]))
    }

    fn logits(&mut self, x: &[f32]) -> Vec<f32> {
        let hidden = self.config.hidden;
        let epsilon = self.config.norm_epsilon as f32;
        let tokens = x.len() / hidden;
        let input = &mut self.scratch.input;
        input.resize(tokens, hidden);
        input.prepare(&self.pool, &[&self.output], |token, out| {
            vector::rms_norm(&x[token * hidden..][..hidden], &self.norm, epsilon, out);
        });
        let mut logits = vec![0.0; tokens * self.output.rows()];
        let target = Target {
            linear: &self.output,
            out: &mut logits,
            add: false,
        };
        multiply(&self.pool, input, &mut [target]);
        logits
    }
}

impl Layer {
    fn load(gguf: &Gguf, config: &Config, layer: usize, pool: &Pool) -> Result<Self, DecoderError> {
        let linear = |projection: Projection| -> Result<HostLinear, DecoderError> {
            let weight = weights::linear(gguf, config, layer, projection)?;
            let bias = weights::bias(gguf, config, layer, projection)?;
            Ok(HostLinear::load(weight, bias, pool)?)
        };
        Ok(Self {
            attention_norm: weights::norm(gguf, config, layer, "attn_norm")?,
            query: linear(Projection::Query)?,
            key: linear(Projection::Key)?,
            value: linear(Projection::Value)?,
            attention_output: linear(Projection::Output)?,
            feed_forward_norm: weights::norm(gguf, config, layer, "ffn_norm")?,
            gate: linear(Projection::Gate)?,
            up: linear(Projection::Up)?,
            down: linear(Projection::Down)?,
        })
    }

    fn linear(&mut self, projection: Projection) -> &mut HostLinear {
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

    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of a decoder that a layer works with"
    )]
    fn forward(
        &self,
        config: &Config,
        pool: &Pool,
        rotation: &Rotation,
        x: &mut [f32],
        cache: &mut HostLayer,
        position: usize,
        scratch: &mut Scratch,
    ) {
        let tokens = x.len() / config.hidden;
        scratch.resize(config, tokens);
        self.project(config, pool, x, scratch);
        rotation.apply(pool, &mut scratch.query, config.query_width());
        rotation.apply(pool, &mut scratch.key, config.kv_width());
        let kv = scratch
            .key
            .chunks_exact(config.kv_width())
            .zip(scratch.value.chunks_exact(config.kv_width()));
        for (token, (key, value)) in kv.enumerate() {
            cache.write(position + token, key, value);
        }
        attend(
            pool,
            cache,
            &scratch.query,
            config.heads,
            position,
            &mut scratch.attended,
        );
        self.add_attention(config, pool, x, scratch);
        self.add_feed_forward(config, pool, x, scratch);
    }

    /// Norm, then queries, keys and values.
    fn project(&self, config: &Config, pool: &Pool, x: &[f32], scratch: &mut Scratch) {
        let hidden = config.hidden;
        let epsilon = config.norm_epsilon as f32;
        let input = &mut scratch.input;
        input.resize(x.len() / hidden, hidden);
        input.prepare(pool, &[&self.query, &self.key, &self.value], |token, out| {
            vector::rms_norm(&x[token * hidden..][..hidden], &self.attention_norm, epsilon, out);
        });
        let targets = &mut [
            Target {
                linear: &self.query,
                out: &mut scratch.query,
                add: false,
            },
            Target {
                linear: &self.key,
                out: &mut scratch.key,
                add: false,
            },
            Target {
                linear: &self.value,
                out: &mut scratch.value,
                add: false,
            },
        ];
        multiply(pool, input, targets);
    }

    fn add_attention(&self, config: &Config, pool: &Pool, x: &mut [f32], scratch: &mut Scratch) {
        let width = config.query_width();
        let (input, attended) = (&mut scratch.input, &scratch.attended);
        input.resize(x.len() / config.hidden, width);
        input.prepare(pool, &[&self.attention_output], |token, out| {
            out.copy_from_slice(&attended[token * width..][..width]);
        });
        multiply(
            pool,
            input,
            &mut [Target {
                linear: &self.attention_output,
                out: x,
                add: true,
            }],
        );
    }

    #[expect(unsafe_code, reason = "threads read and write disjoint tokens")]
    fn add_feed_forward(&self, config: &Config, pool: &Pool, x: &mut [f32], scratch: &mut Scratch) {
        let (hidden, width) = (config.hidden, config.feed_forward);
        let epsilon = config.norm_epsilon as f32;
        let input = &mut scratch.input;
        input.resize(x.len() / hidden, hidden);
        input.prepare(pool, &[&self.gate, &self.up], |token, out| {
            vector::rms_norm(
                &x[token * hidden..][..hidden],
                &self.feed_forward_norm,
                epsilon,
                out,
            );
        });
        let targets = &mut [
            Target {
                linear: &self.gate,
                out: &mut scratch.gate,
                add: false,
            },
            Target {
                linear: &self.up,
                out: &mut scratch.up,
                add: false,
            },
        ];
        multiply(pool, input, targets);
        let (gate, up) = (Shared::new(&mut scratch.gate), &scratch.up);
        input.resize(x.len() / hidden, width);
        input.prepare(pool, &[&self.down], |token, out| {
            // SAFETY: a token is prepared by one thread.
            let gate = unsafe { gate.slice(token * width, width) };
            vector::swiglu(gate, &up[token * width..][..width]);
            out.copy_from_slice(gate);
        });
        multiply(
            pool,
            input,
            &mut [Target {
                linear: &self.down,
                out: x,
                add: true,
            }],
        );
    }
}

impl Scratch {
    fn resize(&mut self, config: &Config, tokens: usize) {
        self.query.resize(tokens * config.query_width(), 0.0);
        self.key.resize(tokens * config.kv_width(), 0.0);
        self.value.resize(tokens * config.kv_width(), 0.0);
        self.attended.resize(tokens * config.query_width(), 0.0);
        self.gate.resize(tokens * config.feed_forward, 0.0);
        self.up.resize(tokens * config.feed_forward, 0.0);
    }
}

impl Rotation {
    /// Rotates every head of every token, `width` numbers each.
    #[expect(unsafe_code, reason = "threads write disjoint tokens")]
    fn apply(&self, pool: &Pool, heads: &mut [f32], width: usize) {
        let tokens = heads.len() / width;
        let shared = Shared::new(heads);
        pool.for_ranges(tokens, 16, |range| {
            for token in range {
                let table = token * self.half..(token + 1) * self.half;
                // SAFETY: a token is in one range.
                let heads = unsafe { shared.slice(token * width, width) };
                for head in heads.chunks_exact_mut(2 * self.half) {
                    self.rotate(head, &self.cos[table.clone()], &self.sin[table.clone()]);
                }
            }
        });
    }

    fn rotate(&self, head: &mut [f32], cos: &[f32], sin: &[f32]) {
        match self.architecture {
            Architecture::Llama => {
                for (pair, (cos, sin)) in head.as_chunks_mut::<2>().0.iter_mut().zip(cos.iter().zip(sin)) {
                    *pair = [pair[0] * cos - pair[1] * sin, pair[1] * cos + pair[0] * sin];
                }
            }
            Architecture::Qwen2 => {
                let (left, right) = head.split_at_mut(self.half);
                for ((a, b), (cos, sin)) in left.iter_mut().zip(right).zip(cos.iter().zip(sin)) {
                    (*a, *b) = (*a * cos - *b * sin, *b * cos + *a * sin);
                }
            }
        }
    }
}
