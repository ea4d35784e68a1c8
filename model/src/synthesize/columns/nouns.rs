//! What people call a column.

use bigquill_analysis::schema::{Column, DataType};

use super::super::descriptions;
use super::super::units::{self, Unit};
use super::super::words;
use super::{Event, Role, event};

/// Most words of a noun that stands for a name that nobody can read.
const LONGEST: usize = 9;

/// Letters up to which a word that the description has not says nothing.
const SHORTEST: usize = 5;

/// Short words that names have and everybody reads.
const READ: &[&str] = &[
    "id", "at", "on", "in", "of", "is", "to", "by", "no", "up", "per", "and", "the", "day", "age", "tax",
    "fee", "net", "tip", "due", "end", "new", "sex", "pay", "car", "bus", "gas", "oil", "air", "max", "min",
    "avg", "num", "pct", "qty", "km", "kg", "cm", "mm", "ms", "web", "app", "ad", "zip", "tag",
];

/// What the description calls a column whose name nobody can read: "received quantity" for `qtyRcv`.
pub(super) fn told(column: &Column) -> Option<String> {
    let description = column.description.split(" as ").next().unwrap_or_default();
    let listed = !descriptions::values(&column.description, &column.data_type).is_empty();
    if column.data_type == DataType::Bool
        || listed && !column.description.contains(": ")
        || !is_cryptic(&column.name, description)
    {
        return None;
    }
    // "identifier of the household" is a household ID.
    let turned = ["identifier", "number", "code", "name"].iter().find_map(|kind| {
        let start = description.split([',', ';', ':', '(', '.']).next()?;
        let thing = start.strip_prefix(kind)?.strip_prefix(" of the ")?;
        let kind = if *kind == "identifier" { "ID" } else { kind };
        (thing.split(' ').count() <= 3).then(|| format!("{thing} {kind}"))
    });
    turned.or_else(|| descriptions::noun(description, LONGEST))
}

/// The part of a noun that says what it is: "date" of "date of admission".
pub(super) fn head(noun: &str) -> &str {
    if noun.starts_with("number of ") {
        return noun;
    }
    let ends = [
        " of ", " in ", " at ", " for ", " on ", " per ", " to ", " from ", " with ",
    ];
    let end = ends.iter().filter_map(|end| noun.find(end)).min();
    end.map_or(noun, |end| &noun[..end])
}

/// The column as if it were called by its noun.
pub(super) fn told_as_name(column: &Column, noun: &str) -> Column {
    Column {
        name: head(noun).replace(' ', "_"),
        ..column.clone()
    }
}

/// Whether a name has a word that only the description explains: a short form of a word of it, or letters that say
/// nothing.
fn is_cryptic(name: &str, description: &str) -> bool {
    let described = words::raw(description);
    if described.is_empty() {
        return false;
    }
    let own = words::raw(name);
    let plain = |word: &String| {
        described.contains(word) || READ.contains(&word.as_str()) || units::spelled(word).is_some()
    };
    let known = |word: &String| plain(word) || words::is_known(word) || words::is_participle(word);
    // Short words of which the description has none.
    if own.iter().all(|word| word.len() <= SHORTEST && !known(word)) {
        return true;
    }
    own.iter().any(|word| {
        let figures = word.chars().any(char::is_numeric);
        let letters = word.chars().any(char::is_alphabetic);
        let shortened = described
            .iter()
            .any(|whole| is_short_for(word, whole) || is_glued_to(word, whole));
        letters
            && word.is_ascii()
            && !plain(word)
            && (figures || shortened || !words::is_sayable(word) || word.len() < 4 && !words::is_known(word))
    })
}

/// Whether a word is written short for another: "outst" for "outstanding", but not "order" for "ordered".
fn is_short_for(word: &str, whole: &str) -> bool {
    let bent = ["ed", "ing", "er", "ers", "es", "ly", "al", "ion", "ment", "ity"];
    if whole.len() < word.len() + 2
        || word.chars().next() != whole.chars().next()
        || whole.strip_prefix(word).is_some_and(|end| bent.contains(&end))
    {
        return false;
    }
    let mut letters = whole.chars();
    word.chars().all(|letter| letters.any(|other| other == letter))
}

/// Whether a word is another with a few letters at one end that say nothing: "pcreated", "agey".
fn is_glued_to(word: &str, whole: &str) -> bool {
    let behind = word.strip_prefix(whole).filter(|_| whole.len() > 2);
    let rest = behind.or_else(|| word.strip_suffix(whole).filter(|_| whole.len() > 3));
    let bent = [
        "s", "es", "d", "ed", "er", "ly", "ing", "al", "re", "un", "in", "sub", "pre",
    ];
    rest.is_some_and(|rest| (1..=3).contains(&rest.len()) && !bent.contains(&rest))
}

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
    let told = descriptions::noun(&column.description, descriptions::SHORT_NOUN).filter(|_| {
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
        _ if own == ["as", "of"] => "date".to_owned(),
        _ if own.len() == 1
            && matches!(role, Role::Measure(_))
            && unit.is_none()
            && words::is_participle(&own[0]) =>
        {
            format!("number {}", own[0])
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
