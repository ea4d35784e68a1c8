//! From a path to a model that answers: file, tokenizer, adapter, device, weights.

use std::sync::Arc;
use std::time::Instant;

use candle_core::Device;

use crate::decoder::{Config, Decoder, Placement};
use crate::gguf::{Gguf, Value};
use crate::lora::{EmbeddedAdapter, LoraAdapter, LoraError};
use crate::prefix_cache::PrefixCache;
use crate::tokenizer::{TokenKind, Tokenizer, TokenizerError, TokenizerSource};

use super::{AdapterChoice, DeviceChoice, EngineInfo, EngineOptions};

/// A loaded model with its kept prefixes.
pub(super) struct Model {
    pub(super) decoder: Decoder,
    pub(super) tokenizer: Arc<Tokenizer>,
    pub(super) prefixes: PrefixCache,
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
        let adapter = adapter(&options.adapter, &config).map_err(|error| error.to_string())?;
        let (placement, device) = place(options)?;
        let decoder =
            Decoder::load(&gguf, adapter.as_ref(), &placement).map_err(|error| error.to_string())?;
        let info = EngineInfo {
            name: config.name.clone(),
            architecture: config.architecture,
            parameters: decoder.parameters(),
            quantization: decoder.quantization(),
            context: config.context,
            device,
            adapter: adapter.map(|adapter| adapter.name),
            load_time: start.elapsed(),
        };
        let prefixes = PrefixCache::new(options.prefix_cache_bytes);
        // A chunk is the longest that a cancelled request still computes: a fraction of a second on either.
        let chunk = if options.device == DeviceChoice::Cpu {
            64
        } else {
            512
        };
        Ok((
            Self {
                decoder,
                tokenizer,
                prefixes,
                chunk,
            },
            info,
        ))
    }

    /// Drops what is kept between questions.
    pub(super) fn forget(&mut self) {
        self.prefixes.clear();
    }
}

fn adapter(choice: &AdapterChoice, config: &Config) -> Result<Option<LoraAdapter>, LoraError> {
    match choice {
        AdapterChoice::None => Ok(None),
        AdapterChoice::Default => EmbeddedAdapter::for_model(config)
            .map(EmbeddedAdapter::load)
            .transpose(),
        AdapterChoice::Path(folder) => LoraAdapter::read(folder).map(Some),
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
    let tokenizer = Tokenizer::new(source(gguf)?)?;
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

fn source(gguf: &Gguf) -> Result<TokenizerSource, TokenizerError> {
    let get = |key: &str| gguf.get(&format!("tokenizer.ggml.{key}"));
    let text = |key: &str| get(key).and_then(Value::as_str).map(str::to_owned);
    let texts = |key: &str| get(key).and_then(Value::as_strings).map(<[String]>::to_vec);
    let flag = |key: &str| get(key).and_then(Value::as_bool);
    let id = |key: &str| {
        get(key)
            .and_then(Value::as_u64)
            .and_then(|id| u32::try_from(id).ok())
    };
    let model = text("model").ok_or(TokenizerError::Missing("tokenizer.ggml.model"))?;
    let sentence_piece = model == "llama";
    Ok(TokenizerSource {
        pre: text("pre").unwrap_or_default(),
        tokens: texts("tokens").ok_or(TokenizerError::Missing("tokenizer.ggml.tokens"))?,
        scores: get("scores")
            .and_then(Value::as_floats)
            .map(|scores| scores.iter().map(|score| *score as f32).collect())
            .unwrap_or_default(),
        kinds: get("token_type")
            .and_then(Value::to_integers)
            .map(|kinds| kinds.into_iter().map(token_kind).collect())
            .unwrap_or_default(),
        merges: texts("merges").unwrap_or_default(),
        add_space_prefix: flag("add_space_prefix").unwrap_or(sentence_piece),
        bos: id("bos_token_id"),
        eos: id("eos_token_id"),
        eot: id("eot_token_id"),
        unknown: id("unknown_token_id"),
        add_bos: flag("add_bos_token").unwrap_or(sentence_piece),
        chat_template: gguf
            .get("tokenizer.chat_template")
            .and_then(Value::as_str)
            .map(str::to_owned),
        model,
    })
}

/// GGUF's `token_type`.
fn token_kind(number: i64) -> TokenKind {
    match number {
        1 => TokenKind::Normal,
        2 => TokenKind::Unknown,
        3 => TokenKind::Control,
        4 => TokenKind::UserDefined,
        6 => TokenKind::Byte,
        _ => TokenKind::Unused,
    }
}
