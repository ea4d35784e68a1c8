//! Lists of keys and values: the value of a key, rows grouped by it, which keys there are.

use bigquill_analysis::schema::DataType;

use super::super::conditions::{self, Condition};
use super::super::descriptions::{Value, quoted};
use super::super::dice::Dice;
use super::super::metrics;
use super::super::phrases::{Style, finished, shown, style, subject, where_clause};
use super::super::source::{Source, alias, snake};
use super::super::tables::{Array, Elements};
use super::{Context, Draft, select, table};

/// Keys that lists have whose keys no description tells.
pub(in super::super) const KEYS: &[&str] = &[
    "source", "plan", "version", "referrer", "language", "variant", "store", "category", "step", "tier",
];
/// Keys whose values are numbers.
pub(in super::super) const NUMBERS: &[&str] = &["duration", "amount", "score", "level", "retries", "items"];

/// A table with a list of pairs.
struct Paired<'m> {
    source: Source<'m>,
    list: String,
    element: String,
    one: String,
    many: String,
    key: &'m str,
    keys: &'m [Value],
    values: &'m [(String, DataType)],
}

fn paired<'m>(context: Context<'m>, dice: &mut Dice) -> Option<Paired<'m>> {
    let of = |array: &&Array| matches!(array.elements, Elements::Pairs { .. });
    let table = (0..12)
        .map(|_| table(context, dice))
        .find(|t| t.is_some_and(|t| t.arrays.iter().any(|a| of(&a))))??;
    let arrays: Vec<&Array> = table.arrays.iter().filter(of).collect();
    let array = *dice.pick(&arrays)?;
    let Elements::Pairs { key, keys, values } = &array.elements else {
        return None;
    };
    Some(Paired {
        list: array.path.join("."),
        element: alias(&array.noun.one, &array.taken(table)),
        one: array.noun.one.clone(),
        many: array.noun.many.clone(),
        source: Source::table(table),
        key,
        keys,
        values,
    })
}

impl Paired<'_> {
    fn a_key(&self, numeric: bool, dice: &mut Dice) -> Option<Value> {
        if !self.keys.is_empty() && !numeric {
            return dice.pick(self.keys).cloned();
        }
        let list = if numeric { NUMBERS } else { KEYS };
        dice.pick(list).map(|key| Value::string(key))
    }

    fn text_value(&self) -> Option<&str> {
        self.values
            .iter()
            .find(|(_, of)| *of == DataType::String)
            .map(|(path, _)| path.as_str())
    }

    /// The value of a key, as an expression of the row.
    fn value_of(&self, key: &Value, value: &str) -> String {
        format!(
            "(SELECT {0}.{value} FROM UNNEST({1}) AS {0} WHERE {0}.{2} = {3})",
            self.element, self.list, self.key, key.sql
        )
    }

    fn conditions(&self, most: usize, dice: &mut Dice) -> Vec<Condition> {
        let mut found = conditions::some(&self.source, dice, most);
        found.retain(|c| c.about != self.list);
        conditions::complete(&self.source, dice, &mut found);
        found
    }

    /// "label 'team'", "value of the attribute 'plan'"
    fn said(&self, key: &Value, dice: &mut Dice) -> String {
        match dice.below(3) {
            0 => format!("{} '{}'", self.one, key.said),
            1 => format!("value of the {} '{}'", self.one, key.said),
            _ => format!("{} \"{}\"", self.one, key.said),
        }
    }
}

/// Rows with the value of a key.
pub(super) fn value(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let paired = paired(context, dice)?;
    let names: Vec<String> = paired.source.names().iter().map(|f| f.sql.clone()).collect();
    if names.is_empty() {
        return None;
    }
    let key = paired.a_key(false, dice)?;
    let value = paired.text_value()?;
    let conditions = paired.conditions(1, dice);
    let rows = subject(&paired.source, &conditions, dice);
    let mut columns = names;
    columns.push(format!(
        "{} AS {}",
        paired.value_of(&key, value),
        paired.source.free_name(&snake(&key.said))
    ));
    let said = paired.said(&key, dice);
    let style = style(dice);
    let text = match style {
        Style::Terse => format!("{rows} with their {said}"),
        Style::Sentence => format!("What is the {said} of each of the {rows}").replace(
            &format!("each of the {}", paired.source.subject.many),
            &format!("each {}", paired.source.subject.one),
        ),
        Style::Order => format!("{} {rows} with the {said}", dice.word(&["List", "Show"])),
    };
    Some(Draft::select(
        finished(style, &text, dice),
        &select(&columns)?,
        &paired.source,
        &conditions,
        "",
    ))
}

/// A figure of rows by the value of a key.
pub(super) fn group(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let paired = paired(context, dice)?;
    let key = paired.a_key(false, dice)?;
    let value = paired.text_value()?;
    let metric = metrics::draw(&paired.source, dice);
    let conditions = paired.conditions(1, dice);
    let rows = subject(&paired.source, &conditions, dice);
    let name = paired.source.free_name(&snake(&key.said));
    let what = metric.short(&rows, conditions.is_empty(), dice);
    let said = paired.said(&key, dice);
    let style = style(dice);
    let text = match style {
        Style::Terse => format!("{what} by {said}"),
        Style::Sentence => format!("What is the {what} for each {said}"),
        Style::Order => format!(
            "{} the {what} by {said}",
            dice.word(&["Show", "Break down", "Give"])
        ),
    };
    let sql = if dice.chance(0.5) {
        format!(
            "SELECT {} AS {name}, {} AS {} FROM {}{} GROUP BY {name}",
            paired.value_of(&key, value),
            metric.sql,
            metric.alias,
            paired.source.from,
            where_clause(&conditions)
        )
    } else {
        // Rows without the key are not among the groups then, as a question for its values means it.
        let on_key = format!("{}.{} = {}", paired.element, paired.key, key.sql);
        let filter = where_clause(&conditions);
        let filter = if filter.is_empty() {
            format!(" WHERE {on_key}")
        } else {
            format!("{filter} AND {on_key}")
        };
        format!(
            "SELECT {0}.{value} AS {name}, {1} AS {2} FROM {3}, UNNEST({4}) AS {0}{filter} GROUP BY {name}",
            paired.element, metric.sql, metric.alias, paired.source.from, paired.list
        )
    };
    Some(Draft {
        question: finished(style, &text, dice),
        sql,
    })
}

/// Which keys there are, and how often.
pub(super) fn keys(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let paired = paired(context, dice)?;
    let conditions = paired.conditions(2, dice);
    let rows = subject(&paired.source, &conditions, dice);
    let (element, key, many) = (&paired.element, paired.key, &paired.many);
    let from = format!(
        "{}, UNNEST({}) AS {element}{}",
        paired.source.from,
        paired.list,
        where_clause(&conditions)
    );
    let name = paired.source.free_name(&paired.source.subject.many);
    let style = style(dice);
    let (text, sql) = if dice.chance(0.5) {
        let text = match style {
            Style::Terse => format!("different {many} of {rows}, names only"),
            Style::Sentence => format!("Which names of {many} occur in {rows}"),
            Style::Order => format!("List the different names of {many} in {rows}"),
        };
        (text, format!("SELECT DISTINCT {element}.{key} FROM {from}"))
    } else {
        let text = match style {
            Style::Terse => format!("how often each {} name occurs in {rows}", paired.one),
            Style::Sentence => format!("How often does each {} name occur in {rows}", paired.one),
            Style::Order => format!(
                "Count for every {} name how often it occurs in {rows}",
                paired.one
            ),
        };
        (
            text,
            format!("SELECT {element}.{key}, COUNT(*) AS {name} FROM {from} GROUP BY {element}.{key}"),
        )
    };
    Some(Draft {
        question: finished(style, &text, dice),
        sql,
    })
}

/// A figure of the values of a key.
pub(super) fn figure(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let paired = paired(context, dice)?;
    let number = paired
        .values
        .iter()
        .find(|(_, of)| matches!(of, DataType::Int64 | DataType::Float64 | DataType::Numeric));
    let conditions = paired.conditions(2, dice);
    let rows = subject(&paired.source, &conditions, dice);
    let filter = where_clause(&conditions);
    let style = style(dice);
    let (key, expression, what) = match number {
        Some((value, _)) => {
            let key = paired.a_key(true, dice)?;
            let (function, word) = *dice.pick(&[("AVG", "average"), ("SUM", "total"), ("MAX", "highest")])?;
            (
                key.clone(),
                format!("{function}({}.{value})", paired.element),
                format!("{word} value of the {} '{}' of {rows}", paired.one, key.said),
            )
        }
        None => {
            let key = paired.a_key(false, dice)?;
            let value = paired.text_value()?;
            (
                key.clone(),
                format!("COUNT(DISTINCT {}.{value})", paired.element),
                format!(
                    "number of different values of the {} '{}' of {rows}",
                    paired.one, key.said
                ),
            )
        }
    };
    let on_key = format!("{}.{} = {}", paired.element, paired.key, quoted(&key.said));
    let filter = if filter.is_empty() {
        format!(" WHERE {on_key}")
    } else {
        format!("{filter} AND {on_key}")
    };
    Some(Draft {
        question: shown(style, &what, dice),
        sql: format!(
            "SELECT {expression} FROM {}, UNNEST({}) AS {}{filter}",
            paired.source.from, paired.list, paired.element
        ),
    })
}
