//! Schema linking by words: which tables and columns a question is about.
//!
//! Names are cut into words and lightly stemmed; a rare word counts more than a common one (inverse document
//! frequency); a table's name counts more than its columns' names, and those more than descriptions. Tables that foreign
//! keys tie to a good one are raised. No embeddings, no learning: a question is answered in microseconds, also over a
//! hundred thousand tables.

use std::collections::HashMap;
use std::sync::Arc;

use crate::schema::{CatalogSnapshot, Column, TableReference, TableSchema};

mod names;
pub mod words;

pub use names::unread_for;
use words::{identifier_words, squeezed, text_words};

/// A table and how well it fits.
#[derive(Debug, Clone)]
pub struct RankedTable {
    /// The table.
    pub table: Arc<TableSchema>,
    /// Only for comparison with others of the same call; 0 where no word fits.
    pub score: f64,
    /// Top-level columns with a score above 0, best first; only for the first tables of a ranking.
    pub columns: Vec<RankedColumn>,
}

/// A column and how well it fits.
#[derive(Debug, Clone, PartialEq)]
pub struct RankedColumn {
    /// Place among the table's columns.
    pub index: usize,
    /// Only for comparison within a call.
    pub score: f64,
}

/// Catalogs up to this size are given whole: what does not fit comes last.
const WHOLE: usize = 200;
/// Of a larger catalog at most this many tables are given.
const MOST: usize = 400;
/// Of how many tables, the best first, the columns are ranked.
const WITH_COLUMNS: usize = 48;

/// Weights of a word by where it stands.
const TABLE_NAME: f32 = 3.0;
const COLUMN_NAME: f32 = 1.6;
const FIELD_NAME: f32 = 0.9;
const DATASET_NAME: f32 = 0.5;
const TABLE_DESCRIPTION: f32 = 0.8;
const COLUMN_DESCRIPTION: f32 = 0.6;
/// Evidence is long and says much beside the point.
const EVIDENCE: f32 = 0.45;
/// Share of a table's score that its foreign-key neighbours get.
const NEIGHBOUR: f64 = 0.3;

/// Tables by how well they fit a question, best first.
#[must_use]
pub fn rank(question: &str, evidence: Option<&str>, snapshot: &CatalogSnapshot) -> Vec<RankedTable> {
    snapshot.linking_index().rank(question, evidence)
}

/// Words of all tables of a snapshot, made once.
#[derive(Debug, Default)]
pub struct Index {
    tables: Vec<Arc<TableSchema>>,
    /// Word to the tables that have it, with its weight there.
    postings: HashMap<Box<str>, Vec<(u32, f32)>>,
    /// All words, sorted, to find those that begin alike.
    vocabulary: Vec<Box<str>>,
    neighbours: HashMap<u32, Vec<u32>>,
    /// Words of each table's name.
    names: Vec<Vec<String>>,
}

impl Index {
    /// Reads all names and descriptions of a snapshot.
    #[must_use]
    pub fn new(snapshot: &CatalogSnapshot) -> Self {
        let mut index = Self {
            tables: snapshot.tables().cloned().collect(),
            ..Self::default()
        };
        for (id, table) in (0_u32..).zip(index.tables.clone()) {
            let mut weights: HashMap<String, f32> = HashMap::new();
            weigh_table(&table, &mut weights);
            for (word, weight) in weights {
                index.postings.entry(word.into()).or_default().push((id, weight));
            }
        }
        index.vocabulary = index.postings.keys().cloned().collect();
        index.vocabulary.sort_unstable();
        index.neighbours = neighbours(&index.tables);
        index.names = index
            .tables
            .iter()
            .map(|t| identifier_words(&t.reference.table))
            .collect();
        index
    }

    fn rank(&self, question: &str, evidence: Option<&str>) -> Vec<RankedTable> {
        let query = self.query(question, evidence);
        let mut scores: HashMap<u32, f64> = HashMap::new();
        for (word, weight) in &query {
            let Some(postings) = self.postings.get(word.as_str()) else {
                continue;
            };
            let rarity = self.rarity(postings.len());
            for &(table, there) in postings {
                *scores.entry(table).or_default() += f64::from(there * weight) * rarity;
            }
        }
        self.raise_covered_names(&query, &mut scores);
        self.raise_neighbours(&mut scores);
        let mut order: Vec<(u32, f64)> = scores.into_iter().collect();
        order.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        order.truncate(MOST);
        if self.tables.len() <= WHOLE || order.is_empty() {
            let have: Vec<u32> = order.iter().map(|o| o.0).collect();
            let rest = (0_u32..)
                .take(self.tables.len().min(WHOLE))
                .filter(|id| !have.contains(id));
            order.extend(rest.map(|id| (id, 0.0)).collect::<Vec<_>>());
        }
        let best = order.into_iter().enumerate();
        best.filter_map(|(place, (id, score))| self.ranked(id, score, &query, place < WITH_COLUMNS))
            .collect()
    }

    fn ranked(
        &self,
        id: u32,
        score: f64,
        query: &HashMap<String, f32>,
        with_columns: bool,
    ) -> Option<RankedTable> {
        let table = self.tables.get(id as usize)?;
        let mut columns: Vec<RankedColumn> = table
            .columns
            .iter()
            .enumerate()
            .filter(|_| with_columns)
            .map(|(index, column)| RankedColumn {
                index,
                score: self.column_score(column, query),
            })
            .filter(|c| c.score > 0.0)
            .collect();
        columns.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.index.cmp(&b.index)));
        Some(RankedTable {
            table: Arc::clone(table),
            score,
            columns,
        })
    }

    fn column_score(&self, column: &Column, query: &HashMap<String, f32>) -> f64 {
        let mut weights: HashMap<String, f32> = HashMap::new();
        weigh_column(column, 0, &mut weights);
        weights
            .iter()
            .filter_map(|(word, there)| {
                let weight = query.get(word)?;
                let known = self.postings.get(word.as_str()).map_or(1, Vec::len);
                Some(f64::from(there * weight) * self.rarity(known))
            })
            .sum()
    }

    /// Words of the question and how much each counts.
    fn query(&self, question: &str, evidence: Option<&str>) -> HashMap<String, f32> {
        let mut query: HashMap<String, f32> = HashMap::new();
        for (text, weight) in [(Some(question), 1.0), (evidence, EVIDENCE)] {
            let Some(text) = text else { continue };
            let words = text_words(text);
            for word in words.iter().take(600) {
                self.add_word(&mut query, word, weight);
            }
            // `first name` also means `firstname`.
            for pair in words.windows(2).take(600) {
                let joined = squeezed(&format!("{}{}", pair[0], pair[1]));
                if self.postings.contains_key(joined.as_str()) {
                    raise(&mut query, joined, weight);
                }
            }
        }
        query
    }

    fn add_word(&self, query: &mut HashMap<String, f32>, word: &str, weight: f32) {
        if self.postings.contains_key(word) {
            return raise(query, word.to_owned(), weight);
        }
        // No table has it: words that begin alike (`singer` and `singing`).
        let letters = word.chars().count();
        if letters < 4 {
            return;
        }
        let stem: String = word.chars().take((letters - 1).clamp(4, 6)).collect();
        let from = self.vocabulary.partition_point(|w| w.as_ref() < stem.as_str());
        let alike = self.vocabulary[from..]
            .iter()
            .take_while(|w| w.starts_with(stem.as_str()));
        for other in alike.filter(|w| w.chars().count().abs_diff(letters) <= 4).take(8) {
            raise(query, other.to_string(), weight * 0.55);
        }
    }

    fn rarity(&self, tables: usize) -> f64 {
        (1.0 + self.tables.len() as f64 / tables.max(1) as f64).ln()
    }

    /// A table whose whole name is in the question is very likely meant.
    fn raise_covered_names(&self, query: &HashMap<String, f32>, scores: &mut HashMap<u32, f64>) {
        let best = scores.values().copied().fold(0.0, f64::max);
        for (&id, score) in scores.iter_mut() {
            let Some(words) = self.names.get(id as usize) else {
                continue;
            };
            let covered = words
                .iter()
                .filter(|w| query.get(w.as_str()).is_some_and(|q| *q >= 0.5))
                .count();
            if !words.is_empty() {
                *score += best * 0.25 * (covered as f64 / words.len() as f64).powi(2);
            }
        }
    }

    fn raise_neighbours(&self, scores: &mut HashMap<u32, f64>) {
        let before: Vec<(u32, f64)> = scores.iter().map(|(k, v)| (*k, *v)).collect();
        for (id, score) in before {
            for &other in self.neighbours.get(&id).into_iter().flatten() {
                *scores.entry(other).or_default() += score * NEIGHBOUR;
            }
        }
    }
}

fn raise(query: &mut HashMap<String, f32>, word: String, weight: f32) {
    let entry = query.entry(word).or_insert(0.0);
    *entry = entry.max(weight);
}

fn add(weights: &mut HashMap<String, f32>, word: String, weight: f32) {
    let entry = weights.entry(word).or_insert(0.0);
    // Being there twice counts a little more than once.
    *entry = if *entry == 0.0 {
        weight
    } else {
        entry.max(weight) + weight.min(*entry) * 0.1
    };
}

fn weigh_table(table: &TableSchema, weights: &mut HashMap<String, f32>) {
    for word in identifier_words(&table.reference.table) {
        add(weights, word, TABLE_NAME);
    }
    add(weights, squeezed(&table.reference.table), TABLE_NAME);
    for word in identifier_words(&table.reference.dataset) {
        add(weights, word, DATASET_NAME);
    }
    for word in text_words(&table.description) {
        add(weights, word, TABLE_DESCRIPTION);
    }
    for column in &table.columns {
        weigh_column(column, 0, weights);
    }
}

fn weigh_column(column: &Column, depth: usize, weights: &mut HashMap<String, f32>) {
    let name = if depth == 0 { COLUMN_NAME } else { FIELD_NAME };
    for word in identifier_words(&column.name) {
        add(weights, word, name);
    }
    add(weights, squeezed(&column.name), name);
    for word in text_words(&column.description).into_iter().take(80) {
        add(weights, word, COLUMN_DESCRIPTION);
    }
    if depth < 15 {
        for field in &column.fields {
            weigh_column(field, depth + 1, weights);
        }
    }
}

/// Tables that a foreign key ties, in both directions.
fn neighbours(tables: &[Arc<TableSchema>]) -> HashMap<u32, Vec<u32>> {
    let places: HashMap<&TableReference, u32> = tables.iter().map(|t| &t.reference).zip(0_u32..).collect();
    let mut found: HashMap<u32, Vec<u32>> = HashMap::new();
    for (id, table) in (0_u32..).zip(tables) {
        for key in &table.foreign_keys {
            if let Some(&other) = places.get(&key.table)
                && other != id
            {
                for (a, b) in [(id, other), (other, id)] {
                    let list = found.entry(a).or_default();
                    if !list.contains(&b) {
                        list.push(b);
                    }
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{DataType, ForeignKey, Mode, TableKind, TableNotes};

    fn table(name: &str, columns: &[&str], keys: &[&str]) -> TableSchema {
        let reference = |t: &str| TableReference {
            project: String::new(),
            dataset: "shop".into(),
            table: t.into(),
        };
        let column = |n: &&str| Column {
            name: (*n).to_owned(),
            data_type: DataType::String,
            mode: Mode::Nullable,
            description: String::new(),
            fields: Vec::new(),
        };
        TableSchema {
            reference: reference(name),
            kind: TableKind::Table,
            description: String::new(),
            columns: columns.iter().map(column).collect(),
            primary_key: Vec::new(),
            foreign_keys: keys
                .iter()
                .map(|k| ForeignKey {
                    table: reference(k),
                    columns: Vec::new(),
                })
                .collect(),
            partitioning: None,
            clustering: Vec::new(),
            num_rows: None,
            num_bytes: None,
            notes: TableNotes::default(),
        }
    }

    fn shop() -> CatalogSnapshot {
        let tables = [
            table("customers", &["customer_id", "firstName", "country"], &[]),
            table(
                "orders",
                &["order_id", "customer_id", "ordered_at"],
                &["customers"],
            ),
            table(
                "order_items",
                &["order_id", "product_id", "unit_price"],
                &["orders", "products"],
            ),
            table("products", &["product_id", "category"], &[]),
            table("page_views", &["url", "viewed_at"], &[]),
        ];
        CatalogSnapshot::new(None, tables, [])
    }

    fn names(question: &str) -> Vec<String> {
        let snapshot = shop();
        rank(question, None, &snapshot)
            .iter()
            .map(|r| r.table.reference.table.clone())
            .collect()
    }

    #[test]
    fn words_of_names_decide() {
        assert_eq!(names("how many customers per country?")[0], "customers");
        assert_eq!(names("viewing of pages")[0], "page_views");
        assert_eq!(
            names("average unit price by category")[..2],
            ["order_items", "products"]
        );
        assert_eq!(names("first name of each customer")[0], "customers");
    }

    #[test]
    fn every_table_of_a_small_catalog_is_given() {
        assert_eq!(names("xyzzy").len(), 5);
    }

    #[test]
    fn columns_are_ranked() {
        let snapshot = shop();
        let ranked = rank("country of customers", None, &snapshot);
        let best = &ranked[0].columns[0];
        assert_eq!(ranked[0].table.columns[best.index].name, "country");
    }

    #[test]
    fn neighbours_are_raised() {
        let order = names("orders by product category");
        let place = |n: &str| order.iter().position(|o| o == n);
        assert!(place("order_items") < place("page_views"));
    }
}
