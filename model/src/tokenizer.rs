//! Text to token ids and back, from the vocabulary that a GGUF file carries itself.
//!
//! Two families are known: byte-level BPE (`gpt2`, its splitting chosen by the `pre` name) and SentencePiece
//! (`llama`), which for every Mistral and Llama vocabulary is BPE too, with byte fallback. The BPE itself is the
//! `tokenizers` crate's, put together in `tokenizer/definition.rs`.
//!
//! Control tokens are kept out of that definition altogether: plain text cannot yield one, whatever it looks
//! like. They enter a prompt only by [`Tokenizer::encode_chat`] (see [`crate::chat`]). Unigram and WordPiece
//! vocabularies are deliberately lacking.

use std::collections::HashMap;

use crate::chat::ChatTemplate;

mod definition;
mod pieces;
mod source;

pub use pieces::TextDecoder;
pub use source::{TokenKind, TokenizerSource};

use pieces::Pieces;

/// Why there is no tokenizer, or no ids.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TokenizerError {
    /// The file lacks something that a tokenizer needs.
    #[error(
        "the model file has no `{0}`: it was made without its tokenizer; take another GGUF of this model"
    )]
    Missing(&'static str),
    /// The file contradicts itself.
    #[error("the model file's tokenizer is damaged: {0}; fetch the file again")]
    Invalid(String),
    /// The vocabulary is of a family that is not known here.
    #[error("tokenizer model `{0}` is not supported (supported: `gpt2`, `llama`); take another model")]
    UnknownModel(String),
    /// The way text is split before BPE is not known here; a guess would give wrong ids silently.
    #[error(
        "pre-tokenizer `{0}` is not supported (supported: {names}); take another model",
        names = definition::KNOWN_PRE
    )]
    UnknownPre(String),
    /// The chat cannot be written for this model.
    #[error("{0}")]
    Chat(String),
    /// The BPE failed on a text.
    #[error("the text could not be tokenized: {0}")]
    Encode(String),
}

/// A model's tokenizer: encodes plain text and chats, decodes answers.
#[derive(Debug)]
pub struct Tokenizer {
    bpe: tokenizers::Tokenizer,
    pieces: Pieces,
    controls: HashMap<String, u32>,
    ends: Vec<u32>,
    bos: Option<u32>,
    eos: Option<u32>,
    sentence_piece: bool,
    space_prefix: bool,
    pub(crate) template: Option<ChatTemplate>,
}

impl Tokenizer {
    /// The tokenizer that a GGUF file's metadata describes.
    ///
    /// # Errors
    /// Where a part is missing, contradicts another, or is of a kind not known here.
    pub fn new(source: TokenizerSource) -> Result<Self, TokenizerError> {
        source.validate()?;
        let bpe = definition::tokenizer(&source)?;
        let controls = control_tokens(&source);
        Ok(Self {
            bpe,
            ends: end_tokens(&source, &controls),
            controls,
            bos: source.bos.filter(|_| source.add_bos),
            eos: source.eos,
            sentence_piece: source.is_sentence_piece(),
            space_prefix: source.is_sentence_piece() && source.add_space_prefix,
            template: source.chat_template.as_deref().and_then(ChatTemplate::parse),
            pieces: Pieces::new(&source),
        })
    }

    /// Ids of plain text. Never a control token, whatever the text looks like, and no BOS.
    ///
    /// # Errors
    /// Where the BPE fails, which no text should make it do.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        if text.is_empty() {
            return Ok(Vec::new());
        }
        let encoding = self
            .bpe
            .encode_fast(text, false)
            .map_err(|e| TokenizerError::Encode(e.to_string()))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// How many tokens plain text has.
    #[must_use]
    pub fn count(&self, text: &str) -> usize {
        // Where the BPE failed, three bytes a token is on the safe side for SQL and English.
        self.encode(text).map_or(text.len() / 3 + 1, |ids| ids.len())
    }

    /// Text of these ids; control tokens give none, ids out of range give none, broken UTF-8 gives U+FFFD.
    #[must_use]
    pub fn decode(&self, ids: &[u32]) -> String {
        let mut decoder = self.decoder();
        let mut text = String::new();
        for &id in ids {
            text.push_str(&decoder.push(id));
        }
        text.push_str(&decoder.finish());
        text
    }

    /// Text of these ids with control tokens as they are written, for people to see what a model sees.
    #[must_use]
    pub fn decode_with_controls(&self, ids: &[u32]) -> String {
        let mut text = String::new();
        let is_control = |id: &u32| self.written(*id).is_some();
        for run in ids.chunk_by(|a, b| is_control(a) == is_control(b)) {
            match run.first() {
                Some(id) if is_control(id) => run
                    .iter()
                    .filter_map(|id| self.written(*id))
                    .for_each(|c| text += c),
                _ => text += &self.decode(run),
            }
        }
        text
    }

    /// A decoder for one answer, fed token by token; it never emits half a character.
    #[must_use]
    pub fn decoder(&self) -> TextDecoder<'_> {
        TextDecoder::new(&self.pieces, self.space_prefix)
    }

    /// Tokens in the vocabulary; every id is below.
    #[must_use]
    pub fn vocabulary_size(&self) -> usize {
        self.pieces.len()
    }

    /// The bytes that a token stands for; none for a control token or an id out of range.
    #[must_use]
    pub fn token_bytes(&self, id: u32) -> Option<&[u8]> {
        self.pieces.bytes(id)
    }

    /// The token that ends a text, where the model names one.
    #[must_use]
    pub fn eos(&self) -> Option<u32> {
        self.eos
    }

    /// Tokens that end an answer (`</s>`, `<|im_end|>`, …), ascending.
    #[must_use]
    pub fn end_tokens(&self) -> &[u32] {
        &self.ends
    }

    /// Whether this token ends an answer.
    #[must_use]
    pub fn is_end(&self, id: u32) -> bool {
        self.ends.binary_search(&id).is_ok()
    }

    /// The control token that is written so.
    #[must_use]
    pub fn control_token(&self, text: &str) -> Option<u32> {
        self.controls.get(text).copied()
    }

    /// All control tokens by the way they are written.
    pub(crate) fn controls(&self) -> &HashMap<String, u32> {
        &self.controls
    }

    /// The token that opens every prompt, where the model wants one.
    pub(crate) fn bos(&self) -> Option<u32> {
        self.bos
    }

    /// How a token is written in the vocabulary.
    pub(crate) fn written(&self, id: u32) -> Option<&str> {
        self.controls
            .iter()
            .find(|(_, value)| **value == id)
            .map(|(text, _)| text.as_str())
    }

    /// Whether the vocabulary is SentencePiece's.
    pub(crate) fn is_sentence_piece(&self) -> bool {
        self.sentence_piece
    }

    /// Whether encoding puts a space before a text by itself.
    pub(crate) fn has_space_prefix(&self) -> bool {
        self.space_prefix
    }
}

fn control_tokens(source: &TokenizerSource) -> HashMap<String, u32> {
    let mut controls = HashMap::new();
    for (id, token) in (0_u32..).zip(&source.tokens) {
        if source.kind(id) == TokenKind::Control && !token.is_empty() {
            controls.entry(token.clone()).or_insert(id);
        }
    }
    controls
}

/// How the model families write the end of a turn or of a text.
const END_TOKENS: &[&str] = &[
    "</s>",
    "<|im_end|>",
    "<|endoftext|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|end_of_text|>",
    "<|end|>",
    "<end_of_turn>",
];

fn end_tokens(source: &TokenizerSource, controls: &HashMap<String, u32>) -> Vec<u32> {
    let mut ends: Vec<u32> = END_TOKENS
        .iter()
        .filter_map(|text| controls.get(*text).copied())
        .collect();
    ends.extend([source.eos, source.eot].into_iter().flatten());
    ends.sort_unstable();
    ends.dedup();
    ends
}

#[cfg(test)]
mod tests;
