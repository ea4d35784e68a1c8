//! Rows for the tables of a catalog, so that queries on it can be run.
//!
//! The values are those that questions are about: the sets and ranges of descriptions, numbers of the size that they are
//! compared with, times around the spans that they name. Rows of tables that belong together have the same keys.

mod clock;
mod literals;
mod values;

use std::collections::{HashMap, HashSet};

use bigquill_analysis::schema::{CatalogSnapshot, Column, DataType, Mode, TableSchema, quote_name};
use serde_json::{Map, Value};

use super::dice::Dice;
use super::ids;
use super::tables::{Link, Model, Table};
use clock::Clock;
use values::Cells;

/// A row: the values of its columns, as BigQuery's JSON has them.
pub type Row = Map<String, Value>;

/// Rows of tables that no other refers to. SQLite, which the emulator computes with, joins three tables row by row:
/// with 300, 300 and 120 rows one such query takes a minute.
const MANY: usize = 160;
/// Rows of tables that others refer to; more than there are identifiers that questions ask for.
const FEW: usize = ids::ASKED + 10;
/// Fields of all rows of a table beyond which it has fewer rows.
const MOST_FIELDS: usize = 60_000;
/// Share of the rows of a table that others refer to.
const REFERRED: f64 = 0.85;
/// The column that tells the shard in a table that stands for a family of date shards.
const SUFFIX: &str = "table_suffix";

/// A table that queries run on.
#[derive(Debug, Clone)]
pub struct RowTable {
    /// The dataset.
    pub dataset: String,
    /// The name in the dataset.
    pub table: String,
    /// Its columns.
    pub columns: Vec<Column>,
    /// Its rows.
    pub rows: Vec<Row>,
}

impl RowTable {
    /// The statement that makes the table.
    #[must_use]
    pub fn ddl(&self) -> String {
        let column = |c: &Column| format!("{} {}", quote_name(&c.name), c.sql_type());
        let columns: Vec<String> = self.columns.iter().map(column).collect();
        format!("CREATE TABLE {} ({})", self.path(), columns.join(", "))
    }

    /// The statements that put the rows into it.
    #[must_use]
    pub fn inserts(&self) -> Vec<String> {
        literals::inserts(self)
    }

    /// The name as SQL writes it.
    #[must_use]
    pub fn path(&self) -> String {
        format!("{}.{}", quote_name(&self.dataset), quote_name(&self.table))
    }
}

/// The tables of a catalog with rows, and what its queries have to say in place of what cannot be run as it stands.
#[derive(Debug, Clone)]
pub struct RowSet {
    /// The tables.
    pub tables: Vec<RowTable>,
    /// What stands in a query, and what to run in its place.
    replaced: Vec<(String, String)>,
}

impl RowSet {
    /// Rows for every table of this catalog; equal seeds make equal rows.
    #[must_use]
    pub fn made(snapshot: &CatalogSnapshot, seed: u64) -> Self {
        let model = Model::new(snapshot);
        let schemas: Vec<&TableSchema> = snapshot
            .tables()
            .map(AsRef::as_ref)
            .filter(|t| !t.columns.is_empty())
            .collect();
        let mut rows: Vec<Vec<Row>> = vec![Vec::new(); schemas.len()];
        for index in parents_first(&model) {
            let maker = Maker {
                schema: schemas[index],
                table: &model.tables[index],
                referred: !model.children(index).is_empty(),
                others: &rows,
                own: index,
            };
            let made = maker.rows(seed);
            rows[index] = made;
        }
        let mut set = Self {
            tables: Vec::new(),
            replaced: clock::replaced(),
        };
        let mut names = HashSet::new();
        for ((schema, table), rows) in schemas.into_iter().zip(&model.tables).zip(rows) {
            set.add(schema, table, rows, &mut names);
        }
        set
    }

    /// The query as it runs on these tables: today is the day that the rows lie around, a family of date shards
    /// is one table with the suffix as a column, and there are no projects.
    #[must_use]
    pub fn runnable(&self, sql: &str) -> String {
        let replace = |sql: String, (from, to): &(String, String)| sql.replace(from, to);
        // A name of a table ends with a space, as it may at the end of the query.
        let run = self.replaced.iter().fold(format!("{sql} "), replace);
        run.trim_end().to_owned()
    }

    fn add(&mut self, schema: &TableSchema, table: &Table, rows: Vec<Row>, names: &mut HashSet<String>) {
        let dataset = schema.reference.dataset.clone();
        let mut name = match schema.reference.table.strip_suffix('*') {
            Some(family) => format!("{family}all_days"),
            None => schema.reference.table.clone(),
        };
        // Tables of different projects may have one name.
        while !names.insert(format!("{dataset}.{name}").to_lowercase()) {
            name.push_str("_too");
        }
        let mut columns: Vec<Column> = schema.columns.iter().map(known).collect();
        if table.sharded {
            columns.push(suffix());
            self.replaced
                .push(("_TABLE_SUFFIX".to_owned(), SUFFIX.to_owned()));
        }
        let made = RowTable {
            dataset,
            table: name,
            columns,
            rows,
        };
        let path = made.path();
        if path != table.path {
            for word in ["FROM", "JOIN"] {
                for end in [" ", ")", ","] {
                    self.replaced.push((
                        format!("{word} {}{end}", table.path),
                        format!("{word} {path}{end}"),
                    ));
                }
            }
        }
        self.tables.push(made);
    }
}

fn suffix() -> Column {
    Column {
        name: SUFFIX.to_owned(),
        data_type: DataType::String,
        mode: Mode::Required,
        description: String::new(),
        fields: Vec::new(),
    }
}

/// The column with texts for what is of no type that is known.
fn known(column: &Column) -> Column {
    Column {
        data_type: match &column.data_type {
            DataType::Other(_) => DataType::String,
            known => known.clone(),
        },
        fields: column.fields.iter().map(known).collect(),
        ..column.clone()
    }
}

/// The tables in an order in which those that others refer to come first, as far as there is one.
fn parents_first(model: &Model) -> Vec<usize> {
    let mut order = Vec::new();
    let mut left: Vec<usize> = (0..model.tables.len()).collect();
    while !left.is_empty() {
        let waits = |table: &usize| {
            let parents = &model.tables[*table].parents;
            parents
                .iter()
                .any(|link| link.table != *table && left.contains(&link.table))
        };
        let place = left.iter().position(|table| !waits(table)).unwrap_or(0);
        order.push(left.remove(place));
    }
    order
}

/// What makes the rows of one table.
struct Maker<'m> {
    schema: &'m TableSchema,
    table: &'m Table,
    /// Other tables refer to it.
    referred: bool,
    /// The rows of all tables, as far as they are made.
    others: &'m [Vec<Row>],
    own: usize,
}

impl Maker<'_> {
    fn rows(&self, seed: u64) -> Vec<Row> {
        let reference = &self.schema.reference;
        let mut dice = Dice::new(
            seed,
            &format!("rows of {}.{}", reference.dataset, reference.table),
        );
        let fields: usize = self.schema.columns.iter().map(width).sum();
        let most = if self.referred { FEW } else { MANY };
        let count = most.min(MOST_FIELDS / fields.max(1)).max(10);
        let cells = Cells::new(self.schema, self.table);
        let mut rows = Vec::with_capacity(count);
        for number in 0..count {
            let clock = Clock::draw(&mut dice);
            let mut row = cells.row(number, clock, &mut dice);
            for link in &self.table.parents {
                self.refer(&mut row, link, number, &rows, &mut dice);
            }
            if self.table.sharded {
                row.insert(SUFFIX.to_owned(), clock.suffix().into());
            }
            rows.push(row);
        }
        rows
    }

    /// Makes the row belong to a row of another table, mostly.
    fn refer(&self, row: &mut Row, link: &Link, number: usize, own: &[Row], dice: &mut Dice) {
        let parents = if link.table == self.own {
            own
        } else {
            &self.others[link.table]
        };
        let columns: Vec<(&Column, &str)> = link
            .on
            .iter()
            .filter_map(|(column, other)| {
                let own = self
                    .schema
                    .columns
                    .iter()
                    .find(|c| quote_name(&c.name) == *column)?;
                Some((own, other.as_str()))
            })
            .collect();
        let is_key = |column: &Column| {
            let key = self.table.key.map(|k| &self.table.attributes[k].name);
            key.is_some_and(|key| key.eq_ignore_ascii_case(&column.name))
        };
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of some hundred rows"
        )]
        let referred = (parents.len() as f64 * REFERRED).ceil() as usize;
        // One row for one row, where the key is the other's key.
        let parent = if columns.iter().any(|(column, _)| is_key(column)) {
            number
        } else {
            dice.low(referred)
        };
        let Some(parent) = parents.get(parent) else {
            return;
        };
        let optional = columns
            .iter()
            .all(|(column, _)| column.mode == Mode::Nullable && !is_key(column));
        if optional && dice.chance(0.06) {
            row.extend(
                columns
                    .iter()
                    .map(|(column, _)| (column.name.clone(), Value::Null)),
            );
            return;
        }
        let by_path: HashMap<String, &Value> = parent.iter().map(|(name, v)| (quote_name(name), v)).collect();
        for (column, other) in columns {
            if let Some(value) = by_path.get(other) {
                row.insert(column.name.clone(), (*value).clone());
            }
        }
    }
}

/// Scalars in a column.
fn width(column: &Column) -> usize {
    if column.fields.is_empty() {
        1
    } else {
        column.fields.iter().map(width).sum()
    }
}

#[cfg(test)]
mod tests;
