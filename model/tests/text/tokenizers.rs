//! Tokenizers on real vocabularies, against the ids that reference implementations gave
//! (`fixtures/tokenizers/make.py`).

use bigquill_model::generate::{Message, Prompt, Role};
use bigquill_model::tokenizer::Tokenizer;
use serde_json::Value;

use super::models::{MISTRAL, QWEN, SMOLLM2, fixture_lines};

fn ids(value: &Value) -> Vec<u32> {
    value
        .as_array()
        .expect("ids")
        .iter()
        .map(|id| id.as_u64().expect("an id") as u32)
        .collect()
}

/// All strings that differ are shown, not the first alone.
fn equal_on_all_strings(tokenizer: &Tokenizer, name: &str) {
    let rows = fixture_lines("tokenizers/strings.jsonl.gz");
    assert_eq!(rows.len(), 200);
    let different: Vec<String> = rows
        .iter()
        .filter_map(|row| {
            let text = row["text"].as_str().expect("a text");
            let (own, expected) = (tokenizer.encode(text).expect("ids"), ids(&row[name]));
            (own != expected).then(|| format!("{text:?}\n  own      {own:?}\n  expected {expected:?}"))
        })
        .collect();
    assert!(
        different.is_empty(),
        "{} of 200 differ:\n{}",
        different.len(),
        different.join("\n")
    );
}

#[test]
fn qwen2_ids_are_the_references() {
    equal_on_all_strings(&QWEN, "qwen2");
}

#[test]
fn smollm_ids_are_the_references() {
    equal_on_all_strings(&SMOLLM2, "smollm");
}

#[test]
fn mistral_ids_are_the_references() {
    equal_on_all_strings(&MISTRAL, "mistral");
}

#[test]
fn mistral_chats_are_the_references() {
    for row in fixture_lines("tokenizers/mistral-chats.jsonl.gz") {
        let messages = row["messages"]
            .as_array()
            .expect("messages")
            .iter()
            .map(|message| {
                let role = match message[0].as_str() {
                    Some("system") => Role::System,
                    Some("user") => Role::User,
                    _ => Role::Assistant,
                };
                Message {
                    role,
                    content: message[1].as_str().expect("a text").to_owned(),
                }
            });
        let prompt = Prompt {
            messages: messages.collect(),
        };
        assert_eq!(
            MISTRAL.encode_chat(&prompt).expect("ids"),
            ids(&row["ids"]),
            "{}",
            row["messages"]
        );
    }
}

#[test]
fn end_tokens_are_those_of_the_models() {
    assert_eq!(QWEN.end_tokens(), [151_643, 151_645]);
    assert_eq!(SMOLLM2.end_tokens(), [0, 2]);
    assert_eq!(MISTRAL.end_tokens(), [2]);
}

#[test]
fn decoding_gives_the_text_back_and_never_half_a_character() {
    for row in fixture_lines("tokenizers/strings.jsonl.gz") {
        let text = row["text"].as_str().expect("a text");
        // `▁` is SentencePiece's own way to write a space.
        assert_eq!(decoded_piecewise(&MISTRAL, text), text.replace('▁', " "));
        assert_eq!(decoded_piecewise(&SMOLLM2, text), text);
        // Qwen's normalizes: what it gives back is the same ids again.
        let once = decoded_piecewise(&QWEN, text);
        assert_eq!(QWEN.encode(&once).expect("ids"), ids(&row["qwen2"]), "{text:?}");
    }
}

fn decoded_piecewise(tokenizer: &Tokenizer, text: &str) -> String {
    let mut decoder = tokenizer.decoder();
    let mut decoded = String::new();
    for id in tokenizer.encode(text).expect("ids") {
        let piece = decoder.push(id);
        let replaced = piece.matches(char::REPLACEMENT_CHARACTER).count();
        assert!(
            replaced <= text.matches(char::REPLACEMENT_CHARACTER).count(),
            "{piece:?} of {text:?}"
        );
        decoded.push_str(&piece);
    }
    decoded + &decoder.finish()
}

#[test]
fn a_very_long_run_of_one_character_is_encoded() {
    for c in [' ', '\n', 'a', '-', '日'] {
        let text = c.to_string().repeat(200_000);
        for tokenizer in [&*QWEN, &*SMOLLM2, &*MISTRAL] {
            let ids = tokenizer.encode(&text).expect("ids");
            assert_eq!(tokenizer.decode(&ids), text);
        }
    }
}
