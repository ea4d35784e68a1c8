//! What a column is to whoever asks: its role, its noun, its unit, its values.

use bigquill_analysis::schema::{Column, DataType, Mode, quote_name};

use super::descriptions::{self, Missing, Value};
use super::units::{self, Unit};
use super::words;

/// What a column is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// It identifies a thing.
    Key,
    /// It names a thing.
    Label,
    /// It has few values: one groups by it.
    Category,
    /// Free text.
    Text,
    /// E-mail addresses.
    Email,
    /// Paths and addresses of pages.
    Path,
    /// A number to add up or average.
    Measure(Measure),
    /// True or false.
    Flag,
    /// A date or time.
    Time,
    /// A year as a number.
    Year,
    /// Nothing is asked about it, though it may be shown.
    Other,
}

/// How a number behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Measure {
    /// A sum over rows means something.
    pub(super) additive: bool,
    /// The noun is a plural of what is counted: "seats".
    pub(super) counted: bool,
    /// The noun says already what was taken of many: "average heart rate".
    pub(super) aggregated: bool,
}

/// A scalar column, or a scalar field of structs in a row.
#[derive(Debug, Clone)]
pub(super) struct Attribute {
    /// Path from the row, each part as SQL writes it.
    pub(super) path: Vec<String>,
    /// The last part as the schema has it.
    pub(super) name: String,
    pub(super) data_type: DataType,
    pub(super) role: Role,
    /// "delivery fee"
    pub(super) noun: String,
    pub(super) unit: Option<Unit>,
    pub(super) values: Vec<Value>,
    pub(super) range: Option<(f64, f64)>,
    pub(super) missing: Option<Missing>,
    pub(super) required: bool,
    /// What happened at a time, what a flag says.
    pub(super) event: Option<Event>,
    pub(super) state: Option<State>,
}

/// What happens at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Event {
    /// "placed": something that was done to it.
    Passive(String),
    /// "joined": something that it did.
    Active(String),
    /// "expires": something that it does, in the third person.
    Present(String),
}

/// What a flag says where it is true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// "refunded"
    Adjective(String),
    /// "with certificate"
    With(String),
    /// "marked as gift"
    Marked(String),
    /// "in arrears"
    Phrase(String),
}

impl Attribute {
    /// The attribute of a column at `path`, in structs that are called `owners`.
    pub(super) fn new(column: &Column, path: Vec<String>, owners: &[String]) -> Self {
        let own = words::of_name(&column.name);
        let role = role(column, &own);
        let unit = matches!(role, Role::Measure(_))
            .then(|| units::at_end(&words::raw(&column.name)))
            .flatten();
        let mut noun = noun(column, own, role, unit, owners);
        let role = match role {
            Role::Measure(measure) => Role::Measure(measured(&noun, &column.name, measure)),
            Role::Category | Role::Label if noun.rsplit(' ').next().is_some_and(is_open_end) => Role::Other,
            other => other,
        };
        if let Some(rest) = noun.strip_prefix("number of ") {
            noun = rest.to_owned();
        }
        Self {
            name: column.name.clone(),
            data_type: column.data_type.clone(),
            role,
            unit: unit.filter(|unit| !noun.ends_with(unit.words)),
            values: descriptions::values(&column.description, &column.data_type),
            range: descriptions::range(&column.description),
            missing: descriptions::missing(&column.description),
            required: column.mode == Mode::Required,
            event: (role == Role::Time).then(|| event(&column.name)).flatten(),
            state: (role == Role::Flag).then(|| state(&column.name)),
            noun,
            path,
        }
    }

    /// Whether it is a number that is added up or averaged.
    pub(super) fn measure(&self) -> Option<Measure> {
        match self.role {
            Role::Measure(measure) => Some(measure),
            _ => None,
        }
    }
}

const KEYS: &[&str] = &[
    "id", "uuid", "guid", "key", "number", "hash", "token", "uid", "code", "isin", "sku", "imo", "plate",
    "pnr", "cve",
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

fn role(column: &Column, words: &[String]) -> Role {
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
            if integer && (last == "year" || last_raw == "yr") {
                Role::Year
            } else if integer
                && !counts
                && (KEYS.contains(&last.as_str())
                    || matches!(last_raw.as_str(), "no" | "by")
                    || raw.contains(&"id".to_owned()))
            {
                Role::Key
            } else if !counts && (ORDINALS.contains(&last_raw.as_str()) || ORDINALS.contains(&last.as_str()))
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
    } else if has(&["ip", "tag", "addr", "address", "no"]) || has(KEYS) {
        Role::Key
    } else {
        Role::Category
    }
}

/// The measure, seen from its noun and its name.
fn measured(noun: &str, name: &str, measure: Measure) -> Measure {
    let raw = words::raw(name);
    // What is counted stands before "of" and the like: the price per thousand impressions is a price.
    let head = [" of ", " per ", " before ", " after ", " in ", " for "]
        .iter()
        .fold(noun.strip_prefix("number of ").unwrap_or(noun), |noun, word| {
            noun.split(word).next().unwrap_or(noun)
        });
    let last = head.rsplit(' ').next().unwrap_or(head);
    let of_name = |word: &String| NOT_ADDED.contains(&word.as_str());
    let first = noun.split(' ').next().unwrap_or_default();
    let number_of = noun.starts_with("number of ");
    let counted = measure.counted
        || number_of
        || words::is_plural(last) && !matches!(last, "sales" | "gross" | "earnings" | "savings" | "stars");
    let unit_price = raw.contains(&"unit".to_owned()) || raw.contains(&"per".to_owned());
    let tail: Vec<&String> = raw.iter().rev().take(2).collect();
    let level = tail.into_iter().any(of_name) || NOT_ADDED.contains(&last) || unit_price;
    let weighs = matches!(last, "weight" | "distance") || raw.iter().any(|w| w == "bytes");
    let states = [
        "available",
        "occupied",
        "capacity",
        "free",
        "hand",
        "planned",
        "target",
        "held",
    ];
    Measure {
        additive: counted && !level && !raw.iter().any(|w| states.contains(&w.as_str()))
            || !counted && (!level || weighs),
        counted,
        aggregated: matches!(
            first,
            "average" | "maximum" | "minimum" | "mean" | "median" | "peak" | "highest" | "lowest"
        ),
    }
}

/// What people call a column.
fn noun(column: &Column, own: Vec<String>, role: Role, unit: Option<Unit>, owners: &[String]) -> String {
    let mut own = own;
    let open_end = |own: &[String]| {
        own.iter().rev().nth(1).is_some_and(|w| {
            is_open_end(w) || matches!(w.as_str(), "maximum" | "minimum" | "average" | "peak")
        })
    };
    if unit.is_some() && own.len() > 1 && !open_end(&own) {
        let written = own.last().is_some_and(|last| units::is_written(last));
        let measured = [
            "runtime", "duration", "delay", "wait", "lead", "latency", "weight", "size",
        ];
        let rest_says = own
            .iter()
            .rev()
            .nth(1)
            .is_some_and(|w| measured.contains(&w.as_str()));
        let participle = own.iter().rev().nth(1).is_some_and(|w| words::is_adjective(w));
        let spelled = column.name.ends_with("pct") || column.name.ends_with("Pct");
        if !(written && !rest_says || participle && !spelled) {
            own.pop();
        } else if !written && let Some(last) = own.last_mut() {
            // "kilometers" rather than "km" where the unit is all that there is.
            *last = unit.map_or_else(String::new, |u| u.words.to_owned());
        }
        if own
            .last()
            .is_some_and(|w| matches!(w.as_str(), "wait" | "lead" | "dwell"))
        {
            own.push("time".to_owned());
        }
    }
    if own.len() > 1 && own.last().is_some_and(|w| w == "total") {
        own.rotate_right(1);
    }
    if role == Role::Time {
        own = time_words(own, &column.name);
    }
    if role == Role::Flag
        && own.len() > 1
        && own
            .first()
            .is_some_and(|w| matches!(w.as_str(), "is" | "was" | "has"))
    {
        own.remove(0);
    }
    if let [first, of, ..] = own.as_slice()
        && first == "number"
        && of != "of"
        && own.len() > 1
        && matches!(role, Role::Measure(_))
    {
        own.insert(1, "of".to_owned());
    }
    let sayable = own.iter().all(|word| words::is_sayable(word));
    let told = descriptions::noun(&column.description).filter(|_| {
        descriptions::values(&column.description, &column.data_type).is_empty() && role != Role::Flag
    });
    let plain = match told {
        Some(told)
            if !sayable
                || own.len() < 2 && !matches!(role, Role::Time | Role::Key)
                || told.starts_with("number of ") =>
        {
            told
        }
        _ if own.len() == 1 && matches!(role, Role::Measure(_)) => {
            units::spelled(&own[0]).map_or_else(|| own.join(" "), str::to_owned)
        }
        _ => own.join(" "),
    };
    owned(&plain, owners, role)
}

/// Whether a word leaves a phrase open: "discharge to", "price per".
fn is_open_end(word: &str) -> bool {
    matches!(
        word,
        "per" | "to" | "by" | "after" | "at" | "of" | "in" | "from" | "until" | "since" | "for"
    )
}

/// With the struct's name before it, where it is not in it already.
fn owned(plain: &str, owners: &[String], role: Role) -> String {
    let Some(owner) = owners.last() else {
        return plain.to_owned();
    };
    let owner = owner.strip_suffix(" info").unwrap_or(owner);
    let shared = owner
        .split(' ')
        .any(|word| plain.split(' ').any(|own| own == word));
    if plain == "name" && role == Role::Label {
        return format!("{owner} name");
    }
    if shared || plain.starts_with("number of") {
        plain.to_owned()
    } else {
        format!("{owner} {plain}")
    }
}

/// "order date" and "delivery time": the words without what only tells the type.
fn time_words(own: Vec<String>, name: &str) -> Vec<String> {
    let raw = words::raw(name);
    let mut own = own;
    let last = raw.last().map(String::as_str).unwrap_or_default();
    if matches!(last, "since" | "from" | "to" | "until") && raw.len() > 1 {
        return vec![format!("\"{}\" date", own.join(" "))];
    }
    if let ([only], "at" | "on") = (own.as_slice(), last) {
        return vec![if only == "on" { "date" } else { "time" }.to_owned()];
    }
    if own.len() > 1 && matches!(last, "at" | "on" | "ts" | "date" | "time" | "dt" | "day") {
        let kind = if matches!(last, "on" | "date" | "dt" | "day") {
            "date"
        } else {
            "time"
        };
        own.pop();
        match event(name) {
            Some(Event::Passive(verb) | Event::Active(verb)) if own.len() == verb.split(' ').count() => {
                own = named_event(&verb, kind)
            }
            Some(Event::Present(verb)) => own = named_event(&verb, kind),
            _ => own.push(kind.to_owned()),
        }
    } else if own.last().is_some_and(|w| matches!(w.as_str(), "start" | "end")) {
        own.push("time".to_owned());
    }
    own
}

/// "start date", "date placed": an event as the noun of its time.
fn named_event(verb: &str, kind: &str) -> Vec<String> {
    let noun = match verb {
        "started" | "starts" | "begun" | "began" | "begins" => "start",
        "ended" | "ends" => "end",
        "departed" => "departure",
        "arrived" => "arrival",
        "expires" | "expired" => "expiry",
        "renews" => "renewal",
        "closes" => "closing",
        "matures" => "maturity",
        "due" => "due",
        _ => return vec![kind.to_owned(), verb.to_owned()],
    };
    vec![noun.to_owned(), kind.to_owned()]
}

/// What happens at the time of this name.
fn event(name: &str) -> Option<Event> {
    let mut raw = words::raw(name);
    if raw.len() > 1
        && raw.last().is_some_and(|w| {
            matches!(
                w.as_str(),
                "at" | "on" | "date" | "ts" | "time" | "day" | "dt" | "for"
            )
        })
    {
        raw.pop();
    }
    let last = raw.last()?.clone();
    let said = raw.join(" ");
    if raw.len() > 3 || said.contains("valid") {
        return None;
    }
    let particle = matches!(last.as_str(), "up" | "in" | "out" | "off" | "back" | "away") && raw.len() == 2;
    let verb = if particle { raw[0].clone() } else { last.clone() };
    let alone =
        raw.len() == 1 || particle || matches!(raw[0].as_str(), "first" | "last" | "planned" | "actual");
    if !alone {
        return None;
    }
    if matches!(
        verb.as_str(),
        "expires" | "closes" | "matures" | "starts" | "ends" | "renews" | "begins"
    ) {
        return Some(Event::Present(said));
    }
    let active = ["signed", "opted", "logged", "plugged", "checked"].contains(&verb.as_str())
        && particle
        && verb != "plugged"
        || words::is_intransitive(&verb);
    let past = (words::is_participle(&verb) && verb != "open") || words::is_intransitive(&verb);
    (past && said != "read" && said != "set").then(|| {
        if active {
            Event::Active(said)
        } else {
            Event::Passive(said)
        }
    })
}

/// What a flag of this name says.
fn state(name: &str) -> State {
    let raw = words::raw(name);
    let spelled = |from: usize| {
        let rest: Vec<String> = words::of_name(name).into_iter().skip(from).collect();
        rest.join(" ").replace("no show", "no-show")
    };
    let first = raw.first().map(String::as_str).unwrap_or_default();
    let last = raw.last().map(String::as_str).unwrap_or_default();
    match first {
        "has" | "with" | "have" if raw.len() > 1 => State::With(spelled(1)),
        "is" | "was" | "are" if raw.len() > 1 => {
            let rest = spelled(1);
            if rest.contains(' ') || !words::is_adjective(&rest) {
                State::Marked(rest)
            } else {
                State::Adjective(rest)
            }
        }
        "in" | "on" | "out" | "at" | "off" | "under" => State::Phrase(spelled(0)),
        _ if raw.len() == 1 && words::is_adjective(last) => State::Adjective(spelled(0)),
        _ if raw.len() == 2
            && words::is_participle(first)
            && matches!(last, "back" | "up" | "off" | "out" | "in") =>
        {
            State::Adjective(spelled(0))
        }
        _ if raw.len() == 2 && words::is_participle(last) => State::With(spelled(0)),
        "no" | "do" | "open" | "first" => State::Marked(spelled(0)),
        _ if raw.len() == 2 && last == "only" => State::Marked(spelled(0)),
        _ => State::With(spelled(0)),
    }
}

/// Path of a field in a path, quoted where SQL needs it.
pub(super) fn step(path: &[String], name: &str) -> Vec<String> {
    let mut path = path.to_vec();
    path.push(quote_name(name));
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(name: &str, data_type: &str, description: &str) -> Attribute {
        let column = Column {
            name: name.to_owned(),
            data_type: DataType::from_name(data_type),
            mode: Mode::Nullable,
            description: description.to_owned(),
            fields: Vec::new(),
        };
        Attribute::new(&column, vec![name.to_owned()], &[])
    }

    #[test]
    fn nouns_are_what_people_say() {
        let noun = |name, of, description| attribute(name, of, description).noun;
        assert_eq!(noun("latency_ms", "INT64", ""), "latency");
        assert_eq!(noun("watched_seconds", "INT64", ""), "watched seconds");
        assert_eq!(noun("wait_minutes", "INT64", ""), "wait time");
        assert_eq!(
            noun("NEds", "INT64", "total number of edits"),
            "total number of edits"
        );
        assert_eq!(noun("pageviews", "INT64", "number of pages seen"), "pages seen");
        assert_eq!(noun("order_date", "DATE", ""), "order date");
        assert_eq!(noun("placed_at", "TIMESTAMP", ""), "time placed");
    }

    #[test]
    fn numbers_behave_as_their_names_say() {
        let measure = |name| {
            attribute(name, "FLOAT64", "")
                .measure()
                .map(|m| (m.additive, m.counted))
        };
        assert_eq!(measure("total_amount"), Some((true, false)));
        assert_eq!(measure("unit_price"), Some((false, false)));
        assert_eq!(measure("temp_c"), Some((false, false)));
        assert_eq!(measure("steps"), Some((true, true)));
        assert_eq!(measure("latitude"), None);
    }

    #[test]
    fn times_and_flags_tell_what_happened() {
        assert_eq!(
            attribute("placed_at", "TIMESTAMP", "").event,
            Some(Event::Passive("placed".to_owned()))
        );
        assert_eq!(
            attribute("signed_up_at", "TIMESTAMP", "").event,
            Some(Event::Active("signed up".to_owned()))
        );
        assert_eq!(
            attribute("expires_on", "DATE", "").event,
            Some(Event::Present("expires".to_owned()))
        );
        assert_eq!(attribute("order_date", "DATE", "").event, None);
        assert_eq!(
            attribute("is_gift", "BOOL", "").state,
            Some(State::Marked("gift".to_owned()))
        );
        assert_eq!(
            attribute("refunded", "BOOL", "").state,
            Some(State::Adjective("refunded".to_owned()))
        );
        assert_eq!(
            attribute("has_solar", "BOOL", "").state,
            Some(State::With("solar".to_owned()))
        );
    }
}
