//! What people call a column.

use bigquill_analysis::schema::{Column, DataType};

use super::super::descriptions;
use super::super::units::{self, Unit};
use super::super::words;
use super::{Event, Role, event};

/// What people call a column in structs that are called `owners`; and without them, where that is another name.
pub(super) fn noun(
    column: &Column,
    own: Vec<String>,
    role: Role,
    unit: Option<Unit>,
    owners: &[String],
) -> (String, Option<String>) {
    let mut own = own;
    let open_end = |own: &[String]| {
        own.iter().rev().nth(1).is_some_and(|w| {
            is_open_end(w) || matches!(w.as_str(), "maximum" | "minimum" | "average" | "peak")
        })
    };
    if unit.is_some() && own.len() > 1 && !open_end(&own) {
        let written = own.last().is_some_and(|last| units::is_written(last));
        let measured = [
            "runtime", "duration", "delay", "wait", "lead", "latency", "weight", "size", "pressure",
        ];
        let rest_says = own
            .iter()
            .rev()
            .nth(1)
            .is_some_and(|w| measured.contains(&w.as_str()));
        let participle = own.iter().rev().nth(1).is_some_and(|w| words::is_adjective(w));
        let spelled = column.name.ends_with("pct") || column.name.ends_with("Pct");
        let kept = written && !rest_says || participle && !spelled;
        if !kept {
            own.truncate(own.len().saturating_sub(unit.map_or(1, units::length)).max(1));
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
    if own.len() > 1
        && own
            .last()
            .is_some_and(|w| matches!(w.as_str(), "total" | "average" | "maximum" | "minimum"))
    {
        own.rotate_right(1);
    }
    if role == Role::Time {
        own = time_words(own, &column.name, &column.data_type);
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
        // "lines" told of "added" are lines added.
        Some(told) if own.len() == 1 && words::is_participle(&own[0]) && words::is_plural(&told) => {
            format!("{told} {}", own[0])
        }
        Some(told)
            if !sayable
                || own.len() < 2 && !matches!(role, Role::Time | Role::Key)
                || told.starts_with("number of ") =>
        {
            told
        }
        _ if own.len() == 1 && words::is_participle(&own[0]) && unit.is_some_and(|u| u.short == "%") => {
            format!("{} percentage", own[0])
        }
        _ if own.len() == 1
            && matches!(role, Role::Measure(_))
            && column.data_type != DataType::Int64
            && unit.is_none()
            && words::is_participle(&own[0]) =>
        {
            format!("{} amount", own[0])
        }
        _ if own.len() == 1 && matches!(role, Role::Measure(_)) => {
            units::spelled(&own[0]).map_or_else(|| own.join(" "), str::to_owned)
        }
        _ => own.join(" "),
    };
    let owned = owned(&plain, owners, role);
    let bare = (owned != plain).then_some(plain);
    (owned, bare)
}

/// Whether a word leaves a phrase open: "discharge to", "price per".
pub(super) fn is_open_end(word: &str) -> bool {
    matches!(
        word,
        "per"
            | "to"
            | "by"
            | "after"
            | "at"
            | "of"
            | "in"
            | "from"
            | "until"
            | "since"
            | "for"
            | "through"
            | "via"
            | "with"
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
fn time_words(own: Vec<String>, name: &str, data_type: &DataType) -> Vec<String> {
    let raw = words::raw(name);
    let mut own = own;
    if let [only @ ("since" | "due" | "expires" | "renews" | "starts" | "ends")] =
        raw.iter().map(String::as_str).collect::<Vec<_>>().as_slice()
    {
        return match *only {
            "since" => vec!["\"since\" date".to_owned()],
            other => named_event(other, "date"),
        };
    }
    let last = raw.last().map(String::as_str).unwrap_or_default();
    if matches!(last, "since" | "from" | "to" | "until") && raw.len() > 1 {
        return vec![format!("\"{}\" date", own.join(" "))];
    }
    if let [edge @ ("from" | "to"), ..] = raw.iter().map(String::as_str).collect::<Vec<_>>().as_slice()
        && raw.len() == 2
    {
        return vec![
            if *edge == "from" { "start" } else { "end" }.to_owned(),
            "time".to_owned(),
        ];
    }
    let spoken: Vec<&str> = raw.iter().map(String::as_str).collect();
    if let [thing @ .., verb @ ("expires" | "ends" | "starts" | "renews")]
    | [
        thing @ ..,
        verb @ ("expires" | "ends" | "starts" | "renews"),
        "on" | "at" | "date",
    ] = spoken.as_slice()
        && !thing.is_empty()
    {
        let things = thing.iter().map(|w| (*w).to_owned());
        return things.chain(named_event(verb, "date")).collect();
    }
    if let Some(Event::Passive(verb) | Event::Active(verb)) = event(name)
        && verb == own.join(" ")
        && raw.len() == 1
    {
        return named_event(
            &verb,
            if data_type == &DataType::Date {
                "date"
            } else {
                "time"
            },
        );
    }
    if raw == ["out", "at"] {
        return vec!["time taken out".to_owned()];
    }
    if let ([only], "at" | "on") = (own.as_slice(), last) {
        return vec![if only == "on" { "date" } else { "time" }.to_owned()];
    }
    if let ([way @ ("in" | "out" | "on" | "off")], true) = (
        raw.iter()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .get(..1)
            .unwrap_or_default(),
        raw.len() == 2 && last == "at",
    ) {
        return vec!["time".to_owned(), (*way).to_owned()];
    }
    if own.len() > 1 && matches!(last, "at" | "on" | "ts" | "date" | "time" | "dt" | "day" | "for") {
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
        "trial ends" => "trial end",
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
