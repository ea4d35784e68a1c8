//! Tables and datasets for the cursor: those that were read, then names that are only listed.

use super::{CompletionItem, CompletionKind, Cursor, fits};
use crate::schema::{CatalogSnapshot, TableReference, TableSchema, quote_name};

/// Tables that are offered at most; more letters narrow them down.
const MOST: usize = 300;

/// Tables with their datasets, where no path leads.
pub(super) fn anywhere(cursor: &Cursor<'_>, snapshot: &CatalogSnapshot) -> Vec<CompletionItem> {
    let read = snapshot
        .tables()
        .map(|table| (snapshot.display_name(&table.reference), Some(table)));
    let listed = snapshot
        .unread()
        .map(|name| (snapshot.display_name(&name.reference()), None));
    read.chain(listed)
        .filter(|(name, _)| fits(name, &cursor.typed))
        .take(MOST)
        .map(|(name, table)| item(cursor, table.map(AsRef::as_ref), &name, 1))
        .collect()
}

/// Tables of a dataset; of this project, where one is named.
pub(super) fn of_dataset(
    cursor: &Cursor<'_>,
    snapshot: &CatalogSnapshot,
    project: Option<&str>,
    dataset: &str,
) -> Vec<CompletionItem> {
    let wanted = |t: &TableReference| {
        project.is_none_or(|p| t.project.eq_ignore_ascii_case(p)) && fits(&t.table, &cursor.typed)
    };
    let read = snapshot.tables_of(dataset).iter().cloned();
    read.chain(snapshot.unread_of(dataset))
        .filter(wanted)
        .take(MOST)
        .map(|reference| {
            let table = snapshot.table(&reference).map(AsRef::as_ref);
            let mut item = item(cursor, table, &reference.table, 0);
            item.insert = if cursor.quoted {
                let mut path: Vec<&str> = cursor.path.iter().map(String::as_str).collect();
                path.push(&reference.table);
                format!("`{}`", path.join("."))
            } else {
                quote_name(&reference.table)
            };
            item
        })
        .collect()
}

/// Datasets of a project.
pub(super) fn datasets(
    cursor: &Cursor<'_>,
    snapshot: &CatalogSnapshot,
    project: &str,
) -> Vec<CompletionItem> {
    let read = snapshot
        .tables()
        .filter(|t| t.reference.project.eq_ignore_ascii_case(project))
        .map(|t| t.reference.dataset.as_str());
    let listed = snapshot
        .listing()
        .iter()
        .filter(|(listed, _)| listed.eq_ignore_ascii_case(project))
        .flat_map(|(_, listing)| listing.datasets.keys().map(String::as_str));
    let mut datasets: Vec<&str> = read.chain(listed).collect();
    datasets.sort_unstable();
    datasets.dedup();
    datasets
        .into_iter()
        .map(|dataset| cursor.item(dataset, CompletionKind::Dataset, 0))
        .collect()
}

/// A table's item; none where only its name is known.
fn item(cursor: &Cursor<'_>, table: Option<&TableSchema>, name: &str, rank: u8) -> CompletionItem {
    let mut item = cursor.item(name, CompletionKind::Table, rank);
    let plain = name.split('.').all(|p| quote_name(p) == p);
    item.insert = if plain && !cursor.quoted {
        name.to_owned()
    } else {
        format!("`{name}`")
    };
    match table {
        Some(table) => {
            item.detail = format!("{} columns", table.columns.len());
            item.documentation = table.description.clone();
        }
        None => item.detail = "table".to_owned(),
    }
    item
}
