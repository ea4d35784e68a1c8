//! Writes a file with Mistral-7B-v0.3's shapes and llama.cpp's Q4_K_M mix of types, filled with random weights:
//! what speed is measured on where the real 4.4 GB cannot be had.
//!
//! ```text
//! cargo run --release -p bigquill-model --example mistral_shape -- mistral-7b-shape.gguf
//! ```
//!
//! Each matrix repeats one tile of normally distributed weights, quantized once a type. There is no vocabulary: the
//! decoder runs the file, the engine refuses it.
#![allow(clippy::print_stdout)] // a program for the terminal

use std::error::Error;

use bigquill_model::gguf::{Quantization, Value};
use bigquill_model::testing::GgufWriter;
use candle_core::quantized::QTensor;
use candle_core::{Device, Tensor};

const LAYERS: usize = 32;
const HIDDEN: usize = 4096;
const HEADS: usize = 32;
const KV_HEADS: usize = 8;
const KV: usize = KV_HEADS * HIDDEN / HEADS;
const FEED_FORWARD: usize = 14_336;
const VOCABULARY: usize = 32_768;
/// Weights of a tile: whole blocks of every type.
const TILE: usize = 1 << 16;
/// Standard deviation of the weights.
const SPREAD: f32 = 0.02;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: mistral_shape FILE.gguf")?;
    let tile = Tensor::randn(0f32, SPREAD, TILE, &Device::Cpu)?;
    let mut writer = metadata();
    let mut matrix = |name: &str, shape: [usize; 2], quantization: Quantization| {
        let stored = QTensor::quantize(&tile, quantization.to_candle())?;
        let repeats = shape[0] * shape[1] / TILE;
        let data = stored.data()?.repeat(repeats);
        writer.tensor(name, &shape, quantization, data);
        Ok::<(), candle_core::Error>(())
    };
    matrix("token_embd.weight", [VOCABULARY, HIDDEN], Quantization::Q4_K)?;
    matrix("output.weight", [VOCABULARY, HIDDEN], Quantization::Q6_K)?;
    for layer in 0..LAYERS {
        let finer = if more_bits(layer) {
            Quantization::Q6_K
        } else {
            Quantization::Q4_K
        };
        for (tensor, shape, quantization) in [
            ("attn_q", [HIDDEN, HIDDEN], Quantization::Q4_K),
            ("attn_k", [KV, HIDDEN], Quantization::Q4_K),
            ("attn_v", [KV, HIDDEN], finer),
            ("attn_output", [HIDDEN, HIDDEN], Quantization::Q4_K),
            ("ffn_gate", [FEED_FORWARD, HIDDEN], Quantization::Q4_K),
            ("ffn_up", [FEED_FORWARD, HIDDEN], Quantization::Q4_K),
            ("ffn_down", [HIDDEN, FEED_FORWARD], finer),
        ] {
            matrix(&format!("blk.{layer}.{tensor}.weight"), shape, quantization)?;
        }
    }
    norms(&mut writer);
    std::fs::write(&path, writer.to_bytes())?;
    println!("{path}");
    Ok(())
}

/// Which layers llama.cpp's Q4_K_M gives six bits in `attn_v` and `ffn_down`: the outer eighths, and every third between.
fn more_bits(layer: usize) -> bool {
    !(LAYERS / 8..7 * LAYERS / 8).contains(&layer) || (layer - LAYERS / 8) % 3 == 2
}

fn metadata() -> GgufWriter {
    let mut writer = GgufWriter::new();
    let name = "Mistral-7B-v0.3 shape, random weights";
    writer.set("general.architecture", Value::String("llama".to_owned()));
    writer.set("general.name", Value::String(name.to_owned()));
    for (key, size) in [
        ("block_count", LAYERS),
        ("context_length", 32_768),
        ("embedding_length", HIDDEN),
        ("feed_forward_length", FEED_FORWARD),
        ("attention.head_count", HEADS),
        ("attention.head_count_kv", KV_HEADS),
        ("rope.dimension_count", HIDDEN / HEADS),
    ] {
        writer.set(&format!("llama.{key}"), Value::Unsigned(size as u64));
    }
    writer.set("llama.rope.freq_base", Value::Float(1e6));
    writer.set("llama.attention.layer_norm_rms_epsilon", Value::Float(1e-5));
    writer
}

fn norms(writer: &mut GgufWriter) {
    let ones: Vec<u8> = std::iter::repeat_n(1f32.to_le_bytes(), HIDDEN)
        .flatten()
        .collect();
    let mut norm = |name: &str| {
        writer.tensor(name, &[HIDDEN], Quantization::F32, ones.clone());
    };
    norm("output_norm.weight");
    for layer in 0..LAYERS {
        norm(&format!("blk.{layer}.attn_norm.weight"));
        norm(&format!("blk.{layer}.ffn_norm.weight"));
    }
}
