//! What of a catalog is shown within a token budget.

use bigquill_analysis::schema::TableSchema;

use super::overlap::{Overlap, Ranked};
use super::render::{column_text, table_line, tail, user_text};
use super::{PromptInput, SYSTEM, Selection, ShownTable};

/// Tables of a catalog beyond which it is not tried whether all of them fit. A table has about ten tokens at
/// the least, so that so many fit no budget in use.
const MANY_TABLES: usize = 200;

/// No text has so many bytes a token on average, so that a longer one need not be counted.
const MOST_BYTES_A_TOKEN: usize = 16;

/// A table that does not fit as a whole is shown in part if it is one of so many that the question is most about.
const PARTLY_SHOWN: usize = 4;

/// The fewest columns of the first table, however small the budget.
const FEWEST_COLUMNS: usize = 8;

/// The most that fits: everything, else without descriptions, else fewer tables, else fewer columns.
pub(super) fn select<'a>(input: &PromptInput<'a>, count: &dyn Fn(&str) -> usize) -> Selection<'a> {
    let rules = count(SYSTEM);
    let size = |selection: &Selection<'_>| {
        let text = user_text(input, selection);
        let long = text.len() > input.budget.saturating_mul(MOST_BYTES_A_TOKEN);
        rules
            + if long {
                text.len() / MOST_BYTES_A_TOKEN
            } else {
                count(&text)
            }
    };
    if input.snapshot.tables().nth(MANY_TABLES).is_none() {
        let tables = input
            .snapshot
            .tables()
            .map(|schema| ShownTable {
                schema,
                columns: None,
            })
            .collect();
        let mut all = Selection {
            tables,
            descriptions: true,
        };
        for descriptions in [true, false] {
            all.descriptions = descriptions;
            if size(&all) <= input.budget {
                return all;
            }
        }
    }
    let overlap = Overlap::new(input);
    let ranked = overlap.rank(input.snapshot, MANY_TABLES);
    // Lines are counted one by one and joins not at all, so that the sum may miss by a little: then once more.
    let mut room = input.budget.saturating_sub(rules + count(&tail(input)));
    for _ in 0..4 {
        let selection = best(input, &ranked, &overlap, room, count);
        let over = size(&selection).saturating_sub(input.budget);
        if over == 0 {
            return selection;
        }
        room = room.saturating_sub(over);
    }
    best(input, &ranked, &overlap, room, count)
}

/// The tables that come first, within a room of so many tokens.
fn best<'a>(
    input: &PromptInput<'a>,
    ranked: &[Ranked<'a>],
    overlap: &Overlap,
    mut room: usize,
    count: &dyn Fn(&str) -> usize,
) -> Selection<'a> {
    let mut shown: Vec<(usize, ShownTable<'a>)> = Vec::new();
    for (rank, &Ranked { place, score, schema }) in ranked.iter().enumerate() {
        let whole = ShownTable {
            schema,
            columns: None,
        };
        let cost = count(&table_line(&whole, input.snapshot, false));
        if cost <= room {
            room -= cost;
            shown.push((place, whole));
        } else if rank == 0 || (rank < PARTLY_SHOWN && score > 0) {
            let fewest = if rank == 0 { FEWEST_COLUMNS } else { 0 };
            let columns = best_columns(schema, overlap, room, fewest, count);
            if !columns.is_empty() {
                let part = ShownTable {
                    schema,
                    columns: Some(columns),
                };
                room = room.saturating_sub(count(&table_line(&part, input.snapshot, false)));
                shown.push((place, part));
            }
        }
    }
    shown.sort_by_key(|(place, _)| *place);
    Selection {
        tables: shown.into_iter().map(|(_, table)| table).collect(),
        descriptions: false,
    }
}

/// Indices of the columns that come first, ascending, within a room of so many tokens.
fn best_columns(
    schema: &TableSchema,
    overlap: &Overlap,
    room: usize,
    fewest: usize,
    count: &dyn Fn(&str) -> usize,
) -> Vec<usize> {
    let mut room = room.saturating_sub(count(&schema.reference.table) + 4);
    let mut chosen = Vec::new();
    for index in overlap.rank_columns(schema) {
        let cost = count(&column_text(&schema.columns[index], false)) + 1;
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
