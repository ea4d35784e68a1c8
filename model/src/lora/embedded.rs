//! The adapters that come with the program, and the models they were made for.

use crate::decoder::{Architecture, Config};

use super::{LoraAdapter, LoraError};

/// An adapter inside the program.
#[derive(Debug, Clone, Copy)]
pub struct EmbeddedAdapter {
    /// Its folder's name under `model/adapters/`.
    pub name: &'static str,
    /// What it was made for, as people say it.
    pub base: &'static str,
    config: &'static [u8],
    weights: &'static [u8],
    /// Whether a model of the right sizes is the base, by the name it gives itself.
    is_base: fn(&Config) -> bool,
}

/// All embedded adapters.
#[must_use]
pub fn embedded_adapters() -> &'static [EmbeddedAdapter] {
    &[EmbeddedAdapter {
        name: "qwen2.5-coder-0.5b-bigquery",
        base: "Qwen2.5-Coder-0.5B-Instruct",
        config: include_bytes!("../../adapters/qwen2.5-coder-0.5b-bigquery/adapter_config.json"),
        weights: include_bytes!("../../adapters/qwen2.5-coder-0.5b-bigquery/adapter_model.safetensors"),
        is_base: is_qwen_coder_small,
    }]
}

impl EmbeddedAdapter {
    /// The embedded adapter for this model, where there is one.
    #[must_use]
    pub fn for_model(config: &Config) -> Option<&'static Self> {
        embedded_adapters()
            .iter()
            .find(|adapter| (adapter.is_base)(config))
    }

    /// Reads it.
    ///
    /// # Errors
    /// Where the embedded files are damaged, which a test excludes.
    pub fn load(&self) -> Result<LoraAdapter, LoraError> {
        LoraAdapter::parse(self.name.to_owned(), self.config, self.weights)
    }
}

/// The sizes tell the architecture's member, the name tells Coder and Instruct from their siblings of equal size.
/// Any quantization of the base will do, so the file's hash is not asked.
fn is_qwen_coder_small(config: &Config) -> bool {
    let name = config.name.to_lowercase().replace(['-', '_'], " ");
    config.architecture == Architecture::Qwen2
        && (
            config.layers,
            config.hidden,
            config.feed_forward,
            config.vocabulary,
        ) == (24, 896, 4864, 151_936)
        && ["qwen2.5", "coder", "instruct"]
            .iter()
            .all(|word| name.contains(word))
}
