//! What is asked at once: a statement, or a script that only holds together.

use std::ops::Range;

use bigquill_analysis::syntax::lexer::{TokenKind, tokens};
use bigquill_analysis::syntax::split::{Statement, split};
use bigquill_judge::position;

/// A part of the text that goes to BigQuery as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// Its bytes.
    pub range: Range<usize>,
}

/// The statements of a text; all of them together where one prepares something for the next.
#[must_use]
pub fn units(text: &str) -> Vec<Unit> {
    let statements = split(text).statements;
    match (statements.first(), statements.last()) {
        (Some(first), Some(last))
            if statements.len() > 1 && statements.iter().any(|s| is_script(text, s)) =>
        {
            vec![Unit {
                range: first.range.start..last.range.end,
            }]
        }
        _ => statements.into_iter().map(|s| Unit { range: s.range }).collect(),
    }
}

/// Whether a later statement may need this one to have run.
fn is_script(text: &str, statement: &Statement) -> bool {
    let sql = &text[statement.range.clone()];
    let words: Vec<String> = tokens(sql)
        .iter()
        .filter(|token| !token.is_comment())
        .take(5)
        .map(|token| sql[token.start..token.end].to_ascii_uppercase())
        .collect();
    let first = words.first().map_or("", String::as_str);
    let after = match words.get(1..3) {
        Some([or, replace]) if or == "OR" && replace == "REPLACE" => words.get(3),
        _ => words.get(1),
    };
    let makes = first == "CREATE" && after.is_some_and(|word| word == "TEMP" || word == "TEMPORARY");
    statement.block || makes || matches!(first, "DECLARE" | "SET" | "BEGIN" | "EXECUTE" | "CALL")
}

impl Unit {
    /// The token at a line and column of this part, from 1, in the text's bytes; the whole part without a place.
    #[must_use]
    pub fn place(&self, text: &str, place: Option<(usize, usize)>) -> Range<usize> {
        let Some((line, column)) = place else {
            return self.range.clone();
        };
        let sql = &text[self.range.clone()];
        let at = position::offset(sql, line, column);
        let token = tokens(sql).into_iter().find(|token| token.end > at);
        let end = token
            .filter(|token| token.start <= at)
            .map_or(at, |token| token.end);
        self.range.start + at..self.range.start + end
    }
}

/// Whether a template tag stands in this SQL: then it is no SQL yet.
#[must_use]
pub fn has_template(sql: &str) -> bool {
    tokens(sql).iter().any(|token| token.kind == TokenKind::Template)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Vec<&str> {
        units(text).into_iter().map(|unit| &text[unit.range]).collect()
    }

    #[test]
    fn statements_stand_alone_and_scripts_together() {
        assert_eq!(parts("-- a\nSELECT 1;\nSELECT 2;"), ["SELECT 1", "SELECT 2"]);
        let kept = "CREATE TABLE d.temp (a INT64);\nSELECT 1;";
        assert_eq!(parts(kept).len(), 2, "a name is no keyword");
        for script in [
            "DECLARE x INT64;\nSELECT x",
            "CREATE TEMP FUNCTION f() AS (1);\nSELECT f()",
            "CREATE OR REPLACE TEMP TABLE t AS SELECT 1 AS a;\nSELECT a FROM t",
            "SELECT 1;\nBEGIN SELECT 2; END",
        ] {
            assert_eq!(parts(&format!("\n{script};\n")), [script]);
        }
        assert_eq!(parts("  -- nothing\n"), Vec::<&str>::new());
    }

    #[test]
    fn places_count_from_the_statement() {
        let text = "SELECT 1;\n\nSELECT name,\n\tnme FROM t";
        let second = &units(text)[1];
        assert_eq!(&text[second.place(text, Some((2, 9)))], "nme");
        assert_eq!(&text[second.place(text, Some((1, 8)))], "name");
        assert_eq!(second.place(text, Some((9, 9))), text.len()..text.len());
        assert_eq!(second.place(text, None), second.range);
    }
}
