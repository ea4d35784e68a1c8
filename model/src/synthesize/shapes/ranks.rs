//! The best, latest and commonest of each group; ranks.

use super::super::columns::Role;
use super::super::conditions::{self, Condition};
use super::super::dice::Dice;
use super::super::dimensions;
use super::super::metrics::{self, Kind};
use super::super::phrases::{Style, few, finished, style, subject, where_clause};
use super::super::words;
use super::rows::subject_one;
use super::{Context, Draft, Reach, select, source, tie};

/// The rows with the highest number of each group.
pub(super) fn best_of_each(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let source = source(context, Reach::All, dice)?;
    let names = source.names();
    let measures = source.own(|a| a.measure().is_some());
    let by = *dice.pick(&measures)?;
    let dimension = dimensions::by_value(&source, dice)?;
    if names.is_empty()
        || dimension.about == by.sql
        || dimension.noun.ends_with(" flag")
        || names.iter().any(|n| n.sql == dimension.about)
    {
        return None;
    }
    let mut conditions = conditions::some(&source, dice, 1);
    let named = |c: &Condition| names.iter().any(|n| n.sql == c.about);
    conditions.retain(|c| c.about != by.sql && c.about != dimension.about && !named(c));
    conditions::complete(&source, dice, &mut conditions);
    let most = dice.chance(0.8) || by.attribute.may_lack();
    let count = *dice.pick(&[1, 1, 1, 2, 3, 3, 5])?;
    let shows = dice.chance(0.7);
    let mut columns = vec![dimension.select.clone()];
    columns.extend(names.iter().map(|f| f.sql.clone()));
    if shows {
        columns.push(by.sql.clone());
    }
    // What is grouped by key and name is told apart by its key.
    let partition = dimension.group.split(", ").next().unwrap_or_default();
    let partition = if dimension.group.contains(", ") {
        partition
    } else {
        &dimension.expression
    };
    let sql = format!(
        "SELECT {} FROM {}{} QUALIFY ROW_NUMBER() OVER (PARTITION BY {partition} ORDER BY {}{}{}) {}",
        select(&columns)?,
        source.from,
        where_clause(&conditions),
        by.sql,
        if most { " DESC" } else { "" },
        tie(&by.sql, &names[0].sql),
        if count == 1 {
            "= 1".to_owned()
        } else {
            format!("<= {count}")
        }
    );
    let rows = subject(&source, &conditions, dice);
    let counted = by.attribute.measure().is_some_and(|m| m.counted);
    let noun = &by.attribute.noun;
    let what = match (counted, most) {
        (true, true) => format!("the most {noun}"),
        (true, false) => format!("the fewest {noun}"),
        (false, true) => format!("the {} {noun}", dice.word(&["highest", "highest", "largest"])),
        (false, false) => format!("the lowest {noun}"),
    };
    let by_noun = &dimension.noun;
    let style = style(dice);
    let listed: Vec<String> = std::iter::once(dimension.noun.clone())
        .chain(names.iter().map(|f| f.attribute.noun.clone()))
        .chain([noun.clone()])
        .collect();
    let with = match dice.below(3) {
        _ if !shows => String::new(),
        0 => format!(
            ": {}",
            words::list(&listed, dice.word(&["and", ","])).replace(" , ", ", ")
        ),
        _ => format!(", with the {noun}"),
    };
    let one = subject_one(&source, &rows);
    let text = match (style, count) {
        (Style::Terse, 1) => format!(
            "{one} with {what} {} {by_noun}{with}",
            dice.word(&["per", "of every", "of each", "for each"])
        ),
        (Style::Terse, _) if most => format!("top {count} {rows} by {noun} for each {by_noun}"),
        (Style::Terse, _) => format!("the {count} {rows} with {what} for each {by_noun}"),
        (Style::Sentence, 1) => format!(
            "For each {by_noun}, which {one} has {what}{}",
            match dice.below(3) {
                _ if !shows => String::new(),
                0 => format!("? Give {}", words::list(&listed, "and")),
                _ => format!("? Give the {noun} too"),
            }
        ),
        (Style::Sentence, _) => format!(
            "Which {} {rows} have {what} for each {by_noun}{}",
            few(count, dice),
            if shows {
                format!("? Show the {noun} too")
            } else {
                String::new()
            }
        ),
        (Style::Order, 1) => format!(
            "{} the {one} with {what} for each {by_noun}{with}",
            dice.word(&["Show", "Find", "Give"])
        ),
        (Style::Order, _) => format!(
            "{} the {} {rows} with {what} for each {by_noun}{with}",
            dice.word(&["Show", "List"]),
            few(count, dice)
        ),
    };
    Some(Draft {
        question: finished(style, &text, dice),
        sql,
    })
}

/// The latest row of each thing.
pub(super) fn latest_of_each(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let source = source(context, Reach::Tables, dice)?;
    let time = source.table_time().filter(|_| source.table.dated)?;
    let own_key = source.key().map(|k| k.sql.clone());
    let keys = source.own(|a| a.role == Role::Key && a.path.len() == 1 && a.noun != "ID");
    let keys: Vec<_> = keys
        .into_iter()
        .filter(|k| Some(&k.sql) != own_key.as_ref())
        .collect();
    let key = *dice.pick(&keys)?;
    let thing = metrics::thing(&key.attribute.noun);
    let others = source
        .own(|a| matches!(a.role, Role::Category | Role::Measure(_) | Role::Label) && a.path.len() == 1);
    let shown = *dice.pick(&others)?;
    let mut conditions = conditions::some(&source, dice, 1);
    conditions.retain(|c| !c.is_time && c.about != shown.sql && c.about != key.sql);
    conditions::complete(&source, dice, &mut conditions);
    let newest = dice.chance(0.8);
    let columns = [key.sql.clone(), time.sql.clone(), shown.sql.clone()];
    let desc = if newest { " DESC" } else { "" };
    let (star, and) = if dice.chance(0.25) {
        ("*".to_owned(), ", all columns".to_owned())
    } else {
        (
            select(&columns)?,
            format!(
                ": {}, {} and {}",
                key.attribute.noun, time.attribute.noun, shown.attribute.noun
            ),
        )
    };
    let rows = subject(&source, &conditions, dice);
    let one = subject_one(&source, &rows);
    let word = if newest {
        dice.word(&["latest", "most recent", "last"])
    } else {
        dice.word(&["first", "earliest"])
    };
    let style = style(dice);
    let text = match style {
        Style::Terse => format!("{word} {one} per {thing}{and}"),
        Style::Sentence => format!(
            "What is the {word} {one} of each {thing}? Give {}",
            if star == "*" {
                "all columns".to_owned()
            } else {
                and.trim_start_matches(": ").to_owned()
            }
        ),
        Style::Order => format!(
            "{} the {word} {one} of every {thing}{and}",
            dice.word(&["Show", "Get", "List"])
        ),
    };
    let window = format!(
        "ROW_NUMBER() OVER (PARTITION BY {} ORDER BY {}{desc}) = 1",
        key.sql, time.sql
    );
    Some(Draft::select(
        finished(style, &text, dice),
        &star,
        &source,
        &conditions,
        &format!(" QUALIFY {window}"),
    ))
}

/// The value that comes most often in each group.
pub(super) fn commonest_of_each(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let source = source(context, Reach::All, dice)?;
    let first = dimensions::by_value(&source, dice)?;
    let second = dimensions::by_value(&source, dice)?;
    // "The hall of the performance with the most orders" would be one performance's.
    let refused = |d: &dimensions::Dimension| {
        d.noun.ends_with(" flag") || d.noun.contains(" of the ") || d.group.contains(", ")
    };
    // What elements are in is no property of theirs: its commonest value would be that of the longest lists.
    let own = source
        .fields
        .iter()
        .any(|f| f.sql == second.about && f.owner.is_none());
    if source.unnested && !own {
        return None;
    }
    if first.about == second.about || first.noun == second.noun || refused(&first) || refused(&second) {
        return None;
    }
    let mut conditions = conditions::some(&source, dice, 1);
    conditions.retain(|c| c.about != first.about && c.about != second.about);
    conditions::complete(&source, dice, &mut conditions);
    let metric = if dice.chance(0.7) {
        metrics::count(&source)
    } else {
        metrics::sum(&source, dice)?
    };
    let rows = subject(&source, &conditions, dice);
    let (each, value) = (&first.noun, &second.noun);
    let show = dice.chance(0.4);
    let style = style(dice);
    let text = match (metric.kind, style) {
        (Kind::Count, Style::Terse) => match dice.below(3) {
            0 => format!("most frequent {value} of {rows} per {each}"),
            1 => format!(
                "the most common {value} {} {each} among {rows}",
                dice.word(&["of every", "of each", "per"])
            ),
            _ => format!(
                "{value} with the most {rows} {} {each}",
                dice.word(&["of every", "of each", "per", "for each"])
            ),
        },
        (Kind::Count, Style::Sentence) => format!(
            "What is the most {} {value} of {rows} in each {each}",
            dice.word(&["common", "frequent"])
        ),
        (Kind::Count, Style::Order) => format!(
            "For every {each}, {} the {value} with the most {rows}",
            dice.word(&["show", "find", "give"])
        ),
        (_, Style::Terse) => format!(
            "{value} with the highest {} per {each}",
            metric.short(&rows, conditions.is_empty(), dice)
        ),
        (_, Style::Sentence) => format!(
            "Which {value} has the highest {} in each {each}",
            metric.short(&rows, conditions.is_empty(), dice)
        ),
        (_, Style::Order) => format!(
            "For every {each}, find the {value} with the highest {}",
            metric.short(&rows, conditions.is_empty(), dice)
        ),
    };
    let text = if show {
        format!(
            "{text}{}",
            if style == Style::Sentence {
                "? Give the figure too"
            } else {
                ", with the figure"
            }
        )
    } else {
        text
    };
    let mut columns = vec![first.select.clone(), second.select.clone()];
    if show {
        columns.push(format!("{} AS {}", metric.sql, metric.alias));
    }
    Some(Draft::select(
        finished(style, &text, dice),
        &select(&columns)?,
        &source,
        &conditions,
        &format!(
            " GROUP BY {}, {} QUALIFY ROW_NUMBER() OVER (PARTITION BY {} ORDER BY {} DESC, {}) = 1",
            first.group, second.group, first.name, metric.sql, second.name
        ),
    ))
}

/// Rows or groups with their rank.
pub(super) fn ranked(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let source = source(context, Reach::Joined, dice)?;
    let style = style(dice);
    let function = dice.word(&["RANK", "RANK", "DENSE_RANK"]);
    let alias = source.free_name("rank");
    let dense = if function == "DENSE_RANK" {
        ", without gaps in the ranks"
    } else {
        ""
    };
    if dice.chance(0.5) {
        let dimension = dimensions::by_value(&source, dice)?;
        let metric = metrics::draw(&source, dice);
        if dimension.noun.ends_with(" flag")
            || metric.argument.as_ref() == Some(&dimension.about)
            || matches!(metric.kind, Kind::Different | Kind::Least)
        {
            return None;
        }
        let mut conditions = conditions::some(&source, dice, 1);
        conditions.retain(|c| c.about != dimension.about && Some(&c.about) != metric.argument.as_ref());
        conditions::complete(&source, dice, &mut conditions);
        let rows = subject(&source, &conditions, dice);
        let what = metric.short(&rows, conditions.is_empty(), dice);
        let many = dimension.many();
        let text = match style {
            Style::Terse => format!("rank of {many} by {what}{dense}"),
            Style::Sentence => format!("How do {many} rank by {what}{dense}"),
            Style::Order => format!("Rank {many} by {what}, highest first{dense}"),
        };
        return Some(Draft::group(
            finished(style, &text, dice),
            &dimension,
            &format!(
                "{} AS {}, {function}() OVER (ORDER BY {} DESC) AS {alias}",
                metric.sql, metric.alias, metric.sql
            ),
            &source,
            &conditions,
            "",
        ));
    }
    let names = source.names();
    let measures = source.own(|a| a.measure().is_some());
    let by = *dice.pick(&measures)?;
    let groups = source.own(|a| a.role == Role::Category && !a.values.is_empty());
    let group = *dice.pick(&groups)?;
    if names.is_empty() || source.unnested {
        return None;
    }
    let mut conditions = conditions::some(&source, dice, 1);
    conditions.retain(|c| c.about != by.sql && c.about != group.sql);
    conditions::complete(&source, dice, &mut conditions);
    let rows = subject(&source, &conditions, dice);
    let mut columns: Vec<String> = names.iter().map(|f| f.sql.clone()).collect();
    columns.extend([group.sql.clone(), by.sql.clone()]);
    let (noun, each) = (&by.attribute.noun, &group.attribute.noun);
    let text = match style {
        Style::Terse => format!("rank of {rows} by {noun} within each {each}{dense}"),
        Style::Sentence => format!("What rank do {rows} have by {noun} within their {each}{dense}"),
        Style::Order => format!("Rank {rows} by {noun} within each {each}, highest first{dense}"),
    };
    let window = format!(
        "{function}() OVER (PARTITION BY {} ORDER BY {} DESC)",
        group.sql, by.sql
    );
    Some(Draft::select(
        finished(style, &text, dice),
        &format!("{}, {window} AS {alias}", select(&columns)?),
        &source,
        &conditions,
        "",
    ))
}
