//! Linking before anything was read: which listed names may be what a question is about.

use std::collections::{HashMap, HashSet};

use super::words::{identifier_words, text_words};
use crate::schema::{CatalogSnapshot, TableReference};

/// Tables that are worth reading for one question.
const MOST: usize = 40;

/// Listed tables that were not read and whose names have words of the question, best first: a word counts more where
/// few names have it, and one of the table's more than one of the dataset's.
#[must_use]
pub fn unread_for(question: &str, snapshot: &CatalogSnapshot) -> Vec<TableReference> {
    let asked: HashSet<String> = text_words(question).into_iter().collect();
    let mut datasets: HashMap<&str, HashSet<String>> = HashMap::new();
    let mut common: HashMap<String, usize> = HashMap::new();
    let mut found = Vec::new();
    for name in snapshot.unread() {
        let of_dataset = datasets
            .entry(name.dataset)
            .or_insert_with(|| shared(name.dataset, &asked));
        let of_table = shared(name.table, &asked);
        if of_table.is_empty() && of_dataset.is_empty() {
            continue;
        }
        for word in &of_table {
            *common.entry(word.clone()).or_default() += 1;
        }
        let by_dataset = of_dataset.len();
        found.push((name.reference(), of_table, by_dataset));
    }
    let weight = |words: &HashSet<String>, by_dataset: usize| {
        let rare: f64 = words.iter().map(|word| 2.0 + 1.0 / common[word] as f64).sum();
        rare + by_dataset as f64
    };
    let mut ranked: Vec<(f64, TableReference)> = found
        .into_iter()
        .map(|(reference, words, by_dataset)| (weight(&words, by_dataset), reference))
        .collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    ranked.truncate(MOST);
    ranked.into_iter().map(|(_, reference)| reference).collect()
}

fn shared(name: &str, asked: &HashSet<String>) -> HashSet<String> {
    identifier_words(name)
        .into_iter()
        .filter(|word| asked.contains(word))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use super::*;
    use crate::schema::ProjectListing;

    #[test]
    fn names_with_words_of_the_question_are_worth_reading() {
        let names = ["country_codes", "customer_orders", "customers", "weather"].map(Box::from);
        let datasets = BTreeMap::from([("shop".to_owned(), Some(Arc::from(names)))]);
        let listing = ProjectListing {
            complete: true,
            datasets,
        };
        let snapshot = CatalogSnapshot::new(Some("p".to_owned()), [], [])
            .with_listing(Arc::new(BTreeMap::from([("p".to_owned(), listing)])));
        let found: Vec<String> = unread_for("orders of each customer", &snapshot)
            .into_iter()
            .map(|table| table.table)
            .collect();
        assert_eq!(found, ["customer_orders", "customers"]);
        assert_eq!(unread_for("how many", &snapshot), []);
    }
}
