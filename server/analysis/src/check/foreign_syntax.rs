//! Syntax of other SQL dialects, which sqlparser lets pass and GoogleSQL surely rejects: what people and language models
//! bring along. Found in the tokens; each rule names the GoogleSQL way, with a fix where it is simple.

use std::ops::Range;

use super::{Code, Diagnostic, Fix, syntax_error};
use crate::schema::is_reserved;
use crate::syntax::lexer::{Token, TokenKind};
use crate::syntax::split::PieceKind;

mod rules;

/// Findings of these tokens: certain ones only.
#[must_use]
pub fn find(text: &str, tokens: &[Token], kind: PieceKind) -> Vec<Diagnostic> {
    let code: Vec<&Token> = tokens.iter().filter(|t| !t.is_comment()).collect();
    let tokens = Tokens::new(text, code, kind);
    let mut found = Vec::new();
    syntax_error::find(&tokens, &mut found);
    if tokens.is_query() {
        for at in 0..tokens.len() {
            rules::at(&tokens, at, &mut found);
        }
    }
    found
}

/// The code tokens of a statement with what the rules ask of them.
pub(super) struct Tokens<'t> {
    pub(super) source: &'t str,
    pub(super) code: Vec<&'t Token>,
    kind: PieceKind,
    /// For each token the bracket that it is in.
    parents: Vec<Option<usize>>,
    /// For each token the last clause word before it in its bracket.
    clauses: Vec<Option<&'static str>>,
}

const CLAUSE_WORDS: &[&str] = &[
    "SELECT", "FROM", "WHERE", "GROUP", "ORDER", "HAVING", "QUALIFY", "LIMIT", "ON", "WITH", "WINDOW", "SET",
    "VALUES", "JOIN",
];

impl<'t> Tokens<'t> {
    fn new(source: &'t str, code: Vec<&'t Token>, kind: PieceKind) -> Self {
        let mut tokens = Self {
            source,
            code,
            kind,
            parents: Vec::new(),
            clauses: Vec::new(),
        };
        let mut open: Vec<(usize, Option<&'static str>)> = Vec::new();
        let mut clause = None;
        for at in 0..tokens.len() {
            let closes = tokens.symbol(at, ")") || tokens.symbol(at, "]");
            if closes && let Some((_, outer)) = open.pop() {
                clause = outer;
            }
            if let Some(word) = CLAUSE_WORDS.iter().find(|w| tokens.keyword(at, w)) {
                clause = Some(word);
            }
            tokens.parents.push(open.last().map(|o| o.0));
            tokens.clauses.push(clause);
            if tokens.symbol(at, "(") || tokens.symbol(at, "[") {
                open.push((at, clause));
                clause = None;
            }
        }
        tokens
    }

    pub(super) fn len(&self) -> usize {
        self.code.len()
    }

    pub(super) fn text(&self, at: usize) -> &'t str {
        self.code.get(at).map_or("", |t| t.text(self.source))
    }

    pub(super) fn range(&self, at: usize) -> Range<usize> {
        self.code.get(at).map_or(0..0, |t| t.range())
    }

    pub(super) fn symbol(&self, at: usize, symbol: &str) -> bool {
        self.code
            .get(at)
            .is_some_and(|t| t.is_symbol(self.source, symbol))
    }

    /// An unquoted word that is no part of a path.
    pub(super) fn keyword(&self, at: usize, word: &str) -> bool {
        self.code.get(at).is_some_and(|t| t.is_word(self.source, word))
            && !self.symbol(at.wrapping_sub(1), ".")
    }

    pub(super) fn kind(&self, at: usize) -> Option<TokenKind> {
        self.code.get(at).map(|t| t.kind)
    }

    /// A name that is no reserved word.
    pub(super) fn name(&self, at: usize) -> bool {
        match self.kind(at) {
            Some(TokenKind::Quoted) => true,
            Some(TokenKind::Word) => !is_reserved(self.text(at)) || self.symbol(at.wrapping_sub(1), "."),
            _ => false,
        }
    }

    /// Whether an operand may end here.
    pub(super) fn operand(&self, at: usize) -> bool {
        self.name(at)
            || self.symbol(at, ")")
            || self.symbol(at, "]")
            || matches!(
                self.kind(at),
                Some(TokenKind::Number | TokenKind::String | TokenKind::Parameter)
            )
    }

    pub(super) fn touching(&self, at: usize) -> bool {
        matches!((self.code.get(at), self.code.get(at + 1)), (Some(a), Some(b)) if a.end == b.start)
    }

    pub(super) fn clause_of(&self, at: usize) -> Option<&'static str> {
        self.clauses.get(at).copied().flatten()
    }

    /// The word before the bracket that a token is in: `EXTRACT` in `EXTRACT(DAY FROM x)`.
    pub(super) fn call_of(&self, at: usize) -> &'t str {
        let open = self.parents.get(at).copied().flatten();
        open.and_then(|o| o.checked_sub(1)).map_or("", |o| self.text(o))
    }

    /// Whether it begins as a query or DML does, or is CREATE with a query.
    pub(super) fn is_query(&self) -> bool {
        if self.kind != PieceKind::Statement {
            return self.kind == PieceKind::Query;
        }
        let starts = ["SELECT", "WITH", "FROM", "INSERT", "UPDATE", "DELETE", "MERGE"]
            .iter()
            .any(|w| self.keyword(0, w));
        let create = self.keyword(0, "CREATE")
            && (1..6).any(|i| {
                self.keyword(i, "VIEW") || (self.keyword(i, "TABLE") && !self.keyword(i + 1, "FUNCTION"))
            })
            && !(1..6).any(|i| {
                ["FUNCTION", "PROCEDURE", "MODEL", "EXTERNAL"]
                    .iter()
                    .any(|w| self.keyword(i, w))
            });
        starts || create || self.symbol(0, "(")
    }

    /// Whether it begins with SELECT, WITH or a bracket.
    pub(super) fn is_select(&self) -> bool {
        self.keyword(0, "SELECT")
            || self.keyword(0, "WITH")
            || self.symbol(0, "(")
            || self.kind == PieceKind::Query
    }

    /// First token of the operand that ends here: a path, a literal, a call or a bracket.
    pub(super) fn operand_start(&self, end: usize) -> Option<usize> {
        let mut at = end;
        if self.symbol(at, ")") || self.symbol(at, "]") {
            let open = (0..at).rev().find(|&i| {
                (self.symbol(i, "(") || self.symbol(i, "["))
                    && self.parents.get(at).copied().flatten() == self.parents.get(i).copied().flatten()
            })?;
            let called = open > 0 && self.name(open - 1) && self.symbol(open, "(");
            if !called {
                return Some(open);
            }
            at = open - 1;
        }
        while at >= 2 && self.symbol(at - 1, ".") && self.code.get(at - 2).is_some_and(|t| t.is_name()) {
            at -= 2;
        }
        Some(at)
    }
}

/// An error about these bytes.
fn foreign(range: Range<usize>, message: impl Into<String>) -> Diagnostic {
    Diagnostic::error(Code::ForeignSyntax, range, message.into())
}

/// The same with a fix.
fn with_fix(
    mut diagnostic: Diagnostic,
    title: &str,
    edits: Vec<(Range<usize>, String)>,
    preferred: bool,
) -> Diagnostic {
    diagnostic.fixes.push(Fix {
        title: title.to_owned(),
        edits,
        preferred,
    });
    diagnostic
}

#[cfg(test)]
mod tests;
