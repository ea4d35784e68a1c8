//! What sqlparser could not read: a hint, for it rejects some valid GoogleSQL and places errors loosely.

use super::{Code, Diagnostic, Severity};
use crate::syntax::lexer::Token;
use crate::syntax::parse::SyntaxError;
use crate::syntax::split::PieceKind;

/// Statements that sqlparser reads well enough for its "no" to be worth a hint.
const READ: &[&str] = &["SELECT", "WITH", "INSERT", "UPDATE", "DELETE", "MERGE"];

/// The hint, where there is anything to say.
#[must_use]
pub fn diagnostic(text: &str, tokens: &[Token], kind: PieceKind, error: &SyntaxError) -> Option<Diagnostic> {
    let first = tokens.iter().find(|t| !t.is_comment())?;
    let worth = kind == PieceKind::Statement
        && (first.is_symbol(text, "(") || READ.iter().any(|w| first.is_word(text, w)));
    if !worth {
        return None;
    }
    let message = if error.limit {
        error.message.clone()
    } else {
        format!("could not be parsed: {}", error.message)
    };
    Some(Diagnostic {
        code: Code::NotParsed,
        severity: Severity::Hint,
        range: error.range.clone(),
        message,
        notes: vec!["valid GoogleSQL may be beyond this parser; BigQuery decides".to_owned()],
        fixes: Vec::new(),
    })
}
