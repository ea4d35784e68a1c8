//! What GoogleSQL's grammar surely rejects, whatever else a statement says: literals and brackets left open, characters
//! that it does not know, a clause without its contents, CASE without END.

use super::foreign_syntax::Tokens;
use super::{Code, Diagnostic};
use crate::syntax::lexer::TokenKind;

/// Findings of these tokens.
pub(super) fn find(tokens: &Tokens<'_>, found: &mut Vec<Diagnostic>) {
    literals(tokens, found);
    if !found.is_empty() {
        return; // the rest would be guesses
    }
    brackets(tokens, found);
    if found.is_empty() && tokens.is_query() {
        clauses(tokens, found);
        cases(tokens, found);
    }
}

fn error(tokens: &Tokens<'_>, at: usize, message: String) -> Diagnostic {
    Diagnostic::error(Code::SyntaxError, tokens.range(at), message)
}

fn literals(tokens: &Tokens<'_>, found: &mut Vec<Diagnostic>) {
    for at in 0..tokens.len() {
        let token = tokens.code[at];
        let what = match token.kind {
            TokenKind::String | TokenKind::Bytes if !token.closed => "this string is not closed",
            TokenKind::Quoted if !token.closed => "this quoted name is not closed",
            TokenKind::Quoted if token.end - token.start == 2 => "a quoted name cannot be empty",
            TokenKind::Unknown => "GoogleSQL does not know this character",
            _ => continue,
        };
        let mut diagnostic = error(tokens, at, what.to_owned());
        if !token.closed {
            diagnostic.range.end = diagnostic
                .range
                .end
                .min(diagnostic.range.start + 1)
                .max(diagnostic.range.start);
        }
        found.push(diagnostic);
    }
}

fn brackets(tokens: &Tokens<'_>, found: &mut Vec<Diagnostic>) {
    let mut open: Vec<usize> = Vec::new();
    for at in 0..tokens.len() {
        let text = tokens.text(at);
        if tokens.code[at].kind != TokenKind::Symbol {
            continue;
        }
        match text {
            "(" | "[" => open.push(at),
            ")" | "]" => {
                let wanted = if text == ")" { "(" } else { "[" };
                match open.pop() {
                    Some(start) if tokens.text(start) == wanted => {}
                    Some(start) => {
                        let message =
                            format!("`{text}` does not close the `{}` before it", tokens.text(start));
                        return found.push(error(tokens, at, message));
                    }
                    None => {
                        return found.push(error(
                            tokens,
                            at,
                            format!("there is no `{wanted}` that this `{text}` closes"),
                        ));
                    }
                }
            }
            _ => {}
        }
    }
    if let Some(&start) = open.last() {
        found.push(error(
            tokens,
            start,
            format!("this `{}` is not closed", tokens.text(start)),
        ));
    }
}

/// Words after which an expression or a table must follow.
const OPENERS: &[&str] = &[
    "FROM", "JOIN", "WHERE", "BY", "HAVING", "ON", "AND", "OR", "QUALIFY", "LIMIT", "AS", "SELECT", "WITH",
];
/// Words that begin another clause.
const CLAUSES: &[&str] = &[
    "WHERE",
    "GROUP",
    "ORDER",
    "HAVING",
    "LIMIT",
    "QUALIFY",
    "UNION",
    "INTERSECT",
    "JOIN",
    "ON",
];
const OPERATORS: &[&str] = &["=", "<", "<=", ">=", "<>", "!=", "+", "-", "/", "||", "."];

fn clauses(tokens: &Tokens<'_>, found: &mut Vec<Diagnostic>) {
    for at in 0..tokens.len() {
        let opener = OPENERS[..9].iter().any(|w| tokens.keyword(at, w));
        let grouped = tokens.keyword(at, "AND") && tokens.keyword(at.wrapping_sub(1), "GROUP");
        if opener && !grouped {
            let next = CLAUSES.iter().any(|w| tokens.keyword(at + 1, w))
                || tokens.symbol(at + 1, ",")
                || tokens.symbol(at + 1, ")");
            if next {
                let message = format!(
                    "something is missing between `{}` and `{}`",
                    tokens.text(at),
                    tokens.text(at + 1)
                );
                found.push(error(tokens, at + 1, message));
            }
        }
        if tokens.keyword(at, "SELECT")
            && tokens.keyword(at + 1, "FROM")
            && !tokens.symbol(at.wrapping_sub(1), "|>")
        {
            found.push(error(tokens, at, "the select list is empty".to_owned()));
        }
        if tokens.keyword(at, "SELECT") && tokens.keyword(at + 1, "SELECT") {
            found.push(error(tokens, at + 1, "`SELECT` stands twice".to_owned()));
        }
        if (tokens.symbol(at, ",") || tokens.symbol(at, "(")) && tokens.symbol(at + 1, ",") {
            found.push(error(
                tokens,
                at + 1,
                "something is missing before this `,`".to_owned(),
            ));
        }
    }
    let Some(last) = tokens.len().checked_sub(1) else {
        return;
    };
    let dangling =
        OPENERS.iter().any(|w| tokens.keyword(last, w)) || OPERATORS.iter().any(|o| tokens.symbol(last, o));
    let comma = tokens.symbol(last, ",") && tokens.clause_of(last) != Some("SELECT");
    if (dangling || comma) && !tokens.symbol(last.wrapping_sub(1), "@") {
        found.push(error(
            tokens,
            last,
            format!("the statement ends after `{}`", tokens.text(last)),
        ));
    }
}

fn cases(tokens: &Tokens<'_>, found: &mut Vec<Diagnostic>) {
    let mut open: Vec<usize> = Vec::new();
    for at in 0..tokens.len() {
        if tokens.keyword(at, "CASE") {
            open.push(at);
        } else if tokens.keyword(at, "END") && open.pop().is_none() {
            return;
        }
    }
    if let Some(&at) = open.last() {
        found.push(error(tokens, at, "this `CASE` has no `END`".to_owned()));
    }
}
