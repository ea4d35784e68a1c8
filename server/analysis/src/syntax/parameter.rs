//! Query parameters (`@day`, `?`): which a statement uses, and comments that declare their values.
//!
//! A declaration is a line comment of its own: `-- @day DATE = 2024-01-01`; that of the first `?` is `-- @1 …`.

use super::lexer::{TokenKind, tokens};

/// Types that a parameter may have, and what BigQuery's SQL calls them besides.
const TYPES: &[(&str, &[&str])] = &[
    ("STRING", &[]),
    ("BYTES", &[]),
    ("INT64", &["INT", "INTEGER", "BIGINT"]),
    ("FLOAT64", &["FLOAT"]),
    ("BOOL", &["BOOLEAN"]),
    ("NUMERIC", &["DECIMAL"]),
    ("BIGNUMERIC", &["BIGDECIMAL"]),
    ("DATE", &[]),
    ("DATETIME", &[]),
    ("TIME", &[]),
    ("TIMESTAMP", &[]),
    ("INTERVAL", &[]),
    ("JSON", &[]),
    ("GEOGRAPHY", &[]),
];

/// The type at the start of a declaration's text, and what follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TypedText<'t> {
    /// The type as it stands.
    pub written: &'t str,
    /// Its first name, of an array that of the element; none where there is no such type.
    pub data_type: Option<&'static str>,
    /// Whether it is an array of that type.
    pub array: bool,
    /// The value, without the `=` before it.
    pub value: &'t str,
}

impl<'t> TypedText<'t> {
    /// Cuts `ARRAY<INT64> = [1, 2]` or `DATE 2024-01-01` in two.
    #[must_use]
    pub fn read(text: &'t str) -> Self {
        let end = text
            .find(|c: char| c == '=' || c.is_whitespace())
            .unwrap_or(text.len());
        let (written, rest) = text.split_at(end);
        let rest = rest.trim_start();
        let upper = written.to_ascii_uppercase();
        let element = upper
            .strip_prefix("ARRAY<")
            .and_then(|rest| rest.strip_suffix('>'));
        let name = element.unwrap_or(&upper);
        let known = TYPES
            .iter()
            .find(|(known, others)| *known == name || others.contains(&name));
        Self {
            written,
            data_type: known.map(|(known, _)| *known),
            array: element.is_some(),
            value: rest.strip_prefix('=').unwrap_or(rest).trim(),
        }
    }
}

/// The first names of all types that a parameter may have.
pub fn type_names() -> impl Iterator<Item = &'static str> {
    TYPES.iter().map(|(name, _)| *name)
}

/// A parameter that a comment declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declaration {
    /// Its name, or its number from 1 for a `?`.
    pub name: String,
    /// Type and value as they stand: `DATE = 2024-01-01`.
    pub text: String,
}

/// Parameters of a statement, in order of their first use: names as they stand first, numbers from 1 for each `?`.
/// System variables (`@@name`) are none.
#[must_use]
pub fn used(sql: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut positions = 0;
    for token in tokens(sql).iter().filter(|t| t.kind == TokenKind::Parameter) {
        let text = token.text(sql);
        let name = if text == "?" {
            positions += 1;
            positions.to_string()
        } else if text.starts_with("@@") {
            continue;
        } else {
            text.trim_start_matches('@').trim_matches('`').to_owned()
        };
        if !found.iter().any(|known| known.eq_ignore_ascii_case(&name)) {
            found.push(name);
        }
    }
    found
}

/// Parameters that comments of a text declare. Where one is declared twice, both are here.
#[must_use]
pub fn declarations(text: &str) -> Vec<Declaration> {
    tokens(text)
        .iter()
        .filter(|token| token.kind == TokenKind::LineComment)
        .filter_map(|token| declaration(token.text(text)))
        .collect()
}

/// The declaration that a line comment is, if it is one.
#[must_use]
pub fn declaration(comment: &str) -> Option<Declaration> {
    let rest = comment.trim_start_matches(['-', '#']).trim().strip_prefix('@')?;
    let (name, text) = rest.split_once(char::is_whitespace)?;
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    // Without a type the comment only speaks of the parameter.
    let is_typed = TypedText::read(text.trim()).data_type.is_some();
    (is_name && is_typed).then(|| Declaration {
        name: name.to_owned(),
        text: text.trim().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_found_once_and_in_order() {
        let sql = "SELECT @Day, @@time_zone, '@no', @day -- @no\nFROM t WHERE a = @`n` AND b = ?";
        assert_eq!(used(sql), ["Day", "n", "1"]);
        assert_eq!(used("SELECT ? + ?"), ["1", "2"]);
        assert_eq!(used("SELECT 1"), Vec::<String>::new());
    }

    #[test]
    fn a_comment_declares() {
        let text = "-- @day DATE = 2024-01-01\n# @1 INT64 = 3\n-- mail me @ home\n-- @alone\n-- @day the first day\nSELECT '-- @s STRING = x'";
        let expected = [("day", "DATE = 2024-01-01"), ("1", "INT64 = 3")];
        let found = declarations(text);
        let found: Vec<_> = found.iter().map(|d| (d.name.as_str(), d.text.as_str())).collect();
        assert_eq!(found, expected);
    }
}
