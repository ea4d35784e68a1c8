//! What a column is to whoever asks: its role, its noun, its unit, its values.

use bigquill_analysis::schema::{Column, DataType, Mode, quote_name};

mod nouns;
mod roles;
mod stored;

pub(super) use roles::is_weight;

use nouns::{head, is_open_end, noun, told, told_as_name};
use roles::{is_part, measured, role};
use stored::Stored;

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
    /// The type of what is asked about: of the time itself, where the column keeps it as something else.
    pub(super) data_type: DataType,
    pub(super) stored: Option<Stored>,
    pub(super) role: Role,
    /// "delivery fee"
    pub(super) noun: String,
    /// The noun without that of the struct that it is in, where it is in one: "genre" for "book genre".
    pub(super) bare: Option<String>,
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
    /// "showed up": what it did.
    Did(String),
}

impl Attribute {
    /// The attribute of a column at `path`, in structs that are called `owners`.
    pub(super) fn new(column: &Column, path: Vec<String>, owners: &[String]) -> Self {
        let stored = Stored::of(column);
        let data_type = stored
            .as_ref()
            .map_or_else(|| column.data_type.clone(), Stored::data_type);
        let own = words::of_name(&column.name);
        let told = if owners.is_empty() { told(column) } else { None };
        let role = match &told {
            _ if stored.is_some() => Role::Time,
            Some(told) => role(&told_as_name(column, told), &words::of_name(head(told))),
            None => role(column, &own),
        };
        let described = told.as_ref().and_then(|_| units::described(&column.description));
        let unit = matches!(role, Role::Measure(_))
            .then(|| described.or_else(|| units::at_end(&words::raw(&column.name))))
            .flatten();
        let (mut noun, bare) = match told {
            Some(told) => (told, None),
            None => noun(column, own, role, unit, owners),
        };
        let mut values = descriptions::values(&column.description, &column.data_type);
        let range = descriptions::range(&column.description);
        if let (Role::Measure(_) | Role::Other, true, DataType::Int64) =
            (role, values.is_empty() && is_part(&noun), &data_type)
        {
            values = descriptions::numbers(range);
        }
        let role = match role {
            _ if stored.is_none() && !values.is_empty() && data_type == DataType::Int64 => Role::Category,
            // What a row stands for is nobody's figure.
            Role::Measure(_) if is_weight(&noun) => Role::Other,
            Role::Measure(measure) => {
                let mut measure = measured(&noun, &column.name, measure);
                // What lies between two bounds is a grade, and grades are not added up.
                measure.additive &= range.is_none();
                // Debts and assets are amounts, not things that one counts.
                measure.counted &= unit.is_none_or(|unit| !matches!(unit.short, "EUR" | "USD"));
                Role::Measure(measure)
            }
            Role::Category | Role::Label if noun.rsplit(' ').next().is_some_and(is_open_end) => Role::Other,
            other => other,
        };
        if let Some(rest) = noun.strip_prefix("number of ") {
            noun = rest.to_owned();
        }
        let mut bare = bare.map(|bare| bare.strip_prefix("number of ").map(str::to_owned).unwrap_or(bare));
        if role == Role::Category && !descriptions::are_answers(&values) {
            noun = words::singular(&noun);
            bare = bare.map(|bare| words::singular(&bare));
        }
        Self {
            name: column.name.clone(),
            data_type,
            stored,
            role,
            unit: unit.filter(|unit| !noun.ends_with(unit.words)),
            values,
            range,
            missing: descriptions::missing(&column.description),
            required: column.mode == Mode::Required,
            event: (role == Role::Time).then(|| event(&column.name)).flatten(),
            state: (role == Role::Flag).then(|| state(&column.name)),
            noun,
            bare,
            path,
        }
    }

    /// Of visits nobody says that they visited: the time is the visit's.
    pub(super) fn forget_event_of(&mut self, row: &str) {
        let last = row.rsplit(' ').next().unwrap_or(row);
        let said = match &self.event {
            Some(Event::Passive(verb) | Event::Active(verb)) => verb.starts_with(last) && last.len() > 3,
            _ => false,
        };
        if said {
            let kind = if self.noun.starts_with("date") {
                "date"
            } else {
                "time"
            };
            self.noun = format!("{last} {kind}");
            self.event = None;
        }
    }

    /// Of respondents nobody says the sex of the respondent.
    pub(super) fn forget_owner(&mut self, row: &str) {
        let last = row.rsplit(' ').next().unwrap_or(row);
        let own = [row, last]
            .iter()
            .find_map(|owner| self.noun.strip_suffix(&format!(" of the {owner}")));
        if let Some(own) = own.filter(|own| {
            ![
                "index",
                "level",
                "type",
                "kind",
                "size",
                "start",
                "end",
                "beginning",
                "time",
                "date",
            ]
            .contains(own)
        }) {
            self.noun = own.to_owned();
        }
    }

    /// What is asked about, in SQL, where `column` is the column.
    pub(super) fn sql(&self, column: String) -> String {
        self.stored
            .as_ref()
            .map_or(column.clone(), |stored| stored.sql(&column))
    }

    /// Whether rows may be without it: an order from low to high would begin with those.
    pub(super) fn may_lack(&self) -> bool {
        self.missing.is_some() || self.path.len() > 1
    }

    /// Whether it is a number that is added up or averaged.
    pub(super) fn measure(&self) -> Option<Measure> {
        match self.role {
            Role::Measure(measure) => Some(measure),
            _ => None,
        }
    }
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
    if raw == ["out"] {
        return Some(Event::Passive("taken out".to_owned()));
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
    if !past || said == "read" || said == "set" {
        return None;
    }
    Some(if active {
        Event::Active(said)
    } else {
        Event::Passive(said)
    })
}

/// What a flag of this name says.
fn state(name: &str) -> State {
    let raw = words::raw(name);
    let spelled = |from: usize| {
        let rest: Vec<String> = words::of_name(name).into_iter().skip(from).collect();
        rest.join(" ").replace("number show", "no-show")
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
            && matches!(last, "up" | "in")
            && matches!(first, "showed" | "signed" | "opted" | "logged" | "checked") =>
        {
            State::Did(spelled(0))
        }
        _ if raw.len() == 2
            && words::is_participle(first)
            && matches!(last, "back" | "up" | "off" | "out" | "in") =>
        {
            State::Adjective(spelled(0))
        }
        "machine" | "auto" | "self" | "fully" | "partly" | "newly" | "hand"
            if raw.len() == 2 && words::is_participle(last) =>
        {
            State::Phrase(spelled(0))
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
mod tests;
