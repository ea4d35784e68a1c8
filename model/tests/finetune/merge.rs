//! Merged is applied.

use bigquill_model::decoder::{Architecture, Config, Decoder, Logits, Placement};
use bigquill_model::gguf::{Gguf, Quantization};
use bigquill_model::lora::{LoraAdapter, LoraWeights, Projection, merge};
use bigquill_model::testing::TinyModel;
use bigquill_model::tokenizer::Tokenizer;
use candle_core::Device;

fn numbers(count: usize, seed: usize) -> Vec<f32> {
    (0..count)
        .map(|i| (((i * 7919 + seed * 104_729) % 1009) as f32 / 1009.0 - 0.5) * 0.2)
        .collect()
}

fn adapter(config: &Config) -> LoraAdapter {
    let modules = (0..config.layers).flat_map(|layer| Projection::ALL.map(|projection| (layer, projection)));
    let pair = |(layer, projection): (usize, Projection)| {
        let (rows, columns) = projection.shape(config);
        let seed = layer * 7 + projection as usize;
        let weights = LoraWeights {
            rank: 4,
            a: numbers(4 * columns, seed),
            b: numbers(rows * 4, seed + 100),
            scale: 2.0,
        };
        (layer, projection, weights)
    };
    LoraAdapter::new("test".to_owned(), modules.map(pair))
}

fn logits(gguf: &Gguf, adapter: Option<&LoraAdapter>) -> Vec<f32> {
    let mut decoder = Decoder::load(gguf, adapter, &Placement::Tensors(Device::Cpu)).unwrap();
    let mut cache = decoder.cache().unwrap();
    let tokens: Vec<u32> = (0..20).map(|i| i * 11 % 257).collect();
    decoder.forward(&tokens, &mut cache, Logits::All).unwrap()
}

fn difference(a: &[f32], b: &[f32]) -> f32 {
    let most = a.iter().fold(0f32, |most, x| most.max(x.abs()));
    let off = a.iter().zip(b).fold(0f32, |off, (a, b)| off.max((a - b).abs()));
    off / most
}

#[test]
fn a_merged_file_answers_as_base_and_adapter_do() {
    for architecture in [Architecture::Llama, Architecture::Qwen2] {
        let folder = tempfile::tempdir().unwrap();
        let tiny = TinyModel {
            architecture,
            // The tensors of half precision are multiplied as they are, so that no other rounding comes in.
            quantization: Quantization::F16,
            seed: 51,
            tied: false,
        };
        let path = folder.path().join("tiny.gguf");
        std::fs::write(&path, tiny.writer().to_bytes()).unwrap();
        let gguf = Gguf::open(&path).unwrap();
        let adapter = adapter(&Config::read(&gguf).unwrap());
        let out = folder.path().join("merged.gguf");
        let mut written = 0;
        merge(&gguf, &adapter, &out, |done, _| written = done).unwrap();
        let merged = Gguf::open(&out).unwrap();
        assert_eq!(written, gguf.tensors().count());
        assert_eq!(merged.tensors().count(), gguf.tensors().count());
        assert_eq!(merged.metadata(), gguf.metadata());
        let (applied, base) = (logits(&gguf, Some(&adapter)), logits(&gguf, None));
        let merged_logits = logits(&merged, None);
        assert!(difference(&applied, &base) > 0.05, "the adapter changes nothing");
        let off = difference(&applied, &merged_logits);
        assert!(off < 5e-3, "{architecture:?}: {off}");
        let text = "SELECT 1";
        assert_eq!(
            Tokenizer::from_gguf(&merged).unwrap().encode(text).unwrap(),
            Tokenizer::from_gguf(&gguf).unwrap().encode(text).unwrap()
        );
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}

#[test]
fn a_merged_file_that_cannot_be_written_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let tiny = TinyModel {
        architecture: Architecture::Llama,
        quantization: Quantization::Q4_K,
        seed: 51,
        tied: true,
    };
    let path = folder.path().join("tiny.gguf");
    std::fs::write(&path, tiny.writer().to_bytes()).unwrap();
    let gguf = Gguf::open(&path).unwrap();
    let adapter = adapter(&Config::read(&gguf).unwrap());
    let error = merge(&gguf, &adapter, &folder.path().join("no/merged.gguf"), |_, _| {}).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("free some space, or name another file"),
        "{error}"
    );
}
