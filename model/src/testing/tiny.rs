//! A seeded two-layer model with random weights and a byte vocabulary: the real decoder in under a megabyte.

use candle_core::quantized::QTensor;
use candle_core::{Device, Tensor};

use crate::decoder::Architecture;
use crate::gguf::{Array, Quantization, Value};

use super::GgufWriter;

const LAYERS: usize = 2;
const HIDDEN: usize = 256;
const HEADS: usize = 4;
const KV_HEADS: usize = 2;
const HEAD_DIM: usize = HIDDEN / HEADS;
const FEED_FORWARD: usize = 512;
const CONTEXT: usize = 512;
/// Tokens that are text: the bytes, and one pair, for a vocabulary needs a merge.
const TEXTS: usize = 257;
/// The control tokens of a chat, which follow.
const CONTROLS: [&str; 3] = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"];
/// The token that ends an answer.
pub const TINY_END: u32 = TEXTS as u32 + 2;
const CHAT_TEMPLATE: &str = "{% for message in messages %}<|im_start|>{{ message['role'] }}\n\
    {{ message['content'] }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

/// What a tiny model is made of. Equal values give equal files.
#[derive(Debug, Clone, Copy)]
pub struct TinyModel {
    /// The architecture.
    pub architecture: Architecture,
    /// How its matrices are stored; norms and biases are 32-bit floats.
    pub quantization: Quantization,
    /// Decides the weights.
    pub seed: u64,
    /// Whether the embedding table is the output layer too.
    pub tied: bool,
}

impl TinyModel {
    /// A file of this model, to be changed further or written.
    #[must_use]
    pub fn writer(&self) -> GgufWriter {
        let mut writer = GgufWriter::new();
        self.sizes(&mut writer);
        tokenizer(&mut writer);
        let mut random = Random(self.seed);
        let vocabulary = TEXTS + CONTROLS.len();
        self.matrix(
            &mut writer,
            "token_embd.weight",
            [vocabulary, HIDDEN],
            &mut random,
        );
        for layer in 0..LAYERS {
            self.layer(&mut writer, layer, &mut random);
        }
        norm(&mut writer, "output_norm.weight", &mut random);
        if !self.tied {
            self.matrix(&mut writer, "output.weight", [vocabulary, HIDDEN], &mut random);
        }
        writer
    }

    fn sizes(&self, writer: &mut GgufWriter) {
        let name = self.architecture.name();
        writer.set("general.architecture", Value::String(name.to_owned()));
        writer.set("general.name", Value::String("tiny".to_owned()));
        for (key, size) in [
            ("block_count", LAYERS),
            ("context_length", CONTEXT),
            ("embedding_length", HIDDEN),
            ("feed_forward_length", FEED_FORWARD),
            ("attention.head_count", HEADS),
            ("attention.head_count_kv", KV_HEADS),
            ("rope.dimension_count", HEAD_DIM),
        ] {
            writer.set(&format!("{name}.{key}"), Value::Unsigned(size as u64));
        }
        writer.set(&format!("{name}.rope.freq_base"), Value::Float(10_000.0));
        writer.set(
            &format!("{name}.attention.layer_norm_rms_epsilon"),
            Value::Float(1e-5),
        );
    }

    fn layer(&self, writer: &mut GgufWriter, layer: usize, random: &mut Random) {
        let kv = KV_HEADS * HEAD_DIM;
        norm(writer, &format!("blk.{layer}.attn_norm.weight"), random);
        norm(writer, &format!("blk.{layer}.ffn_norm.weight"), random);
        for (tensor, shape) in [
            ("attn_q", [HIDDEN, HIDDEN]),
            ("attn_k", [kv, HIDDEN]),
            ("attn_v", [kv, HIDDEN]),
            ("attn_output", [HIDDEN, HIDDEN]),
            ("ffn_gate", [FEED_FORWARD, HIDDEN]),
            ("ffn_up", [FEED_FORWARD, HIDDEN]),
            ("ffn_down", [HIDDEN, FEED_FORWARD]),
        ] {
            self.matrix(writer, &format!("blk.{layer}.{tensor}.weight"), shape, random);
            let biased = matches!(tensor, "attn_q" | "attn_k" | "attn_v");
            if biased && self.architecture == Architecture::Qwen2 {
                let bias: Vec<f32> = (0..shape[0]).map(|_| random.normal() * 0.1).collect();
                let name = format!("blk.{layer}.{tensor}.bias");
                writer.tensor(&name, &shape[..1], Quantization::F32, float_bytes(&bias));
            }
        }
    }

    fn matrix(&self, writer: &mut GgufWriter, name: &str, shape: [usize; 2], random: &mut Random) {
        let deviation = 1.0 / (shape[1] as f32).sqrt();
        let values: Vec<f32> = (0..shape[0] * shape[1])
            .map(|_| random.normal() * deviation)
            .collect();
        writer.tensor(
            name,
            &shape,
            self.quantization,
            quantize(&values, self.quantization),
        );
    }
}

/// Stores numbers; whole blocks only.
///
/// # Panics
/// Where candle refuses to quantize, which it does for no type of ours.
fn quantize(values: &[f32], quantization: Quantization) -> Vec<u8> {
    let stored = Tensor::from_slice(values, values.len(), &Device::Cpu)
        .and_then(|tensor| QTensor::quantize(&tensor, quantization.to_candle()))
        .and_then(|tensor| tensor.data().map(std::borrow::Cow::into_owned));
    stored.unwrap_or_else(|error| panic!("{} was not quantized: {error}", quantization.name()))
}

fn norm(writer: &mut GgufWriter, name: &str, random: &mut Random) {
    let values: Vec<f32> = (0..HIDDEN).map(|_| 1.0 + random.normal() * 0.1).collect();
    writer.tensor(name, &[HIDDEN], Quantization::F32, float_bytes(&values));
}

fn float_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// GPT-2's byte vocabulary: one token a byte, but for a space before a `t`.
fn tokenizer(writer: &mut GgufWriter) {
    let mut tokens: Vec<String> = byte_pieces();
    tokens.push("\u{120}t".to_owned());
    tokens.extend(CONTROLS.map(str::to_owned));
    let mut kinds = vec![1; TEXTS];
    kinds.resize(tokens.len(), 3);
    writer.set("tokenizer.ggml.model", Value::String("gpt2".to_owned()));
    writer.set("tokenizer.ggml.pre", Value::String("qwen2".to_owned()));
    writer.set("tokenizer.ggml.tokens", Value::Array(Array::String(tokens)));
    writer.set("tokenizer.ggml.token_type", Value::Array(Array::Signed(kinds)));
    writer.set(
        "tokenizer.ggml.merges",
        Value::Array(Array::String(vec!["\u{120} t".to_owned()])),
    );
    writer.set("tokenizer.ggml.bos_token_id", Value::Unsigned(TEXTS as u64));
    writer.set(
        "tokenizer.ggml.eos_token_id",
        Value::Unsigned(u64::from(TINY_END)),
    );
    writer.set("tokenizer.ggml.add_bos_token", Value::Bool(false));
    writer.set("tokenizer.chat_template", Value::String(CHAT_TEMPLATE.to_owned()));
}

/// How GPT-2 writes each byte: printable ones as they are, the others from U+0100 on.
fn byte_pieces() -> Vec<String> {
    let mut next = 0x100;
    let mut piece = |byte: u8| {
        if matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff) {
            return char::from(byte).to_string();
        }
        next += 1;
        char::from_u32(next - 1).map(String::from).unwrap_or_default()
    };
    (0..=255).map(&mut piece).collect()
}

/// SplitMix64, and sums of it that are normal enough for weights.
struct Random(u64);

impl Random {
    fn unit(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / (1u32 << 24) as f32
    }

    /// Mean 0, deviation 1 (Irwin and Hall).
    fn normal(&mut self) -> f32 {
        (0..12).map(|_| self.unit()).sum::<f32>() - 6.0
    }
}
