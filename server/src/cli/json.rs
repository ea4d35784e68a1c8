//! Answers and findings as JSON lines.

use bigquill_analysis::check::{Diagnostic, Severity};
use serde_json::{Map, Value, json};

use crate::pipeline::Answer;
use crate::position::{Encoding, LineIndex};

/// Findings with positions from 0, in UTF-16 units, in `text`.
pub(super) fn diagnostics(text: &str, diagnostics: &[Diagnostic]) -> Value {
    let index = LineIndex::new(text);
    diagnostics
        .iter()
        .map(|d| {
            json!({
                "code": d.code.as_str(),
                "severity": severity(d.severity),
                "source": d.code.source().as_str(),
                "message": d.message,
                "start": place(text, &index, d.range.start),
                "end": place(text, &index, d.range.end),
            })
        })
        .collect()
}

/// A position from 0, in UTF-16 units.
pub(super) fn place(text: &str, index: &LineIndex, offset: usize) -> Value {
    let position = index.position(text, offset, Encoding::Utf16);
    json!({"line": position.line, "character": position.character})
}

/// An answer: `sql`, `proved`, `proved_by`, `bytes_processed` where BigQuery planned it, `over_limit` where that is too much, `diagnostics`, `prompt_tokens`, `tokens`, `ms`; with `details` all that is known.
pub(super) fn answer(answer: &Answer, details: bool) -> Map<String, Value> {
    let mut map = Map::new();
    let mut set = |key: &str, value: Value| map.insert(key.to_owned(), value);
    set("sql", answer.sql.clone().into());
    set("proved", answer.proved.into());
    set("proved_by", answer.proved_by.map(|p| p.as_str()).into());
    if let Some(bytes) = answer.bytes_processed {
        set("bytes_processed", bytes.into());
    }
    if let Some(over_limit) = &answer.over_limit {
        set("over_limit", over_limit.clone().into());
    }
    set("diagnostics", findings(answer));
    set("prompt_tokens", answer.prompt_tokens.into());
    set("tokens", answer.tokens.into());
    set("ms", tenths(answer.ms));
    if details {
        set(
            "repairs",
            answer.repairs.iter().map(ToString::to_string).collect(),
        );
        set("reused_tokens", answer.reused_tokens.into());
        set("tokens_per_second", tenths(answer.tokens_per_second));
        set("finish", answer.finish.as_str().into());
    }
    map
}

/// The findings of an answer; a reason without a place of its own stands for the whole statement.
fn findings(answer: &Answer) -> Value {
    let mut all = diagnostics(&answer.sql, &answer.diagnostics);
    let index = LineIndex::new(&answer.sql);
    let end = place(&answer.sql, &index, answer.sql.len());
    if let Value::Array(all) = &mut all {
        all.extend(answer.reasons.iter().filter(|_| !answer.proved).map(|reason| {
            json!({
                "code": "not-proved",
                "severity": "warning",
                "message": reason,
                "start": {"line": 0, "character": 0},
                "end": end,
            })
        }));
    }
    all
}

/// The name of a severity, as the language server protocol has it, in lower case.
fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Information => "information",
        Severity::Hint => "hint",
    }
}

fn tenths(value: f64) -> Value {
    ((value * 10.0).round() / 10.0).into()
}
