//! The kinds of queries that analysts write, each with the ways of asking for it.
//!
//! A shape draws what it needs of a catalog and gives up where the catalog has not got it.

mod arithmetic;
mod averages;
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
mod strings;
mod totals;
mod whole_rows;

pub(super) use pairs::{KEYS as PAIR_KEYS, NUMBERS as PAIR_NUMBERS};

use super::columns::Role;
use super::conditions::Condition;
use super::dice::Dice;
use super::dimensions::{self, Dimension};
use super::phrases::where_clause;
use super::source::{Field, Source, path};
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

/// All kinds.
pub(super) const SHAPES: &[Shape] = &[
    Shape {
        name: "rows",
        draw: rows::some,
    },
    Shape {
        name: "rows_top",
        draw: rows::top,
    },
    Shape {
        name: "rows_latest",
        draw: rows::latest,
    },
    Shape {
        name: "rows_one",
        draw: rows::one,
    },
    Shape {
        name: "rows_except",
        draw: whole_rows::except,
    },
    Shape {
        name: "rows_replace",
        draw: whole_rows::replace,
    },
    Shape {
        name: "values",
        draw: rows::values,
    },
    Shape {
        name: "above_average",
        draw: averages::above_average,
    },
    Shape {
        name: "above_group",
        draw: averages::above_group,
    },
    Shape {
        name: "count",
        draw: figures::count,
    },
    Shape {
        name: "figure",
        draw: figures::figure,
    },
    Shape {
        name: "figures",
        draw: figures::several,
    },
    Shape {
        name: "share",
        draw: figures::share,
    },
    Shape {
        name: "share_by",
        draw: figures::share_by,
    },
    Shape {
        name: "ratio",
        draw: figures::ratio,
    },
    Shape {
        name: "arithmetic",
        draw: arithmetic::one,
    },
    Shape {
        name: "arithmetic_by",
        draw: arithmetic::grouped,
    },
    Shape {
        name: "arithmetic_rows",
        draw: arithmetic::rows,
    },
    Shape {
        name: "list_arithmetic",
        draw: arithmetic::lists,
    },
    Shape {
        name: "conditional",
        draw: figures::conditional,
    },
    Shape {
        name: "missing",
        draw: figures::missing,
    },
    Shape {
        name: "group",
        draw: groups::group,
    },
    Shape {
        name: "group_two",
        draw: groups::two,
    },
    Shape {
        name: "group_several",
        draw: groups::several,
    },
    Shape {
        name: "having",
        draw: groups::having,
    },
    Shape {
        name: "top_groups",
        draw: groups::top,
    },
    Shape {
        name: "share_of_total",
        draw: groups::share_of_total,
    },
    Shape {
        name: "buckets",
        draw: regrouped::buckets,
    },
    Shape {
        name: "average_per",
        draw: regrouped::average_per,
    },
    Shape {
        name: "listed",
        draw: regrouped::listed,
    },
    Shape {
        name: "series",
        draw: series::series,
    },
    Shape {
        name: "running",
        draw: series::running,
    },
    Shape {
        name: "moving",
        draw: series::moving,
    },
    Shape {
        name: "change",
        draw: series::change,
    },
    Shape {
        name: "years",
        draw: series::years,
    },
    Shape {
        name: "busiest",
        draw: series::busiest,
    },
    Shape {
        name: "duration",
        draw: differences::average,
    },
    Shape {
        name: "duration_rows",
        draw: differences::rows,
    },
    Shape {
        name: "late_share",
        draw: differences::late,
    },
    Shape {
        name: "since_previous",
        draw: gaps::since_previous,
    },
    Shape {
        name: "first_last",
        draw: gaps::first_last,
    },
    Shape {
        name: "best_of_each",
        draw: ranks::best_of_each,
    },
    Shape {
        name: "latest_of_each",
        draw: ranks::latest_of_each,
    },
    Shape {
        name: "commonest_of_each",
        draw: ranks::commonest_of_each,
    },
    Shape {
        name: "ranked",
        draw: ranks::ranked,
    },
    Shape {
        name: "without",
        draw: relations::without,
    },
    Shape {
        name: "with_some",
        draw: relations::with_some,
    },
    Shape {
        name: "with_many",
        draw: relations::with_many,
    },
    Shape {
        name: "all_counted",
        draw: relations::all_counted,
    },
    Shape {
        name: "both",
        draw: relations::both,
    },
    Shape {
        name: "in_one_period",
        draw: relations::in_one_period,
    },
    Shape {
        name: "list_length",
        draw: lists::length,
    },
    Shape {
        name: "list_sum",
        draw: lists::sum,
    },
    Shape {
        name: "list_count",
        draw: totals::count,
    },
    Shape {
        name: "list_total",
        draw: totals::compared,
    },
    Shape {
        name: "list_rows",
        draw: lists::rows,
    },
    Shape {
        name: "list_share",
        draw: lists::share,
    },
    Shape {
        name: "list_first",
        draw: elements::first,
    },
    Shape {
        name: "list_position",
        draw: elements::position,
    },
    Shape {
        name: "list_best",
        draw: elements::best,
    },
    Shape {
        name: "list_joined",
        draw: elements::joined,
    },
    Shape {
        name: "list_elements",
        draw: elements::elements,
    },
    Shape {
        name: "list_spread",
        draw: lists::spread,
    },
    Shape {
        name: "pair_value",
        draw: pairs::value,
    },
    Shape {
        name: "pair_group",
        draw: pairs::group,
    },
    Shape {
        name: "pair_keys",
        draw: pairs::keys,
    },
    Shape {
        name: "pair_figure",
        draw: pairs::figure,
    },
    Shape {
        name: "domain",
        draw: strings::domain,
    },
    Shape {
        name: "full_name",
        draw: strings::full_name,
    },
    Shape {
        name: "matching",
        draw: strings::matching,
    },
    Shape {
        name: "length",
        draw: strings::length,
    },
    Shape {
        name: "extracted",
        draw: strings::extracted,
    },
];

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
        let fits = |array: &&Array| matches!(&array.elements, Elements::Scalars(of) if !matches!(of.role, Role::Path | Role::Text));
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

/// A select list; none where two of its columns would be called the same, which BigQuery refuses.
fn select(columns: &[String]) -> Option<String> {
    let name = |column: &String| {
        let last = column.rsplit(" AS ").next().unwrap_or(column);
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
