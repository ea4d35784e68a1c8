//! Whether a statement is proved: it parses, is one query, and every name in it is a name of the snapshot.

use super::{Code, Diagnostic, Severity, check_tokens, is_template, resolution};
use crate::resolve::FileContext;
use crate::schema::{CatalogSnapshot, TableReference};
use crate::syntax::parse::parse_with;
use crate::syntax::split::{PieceKind, split};

/// What is known of a statement.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proof {
    /// Every name is resolved and nothing speaks against the statement.
    pub proved: bool,
    /// Findings, as the check gives them.
    pub diagnostics: Vec<Diagnostic>,
    /// Why it is not proved, beside the findings: each a short noun phrase.
    pub reasons: Vec<String>,
    /// Tables of the snapshot that it reads.
    pub tables: Vec<TableReference>,
}

/// Proves a statement against a snapshot.
#[must_use]
pub fn prove(sql: &str, snapshot: &CatalogSnapshot) -> Proof {
    let split = split(sql);
    let file = FileContext::default();
    let mut proof = Proof::default();
    let [piece] = split.pieces.as_slice() else {
        proof.diagnostics = super::check(sql, snapshot);
        proof.reasons.push(match split.pieces.len() {
            0 => "there is no statement".to_owned(),
            count => format!("there are {count} statements"),
        });
        return proof;
    };
    let tokens = split.tokens.get(piece.tokens.clone()).unwrap_or_default();
    let first = tokens.iter().find(|t| !t.is_comment());
    let is_query = first.is_some_and(|t| {
        t.is_symbol(sql, "(") || ["SELECT", "WITH", "FROM"].iter().any(|w| t.is_word(sql, w))
    });
    if !is_query {
        proof.reasons.push("it is no query".to_owned());
    }
    if is_template(sql, tokens) {
        proof.reasons.push("it is a template".to_owned());
    }
    proof.diagnostics = check_tokens(sql, tokens, piece.kind, snapshot, &file);
    let (reasons, tables) = parse_with(sql, tokens, PieceKind::Statement, |parsed| match &parsed.error {
        Some(error) => (
            vec![format!("it could not be parsed: {}", error.message)],
            Vec::new(),
        ),
        None => {
            let resolution = resolution(sql, parsed, snapshot, &file);
            (resolution.unproved, resolution.tables)
        }
    });
    proof.reasons.extend(reasons);
    proof.tables = tables;
    proof.diagnostics.sort_by_key(|d| (d.range.start, d.range.end));
    let clean = proof.diagnostics.iter().all(|d| {
        d.severity > Severity::Information
            || d.code == Code::MissingPartitionFilter && d.severity > Severity::Error
    });
    proof.proved = clean && proof.reasons.is_empty();
    proof
}
