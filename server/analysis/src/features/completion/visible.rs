//! What is visible at the cursor, by resolving the statement with a placeholder name there.

use std::fmt::Write as _;

use super::Cursor;
use crate::features::Place;
use crate::resolve::{Captured, resolve};
use crate::schema::{CatalogSnapshot, quote_name};
use crate::syntax::lexer::{Token, tokens};
use crate::syntax::parse::parse_with;
use crate::syntax::split::PieceKind;

/// No name of a person's.
const PLACEHOLDER: &str = "bq__cursor";

/// Names visible at the cursor; none where no way leads to them.
pub(super) fn captured(
    text: &str,
    cursor: &Cursor<'_>,
    place: &Place,
    snapshot: &CatalogSnapshot,
) -> Option<Captured> {
    let attempt = |(sql, at): (String, usize)| attempt(&sql, at, place, snapshot);
    let telling = |c: &Captured| !c.relations.is_empty() || !c.names.is_empty();
    let first = attempt(whole(text, cursor));
    if first.as_ref().is_some_and(telling) {
        return first;
    }
    let second = attempt(closed(text, cursor));
    if second.as_ref().is_some_and(telling) {
        return second;
    }
    reduced(text, cursor).and_then(attempt).or(second).or(first)
}

/// Names of CTEs that the cursor's query may read.
pub(super) fn ctes(
    text: &str,
    cursor: &Cursor<'_>,
    place: &Place,
    snapshot: &CatalogSnapshot,
) -> Vec<String> {
    let with = with_clause(text, &cursor.before);
    let sql = format!("{with} SELECT {PLACEHOLDER}");
    let at = sql.len() - PLACEHOLDER.len();
    attempt(&sql, at, place, snapshot)
        .map(|c| c.ctes)
        .unwrap_or_default()
}

fn attempt(sql: &str, at: usize, place: &Place, snapshot: &CatalogSnapshot) -> Option<Captured> {
    let tokens = tokens(sql);
    parse_with(sql, &tokens, PieceKind::Statement, |parsed| {
        parsed.statement.as_ref()?;
        resolve(sql, parsed, snapshot, &place.file, Some(at + 1)).captured
    })
}

/// The statement with the placeholder for the name at the cursor.
fn whole(text: &str, cursor: &Cursor<'_>) -> (String, usize) {
    let start = cursor.before.first().map_or(cursor.replace.start, |t| t.start);
    let end = cursor.after.last().map_or(cursor.replace.end, |t| t.end);
    let before = text.get(start..cursor.replace.start).unwrap_or_default();
    let after = text.get(cursor.replace.end..end).unwrap_or_default();
    (format!("{before}{PLACEHOLDER}{after}"), before.len())
}

/// The statement up to the cursor, with its brackets closed.
fn closed(text: &str, cursor: &Cursor<'_>) -> (String, usize) {
    let start = cursor.before.first().map_or(cursor.replace.start, |t| t.start);
    let before = text.get(start..cursor.replace.start).unwrap_or_default();
    let mut sql = format!("{before}{PLACEHOLDER}");
    sql.extend(open_brackets(text, &cursor.before).into_iter().rev());
    (sql, before.len())
}

fn open_brackets(text: &str, before: &[&Token]) -> Vec<char> {
    let mut open = Vec::new();
    for token in before {
        match token.text(text) {
            "(" => open.push(')'),
            "[" => open.push(']'),
            ")" | "]" => drop(open.pop()),
            _ => {}
        }
    }
    open
}

/// `WITH … SELECT path.placeholder FROM …`, made of the clauses of the cursor's own query.
fn reduced(text: &str, cursor: &Cursor<'_>) -> Option<(String, usize)> {
    let with = with_clause(text, &cursor.before);
    let from = from_clause(text, cursor)?;
    let mut path = String::new();
    for part in &cursor.path {
        let _ = write!(path, "{}.", quote_name(part));
    }
    let head = format!("{with} SELECT {path}");
    let at = head.len();
    let mut from = from.as_str();
    // A FROM clause that is being typed is cut at its last joins and commas until it parses.
    for _ in 0..4 {
        let sql = format!("{head}{PLACEHOLDER} {from}");
        let parses = parse_with(&sql, &tokens(&sql), PieceKind::Statement, |p| {
            p.statement.is_some()
        });
        if parses {
            return Some((sql, at));
        }
        let upper = from.to_ascii_uppercase();
        let cut = [" JOIN ", "\nJOIN ", ",", " ON ", "LEFT ", "INNER ", "CROSS "]
            .iter()
            .filter_map(|w| upper.rfind(w))
            .max()?;
        from = from.get(..cut)?;
    }
    None
}

/// The finished CTEs before the cursor, as one WITH clause.
fn with_clause(text: &str, before: &[&Token]) -> String {
    let mut ctes: Vec<&str> = Vec::new();
    let mut recursive = false;
    let mut index = 0;
    let mut with = false;
    while let Some(token) = before.get(index) {
        if token.is_word(text, "WITH") {
            with = true;
            recursive |= before
                .get(index + 1)
                .is_some_and(|t| t.is_word(text, "RECURSIVE"));
        }
        let head = with
            && token.is_name()
            && before.get(index + 1).is_some_and(|t| t.is_word(text, "AS"))
            && before.get(index + 2).is_some_and(|t| t.is_symbol(text, "("));
        if head && let Some(close) = closing(text, before, index + 2) {
            ctes.extend(text.get(token.start..before[close].end));
            index = close + 1;
            continue;
        }
        index += 1;
    }
    if ctes.is_empty() {
        return String::new();
    }
    format!(
        "WITH {}{}",
        if recursive { "RECURSIVE " } else { "" },
        ctes.join(", ")
    )
}

fn closing(text: &str, tokens: &[&Token], open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate().skip(open) {
        match token.text(text) {
            "(" => depth += 1,
            ")" => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(index);
                }
            }
            _ => {}
        }
    }
    None
}

const ENDS: &[&str] = &[
    "WHERE",
    "GROUP",
    "HAVING",
    "QUALIFY",
    "ORDER",
    "LIMIT",
    "WINDOW",
    "UNION",
    "INTERSECT",
    "EXCEPT",
];

/// The FROM clause of the query that the cursor is in: before the cursor if it stands behind it, else after it.
fn from_clause(text: &str, cursor: &Cursor<'_>) -> Option<String> {
    let mut depth = 0_i32;
    let mut start = None;
    for token in cursor.before.iter().rev() {
        match token.text(text) {
            ")" | "]" => depth += 1,
            "(" | "[" => depth -= 1,
            word if depth <= 0 && word.eq_ignore_ascii_case("FROM") => {
                start = Some(token.start);
                break;
            }
            word if depth <= 0 && word.eq_ignore_ascii_case("SELECT") => break,
            _ => {}
        }
    }
    if let Some(start) = start {
        return Some(clause(text, cursor.before.iter().filter(|t| t.start >= start)));
    }
    let mut depth = 0_i32;
    for token in &cursor.after {
        match token.text(text) {
            "(" | "[" => depth += 1,
            ")" | "]" if depth == 0 => return None,
            ")" | "]" => depth -= 1,
            word if depth == 0 && word.eq_ignore_ascii_case("FROM") => {
                return Some(clause(
                    text,
                    cursor.after.iter().filter(|t| t.start >= token.start),
                ));
            }
            _ => {}
        }
    }
    None
}

/// The text of these tokens up to the end of the FROM clause, brackets closed.
fn clause<'t>(text: &str, tokens: impl Iterator<Item = &'t &'t Token>) -> String {
    let mut depth = 0_i32;
    let mut bounds: Option<(usize, usize)> = None;
    for token in tokens {
        let word = token.text(text);
        match word {
            "(" | "[" => depth += 1,
            ")" | "]" if depth == 0 => break,
            ")" | "]" => depth -= 1,
            ";" => break,
            _ if depth == 0 && ENDS.iter().any(|e| word.eq_ignore_ascii_case(e)) => break,
            _ => {}
        }
        bounds = Some((bounds.map_or(token.start, |b| b.0), token.end));
    }
    let mut from = bounds
        .and_then(|(a, b)| text.get(a..b))
        .unwrap_or_default()
        .to_owned();
    from.extend(std::iter::repeat_n(')', usize::try_from(depth).unwrap_or(0)));
    from
}
