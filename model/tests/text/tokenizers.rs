//! Tokenizers on real vocabularies.

use bigquill_model::tokenizer::Tokenizer;

use super::models::{QWEN, SMOLLM2};

#[test]
fn end_tokens_are_those_of_the_models() {
    assert_eq!(QWEN.end_tokens(), [151_643, 151_645]);
    assert_eq!(SMOLLM2.end_tokens(), [0, 2]);
}

#[test]
fn decoding_never_emits_half_a_character() {
    let text = "SELECT '👩‍👩‍👧 naïve 日本語 \u{10ffff}' -- ½";
    for tokenizer in [&*QWEN, &*SMOLLM2] {
        assert_eq!(decoded_piecewise(tokenizer, text), text);
    }
}

fn decoded_piecewise(tokenizer: &Tokenizer, text: &str) -> String {
    let mut decoder = tokenizer.decoder();
    let mut decoded = String::new();
    for id in tokenizer.encode(text).expect("ids") {
        let piece = decoder.push(id);
        assert!(
            !piece.contains(char::REPLACEMENT_CHARACTER),
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
        let ids = QWEN.encode(&text).expect("ids");
        assert_eq!(QWEN.decode(&ids), text);
    }
}
