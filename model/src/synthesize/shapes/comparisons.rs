//! Rows whose columns are compared with each other or with the whole, the first of an order without a name, pairs of
//! groups.

use super::super::columns::Attribute;
use super::super::conditions::{self, with_its_article};
use super::super::dice::Dice;
use super::super::dimensions;
use super::super::metrics;
use super::super::phrases::{Style, few, finished, style, subject, where_clause};
use super::super::source::Field;
use super::super::words;
use super::groups::conditions_beside;
use super::rows::subject_one;
use super::{Context, Draft, Reach, select, shown_as, source, tie};

/// The last word of a noun before "of", "in" and the like.
fn kind(noun: &str) -> &str {
    let head = [" of ", " in ", " at ", " for ", " with ", " to ", " from "]
        .iter()
        .fold(noun, |noun, end| noun.split(end).next().unwrap_or(noun));
    head.rsplit(' ').next().unwrap_or(head)
}

/// Whether one is a part of the other, as ringed birds are of birds.
pub(super) fn is_part_of(a: &Attribute, b: &Attribute) -> bool {
    let within = |a: &str, b: &str| a.starts_with(b) || a.ends_with(b);
    within(&a.noun, &b.noun) || within(&b.noun, &a.noun)
}

/// How many rows have more of one thing than of another.
pub(super) fn more_than(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let source = source(context, Reach::Joined, dice)?;
    let fields = source.own(|a| a.measure().is_some_and(|m| !m.aggregated));
    let mut pairs: Vec<(&Field<'_>, &Field<'_>)> = Vec::new();
    for a in &fields {
        for b in &fields {
            let (one, other) = (a.attribute.measure()?, b.attribute.measure()?);
            let alike = a.attribute.unit == b.attribute.unit && one.counted == other.counted;
            let same = kind(&a.attribute.noun) == kind(&b.attribute.noun);
            if a.sql != b.sql && alike && same && !is_part_of(a.attribute, b.attribute) {
                pairs.push((a, b));
            }
        }
    }
    let (a, b) = *dice.pick(&pairs)?;
    let dimension = if dice.chance(0.3) {
        dimensions::by_value(&source, dice)
    } else {
        None
    };
    let dimension = dimension.filter(|d| d.about != a.sql && d.about != b.sql && !d.noun.ends_with(" flag"));
    let mut conditions = conditions::some(&source, dice, 1);
    conditions.retain(|c| {
        c.about != a.sql && c.about != b.sql && dimension.as_ref().is_none_or(|d| d.about != c.about)
    });
    conditions::complete(&source, dice, &mut conditions);
    let rows = subject(&source, &conditions, dice);
    let mut all = conditions.clone();
    all.push(conditions::Condition {
        sql: format!("{} > {}", a.sql, b.sql),
        ..conditions::Condition::default()
    });
    let (one, other) = (&a.attribute.noun, &b.attribute.noun);
    let have = if a.attribute.measure()?.counted {
        format!("more {one} than {other}")
    } else {
        format!(
            "{} {} than {other}",
            if one.starts_with("higher") { "" } else { "a higher" },
            one
        )
        .trim()
        .to_owned()
    };
    let metric = metrics::count(&source);
    let style = style(dice);
    let by = dimension
        .as_ref()
        .map_or_else(String::new, |d| format!(" per {}", d.noun));
    let text = match style {
        Style::Terse => format!("number of {rows} with {have}{by}"),
        Style::Sentence if by.is_empty() => format!("How many {rows} have {have}"),
        Style::Sentence => format!("How many {rows} have {have},{by}"),
        Style::Order => format!("Count the {rows} with {have}{by}"),
    };
    let question = finished(style, &text, dice);
    Some(match &dimension {
        Some(d) => Draft::group(
            question,
            d,
            &format!("COUNT(*) AS {}", metric.alias),
            &source,
            &all,
            &d.order(),
        ),
        None => Draft::select(question, "COUNT(*)", &source, &all, ""),
    })
}

/// Rows above the average of all, counted in groups.
pub(super) fn above_average_by(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let source = source(context, Reach::Tables, dice)?;
    if source.table.filter_required || source.table.sharded || !source.table.countable {
        return None;
    }
    let fields = source.own(|a| a.measure().is_some());
    let field = *dice.pick(&fields)?;
    let dimension = dimensions::by_value(&source, dice)
        .filter(|d| d.about != field.sql && !d.noun.ends_with(" flag") && !d.group.contains(", "))?;
    let above = dice.chance(0.75);
    let (sql, noun, rows) = (
        &field.sql,
        with_its_article(&field.attribute.noun),
        &source.subject.many,
    );
    let counted = field.attribute.measure().is_some_and(|m| m.counted);
    let with = match (counted, above) {
        (true, true) => format!("more {} than average", field.attribute.noun),
        (true, false) => format!("fewer {} than average", field.attribute.noun),
        (false, true) => format!(
            "{noun} {} the overall average",
            dice.word(&["above", "higher than"])
        ),
        (false, false) => format!(
            "{noun} {} the overall average",
            dice.word(&["below", "lower than"])
        ),
    };
    let by = &dimension.noun;
    let style = style(dice);
    let text = match style {
        Style::Terse => format!("number of {rows} with {with} per {by}"),
        Style::Sentence if dice.chance(0.4) => {
            format!("{} with {with}: how many per {by}?", words::capitalised(rows))
        }
        Style::Sentence => format!("How many {rows} per {by} have {with}"),
        Style::Order => format!("Count the {rows} with {with} for each {by}"),
    };
    let metric = metrics::count(&source);
    Some(Draft {
        question: finished(style, text.trim_end_matches('?'), dice),
        sql: format!(
            "SELECT {}, COUNT(*) AS {} FROM {from} WHERE {sql} {} (SELECT AVG({sql}) FROM {from}) GROUP BY {}",
            dimension.select,
            metric.alias,
            if above { ">" } else { "<" },
            dimension.group,
            from = source.from,
        ),
    })
}

/// The rows with the highest number, told by some of their columns: rows of a sample have no names.
pub(super) fn top_told(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let source = source(context, Reach::Tables, dice)?;
    let measures = source.own(|a| a.measure().is_some());
    let by = *dice.pick(&measures)?;
    let mut conditions = conditions::some(&source, dice, 1);
    conditions.retain(|c| c.about != by.sql);
    conditions::complete(&source, dice, &mut conditions);
    let most = dice.chance(0.85) || by.attribute.may_lack();
    let order = |more: &str| format!(" ORDER BY {}{}{more}", by.sql, if most { " DESC" } else { "" });
    let noun = &by.attribute.noun;
    let counted = by.attribute.measure().is_some_and(|m| m.counted);
    let rows = subject(&source, &conditions, dice);
    let style = style(dice);
    if dice.chance(0.3) {
        let count = *dice.pick(&[3, 5, 10, 10, 20])?;
        let of = if counted { "numbers of " } else { "" };
        let noun = if counted {
            noun.clone()
        } else {
            words::plural(noun)
        };
        let number = few(count, dice);
        let which = if most {
            dice.word(&["highest", "largest"])
        } else {
            dice.word(&["lowest", "smallest"])
        };
        let what = format!("{number} {which} {of}{noun}");
        let among = if conditions.is_empty() && dice.chance(0.7) {
            String::new()
        } else {
            format!(" of {rows}")
        };
        let text = match style {
            Style::Terse => format!("{what}{among}"),
            Style::Sentence => format!("What are the {what}{among}"),
            Style::Order => format!("{} the {what}{among}", dice.word(&["List", "Show", "Give"])),
        };
        let sql = format!(
            "SELECT {} FROM {}{}{} LIMIT {count}",
            by.sql,
            source.from,
            where_clause(&conditions),
            order("")
        );
        return Some(Draft {
            question: finished(style, &text, dice),
            sql,
        });
    }
    let others = source.own(|a| super::is_told(a) && a.noun != *noun);
    let more: Vec<&Field<'_>> = dice
        .shuffled(others)
        .into_iter()
        .take(1 + dice.below(2))
        .collect();
    if more.is_empty() || conditions.iter().any(|c| more.iter().any(|f| f.sql == c.about)) {
        return None;
    }
    let mut shown = source.names();
    shown.retain(|f| f.sql != by.sql && more.iter().all(|m| m.sql != f.sql));
    shown.push(by);
    shown.extend(more.iter().copied());
    let count = *dice.pick(&[1, 1, 1, 3, 5, 10])?;
    let listed: Vec<String> = shown.iter().map(|f| said(f)).collect();
    let listed = words::list(&listed, "and");
    let which = match (counted, most) {
        (true, true) => format!("the most {noun}"),
        (true, false) => format!("the fewest {noun}"),
        (false, true) => format!("the {} {noun}", dice.word(&["highest", "largest"])),
        (false, false) => format!("the {} {noun}", dice.word(&["lowest", "smallest"])),
    };
    let one = subject_one(&source, &rows);
    let number = few(count, dice);
    let text = match (style, count) {
        (Style::Terse, 1) => format!("{one} with {which}: {listed}"),
        (Style::Terse, _) => format!("{number} {rows} with {which}: {listed}"),
        (Style::Sentence, 1) => format!("Which {one} has {which}? Show {listed}"),
        (Style::Sentence, _) => format!("Which {number} {rows} have {which}? Show {listed}"),
        (Style::Order, 1) => format!("Show {listed} of the {one} with {which}"),
        (Style::Order, _) => format!("Show {listed} of the {number} {rows} with {which}"),
    };
    // The next column settles ties.
    let columns: Vec<String> = shown.iter().map(|f| shown_as(&source, f)).collect();
    let next = shown.iter().find(|f| f.sql != by.sql)?.sql.clone();
    Some(Draft {
        question: finished(style, &text, dice),
        sql: format!(
            "SELECT {} FROM {}{}{} LIMIT {count}",
            select(&columns)?,
            source.from,
            where_clause(&conditions),
            order(&tie(&by.sql, &next))
        ),
    })
}

/// What a column of one row is called.
fn said(field: &Field<'_>) -> String {
    let noun = &field.attribute.noun;
    if field.attribute.measure().is_some_and(|m| m.counted) {
        format!("number of {noun}")
    } else {
        noun.clone()
    }
}

/// The highest numbers of each group, with their ranks.
pub(super) fn ranked_of_each(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let source = source(context, Reach::Tables, dice)?;
    let measures = source.own(|a| a.measure().is_some());
    let by = *dice.pick(&measures)?;
    let dimension = dimensions::by_value(&source, dice)
        .filter(|d| d.about != by.sql && !d.noun.ends_with(" flag") && !d.group.contains(", "))?;
    let mut names = source.names();
    names.retain(|n| n.sql != dimension.about && n.sql != by.sql);
    // Rows of a sample have no names; days of one thing are told by nothing else.
    if names.is_empty() && source.table_time().is_some() {
        return None;
    }
    let conditions = conditions_beside(&source, &dimension, Some(&by.sql), 1, dice);
    let count = *dice.pick(&[2, 3, 3, 5])?;
    let mut columns = vec![dimension.select.clone()];
    columns.extend(names.iter().map(|f| f.sql.clone()));
    columns.push(by.sql.clone());
    let alias = source.free_name("position");
    let tied = names
        .first()
        .map_or_else(String::new, |name| tie(&by.sql, &name.sql));
    let rows = subject(&source, &conditions, dice);
    let noun = &by.attribute.noun;
    let counted = by.attribute.measure().is_some_and(|m| m.counted);
    let which = if counted {
        format!("the most {noun}")
    } else {
        format!("the highest {noun}")
    };
    let number = few(count, dice);
    let each = &dimension.noun;
    let rank = dice.word(&["with their rank", "with the rank", "numbered by rank"]);
    let style = style(dice);
    let text = match style {
        Style::Terse => format!("the {number} {rows} with {which} of each {each}, {rank}"),
        Style::Sentence => {
            format!("Which {number} {rows} have {which} in each {each}? Show the {noun} and the rank")
        }
        Style::Order => {
            format!("List the {number} {rows} with {which} for each {each}, with the {noun} and their rank")
        }
    };
    let star = where_clause(&conditions);
    Some(Draft {
        question: finished(style, &text, dice),
        sql: format!(
            "SELECT {}, ROW_NUMBER() OVER (PARTITION BY {} ORDER BY {} DESC{tied}) AS {alias} FROM {}{star} QUALIFY {alias} <= {count} ORDER BY {}, {alias}",
            select(&columns)?,
            dimension.expression,
            by.sql,
            source.from,
            dimension.name,
        ),
    })
}

/// Pairs of groups with more than so many rows.
pub(super) fn pairs(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let source = source(context, Reach::Joined, dice)?;
    if !source.table.countable {
        return None;
    }
    let (first, second) = (
        dimensions::by_value(&source, dice)?,
        dimensions::by_value(&source, dice)?,
    );
    let flag = |d: &dimensions::Dimension| d.noun.ends_with(" flag");
    if first.about == second.about || first.noun == second.noun || flag(&first) || flag(&second) {
        return None;
    }
    let mut conditions = conditions_beside(&source, &first, None, 1, dice);
    conditions.retain(|c| c.about != second.about);
    conditions::complete(&source, dice, &mut conditions);
    let limit = *dice.pick(&[2, 3, 5, 10, 20, 50, 100, 200])?;
    let rows = subject(&source, &conditions, dice);
    let (one, other) = (&first.noun, &second.noun);
    let show = dice.chance(0.8);
    let metric = metrics::count(&source);
    let style = style(dice);
    let too = if show { ", with the number" } else { "" };
    let text = match style {
        Style::Terse => format!("combinations of {one} and {other} with more than {limit} {rows}{too}"),
        Style::Sentence => format!(
            "Which combinations of {one} and {other} have more than {limit} {rows}{}",
            if show { "? Show the number too" } else { "" }
        ),
        Style::Order => format!("List {one} and {other} where there are more than {limit} {rows}{too}"),
    };
    let mut columns = vec![first.select.clone(), second.select.clone()];
    if show {
        columns.push(format!("COUNT(*) AS {}", metric.alias));
    }
    Some(Draft::select(
        finished(style, &text, dice),
        &select(&columns)?,
        &source,
        &conditions,
        &format!(
            " GROUP BY {}, {} HAVING COUNT(*) > {limit}",
            first.group, second.group
        ),
    ))
}
