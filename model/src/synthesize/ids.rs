//! Identifiers that questions ask for and that made rows have: so few of each name that the one meets the other.

use bigquill_analysis::schema::DataType;

use super::columns::Attribute;
use super::descriptions::{Value, quoted};
use super::dice::Dice;

/// Identifiers that questions ask for; a made table has at least as many rows.
pub(super) const ASKED: usize = 50;

/// What texts that identify things begin with.
const STARTS: &[&str] = &["A", "K", "B-", "R", "X-", "DE", "00", ""];

/// The whole number that identifies the thing with this number, in columns of this name.
pub(super) fn integer(name: &str, number: usize) -> i64 {
    i64::try_from(101 + (of_name(name) + number) * 7919 % 98_899).unwrap_or(101)
}

/// The same as a text.
pub(super) fn text(name: &str, number: usize) -> String {
    let number = of_name(name) + number;
    format!("{}{}", STARTS[number % STARTS.len()], 1000 + number * 4813 % 9000)
}

/// Where the identifiers of a name begin.
fn of_name(name: &str) -> usize {
    let bytes = name.bytes().map(|byte| byte.to_ascii_lowercase());
    bytes.fold(0, |sum, byte| (sum * 31 + usize::from(byte)) % 98_899)
}

/// A code as people type it: "I10", "XK-204", "R53.4".
pub(super) fn code(number: usize) -> String {
    let letter = ["A", "B", "I", "K", "M", "R", "T", "X"][number % 8];
    let figure = 10 + number * 4813 % 90;
    match number % 3 {
        0 => format!("{letter}{figure}"),
        1 => format!("{letter}K-{}", 100 + number * 4813 % 900),
        _ => format!("{letter}{figure}.{}", number % 10),
    }
}

/// Whether a column of this noun holds addresses of a network.
pub(super) fn is_address(noun: &str) -> bool {
    noun.split(' ').any(|word| word == "IP")
}

/// The address with this number.
pub(super) fn address(number: usize) -> String {
    format!(
        "10.{}.{}.{}",
        number % 10,
        number * 31 % 255,
        1 + number * 97 % 254
    )
}

/// One that is asked for.
pub(super) fn asked(key: &Attribute, dice: &mut Dice) -> Value {
    let number = dice.below(ASKED);
    if key.data_type == DataType::Int64 {
        let said = integer(&key.name, number).to_string();
        return Value {
            sql: said.clone(),
            said,
        };
    }
    let text = text(&key.name, number);
    let said = if dice.chance(0.6) {
        format!("'{text}'")
    } else {
        text.clone()
    };
    Value {
        sql: quoted(&text),
        said,
    }
}
