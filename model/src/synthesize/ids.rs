//! Identifiers that questions ask for and that made rows have: a set small enough for the one to meet the other.

use bigquill_analysis::schema::DataType;

use super::descriptions::{Value, quoted};
use super::dice::Dice;

/// Identifiers that questions ask for; a made table has at least as many rows.
pub(super) const ASKED: usize = 80;

/// What texts that identify things begin with.
const STARTS: &[&str] = &["A", "K", "B-", "R", "X-", "DE", "00", ""];

/// The identifier with this number.
pub(super) fn integer(number: usize) -> i64 {
    i64::try_from(101 + number * 7919 % 98_899).unwrap_or(101)
}

/// The same as a text.
pub(super) fn text(number: usize) -> String {
    format!("{}{}", STARTS[number % STARTS.len()], 1000 + number * 4813 % 9000)
}

/// One that is asked for, in columns of this type.
pub(super) fn asked(data_type: &DataType, dice: &mut Dice) -> Value {
    let number = dice.below(ASKED);
    if *data_type == DataType::Int64 {
        let said = integer(number).to_string();
        return Value {
            sql: said.clone(),
            said,
        };
    }
    let text = text(number);
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
