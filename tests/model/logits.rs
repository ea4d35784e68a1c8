//! The decoder's logits against candle-transformers' on the same files.
#![allow(clippy::print_stdout)] // figures of a failed test
#![allow(clippy::unwrap_used)] // a test may panic

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use bigquill_model::decoder::{Architecture, Decoder, DecoderError, Logits, Placement};
use bigquill_model::gguf::{Gguf, Quantization, dequantize};
use bigquill_model::sampler::argmax;
use bigquill_model::testing::{GgufWriter, QWEN, SMOLLM2, TinyModel, model_file};
use bigquill_model::tokenizer::Tokenizer;
use candle_core::quantized::gguf_file::Content;
use candle_core::{Device, Tensor};
use candle_transformers::models::{quantized_llama, quantized_qwen2};
use tempfile::TempDir;

fn prompt(gguf: &Gguf) -> Vec<u32> {
    let text =
        "- car_1.continents: ContId INT64\nQuestion: How many continents are there?\nSELECT COUNT(*) FROM";
    Tokenizer::from_gguf(gguf).unwrap().encode(text).unwrap()
}

/// candle-transformers' logits, computed once for all tests: its products are slow.
fn reference(path: &Path, tokens: &[u32]) -> Vec<f32> {
    static KNOWN: Mutex<BTreeMap<PathBuf, Vec<f32>>> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().unwrap();
    known
        .entry(path.to_owned())
        .or_insert_with(|| computed_reference(path, tokens))
        .clone()
}

fn computed_reference(path: &Path, tokens: &[u32]) -> Vec<f32> {
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

fn logits(gguf: &Gguf, placement: &Placement, tokens: &[u32]) -> Vec<f32> {
    let mut decoder = Decoder::load(gguf, None, placement).unwrap();
    let mut cache = decoder.cache().unwrap();
    decoder.forward(tokens, &mut cache, Logits::Last).unwrap()
}

fn check(path: &Path, placement: &Placement, tolerance: f64) {
    let gguf = Gguf::open(path).unwrap();
    let tokens = prompt(&gguf);
    let ours = logits(&gguf, placement, &tokens);
    let theirs = reference(path, &tokens);
    let error = relative_error(&ours, &theirs);
    println!("{}: relative error {error:.2e}", path.display());
    assert!(error < tolerance, "relative error {error}");
    assert_eq!(argmax(&ours), argmax(&theirs));
}

/// The same operations in the same order: only the attention's products differ in their order.
#[test]
fn the_tensor_decoder_gives_candles_logits_for_qwen2() {
    check(&model_file(QWEN), &Placement::Tensors(Device::Cpu), 1e-4);
}

#[test]
fn the_tensor_decoder_gives_candles_logits_for_llama() {
    check(&model_file(SMOLLM2), &Placement::Tensors(Device::Cpu), 1e-4);
}

/// Both quantize activations to 8 bits, each with its own roundings, so that each is off the unquantized product by a
/// few parts in a thousand per layer, which add up; the next test compares both with that product.
#[test]
fn the_cpu_decoder_gives_candles_logits_for_qwen2() {
    check(&model_file(QWEN), &Placement::Cpu { threads: 2 }, 6e-2);
}

#[test]
fn the_cpu_decoder_gives_candles_logits_for_llama() {
    check(&model_file(SMOLLM2), &Placement::Cpu { threads: 2 }, 6e-2);
}

#[test]
fn the_cpu_decoder_is_as_near_to_dequantized_weights_as_candle_is() {
    let path = model_file(SMOLLM2);
    let gguf = Gguf::open(&path).unwrap();
    let tokens = prompt(&gguf);
    let exact = logits(
        &open(&dequantized(&gguf)),
        &Placement::Tensors(Device::Cpu),
        &tokens,
    );
    let ours = relative_error(&logits(&gguf, &Placement::Cpu { threads: 2 }, &tokens), &exact);
    let candles = relative_error(&reference(&path, &tokens), &exact);
    println!("off by {ours:.2e}, candle by {candles:.2e}");
    assert!(ours < 1.5 * candles, "off by {ours}, candle by {candles}");
}

fn open(writer: &GgufWriter) -> Gguf {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("model.gguf");
    std::fs::write(&path, writer.to_bytes()).unwrap();
    Gguf::open(&path).unwrap()
}

/// The same model with every tensor in 32-bit floats: the reference that quantizes no activation.
fn dequantized(gguf: &Gguf) -> GgufWriter {
    let mut floats = GgufWriter::new();
    for (key, value) in gguf.metadata() {
        floats.set(key, value.clone());
    }
    for (name, info) in gguf.tensors() {
        let view = gguf.find(name).unwrap();
        let mut values = vec![0.0f32; info.elements()];
        dequantize::row(view.quantization, view.data, &mut values);
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        floats.tensor(name, view.shape, Quantization::F32, bytes);
    }
    floats
}

#[test]
fn every_type_gives_the_logits_of_its_dequantized_weights() {
    let tokens: Vec<u32> = (0..23).map(|i| i * 11 % 256).collect();
    let (cpu, tensors) = (Placement::Cpu { threads: 2 }, Placement::Tensors(Device::Cpu));
    for quantization in Quantization::ALL {
        for architecture in [Architecture::Llama, Architecture::Qwen2] {
            let tied = architecture == Architecture::Llama;
            let gguf = open(
                &TinyModel {
                    architecture,
                    quantization,
                    seed: 5,
                    tied,
                }
                .writer(),
            );
            let floats = open(&dequantized(&gguf));
            let exact = logits(&floats, &tensors, &tokens);
            let error_of = |logits: Vec<f32>| relative_error(&logits, &exact);
            let in_floats = error_of(logits(&floats, &cpu, &tokens));
            let (ours, candles) = (
                error_of(logits(&gguf, &cpu, &tokens)),
                error_of(logits(&gguf, &tensors, &tokens)),
            );
            println!(
                "{quantization:?} {architecture:?}: {in_floats:.1e} in floats, {ours:.1e}, candle {candles:.1e}"
            );
            // Keys and values are kept in half precision; quantized products round activations to 8 bits, as candle's do.
            assert!(in_floats < 1e-3, "{quantization:?} {architecture:?}: {in_floats}");
            assert!(
                ours < 1.3 * candles + 1e-3,
                "{quantization:?} {architecture:?}: {ours}, candle {candles}"
            );
        }
    }
}

#[test]
fn chunks_and_single_tokens_give_the_same_logits_as_one_run() {
    let writer = TinyModel {
        architecture: Architecture::Qwen2,
        quantization: Quantization::Q4_K,
        seed: 6,
        tied: false,
    };
    let gguf = open(&writer.writer());
    let tokens: Vec<u32> = (0..40).map(|i| i * 7 % 256).collect();
    for placement in [Placement::Cpu { threads: 3 }, Placement::Tensors(Device::Cpu)] {
        let mut decoder = Decoder::load(&gguf, None, &placement).unwrap();
        let mut whole = decoder.cache().unwrap();
        let all = decoder.forward(&tokens, &mut whole, Logits::All).unwrap();
        let vocabulary = decoder.config().vocabulary;
        assert_eq!(
            (all.len(), whole.len()),
            (tokens.len() * vocabulary, tokens.len())
        );
        let mut pieces = decoder.cache().unwrap();
        assert!(
            decoder
                .forward(&tokens[..17], &mut pieces, Logits::None)
                .unwrap()
                .is_empty()
        );
        decoder
            .forward(&tokens[17..38], &mut pieces, Logits::Last)
            .unwrap();
        for at in 38..40 {
            let last = decoder
                .forward(&tokens[at..at + 1], &mut pieces, Logits::Last)
                .unwrap();
            assert!(relative_error(&last, &all[at * vocabulary..(at + 1) * vocabulary]) < 1e-4);
        }
    }
}

#[test]
fn truncated_and_forked_caches_go_on_as_fresh_ones() {
    let writer = TinyModel {
        architecture: Architecture::Llama,
        quantization: Quantization::Q5_1,
        seed: 7,
        tied: true,
    };
    let gguf = open(&writer.writer());
    let (shared, left, right) = ([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], [20, 21, 22], [30, 31]);
    for placement in [Placement::Cpu { threads: 2 }, Placement::Tensors(Device::Cpu)] {
        let mut decoder = Decoder::load(&gguf, None, &placement).unwrap();
        let mut fresh = |tail: &[u32]| {
            let mut cache = decoder.cache().unwrap();
            decoder.forward(&shared, &mut cache, Logits::None).unwrap();
            (decoder.forward(tail, &mut cache, Logits::Last).unwrap(), cache)
        };
        let (expected_left, _) = fresh(&left);
        let (expected_right, mut cache) = fresh(&right);
        let mut fork = cache.fork(shared.len()).unwrap();
        assert!(fork.bytes() > 0);
        cache.truncate(shared.len());
        assert_eq!(
            decoder.forward(&left, &mut cache, Logits::Last).unwrap(),
            expected_left
        );
        assert_eq!(
            decoder.forward(&right, &mut fork, Logits::Last).unwrap(),
            expected_right
        );
    }
}

#[test]
fn what_is_no_token_and_what_does_not_fit_is_refused() {
    let writer = TinyModel {
        architecture: Architecture::Llama,
        quantization: Quantization::Q8_0,
        seed: 8,
        tied: true,
    };
    let mut decoder = Decoder::load(&open(&writer.writer()), None, &Placement::Cpu { threads: 1 }).unwrap();
    let mut cache = decoder.cache().unwrap();
    let vocabulary = decoder.config().vocabulary as u32;
    let foreign = decoder.forward(&[1, vocabulary], &mut cache, Logits::Last);
    assert!(matches!(foreign, Err(DecoderError::Token { token, .. }) if token == vocabulary));
    let long = decoder.forward(&vec![1; 513], &mut cache, Logits::Last);
    assert!(matches!(
        long,
        Err(DecoderError::ContextFull {
            positions: 513,
            context: 512
        })
    ));
    assert!(cache.is_empty());
    assert!(decoder.forward(&[], &mut cache, Logits::Last).unwrap().is_empty());
}
