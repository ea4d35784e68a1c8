//! What a GGUF file says of its tokenizer, taken out of the metadata and checked: the file is not trusted.

use std::collections::HashMap;
use std::hash::BuildHasher;

use candle_core::quantized::gguf_file::Value;

use super::TokenizerError;

/// What a token is, by GGUF's `tokenizer.ggml.token_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// A piece of text (1).
    Normal,
    /// Stands for what has no piece (2).
    Unknown,
    /// Steers the model and has no text: `<|im_end|>`, `[INST]` (3).
    Control,
    /// Text that is always one token (4).
    UserDefined,
    /// Padding of the table (5), or a type that GGUF does not name.
    Unused,
    /// One byte, written `<0x0A>` (6).
    Byte,
}

/// A tokenizer as GGUF's metadata describe it, under `tokenizer.ggml.` and `tokenizer.chat_template`.
#[derive(Debug, Clone, Default)]
pub struct TokenizerSource {
    /// `model`: `gpt2` or `llama`.
    pub model: String,
    /// `pre`: how text is split before BPE (`gpt2` only).
    pub pre: String,
    /// `tokens`: how each token is written, by id.
    pub tokens: Vec<String>,
    /// `scores`: by id; a higher one is merged first (`llama` only).
    pub scores: Vec<f32>,
    /// `token_type`: by id; empty where all are normal.
    pub kinds: Vec<TokenKind>,
    /// `merges`: two pieces with a space between, the first to be merged first (`gpt2` only).
    pub merges: Vec<String>,
    /// `add_space_prefix`: a text begins with a space of its own (`llama` only).
    pub add_space_prefix: bool,
    /// `bos_token_id`
    pub bos: Option<u32>,
    /// `eos_token_id`
    pub eos: Option<u32>,
    /// `eot_token_id`: ends a turn.
    pub eot: Option<u32>,
    /// `unknown_token_id`
    pub unknown: Option<u32>,
    /// `add_bos_token`: every prompt begins with BOS.
    pub add_bos: bool,
    /// `tokenizer.chat_template`: Jinja.
    pub chat_template: Option<String>,
}

impl TokenizerSource {
    /// Reads the metadata of a GGUF file (`candle_core::quantized::gguf_file::Content::metadata`).
    ///
    /// # Errors
    /// Where a part that every tokenizer needs is missing or of the wrong type.
    pub fn from_metadata<S: BuildHasher>(
        metadata: &HashMap<String, Value, S>,
    ) -> Result<Self, TokenizerError> {
        let get = |key: &str| metadata.get(&format!("tokenizer.ggml.{key}"));
        let text = |key: &str| get(key).and_then(|v| v.to_string().ok()).cloned();
        let flag = |key: &str| get(key).and_then(|v| v.to_bool().ok());
        let id = |key: &str| get(key).and_then(unsigned);

        let model = text("model").ok_or(TokenizerError::Missing("tokenizer.ggml.model"))?;
        let tokens = get("tokens").ok_or(TokenizerError::Missing("tokenizer.ggml.tokens"))?;
        let sentence_piece = model == "llama";
        Ok(Self {
            pre: text("pre").unwrap_or_default(),
            tokens: list(tokens, "tokens", |v| v.to_string().ok().cloned())?,
            scores: optional_list(get("scores"), "scores", |v| v.to_f32().ok())?,
            kinds: optional_list(get("token_type"), "token_type", |v| {
                signed(v).map(TokenKind::from_gguf)
            })?,
            merges: optional_list(get("merges"), "merges", |v| v.to_string().ok().cloned())?,
            add_space_prefix: flag("add_space_prefix").unwrap_or(sentence_piece),
            bos: id("bos_token_id"),
            eos: id("eos_token_id"),
            eot: id("eot_token_id"),
            unknown: id("unknown_token_id"),
            // What llama.cpp takes where the file is silent.
            add_bos: flag("add_bos_token").unwrap_or(sentence_piece),
            chat_template: metadata
                .get("tokenizer.chat_template")
                .and_then(|v| v.to_string().ok())
                .cloned(),
            model,
        })
    }

    /// What this token is.
    #[must_use]
    pub fn kind(&self, id: u32) -> TokenKind {
        self.kinds.get(id as usize).copied().unwrap_or(TokenKind::Normal)
    }

    pub(super) fn is_sentence_piece(&self) -> bool {
        self.model == "llama"
    }

    /// Lengths and ids fit together.
    pub(super) fn validate(&self) -> Result<(), TokenizerError> {
        let size = self.tokens.len();
        let invalid = |what: String| Err(TokenizerError::Invalid(what));
        if size == 0 || u32::try_from(size).is_err() {
            return invalid(format!("a vocabulary of {size} tokens"));
        }
        if !self.kinds.is_empty() && self.kinds.len() != size {
            return invalid(format!("{size} tokens but {} token types", self.kinds.len()));
        }
        if self.is_sentence_piece() && self.scores.len() != size {
            return invalid(format!("{size} tokens but {} scores", self.scores.len()));
        }
        let ids = [
            ("bos_token_id", self.bos),
            ("eos_token_id", self.eos),
            ("eot_token_id", self.eot),
            ("unknown_token_id", self.unknown),
        ];
        for (name, id) in ids {
            if let Some(id) = id.filter(|id| *id as usize >= size) {
                return invalid(format!("{name} is {id}, but there are {size} tokens"));
            }
        }
        Ok(())
    }
}

impl TokenKind {
    fn from_gguf(number: i64) -> Self {
        match number {
            1 => Self::Normal,
            2 => Self::Unknown,
            3 => Self::Control,
            4 => Self::UserDefined,
            6 => Self::Byte,
            _ => Self::Unused,
        }
    }
}

fn list<T>(value: &Value, name: &str, item: impl Fn(&Value) -> Option<T>) -> Result<Vec<T>, TokenizerError> {
    let wrong = || TokenizerError::Invalid(format!("`tokenizer.ggml.{name}` has the wrong type"));
    let values = value.to_vec().map_err(|_| wrong())?;
    values.iter().map(|v| item(v).ok_or_else(wrong)).collect()
}

fn optional_list<T>(
    value: Option<&Value>,
    name: &str,
    item: impl Fn(&Value) -> Option<T>,
) -> Result<Vec<T>, TokenizerError> {
    value.map_or_else(|| Ok(Vec::new()), |value| list(value, name, item))
}

/// Writers of GGUF differ in the integer type they choose.
fn signed(value: &Value) -> Option<i64> {
    match value {
        Value::U8(v) => Some(i64::from(*v)),
        Value::I8(v) => Some(i64::from(*v)),
        Value::U16(v) => Some(i64::from(*v)),
        Value::I16(v) => Some(i64::from(*v)),
        Value::U32(v) => Some(i64::from(*v)),
        Value::I32(v) => Some(i64::from(*v)),
        Value::I64(v) => Some(*v),
        Value::U64(v) => i64::try_from(*v).ok(),
        _ => None,
    }
}

fn unsigned(value: &Value) -> Option<u32> {
    signed(value).and_then(|v| u32::try_from(v).ok())
}
