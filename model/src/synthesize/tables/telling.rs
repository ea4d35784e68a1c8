//! What the attributes of a table tell together: when its rows happened, which names are enough.

use std::collections::HashMap;

use bigquill_analysis::schema::TableSchema;

use super::super::columns::{Attribute, Event, Role};
use super::super::words;
use super::Noun;

/// When a row happened: the partitioning column, else the first time that is told.
pub(super) fn time_of(schema: &TableSchema, attributes: &[Attribute]) -> (Option<usize>, bool) {
    let required = schema.partitioning.as_ref().is_some_and(|p| p.require_filter);
    let partition = schema.partitioning.as_ref().and_then(|p| p.column.as_deref());
    let named = |name: &str| {
        attributes
            .iter()
            .position(|a| a.role == Role::Time && a.path.len() == 1 && a.name.eq_ignore_ascii_case(name))
    };
    if let Some(index) = partition.and_then(named) {
        return (Some(index), required);
    }
    // Lives and what is still to come are not when the row happened.
    let others = [
        "birth", "born", "dob", "founded", "due", "expir", "until", "valid", "renew", "deadline", "promised",
        "eta",
    ];
    let first = attributes.iter().position(|a| {
        let told =
            |word: &&str| a.name.to_lowercase().contains(word) || a.stored.is_some() && a.noun.contains(word);
        a.role == Role::Time && a.path.len() == 1 && !others.iter().any(told)
    });
    (first, false)
}

/// Whether rows are what happened at this time, rather than things that stay: "visits in May".
pub(super) fn happens(time: &Attribute, noun: &Noun) -> bool {
    let happened = [
        "placed",
        "ordered",
        "committed",
        "sent",
        "received",
        "issued",
        "submitted",
        "logged",
        "requested",
        "booked",
        "made",
        "taken",
        "taken out",
        "reported",
        "recorded",
        "posted",
        "paid",
        "played",
        "held",
        "filed",
        "raised",
        "departed",
        "measured",
        "occurred",
        "happened",
    ];
    let of_thing = ["last", "first", "updated", "changed", "start", "end", "in", "out"];
    let mut raw = words::raw(&time.name);
    raw.extend(time.noun.split(' ').map(str::to_owned));
    // What was found out of things at a time did not happen then.
    let found_out = ["interview", "questionnaire", "visit", "bill"];
    let asked = time.stored.is_some()
        && raw
            .iter()
            .any(|w| found_out.contains(&w.as_str()) && !noun.one.contains(w.as_str()));
    !words::is_person(&noun.one)
        && !asked
        && match &time.event {
            None => !raw.iter().any(|w| of_thing.contains(&w.as_str())) && !time.noun.starts_with('"'),
            Some(Event::Passive(verb) | Event::Active(verb)) => happened.contains(&verb.as_str()),
            Some(Event::Present(_)) => false,
        }
}

/// Takes the struct out of the nouns of the fields in it where what is left names one thing only.
pub(super) fn shorten(attributes: &mut [Attribute], thing: &str) {
    // These say nothing without what they are of.
    let empty = [
        "name",
        "ID",
        "type",
        "kind",
        "status",
        "value",
        "code",
        "date",
        "time",
        "level",
        "description",
        "number",
        "label",
        "model",
        "version",
        "text",
        "key",
        "address",
        "start time",
        "end time",
        "count",
        "state",
    ];
    let mut uses: HashMap<String, usize> = HashMap::new();
    for attribute in attributes.iter() {
        *uses.entry(attribute.noun.clone()).or_default() += 1;
        if let Some(bare) = attribute.bare.as_ref().filter(|bare| **bare != attribute.noun) {
            *uses.entry(bare.clone()).or_default() += 1;
        }
    }
    for attribute in attributes {
        let bare = attribute.bare.clone();
        if let Some(bare) = bare.filter(|b| uses[b] == 1 && b != thing && !empty.contains(&b.as_str())) {
            attribute.noun = bare;
        }
    }
}

/// People return and register; things are returned and registered.
pub(super) fn done_to(attributes: &mut [Attribute], noun: &Noun) {
    if words::is_person(&noun.one) {
        return;
    }
    for attribute in attributes {
        if let Some(Event::Active(verb)) = &attribute.event
            && matches!(
                verb.as_str(),
                "registered" | "finished" | "entered" | "visited" | "started" | "retired"
            )
        {
            attribute.event = Some(Event::Passive(verb.clone()));
        }
    }
}
