//! The values of a row, column by column.

use bigquill_analysis::schema::{Column, DataType, Mode, TableSchema, quote_name};
use serde_json::{Map, Value, json};

use super::super::columns::{Attribute, Role};
use super::super::conditions::{self, DOMAINS, PATHS, WORDS, pair_values};
use super::super::descriptions::Value as Known;
use super::super::dice::Dice;
use super::super::ids;
use super::super::shapes::{PAIR_KEYS, PAIR_NUMBERS};
use super::super::tables::{self, Elements, Table};
use super::super::thresholds;
use super::super::words;
use super::Row;
use super::clock::Clock;

/// Identifiers that columns which are no key of their table draw from.
const IDENTIFIERS: usize = ids::ASKED + 10;

/// Values of texts whose values nothing tells.
const ANYTHING: &[&str] = &[
    "alder", "birch", "cedar", "dogwood", "elm", "fir", "ginkgo", "hazel",
];
/// Names have one of these, and one of the next.
const FIRST: &[&str] = &[
    "Amber",
    "Blue",
    "Marble",
    "Silver",
    "Kite",
    "The Old",
    "North",
    "Red",
    "New South",
    "Bright",
    "Mara",
    "Sven",
];
const SECOND: &[&str] = &[
    "Park",
    "Center",
    "Pro",
    "Plus",
    "Demo",
    "Test Site",
    "Harbor",
    "Works",
    "Miller",
    "Kim",
    "Line",
];

/// What fills the columns of a table.
pub(super) struct Cells<'m> {
    schema: &'m TableSchema,
    table: &'m Table,
}

/// Where in a row a value stands.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// Number of the row.
    row: usize,
    /// Inside of structs or lists.
    inner: bool,
}

impl<'m> Cells<'m> {
    pub(super) fn new(schema: &'m TableSchema, table: &'m Table) -> Self {
        Self { schema, table }
    }

    /// The row with this number, which happens at this time.
    pub(super) fn row(&self, number: usize, mut clock: Clock, dice: &mut Dice) -> Row {
        let place = Place {
            row: number,
            inner: false,
        };
        let start = clock;
        let mut row = Map::new();
        for column in &self.schema.columns {
            let value = if self.is_time(column) {
                time(&Attribute::new(column, vec![column.name.clone()], &[]), start)
            } else {
                self.value(column, place, &mut clock, dice)
            };
            row.insert(column.name.clone(), value);
        }
        row
    }

    /// Whether it is the column that tells when a row happened, which it does of every row.
    fn is_time(&self, column: &Column) -> bool {
        let time = self.table.time.map(|time| &self.table.attributes[time]);
        let is_own = |time: &Attribute| time.name == column.name && time.path.len() == 1;
        time.is_some_and(|time| is_own(time) && time.missing.is_none()) && column.mode != Mode::Repeated
    }

    fn value(&self, column: &Column, place: Place, clock: &mut Clock, dice: &mut Dice) -> Value {
        if column.mode == Mode::Repeated {
            return self.list(column, place, clock, dice);
        }
        if column.data_type == DataType::Struct {
            return self.record(&column.fields, place, clock, dice);
        }
        let attribute = Attribute::new(column, vec![column.name.clone()], &[]);
        let is_key = !place.inner
            && self
                .table
                .key
                .is_some_and(|key| self.table.attributes[key].name == column.name);
        if is_key && attribute.role == Role::Key {
            return key(&attribute, place.row);
        }
        if !is_key && is_missing(&attribute, dice) {
            return Value::Null;
        }
        scalar(&attribute, clock, dice)
    }

    fn record(&self, fields: &[Column], place: Place, clock: &mut Clock, dice: &mut Dice) -> Value {
        let inner = Place { inner: true, ..place };
        let fields = fields
            .iter()
            .map(|field| (field.name.clone(), self.value(field, inner, clock, dice)));
        Value::Object(fields.collect())
    }

    fn list(&self, column: &Column, place: Place, clock: &mut Clock, dice: &mut Dice) -> Value {
        let length = dice
            .weighted(&[
                (0, 1.5),
                (1, 3.0),
                (2, 3.0),
                (3, 2.0),
                (4, 1.0),
                (5, 0.6),
                (6, 0.6),
            ])
            .unwrap_or(1);
        let mut clock = *clock;
        let element = Column {
            mode: Mode::Required,
            ..column.clone()
        };
        if let Some(Elements::Pairs { key, keys, .. }) = tables::pairs(column) {
            return pairs(&column.fields, &key, &keys, length, dice);
        }
        let mut elements: Vec<Value> = Vec::new();
        for _ in 0..length {
            let value = self.value(&element, Place { inner: true, ..place }, &mut clock, dice);
            // A tag does not stand twice in a list, a figure may.
            if !value.is_string() || !elements.contains(&value) {
                elements.push(value);
            }
        }
        Value::Array(elements)
    }
}

/// A list of keys with their values; a key stands in it once.
fn pairs(fields: &[Column], key: &str, keys: &[Known], length: usize, dice: &mut Dice) -> Value {
    let described: Vec<&str> = keys.iter().map(|key| key.said.as_str()).collect();
    let known = if described.is_empty() {
        [PAIR_KEYS, PAIR_NUMBERS].concat()
    } else {
        described
    };
    // More than in other lists: questions are about one key.
    let length = length.max(known.len() / 2);
    let names = dice.shuffled(known).into_iter().take(length);
    let mut pairs = Vec::new();
    for name in names {
        let number = PAIR_NUMBERS.contains(&name) || dice.chance(0.2);
        let mut of = |field: &Column| match field.data_type {
            DataType::String if number => json!(dice.between(1, 99).to_string()),
            DataType::String => json!(dice.pick(pair_values(name))),
            DataType::Int64 | DataType::Float64 if number => json!(dice.between(1, 99)),
            _ => Value::Null,
        };
        let mut pair = Map::new();
        for field in fields {
            let value = if quote_name(&field.name) == key {
                json!(name)
            } else if field.data_type == DataType::Struct {
                field.fields.iter().map(|f| (f.name.clone(), of(f))).collect()
            } else {
                of(field)
            };
            pair.insert(field.name.clone(), value);
        }
        pairs.push(Value::Object(pair));
    }
    Value::Array(pairs)
}

fn key(attribute: &Attribute, number: usize) -> Value {
    match attribute.data_type {
        DataType::Int64 => json!(ids::integer(&attribute.name, number)),
        DataType::Numeric | DataType::BigNumeric => json!(ids::integer(&attribute.name, number).to_string()),
        _ => json!(ids::text(&attribute.name, number)),
    }
}

fn is_missing(attribute: &Attribute, dice: &mut Dice) -> bool {
    let share = match attribute.role {
        _ if attribute.required => 0.0,
        _ if attribute.missing.is_some() => 0.35,
        Role::Label => 0.02,
        _ => 0.06,
    };
    dice.chance(share)
}

fn time(attribute: &Attribute, clock: Clock) -> Value {
    if let Some(stored) = &attribute.stored {
        return stored.kept(&clock.date(), &clock.time(), clock.seconds());
    }
    match attribute.data_type {
        DataType::Date => json!(clock.date()),
        DataType::DateTime => json!(format!("{}T{}", clock.date(), clock.time())),
        _ => json!(format!("{} {} UTC", clock.date(), clock.time())),
    }
}

fn scalar(attribute: &Attribute, clock: &mut Clock, dice: &mut Dice) -> Value {
    match &attribute.data_type {
        DataType::String | DataType::Other(_) => json!(text(attribute, dice)),
        DataType::Int64 => json!(integer(attribute, dice)),
        DataType::Float64 => json!((number(attribute, dice) * 100.0).round() / 100.0),
        DataType::Numeric | DataType::BigNumeric => json!(format!("{:.2}", number(attribute, dice))),
        DataType::Bool => json!(dice.chance(0.45)),
        DataType::Date | DataType::DateTime | DataType::Timestamp => {
            let when = if conditions::is_life(attribute) {
                Clock::past(dice)
            } else if conditions::is_to_come(attribute) && dice.chance(0.5) {
                Clock::soon(dice)
            } else {
                clock.advance(dice);
                *clock
            };
            time(attribute, when)
        }
        DataType::Time => json!(Clock::draw(dice).time()),
        DataType::Bytes => json!("Ynl0ZXM="),
        DataType::Json => json!("{\"name\": \"value\"}"),
        DataType::Interval | DataType::Geography | DataType::Struct => Value::Null,
    }
}

fn number(attribute: &Attribute, dice: &mut Dice) -> f64 {
    if attribute.measure().is_some() {
        thresholds::sample(attribute, dice)
    } else {
        dice.unit() * 30.0
    }
}

fn integer(attribute: &Attribute, dice: &mut Dice) -> i64 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "numbers of the size of thresholds"
    )]
    match attribute.role {
        Role::Key => ids::integer(&attribute.name, dice.low(IDENTIFIERS)),
        Role::Year if attribute.noun.contains("birth") => dice.between(1950, 2004),
        Role::Year => dice.between(2005, 2025),
        // Many have none of what is counted.
        Role::Measure(measure) if measure.counted && dice.chance(0.12) => 0,
        Role::Measure(_) => thresholds::sample(attribute, dice).round() as i64,
        _ => value(attribute, dice)
            .and_then(|value| value.sql.parse().ok())
            .unwrap_or_else(|| dice.between(1, 30)),
    }
}

/// One of the values that are known, the first ones more often.
fn value(attribute: &Attribute, dice: &mut Dice) -> Option<Known> {
    let values = conditions::values_of(attribute);
    values.get(dice.low(values.len())).cloned()
}

fn text(attribute: &Attribute, dice: &mut Dice) -> String {
    let any = |list: &[&'static str], dice: &mut Dice| dice.pick(list).copied().unwrap_or_default();
    match attribute.role {
        Role::Key if ids::is_address(&attribute.noun) => ids::address(dice.low(IDENTIFIERS)),
        Role::Key => ids::text(&attribute.name, dice.low(IDENTIFIERS)),
        Role::Label if attribute.values.is_empty() && dice.chance(0.4) => {
            let people = words::is_person(attribute.noun.trim_end_matches(" name"));
            any(conditions::names_of(people || dice.chance(0.3)), dice).to_owned()
        }
        Role::Label if attribute.values.is_empty() => name(dice),
        Role::Email => {
            let name = any(ANYTHING, dice);
            format!("{name}{}@{}", dice.below(90), any(DOMAINS, dice))
        }
        Role::Path => {
            let start = any(PATHS, dice).trim_end_matches('/');
            format!("{start}/{}", any(ANYTHING, dice))
        }
        Role::Text => {
            let words: Vec<&str> = (0..1 + dice.low(14))
                .map(|_| any(if dice.chance(0.35) { WORDS } else { ANYTHING }, dice))
                .collect();
            let text = words.join(" ");
            if dice.chance(0.3) {
                words::capitalised(&format!("{text} {}", dice.below(100)))
            } else {
                text
            }
        }
        _ => value(attribute, dice).map_or_else(|| any(ANYTHING, dice).to_owned(), |value| value.text()),
    }
}

/// A name of two words or more.
fn name(dice: &mut Dice) -> String {
    let mut any = |list: &[&'static str]| dice.pick(list).copied().unwrap_or_default();
    let name = format!("{} {}", any(FIRST), any(SECOND));
    let other = format!("{} {}", any(FIRST), any(SECOND));
    match dice.below(10) {
        0..6 => name,
        6..9 => format!("{name} {}", 1 + dice.below(40)),
        _ => format!("{name} of the {other}"),
    }
}
