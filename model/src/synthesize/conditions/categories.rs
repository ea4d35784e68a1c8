//! Conditions on what has few values, by the words that their descriptions have for them.

use super::super::columns::Attribute;
use super::super::descriptions::{Value, are_answers, quoted};
use super::super::dice::Dice;
use super::super::source::Field;
use super::super::words;
use super::values::values_of;
use super::{Condition, simple};

pub(super) fn on_category(field: &Field<'_>, is_person: bool, dice: &mut Dice) -> Option<Condition> {
    let (attribute, sql) = (field.attribute, &field.sql);
    let value = dice.pick(&values_of(attribute))?.clone();
    let noun = &attribute.noun;
    let several = attribute.values.len() > 2 && !is_answer(attribute);
    if several && dice.chance(0.12) {
        let other = attribute.values.iter().find(|v| **v != value)?;
        let said = {
            let (one, two) = (said(&value, dice), said(other, dice));
            format!("{noun} {one} or {two}")
        };
        return Some(simple(format!("{sql} IN ({}, {})", value.sql, other.sql), &said));
    }
    if several && !value.is_unknown() && dice.chance(0.08) {
        return Some(Condition {
            sql: format!("{sql} != {}", value.sql),
            post: format!("whose {noun} is not {}", said(&value, dice)),
            predicate: format!("has another {noun} than {}", value.said),
            ..Condition::default()
        });
    }
    Some(on_value(field, &value, is_person, dice))
}

/// That a field has this value.
pub(in super::super) fn on_value(
    field: &Field<'_>,
    value: &Value,
    is_person: bool,
    dice: &mut Dice,
) -> Condition {
    let (attribute, sql) = (field.attribute, &field.sql);
    let noun = &attribute.noun;
    let equal = format!("{sql} = {}", value.sql);
    if is_answer(attribute) && !value.is_unknown() {
        return answer(equal, noun, value.said.eq_ignore_ascii_case("yes"), is_person);
    }
    if let (true, Some(people)) = (is_person && is_sex(attribute), people(value)) {
        let said = value.said.to_lowercase();
        let adjective = ["male", "female"].contains(&said.as_str());
        let post = if !adjective || dice.chance(0.6) {
            people
        } else {
            said.as_str()
        };
        return Condition {
            sql: equal,
            post: format!("who are {post}"),
            predicate: format!(
                "is {}",
                if adjective {
                    said.clone()
                } else {
                    words::with_article(&said)
                }
            ),
            adjective: adjective.then(|| match said.as_str() {
                "female" if dice.chance(0.3) => "women".to_owned(),
                _ => said,
            }),
            ..Condition::default()
        };
    }
    let said = said(value, dice);
    let mut condition = simple(format!("{sql} = {}", value.sql), &format!("{noun} {said}"));
    // "with wave of the panel 5" would be misread.
    let is_long = noun.contains(" of ");
    match dice.below(if is_long { 2 } else { 4 }) {
        0 => condition.post = format!("whose {noun} is {said}"),
        1 => condition.post = format!("where the {noun} is {said}"),
        _ => {}
    }
    condition.adjective = adjective(attribute, value);
    let last = noun.rsplit(' ').next().unwrap_or_default();
    if ["country", "city", "town", "region", "district", "borough"].contains(&last)
        && noun.split(' ').count() == 1
        && dice.chance(0.7)
    {
        let place = if last == "district" || last == "region" {
            format!("the {} {last}", value.said)
        } else {
            value.said.clone()
        };
        let preposition = if is_person {
            dice.word(&["from", "in"])
        } else {
            "in"
        };
        condition.post = format!("{preposition} {place}");
        condition.predicate = format!("is {preposition} {place}");
    }
    condition
}

/// A value as it is said: in quotes where it has several words or one might take it for a word of the question.
pub(super) fn said(value: &Value, dice: &mut Dice) -> String {
    let quotes = match &value.said {
        said if said.contains('_') => 1.0,
        said if said.contains(' ') => 0.5,
        _ => 0.2,
    };
    if value.sql == quoted(&value.said) && dice.chance(quotes) {
        format!("'{}'", value.said)
    } else {
        value.said.clone()
    }
}

/// The value before the noun, where it tells a state.
fn adjective(attribute: &Attribute, value: &Value) -> Option<String> {
    let last = attribute.noun.rsplit(' ').next()?.to_lowercase();
    let states = [
        "status",
        "area",
        "residence",
        "setting",
        "state",
        "stage",
        "outcome",
        "result",
        "verdict",
        "decision",
        "severity",
        "stage",
        "flag",
    ];
    let lower = value.said.to_lowercase();
    // A code is said by what it means.
    let coded = value.sql != quoted(&value.said);
    // Of a nested field no prompt shows the values: what is said is what stands there.
    let spelled = coded || attribute.path.len() == 1 || lower == value.said;
    let fits = states.contains(&last.as_str())
        && words::is_adjective(&lower)
        && lower.split(' ').count() == 1
        && spelled;
    fits.then_some(lower)
}

/// Whether the values are yes and no: the column then asks what its noun says.
pub(in super::super) fn is_answer(attribute: &Attribute) -> bool {
    are_answers(&attribute.values)
}

/// "with diabetes", "without diabetes"; "that are insured" where the noun tells a state.
fn answer(sql: String, noun: &str, yes: bool, is_person: bool) -> Condition {
    if words::is_adjective(noun) && !noun.contains(' ') {
        let not = if yes { "" } else { "not " };
        let that = if is_person { "who" } else { "that" };
        return Condition {
            sql,
            adjective: if yes {
                Some(noun.to_owned())
            } else {
                words::opposite(noun)
            },
            post: format!("{that} are {not}{noun}"),
            predicate: format!("is {not}{noun}"),
            ..Condition::default()
        };
    }
    Condition {
        sql,
        post: format!("{} {noun}", if yes { "with" } else { "without" }),
        predicate: format!("has {}{noun}", if yes { "" } else { "no " }),
        ..Condition::default()
    }
}

/// Whether the column tells men from women.
pub(in super::super) fn is_sex(attribute: &Attribute) -> bool {
    let told = attribute
        .noun
        .split(' ')
        .any(|word| word == "sex" || word == "gender");
    told && attribute.values.iter().any(|value| people(value).is_some())
}

/// "women" for "female".
pub(in super::super) fn people(value: &Value) -> Option<&'static str> {
    match value.said.to_lowercase().as_str() {
        "male" | "man" | "men" => Some("men"),
        "female" | "woman" | "women" => Some("women"),
        "boy" => Some("boys"),
        "girl" => Some("girls"),
        _ => None,
    }
}
