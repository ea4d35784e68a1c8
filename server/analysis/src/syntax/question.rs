//! Comments that ask: which comment is a question, what it says, and the place that its answer fills.
//!
//! A question is one comment: a `/* … */`, or `--` and `#` lines that follow each other. The statement directly below
//! it (no blank line between) is its answer. What a comment asks is left to the model; here is only decided whether to
//! offer an answer unasked ([`Question::automatic`]), and there a doubt means no.

use std::ops::Range;

use super::lexer::{Token, TokenKind};
use super::parameter;
use super::split::{Split, split};

/// A comment that may be answered with SQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// What it says, without comment marks; lines are joined by line feeds.
    pub text: String,
    /// The whole comment, marks included, without the line's end.
    pub comment: Range<usize>,
    /// White space before the comment on its first line.
    pub indent: String,
    /// Where a new answer goes: the end of the comment's last line, before the line's end. The answer begins with a
    /// line feed of its own.
    pub insert_at: usize,
    /// The answer that already stands directly below: a statement without its `;`. A new one replaces it.
    pub answer: Option<Range<usize>>,
    /// Whether a `;` stands after the existing answer.
    pub answer_terminated: bool,
    /// Whether the statement before the comment lacks its `;`: two statements need one between them.
    pub separator_missing: bool,
    /// Whether to offer an answer unasked: a request, as far as one can see, and not answered yet.
    pub automatic: bool,
}

/// All comments that may be answered, in order. Comments inside a statement are not among them.
#[must_use]
pub fn questions(text: &str) -> Vec<Question> {
    questions_of(text, &split(text))
}

/// [`questions`] of a text that is already cut.
#[must_use]
pub fn questions_of(text: &str, split: &Split) -> Vec<Question> {
    let comments: Vec<Comment> = comments(text, &split.tokens);
    let mut statement = 0;
    let mut found = Vec::new();
    for (index, comment) in comments.iter().enumerate() {
        while split
            .statements
            .get(statement)
            .is_some_and(|s| s.range.end <= comment.range.start)
        {
            statement += 1;
        }
        let next = split.statements.get(statement);
        if next.is_some_and(|s| s.range.start < comment.range.start) {
            continue; // inside a statement: an explanation
        }
        let previous = statement.checked_sub(1).and_then(|i| split.statements.get(i));
        if comment.text.is_empty() {
            continue;
        }
        let follows = comments.get(index + 1).map_or(usize::MAX, |c| c.range.start);
        let answer = next
            .filter(|s| s.range.start < follows && directly_below(text, comment.range.end, s.range.start));
        found.push(Question {
            insert_at: comment.range.end,
            indent: comment.indent.clone(),
            answer: answer.map(|s| s.range.clone()),
            answer_terminated: answer.is_some_and(|s| s.terminated),
            separator_missing: previous.is_some_and(|s| !s.terminated),
            automatic: answer.is_none() && !comment.trailing && is_request(&comment.text),
            text: comment.text.clone(),
            comment: comment.range.clone(),
        });
    }
    found
}

/// The question that this place belongs to: in its comment, on the line of its end, on the empty line below, or in its
/// answer.
#[must_use]
pub fn question_at(text: &str, offset: usize) -> Option<Question> {
    let all = questions(text);
    let direct = all
        .iter()
        .find(|q| q.comment.start <= offset && offset <= q.comment.end);
    let near = || {
        all.iter().rev().find(|q| {
            q.comment.end <= offset
                && text
                    .get(q.comment.end..offset)
                    .is_some_and(|between| between.trim().is_empty() && between.matches('\n').count() <= 1)
        })
    };
    let line_start = || {
        all.iter().find(|q| {
            offset < q.comment.start
                && text
                    .get(offset..q.comment.start)
                    .is_some_and(|b| b.trim_matches([' ', '\t']).is_empty())
        })
    };
    let inside = || {
        all.iter().find(|q| {
            q.answer
                .as_ref()
                .is_some_and(|a| a.start <= offset && offset <= a.end)
        })
    };
    direct.or_else(near).or_else(line_start).or_else(inside).cloned()
}

struct Comment {
    range: Range<usize>,
    text: String,
    indent: String,
    /// Code stands before it on its line.
    trailing: bool,
}

/// Comments, with `--` and `#` lines that follow each other joined.
fn comments(text: &str, tokens: &[Token]) -> Vec<Comment> {
    let mut found: Vec<Comment> = Vec::new();
    let mut joinable = false;
    for (index, token) in tokens.iter().enumerate() {
        if !token.is_comment() {
            joinable = false;
            continue;
        }
        if token.kind == TokenKind::LineComment && parameter::declaration(token.text(text)).is_some() {
            joinable = false;
            continue;
        }
        let line = text
            .get(..token.start)
            .and_then(|t| t.rfind('\n'))
            .map_or(0, |i| i + 1);
        let before = text
            .get(line..token.start)
            .unwrap_or_default()
            .trim_start_matches('\u{feff}');
        let trailing = !before.trim().is_empty();
        let words = comment_text(token, text);
        let single = token.kind == TokenKind::LineComment;
        if let Some(last) = found.last_mut()
            && joinable
            && single
            && !trailing
            && one_line_apart(text, last.range.end, token.start)
            && !starts_anew(&last.text, &words)
        {
            last.range.end = token.end;
            if !last.text.is_empty() && !words.is_empty() {
                last.text.push('\n');
            }
            last.text.push_str(&words);
            continue;
        }
        joinable = single && !trailing;
        let _ = index;
        found.push(Comment {
            range: token.range(),
            text: words,
            indent: if trailing {
                String::new()
            } else {
                before.to_owned()
            },
            trailing,
        });
    }
    found
}

/// A directive for a tool is no part of the comment that stands beside it.
fn starts_anew(last: &str, next: &str) -> bool {
    !last.is_empty() && (is_directive(last) != is_directive(next))
}

fn one_line_apart(text: &str, end: usize, start: usize) -> bool {
    text.get(end..start).is_some_and(|b| b.matches('\n').count() == 1)
}

/// Nothing between but at most one line's end; declarations of parameters may stand there.
fn directly_below(text: &str, end: usize, start: usize) -> bool {
    let mut lines = text.get(end..start).unwrap_or_default().split('\n');
    let rest_of_line = lines.next().unwrap_or_default();
    let below: Vec<&str> = lines
        .filter(|line| parameter::declaration(line.trim()).is_none())
        .collect();
    rest_of_line.trim().is_empty() && below.len() <= 1 && below.iter().all(|line| line.trim().is_empty())
}

/// The words of a comment: marks, stars at line starts and white space at the ends removed.
fn comment_text(token: &Token, text: &str) -> String {
    let raw = token.text(text);
    if token.kind == TokenKind::LineComment {
        return raw.trim_start_matches(['-', '#']).trim().to_owned();
    }
    let body = raw.strip_prefix("/*").unwrap_or(raw);
    let body = body.strip_suffix("*/").unwrap_or(body);
    let lines = body.lines().map(|l| l.trim().trim_start_matches('*').trim());
    let kept: Vec<&str> = lines.filter(|l| !l.is_empty()).collect();
    kept.join("\n")
}

/// Whether a comment reads as a request, not as a licence, a note to programmers, a rule, a heading or SQL.
#[must_use]
pub fn is_request(text: &str) -> bool {
    let words = text
        .split_whitespace()
        .filter(|w| w.chars().any(char::is_alphabetic))
        .count();
    let letters = text.chars().filter(|c| c.is_alphabetic()).count();
    let wide = text
        .chars()
        .filter(|c| !c.is_ascii() && c.is_alphabetic())
        .count();
    if letters < 3 || (words < 2 && wide < 3) {
        return false;
    }
    !(is_directive(text) || is_note(text) || is_licence(text) || is_ruled(text) || is_sql(text))
}

const DIRECTIVES: &[&str] = &[
    "noqa",
    "sqlfluff",
    "sqlfmt",
    "sqllint",
    "sql-lint",
    "nosql",
    "fmt:",
    "lint",
    "eslint",
    "pylint",
    "yapf",
    "prettier",
    "vim:",
    "-*-",
    "region",
    "endregion",
    "#region",
    "language:",
    "language=",
    "@",
    "%",
    "{{",
    "{%",
    "!",
    "jinja",
    "dataform",
    "ddl-end",
    "bigquill:",
    "nolint",
    "nosec",
    "spell",
    "cspell",
    "codegen",
    "begin-",
    "end-",
];

fn is_directive(text: &str) -> bool {
    let lower = text.trim().to_ascii_lowercase();
    DIRECTIVES.iter().any(|d| lower.starts_with(d)) || lower.contains("noqa") || lower.contains("sqlfluff:")
}

const NOTES: &[&str] = &[
    "todo",
    "fixme",
    "xxx",
    "hack",
    "note",
    "nb",
    "warning",
    "bug",
    "deprecated",
    "author",
    "created",
    "date",
    "version",
    "changelog",
    "see",
    "source",
    "file",
    "description",
    "usage",
    "ticket",
    "jira",
    "http",
    "https",
    "ref",
    "owner",
    "modified",
    "updated",
    "revision",
    "license",
    "licence",
    "copyright",
    "param",
    "returns",
    "end",
    "p.s",
];

/// A note to programmers: its first line says so, or any line is left to do.
fn is_note(text: &str) -> bool {
    note_word(text).is_some() || text.lines().any(|line| note_word(line) == Some(Note::ToDo))
}

#[derive(PartialEq)]
enum Note {
    ToDo,
    Other,
}

/// What kind of note begins with this line, if one does.
fn note_word(line: &str) -> Option<Note> {
    let first = line.trim_start();
    let word: String = first
        .chars()
        .take_while(|c| c.is_alphanumeric() || *c == '.')
        .collect();
    let rest = first.get(word.len()..).unwrap_or_default().trim_start();
    let lower = word.to_ascii_lowercase();
    let marked = rest.starts_with(':') || (rest.starts_with('(') && rest.contains("):"));
    match lower.as_str() {
        "todo" | "fixme" | "xxx" | "hack" => Some(Note::ToDo),
        "http" | "https" => rest.starts_with("://").then_some(Note::Other),
        _ => (marked && NOTES.contains(&lower.as_str())).then_some(Note::Other),
    }
}

const LICENCES: &[&str] = &[
    "copyright",
    "all rights reserved",
    "spdx-license",
    "licensed under",
    "apache license",
    "mit license",
    "mozilla public license",
    "general public license",
    "this file is part of",
    "permission is hereby granted",
    "this source code form",
    "generated by",
    "auto-generated",
    "autogenerated",
    "automatically generated",
    "do not edit",
    "(c) 20",
    "redistribution and use",
];

fn is_licence(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    LICENCES.iter().any(|l| lower.contains(l))
}

/// Rules (`-----`, `=====`) and headings between or under them.
fn is_ruled(text: &str) -> bool {
    text.lines().any(|line| {
        let line = line.trim();
        let mark = |c: char| matches!(c, '-' | '=' | '*' | '#' | '~' | '_' | '+' | '/');
        let run = |s: &mut dyn Iterator<Item = char>| s.take_while(|&c| mark(c)).count();
        run(&mut line.chars()) >= 3 || run(&mut line.chars().rev()) >= 3
    })
}

/// Words that a commented-out line of SQL may begin with.
const SQL_STARTS: &[&str] = &[
    "select",
    "with",
    "from",
    "where",
    "and",
    "or",
    "join",
    "left",
    "right",
    "inner",
    "cross",
    "full",
    "on",
    "group",
    "order",
    "having",
    "limit",
    "qualify",
    "union",
    "insert",
    "update",
    "delete",
    "merge",
    "create",
    "drop",
    "alter",
    "declare",
    "set",
    "case",
    "when",
    "then",
    "else",
    "end",
    "window",
    "partition",
    "as",
    "call",
    "begin",
    "if",
    "execute",
    "truncate",
    "grant",
    "revoke",
    "using",
    "unnest",
    "except",
    "intersect",
    "values",
    "export",
    "assert",
];

/// Commented-out SQL: it begins like SQL, and has SQL's capitals or SQL's marks.
fn is_sql(text: &str) -> bool {
    let trimmed = text.trim();
    if trimmed.starts_with([',', '(', ')', '`', '\'', '*', '+', '=', '<', '>', '|']) || trimmed.ends_with(';')
    {
        return true;
    }
    let first: String = trimmed
        .chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect();
    let after = trimmed.get(first.len()..).unwrap_or_default();
    let starts = SQL_STARTS.contains(&first.to_ascii_lowercase().as_str());
    let upper = first.len() > 1 && first.chars().all(|c| c.is_ascii_uppercase());
    if starts && upper {
        return true;
    }
    let ends_in_comma = trimmed.lines().all(|l| l.trim_end().ends_with(','));
    if ends_in_comma
        || (after.starts_with('.') && after[1..].starts_with(|c: char| c.is_alphabetic() || c == '`'))
    {
        return true;
    }
    let marks = ["(", " = ", "=", "<", ">", "*", ".`", "`", "_id", " as ", "::"];
    let count = marks.iter().filter(|m| trimmed.contains(*m)).count();
    if starts && (count >= 2 || (count >= 1 && !trimmed.ends_with('?'))) {
        return true;
    }
    // `name(…)` or `a = b` alone on the line.
    let words = trimmed.split_whitespace().count();
    (words <= 3 && (trimmed.contains('=') || trimmed.contains("(") && trimmed.ends_with(')')))
        && !trimmed.ends_with('?')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(text: &str) -> Vec<(String, bool, Option<&str>)> {
        questions(text)
            .into_iter()
            .map(|q| (q.text, q.automatic, q.answer.map(|a| &text[a])))
            .collect()
    }

    #[test]
    fn a_declared_parameter_asks_nothing_and_parts_nothing() {
        let text = "-- @day DATE = 2024-01-01\n-- orders of a day\n-- @day DATE = 2024-01-01\nSELECT @day";
        assert_eq!(
            asked(text),
            [("orders of a day".to_owned(), false, Some("SELECT @day"))]
        );
    }

    #[test]
    fn every_kind_of_comment_asks() {
        for text in [
            "-- how many users?\n",
            "# how many users?\n",
            "/* how many users? */",
            "/*\n * how many users?\n */\n",
            "--how many users?",
            "SELECT 1;\n\n-- how many users?\n\nSELECT 2;",
        ] {
            assert_eq!(
                asked(text),
                [("how many users?".to_owned(), true, None)],
                "{text:?}"
            );
        }
        assert_eq!(
            asked("-- how many users\n-- by country?\n"),
            [("how many users\nby country?".to_owned(), true, None)]
        );
        assert_eq!(asked("-- top ten pages\n\n-- number of users\n").len(), 2);
    }

    #[test]
    fn a_statement_directly_below_is_the_answer() {
        let text = "-- how many users?\nSELECT COUNT(*) FROM u;\n\n-- and pages?\n\nSELECT 2";
        assert_eq!(
            asked(text),
            [
                (
                    "how many users?".to_owned(),
                    false,
                    Some("SELECT COUNT(*) FROM u")
                ),
                ("and pages?".to_owned(), true, None)
            ]
        );
        assert!(questions(text)[0].answer_terminated);
        assert_eq!(question_at(text, 30).unwrap().text, "how many users?");
    }

    #[test]
    fn comments_in_a_statement_explain() {
        assert_eq!(
            asked("SELECT a, -- the first one\n  -- the second one\n  b FROM t"),
            []
        );
        assert_eq!(
            asked("SELECT a FROM t; -- how many are there?"),
            [("how many are there?".to_owned(), false, None)]
        );
    }

    #[test]
    fn what_is_no_request() {
        for text in [
            "Copyright 2024 Somebody",
            "This Source Code Form is subject to the terms of the Mozilla Public License",
            "TODO: count the users",
            "TODO(me) count the users",
            "FIXME later today",
            "Weekly numbers for the shop\nTODO: move the queries into the dashboard",
            "noqa: L001 something",
            "sqlfluff:off for this",
            "------------- users of the day",
            "==== Users and pages ====",
            "SELECT a FROM t",
            "select a, b from t where a = 1",
            "AND a.b = 1",
            "LEFT JOIN d.u ON a.id = b.id",
            ", foo AS bar",
            "t.name, t.age,",
            "users",
            "2024-01-01",
            "Author: somebody else",
            "https://example.com/some page",
        ] {
            assert!(!is_request(text), "{text}");
        }
        for text in [
            "select all users who bought something",
            "where do our users live?",
            "Top 10 products by revenue (last 30 days)",
            "with a break-down by month: revenue per region",
            "average weightIJ per gender",
            "平均价格是多少",
            "How many editors have more than 100 edits?",
            "set of pages with score > 3 by user?",
        ] {
            assert!(is_request(text), "{text}");
        }
    }

    #[test]
    fn places_and_separators() {
        let text = "SELECT 1\n  -- how many users?\n\n";
        let question = question_at(text, text.len() - 1).unwrap();
        assert_eq!(
            (question.insert_at, question.indent.as_str()),
            (text.len() - 2, "  ")
        );
        assert!(question.separator_missing);
        assert!(question_at(text, 2).is_none());
        assert_eq!(question_at(text, 9).unwrap(), question);
        let windows = "-- how many users?\r\n";
        assert_eq!(questions(windows)[0].insert_at, windows.len() - 2);
        let directive = "-- noqa: disable=all\n-- how many users?\n";
        assert!(asked(directive)[1].1);
    }
}
