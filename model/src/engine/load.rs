//! From a path to a model that answers: file, tokenizer, adapter, device, weights.

use std::sync::Arc;
use std::time::Instant;

use candle_core::Device;

use crate::decoder::{Config, Decoder, Placement};
use crate::gguf::Gguf;
use crate::lora::LoraAdapter;
use crate::prefix_cache::PrefixCache;
use crate::tokenizer::{Tokenizer, TokenizerError};

use super::adapters::Adapters;
use super::{AdapterChoice, DeviceChoice, EngineInfo, EngineOptions};

/// A loaded model with its kept prefixes.
pub(super) struct Model {
    pub(super) decoder: Decoder,
    pub(super) tokenizer: Arc<Tokenizer>,
    pub(super) prefixes: PrefixCache,
    pub(super) adapters: Adapters,
    /// What it calls itself, else its file.
    pub(super) name: String,
    /// Tokens of a prompt that are run at once.
    pub(super) chunk: usize,
}

impl Model {
    /// Loads everything; `tokenizer_ready` is called before the weights are read. The error is for people.
    pub(super) fn load(
        options: &EngineOptions,
        tokenizer_ready: impl FnOnce(Arc<Tokenizer>),
    ) -> Result<(Self, EngineInfo), String> {
        let start = Instant::now();
        let gguf = Gguf::open(&options.model).map_err(|error| error.to_string())?;
        let config = Config::read(&gguf).map_err(|error| error.to_string())?;
        let tokenizer = tokenizer(&gguf, &config).map_err(|error| error.to_string())?;
        let tokenizer = Arc::new(tokenizer);
        tokenizer_ready(Arc::clone(&tokenizer));
        let (placement, device) = place(options)?;
        // Before the weights, for it is quickly told.
        if let Some(folder) = options.adapter.folder() {
            let adapter = LoraAdapter::read(folder).and_then(|adapter| adapter.check(&config));
            adapter.map_err(|error| error.to_string())?;
        }
        let decoder = Decoder::load(&gguf, None, &placement).map_err(|error| error.to_string())?;
        let mut adapters = Adapters::default();
        let adapter = adapters
            .load(&options.adapter, &decoder)
            .map_err(|error| error.to_string())?;
        let info = EngineInfo {
            name: config.name.clone(),
            architecture: config.architecture,
            parameters: decoder.parameters(),
            quantization: decoder.quantization(),
            context: config.context,
            device,
            adapter: adapter.map(|adapter| adapter.name().to_owned()),
            load_time: start.elapsed(),
        };
        let prefixes = PrefixCache::new(options.prefix_cache_bytes);
        let chunk = placement.prompt_chunk();
        Ok((
            Self {
                decoder,
                tokenizer,
                prefixes,
                adapters,
                name: if config.name.is_empty() {
                    options
                        .model
                        .file_stem()
                        .unwrap_or_default()
                        .to_string_lossy()
                        .into_owned()
                } else {
                    config.name
                },
                chunk,
            },
            info,
        ))
    }

    /// Reads an adapter that requests will ask for.
    pub(super) fn read_adapter(&mut self, choice: &AdapterChoice) {
        self.adapters.find(choice, &self.decoder);
    }

    /// Drops what is kept between questions.
    pub(super) fn forget(&mut self) {
        self.prefixes.clear();
    }
}

/// The device, and what it is called.
fn place(options: &EngineOptions) -> Result<(Placement, String), String> {
    let unavailable = |feature: &str, error: candle_core::Error| {
        format!(
            "{feature} cannot be used: {error}; choose another device, or build with `--features {feature}`"
        )
    };
    match options.device {
        DeviceChoice::Cpu => {
            let threads = options.threads.unwrap_or_else(cores).max(1);
            Ok((Placement::Cpu { threads }, format!("CPU, {threads} threads")))
        }
        DeviceChoice::Cuda => {
            let device = Device::new_cuda(0).map_err(|error| unavailable("cuda", error))?;
            Ok((Placement::Tensors(device), "CUDA device 0".to_owned()))
        }
        DeviceChoice::Metal => {
            let device = Device::new_metal(0).map_err(|error| unavailable("metal", error))?;
            Ok((Placement::Tensors(device), "Metal device 0".to_owned()))
        }
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// The tokenizer that the file describes, whose ids must all have a row in the embedding table.
fn tokenizer(gguf: &Gguf, config: &Config) -> Result<Tokenizer, TokenizerError> {
    let tokenizer = Tokenizer::from_gguf(gguf)?;
    if tokenizer.vocabulary_size() > config.vocabulary {
        let what = format!(
            "{} tokens and {} embeddings",
            tokenizer.vocabulary_size(),
            config.vocabulary
        );
        return Err(TokenizerError::Invalid(what));
    }
    Ok(tokenizer)
}
