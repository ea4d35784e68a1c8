//! The tokenizer of an open GGUF file.

use crate::gguf::{Gguf, Value};
use crate::tokenizer::{TokenKind, Tokenizer, TokenizerError, TokenizerSource};

impl Tokenizer {
    /// The tokenizer that a file describes.
    ///
    /// # Errors
    /// As [`Tokenizer::new`].
    pub fn from_gguf(gguf: &Gguf) -> Result<Self, TokenizerError> {
        Self::new(source(gguf)?)
    }
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
