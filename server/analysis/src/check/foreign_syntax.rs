//! What GoogleSQL's grammar surely rejects, found in the tokens: literals and brackets left open, and syntax of other
//! dialects that the parser lets pass.

use super::Diagnostic;
use crate::syntax::lexer::Token;
use crate::syntax::split::PieceKind;

/// Findings of these tokens.
#[must_use]
pub fn find(_text: &str, _tokens: &[Token], _kind: PieceKind) -> Vec<Diagnostic> {
    Vec::new()
}
