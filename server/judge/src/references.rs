//! Which tables and routines a statement names: every path in it that the catalog can answer.
//!
//! Found from tokens, without a parser, so a broken statement names its tables too. It may find too much (an alias
//! and a column spelled like a table): a table that is registered and not meant changes no verdict.

use std::collections::BTreeMap;
use std::sync::Arc;

use bigquill_analysis::schema::{CatalogSnapshot, Routine, TableMatch, TableReference, TableSchema};
use bigquill_analysis::syntax::lexer::{Token, TokenKind, tokens, unquote};

use crate::information_schema;

/// A table under the name that the statement gives it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TableBinding {
    /// The path's parts as written: `` `a.b`.c `` has two.
    pub(crate) written: Vec<String>,
    /// The table.
    pub(crate) table: Arc<TableSchema>,
    /// Whether `_TABLE_SUFFIX` is there.
    pub(crate) wildcard: bool,
    /// Whether the table may have more columns than are known: views of INFORMATION_SCHEMA grow.
    pub(crate) open: bool,
}

/// A routine under the name that the statement gives it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RoutineBinding {
    /// The path's parts as written.
    pub(crate) written: Vec<String>,
    /// The routine.
    pub(crate) routine: Arc<Routine>,
}

/// What a statement names.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct References {
    /// By the path's key; none where the catalog has no such table.
    pub(crate) tables: BTreeMap<String, Option<TableBinding>>,
    /// By the path's key.
    pub(crate) routines: BTreeMap<String, Option<RoutineBinding>>,
    /// The dataset that names without one belong to: they mean other tables in another.
    pub(crate) dataset: Option<TableReference>,
}

/// A dotted name.
#[derive(Debug, PartialEq)]
struct Path {
    parts: Vec<String>,
    /// A `(` follows.
    call: bool,
}

/// The key of a path: GoogleSQL's catalogs compare names without case.
pub(crate) fn key(written: &[String]) -> String {
    written.join("\u{0}").to_lowercase()
}

/// The parts of the path that a text is.
pub(crate) fn written(text: &str) -> Vec<String> {
    let mut paths = paths(text, &tokens(text));
    if paths.is_empty() {
        vec![text.to_owned()]
    } else {
        paths.swap_remove(0).parts
    }
}

/// The tokens of a text that are no comments.
pub(crate) fn code(text: &str) -> Vec<Token> {
    tokens(text)
        .into_iter()
        .filter(|token| !token.is_comment())
        .collect()
}

/// Everything that the statement names and the catalog may know. `dataset` is where names without one belong.
pub(crate) fn references(
    text: &str,
    tokens: &[Token],
    snapshot: &CatalogSnapshot,
    dataset: Option<&TableReference>,
) -> References {
    let mut found = References {
        dataset: dataset.cloned(),
        ..References::default()
    };
    for path in paths(text, tokens) {
        for end in 1..=path.parts.len() {
            let written = &path.parts[..end];
            let Some(full) = full(written, dataset) else {
                continue;
            };
            let full: Vec<&str> = full.iter().map(String::as_str).collect();
            let key = key(written);
            if path.call && end == path.parts.len() {
                let routine = snapshot.routine(&full).cloned();
                let binding = routine.map(|routine| RoutineBinding {
                    written: written.to_vec(),
                    routine,
                });
                found.routines.insert(key.clone(), binding);
            }
            let binding = found.tables.entry(key).or_default();
            if binding.is_none() {
                *binding = table(written, &full, snapshot);
            }
        }
    }
    found
}

/// A path cut at every dot, with the default dataset before a single name; none for a single name without one.
fn full(written: &[String], dataset: Option<&TableReference>) -> Option<Vec<String>> {
    let flat: Vec<String> = written
        .iter()
        .flat_map(|part| part.split('.'))
        .map(str::to_owned)
        .collect();
    if flat.len() > 1 {
        return Some(flat);
    }
    let dataset = dataset?;
    let project = Some(dataset.project.clone()).filter(|project| !project.is_empty());
    Some(
        project
            .into_iter()
            .chain([dataset.dataset.clone()])
            .chain(flat)
            .collect(),
    )
}

fn table(written: &[String], full: &[&str], snapshot: &CatalogSnapshot) -> Option<TableBinding> {
    if let Some(view) = information_schema::view(full) {
        let table = Arc::new(view);
        return Some(TableBinding {
            written: written.to_vec(),
            table,
            wildcard: false,
            open: true,
        });
    }
    match snapshot.find(full) {
        // BigQuery minds case in tables and datasets.
        TableMatch::Found {
            table,
            wildcard,
            exact: true,
        } => Some(TableBinding {
            written: written.to_vec(),
            table,
            wildcard,
            open: false,
        }),
        _ => None,
    }
}

fn paths(text: &str, tokens: &[Token]) -> Vec<Path> {
    let mut paths = Vec::new();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        if !token.is_name() {
            at += 1;
            continue;
        }
        let (part, mut next) = first_part(text, tokens, at);
        let mut parts = vec![part];
        while tokens.get(next).is_some_and(|t| t.is_symbol(text, "."))
            && let Some(token) = tokens.get(next + 1)
            && (token.is_name() || token.kind == TokenKind::Number)
        {
            parts.push(name(text, token));
            next += 2;
        }
        let call = tokens.get(next).is_some_and(|t| t.is_symbol(text, "("));
        paths.push(Path { parts, call });
        at = next;
    }
    paths
}

/// The first part of a path, which may have dashes without backquotes, and the token after it.
fn first_part(text: &str, tokens: &[Token], at: usize) -> (String, usize) {
    let token = &tokens[at];
    if token.kind == TokenKind::Quoted {
        return (name(text, token), at + 1);
    }
    let mut end = token.end;
    while let Some(rest) = text[end..].strip_prefix('-') {
        let length = rest
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(rest.len());
        if length == 0 {
            break;
        }
        end += 1 + length;
    }
    // `a-b` without a dot after it is a difference.
    if end > token.end && text[end..].starts_with('.') {
        let next = tokens[at..]
            .iter()
            .position(|t| t.end > end)
            .map_or(tokens.len(), |n| at + n);
        return (text[token.start..end].to_owned(), next);
    }
    (token.text(text).to_owned(), at + 1)
}

fn name(text: &str, token: &Token) -> String {
    match token.kind {
        TokenKind::Quoted => unquote(token.text(text)),
        _ => token.text(text).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> Vec<String> {
        paths(text, &code(text))
            .iter()
            .map(|p| p.parts.join("|"))
            .collect()
    }

    #[test]
    fn paths_are_found_in_every_way_of_quoting() {
        assert_eq!(
            written("`a.b.c` a.b.c `a-1`.b.`c` my-proj.b.c"),
            ["a.b.c", "a|b|c", "a-1|b|c", "my-proj|b|c"]
        );
        assert_eq!(written("proj-1.d.t_2024"), ["proj-1|d|t_2024"]);
        assert_eq!(written("x-y.z"), ["x-y|z"]);
        assert_eq!(written("a . b /* c */ . d"), ["a|b|d"]);
        assert_eq!(
            written("region-us.INFORMATION_SCHEMA.JOBS"),
            ["region-us|INFORMATION_SCHEMA|JOBS"]
        );
    }

    #[test]
    fn a_difference_is_no_path() {
        assert_eq!(written("x-1"), ["x"]);
        assert_eq!(written("a-b"), ["a", "b"]);
        assert_eq!(written("a - b"), ["a", "b"]);
    }
}
