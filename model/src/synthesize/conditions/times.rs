//! Conditions on times: spans, shards, missing times.

use bigquill_analysis::schema::DataType;

use super::super::columns::{Attribute, Event};
use super::super::dice::Dice;
use super::super::periods::Period;
use super::super::source::{Field, Source};
use super::super::words;
use super::{Condition, is_main};

/// Whether it is a time in the lives of people and things.
pub(in super::super) fn is_life(attribute: &Attribute) -> bool {
    ["birth", "born", "founded", "dob"]
        .iter()
        .any(|w| attribute.noun.contains(w) || attribute.name.to_lowercase().contains(w))
}

/// Whether what happens then may be still to come.
pub(in super::super) fn is_to_come(attribute: &Attribute) -> bool {
    let name = attribute.name.to_lowercase();
    matches!(attribute.event, Some(Event::Present(_)))
        || [
            "due", "expir", "until", "valid_to", "renew", "deadline", "ends_", "promised", "trial",
        ]
        .iter()
        .any(|w| name.contains(w))
}

pub(super) fn on_time(source: &Source<'_>, field: &Field<'_>, dice: &mut Dice) -> Option<Condition> {
    let attribute = field.attribute;
    let is_birth = is_life(attribute) && attribute.noun.contains("birth");
    if is_birth && attribute.data_type == DataType::Date && dice.chance(0.6) {
        return Some(on_age(field, dice));
    }
    let period = if is_life(attribute) {
        Period::past(dice)
    } else if is_to_come(attribute) && dice.chance(0.6) {
        Period::coming(dice)
    } else {
        Period::draw(dice, attribute.data_type != DataType::Date)
    };
    in_period(source, field, &period, dice)
}

/// How old somebody is today or on another day: in whole years, so that who is older than 60 is 61 at least.
fn on_age(field: &Field<'_>, dice: &mut Dice) -> Condition {
    let age = dice.between(3, 15) * 5 + if dice.chance(0.3) { 3 } else { 0 };
    let (day, when) = if dice.chance(0.5) {
        ("CURRENT_DATE()".to_owned(), String::new())
    } else {
        Period::day(dice)
    };
    let (operator, years, word) = match dice.below(6) {
        0..3 => (
            "<=",
            age + 1,
            format!("{} than {age}", dice.word(&["older", "older", "over"])),
        ),
        3 => ("<=", age, format!("at least {age} years old")),
        _ => (">", age, format!("younger than {age}")),
    };
    let word = word.replace("over than", "over");
    let said = format!("{word}{when}");
    Condition {
        sql: format!("{} {operator} DATE_SUB({day}, INTERVAL {years} YEAR)", field.sql),
        predicate: format!("is {said}"),
        post: if word.starts_with("at least") {
            format!("who are {said}")
        } else {
            said
        },
        ..Condition::default()
    }
}

/// That the field lies in the span.
pub(in super::super) fn in_period(
    source: &Source<'_>,
    field: &Field<'_>,
    period: &Period,
    dice: &mut Dice,
) -> Option<Condition> {
    let attribute = field.attribute;
    let when = period.said(dice);
    let noun = &attribute.noun;
    let bare =
        is_main(source, field) && source.table.time.is_some() && field.owner.is_none() && is_dated(source);
    let owner = field
        .owner
        .map(|o| &source.owners[o].noun.one)
        .unwrap_or(&source.subject.one);
    let who = if words::is_person(owner) { "who" } else { "that" };
    let (post, predicate) = match &attribute.event {
        Some(Event::Passive(verb)) => (
            format!("{verb} {when}"),
            format!("was {verb} {when}").replace("was due", "is due"),
        ),
        Some(Event::Active(verb)) => (format!("{who} {verb} {when}"), format!("{verb} {when}")),
        Some(Event::Present(verb)) if period.is_past() => {
            let past = past_of(verb);
            (format!("{who} {past} {when}"), format!("{past} {when}"))
        }
        Some(Event::Present(verb)) => {
            let plain = verb.strip_suffix('s').unwrap_or(verb);
            (format!("{who} {plain} {when}"), format!("{verb} {when}"))
        }
        None if matches!(noun.as_str(), "time" | "date" | "day") => (when.clone(), format!("is from {when}")),
        None if is_preposition(&when) => {
            let with = format!("{} {when}", words::with_article(noun));
            (format!("with {with}"), format!("has {with}"))
        }
        None if bare => (when.clone(), format!("is from {when}")),
        None => return None,
    };
    let post = if bare && dice.chance(0.85) { when } else { post };
    Some(Condition {
        sql: period.sql(&field.sql, &attribute.data_type),
        owner: field.owner,
        post,
        predicate,
        is_time: true,
        about: field.sql.clone(),
        ..Condition::default()
    })
}

/// "expired" of "expires".
fn past_of(verb: &str) -> String {
    match verb {
        "begins" => "began".to_owned(),
        _ if verb.ends_with("es") => format!("{}d", &verb[..verb.len() - 1]),
        _ => format!("{}ed", verb.trim_end_matches('s')),
    }
}

fn is_preposition(when: &str) -> bool {
    ["in ", "on ", "since ", "before ", "between ", "after "]
        .iter()
        .any(|start| when.starts_with(start))
}

/// Whether rows are what happens, rather than things that stay.
fn is_dated(source: &Source<'_>) -> bool {
    let noun = &source.subject.one;
    !words::is_person(noun) && (source.table.filter_required || source.table.sharded || source.table.dated)
}

pub(super) fn shards(source: &Source<'_>, dice: &mut Dice) -> Option<Condition> {
    let period = Period::shards(dice);
    let when = period.said(dice);
    let column = source
        .alias
        .as_ref()
        .map_or_else(|| "_TABLE_SUFFIX".to_owned(), |a| format!("{a}._TABLE_SUFFIX"));
    Some(Condition {
        sql: period.suffix_sql()?.replace("_TABLE_SUFFIX", &column),
        post: when.clone(),
        predicate: format!("is from {when}"),
        is_time: true,
        about: "_TABLE_SUFFIX".to_owned(),
        ..Condition::default()
    })
}

/// That the field has no value, or has one.
pub(super) fn on_missing(source: &Source<'_>, field: &Field<'_>, dice: &mut Dice) -> Option<Condition> {
    let missing = field.attribute.missing.as_ref()?;
    let owner = field
        .owner
        .map(|o| &source.owners[o].noun.one)
        .unwrap_or(&source.subject.one);
    let who = if words::is_person(owner) { "who" } else { "that" };
    let state = &missing.state;
    let null = dice.chance(0.65);
    let positive = null != missing.of_present;
    let is_word = state.split(' ').count() == 1 && words::is_adjective(state);
    let (post, predicate) = match (positive, &field.attribute.event) {
        (true, _) if missing.of_present => (format!("{who} have been {state}"), format!("has been {state}")),
        (true, _) => (
            format!("{who} are {}{state}", dice.word(&["", "still "])),
            format!("is {state}"),
        ),
        (false, _) if missing.of_present => (
            format!("{who} have not been {state} yet"),
            format!("has not been {state} yet"),
        ),
        (false, Some(Event::Passive(verb))) => {
            (format!("{who} have been {verb}"), format!("has been {verb}"))
        }
        (false, Some(Event::Active(verb))) => (format!("{who} have {verb}"), format!("has {verb}")),
        (false, _) => (
            format!("{who} are no longer {state}"),
            format!("is no longer {state}"),
        ),
    };
    let doubly_negative = state.starts_with("un") && !positive;
    let irregular = post.contains("have began") || missing.of_present && state.contains("contract");
    let fits = !doubly_negative && !irregular;
    fits.then(|| Condition {
        sql: format!("{} IS {}NULL", field.sql, if null { "" } else { "NOT " }),
        adjective: (positive && is_word && !missing.of_present).then(|| state.clone()),
        post,
        predicate,
        ..Condition::default()
    })
}
