//! Values out of a completion: literals of its SQL, and the same values where the question says them.

use bigquill_analysis::syntax::lexer::{TokenKind, tokens};

use crate::prompt::one_line;

use super::Completion;

/// Empties the literals of the SQL, and takes their values and all quoted text and numbers out of the question, there
/// and in the prompt. What the SQL means is another thing then; what it looks at is not.
pub(super) fn redact(completion: &mut Completion) {
    let (generated, mut values) = without_literals(&completion.generated);
    completion.generated = generated;
    completion.kept = completion.kept.as_deref().map(|kept| {
        let (kept, more) = without_literals(kept);
        values.extend(more);
        kept
    });
    // The longest first: one may be part of another.
    values.sort_by_key(|value| std::cmp::Reverse(value.len()));
    let question = question_without(&completion.question, &values);
    // The prompt says the question on one line.
    let (old, new) = (one_line(&completion.question), one_line(&question));
    for message in &mut completion.prompt {
        message.content = message.content.replace(&old, &new);
    }
    completion.question = question;
}

/// The SQL with every string and bytes literal emptied, every number 0 and no words in comments; and the values that were
/// there.
fn without_literals(sql: &str) -> (String, Vec<String>) {
    let mut values = Vec::new();
    let mut redacted = String::with_capacity(sql.len());
    let mut at = 0;
    for token in tokens(sql) {
        let (new, value) = match token.kind {
            TokenKind::String => ("''", value(token.text(sql))),
            TokenKind::Bytes => ("b''", value(token.text(sql))),
            TokenKind::Number => ("0", token.text(sql).to_owned()),
            // What a person noted beside it may say the value, too.
            TokenKind::LineComment => ("--", String::new()),
            TokenKind::BlockComment => ("", String::new()),
            _ => continue,
        };
        values.push(value);
        redacted.push_str(sql.get(at..token.start).unwrap_or_default());
        redacted.push_str(new);
        at = token.end;
    }
    redacted.push_str(sql.get(at..).unwrap_or_default());
    values.retain(|value| !value.is_empty());
    (redacted, values)
}

/// What stands between the quotes of a literal, as it is written there.
fn value(literal: &str) -> String {
    let quoted = literal.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    let quote = |c: char| matches!(c, '\'' | '"');
    quoted.trim_matches(quote).to_owned()
}

fn question_without(question: &str, values: &[String]) -> String {
    let known = values
        .iter()
        .fold(question.to_owned(), |text, value| replaced(&text, value));
    // A question is no SQL, but its quotes and numbers are those of SQL; its apostrophes are not.
    let mut redacted = String::with_capacity(known.len());
    let mut rest = known.as_str();
    while let Some(c) = rest.chars().next() {
        let length = if c.is_ascii_digit() {
            rest.find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | ',' | '-' | ':'))
                .unwrap_or(rest.len())
        } else if c == '"' {
            rest[1..].find('"').map_or(1, |end| end + 2)
        } else {
            redacted.push(c);
            rest = &rest[c.len_utf8()..];
            continue;
        };
        let (value, after) = rest.split_at(length);
        let end = value.trim_end_matches(['.', ',', '-', ':']);
        redacted.push_str(if c == '"' { "\"\"" } else { "0" });
        redacted.push_str(&value[end.len()..]);
        rest = after;
    }
    redacted
}

/// The text without a value, in any case, where it stands as a word of its own.
fn replaced(text: &str, value: &str) -> String {
    let pattern = regex::RegexBuilder::new(&regex::escape(value))
        .case_insensitive(true)
        .build();
    let Ok(pattern) = pattern else {
        return text.to_owned();
    };
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for found in pattern.find_iter(text) {
        let word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        let inside =
            word(text[..found.start()].chars().next_back()) || word(text[found.end()..].chars().next());
        if !inside {
            out.push_str(&text[at..found.start()]);
            out.push('…');
            at = found.end();
        }
    }
    out.push_str(&text[at..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::tests::completion;
    use crate::corpus::{Outcome, PromptMessage};

    #[test]
    fn only_literals_go() {
        let sql = "SELECT `a 1`.b2, 'Ann' AS name, r\"x\", b'y' FROM t1 WHERE x > -12.5 AND d = DATE '2024-01-01' -- 3";
        let (redacted, values) = without_literals(sql);
        assert_eq!(
            redacted,
            "SELECT `a 1`.b2, '' AS name, '', b'' FROM t1 WHERE x > -0 AND d = DATE '' --"
        );
        assert_eq!(values, ["Ann", "x", "y", "12.5", "2024-01-01"]);
    }

    #[test]
    fn a_value_of_the_sql_goes_from_question_and_prompt() {
        let mut completion = completion(
            "orders of ann\nsince 2024-01-05, Annapolis's \"top\" 7.",
            Outcome::Edited,
        );
        completion.generated = "SELECT 1 FROM t WHERE name = 'Ann'".to_owned();
        completion.kept = Some("SELECT 1 FROM t WHERE name = 'Bob'".to_owned());
        completion.prompt = vec![PromptMessage {
            role: "user".to_owned(),
            content: format!(
                "- t: name STRING(7)\nQuestion: {}",
                one_line(&completion.question)
            ),
        }];
        completion.redact();
        assert_eq!(completion.question, "orders of …\nsince 0, Annapolis's \"\" 0.");
        assert_eq!(
            completion.prompt[0].content,
            "- t: name STRING(7)\nQuestion: orders of … since 0, Annapolis's \"\" 0."
        );
        assert_eq!(
            completion.kept.as_deref(),
            Some("SELECT 0 FROM t WHERE name = ''")
        );
    }
}
