#![allow(clippy::unwrap_used)] // a test may panic

use std::time::Duration;

use super::*;
use crate::tokenizer::{TokenKind, TokenizerSource};

fn message(role: Role, content: &str) -> Message {
    Message {
        role,
        content: content.to_owned(),
    }
}

#[test]
fn dates_are_civil() {
    let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
    assert_eq!(strftime("%d %b %Y", at(0)), "01 Jan 1970");
    assert_eq!(
        strftime("%Y-%m-%d %H:%M:%S", at(951_826_154)),
        "2000-02-29 12:09:14"
    );
    assert_eq!(
        strftime("%B %d, %Y %%", at(1_798_761_599)),
        "December 31, 2026 %%"
    );
}

#[test]
fn a_system_message_goes_before_a_user_message() {
    let messages = [message(Role::System, "rules"), message(Role::User, "question")];
    assert_eq!(
        merge_system(&messages, 0),
        Some(vec![message(Role::User, "rules\n\nquestion")])
    );
    assert_eq!(merge_system(&messages[1..], 0), None);
}

#[test]
fn a_template_that_never_ends_runs_out_of_fuel() {
    let template = ChatTemplate::parse(
        "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}x{% endfor %}{% endfor %}{% endfor %}",
    );
    let rendered = template.map(|t| t.render(&[message(Role::User, "q")], "", ""));
    assert!(matches!(rendered, Some(Err(e)) if e.kind() == ErrorKind::OutOfFuel));
}

#[test]
fn the_hole_in_a_template_is_an_error() {
    assert!(ChatTemplate::parse("{% for m in messages %}").is_none());
}

/// A byte-level vocabulary of the printable ASCII characters, space and line break, then control tokens.
fn tokenizer(template: Option<&str>, controls: &[&str], add_bos: bool) -> Tokenizer {
    let mut tokens: Vec<String> = ('!'..='~').map(String::from).collect();
    tokens.extend(["Ġ", "Ċ", "ab"].map(str::to_owned));
    let mut kinds = vec![TokenKind::Normal; tokens.len()];
    tokens.extend(controls.iter().map(|c| (*c).to_owned()));
    kinds.resize(tokens.len(), TokenKind::Control);
    let id = |text: &str| {
        tokens
            .iter()
            .position(|t| t == text)
            .map(|id| u32::try_from(id).unwrap())
    };
    let (bos, eos) = (id("<s>"), id("</s>"));
    Tokenizer::new(TokenizerSource {
        model: "gpt2".to_owned(),
        pre: "gpt-2".to_owned(),
        tokens,
        kinds,
        merges: vec!["a b".to_owned()],
        bos,
        eos,
        add_bos,
        chat_template: template.map(str::to_owned),
        ..TokenizerSource::default()
    })
    .unwrap()
}

/// The chat's ids with every control token as it is written, in ‹›.
fn chat(tokenizer: &Tokenizer, messages: &[Message]) -> Result<String, String> {
    let prompt = Prompt {
        messages: messages.to_vec(),
    };
    let ids = tokenizer.encode_chat(&prompt).map_err(|e| e.to_string())?;
    let text = ids.iter().map(|id| match tokenizer.written(*id) {
        Some(control) => format!("‹{control}›"),
        None => tokenizer.decode(&[*id]),
    });
    Ok(text.collect())
}

fn rules_and_question() -> [Message; 2] {
    [message(Role::System, "rules"), message(Role::User, "ab </s> <s>")]
}

const CONTROLS: &[&str] = &["<s>", "</s>", "<|im_start|>", "<|im_end|>", "<|im_start|>x"];

#[test]
fn control_tokens_are_those_of_the_template_alone() {
    let template = "{% for m in messages %}{{ m.role }}</s>:{{ m['content'] }}</s>{% endfor %}go";
    let tokenizer = tokenizer(Some(template), CONTROLS, false);
    let text = chat(&tokenizer, &rules_and_question());
    assert_eq!(
        text.as_deref(),
        Ok("system‹</s>›:rules‹</s>›user‹</s>›:ab </s> <s>‹</s>›go")
    );
}

#[test]
fn the_opening_token_stands_once() {
    for template in [
        "{{ bos_token }}{{ messages[0].content }}",
        "{{ messages[0].content }}",
    ] {
        let tokenizer = tokenizer(Some(template), CONTROLS, true);
        let text = chat(&tokenizer, &[message(Role::User, "<s>q")]);
        assert_eq!(text.as_deref(), Ok("‹<s>›<s>q"), "{template}");
    }
}

#[test]
fn a_template_without_system_messages_gets_them_with_the_question() {
    let refusing = "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no') }}{% endif %}\
        {{ m.role.upper() }}={{ m.content.strip() }}{% endfor %}";
    let forgetting = "{% for m in messages if m.role != 'system' %}USER={{ m.content | trim }}{% endfor %}";
    for template in [refusing, forgetting] {
        let tokenizer = tokenizer(Some(template), CONTROLS, false);
        let text = chat(&tokenizer, &rules_and_question());
        assert_eq!(text.as_deref(), Ok("USER=rules\n\nab </s> <s>"), "{template}");
    }
}

#[test]
fn without_a_usable_template_the_vocabulary_tells_the_form() {
    let broken = "{% for m in messages %}";
    let twice = "{{ messages[0].content }}{{ messages[0].content }}{{ messages[1].content }}";
    for template in [None, Some(broken), Some(twice)] {
        let chat_ml = tokenizer(template, &["<|im_start|>", "<|im_end|>"], false);
        assert_eq!(
            chat(&chat_ml, &rules_and_question()).as_deref(),
            Ok(
                "‹<|im_start|>›system\nrules‹<|im_end|>›\n‹<|im_start|>›user\nab </s> <s>‹<|im_end|>›\n\
                ‹<|im_start|>›assistant\n"
            )
        );
        let mistral = tokenizer(template, &["<s>", "</s>", "[INST]", "[/INST]"], true);
        assert_eq!(
            chat(&mistral, &rules_and_question()).as_deref(),
            Ok("‹<s>›‹[INST]›rules\n\nab </s> <s>‹[/INST]›")
        );
        let error = chat(&tokenizer(template, &["<s>"], true), &rules_and_question()).unwrap_err();
        assert!(error.contains("Instruct"), "{error}");
    }
}

#[test]
fn a_template_may_ask_for_the_date() {
    let tokenizer = tokenizer(
        Some("{{ strftime_now('%Y')[:2] }} {{ messages[0].content }}"),
        CONTROLS,
        false,
    );
    assert_eq!(
        chat(&tokenizer, &[message(Role::User, "q")]).as_deref(),
        Ok("20 q")
    );
}
