//! A table that the snapshot does not have.
//!
//! An error where its dataset or project is in the snapshot; where nothing of the project is, the snapshot is simply
//! not about it, and the finding is information.

use super::{Code, Diagnostic, Fix, Severity};
use crate::resolve::PathPart;
use crate::schema::{CatalogSnapshot, TableReference, UnknownTable, quote_name};
use crate::suggest::nearest;

/// Names that are looked through for one like the unknown.
const MOST_NAMES: usize = 20_000;

/// No table of this path.
#[must_use]
pub fn diagnostic(
    text: &str,
    parts: &[PathPart],
    how: UnknownTable,
    snapshot: &CatalogSnapshot,
    ctes: &[String],
) -> Diagnostic {
    let names: Vec<&str> = parts.iter().map(|p| p.name.as_str()).collect();
    let joined = names.join(".");
    let (Some(first), Some(last)) = (parts.first(), parts.last()) else {
        return Diagnostic::error(Code::UnknownTable, 0..0, "there is no table name".to_owned());
    };
    let range = whole(text, first.range.start, last.range.end);
    let table = last.name.as_str();
    match how {
        UnknownTable::NoDataset => without_dataset(range, table, snapshot, ctes),
        UnknownTable::InKnownDataset => {
            let dataset = names[names.len() - 2];
            let unread: Vec<TableReference> = snapshot.unread_of(dataset).take(MOST_NAMES).collect();
            let read = snapshot.tables_of(dataset).iter();
            let tables: Vec<&str> = read.chain(&unread).map(|t| t.table.as_str()).collect();
            let message = format!("there is no table `{joined}`");
            let found = nearest(table, tables);
            let mut diagnostic = Diagnostic::error(Code::UnknownTable, range, message);
            match found {
                Some(found) => {
                    diagnostic
                        .message
                        .push_str(&format!("; did you mean `{dataset}.{}`?", found.name));
                    diagnostic.fixes.push(rename(text, last, found.name, found.sure));
                    diagnostic
                }
                None => elsewhere(diagnostic, snapshot, table),
            }
        }
        UnknownTable::InKnownProject | UnknownTable::InUnknownProject => {
            let dataset = &parts[parts.len() - 2];
            let mut diagnostic = Diagnostic::error(
                Code::UnknownTable,
                range,
                format!("there is no table `{joined}` in the catalog"),
            );
            let near: Vec<&str> = snapshot
                .tables_named(table)
                .iter()
                .map(|t| t.dataset.as_str())
                .collect();
            if let Some(found) = nearest(&dataset.name, near) {
                diagnostic
                    .message
                    .push_str(&format!("; did you mean `{}.{table}`?", found.name));
                diagnostic
                    .fixes
                    .push(rename(text, dataset, found.name, found.sure));
                return diagnostic;
            }
            let datasets: Vec<&str> = snapshot.datasets().collect();
            if let Some(found) = nearest(&dataset.name, datasets) {
                diagnostic
                    .notes
                    .push(format!("there is a dataset `{}`", found.name));
            } else if how == UnknownTable::InUnknownProject {
                diagnostic.severity = Severity::Information;
                diagnostic
                    .notes
                    .push("the catalog holds nothing of this project".to_owned());
            }
            elsewhere(diagnostic, snapshot, table)
        }
    }
}

fn without_dataset(
    range: std::ops::Range<usize>,
    table: &str,
    snapshot: &CatalogSnapshot,
    ctes: &[String],
) -> Diagnostic {
    let message = format!("table `{table}` must be qualified with a dataset");
    let mut diagnostic = Diagnostic::error(Code::UnknownTable, range.clone(), message);
    let same = snapshot.tables_named(table);
    if same.is_empty() {
        if let Some(found) = nearest(table, ctes.iter().map(String::as_str)) {
            diagnostic.message = format!("there is no table or WITH clause `{table}`");
            return diagnostic.suggesting(range, Some(found));
        }
        let all: Vec<&TableReference> = snapshot.tables().map(|t| &t.reference).take(MOST_NAMES).collect();
        let names = all.iter().map(|t| t.table.as_str());
        if let Some(found) = nearest(table, names) {
            let sure = found.sure && snapshot.tables_named(found.name).len() == 1;
            if let Some(reference) = snapshot.tables_named(found.name).first() {
                suggest(&mut diagnostic, range, snapshot, reference, sure);
            }
        }
        return diagnostic;
    }
    let sure = same.len() == 1;
    for reference in same.iter().take(5) {
        suggest(&mut diagnostic, range.clone(), snapshot, reference, sure);
    }
    diagnostic
}

fn suggest(
    diagnostic: &mut Diagnostic,
    range: std::ops::Range<usize>,
    snapshot: &CatalogSnapshot,
    reference: &TableReference,
    preferred: bool,
) {
    let name = snapshot.display_name(reference);
    if diagnostic.fixes.is_empty() {
        diagnostic.message.push_str(&format!("; did you mean `{name}`?"));
    }
    diagnostic.fixes.push(Fix {
        title: format!("Change to `{name}`"),
        edits: vec![(range, quote_path(&name, reference))],
        preferred,
    });
}

/// A path that needs quotes is put in one pair.
fn quote_path(name: &str, reference: &TableReference) -> String {
    let plain = |n: &str| n.is_empty() || quote_name(n) == n;
    let shown_project = name.starts_with(&reference.project) && !reference.project.is_empty();
    if plain(&reference.dataset) && plain(&reference.table) && (!shown_project || plain(&reference.project)) {
        name.to_owned()
    } else {
        format!("`{name}`")
    }
}

fn elsewhere(mut diagnostic: Diagnostic, snapshot: &CatalogSnapshot, table: &str) -> Diagnostic {
    let same = snapshot.tables_named(table);
    for reference in same.iter().take(5) {
        let range = diagnostic.range.clone();
        suggest(&mut diagnostic, range, snapshot, reference, same.len() == 1);
    }
    diagnostic
}

/// Changes one name of the path; inside a pair of quotes that holds several, without quotes of its own.
fn rename(text: &str, part: &PathPart, name: &str, preferred: bool) -> Fix {
    let source = text.get(part.range.clone()).unwrap_or_default();
    let inside = source == part.name && {
        let before = text.get(..part.range.start).unwrap_or_default();
        let line = before.rfind('\n').map_or(before, |i| &before[i..]);
        line.matches('`').count() % 2 == 1
    };
    let new = if inside { name.to_owned() } else { quote_name(name) };
    Fix {
        title: format!("Change to `{name}`"),
        edits: vec![(part.range.clone(), new)],
        preferred,
    }
}

/// From the first to the last name, with the quotes around them.
fn whole(text: &str, start: usize, end: usize) -> std::ops::Range<usize> {
    let before = text.as_bytes().get(start.wrapping_sub(1)) == Some(&b'`');
    let after = text.as_bytes().get(end) == Some(&b'`');
    if before && after {
        start - 1..end + 1
    } else {
        start..end
    }
}

/// The name differs from the table's in case, which BigQuery minds.
#[must_use]
pub fn other_case(parts: &[PathPart], reference: &TableReference) -> Diagnostic {
    let range = parts.first().map_or(0, |p| p.range.start)..parts.last().map_or(0, |p| p.range.end);
    let written: Vec<&str> = parts.iter().map(|p| p.name.as_str()).collect();
    let real = [
        (parts.len().wrapping_sub(2), &reference.dataset),
        (parts.len().wrapping_sub(1), &reference.table),
    ];
    let edits = real
        .iter()
        .filter_map(|(i, name)| parts.get(*i).map(|p| (p, *name)))
        .filter(|(p, name)| p.name != **name && !name.ends_with('*'))
        .map(|(p, name)| (p.range.clone(), name.clone()))
        .collect();
    let mut diagnostic = Diagnostic::error(
        Code::TableCase,
        range,
        format!(
            "table `{}` is written `{}.{}`: names of tables mind case",
            written.join("."),
            reference.dataset,
            reference.table
        ),
    );
    diagnostic.severity = Severity::Information;
    diagnostic.fixes.push(Fix {
        title: format!("Change to `{}.{}`", reference.dataset, reference.table),
        edits,
        preferred: true,
    });
    diagnostic
}
