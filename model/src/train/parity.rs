//! Logits, losses and gradients beside those of transformers and PEFT, stored by `fixtures/training/make.py`.
//!
//! The reference is computed in F64, for in F32 PyTorch's own rounding is the larger part of what differs.

use std::fs::File;

use candle_core::{Device, Tensor};
use flate2::read::GzDecoder;
use serde::Deserialize;

use super::recompute::{Gradients, accumulate};
use super::*;
use crate::gguf::Gguf;
use crate::lora::{LoraAdapter, LoraWeights, Projection};
use crate::testing::{QWEN, SMOLLM2, model_file};
use crate::tokenizer::Tokenizer;

const CPU: Device = Device::Cpu;
const RANK: usize = 8;
const ALPHA: f64 = 16.0;
const PROJECTIONS: u64 = 4;

#[derive(Deserialize)]
struct Fixture {
    sequences: Vec<(Vec<u32>, Vec<u32>)>,
    base: Logits,
    adapted: Logits,
    examples: Vec<Example>,
    losses: Vec<f32>,
    /// Norm and products with random signs, of A and B of each module of each layer.
    gradients: Vec<Vec<f64>>,
}

#[derive(Deserialize)]
struct Logits {
    largest: f32,
    argmax: Vec<u32>,
    samples: Vec<(usize, f32)>,
}

#[derive(Deserialize)]
struct Example {
    id: String,
    prompt: Vec<u32>,
    completion: Vec<u32>,
    loss: f64,
}

fn fixture(name: &str) -> Fixture {
    let path = format!(
        "{}/../fixtures/training/{name}.json.gz",
        env!("CARGO_MANIFEST_DIR")
    );
    let file = File::open(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_reader(GzDecoder::new(file)).unwrap()
}

/// SplitMix64 of the numbers seed · 2³² + 1, + 2, …, as `make.py` draws it.
fn bits(count: usize, seed: u64) -> impl Iterator<Item = u64> {
    (1..=count as u64).map(move |i| {
        let z = ((seed << 32) + i).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    })
}

fn uniform(count: usize, seed: u64) -> Vec<f32> {
    let number = |bits: u64| ((bits >> 40) as f32 / (1u32 << 24) as f32 - 0.5) / 16.0;
    bits(count, seed).map(number).collect()
}

/// The number of A or B of a module, as `make.py` counts them.
fn number(layer: usize, projection: Projection, b: bool) -> u64 {
    ((layer * 7 + projection as usize) * 2 + usize::from(b)) as u64
}

fn adapter(model: &LoraModel) -> LoraAdapter {
    let config = model.config();
    let modules = (0..config.layers).flat_map(|layer| Projection::ALL.map(|projection| (layer, projection)));
    let pair = |(layer, projection): (usize, Projection)| {
        let (rows, columns) = projection.shape(config);
        let weights = LoraWeights {
            rank: RANK,
            a: uniform(RANK * columns, 1000 + number(layer, projection, false)),
            b: uniform(rows * RANK, 1000 + number(layer, projection, true)),
            scale: (ALPHA / RANK as f64) as f32,
        };
        (layer, projection, weights)
    };
    LoraAdapter::new("fixture".to_owned(), modules.map(pair))
}

fn check_logits(model: &LoraModel, tokens: &[u32], stored: &Logits) {
    let sequence = Sequence {
        tokens: tokens.to_vec(),
        prompt: tokens.len(),
    };
    let logits = model
        .logits(&Batch::new([&sequence]))
        .unwrap()
        .squeeze(0)
        .unwrap();
    let argmax: Vec<u32> = logits.argmax(1).unwrap().to_vec1().unwrap();
    assert_eq!(argmax, stored.argmax);
    let logits: Vec<f32> = logits.flatten_all().unwrap().to_vec1().unwrap();
    let largest = logits.iter().fold(0f32, |most, x| most.max(x.abs()));
    assert!(
        (largest - stored.largest).abs() < 1e-3,
        "{largest} {}",
        stored.largest
    );
    for (place, value) in &stored.samples {
        let off = (logits[*place] - value).abs();
        assert!(off < 1e-3, "the logit at {place} is {off} off {value}");
    }
}

fn check(model_name: &str, fixture_name: &str) {
    let fixture = fixture(fixture_name);
    let gguf = Gguf::open(&model_file(model_name)).unwrap();
    let options = LoraOptions {
        rank: RANK,
        alpha: ALPHA,
        targets: Projection::ALL.to_vec(),
        dropout: 0.0,
        seed: 0,
    };
    let model = LoraModel::load(&gguf, Some(&options), &CPU).unwrap();
    let first = fixture.sequences[0].0.as_slice();
    check_logits(&model, first, &fixture.base);
    check_examples(&gguf, &model, &fixture.examples);
    model.set_adapter(&adapter(&model)).unwrap();
    check_logits(&model, first, &fixture.adapted);
    check_gradients(&model, &fixture);
}

/// The mean loss of completions as the tokenizer and the loss mask make it, to a ten-thousandth.
fn check_examples(gguf: &Gguf, model: &LoraModel, examples: &[Example]) {
    let tokenizer = Tokenizer::from_gguf(gguf).unwrap();
    let sequences: Vec<Sequence> = examples
        .iter()
        .map(|example| {
            let text = tokenizer.decode(&example.completion);
            assert_eq!(
                tokenizer.encode_answer(&text).unwrap(),
                example.completion,
                "{}",
                example.id
            );
            Sequence {
                tokens: [example.prompt.as_slice(), &example.completion].concat(),
                prompt: example.prompt.len(),
            }
        })
        .collect();
    let tally = measure(model, &Completions(&sequences), 2, |_, _| {}).unwrap();
    let tokens: usize = examples.iter().map(|example| example.completion.len()).sum();
    let stored: f64 = examples.iter().map(|example| example.loss).sum::<f64>() / tokens as f64;
    assert_eq!(tally.weight, tokens);
    assert!((tally.mean() - stored).abs() < 1e-4, "{} {stored}", tally.mean());
}

fn check_gradients(model: &LoraModel, fixture: &Fixture) {
    let sequences: Vec<Sequence> = fixture
        .sequences
        .iter()
        .map(|(prompt, completion)| Sequence {
            tokens: [prompt.as_slice(), completion].concat(),
            prompt: prompt.len(),
        })
        .collect();
    let batch = Batch::new(&sequences);
    let mut gradients = Gradients::new(model);
    let losses = accumulate(model, &batch, Activations::Recomputed, &mut gradients, |x| {
        let losses = model.losses(x, &batch)?;
        Ok((losses.mean_all()?, losses.to_vec1::<f32>()?))
    });
    let losses = losses.unwrap();
    assert_eq!(losses.len(), fixture.losses.len());
    for (ours, stored) in losses.iter().zip(&fixture.losses) {
        assert!((ours - stored).abs() < 1e-3, "{ours} {stored}");
    }
    let mean = |losses: &[f32]| losses.iter().sum::<f32>() / losses.len() as f32;
    assert!((mean(&losses) - mean(&fixture.losses)).abs() < 1e-4);
    let (mut difference, mut total, mut worst) = (0.0, 0.0, (0.0, 0));
    let gradients = gradients.tensors().unwrap();
    assert_eq!(gradients.len(), fixture.gradients.len());
    for (index, (gradient, stored)) in gradients.iter().zip(&fixture.gradients).enumerate() {
        let (off, norm) = gradient_error(gradient, index as u64, stored);
        if off / norm > worst.0 {
            worst = (off / norm, index);
        }
        difference += off * off;
        total += norm * norm;
    }
    let relative = f64::sqrt(difference / total);
    let text = format!(
        "all gradients together {relative:.1e}, number {} alone {:.1e}",
        worst.1, worst.0
    );
    assert!(relative < 2e-4 && worst.0 < 1e-3, "{text}");
}

/// An estimate of the norm of the difference to the stored gradient, and the stored norm. The product of a vector with
/// random signs is as large as the vector's norm, in the root of the mean square.
fn gradient_error(gradient: &Tensor, index: u64, stored: &[f64]) -> (f64, f64) {
    let values: Vec<f32> = gradient.flatten_all().unwrap().to_vec1().unwrap();
    let norm = values.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    let mut squares = 0.0;
    for k in 0..PROJECTIONS {
        let signs = bits(values.len(), 100_000 + index * 8 + k);
        let product: f64 = values
            .iter()
            .zip(signs)
            .map(|(x, bits)| f64::from(*x) * (1.0 - 2.0 * (bits >> 63) as f64))
            .sum();
        squares += (product - stored[1 + k as usize]).powi(2);
    }
    let off = (squares / PROJECTIONS as f64).sqrt();
    (off.max((norm - stored[0]).abs()), stored[0])
}

#[test]
fn smollm2_is_what_transformers_and_peft_compute() {
    check(SMOLLM2, "smollm2");
}

#[test]
fn qwen_is_what_transformers_and_peft_compute() {
    check(QWEN, "qwen");
}
