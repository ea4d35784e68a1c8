//! What of a catalog is shown within a token budget.

use std::collections::HashMap;
use std::sync::Arc;

use bigquill_analysis::linking::{RankedTable, rank};
use bigquill_analysis::schema::{CatalogSnapshot, Column, TableReference, TableSchema};

use super::render::{column_text, table_line, tail, user_text};
use super::{PromptInput, SYSTEM, Selection, ShownTable};

/// Tables of a catalog beyond which it is not tried whether all of them fit. A table has about ten tokens at
/// the least, so that so many fit no budget in use.
const MANY_TABLES: usize = 200;

/// No text has so many bytes a token on average, so that a longer one need not be counted.
const MOST_BYTES_A_TOKEN: usize = 16;

/// A table that does not fit as a whole is shown in part if it is one of so many that the question is most about.
const PARTLY_SHOWN: usize = 4;

/// The fewest tokens of a table's line.
const SMALLEST_TABLE: usize = 6;

/// The fewest columns of the first table and of required ones, however small the budget.
const FEWEST_COLUMNS: usize = 8;

/// The most that fits: everything, else without descriptions, else fewer tables, else fewer columns. Tables of
/// `required` stay, perhaps with fewer columns.
pub(super) fn select(
    input: &PromptInput<'_>,
    required: &[TableReference],
    count: &dyn Fn(&str) -> usize,
) -> Selection {
    let rules = count(SYSTEM);
    let size = |selection: &Selection| {
        let text = user_text(input, selection);
        let long = text.len() > input.budget.saturating_mul(MOST_BYTES_A_TOKEN);
        rules
            + if long {
                text.len() / MOST_BYTES_A_TOKEN
            } else {
                count(&text)
            }
    };
    let many = input.snapshot.tables().nth(MANY_TABLES).is_some();
    if !many {
        let whole = |schema: &Arc<TableSchema>| ShownTable {
            schema: Arc::clone(schema),
            columns: None,
        };
        let mut all = Selection {
            tables: input.snapshot.tables().map(whole).collect(),
            descriptions: true,
        };
        for descriptions in [true, false] {
            all.descriptions = descriptions;
            if size(&all) <= input.budget {
                return all;
            }
        }
    }
    let ranked = rank(input.question, input.evidence, input.snapshot);
    let ranked = required_first(ranked, required, input.snapshot);
    let places = if many {
        HashMap::new()
    } else {
        places(input.snapshot)
    };
    // Lines are counted one by one and joins not at all, so that the sum may miss by a little: then once more.
    let mut room = input.budget.saturating_sub(rules + count(&tail(input)));
    let mut selection = Selection::default();
    for _ in 0..5 {
        selection.tables = best(input.snapshot, &ranked, required.len(), room, count);
        // The catalog's order; of one too large to walk through, the order of names.
        selection.tables.sort_by(|a, b| {
            let key = |t: &ShownTable| places.get(&t.schema.reference).copied();
            (key(a), &a.schema.reference).cmp(&(key(b), &b.schema.reference))
        });
        let over = size(&selection).saturating_sub(input.budget);
        if over == 0 {
            break;
        }
        room = room.saturating_sub(over);
    }
    selection
}

/// The required tables in front of the others, also those that a ranking of a large catalog leaves out.
fn required_first(
    ranked: Vec<RankedTable>,
    required: &[TableReference],
    snapshot: &CatalogSnapshot,
) -> Vec<RankedTable> {
    let (mut first, others): (Vec<_>, Vec<_>) = ranked
        .into_iter()
        .partition(|found| required.contains(&found.table.reference));
    for reference in required {
        let ranked = first.iter().any(|found| found.table.reference == *reference);
        if let Some(table) = snapshot.table(reference).filter(|_| !ranked) {
            first.push(RankedTable {
                table: Arc::clone(table),
                score: 0.0,
                columns: Vec::new(),
            });
        }
    }
    first.extend(others);
    first
}

fn places(snapshot: &CatalogSnapshot) -> HashMap<&TableReference, usize> {
    snapshot
        .tables()
        .enumerate()
        .map(|(place, table)| (&table.reference, place))
        .collect()
}

/// The tables that come first, within a room of so many tokens; the `required` first of them are shown in any case.
fn best(
    snapshot: &CatalogSnapshot,
    ranked: &[RankedTable],
    required: usize,
    mut room: usize,
    count: &dyn Fn(&str) -> usize,
) -> Vec<ShownTable> {
    let mut shown = Vec::new();
    for (rank, found) in ranked.iter().enumerate() {
        let shown_anyway = rank < required.max(1);
        if !shown_anyway && room < SMALLEST_TABLE {
            break;
        }
        let mut table = ShownTable {
            schema: Arc::clone(&found.table),
            columns: None,
        };
        let line = table_line(&table, snapshot, false);
        let too_long = line.len() > room.saturating_mul(MOST_BYTES_A_TOKEN);
        let mut cost = if too_long { usize::MAX } else { count(&line) };
        if cost > room {
            if !shown_anyway && (rank >= PARTLY_SHOWN || found.score <= 0.0) {
                continue;
            }
            let fewest = if shown_anyway { FEWEST_COLUMNS } else { 0 };
            let columns = best_columns(found, room, fewest, count);
            if columns.is_empty() {
                continue;
            }
            table.columns = Some(columns);
            cost = count(&table_line(&table, snapshot, false));
        }
        room = room.saturating_sub(cost);
        shown.push(table);
    }
    shown
}

/// Indices of the columns that come first, ascending, within a room of so many tokens.
fn best_columns(
    found: &RankedTable,
    room: usize,
    fewest: usize,
    count: &dyn Fn(&str) -> usize,
) -> Vec<usize> {
    let schema = &found.table;
    let mut room = room.saturating_sub(count(&schema.reference.table) + SMALLEST_TABLE);
    let mut chosen = Vec::new();
    for index in columns_in_order(found) {
        let text = column_text(&schema.columns[index], false);
        let too_long = text.len() > room.saturating_mul(MOST_BYTES_A_TOKEN);
        let cost = if too_long { usize::MAX } else { count(&text) + 1 };
        if cost <= room {
            room -= cost;
            chosen.push(index);
        } else if chosen.len() < fewest {
            room = 0;
            chosen.push(index);
        }
    }
    chosen.sort_unstable();
    chosen
}

/// Indices of the columns: first what the question is about, then keys, then the others.
fn columns_in_order(found: &RankedTable) -> Vec<usize> {
    let mut order: Vec<usize> = found.columns.iter().map(|column| column.index).collect();
    let about = order.len();
    let columns = &found.table.columns;
    order.extend((0..columns.len()).filter(|index| !found.columns.iter().any(|c| c.index == *index)));
    order[about..].sort_by_key(|index| (!is_key(&columns[*index], &found.table), *index));
    order
}

fn is_key(column: &Column, table: &TableSchema) -> bool {
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
}
