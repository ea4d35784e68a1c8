//! What a column is used for, seen from its name, its type and its description.

use bigquill_analysis::schema::{Column, DataType};

use super::super::descriptions;
use super::super::units;
use super::super::words;
use super::{Measure, Role};

const KEYS: &[&str] = &[
    "sha",
    "slug",
    "barcode",
    "iban",
    "vin",
    "isbn",
    "ean",
    "id",
    "uuid",
    "guid",
    "key",
    "number",
    "hash",
    "token",
    "uid",
    "code",
    "identifier",
    "isin",
    "sku",
    "imo",
    "plate",
    "pnr",
    "cve",
];

const LABELS: &[&str] = &[
    "name", "title", "nickname", "nick", "headline", "label", "username", "surname",
];

const TEXTS: &[&str] = &[
    "comment",
    "note",
    "notes",
    "description",
    "body",
    "message",
    "remark",
    "text",
    "subject",
    "what",
    "street",
];

const PATHS: &[&str] = &["path", "url", "uri", "page", "referrer", "href", "link"];

const ORDINALS: &[&str] = &[
    "position",
    "seq",
    "sequence",
    "version",
    "build",
    "port",
    "index",
    "rank",
    "zip",
    "postcode",
    "day",
    "month",
    "week",
    "hour",
    "minute",
    "line",
    "row",
    "floor",
    "matchday",
    "lap",
    "second",
    "quarter",
    "phone",
    "msisdn",
    "team",
    "district",
    "cycle",
    "latitude",
    "longitude",
    "lat",
    "lng",
    "lon",
    "founded",
    "block",
    "aisle",
    "billing",
];

const NOT_ADDED: &[&str] = &[
    "rate",
    "ratio",
    "pct",
    "percent",
    "percentage",
    "share",
    "price",
    "score",
    "rating",
    "temperature",
    "temp",
    "age",
    "level",
    "grade",
    "speed",
    "voltage",
    "pressure",
    "humidity",
    "factor",
    "probability",
    "prob",
    "height",
    "limit",
    "score",
    "fps",
    "gpa",
    "latency",
    "elevation",
    "depth",
    "draught",
    "width",
    "thickness",
    "diameter",
    "severity",
    "priority",
    "capacity",
    "concentration",
    "turbidity",
    "conductivity",
    "cvss",
    "accuracy",
    "loss",
    "f1",
    "memory",
    "strength",
    "hourly",
    "life",
    "shelf",
    "dose",
    "ram",
    "bps",
    "kw",
    "kmh",
    "celsius",
    "c",
    "hpa",
    "bar",
    "ntu",
    "soc",
    "cpm",
    "size",
    "balance",
    "interval",
    "threshold",
    "tolerance",
    "tol",
    "diameter",
    "stars",
    "fill",
    "quality",
    "gwei",
    "px",
    "hemoglobin",
    "dl",
    "ms",
    "deg",
    "intensity",
    "rpm",
    "volts",
    "cover",
    "risk",
    "weight",
    "distance",
    "population",
    "mhz",
    "lps",
    "difficulty",
    "resolution",
    "value_limit",
];

/// Words of numbers that add up.
const ADDED: &[&str] = &[
    "amount",
    "amt",
    "cost",
    "costs",
    "revenue",
    "sales",
    "turnover",
    "spend",
    "spent",
    "paid",
    "fee",
    "fees",
    "tax",
    "discount",
    "tip",
    "fine",
    "refund",
    "refunded",
    "gross",
    "net",
    "total",
    "subtotal",
    "sum",
    "qty",
    "quantity",
    "count",
    "cnt",
    "duration",
    "dur",
    "elapsed",
    "volume",
    "vol",
    "energy",
    "consumption",
    "area",
    "postage",
    "deposit",
    "premium",
    "prem",
    "commission",
    "bonus",
    "payout",
    "payment",
    "principal",
    "interest",
    "rent",
    "income",
    "earnings",
    "profit",
    "loss",
    "margin",
    "traffic",
    "attendance",
    "distance",
    "weight",
    "production",
    "output",
    "usage",
    "donation",
    "claimed",
    "budget",
    "value",
    "price",
    "charge",
    "charged",
    "billed",
    "credit",
    "debit",
    "pledged",
    "raised",
    "seconds",
    "minutes",
    "hours",
    "days",
    "rainfall",
    "precipitation",
    "waste",
    "yield",
    "inventory",
    "stock",
    "shipped",
    "sold",
    "returned",
    "produced",
    "scrapped",
    "delivered",
    "received",
    "sent",
    "added",
    "removed",
    "burned",
    "points",
    "wage",
    "wages",
    "delay",
    "time",
    "bytes",
    "size",
    "overtime",
    "downtime",
    "expense",
    "expenses",
    "reserve",
    "mass",
];

pub(super) fn role(column: &Column, words: &[String]) -> Role {
    let last = words.last().map(|w| w.to_lowercase()).unwrap_or_default();
    let raw = words::raw(&column.name);
    let last_raw = raw.last().cloned().unwrap_or_default();
    match &column.data_type {
        DataType::Bool => Role::Flag,
        DataType::Date | DataType::Timestamp | DataType::DateTime => Role::Time,
        DataType::String => string_role(column, &last, &last_raw),
        DataType::Int64 if !descriptions::values(&column.description, &column.data_type).is_empty() => {
            Role::Category
        }
        DataType::Int64 | DataType::Numeric | DataType::BigNumeric | DataType::Float64 => {
            let counts = raw
                .first()
                .is_some_and(|w| matches!(w.as_str(), "number" | "num" | "n" | "nb"))
                && raw.len() > 1;
            let integer = column.data_type == DataType::Int64;
            if integer
                && (last == "year"
                    || last_raw == "yr"
                    || words.iter().any(|w| w == "year") && last == "built")
            {
                Role::Year
            } else if integer
                && !counts
                && (KEYS.contains(&last.as_str())
                    || matches!(last_raw.as_str(), "no" | "by")
                    || raw.contains(&"id".to_owned()))
            {
                Role::Key
            } else if !counts
                && (integer || last != "index")
                && (ORDINALS.contains(&last_raw.as_str()) || ORDINALS.contains(&last.as_str()))
            {
                Role::Other
            } else {
                Role::Measure(Measure {
                    additive: true,
                    counted: counts,
                    aggregated: false,
                })
            }
        }
        _ => Role::Other,
    }
}

fn string_role(column: &Column, last: &str, last_raw: &str) -> Role {
    let has = |list: &[&str]| list.contains(&last) || list.contains(&last_raw);
    if !descriptions::values(&column.description, &column.data_type).is_empty() {
        Role::Category
    } else if has(&["email", "mail"]) {
        Role::Email
    } else if has(PATHS) {
        Role::Path
    } else if has(LABELS) {
        Role::Label
    } else if has(TEXTS) || column.name.to_lowercase().ends_with("user_agent") {
        Role::Text
    } else if has(&["ip", "tag", "addr", "address", "no", "msisdn", "phone", "mobile"]) || has(KEYS) {
        Role::Key
    } else {
        Role::Category
    }
}

/// Parts into which a population is cut by number.
const PARTS: &[&str] = &[
    "quartile", "quintile", "decile", "tercile", "stratum", "wave", "round", "band", "class",
];

/// Whether a noun means how many rows of the population a row of a sample stands for.
pub(in super::super) fn is_weight(noun: &str) -> bool {
    let own = noun.split(" of the ").next().unwrap_or(noun);
    let weights = ["weight", "weighting factor", "expansion factor"];
    let of_sample = ["sampling ", "survey ", "design ", "population ", "sample "];
    let weighs = |start: &&str| {
        own.strip_prefix(*start)
            .is_some_and(|rest| weights.contains(&rest))
    };
    weights[1..].contains(&own) || of_sample.iter().any(weighs)
}

/// Whether a whole number of this noun only tells to which part of all something belongs.
pub(super) fn is_part(noun: &str) -> bool {
    noun.split(' ').any(|word| PARTS.contains(&word))
}

/// The measure, seen from its noun and its name.
pub(super) fn measured(noun: &str, name: &str, measure: Measure) -> Measure {
    let raw = words::raw(name);
    // What is counted stands before "of" and the like: the price per thousand impressions is a price.
    let head = [
        " of ", " per ", " before ", " after ", " in ", " for ", " from ", " with ", " at ", " on ", " to ",
    ]
    .iter()
    .fold(noun.strip_prefix("number of ").unwrap_or(noun), |noun, word| {
        noun.split(word).next().unwrap_or(noun)
    });
    let last = head.rsplit(' ').next().unwrap_or(head);
    let of_name = |word: &String| NOT_ADDED.contains(&word.as_str());
    let first = noun.split(' ').next().unwrap_or_default();
    let number_of = noun.starts_with("number of ");
    // "bytes sent", "lines added"
    let done = head.split_once(' ').is_some_and(|(things, done)| {
        words::is_plural(things)
            && !matches!(things, "fees" | "costs" | "taxes" | "charges" | "wages" | "sales")
            && (words::is_participle(done) || matches!(done, "free" | "available" | "occupied"))
    });
    let counted = (measure.counted
        || number_of
        || done
        || words::is_plural(last) && !matches!(last, "sales" | "gross" | "earnings" | "savings" | "stars"))
        && first != "capacity";
    let unit_price = ["unit", "per", "price"]
        .iter()
        .any(|word| raw.iter().any(|w| w == word))
        || first == "unit";
    let tail: Vec<&String> = raw.iter().rev().take(2).collect();
    let level = tail.into_iter().any(of_name) || NOT_ADDED.contains(&last) || unit_price;
    // Of a number that tells nothing of its kind nobody knows whether it adds up: a pulse does not.
    let known = counted
        || raw.iter().any(|w| ADDED.contains(&w.as_str()))
        || ADDED.contains(&last)
        || ADDED.contains(&first)
        || raw.len() > 1 && units::at_end(&raw).is_some();
    let weighs = matches!(last, "weight" | "distance") || raw.iter().any(|w| w == "bytes");
    let states = [
        "available",
        "occupied",
        "capacity",
        "free",
        "hand",
        "planned",
        "target",
        "battery",
        "phase",
        "held",
        "start",
        "end",
        "offset",
        "lead",
    ];
    Measure {
        additive: known
            && !raw.iter().any(|w| states.contains(&w.as_str()))
            && (!level || weighs && !counted),
        counted,
        aggregated: matches!(
            first,
            "average" | "maximum" | "minimum" | "mean" | "median" | "peak" | "highest" | "lowest"
        ),
    }
}
