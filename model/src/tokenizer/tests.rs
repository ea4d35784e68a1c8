#![allow(clippy::unwrap_used)] // a test may panic

use super::*;

/// A byte-level vocabulary of the letters a to d with two merges, a control, a user-defined and an unused token.
fn byte_level() -> TokenizerSource {
    let tokens = [
        "a",
        "b",
        "c",
        "d",
        "ab",
        "abc",
        "Ġ",
        "<|im_end|>",
        "<tool>",
        "[PAD9]",
        "Ã",
        "©",
    ];
    let mut kinds = vec![TokenKind::Normal; tokens.len()];
    kinds[7] = TokenKind::Control;
    kinds[8] = TokenKind::UserDefined;
    kinds[9] = TokenKind::Unused;
    TokenizerSource {
        model: "gpt2".to_owned(),
        pre: "gpt-2".to_owned(),
        tokens: tokens.map(str::to_owned).to_vec(),
        kinds,
        merges: vec!["a b".to_owned(), "ab c".to_owned()],
        eos: Some(7),
        ..TokenizerSource::default()
    }
}

/// A SentencePiece vocabulary: `<unk>`, `</s>`, the bytes of é, `▁`, a, b, ab, ▁ab.
fn sentence_piece() -> TokenizerSource {
    let tokens = ["<unk>", "</s>", "<0xC3>", "<0xA9>", "▁", "a", "b", "ab", "▁ab"];
    let mut kinds = vec![TokenKind::Normal; tokens.len()];
    kinds[0] = TokenKind::Unknown;
    kinds[1] = TokenKind::Control;
    kinds[2] = TokenKind::Byte;
    kinds[3] = TokenKind::Byte;
    TokenizerSource {
        model: "llama".to_owned(),
        tokens: tokens.map(str::to_owned).to_vec(),
        scores: vec![0.0, 0.0, 0.0, 0.0, -3.0, -4.0, -5.0, -1.0, -2.0],
        kinds,
        add_space_prefix: true,
        unknown: Some(0),
        eos: Some(1),
        ..TokenizerSource::default()
    }
}

fn encode(source: TokenizerSource, text: &str) -> Vec<u32> {
    Tokenizer::new(source).and_then(|t| t.encode(text)).unwrap()
}

#[test]
fn byte_level_merges_in_order() {
    assert_eq!(encode(byte_level(), "abcd ab"), [5, 3, 6, 4]);
    assert_eq!(encode(byte_level(), "dé"), [3, 10, 11]);
}

#[test]
fn sentence_piece_joins_by_score_and_falls_back_to_bytes() {
    assert_eq!(encode(sentence_piece(), "ab"), [8]);
    assert_eq!(encode(sentence_piece(), "ba"), [4, 6, 5]);
    assert_eq!(encode(sentence_piece(), "éab"), [4, 2, 3, 7]);
}

#[test]
fn the_prefixed_space_is_taken_off_an_answer_once() {
    let tokenizer = Tokenizer::new(sentence_piece()).unwrap();
    let text = " ab é ab";
    assert_eq!(tokenizer.decode(&tokenizer.encode(text).unwrap()), text);
}

#[test]
fn text_never_yields_control_or_unused_tokens() {
    let ids = encode(byte_level(), "<|im_end|>[PAD9] 7");
    assert!(ids.iter().all(|id| ![7, 9].contains(id)), "{ids:?}");
    assert_eq!(encode(byte_level(), "a<tool>b"), [0, 8, 1]);
    assert!(!encode(sentence_piece(), "</s>").contains(&1));
}

#[test]
fn half_a_character_waits_and_a_broken_one_is_replaced() {
    let tokenizer = Tokenizer::new(byte_level()).unwrap();
    let mut decoder = tokenizer.decoder();
    assert_eq!(decoder.push(10), "");
    assert_eq!(decoder.push(11), "é");
    assert_eq!(decoder.push(11), "\u{fffd}");
    assert_eq!(decoder.push(10), "");
    assert_eq!(decoder.push(0), "\u{fffd}a");
    assert_eq!(decoder.push(10), "");
    assert_eq!(decoder.push(99_999), "");
    assert_eq!(decoder.finish(), "\u{fffd}");
}

#[test]
fn a_damaged_vocabulary_is_refused_with_its_reason() {
    let refused = |change: fn(&mut TokenizerSource), base: fn() -> TokenizerSource| {
        let mut source = base();
        change(&mut source);
        Tokenizer::new(source).map(|_| ()).unwrap_err().to_string()
    };
    let cases = [
        (
            refused(|s| s.eos = Some(12), byte_level),
            "eos_token_id is 12, but there are 12 tokens",
        ),
        (
            refused(|s| s.kinds.truncate(3), byte_level),
            "12 tokens but 3 token types",
        ),
        (
            refused(|s| s.tokens.clear(), byte_level),
            "a vocabulary of 0 tokens",
        ),
        (
            refused(|s| s.merges.clear(), byte_level),
            "no `tokenizer.ggml.merges`",
        ),
        (
            refused(|s| s.merges.push("ab".into()), byte_level),
            "a merge without two pieces",
        ),
        (
            refused(|s| s.merges.push("a z".into()), byte_level),
            "tokenizer is damaged",
        ),
        (
            refused(|s| s.pre = "default".into(), byte_level),
            "pre-tokenizer `default` is not supported",
        ),
        (
            refused(|s| s.model = "bert".into(), byte_level),
            "tokenizer model `bert` is not supported",
        ),
        (
            refused(|s| s.scores.truncate(2), sentence_piece),
            "9 tokens but 2 scores",
        ),
        (
            refused(|s| s.scores[8] = f32::NAN, sentence_piece),
            "the score of token 8 is no number",
        ),
    ];
    for (message, expected) in cases {
        assert!(
            message.contains(expected),
            "{message:?} does not say {expected:?}"
        );
    }
}

#[test]
fn a_chat_without_a_known_form_is_refused() {
    let tokenizer = Tokenizer::new(byte_level()).unwrap();
    let message = crate::generate::Message {
        role: crate::generate::Role::User,
        content: "a".to_owned(),
    };
    let prompt = crate::generate::Prompt {
        messages: vec![message],
    };
    let error = tokenizer.encode_chat(&prompt).unwrap_err().to_string();
    assert!(error.contains("Instruct"), "{error}");
}
