//! A selection of tables as text. Pure: the same selection gives the same text.

use std::collections::HashSet;
use std::fmt::Write as _;

use bigquill_analysis::schema::{
    CatalogSnapshot, Column, ForeignKey, TableReference, TableSchema, quote_name,
};

use super::{PromptInput, Selection, ShownTable};

/// Characters of a description that are shown.
const DESCRIPTION_CHARS: usize = 80;

/// The user's message: tables, joins, evidence, question.
pub(super) fn user_text(input: &PromptInput<'_>, selection: &Selection) -> String {
    let mut text = "Tables:\n".to_owned();
    for table in &selection.tables {
        text.push_str(&table_line(table, input.snapshot, selection.descriptions));
    }
    text.push_str(&joins_line(&selection.tables, input.snapshot));
    text.push_str(&tail(input));
    text
}

/// Evidence and question: what does not come out of the catalog.
pub(super) fn tail(input: &PromptInput<'_>) -> String {
    let mut text = String::new();
    if let Some(evidence) = input.evidence.map(one_line).filter(|e| !e.is_empty()) {
        let _ = writeln!(text, "Evidence: {evidence}"); // writing to a String cannot fail
    }
    text.push_str("Question: ");
    text.push_str(&one_line(input.question));
    text
}

/// `- dataset.table: column TYPE "description", … -- description` and a line break.
pub(super) fn table_line(table: &ShownTable, snapshot: &CatalogSnapshot, descriptions: bool) -> String {
    let schema = &table.schema;
    let columns: Vec<String> = shown_columns(table)
        .map(|column| column_text(column, descriptions))
        .collect();
    let mut line = format!(
        "- {}: {}",
        table_path(&schema.reference, snapshot),
        columns.join(", ")
    );
    if descriptions && let Some(description) = telling(&schema.reference.table, &schema.description) {
        line.push_str(" -- ");
        line.push_str(&description);
    }
    line.push('\n');
    line
}

/// The columns of a table that are shown.
pub(super) fn shown_columns(table: &ShownTable) -> impl Iterator<Item = &Column> {
    let all = table.schema.columns.iter().enumerate();
    all.filter(|(index, _)| {
        table
            .columns
            .as_ref()
            .is_none_or(|shown| shown.binary_search(index).is_ok())
    })
    .map(|(_, column)| column)
}

/// `name TYPE`, with the description where it tells something.
pub(super) fn column_text(column: &Column, descriptions: bool) -> String {
    let mut text = format!(
        "{} {}",
        one_line(&quote_name(&column.name)),
        one_line(&column.sql_type())
    );
    if descriptions && let Some(description) = telling(&column.name, &column.description) {
        let _ = write!(text, " \"{}\"", description.replace('"', "'"));
    }
    text
}

/// `Joins: a.x = b.y, …` and a line break, from the foreign keys among the shown tables; empty where there are
/// none.
fn joins_line(tables: &[ShownTable], snapshot: &CatalogSnapshot) -> String {
    let mut seen = HashSet::new();
    let mut joins = Vec::new();
    for table in tables {
        for key in &table.schema.foreign_keys {
            if let Some(join) = join_text(table, key, tables, snapshot)
                && seen.insert(join.clone())
            {
                joins.push(join);
            }
        }
    }
    if joins.is_empty() {
        String::new()
    } else {
        format!("Joins: {}\n", joins.join(", "))
    }
}

/// None where the other table, or a column of either, is not shown.
fn join_text(
    table: &ShownTable,
    key: &ForeignKey,
    tables: &[ShownTable],
    snapshot: &CatalogSnapshot,
) -> Option<String> {
    let other = tables.iter().find(|t| t.schema.reference == key.table)?;
    let (name, other_name) = (
        short_name(&table.schema, tables, snapshot),
        short_name(&other.schema, tables, snapshot),
    );
    let equations: Option<Vec<String>> = key
        .columns
        .iter()
        .map(|(column, other_column)| {
            let (column, other_column) = (find(table, column)?, find(other, other_column)?);
            Some(format!("{name}.{column} = {other_name}.{other_column}"))
        })
        .collect();
    equations.filter(|e| !e.is_empty()).map(|e| e.join(" AND "))
}

/// A shown column's name in the catalog's case.
fn find(table: &ShownTable, name: &str) -> Option<String> {
    shown_columns(table)
        .find(|c| c.name.eq_ignore_ascii_case(name))
        .map(|c| one_line(&quote_name(&c.name)))
}

/// The table's last part, or its path where another shown table is called the same.
fn short_name(schema: &TableSchema, tables: &[ShownTable], snapshot: &CatalogSnapshot) -> String {
    let name = &schema.reference.table;
    let namesakes = tables
        .iter()
        .filter(|t| &t.schema.reference.table == name)
        .count();
    if namesakes > 1 {
        table_path(&schema.reference, snapshot)
    } else {
        one_line(&quote_name(name))
    }
}

/// How a table is written in a query: without its project where that is the default one, in backquotes where
/// the name needs it.
#[must_use]
pub fn table_path(reference: &TableReference, snapshot: &CatalogSnapshot) -> String {
    let default = snapshot.default_project.as_deref() == Some(reference.project.as_str());
    let project = Some(&reference.project).filter(|p| !p.is_empty() && !default);
    let parts: Vec<&str> = project
        .into_iter()
        .chain([&reference.dataset, &reference.table])
        .map(String::as_str)
        .collect();
    let word = |part: &&str| part.chars().all(|c| c.is_alphanumeric() || c == '_');
    let path = if parts.iter().all(word) {
        parts
            .iter()
            .map(|part| quote_name(part))
            .collect::<Vec<_>>()
            .join(".")
    } else {
        // With a dash or an asterisk in it, BigQuery users quote the whole path.
        format!("`{}`", parts.join(".").replace('\\', "\\\\").replace('`', "\\`"))
    };
    one_line(&path)
}

/// A description, shortened, where it says a word that the name does not.
fn telling(name: &str, description: &str) -> Option<String> {
    let text: String = one_line(description).chars().take(DESCRIPTION_CHARS).collect();
    let text = text.trim_end();
    let named = words(name);
    words(text)
        .iter()
        .any(|word| !named.contains(word))
        .then(|| text.to_owned())
}

/// Words in lower case; `camelCase` is two.
fn words(text: &str) -> HashSet<String> {
    let mut words = HashSet::new();
    let mut word = String::new();
    let mut after_lower = false;
    for c in text.chars() {
        let boundary = !c.is_alphanumeric() || (after_lower && c.is_uppercase());
        if boundary && !word.is_empty() {
            words.insert(std::mem::take(&mut word));
        }
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        }
        after_lower = c.is_lowercase();
    }
    if !word.is_empty() {
        words.insert(word);
    }
    words
}

/// Text on one line: line breaks and control characters become a space each, the ends are trimmed.
pub(crate) fn one_line(text: &str) -> String {
    let line: String = text
        .trim()
        .chars()
        .map(|c| {
            if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') {
                ' '
            } else {
                c
            }
        })
        .collect();
    line
}
