//! The decoder's logits against candle-transformers' on the same files.

use std::fs::File;
use std::path::Path;

use bigquill_model::decoder::{Architecture, Decoder, Logits, Placement};
use bigquill_model::gguf::Gguf;
use bigquill_model::sampler::argmax;
use bigquill_model::testing::{QWEN, SMOLLM2, model_file};
use candle_core::quantized::gguf_file::Content;
use candle_core::{Device, Tensor};
use candle_transformers::models::{quantized_llama, quantized_qwen2};

/// Ids that stand in both vocabularies.
fn prompt() -> Vec<u32> {
    (0..40u32).map(|i| 300 + i * i * 7 % 20_000).collect()
}

fn reference(path: &Path, tokens: &[u32]) -> Vec<f32> {
    let mut file = File::open(path).unwrap();
    let content = Content::read(&mut file).unwrap();
    let architecture = content.metadata["general.architecture"]
        .to_string()
        .unwrap()
        .clone();
    let input = Tensor::new(tokens, &Device::Cpu).unwrap().unsqueeze(0).unwrap();
    let logits = if architecture == "qwen2" {
        let mut model = quantized_qwen2::ModelWeights::from_gguf(content, &mut file, &Device::Cpu).unwrap();
        model.forward(&input, 0)
    } else {
        let mut model = quantized_llama::ModelWeights::from_gguf(content, &mut file, &Device::Cpu).unwrap();
        model.forward(&input, 0)
    };
    logits.unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

/// Root of the squared difference over the reference's squared deviation from its mean.
fn relative_error(ours: &[f32], theirs: &[f32]) -> f64 {
    let mean = theirs.iter().map(|x| f64::from(*x)).sum::<f64>() / theirs.len() as f64;
    let squared = |x: f64| x * x;
    let error: f64 = ours
        .iter()
        .zip(theirs)
        .map(|(a, b)| squared(f64::from(a - b)))
        .sum();
    let spread: f64 = theirs.iter().map(|b| squared(f64::from(*b) - mean)).sum();
    (error / spread).sqrt()
}

fn check(path: &Path, placement: &Placement, tolerance: f64) {
    let gguf = Gguf::open(path).unwrap();
    let mut decoder = Decoder::load(&gguf, None, placement).unwrap();
    let mut cache = decoder.cache().unwrap();
    let ours = decoder.forward(&prompt(), &mut cache, Logits::Last).unwrap();
    let theirs = reference(path, &prompt());
    let error = relative_error(&ours, &theirs);
    println!("{}: relative error {error:.2e}", path.display());
    assert!(error < tolerance, "relative error {error}");
    assert_eq!(argmax(&ours), argmax(&theirs));
}

#[test]
fn the_tensor_decoder_gives_candles_logits_for_qwen2() {
    check(&model_file(QWEN), &Placement::Tensors(Device::Cpu), 1e-4);
}

#[test]
fn the_tensor_decoder_gives_candles_logits_for_llama() {
    check(&model_file(SMOLLM2), &Placement::Tensors(Device::Cpu), 1e-4);
}

#[test]
fn architectures_have_ggufs_names() {
    assert_eq!(Architecture::from_name("qwen2"), Some(Architecture::Qwen2));
    assert_eq!(Architecture::from_name("gpt2"), None);
}
