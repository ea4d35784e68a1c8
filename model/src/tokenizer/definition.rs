//! A GGUF vocabulary as a tokenizer of the `tokenizers` crate.
//!
//! The split patterns are those of the models' own tokenizers; `fixtures/tokenizers` holds ids of reference
//! implementations that they are tested against. The parts are put together directly: by way of a
//! `tokenizer.json` text, 150,000 tokens and as many merges take three times as long.

use std::cmp::{Ordering, Reverse};
use std::collections::{HashMap, HashSet};

use tokenizers::models::bpe::{BPE, BpeBuilder, Merges, Vocab};
use tokenizers::normalizers::{NFC, Prepend, Replace, Sequence as Normalizers};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence as PreTokenizers;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{AddedToken, NormalizerWrapper, PreTokenizerWrapper, SplitDelimiterBehavior};

use super::{TokenKind, TokenizerError, TokenizerSource};

/// The `pre` names of `gpt2` vocabularies that [`splitting`] knows.
pub(super) const KNOWN_PRE: &str = "`qwen2`, `smollm`, `llama-bpe`, `gpt-2`";

const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// What happens to a text before BPE.
struct Splitting {
    normalizer: Option<NormalizerWrapper>,
    pre_tokenizer: Option<PreTokenizerWrapper>,
    /// A whole vocabulary entry needs no merges.
    ignore_merges: bool,
}

/// A tokenizer without control tokens, ids as in the file.
pub(super) fn tokenizer(source: &TokenizerSource) -> Result<tokenizers::Tokenizer, TokenizerError> {
    let (splitting, bpe) = match source.model.as_str() {
        "gpt2" => byte_level(source)?,
        "llama" => sentence_piece(source)?,
        other => return Err(TokenizerError::UnknownModel(other.to_owned())),
    };
    let model = bpe.build().map_err(invalid)?;
    let mut tokenizer = tokenizers::Tokenizer::new(model);
    tokenizer
        .with_normalizer(splitting.normalizer)
        .map_err(invalid)?
        .with_pre_tokenizer(splitting.pre_tokenizer);
    tokenizer.add_tokens(user_defined(source)).map_err(invalid)?;
    Ok(tokenizer)
}

fn invalid(error: impl std::fmt::Display) -> TokenizerError {
    TokenizerError::Invalid(error.to_string())
}

fn byte_level(source: &TokenizerSource) -> Result<(Splitting, BpeBuilder), TokenizerError> {
    if source.merges.is_empty() {
        return Err(TokenizerError::Missing("tokenizer.ggml.merges"));
    }
    let splitting = splitting(&source.pre)?;
    let merges: Result<Merges, TokenizerError> = source
        .merges
        .iter()
        .map(|merge| match merge.split_once(' ') {
            Some((left, right)) => Ok((left.to_owned(), right.to_owned())),
            None => Err(invalid("a merge without two pieces")),
        })
        .collect();
    let bpe = BPE::builder()
        .vocab_and_merges(vocabulary(source), merges?)
        .ignore_merges(splitting.ignore_merges);
    Ok((splitting, bpe))
}

/// How a `gpt2` text is split, by the `pre` name.
fn splitting(name: &str) -> Result<Splitting, TokenizerError> {
    let bytes = |use_regex: bool| PreTokenizerWrapper::from(ByteLevel::new(false, false, use_regex));
    let then_bytes = |first: PreTokenizerWrapper, use_regex: bool| {
        Some(PreTokenizers::new(vec![first, bytes(use_regex)]).into())
    };
    let split = |pattern: &str| -> Result<PreTokenizerWrapper, TokenizerError> {
        let pattern = SplitPattern::Regex(pattern.to_owned());
        Ok(Split::new(pattern, SplitDelimiterBehavior::Isolated, false)
            .map_err(invalid)?
            .into())
    };
    let (normalizer, pre_tokenizer, ignore_merges) = match name {
        "qwen2" => (Some(NFC.into()), then_bytes(split(QWEN2)?, false), false),
        "smollm" => (None, then_bytes(Digits::new(true).into(), true), false),
        "llama-bpe" | "llama3" | "llama-v3" => (None, then_bytes(split(LLAMA3)?, false), true),
        "gpt-2" => (None, Some(bytes(true)), false),
        // An old file without the name, or `default`: which split was meant cannot be known.
        other => return Err(TokenizerError::UnknownPre(other.to_owned())),
    };
    Ok(Splitting {
        normalizer,
        pre_tokenizer,
        ignore_merges,
    })
}

/// SentencePiece has no list of merges: it joins the neighbours whose joined piece has the highest score. The
/// list is therefore every split of a piece into two pieces, in the order of the piece's score.
fn sentence_piece(source: &TokenizerSource) -> Result<(Splitting, BpeBuilder), TokenizerError> {
    let space = Replace::new(" ", "▁").map_err(invalid)?;
    let normalizer: NormalizerWrapper = if source.add_space_prefix {
        Normalizers::new(vec![Prepend::new("▁".to_owned()).into(), space.into()]).into()
    } else {
        space.into()
    };
    let unknown = source.unknown.unwrap_or(0) as usize;
    let bpe = BPE::builder()
        .vocab_and_merges(vocabulary(source), merges_by_score(source)?)
        .unk_token(source.tokens[unknown].clone())
        .fuse_unk(true)
        .byte_fallback(true);
    Ok((
        Splitting {
            normalizer: Some(normalizer),
            pre_tokenizer: None,
            ignore_merges: false,
        },
        bpe,
    ))
}

fn merges_by_score(source: &TokenizerSource) -> Result<Merges, TokenizerError> {
    let joinable = |id: u32| matches!(source.kind(id), TokenKind::Normal | TokenKind::UserDefined);
    let ids: HashMap<&str, u32> = source
        .tokens
        .iter()
        .zip(0_u32..)
        .filter(|(_, id)| joinable(*id))
        .map(|(token, id)| (token.as_str(), id))
        .collect();
    let mut merges: Vec<(f32, u32, u32)> = Vec::new();
    for (token, id) in source.tokens.iter().zip(0_u32..) {
        if source.kind(id) != TokenKind::Normal {
            continue;
        }
        let score = source.scores[id as usize];
        if score.is_nan() {
            return Err(invalid(format!("the score of token {id} is no number")));
        }
        for (at, _) in token.char_indices().skip(1) {
            let (left, right) = token.split_at(at);
            if let (Some(&left), Some(&right)) = (ids.get(left), ids.get(right)) {
                merges.push((score, left, right));
            }
        }
    }
    // Pieces of the same score (Mistral's runs of spaces have one) are joined from the left: what has grown
    // longest there goes on growing.
    let length = |id: u32| Reverse(source.tokens[id as usize].chars().count());
    merges.sort_by(|a, b| {
        let by_score = b.0.partial_cmp(&a.0).unwrap_or(Ordering::Equal);
        let growth = |m: &(f32, u32, u32)| (length(m.1), length(m.2), m.1, m.2);
        by_score.then_with(|| growth(a).cmp(&growth(b)))
    });
    let written = |id: u32| source.tokens[id as usize].clone();
    Ok(merges
        .into_iter()
        .map(|(_, left, right)| (written(left), written(right)))
        .collect())
}

/// Every token with its id. Those that text must not yield, and repetitions, get a name with a plain space in
/// it: byte-level and SentencePiece alphabets have none, so no text leads there, yet the ids stay dense.
fn vocabulary(source: &TokenizerSource) -> Vocab {
    let mut vocabulary = Vocab::with_capacity(source.tokens.len());
    for (token, id) in source.tokens.iter().zip(0_u32..) {
        let reachable = match source.kind(id) {
            TokenKind::Normal | TokenKind::UserDefined | TokenKind::Byte => true,
            // The BPE asks for it by name; no merge leads to it.
            TokenKind::Unknown => source.is_sentence_piece(),
            TokenKind::Control | TokenKind::Unused => false,
        };
        if reachable && !vocabulary.contains_key(token) {
            vocabulary.insert(token.clone(), id);
        } else {
            vocabulary.insert(format!(" {id}"), id);
        }
    }
    vocabulary
}

/// Texts that are always one token.
fn user_defined(source: &TokenizerSource) -> Vec<AddedToken> {
    let mut seen: HashSet<&str> = HashSet::new();
    source
        .tokens
        .iter()
        .zip(0_u32..)
        .filter(|(token, id)| {
            source.kind(*id) == TokenKind::UserDefined && !token.is_empty() && seen.insert(token)
        })
        .map(|(token, _)| AddedToken::from(token.clone(), false).normalized(false))
        .collect()
}
