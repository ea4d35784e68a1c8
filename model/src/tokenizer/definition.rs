//! A GGUF vocabulary as a `tokenizer.json` value, the format that every version of the `tokenizers` crate reads.
//!
//! The split patterns are those of the models' own tokenizers; `fixtures/tokenizers` holds ids of reference
//! implementations that they are tested against.

use std::cmp::{Ordering, Reverse};
use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value, json};

use super::{TokenKind, TokenizerError, TokenizerSource};

/// The `pre` names of `gpt2` vocabularies that [`pre_tokenizer`] knows.
pub(super) const KNOWN_PRE: &str = "`qwen2`, `smollm`, `llama-bpe`, `gpt-2`";

const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// The definition of a tokenizer without control tokens, ids as in the file.
pub(super) fn tokenizer_json(source: &TokenizerSource) -> Result<Value, TokenizerError> {
    let (normalizer, pre_tokenizer, model) = match source.model.as_str() {
        "gpt2" => byte_level(source)?,
        "llama" => sentence_piece(source)?,
        other => return Err(TokenizerError::UnknownModel(other.to_owned())),
    };
    Ok(json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": user_defined(source),
        "normalizer": normalizer,
        "pre_tokenizer": pre_tokenizer,
        "post_processor": null,
        "decoder": null, // `pieces.rs` decodes
        "model": model,
    }))
}

/// Normalizer, pre-tokenizer and model of a `gpt2` vocabulary.
fn byte_level(source: &TokenizerSource) -> Result<(Value, Value, Value), TokenizerError> {
    if source.merges.is_empty() {
        return Err(TokenizerError::Missing("tokenizer.ggml.merges"));
    }
    let (normalizer, pre_tokenizer, ignore_merges) = pre_tokenizer(&source.pre)?;
    let merges: Result<Vec<Value>, TokenizerError> = source
        .merges
        .iter()
        .map(|merge| match merge.split_once(' ') {
            Some((left, right)) => Ok(json!([left, right])),
            None => Err(TokenizerError::Invalid("a merge without two pieces".to_owned())),
        })
        .collect();
    let model = json!({
        "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
        "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": ignore_merges,
        "vocab": vocabulary(source), "merges": merges?,
    });
    Ok((normalizer, pre_tokenizer, model))
}

/// Normalizer, pre-tokenizer and whether a whole vocabulary entry needs no merges, by `pre` name.
fn pre_tokenizer(name: &str) -> Result<(Value, Value, bool), TokenizerError> {
    let bytes = |use_regex: bool| json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": use_regex});
    let split = |pattern: &str| {
        json!({"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false},
            bytes(false),
        ]})
    };
    let digits = json!({"type": "Sequence", "pretokenizers": [
        {"type": "Digits", "individual_digits": true},
        bytes(true),
    ]});
    match name {
        "qwen2" => Ok((json!({"type": "NFC"}), split(QWEN2), false)),
        "smollm" => Ok((Value::Null, digits, false)),
        "llama-bpe" | "llama3" | "llama-v3" => Ok((Value::Null, split(LLAMA3), true)),
        "gpt-2" => Ok((Value::Null, bytes(true), false)),
        // An old file without the name, or `default`: which split was meant cannot be known.
        other => Err(TokenizerError::UnknownPre(other.to_owned())),
    }
}

/// Normalizer, pre-tokenizer and model of a SentencePiece BPE vocabulary.
///
/// SentencePiece has no list of merges: it joins the neighbours whose joined piece has the highest score. The
/// list is therefore every split of a piece into two pieces, in the order of the piece's score.
fn sentence_piece(source: &TokenizerSource) -> Result<(Value, Value, Value), TokenizerError> {
    let space = json!({"type": "Replace", "pattern": {"String": " "}, "content": "▁"});
    let normalizer = if source.add_space_prefix {
        json!({"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, space]})
    } else {
        space
    };
    let unknown = source.unknown.unwrap_or(0);
    let model = json!({
        "type": "BPE", "dropout": null, "unk_token": source.tokens[unknown as usize],
        "continuing_subword_prefix": null, "end_of_word_suffix": null,
        "fuse_unk": true, "byte_fallback": true, "ignore_merges": false,
        "vocab": vocabulary(source), "merges": merges_by_score(source)?,
    });
    Ok((normalizer, Value::Null, model))
}

fn merges_by_score(source: &TokenizerSource) -> Result<Vec<Value>, TokenizerError> {
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
            return Err(TokenizerError::Invalid(format!(
                "the score of token {id} is no number"
            )));
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
    let written = |id: u32| source.tokens[id as usize].as_str();
    Ok(merges
        .into_iter()
        .map(|(_, l, r)| json!([written(l), written(r)]))
        .collect())
}

/// Every token with its id. Those that text must not yield, and repetitions, get a name with a plain space in
/// it: byte-level and SentencePiece alphabets have none, so no text leads there, yet the ids stay dense.
fn vocabulary(source: &TokenizerSource) -> Map<String, Value> {
    let mut seen: HashSet<&str> = HashSet::with_capacity(source.tokens.len());
    source
        .tokens
        .iter()
        .zip(0_u32..)
        .map(|(token, id)| {
            let reachable = match source.kind(id) {
                TokenKind::Normal | TokenKind::UserDefined | TokenKind::Byte => true,
                // The BPE asks for it by name; no merge leads to it.
                TokenKind::Unknown => source.is_sentence_piece(),
                TokenKind::Control | TokenKind::Unused => false,
            };
            if reachable && seen.insert(token) {
                (token.clone(), id.into())
            } else {
                (format!(" {id}"), id.into())
            }
        })
        .collect()
}

/// Texts that are always one token.
fn user_defined(source: &TokenizerSource) -> Vec<Value> {
    let mut seen: HashSet<&str> = HashSet::new();
    source
        .tokens
        .iter()
        .zip(0_u32..)
        .filter(|(token, id)| {
            source.kind(*id) == TokenKind::UserDefined && !token.is_empty() && seen.insert(token)
        })
        .map(|(token, id)| {
            json!({"id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": false})
        })
        .collect()
}
