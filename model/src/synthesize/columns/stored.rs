//! Times that a column keeps as a number or a text: `20240131`, "31.01.2024", the seconds since 1970.

use bigquill_analysis::schema::{Column, DataType};
use serde_json::{Value, json};

/// How a time is kept in a column that is of no type of times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Stored {
    /// Digits or a text of this form, as `PARSE_DATE` and `PARSE_TIMESTAMP` write it: "%Y%m%d".
    Written {
        /// The form.
        form: String,
        /// The column is a number.
        is_number: bool,
    },
    /// Seconds since 1970.
    Seconds,
    /// Milliseconds since 1970.
    Milliseconds,
}

impl Stored {
    /// What the description says of how a time is kept: "as the number YYYYMMDD", "unix seconds".
    pub(in super::super) fn of(column: &Column) -> Option<Self> {
        let is_number = match column.data_type {
            DataType::Int64 => true,
            DataType::String => false,
            _ => return None,
        };
        let lower = column.description.to_lowercase();
        if is_number
            && ["unix", "epoch", "since 1970"]
                .iter()
                .any(|word| lower.contains(word))
        {
            return Some(if lower.contains("millisecond") {
                Self::Milliseconds
            } else {
                Self::Seconds
            });
        }
        let all: Vec<&str> = column.description.split([' ', ',', ';', '(', ')']).collect();
        let place = all.iter().position(|word| form(word).is_some())?;
        // "YYYY-MM-DD HH:MM:SS" has a space in it.
        let time = all.get(place + 1).filter(|word| word.starts_with("HH"));
        let whole = time.map_or_else(|| all[place].to_owned(), |time| format!("{} {time}", all[place]));
        let form = form(&whole)?;
        Some(Self::Written { form, is_number })
    }

    /// The type of the time itself.
    pub(in super::super) fn data_type(&self) -> DataType {
        match self {
            Self::Written { form, .. } if !form.contains("%H") => DataType::Date,
            _ => DataType::Timestamp,
        }
    }

    /// The time itself, out of the column.
    pub(in super::super) fn sql(&self, column: &str) -> String {
        match self {
            Self::Seconds => format!("TIMESTAMP_SECONDS({column})"),
            Self::Milliseconds => format!("TIMESTAMP_MILLIS({column})"),
            Self::Written { form, is_number } => {
                let function = if self.data_type() == DataType::Date {
                    "PARSE_DATE"
                } else {
                    "PARSE_TIMESTAMP"
                };
                let text = if *is_number {
                    format!("CAST({column} AS STRING)")
                } else {
                    column.to_owned()
                };
                format!("{function}('{form}', {text})")
            }
        }
    }

    /// What the column keeps for this time: its date and time of day in ISO's form, its seconds since 1970.
    pub(in super::super) fn kept(&self, date: &str, time: &str, seconds: i64) -> Value {
        match self {
            Self::Seconds => json!(seconds),
            Self::Milliseconds => json!(seconds * 1000),
            Self::Written { form, is_number } => {
                let parts = date.split('-').chain(time.split(':'));
                let written = ["%Y", "%m", "%d", "%H", "%M", "%S"]
                    .iter()
                    .zip(parts)
                    .fold(form.clone(), |text, (mark, part)| text.replace(mark, part));
                match written.parse::<i64>() {
                    Ok(number) if *is_number => json!(number),
                    _ => json!(written),
                }
            }
        }
    }
}

/// "%Y%m%d" for "YYYYMMDD"; none for words that are no such form.
fn form(word: &str) -> Option<String> {
    let word = word.trim_matches(['.', '\'', '"', ':']);
    let whole = ["YYYY", "MM", "DD"].iter().all(|part| word.contains(part));
    if !whole {
        return None;
    }
    let (date, time) = word.find("HH").map_or((word, ""), |at| word.split_at(at));
    let date = date.replace("YYYY", "%Y").replace("MM", "%m").replace("DD", "%d");
    let time = time
        .replace("HH", "%H")
        .replace("MM", "%M")
        .replace("MI", "%M")
        .replace("SS", "%S");
    Some(format!("{date}{time}"))
}
