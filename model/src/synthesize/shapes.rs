//! The kinds of queries that analysts write, each with the ways of asking for it.
//!
//! A shape draws what it needs of a catalog and gives up where the catalog has not got it.

mod all;
mod arithmetic;
mod averages;
mod codes;
mod comparisons;
mod contrasts;
mod differences;
mod elements;
mod figures;
mod gaps;
mod groups;
mod lists;
mod pairs;
mod ranks;
mod regrouped;
mod relations;
mod rows;
mod series;
mod stages;
mod statistics;
mod strings;
mod totals;
mod whole_rows;

pub(super) use all::SHAPES;
pub(super) use pairs::{KEYS as PAIR_KEYS, NUMBERS as PAIR_NUMBERS};

use super::columns::{Attribute, Role};
use super::conditions::Condition;
use super::dice::Dice;
use super::dimensions::{self, Dimension};
use super::phrases::where_clause;
use super::source::{Field, Source, path, snake};
use super::tables::{Array, Elements, Model, Table};
use super::weights::Weights;

/// What a shape has to draw from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Context<'m> {
    pub(super) model: &'m Model,
    pub(super) weights: &'m Weights,
}

/// A question and its answer, not yet checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Draft {
    pub(super) question: String,
    pub(super) sql: String,
}

impl Draft {
    /// The answer is `what` of the source's rows that fulfil the conditions; `rest` follows, such as groups and order.
    fn select(
        question: String,
        what: &str,
        source: &Source<'_>,
        conditions: &[Condition],
        rest: &str,
    ) -> Self {
        Self {
            question,
            sql: format!(
                "SELECT {what} FROM {}{}{rest}",
                source.from,
                where_clause(conditions)
            ),
        }
    }

    /// The answer has a row for each group, with what it is called and the figures; `rest` follows the grouping.
    fn group(
        question: String,
        dimension: &Dimension,
        figures: &str,
        source: &Source<'_>,
        conditions: &[Condition],
        rest: &str,
    ) -> Self {
        let what = format!("{}, {figures}", dimension.select);
        let rest = format!(" GROUP BY {}{rest}", dimension.group);
        Self::select(question, &what, source, conditions, &rest)
    }
}

/// A kind of query.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    /// Its name in the table of weights.
    pub(super) name: &'static str,
    pub(super) draw: fn(Context<'_>, &mut Dice) -> Option<Draft>,
}

/// Which sources a shape can use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// Tables as they are.
    Tables,
    /// Tables, joined or not.
    Joined,
    /// Everything, elements of lists too.
    All,
}

/// Rows to ask about.
fn source<'m>(context: Context<'m>, reach: Reach, dice: &mut Dice) -> Option<Source<'m>> {
    let table = table(context, dice)?;
    let weights = &context.weights.sources;
    let kinds = [
        ("table", true),
        ("elements", reach == Reach::All),
        ("inner_elements", reach == Reach::All),
        ("joined", reach != Reach::Tables),
        ("joined_twice", reach != Reach::Tables),
        ("joined_elements", reach == Reach::All),
    ];
    let kinds: Vec<(&str, f32)> = kinds
        .iter()
        .map(|(kind, fits)| {
            (
                *kind,
                if *fits {
                    weights.get(*kind).copied().unwrap_or(0.0)
                } else {
                    0.0
                },
            )
        })
        .collect();
    let drawn = match dice.weighted(&kinds)? {
        "elements" => of_records(table, dice),
        "inner_elements" => inner_elements(table, dice),
        "joined" => joined(context.model, table, dice),
        "joined_twice" => joined_twice(context.model, table, dice),
        "joined_elements" => joined_elements(context.model, table, dice),
        _ => None,
    };
    Some(drawn.unwrap_or_else(|| Source::table(table)))
}

/// Rows to ask about in groups, by a scalar of a list in them or else by what [`dimensions::draw`] finds.
fn grouped<'m>(
    context: Context<'m>,
    reach: Reach,
    dice: &mut Dice,
    times: f32,
) -> Option<(Source<'m>, Dimension)> {
    let sources = &context.weights.sources;
    let tags =
        sources.get("tagged").copied().unwrap_or(0.0) / sources.values().sum::<f32>().max(f32::EPSILON);
    if dice.chance(tags)
        && let Some(found) = tagged(context, dice)
    {
        return Some(found);
    }
    let source = source(context, reach, dice)?;
    let dimension = dimensions::draw(&source, dice, times)?;
    Some((source, dimension))
}

fn tagged<'m>(context: Context<'m>, dice: &mut Dice) -> Option<(Source<'m>, Dimension)> {
    let all = context.model.tables.iter().flat_map(|table| {
        let arrays = table.arrays.iter();
        let fits = |array: &&Array| matches!(&array.elements, Elements::Scalars(of) if !matches!(of.role, Role::Path | Role::Text) && !array.noun.one.ends_with("URL"));
        arrays.filter(fits).map(move |array| (table, array))
    });
    let all: Vec<_> = all.collect();
    let (table, array) = *dice.pick(&all)?;
    let (source, element) = Source::tagged(table, array)?;
    let list = path(None, &array.path);
    Some((source, dimensions::of_element(&element, &array.noun.one, list)))
}

/// A table, those of things that happen more often.
fn table<'m>(context: Context<'m>, dice: &mut Dice) -> Option<&'m Table> {
    let weight = |table: &Table| {
        1.0 + if table.dated { 0.7 } else { 0.0 } + if table.arrays.is_empty() { 0.0 } else { 0.7 }
    };
    let weights: Vec<(usize, f32)> = context
        .model
        .tables
        .iter()
        .enumerate()
        .map(|(i, t)| (i, weight(t)))
        .collect();
    Some(&context.model.tables[dice.weighted(&weights)?])
}

fn of_records<'m>(table: &'m Table, dice: &mut Dice) -> Option<Source<'m>> {
    let records: Vec<_> = table
        .arrays
        .iter()
        .filter(|a| matches!(a.elements, Elements::Records { .. }))
        .collect();
    Source::elements(table, dice.pick(&records)?)
}

fn inner_elements<'m>(table: &'m Table, dice: &mut Dice) -> Option<Source<'m>> {
    let pairs: Vec<_> = table
        .arrays
        .iter()
        .flat_map(|outer| match &outer.elements {
            Elements::Records { arrays, .. } => arrays.iter().map(|inner| (outer, inner)).collect::<Vec<_>>(),
            _ => Vec::new(),
        })
        .collect();
    let (outer, inner) = *dice.pick(&pairs)?;
    Source::inner_elements(table, outer, inner)
}

fn joined<'m>(model: &'m Model, table: &'m Table, dice: &mut Dice) -> Option<Source<'m>> {
    let links: Vec<_> = table
        .parents
        .iter()
        .filter(|l| !std::ptr::eq(&model.tables[l.table], table))
        .collect();
    Some(Source::joined(model, table, dice.pick(&links)?, None, false))
}

fn joined_twice<'m>(model: &'m Model, table: &'m Table, dice: &mut Dice) -> Option<Source<'m>> {
    let link = dice.pick(&table.parents)?;
    let beside = table
        .parents
        .iter()
        .filter(|l| l.table != link.table)
        .map(|l| (l, false));
    let beyond = model.tables[link.table]
        .parents
        .iter()
        .filter(|l| l.table != link.table)
        .map(|l| (l, true));
    let others: Vec<_> = beside
        .chain(beyond)
        .filter(|(l, _)| !std::ptr::eq(&model.tables[l.table], table))
        .collect();
    let (more, chained) = *dice.pick(&others)?;
    Some(Source::joined(model, table, link, Some(more), chained))
}

fn joined_elements<'m>(model: &'m Model, table: &'m Table, dice: &mut Dice) -> Option<Source<'m>> {
    let link = dice.pick(&table.parents)?;
    Source::joined_elements(model, table, dice.pick(&table.arrays)?, link)
}

/// Whether every table that is joined is also used: a join that changes nothing is nobody's answer.
pub(super) fn is_lean(sql: &str) -> bool {
    let joins = sql
        .split(" JOIN ")
        .skip(1)
        .filter_map(|rest| rest.split_once(" AS ")?.1.split_once(' '));
    let mut joined = joins.map(|(alias, _)| alias);
    joined.all(|alias| {
        let name = format!("{alias}.");
        let used = sql
            .match_indices(&name)
            .filter(|(at, _)| !sql[..*at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '.'));
        used.count() > 1
    })
}

/// What follows in ORDER BY so that equal ones come in the same order every time; nothing where it is sorted by that
/// anyway.
fn tie(sorted: &str, name: &str) -> String {
    let name = name.rsplit_once(" AS ").map_or(name, |(_, alias)| alias);
    if name.is_empty() || sorted.split(' ').next() == Some(name) {
        String::new()
    } else {
        format!(", {name}")
    }
}

/// How it may be said that equal ones come by name.
fn tie_said(noun: &str, dice: &mut Dice) -> String {
    if !dice.chance(0.12) {
        return String::new();
    }
    match dice.below(3) {
        0 => format!(", ties by {noun}"),
        1 => format!(", ties broken by {noun}"),
        _ => format!(", equal ones in order of {noun}"),
    }
}

/// Whether anybody wants to see a field in a list of rows.
fn is_shown(field: &Field<'_>) -> bool {
    field.attribute.role != Role::Other || field.attribute.noun.contains(' ')
}

/// Whether the values of a column are numbers without words.
fn is_numbered(attribute: &Attribute) -> bool {
    attribute
        .values
        .iter()
        .all(|value| value.said.parse::<i64>().is_ok())
}

/// Whether a column tells a row without a name from others, to whom it is shown.
fn is_told(attribute: &Attribute) -> bool {
    matches!(
        attribute.role,
        Role::Category | Role::Measure(_) | Role::Year | Role::Time
    ) && attribute.path.len() == 1
}

/// A column in a list of rows: a time that is kept as something else has a name there.
fn shown_as(source: &Source<'_>, field: &Field<'_>) -> String {
    if field.attribute.stored.is_none() {
        return field.sql.clone();
    }
    format!(
        "{} AS {}",
        field.sql,
        source.free_name(&snake(&field.attribute.noun))
    )
}

/// A select list; none where two of its columns would be called the same, which BigQuery refuses.
fn select(columns: &[String]) -> Option<String> {
    let name = |column: &String| {
        // "CAST(day AS STRING)" names nothing.
        let last = column
            .rsplit(" AS ")
            .next()
            .filter(|name| !name.contains(')'))
            .unwrap_or(column);
        last.rsplit('.').next().unwrap_or(last).to_lowercase()
    };
    let mut seen = std::collections::HashSet::new();
    let single: Vec<String> = columns
        .iter()
        .flat_map(|c| {
            if c.contains('(') {
                vec![c.clone()]
            } else {
                c.split(", ").map(str::to_owned).collect()
            }
        })
        .collect();
    single
        .iter()
        .all(|column| seen.insert(name(column)))
        .then(|| columns.join(", "))
}
