//! Values that conditions compare with: those that descriptions list, and others as people type them.

use bigquill_analysis::schema::DataType;

use super::super::columns::Attribute;
use super::super::descriptions::Value;
use super::super::dice::Dice;
use super::super::ids;
use super::super::source::{Field, Source};
use super::super::words;
use super::{Condition, said, simple};

/// Values of columns that no description lists, by the last word of the noun.
const POOLS: &[(&[&str], &[&str])] = &[
    (
        &["country", "nationality", "flag", "territory"],
        &[
            "Germany", "France", "Spain", "Canada", "Japan", "Brazil", "Kenya", "Norway",
        ],
    ),
    (
        &["city", "town", "municipality", "location", "office"],
        &[
            "Berlin", "Lyon", "Boston", "Osaka", "Leeds", "Porto", "Denver", "Graz",
        ],
    ),
    (
        &["tag", "label", "keyword", "topic"],
        &["urgent", "beta", "seasonal", "internal", "legacy", "priority"],
    ),
    (&["currency"], &["EUR", "USD", "GBP", "CHF"]),
    (&["language", "locale"], &["en", "de", "fr", "es"]),
    (&["os"], &["Android", "iOS", "Windows", "Linux"]),
];

/// What is known by its number, by the last word of the noun.
const NUMBERED: &[&str] = &[
    "id", "number", "code", "seat", "gate", "berth", "platform", "room", "slot", "bay", "lane", "desk",
    "locker", "hall",
];

/// Values of columns that tell nothing of theirs: whoever asks knows them, and the answer has them as they were typed.
const NAMES: &[&str] = &[
    "Orion",
    "Blue River",
    "Maple",
    "Sunrise",
    "Kestrel",
    "Delta 4",
    "Harbor",
    "north",
    "Velvet",
    "Group B",
    "alpha",
    "X2",
];

const PEOPLE: &[&str] = &[
    "Anna Berg",
    "Tom Fuller",
    "Mei Tanaka",
    "Luis Ortega",
    "Sara Lind",
    "Omar Haddad",
    "Nora Weiss",
    "Ben Okafor",
];

/// The values of an attribute: those that its description lists, else those that its noun has anywhere.
pub(in super::super) fn values_of(attribute: &Attribute) -> Vec<Value> {
    if !attribute.values.is_empty() {
        return attribute.values.clone();
    }
    if attribute.data_type != DataType::String || attribute.path.len() > 1 && attribute.name.len() < 3 {
        return Vec::new();
    }
    let last = attribute
        .noun
        .rsplit(' ')
        .next()
        .unwrap_or_default()
        .to_lowercase();
    // What kinds there are nobody can guess: a blood group is not called "north".
    if ["group", "type", "kind", "class", "category", "grade"].contains(&last.as_str()) {
        return Vec::new();
    }
    if attribute.name.to_lowercase().contains("code") || NUMBERED.contains(&last.as_str()) {
        return (0..ids::ASKED)
            .map(|number| Value::string(&ids::code(number)))
            .collect();
    }
    let pool = POOLS.iter().find(|(words, _)| words.contains(&last.as_str()));
    let values = pool.map_or(NAMES, |(_, values)| values);
    values.iter().copied().map(Value::string).collect()
}

/// Names that people or things have.
pub(in super::super) fn names_of(people: bool) -> &'static [&'static str] {
    if people { PEOPLE } else { NAMES }
}

/// A condition on a code or a number that identifies.
pub(super) fn on_code(source: &Source<'_>, field: &Field<'_>, dice: &mut Dice) -> Option<Condition> {
    let attribute = field.attribute;
    let own = source.key().is_some_and(|key| key.sql == field.sql);
    if own || attribute.noun == "ID" || attribute.noun.ends_with(" by") {
        return None;
    }
    let number = dice.below(ids::ASKED);
    let value = match attribute.data_type {
        DataType::String if ids::is_address(&attribute.noun) => Value::string(&ids::address(number)),
        DataType::String => Value::string(&ids::text(&attribute.name, number)),
        DataType::Int64 if attribute.noun.ends_with(" ID") => {
            let number = ids::integer(&attribute.name, number).to_string();
            Value {
                sql: number.clone(),
                said: number,
            }
        }
        _ => return None,
    };
    let said = said(&value, dice);
    Some(simple(
        format!("{} = {}", field.sql, value.sql),
        &format!("{} {said}", attribute.noun),
    ))
}

/// A condition on a name: that it is this one.
pub(super) fn on_name(field: &Field<'_>, is_person: bool, dice: &mut Dice) -> Option<Condition> {
    let noun = &field.attribute.noun;
    let of_people = is_person || words::is_person(noun.strip_suffix(" name").unwrap_or_default());
    let whole = ["first", "last", "nick", "user", "surname"]
        .iter()
        .all(|part| !noun.contains(part));
    if of_people && !whole {
        return None;
    }
    let value = Value::string(dice.pick(names_of(of_people))?);
    let said = if dice.chance(0.6) {
        format!("'{}'", value.said)
    } else {
        value.said.clone()
    };
    let sql = format!("{} = {}", field.sql, value.sql);
    if noun == "name" && dice.chance(0.6) {
        return Some(Condition {
            sql,
            post: format!("{} {said}", dice.word(&["named", "called"])),
            predicate: format!("is called {said}"),
            ..Condition::default()
        });
    }
    Some(simple(sql, &format!("the {noun} {said}")))
}
