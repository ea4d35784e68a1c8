//! What tests of this and of other crates need of a model: the real files, and tiny ones written on the spot.
//!
//! Tests may panic, and so may this module; nothing else uses it.

mod tiny;
mod writer;

use std::path::PathBuf;

pub use tiny::{TINY_END, TinyModel};
pub use writer::GgufWriter;

/// File name of Qwen2.5-Coder-0.5B-Instruct Q4_K_M, the default model.
pub const QWEN: &str = "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf";
/// File name of SmolLM2-135M-Instruct Q4_1.
pub const SMOLLM2: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";

/// The path of a real model file in the folder that `BIGQUILL_TEST_MODELS` names.
///
/// # Panics
/// Where the variable or the file is missing: a test that needs a model fails, it is never skipped.
#[must_use]
pub fn model_file(name: &str) -> PathBuf {
    let folder = std::env::var_os("BIGQUILL_TEST_MODELS").unwrap_or_else(|| {
        panic!("BIGQUILL_TEST_MODELS names no folder with {name}: run ./test, which sets it")
    });
    let path = PathBuf::from(folder).join(name);
    assert!(
        path.is_file(),
        "{} is missing: run ./test, which fetches it",
        path.display()
    );
    path
}
