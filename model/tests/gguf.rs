//! Files that are no models: each is one clear error, whatever its bytes are.
#![allow(clippy::unwrap_used)] // a test may panic

use bigquill_model::decoder::{Architecture, Config, Decoder, DecoderError, Placement};
use bigquill_model::gguf::{Array, Gguf, GgufError, Quantization, Value};
use bigquill_model::testing::{GgufWriter, TinyModel};
use tempfile::TempDir;

fn tiny() -> GgufWriter {
    TinyModel {
        architecture: Architecture::Llama,
        quantization: Quantization::Q4_0,
        seed: 1,
        tied: true,
    }
    .writer()
}

fn open(bytes: &[u8]) -> Result<Gguf, GgufError> {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("model.gguf");
    std::fs::write(&path, bytes).unwrap();
    // The mapping outlives the file's name.
    Gguf::open(&path)
}

#[test]
fn what_is_written_is_read() {
    let mut writer = GgufWriter::new();
    let values = [
        ("unsigned", Value::Unsigned(7)),
        ("signed", Value::Signed(-7)),
        ("float", Value::Float(0.5)),
        ("bool", Value::Bool(true)),
        ("string", Value::String("text é".to_owned())),
        (
            "strings",
            Value::Array(Array::String(vec!["a".to_owned(), String::new()])),
        ),
        ("floats", Value::Array(Array::Float(vec![1.5, -2.0]))),
        ("signed numbers", Value::Array(Array::Signed(vec![-1, 2]))),
        ("bools", Value::Array(Array::Bool(vec![true, false]))),
    ];
    for (key, value) in &values {
        writer.set(key, value.clone());
    }
    let data: Vec<u8> = (0..24).collect();
    writer.tensor("t", &[2, 3], Quantization::F32, data.clone());
    let gguf = open(&writer.to_bytes()).unwrap();
    for (key, value) in values {
        assert_eq!(gguf.get(key), Some(&value));
    }
    let tensor = gguf.tensor("t", &[2, 3]).unwrap();
    assert_eq!(
        (tensor.quantization, tensor.data),
        (Quantization::F32, data.as_slice())
    );
    assert!(matches!(
        gguf.tensor("t", &[3, 2]),
        Err(GgufError::Malformed { .. })
    ));
    assert!(matches!(
        gguf.tensor("u", &[1]),
        Err(GgufError::MissingTensor { .. })
    ));
    assert!(matches!(
        gguf.string("unsigned"),
        Err(GgufError::MissingKey { .. })
    ));
}

#[test]
fn a_file_cut_anywhere_is_an_error_and_no_crash() {
    let whole = tiny().to_bytes();
    assert!(open(&whole).is_ok());
    let header = whole.len() - 600_000;
    let cuts = (0..2000)
        .chain((2000..header).step_by(101))
        .chain((header..whole.len()).step_by(90_001));
    for cut in cuts {
        let error = open(&whole[..cut]).unwrap_err();
        let expected = matches!(error, GgufError::Truncated { .. } | GgufError::Foreign { .. });
        assert!(expected, "cut at {cut}: {error}");
    }
}

#[test]
fn flipped_bytes_of_the_header_are_no_crash_and_no_giant_allocation() {
    let mut small = GgufWriter::new();
    small.set("general.architecture", Value::String("llama".to_owned()));
    small.set("llama.embedding_length", Value::Unsigned(32));
    small.set(
        "tokens",
        Value::Array(Array::String(vec!["a".to_owned(), "bc".to_owned()])),
    );
    small.set("scores", Value::Array(Array::Float(vec![0.0, 1.0])));
    small.tensor("token_embd.weight", &[2, 32], Quantization::Q8_0, vec![0; 68]);
    let whole = small.to_bytes();
    for at in 0..whole.len() - 68 {
        for byte in [0xff, 0x7f, 0x00] {
            let mut bytes = whole.clone();
            bytes[at] = byte;
            if let Ok(gguf) = open(&bytes) {
                // Whatever it now says of itself: it is loaded or refused.
                let _ = Config::read(&gguf);
            }
        }
    }
}

#[test]
fn foreign_files_are_told_apart() {
    assert!(matches!(open(b""), Err(GgufError::Foreign { .. })));
    assert!(matches!(open(b"GGML and more"), Err(GgufError::Foreign { .. })));
    let mut old = tiny().to_bytes();
    old[4] = 1;
    assert!(matches!(open(&old), Err(GgufError::Version { version: 1, .. })));
    assert!(matches!(
        Gguf::open("/nowhere/model.gguf".as_ref()),
        Err(GgufError::Missing { .. })
    ));
    let folder = TempDir::new().unwrap();
    assert!(matches!(Gguf::open(folder.path()), Err(GgufError::Read { .. })));
}

/// A file of one tensor whose header is changed after it was written.
fn one_tensor(change: impl FnOnce(&mut Vec<u8>, usize)) -> Result<Gguf, GgufError> {
    let mut bytes = GgufWriter::new()
        .tensor("t", &[2, 32], Quantization::Q8_0, vec![0; 68])
        .to_bytes();
    // Magic, version, two counts; the name with its length; the count of dimensions.
    let dimensions = 4 + 4 + 8 + 8 + 8 + 1 + 4;
    change(&mut bytes, dimensions);
    open(&bytes)
}

#[test]
fn impossible_tensors_are_refused() {
    assert!(one_tensor(|_, _| ()).is_ok());
    let set = |bytes: &mut Vec<u8>, at: usize, number: u64| {
        bytes[at..at + 8].copy_from_slice(&number.to_le_bytes())
    };
    // Dimensions of 8 bytes each, the type of 4, the offset of 8.
    let huge = one_tensor(|bytes, at| set(bytes, at, u64::MAX / 32 * 32));
    assert!(matches!(huge, Err(GgufError::Malformed { .. })));
    let beyond = one_tensor(|bytes, at| set(bytes, at, 64));
    assert!(matches!(beyond, Err(GgufError::Truncated { .. })));
    let ragged = one_tensor(|bytes, at| set(bytes, at, 31));
    assert!(matches!(ragged, Err(GgufError::Malformed { .. })));
    let misplaced = one_tensor(|bytes, at| set(bytes, at + 20, 3));
    assert!(matches!(misplaced, Err(GgufError::Malformed { .. })));
    let far = one_tensor(|bytes, at| set(bytes, at + 20, u64::MAX / 32 * 32));
    assert!(matches!(
        far,
        Err(GgufError::Malformed { .. } | GgufError::Truncated { .. })
    ));
    let unknown = one_tensor(|bytes, at| bytes[at + 16] = 19);
    let Err(GgufError::Quantization { tensor, code, .. }) = unknown else {
        panic!("the type is refused")
    };
    assert_eq!((tensor.as_str(), code), ("t", 19));
}

#[test]
fn models_that_are_not_whole_are_refused() {
    let load = |writer: &GgufWriter| {
        Decoder::load(
            &open(&writer.to_bytes()).unwrap(),
            None,
            &Placement::Cpu { threads: 1 },
        )
    };
    assert!(load(&tiny()).is_ok());
    let mut writer = tiny();
    writer.remove_tensor("blk.1.ffn_down.weight");
    let error = load(&writer).unwrap_err();
    assert!(
        matches!(&error, DecoderError::Gguf(GgufError::MissingTensor { tensor, .. }) if tensor == "blk.1.ffn_down.weight")
    );
    for (key, value) in [
        ("llama.attention.head_count", 3),
        ("llama.attention.head_count", 0),
        ("llama.attention.head_count_kv", 3),
        ("llama.block_count", 0),
        ("llama.block_count", u64::from(u32::MAX)),
        ("llama.embedding_length", 128),
        ("llama.rope.dimension_count", 32),
        ("llama.context_length", 0),
    ] {
        let mut writer = tiny();
        writer.set(key, Value::Unsigned(value));
        assert!(load(&writer).is_err(), "{key} = {value}");
    }
    let mut scaled = tiny();
    scaled.set("llama.rope.scaling.type", Value::String("yarn".to_owned()));
    assert!(matches!(load(&scaled), Err(DecoderError::RopeScaling { .. })));
    let mut other = tiny();
    other.set("general.architecture", Value::String("mamba".to_owned()));
    assert!(
        matches!(load(&other), Err(DecoderError::Architecture { architecture, .. }) if architecture == "mamba")
    );
}
