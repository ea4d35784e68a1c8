//! What a name is: a table's card, a column's type and description, a function's signatures.

use std::fmt::Write as _;
use std::ops::Range;

use super::Place;
use crate::functions;
use crate::resolve::Meaning;
use crate::schema::{CatalogSnapshot, TableMatch, TableReference, TableSchema};
use crate::syntax::lexer::{Token, unquote};
use crate::types::Field;

/// Text for a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hover {
    /// The name's bytes.
    pub range: Range<usize>,
    /// Markdown. What comes from a catalog is escaped.
    pub markdown: String,
    /// The table that it is, or that it comes from.
    pub table: Option<TableReference>,
}

/// Columns that a table's card shows.
const COLUMNS: usize = 30;

/// What the name at an offset is; none where nothing is known of it.
#[must_use]
pub fn hover(text: &str, offset: usize, snapshot: &CatalogSnapshot) -> Option<Hover> {
    let place = Place::new(text, offset);
    let token = *place.token_at(offset)?;
    if !token.is_name() {
        return None;
    }
    let resolution = place.resolution(text, snapshot);
    let found = resolution
        .iter()
        .flat_map(|r| &r.uses)
        .filter(|u| u.range.start <= offset && offset <= u.range.end)
        .min_by_key(|u| (u.range.len(), !matches!(u.what, Meaning::Column(..))));
    if let Some(found) = found {
        let markdown = match &found.what {
            Meaning::Table(reference) => table_card(snapshot, snapshot.table(reference)?),
            Meaning::Column(field, table) => column_card(snapshot, field, table.as_ref()),
            Meaning::Cte(_) => format!("`{}`: a query of WITH", escape(token.text(text))),
            Meaning::Alias(_, Some(reference)) => {
                let card = table_card(snapshot, snapshot.table(reference)?);
                format!("`{}` is\n\n{card}", escape(token.text(text)))
            }
            Meaning::Alias(_, None) => format!("`{}`: a relation of this query", escape(token.text(text))),
        };
        let table = match &found.what {
            Meaning::Table(reference) | Meaning::Alias(_, Some(reference)) => Some(reference.clone()),
            Meaning::Column(_, table) => table.clone(),
            Meaning::Cte(_) | Meaning::Alias(_, None) => None,
        };
        return Some(Hover {
            range: found.range.clone(),
            markdown,
            table,
        });
    }
    function_card(text, &place, &token, snapshot).or_else(|| table_by_path(text, &place, &token, snapshot))
}

/// Without a tree the tokens still tell a table's path.
fn table_by_path(text: &str, place: &Place, token: &Token, snapshot: &CatalogSnapshot) -> Option<Hover> {
    let tokens = &place.split.tokens;
    let at = tokens.iter().position(|t| t == token)?;
    let (mut first, mut last) = (at, at);
    while first >= 2 && tokens[first - 1].is_symbol(text, ".") && tokens[first - 2].is_name() {
        first -= 2;
    }
    while tokens.get(last + 1).is_some_and(|t| t.is_symbol(text, "."))
        && tokens.get(last + 2).is_some_and(Token::is_name)
    {
        last += 2;
    }
    let joined: Vec<String> = tokens[first..=last]
        .iter()
        .step_by(2)
        .map(|t| unquote(t.text(text)))
        .collect();
    let joined = joined.join(".");
    let parts: Vec<&str> = joined.split('.').collect();
    match snapshot.find(&parts) {
        TableMatch::Found { table, .. } => Some(Hover {
            range: tokens[first].start..tokens[last].end,
            markdown: table_card(snapshot, &table),
            table: Some(table.reference.clone()),
        }),
        TableMatch::Unknown(_) => None,
    }
}

fn function_card(text: &str, place: &Place, token: &Token, snapshot: &CatalogSnapshot) -> Option<Hover> {
    let tokens = &place.split.tokens;
    let at = tokens.iter().position(|t| t == token)?;
    let mut first = at;
    while first >= 2 && tokens[first - 1].is_symbol(text, ".") && tokens[first - 2].is_name() {
        first -= 2;
    }
    let called = tokens.get(at + 1).is_some_and(|t| t.is_symbol(text, "("));
    let parts: Vec<String> = tokens[first..=at]
        .iter()
        .step_by(2)
        .map(|t| unquote(t.text(text)))
        .collect();
    let name = parts.join(".");
    let upper = name.to_ascii_uppercase();
    let plain = upper.strip_prefix("SAFE.").unwrap_or(&upper);
    let range = tokens[first].start..token.end;
    if let Some(builtin) = functions::builtin(plain).filter(|_| called || plain.starts_with("CURRENT_")) {
        let mut markdown = String::from("```sql\n");
        for signature in &builtin.signatures {
            let _ = writeln!(markdown, "{}{}", builtin.name, signature.label());
        }
        if builtin.signatures.is_empty() {
            let _ = writeln!(markdown, "{}(…)", builtin.name);
        }
        markdown.push_str("```\n");
        markdown.push_str(match builtin.kind {
            functions::FunctionKind::Aggregate => "Aggregate function",
            functions::FunctionKind::Analytic => "Window function: needs OVER",
            _ => "Function",
        });
        return Some(Hover {
            range,
            markdown,
            table: None,
        });
    }
    let dotted: Vec<&str> = name.split('.').collect();
    let routine = snapshot.routine(&dotted)?;
    let mut markdown = format!("`{}` (routine)", escape(&routine.reference.to_string()));
    if !routine.description.is_empty() {
        let _ = write!(markdown, "\n\n{}", escape(&routine.description));
    }
    Some(Hover {
        range,
        markdown,
        table: None,
    })
}

fn table_card(snapshot: &CatalogSnapshot, table: &TableSchema) -> String {
    let mut card = format!("**{}**", escape(&snapshot.display_name(&table.reference)));
    if let Some(rows) = table.num_rows {
        let _ = write!(card, " · {rows} rows");
    }
    if let Some(bytes) = table.num_bytes {
        let _ = write!(card, " · {}", size(bytes));
    }
    if !table.description.is_empty() {
        let _ = write!(card, "\n\n{}", escape(&table.description));
    }
    if let Some(partitioning) = &table.partitioning {
        let column = partitioning.column.as_deref().unwrap_or("_PARTITIONTIME");
        let _ = write!(
            card,
            "\n\nPartitioned by `{}` ({})",
            escape(column),
            escape(&partitioning.kind)
        );
        if partitioning.require_filter {
            card.push_str(", a filter on it is required");
        }
    }
    card.push_str("\n\n| column | type | |\n|---|---|---|");
    for column in table.columns.iter().take(COLUMNS) {
        let short: String = column.description.chars().take(80).collect();
        let key = if table.primary_key.contains(&column.name) {
            " (key)"
        } else {
            ""
        };
        let _ = write!(
            card,
            "\n| `{}`{key} | {} | {} |",
            escape(&column.name),
            escape(&column.sql_type()),
            escape(&short)
        );
    }
    if table.columns.len() > COLUMNS {
        let _ = write!(card, "\n\n… and {} more columns", table.columns.len() - COLUMNS);
    }
    card
}

fn column_card(snapshot: &CatalogSnapshot, field: &Field, table: Option<&TableReference>) -> String {
    let mut card = format!("**{}** `{}`", escape(&field.name), escape(&field.data_type.sql()));
    if let Some(table) = table {
        let _ = write!(card, " · {}", escape(&snapshot.display_name(table)));
    }
    if !field.description.is_empty() {
        let _ = write!(card, "\n\n{}", escape(&field.description));
    }
    card
}

/// Text as Markdown shows it, in one line. Text of a catalog is data: it must not become markup.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' => out.push(' '),
            '|' | '*' | '[' | ']' | '<' | '>' | '`' | '\\' | '#' | '!' => {
                out.push('\\');
                out.push(c);
            }
            _ => out.push(c),
        }
    }
    out
}

fn size(bytes: u64) -> String {
    let mut amount = bytes as f64;
    for unit in ["B", "KiB", "MiB", "GiB", "TiB"] {
        if amount < 1024.0 {
            return format!("{amount:.0} {unit}");
        }
        amount /= 1024.0;
    }
    format!("{amount:.0} PiB")
}
