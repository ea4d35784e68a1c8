//! Names that may stand at the cursor: tables, columns in scope, fields, aliases, CTEs, functions, keywords.
//!
//! What is visible comes from the resolver: a placeholder name is put at the cursor and the statement is resolved with
//! it. Where the statement does not parse (it is being typed), a smaller one is made from its WITH and FROM clauses.

use std::collections::HashSet;
use std::ops::Range;

use super::Place;
use crate::functions::{self, FunctionKind};
use crate::resolve::{Captured, Relation, Source};
use crate::schema::{CatalogSnapshot, quote_name};
use crate::syntax::lexer::{Token, TokenKind, unquote};
use crate::types::{Field, Type};

mod tables;
mod visible;

/// What an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CompletionKind {
    /// A column of a relation in scope.
    Column,
    /// A field of a struct.
    Field,
    /// An alias, a range variable, a variable.
    Alias,
    /// A CTE.
    Cte,
    /// A table or view.
    Table,
    /// A dataset.
    Dataset,
    /// A function.
    Function,
    /// A keyword.
    Keyword,
}

/// A name that may stand at the cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompletionItem {
    /// What is shown and what the typed letters are compared with.
    pub label: String,
    /// What it is.
    pub kind: CompletionKind,
    /// Its type, or a function's first signature.
    pub detail: String,
    /// Plain text about it: a description, the table of a column. Text of a catalog is data, not markup.
    pub documentation: String,
    /// What to write.
    pub insert: String,
    /// What it replaces: the name that is being typed.
    pub replace: Range<usize>,
    /// Order: lower first, then by label.
    pub rank: u8,
}

/// Names for an offset. Empty in comments, strings and numbers.
#[must_use]
pub fn complete(text: &str, offset: usize, snapshot: &CatalogSnapshot) -> Vec<CompletionItem> {
    let offset = (0..=offset.min(text.len()))
        .rev()
        .find(|&o| text.is_char_boundary(o))
        .unwrap_or(0);
    let place = Place::new(text, offset);
    let Some(cursor) = Cursor::new(text, offset, &place) else {
        return Vec::new();
    };
    let mut items = match cursor.context(text) {
        Context::Table => relations(text, &cursor, &place, snapshot),
        Context::Field => fields(text, &cursor, &place, snapshot),
        Context::Value => values(text, &cursor, &place, snapshot),
        Context::Start => keywords(&cursor, START),
    };
    items.retain(|i| fits(&i.label, &cursor.typed));
    let mut seen = HashSet::new();
    items.retain(|i| seen.insert((i.label.to_lowercase(), i.kind)));
    items.sort_by(|a, b| a.rank.cmp(&b.rank).then_with(|| a.label.cmp(&b.label)));
    items
}

/// Whether typed letters may mean this label: they begin it or one of its words, or stand in it in order.
fn fits(label: &str, typed: &str) -> bool {
    if typed.is_empty() {
        return true;
    }
    let (label, typed) = (label.to_lowercase(), typed.to_lowercase());
    let word_start = |at: usize| at == 0 || !label.as_bytes()[at - 1].is_ascii_alphanumeric();
    if label
        .match_indices(&typed)
        .any(|(at, _)| word_start(at) || typed.chars().count() > 2)
    {
        return true;
    }
    let mut letters = label.chars();
    label.starts_with(|c| typed.starts_with(c)) && typed.chars().all(|t| letters.any(|l| l == t))
}

enum Context {
    Table,
    Field,
    Value,
    Start,
}

/// Where the cursor is among the tokens.
pub(crate) struct Cursor<'t> {
    /// Code tokens of the statement that end before the typed name.
    before: Vec<&'t Token>,
    /// Code tokens of the statement after it.
    after: Vec<&'t Token>,
    /// The letters typed so far, without an opening backquote.
    typed: String,
    /// The bytes of the name that is being typed.
    replace: Range<usize>,
    /// The dotted path before the name: `a.b.` gives `a`, `b`.
    path: Vec<String>,
    /// Where that path begins.
    path_start: usize,
    /// A backquote is open.
    quoted: bool,
}

impl<'t> Cursor<'t> {
    fn new(text: &str, offset: usize, place: &'t Place) -> Option<Self> {
        let tokens = &place.split.tokens;
        let at = tokens.partition_point(|t| t.start < offset);
        let current = at
            .checked_sub(1)
            .and_then(|i| tokens.get(i))
            .filter(|t| offset <= t.end);
        let mut replace = offset..offset;
        let mut quoted = false;
        if let Some(token) = current {
            let inside = offset < token.end || !token.closed;
            match token.kind {
                TokenKind::LineComment => return None,
                TokenKind::BlockComment | TokenKind::String | TokenKind::Bytes | TokenKind::Template
                    if inside =>
                {
                    return None;
                }
                TokenKind::Number | TokenKind::Parameter => return None,
                TokenKind::Word => replace = token.range(),
                TokenKind::Quoted if inside => {
                    quoted = true;
                    // An open backquote runs to the line's end: only what is typed is replaced.
                    let end = if token.closed { token.end } else { offset };
                    replace = token.start..end;
                }
                _ => {}
            }
        }
        let (start, end) = statement_bounds(text, offset, place);
        let code = tokens
            .iter()
            .filter(|t| !t.is_comment() && t.start >= start && t.end <= end);
        let (before, rest): (Vec<&Token>, Vec<&Token>) = code.partition(|t| t.end <= replace.start);
        let after: Vec<&Token> = rest.into_iter().filter(|t| t.start >= replace.end).collect();
        let typed = text
            .get(replace.start..offset)
            .unwrap_or_default()
            .trim_start_matches('`')
            .to_owned();
        let (mut path, mut path_start) = path_before(text, &before, replace.start);
        let mut typed = typed;
        if quoted && typed.contains('.') {
            // Inside one pair of quotes the whole path stands.
            let mut parts: Vec<String> = typed.split('.').map(str::to_owned).collect();
            typed = parts.pop().unwrap_or_default();
            path = parts;
            path_start = replace.start;
        }
        Some(Self {
            before,
            after,
            typed,
            replace,
            path,
            path_start,
            quoted,
        })
    }

    fn context(&self, text: &str) -> Context {
        let before_path: Vec<&&Token> = self.before.iter().filter(|t| t.end <= self.path_start).collect();
        if before_path.is_empty() && self.path.is_empty() {
            return Context::Start;
        }
        if table_position(text, &before_path) {
            return Context::Table;
        }
        if self.path.is_empty() {
            Context::Value
        } else {
            Context::Field
        }
    }

    fn item(&self, label: &str, kind: CompletionKind, rank: u8) -> CompletionItem {
        CompletionItem {
            label: label.to_owned(),
            kind,
            detail: String::new(),
            documentation: String::new(),
            insert: quote_name(label),
            replace: self.replace.clone(),
            rank,
        }
    }
}

/// The statement around the cursor: one that holds it, or one without `;` before it on the same or the next line.
fn statement_bounds(text: &str, offset: usize, place: &Place) -> (usize, usize) {
    let bounds = |p: &crate::syntax::split::Piece| {
        let tokens = place.split.tokens.get(p.tokens.clone()).unwrap_or_default();
        (
            tokens.first().map_or(0, |t| t.start),
            tokens.last().map_or(0, |t| t.end),
        )
    };
    if let Some(piece) = place.piece.and_then(|p| place.split.pieces.get(p)) {
        return bounds(piece);
    }
    let before = place
        .split
        .pieces
        .iter()
        .map(bounds)
        .rfind(|(_, end)| *end <= offset);
    match before {
        Some((start, end)) => {
            let between = text.get(end..offset).unwrap_or_default();
            let open = !between.contains(';') && between.matches('\n').count() < 2;
            if open { (start, end) } else { (offset, offset) }
        }
        None => (offset, offset),
    }
}

/// The dotted path that ends right before a place.
fn path_before(text: &str, before: &[&Token], end: usize) -> (Vec<String>, usize) {
    let mut path = Vec::new();
    let mut start = end;
    let mut at = before.len();
    while at >= 2
        && before[at - 1].is_symbol(text, ".")
        && (before[at - 2].is_name() || before[at - 2].is_symbol(text, "]"))
    {
        let name = before[at - 2];
        if !name.is_name() {
            break;
        }
        let parts = unquote(name.text(text));
        for part in parts.split('.').rev() {
            path.push(part.to_owned());
        }
        start = name.start;
        at -= 2;
        // A dashed project: `a-b.c.`
        while at >= 2
            && before[at - 1].is_symbol(text, "-")
            && before[at - 1].end == start
            && before[at - 2].end == before[at - 1].start
        {
            let joined = format!("{}-{}", before[at - 2].text(text), path.pop().unwrap_or_default());
            path.push(joined);
            start = before[at - 2].start;
            at -= 2;
        }
    }
    path.reverse();
    (path, start)
}

/// Whether a table's name may stand after these tokens.
fn table_position(text: &str, before: &[&&Token]) -> bool {
    let Some(last) = before.last() else { return false };
    if ["FROM", "JOIN", "INTO", "UPDATE", "TABLE", "MERGE"]
        .iter()
        .any(|w| last.is_word(text, w))
    {
        return !in_extract(text, before);
    }
    if last.is_word(text, "USING") {
        return before.iter().any(|t| t.is_word(text, "MERGE"));
    }
    if !last.is_symbol(text, ",") {
        return false;
    }
    // A comma in a FROM clause: the nearest clause word of this bracket is FROM.
    let mut depth = 0_usize;
    for token in before.iter().rev() {
        match token.text(text) {
            ")" => depth += 1,
            "(" if depth == 0 => return false,
            "(" => depth -= 1,
            _ if depth > 0 => {}
            word if ["FROM", "JOIN"].iter().any(|w| word.eq_ignore_ascii_case(w)) => return true,
            word if [
                "SELECT", "WHERE", "GROUP", "ORDER", "ON", "HAVING", "QUALIFY", "WITH", "SET", "WINDOW",
                "LIMIT",
            ]
            .iter()
            .any(|w| word.eq_ignore_ascii_case(w)) =>
            {
                return false;
            }
            _ => {}
        }
    }
    false
}

/// `EXTRACT(DAY FROM`
fn in_extract(text: &str, before: &[&&Token]) -> bool {
    let back = |n: usize| before.len().checked_sub(n).and_then(|i| before.get(i));
    (3..6).any(|n| {
        back(n).is_some_and(|t| t.is_symbol(text, "("))
            && back(n + 1).is_some_and(|t| t.is_word(text, "EXTRACT"))
    })
}

fn relations(
    text: &str,
    cursor: &Cursor<'_>,
    place: &Place,
    snapshot: &CatalogSnapshot,
) -> Vec<CompletionItem> {
    let mut items = Vec::new();
    match cursor.path.as_slice() {
        [] => {
            let captured = visible::ctes(text, cursor, place, snapshot);
            for name in captured {
                items.push(cursor.item(&name, CompletionKind::Cte, 0));
            }
            items.extend(tables::anywhere(cursor, snapshot));
            let mut unnest = cursor.item("UNNEST", CompletionKind::Keyword, 3);
            unnest.insert = "UNNEST".to_owned();
            items.push(unnest);
            items.extend(relation_arrays(text, cursor, place, snapshot));
        }
        [dataset] => {
            items.extend(tables::of_dataset(cursor, snapshot, None, dataset));
            items.extend(tables::datasets(cursor, snapshot, dataset));
            items.extend(fields(text, cursor, place, snapshot));
        }
        [.., project, dataset] => items.extend(tables::of_dataset(cursor, snapshot, Some(project), dataset)),
    }
    items
}

/// `alias.array` of relations before the cursor.
fn relation_arrays(
    text: &str,
    cursor: &Cursor<'_>,
    place: &Place,
    snapshot: &CatalogSnapshot,
) -> Vec<CompletionItem> {
    let Some(captured) = visible::captured(text, cursor, place, snapshot) else {
        return Vec::new();
    };
    let mut items = Vec::new();
    for relation in &captured.relations {
        let Some(alias) = &relation.alias else { continue };
        for field in relation
            .columns
            .iter()
            .filter(|f| matches!(f.data_type, Type::Array(_)))
        {
            let label = format!("{alias}.{}", field.name);
            let mut item = cursor.item(&label, CompletionKind::Field, 2);
            item.insert = format!("{}.{}", quote_name(alias), quote_name(&field.name));
            item.detail = field.data_type.sql();
            items.push(item);
        }
    }
    items
}

fn fields(text: &str, cursor: &Cursor<'_>, place: &Place, snapshot: &CatalogSnapshot) -> Vec<CompletionItem> {
    let Some(captured) = visible::captured(text, cursor, place, snapshot) else {
        return Vec::new();
    };
    captured
        .names
        .iter()
        .filter(|f| !f.name.is_empty())
        .map(|f| field_item(cursor, f, CompletionKind::Field, "", 0))
        .collect()
}

fn field_item(
    cursor: &Cursor<'_>,
    field: &Field,
    kind: CompletionKind,
    of: &str,
    rank: u8,
) -> CompletionItem {
    let mut item = cursor.item(&field.name, kind, rank);
    item.detail = if field.data_type.is_unknown() {
        String::new()
    } else {
        field.data_type.sql()
    };
    item.documentation = match (of.is_empty(), field.description.is_empty()) {
        (true, _) => field.description.to_string(),
        (false, true) => of.to_owned(),
        (false, false) => format!("{of}: {}", field.description),
    };
    item
}

fn values(text: &str, cursor: &Cursor<'_>, place: &Place, snapshot: &CatalogSnapshot) -> Vec<CompletionItem> {
    let captured = visible::captured(text, cursor, place, snapshot).unwrap_or_default();
    let mut items = columns(cursor, &captured, snapshot);
    for name in &place.file.variables {
        items.push(cursor.item(name, CompletionKind::Alias, 2));
    }
    for builtin in functions::all() {
        let rank = if builtin.kind == FunctionKind::Aggregate {
            4
        } else {
            5
        };
        let mut item = cursor.item(builtin.name, CompletionKind::Function, rank);
        item.insert = builtin.name.to_owned();
        item.detail = builtin
            .signatures
            .first()
            .map(functions::Signature::label)
            .unwrap_or_default();
        items.push(item);
    }
    for routine in snapshot.routines() {
        let name = snapshot.display_name(&routine.reference);
        let mut item = cursor.item(&name, CompletionKind::Function, 6);
        item.insert = if name.split('.').all(|p| quote_name(p) == p) {
            name
        } else {
            format!("`{name}`")
        };
        item.detail = routine.signature("");
        item.documentation = routine.description.clone();
        items.push(item);
    }
    items.extend(keywords(cursor, KEYWORDS));
    items
}

fn columns(cursor: &Cursor<'_>, captured: &Captured, snapshot: &CatalogSnapshot) -> Vec<CompletionItem> {
    let mut items = Vec::new();
    let several = captured.relations.len() > 1;
    for relation in &captured.relations {
        let of = match (&relation.source, &relation.alias) {
            (Source::Table { reference, .. }, _) => snapshot.display_name(reference),
            (_, Some(alias)) => alias.clone(),
            _ => String::new(),
        };
        for field in relation.columns.iter().filter(|f| !f.name.is_empty()) {
            let elsewhere = captured
                .relations
                .iter()
                .filter(|r| r.column(&field.name).is_some())
                .count();
            let mut item = field_item(cursor, field, CompletionKind::Column, &of, 0);
            // A column that two relations have needs its qualifier.
            if several && elsewhere > 1 {
                let Some(alias) = &relation.alias else { continue };
                item.label = format!("{alias}.{}", field.name);
                item.insert = format!("{}.{}", quote_name(alias), quote_name(&field.name));
            }
            items.push(item);
        }
        items.extend(pseudo_columns(cursor, relation, &of, snapshot));
        if let Some(alias) = &relation.alias {
            let mut item = cursor.item(alias, CompletionKind::Alias, 1);
            item.documentation = of;
            items.push(item);
        }
    }
    for field in captured.names.iter().filter(|f| !f.name.is_empty()) {
        items.push(field_item(cursor, field, CompletionKind::Alias, "", 0));
    }
    items
}

/// Columns that a table has beside those of its schema.
fn pseudo_columns(
    cursor: &Cursor<'_>,
    relation: &Relation,
    of: &str,
    snapshot: &CatalogSnapshot,
) -> Vec<CompletionItem> {
    let Source::Table { reference, wildcard } = &relation.source else {
        return Vec::new();
    };
    let columns = snapshot
        .table(reference)
        .map(|table| table.pseudo_columns(*wildcard));
    let item = |(name, data_type)| {
        let field = Field::new(name, Type::Scalar(data_type));
        field_item(cursor, &field, CompletionKind::Column, of, 3)
    };
    columns.unwrap_or_default().into_iter().map(item).collect()
}

fn keywords(cursor: &Cursor<'_>, words: &[&str]) -> Vec<CompletionItem> {
    let item = |word: &&str| CompletionItem {
        insert: (*word).to_owned(),
        ..cursor.item(word, CompletionKind::Keyword, 8)
    };
    words.iter().map(item).collect()
}

const START: &[&str] = &[
    "SELECT",
    "WITH",
    "INSERT INTO",
    "UPDATE",
    "DELETE FROM",
    "MERGE INTO",
    "CREATE OR REPLACE TABLE",
    "CREATE TABLE",
    "CREATE VIEW",
    "CREATE TEMP FUNCTION",
    "DECLARE",
    "FROM",
    "EXPORT DATA",
    "BEGIN",
    "CALL",
];

const KEYWORDS: &[&str] = &[
    "AND",
    "AS",
    "ASC",
    "BETWEEN",
    "CASE",
    "CROSS JOIN",
    "CURRENT ROW",
    "DESC",
    "DISTINCT",
    "ELSE",
    "END",
    "EXCEPT",
    "EXISTS",
    "FROM",
    "FULL JOIN",
    "GROUP BY",
    "GROUP BY ALL",
    "HAVING",
    "IN",
    "INNER JOIN",
    "INTERSECT DISTINCT",
    "INTERVAL",
    "IS NOT NULL",
    "IS NULL",
    "JOIN",
    "LEFT JOIN",
    "LIKE",
    "LIMIT",
    "NOT",
    "NULL",
    "OFFSET",
    "ON",
    "OR",
    "ORDER BY",
    "OVER",
    "PARTITION BY",
    "PIVOT",
    "QUALIFY",
    "RIGHT JOIN",
    "ROLLUP",
    "SELECT",
    "STRUCT",
    "THEN",
    "TRUE",
    "FALSE",
    "UNION ALL",
    "UNION DISTINCT",
    "UNNEST",
    "UNPIVOT",
    "USING",
    "WHEN",
    "WHERE",
    "WINDOW",
    "WITH OFFSET",
];

#[cfg(test)]
mod tests;
