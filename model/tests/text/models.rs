//! The models and fixtures that these tests read.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use bigquill_model::tokenizer::{Tokenizer, TokenizerSource};
use candle_core::quantized::gguf_file::Content;
use flate2::read::GzDecoder;

/// The default model's tokenizer, from the real file.
pub(crate) static QWEN: LazyLock<Tokenizer> =
    LazyLock::new(|| tokenizer(&model("qwen2.5-coder-0.5b-instruct-q4_k_m.gguf")));

/// SmolLM2's tokenizer, from the real file.
pub(crate) static SMOLLM2: LazyLock<Tokenizer> =
    LazyLock::new(|| tokenizer(&model("SmolLM2-135M-Instruct.Q4_1.gguf")));

/// A fixture's path.
pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fixtures")
        .join(name)
}

/// A gzip fixture's text.
pub(crate) fn fixture_text(name: &str) -> String {
    let mut text = String::new();
    let path = fixture(name);
    let file = File::open(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    GzDecoder::new(file)
        .read_to_string(&mut text)
        .expect("a gzip fixture of text");
    text
}

/// The lines of a gzip fixture of JSON lines.
pub(crate) fn fixture_lines(name: &str) -> Vec<serde_json::Value> {
    fixture_text(name)
        .lines()
        .map(|line| serde_json::from_str(line).expect("a JSON line"))
        .collect()
}

fn model(name: &str) -> PathBuf {
    let folder = std::env::var_os("BIGQUILL_TEST_MODELS")
        .unwrap_or_else(|| panic!("BIGQUILL_TEST_MODELS names no folder with {name}: run ./test"));
    let path = PathBuf::from(folder).join(name);
    assert!(path.exists(), "{} is not there: run ./test", path.display());
    path
}

fn tokenizer(path: &Path) -> Tokenizer {
    let mut file = File::open(path).expect("the model file opens");
    let content = Content::read(&mut file).expect("the model file is GGUF");
    let source = TokenizerSource::from_metadata(&content.metadata).expect("it has a vocabulary");
    Tokenizer::new(source).expect("the vocabulary makes a tokenizer")
}
