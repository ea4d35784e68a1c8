//! An outline: questions with their answers, statements, the CTEs in them.

use std::ops::Range;

use crate::syntax::lexer::{Token, TokenKind, unquote};
use crate::syntax::question::questions_of;
use crate::syntax::split::{Statement, split};

/// What a symbol is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SymbolKind {
    /// A comment that asks.
    Question,
    /// A query or any other statement.
    Statement,
    /// A table or view that is made.
    Table,
    /// A function or procedure that is made.
    Function,
    /// A CTE.
    Cte,
}

/// A part of the outline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Symbol {
    /// What is shown: a question's first line, a made object's name, a statement's first words.
    pub name: String,
    /// The statement's kind: `SELECT`, `CREATE TABLE`.
    pub detail: String,
    /// What it is.
    pub kind: SymbolKind,
    /// All of it.
    pub range: Range<usize>,
    /// The part to select: it lies within `range`.
    pub selection: Range<usize>,
    /// What it holds.
    pub children: Vec<Symbol>,
}

/// The outline of a text.
#[must_use]
pub fn symbols(text: &str) -> Vec<Symbol> {
    let split = split(text);
    let questions = questions_of(text, &split);
    let mut outline: Vec<Symbol> = Vec::new();
    for question in &questions {
        if !question.automatic && question.answer.is_none() {
            continue;
        }
        let end = question.answer.as_ref().map_or(question.comment.end, |a| a.end);
        let inside = split
            .statements
            .iter()
            .filter(|s| question.answer.as_ref() == Some(&s.range));
        outline.push(Symbol {
            name: shorten(question.text.lines().next().unwrap_or_default()),
            detail: String::new(),
            kind: SymbolKind::Question,
            range: question.comment.start..end,
            selection: question.comment.clone(),
            children: inside.map(|s| statement(text, &split.tokens, s)).collect(),
        });
    }
    let answered = |s: &Statement| questions.iter().any(|q| q.answer.as_ref() == Some(&s.range));
    outline.extend(
        split
            .statements
            .iter()
            .filter(|s| !answered(s))
            .map(|s| statement(text, &split.tokens, s)),
    );
    outline.sort_by_key(|s| s.range.start);
    outline
}

fn statement(text: &str, tokens: &[Token], statement: &Statement) -> Symbol {
    let first = tokens.partition_point(|t| t.start < statement.range.start);
    let last = tokens.partition_point(|t| t.end <= statement.range.end);
    let code: Vec<&Token> = tokens
        .get(first..last)
        .unwrap_or_default()
        .iter()
        .filter(|t| !t.is_comment())
        .collect();
    let word = |i: usize| code.get(i).map_or("", |t| t.text(text)).to_ascii_uppercase();
    let (detail, kind, name) = match word(0).as_str() {
        "CREATE" => created(text, &code),
        _ => (word(0), SymbolKind::Statement, None),
    };
    let shown = name
        .clone()
        .unwrap_or_else(|| shorten(text.get(statement.range.clone()).unwrap_or_default()));
    let selection = code.first().map_or(statement.range.clone(), |t| t.range());
    Symbol {
        name: shown,
        detail,
        kind,
        range: statement.range.clone(),
        selection,
        children: ctes(text, &code),
    }
}

/// Kind and name of what CREATE makes.
fn created(text: &str, code: &[&Token]) -> (String, SymbolKind, Option<String>) {
    let objects = [
        "TABLE",
        "VIEW",
        "FUNCTION",
        "PROCEDURE",
        "MODEL",
        "SCHEMA",
        "INDEX",
    ];
    let Some(at) = code
        .iter()
        .take(8)
        .position(|t| objects.iter().any(|o| t.is_word(text, o)))
    else {
        return ("CREATE".to_owned(), SymbolKind::Statement, None);
    };
    let mut name = at + 1;
    let object = code[at].text(text).to_ascii_uppercase();
    if code.get(name).is_some_and(|t| t.is_word(text, "FUNCTION")) {
        name += 1;
    }
    if code.get(name).is_some_and(|t| t.is_word(text, "IF")) {
        name += 3;
    }
    let mut path = String::new();
    while let Some(token) = code.get(name).filter(|t| {
        t.is_name() || t.kind == TokenKind::Number || t.is_symbol(text, ".") || t.is_symbol(text, "-")
    }) {
        let joined = path.ends_with(['.', '-']) || path.is_empty();
        if !joined && token.is_name() {
            break;
        }
        path.push_str(&unquote(token.text(text)));
        name += 1;
    }
    let kind = match object.as_str() {
        "FUNCTION" | "PROCEDURE" => SymbolKind::Function,
        "TABLE" | "VIEW" => SymbolKind::Table,
        _ => SymbolKind::Statement,
    };
    (
        format!("CREATE {object}"),
        kind,
        Some(path).filter(|p| !p.is_empty()),
    )
}

/// `name AS (` at the top of a WITH clause.
fn ctes(text: &str, code: &[&Token]) -> Vec<Symbol> {
    let mut found = Vec::new();
    let mut depth = 0_usize;
    let mut with = false;
    for (index, token) in code.iter().enumerate() {
        match token.text(text) {
            "(" => depth += 1,
            ")" => depth = depth.saturating_sub(1),
            _ => {}
        }
        with |= depth == 0 && token.is_word(text, "WITH");
        let head = with
            && depth == 0
            && token.is_name()
            && code.get(index + 1).is_some_and(|t| t.is_word(text, "AS"));
        if !head || !code.get(index + 2).is_some_and(|t| t.is_symbol(text, "(")) {
            continue;
        }
        let end = closing(text, code, index + 2).unwrap_or(token.end);
        found.push(Symbol {
            name: unquote(token.text(text)),
            detail: "WITH".to_owned(),
            kind: SymbolKind::Cte,
            range: token.start..end,
            selection: token.range(),
            children: Vec::new(),
        });
    }
    found
}

fn closing(text: &str, code: &[&Token], open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for token in code.get(open..)? {
        match token.text(text) {
            "(" => depth += 1,
            ")" => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Some(token.end);
                }
            }
            _ => {}
        }
    }
    None
}

/// The first words, on one line.
fn shorten(text: &str) -> String {
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= 60 {
        return line;
    }
    line.chars().take(59).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outline() {
        let text = "-- how many users?\nWITH u AS (SELECT 1) SELECT * FROM u;\n\nCREATE OR REPLACE TABLE p-x.d.t AS SELECT 1;\n\n-- and pages, please?\n";
        let outline = symbols(text);
        let shown: Vec<(&str, SymbolKind)> = outline.iter().map(|s| (s.name.as_str(), s.kind)).collect();
        assert_eq!(
            shown,
            [
                ("how many users?", SymbolKind::Question),
                ("p-x.d.t", SymbolKind::Table),
                ("and pages, please?", SymbolKind::Question)
            ]
        );
        assert_eq!(outline[0].children[0].children[0].name, "u");
        for symbol in &outline {
            assert!(symbol.range.start <= symbol.selection.start && symbol.selection.end <= symbol.range.end);
        }
    }
}
