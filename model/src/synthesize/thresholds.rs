//! Numbers to compare a column with: round, and of a size that its noun and unit make likely.

use bigquill_analysis::schema::DataType;

use super::columns::Attribute;
use super::dice::Dice;

/// A number as SQL and as it is said, unit included.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Threshold {
    pub(super) sql: String,
    pub(super) said: String,
    pub(super) value: f64,
}

impl Threshold {
    /// So many times as much.
    pub(super) fn times(self, factor: f64) -> Self {
        let value = self.value * factor;
        let sql = number(value);
        Self {
            said: self.said.replacen(&self.sql, &sql, 1),
            sql,
            value,
        }
    }
}

/// A number to compare this attribute with.
pub(super) fn draw(attribute: &Attribute, dice: &mut Dice) -> Option<Threshold> {
    let value = value(attribute, dice)?;
    let sql = number(value);
    let said = match attribute.unit {
        Some(unit) if unit.short == "%" => format!("{sql}{}", dice.word(&["%", " %", " percent"])),
        Some(unit) if dice.chance(0.5) => format!("{sql} {}", unit.short),
        Some(unit) => format!("{sql} {}", unit.words),
        None => sql.clone(),
    };
    Some(Threshold { sql, said, value })
}

/// Without a fraction where there is none.
pub(super) fn number(value: f64) -> String {
    if value.fract() == 0.0 {
        format!("{value:.0}")
    } else {
        format!("{value}")
    }
}

fn value(attribute: &Attribute, dice: &mut Dice) -> Option<f64> {
    if let Some((low, high)) = attribute.range {
        if high - low <= 1.0 && attribute.data_type != DataType::Int64 {
            return dice
                .pick(&[0.1, 0.2, 0.25, 0.3, 0.5, 0.7, 0.75, 0.8, 0.9])
                .map(|share| low + share * (high - low));
        }
        #[expect(clippy::cast_possible_truncation, reason = "a small whole number")]
        let inner = (low as i64 + 1, high as i64 - 1);
        let step = if high - low > 20.0 { 5 } else { 1 };
        return (inner.0 <= inner.1).then(|| {
            #[expect(clippy::cast_precision_loss, reason = "a small whole number")]
            let value = (dice.between(inner.0, inner.1) / step * step) as f64;
            value
        });
    }
    let list = likely(attribute)?;
    let value = *dice.pick(list)?;
    let whole = attribute.data_type == DataType::Int64;
    Some(if whole { value.ceil() } else { value })
}

/// A value that rows of this attribute may have: about as large as what they are compared with.
pub(super) fn sample(attribute: &Attribute, dice: &mut Dice) -> f64 {
    let unit = dice.unit();
    if let Some((low, high)) = attribute.range {
        return low + unit * (high - low);
    }
    match likely(attribute) {
        Some(list) => {
            let middle = dice.pick(list).copied().unwrap_or(1.0);
            let factor = dice.pick(&[0.2, 0.5, 0.8, 1.0, 1.0, 1.2, 1.6, 2.5]).copied();
            middle * factor.unwrap_or(1.0) + unit * middle.abs().max(1.0) * 0.1
        }
        None => 10f64.powf(0.5 + 3.0 * unit),
    }
}

const SHARES: &[f64] = &[0.1, 0.2, 0.25, 0.5, 0.75, 0.8, 0.9];
const PERCENT: &[f64] = &[5.0, 10.0, 20.0, 25.0, 40.0, 50.0, 60.0, 75.0, 80.0, 90.0];
/// For a noun that tells nothing of its size.
const ANY: &[f64] = &[10.0, 20.0, 40.0, 50.0, 80.0, 100.0, 140.0];
const FEW: &[f64] = &[1.0, 2.0, 3.0, 4.0, 5.0, 10.0];
const SOME: &[f64] = &[2.0, 3.0, 5.0, 10.0, 15.0, 20.0, 25.0, 50.0];
const HUNDREDS: &[f64] = &[10.0, 20.0, 50.0, 100.0, 150.0, 200.0, 500.0, 1000.0];
const THOUSANDS: &[f64] = &[500.0, 1000.0, 2000.0, 5000.0, 10_000.0, 20_000.0];
const MANY: &[f64] = &[10_000.0, 50_000.0, 100_000.0, 250_000.0, 500_000.0, 1_000_000.0];

/// Sizes by words of the noun; the first that fits counts.
const BY_WORD: &[(&[&str], &[f64])] = &[
    (
        &["share", "probability", "ratio", "accuracy", "saturated"],
        SHARES,
    ),
    (&["heart"], &[60.0, 80.0, 100.0, 120.0, 150.0, 170.0]),
    (&["percentage", "pct", "soc", "rate", "commission"], PERCENT),
    (
        &["salary", "income", "revenue", "turnover"],
        &[20_000.0, 30_000.0, 50_000.0, 75_000.0, 100_000.0, 250_000.0],
    ),
    (
        &[
            "property",
            "principal",
            "insured",
            "market",
            "goal",
            "estimated",
            "population",
            "budget",
            "balance",
            "loan",
            "gross",
        ],
        MANY,
    ),
    (
        &[
            "unit price",
            "tip",
            "fee",
            "postage",
            "deposit",
            "discount",
            "deductible",
            "tariff",
        ],
        &[2.0, 5.0, 10.0, 15.0, 20.0, 50.0],
    ),
    (
        &[
            "amount", "price", "cost", "total", "paid", "value", "limit", "premium", "sales", "spend",
            "rent", "fine", "reserve", "claimed",
        ],
        HUNDREDS,
    ),
    (
        &["stars", "rating", "grade", "level", "severity", "floor"],
        &[1.0, 2.0, 3.0, 4.0],
    ),
    (&["score"], PERCENT),
    (&["years"], &[1.0, 2.0, 3.0, 5.0, 10.0, 15.0, 20.0]),
    (&["bytes", "byte"], &[1_000.0, 10_000.0, 100_000.0, 1_000_000.0]),
    (&["age"], &[18.0, 21.0, 30.0, 40.0, 50.0, 60.0, 65.0, 70.0]),
    (
        &["temperature", "temp"],
        &[-18.0, -5.0, 0.0, 4.0, 8.0, 15.0, 20.0, 25.0, 30.0],
    ),
    (&["voltage"], &[220.0, 225.0, 230.0, 240.0]),
    (
        &[
            "steps",
            "views",
            "impressions",
            "words",
            "employees",
            "attendance",
            "affected",
            "capacity",
            "readers",
            "rows",
            "volume",
        ],
        THOUSANDS,
    ),
    (
        &[
            "seats",
            "rooms",
            "players",
            "visitors",
            "customers",
            "users",
            "actions",
            "credits",
            "beds",
            "bikes",
            "passengers",
            "count",
        ],
        &[5.0, 10.0, 20.0, 50.0, 100.0, 200.0],
    ),
    (
        &[
            "quantity", "packs", "units", "retries", "attempts", "children", "adults", "bags", "failed",
            "kills", "deaths", "goals", "jobs",
        ],
        FEW,
    ),
];

/// Sizes by the short form of a unit.
const BY_UNIT: &[(&[&str], &[f64])] = &[
    (&["%"], PERCENT),
    (
        &["ms"],
        &[50.0, 100.0, 200.0, 250.0, 500.0, 1000.0, 2000.0, 5000.0],
    ),
    (&["s"], &[10.0, 30.0, 60.0, 90.0, 120.0, 300.0, 600.0]),
    (&["min"], &[5.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 90.0, 120.0]),
    (&["h", "days", "ha", "bar", "tonnes", "t"], SOME),
    (
        &["kg", "km", "kWh", "kW", "MWh", "MW", "l", "m³", "GB", "km/h"],
        &[5.0, 10.0, 20.0, 25.0, 50.0, 100.0, 150.0, 200.0],
    ),
    (
        &["g", "m", "ml", "mm", "cm", "mg", "MB", "kcal", "m²", "MHz", "bps"],
        &[50.0, 100.0, 200.0, 250.0, 500.0, 1000.0],
    ),
    (&["bytes"], &[1_000.0, 10_000.0, 100_000.0, 1_000_000.0]),
    (&["°C"], &[-18.0, -5.0, 0.0, 4.0, 8.0, 15.0, 20.0, 25.0, 30.0]),
    (&["USD", "EUR"], HUNDREDS),
];

fn likely(attribute: &Attribute) -> Option<&'static [f64]> {
    let of_unit = attribute
        .unit
        .and_then(|unit| BY_UNIT.iter().find(|(shorts, _)| shorts.contains(&unit.short)));
    // A salary and a tip have the same unit.
    let is_money = attribute
        .unit
        .is_some_and(|unit| matches!(unit.short, "USD" | "EUR"));
    if let Some((_, list)) = of_unit.filter(|_| !is_money) {
        return Some(list);
    }
    let has = |word: &&str| {
        if word.contains(' ') {
            attribute.noun.contains(word)
        } else {
            attribute.noun.split(' ').any(|w| w == *word)
        }
    };
    if let Some((_, list)) = BY_WORD.iter().find(|(words, _)| words.iter().any(has)) {
        return Some(list);
    }
    let measure = attribute.measure()?;
    let any = if measure.counted { SOME } else { ANY };
    Some(of_unit.map_or(any, |(_, list)| *list))
}
