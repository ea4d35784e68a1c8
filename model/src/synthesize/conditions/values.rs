//! Values that conditions compare with: those that descriptions list, and others as people type them.

use bigquill_analysis::schema::DataType;

use super::super::columns::Attribute;
use super::super::descriptions::Value;
use super::super::dice::Dice;
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

pub(super) fn value_of(attribute: &Attribute, dice: &mut Dice) -> Option<Value> {
    if !attribute.values.is_empty() {
        return dice.pick(&attribute.values).cloned();
    }
    if attribute.data_type != DataType::String || attribute.path.len() > 1 && attribute.name.len() < 3 {
        return None;
    }
    let last = attribute.noun.rsplit(' ').next()?.to_lowercase();
    if attribute.name.to_lowercase().contains("code") {
        return Some(Value::string(&code(dice)));
    }
    let places = [
        "id", "number", "code", "seat", "gate", "berth", "platform", "room", "slot", "bay", "lane", "desk",
        "locker", "hall",
    ];
    if places.contains(&last.as_str()) {
        return Some(Value::string(&code(dice)));
    }
    let pool = POOLS.iter().find(|(words, _)| words.contains(&last.as_str()));
    dice.pick(pool.map_or(NAMES, |(_, pool)| pool))
        .map(|value| Value::string(value))
}

/// A code as it might stand in a column: "I10", "XK-204".
fn code(dice: &mut Dice) -> String {
    let letter = dice.word(&["A", "B", "I", "K", "M", "R", "T", "X"]);
    match dice.below(4) {
        0 => format!("{letter}{}", dice.between(10, 99)),
        1 => format!(
            "{letter}{}-{}",
            dice.word(&["C", "K", "L", "T"]),
            dice.between(100, 999)
        ),
        2 => format!("{letter}{}.{}", dice.between(10, 99), dice.between(0, 9)),
        _ => format!("{}-{}", dice.between(10, 99), dice.between(1000, 9999)),
    }
}

/// A condition on a code or a number that identifies.
pub(super) fn on_code(source: &Source<'_>, field: &Field<'_>, dice: &mut Dice) -> Option<Condition> {
    let attribute = field.attribute;
    let own = source.key().is_some_and(|key| key.sql == field.sql);
    if own || attribute.noun == "ID" || attribute.noun.ends_with(" by") {
        return None;
    }
    let value = match attribute.data_type {
        DataType::String if attribute.noun.split(' ').any(|w| w == "IP" || w == "address") => {
            Value::string(&format!(
                "10.{}.{}.{}",
                dice.between(0, 9),
                dice.between(0, 254),
                dice.between(1, 254)
            ))
        }
        DataType::String => Value::string(&code(dice)),
        DataType::Int64 if attribute.noun.ends_with(" ID") => {
            let number = dice.between(101, 98_999).to_string();
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
    let value = Value::string(dice.pick(if of_people { PEOPLE } else { NAMES })?);
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
