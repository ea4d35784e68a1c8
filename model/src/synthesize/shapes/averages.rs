//! Rows compared with an average, of all or of their group.

use super::super::columns::Role;
use super::super::conditions::{self, with_its_article};
use super::super::dice::Dice;
use super::super::phrases::{Style, finished, style, subject, where_clause, who};
use super::super::words;
use super::{Context, Draft, Reach, select, source};

/// Rows whose number is above the average of all.
pub(super) fn above_average(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let source = source(context, Reach::Tables, dice)?;
    let measures = source.own(|a| a.measure().is_some());
    let by = *dice.pick(&measures)?;
    let names = source.names();
    if names.is_empty() || source.table.filter_required || source.table.sharded {
        return None;
    }
    let above = dice.chance(0.7);
    let columns: Vec<String> = names
        .iter()
        .map(|f| f.sql.clone())
        .chain([by.sql.clone()])
        .collect();
    let sign = if above { ">" } else { "<" };
    let (from, sql) = (&source.from, &by.sql);
    // "Vehicles higher than average" would be tall ones.
    let counted = by.attribute.measure().is_some_and(|m| m.counted);
    let noun = if counted {
        format!("number of {}", by.attribute.noun)
    } else {
        by.attribute.noun.clone()
    };
    let (rows, noun) = (&source.subject.many, &noun);
    let word = if above {
        dice.word(&["above", "higher than"])
    } else {
        dice.word(&["below", "lower than"])
    };
    let style = style(dice);
    let counts = dice.chance(0.3);
    let that = who(&source);
    let said = if counted {
        words::with_article(noun)
    } else {
        with_its_article(noun)
    };
    let text = match (style, counts) {
        (Style::Terse, true) => format!("number of {rows} with {said} {word} the average"),
        (_, true) => format!("How many {rows} have {said} {word} average"),
        (Style::Terse, false) => format!("{rows} with {said} {word} average, with the {noun}"),
        (Style::Sentence, false) => {
            format!("Which {rows} have {said} {word} the average of all {rows}? Show the {noun} too")
        }
        (Style::Order, false) => {
            format!("List the {rows} {that} have {said} {word} the overall average, and their {noun}")
        }
    };
    let what = if counts {
        "COUNT(*)".to_owned()
    } else {
        select(&columns)?
    };
    Some(Draft {
        question: finished(style, &text, dice),
        sql: format!("SELECT {what} FROM {from} WHERE {sql} {sign} (SELECT AVG({sql}) FROM {from})"),
    })
}

/// Rows whose number is above the average of their group.
pub(super) fn above_group(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let source = source(context, Reach::Joined, dice)?;
    let names = source.names();
    let measures = source.own(|a| a.measure().is_some());
    let by = *dice.pick(&measures)?;
    // Where every row has a value of its own, none is above its average.
    let kinds = [
        "city",
        "country",
        "department",
        "category",
        "type",
        "kind",
        "genre",
        "section",
        "team",
        "region",
        "branch",
    ];
    let groups = source.own(|a| {
        let last = a.noun.rsplit(' ').next().unwrap_or_default();
        a.role == Role::Category && (!a.values.is_empty() || kinds.contains(&last))
    });
    let group = *dice.pick(&groups)?;
    if names.is_empty() || names.iter().any(|n| n.sql == group.sql) {
        return None;
    }
    // With a condition nobody could tell whether the average is of all or of those that fulfil it.
    let mut conditions = Vec::new();
    conditions::complete(&source, dice, &mut conditions);
    let rows = subject(&source, &conditions, dice);
    let (sign, word) = if dice.chance(0.75) {
        (">", dice.word(&["above", "higher than"]))
    } else {
        ("<", dice.word(&["below", "lower than"]))
    };
    let (noun, each) = (with_its_article(&by.attribute.noun), &group.attribute.noun);
    let mut columns: Vec<String> = names.iter().map(|f| f.sql.clone()).collect();
    columns.extend([group.sql.clone(), by.sql.clone()]);
    let shown = format!("{each} and {}", by.attribute.noun);
    let style = style(dice);
    let text = match style {
        Style::Terse => format!("{rows} with {noun} {word} the average of their {each}, with {shown}"),
        Style::Sentence => {
            format!("Which {rows} have {noun} {word} the average of their {each}? Show {shown} too")
        }
        Style::Order => {
            format!("List the {rows} with {noun} {word} the average of the same {each}, with {shown}")
        }
    };
    Some(Draft {
        question: finished(style, &text, dice),
        sql: format!(
            "SELECT {} FROM {}{} QUALIFY {by} {sign} AVG({by}) OVER (PARTITION BY {})",
            select(&columns)?,
            source.from,
            where_clause(&conditions),
            group.sql,
            by = by.sql
        ),
    })
}
