//! The models and fixtures that these tests read.

use std::fs::File;
use std::io::{Cursor, Read};
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

/// Mistral's third tokenizer, from a file of its vocabulary alone.
pub(crate) static MISTRAL: LazyLock<Tokenizer> = LazyLock::new(|| {
    let bytes = fixture_bytes("tokenizers/mistral-v3.gguf.gz");
    let content = Content::read(&mut Cursor::new(bytes)).expect("the fixture is GGUF");
    from_content(&content)
});

/// A fixture's path.
fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fixtures")
        .join(name)
}

/// A gzip fixture's content.
fn fixture_bytes(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let path = fixture(name);
    let file = File::open(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    GzDecoder::new(file)
        .read_to_end(&mut bytes)
        .expect("a gzip fixture");
    bytes
}

/// The lines of a gzip fixture of JSON lines.
pub(crate) fn fixture_lines(name: &str) -> Vec<serde_json::Value> {
    let text = String::from_utf8(fixture_bytes(name)).expect("a fixture of text");
    text.lines()
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
    from_content(&content)
}

fn from_content(content: &Content) -> Tokenizer {
    let source = TokenizerSource::from_metadata(&content.metadata).expect("it has a vocabulary");
    Tokenizer::new(source).expect("the vocabulary makes a tokenizer")
}
