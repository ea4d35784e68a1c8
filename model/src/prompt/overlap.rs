//! How many words a question shares with the names and descriptions of tables and columns.

use std::cmp::Reverse;
use std::collections::HashSet;

use bigquill_analysis::schema::{CatalogSnapshot, Column, TableSchema};

use super::PromptInput;
use super::render::words;

/// A table in order of its overlap.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ranked<'a> {
    /// Its place in the catalog.
    pub(super) place: usize,
    /// How much it shares; 0 is nothing.
    pub(super) score: usize,
    pub(super) schema: &'a TableSchema,
}

/// The words of a question and its evidence.
pub(super) struct Overlap {
    words: HashSet<String>,
}

impl Overlap {
    pub(super) fn new(input: &PromptInput<'_>) -> Self {
        let text = format!("{} {}", input.question, input.evidence.unwrap_or_default());
        Self { words: stems(&text) }
    }

    /// The tables that share most, at most so many; the first shares most.
    pub(super) fn rank<'a>(&self, snapshot: &'a CatalogSnapshot, most: usize) -> Vec<Ranked<'a>> {
        let mut ranked: Vec<Ranked<'_>> = snapshot
            .tables()
            .enumerate()
            .map(|(place, schema)| Ranked {
                place,
                score: self.table_score(schema),
                schema,
            })
            .collect();
        ranked.sort_by_key(|table| (Reverse(table.score), table.place));
        ranked.truncate(most);
        ranked
    }

    /// Indices of a table's columns, those first that share most; keys come before what shares nothing.
    pub(super) fn rank_columns(&self, table: &TableSchema) -> Vec<usize> {
        let is_key = |column: &Column| {
            let named = |name: &String| name.eq_ignore_ascii_case(&column.name);
            table.primary_key.iter().any(named)
                || table
                    .foreign_keys
                    .iter()
                    .any(|key| key.columns.iter().any(|(own, _)| named(own)))
                || table
                    .partitioning
                    .as_ref()
                    .and_then(|p| p.column.as_ref())
                    .is_some_and(named)
        };
        let mut ranked: Vec<usize> = (0..table.columns.len()).collect();
        ranked.sort_by_key(|&index| {
            let column = &table.columns[index];
            let score = 2 * self.column_score(column) + usize::from(is_key(column));
            (Reverse(score), index)
        });
        ranked
    }

    fn table_score(&self, table: &TableSchema) -> usize {
        let columns: usize = table.columns.iter().map(|c| self.column_score(c)).sum();
        8 * self.shared(&table.reference.table)
            + 4 * self.shared(&table.reference.dataset)
            + 2 * self.shared(&table.description)
            + columns
    }

    fn column_score(&self, column: &Column) -> usize {
        let nested: usize = column.fields.iter().map(|f| self.column_score(f)).sum();
        4 * self.shared(&column.name) + self.shared(&column.description) + nested
    }

    fn shared(&self, text: &str) -> usize {
        if text.is_empty() {
            0
        } else {
            stems(text).intersection(&self.words).count()
        }
    }
}

/// Words without the English plural.
fn stems(text: &str) -> HashSet<String> {
    words(text)
        .into_iter()
        .map(|word| match word.strip_suffix('s') {
            Some(stem) if stem.len() > 2 && !stem.ends_with('s') => stem.to_owned(),
            _ => word,
        })
        .collect()
}
