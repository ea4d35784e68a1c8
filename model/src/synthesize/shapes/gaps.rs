//! What lies between one row and the next of the same thing; first and last.

use bigquill_analysis::schema::DataType;

use super::super::columns::Role;
use super::super::conditions::{self, Condition};
use super::super::dice::Dice;
use super::super::dimensions;
use super::super::metrics;
use super::super::phrases::{Style, finished, style, subject, where_clause};
use super::super::source::{Field, Source};
use super::super::words;
use super::{Context, Draft, Reach, source};

/// The time since the row before of the same thing.
pub(super) fn since_previous(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let source = source(context, Reach::Tables, dice)?;
    if !source.table.countable || source.table.sharded {
        return None;
    }
    let time = source.table_time().filter(|_| source.table.dated)?;
    let (key, thing) = belongs(&source, dice)?;
    let own = source.key()?;
    let fine = time.attribute.data_type != DataType::Date;
    let (unit, said) = if fine {
        *dice.pick(&[("DAY", "days"), ("HOUR", "hours"), ("MINUTE", "minutes")])?
    } else {
        ("DAY", "days")
    };
    let lag = format!(
        "LAG({}) OVER (PARTITION BY {} ORDER BY {})",
        time.sql, key.sql, time.sql
    );
    let difference = match time.attribute.data_type {
        // Days since another are days of the calendar.
        DataType::Date => format!("DATE_DIFF({}, {lag}, DAY)", time.sql),
        _ if unit == "DAY" => format!(
            "DATE_DIFF(DATE({0}), LAG(DATE({0})) OVER (PARTITION BY {1} ORDER BY {0}), DAY)",
            time.sql, key.sql
        ),
        DataType::DateTime => format!("DATETIME_DIFF({}, {lag}, {unit})", time.sql),
        _ => format!("TIMESTAMP_DIFF({}, {lag}, {unit})", time.sql),
    };
    let mut conditions = Vec::new();
    conditions::complete(&source, dice, &mut conditions);
    let (rows, one) = (subject(&source, &conditions, dice), &source.subject.one);
    let filter = where_clause(&conditions);
    let style = style(dice);
    let alias = source.free_name(&format!("{said}_since_previous"));
    if dice.chance(0.35) {
        let text = match style {
            Style::Terse => format!("average {said} between consecutive {rows} of the same {thing}"),
            Style::Sentence => format!(
                "How many {said} pass on average between one {one} of {} and the next{}",
                words::with_article(&thing),
                when(&conditions)
            ),
            Style::Order => format!(
                "Compute the average number of {said} between two consecutive {rows} of {}",
                words::with_article(&thing)
            ),
        };
        return Some(Draft {
            question: finished(style, &text, dice),
            sql: format!(
                "SELECT AVG({alias}) FROM (SELECT {difference} AS {alias} FROM {}{filter})",
                source.from
            ),
        });
    }
    let text = match style {
        Style::Terse if dice.chance(0.5) => format!(
            "{said} since the previous {one} for every {one} of {}{}{}, with the {}",
            words::with_article(&thing),
            when(&conditions),
            dice.word(&[" (null for the first)", " (empty for the first)", "", ""]),
            own.attribute.noun
        ),
        Style::Terse => format!(
            "{} of {rows} with the {said} since the previous {one} of the same {thing}",
            own.attribute.noun
        ),
        Style::Sentence if dice.chance(0.5) => format!(
            "How many {said} lie between each {one}{} and the previous one of the same {thing}{}? Give {} and {said}",
            when(&conditions),
            dice.word(&[" (null for the first)", ", null for the first", "", ""]),
            own.attribute.noun
        ),
        Style::Sentence => format!(
            "For each {one}{}, how many {said} have passed since the {thing}'s previous one? Give the {}",
            when(&conditions),
            own.attribute.noun
        ),
        Style::Order => format!(
            "{} the {} of {rows} and the {said} since the last {one} of the same {thing}",
            dice.word(&["Show", "List"]),
            own.attribute.noun
        ),
    };
    Some(Draft {
        question: finished(style, &text, dice),
        sql: format!(
            "SELECT {}, {difference} AS {alias} FROM {}{filter}",
            own.sql, source.from
        ),
    })
}

/// The first or last time of each thing that rows belong to.
pub(super) fn first_last(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let source = source(context, Reach::Joined, dice)?;
    let time = source
        .table_time()
        .filter(|_| source.table.dated && source.table.countable)?;
    let owner = source
        .owners
        .iter()
        .position(|o| !o.label.is_empty() && o.key.is_some());
    let (dimension, thing) = match owner {
        Some(owner) => {
            let dimension = dimensions::by_owner(&source, owner);
            let noun = dimension.noun.clone();
            (dimension, noun)
        }
        None => {
            let (key, thing) = belongs(&source, dice)?;
            (dimensions::of_field(&source, key, dice), thing)
        }
    };
    let mut conditions = conditions::some(&source, dice, 1);
    conditions.retain(|c| !c.is_time && c.about != dimension.about && c.owner.is_none());
    conditions::complete(&source, dice, &mut conditions);
    let one = &source.subject.one;
    let rows = subject(&source, &conditions, dice);
    let date = if time.attribute.data_type == DataType::Date {
        "date"
    } else {
        "time"
    };
    let (columns, what) = match dice.below(3) {
        0 => (
            format!("MIN({0}) AS first_{date}, MAX({0}) AS last_{date}", time.sql),
            format!("first and last {}", time.attribute.noun),
        ),
        1 => (
            format!("MAX({}) AS last_{date}", time.sql),
            format!("latest {}", time.attribute.noun),
        ),
        _ => (
            format!("MIN({}) AS first_{date}", time.sql),
            format!("earliest {}", time.attribute.noun),
        ),
    };
    let style = style(dice);
    let text = match style {
        Style::Terse => format!("{what} of {rows} per {thing}"),
        Style::Sentence if what.starts_with("latest") && conditions.is_empty() => {
            format!("When did each {thing} have the last {one}")
        }
        Style::Sentence => format!("What is the {what} of {rows} for each {thing}"),
        Style::Order => format!(
            "{} the {what} of {rows} for each {thing}",
            dice.word(&["Show", "List", "Give"])
        ),
    };
    Some(Draft::group(
        finished(style, &text, dice),
        &dimension,
        &columns,
        &source,
        &conditions,
        "",
    ))
}

/// The key of what rows belong to, without a join: its field and what it is called.
fn belongs<'s, 'm>(source: &'s Source<'m>, dice: &mut Dice) -> Option<(&'s Field<'m>, String)> {
    let own_key = source.key().map(|k| k.sql.clone());
    let keys = source.own(|a| a.role == Role::Key && a.noun != "ID" && a.path.len() == 1);
    let keys: Vec<_> = keys
        .into_iter()
        .filter(|k| {
            Some(&k.sql) != own_key.as_ref()
                && !["hash", "trace", "token", "zip"]
                    .iter()
                    .any(|w| k.attribute.noun.contains(w))
        })
        .collect();
    // Where the schema tells what rows belong to, numbers of another kind are nothing that they belong to.
    let is_link = |key: &&Field<'_>| {
        let links = source.table.parents.iter().flat_map(|link| &link.on);
        links
            .into_iter()
            .any(|(own, _)| key.attribute.path == [own.clone()])
    };
    let linked: Vec<_> = keys.iter().copied().filter(is_link).collect();
    let keys = if source.table.parents.is_empty() {
        let things = |key: &&Field<'_>| {
            let noun = &key.attribute.noun;
            noun.ends_with(" ID") || words::is_person(&metrics::thing(noun))
        };
        keys.into_iter().filter(things).collect()
    } else {
        linked
    };
    let key = *dice.pick(&keys)?;
    Some((key, metrics::thing(&key.attribute.noun)))
}

fn when(conditions: &[Condition]) -> String {
    conditions.iter().map(|c| format!(" {}", c.post)).collect()
}
