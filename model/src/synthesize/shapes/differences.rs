//! What lies between two times: durations, delays, gaps between one row and the next, first and last.

use bigquill_analysis::schema::DataType;

use super::super::columns::{Event, Role};
use super::super::conditions::{self, Condition};
use super::super::dice::Dice;
use super::super::phrases::{Style, each, finished, style, subject, where_clause};
use super::super::source::{Field, Source};
use super::super::words;
use super::stages::stage;
use super::{Context, Draft, Reach, grouped, select, source};

/// Two times of a row, the earlier first, in a unit that fits.
struct Span<'s, 'm> {
    from: &'s Field<'m>,
    to: &'s Field<'m>,
    /// "DAY"
    unit: &'static str,
    /// "days"
    said: &'static str,
    /// The difference.
    sql: String,
}

fn spans<'s, 'm>(source: &'s Source<'m>, dice: &mut Dice) -> Option<Span<'s, 'm>> {
    let times = source.own(|a| a.role == Role::Time);
    let mut pairs = Vec::new();
    for (place, from) in times.iter().enumerate() {
        // Schemas tell times in the order in which they happen.
        for to in &times[place + 1..] {
            let (a, b) = (stage(from), stage(to));
            // What went out comes back, where things do not come in first.
            let lent = words::raw(&from.attribute.name)[0] == "out"
                && to.attribute.name.to_lowercase().contains("return");
            let a = if lent { 2 } else { a };
            let family = |f: &Field<'_>| f.attribute.path[..f.attribute.path.len() - 1].to_vec();
            // What is cancelled is so before it begins.
            let never = a > 1 && to.attribute.name.to_lowercase().contains("cancel");
            if a > 0 && b > a && !never && family(from) == family(to) {
                pairs.push((*from, *to));
            }
        }
    }
    let (from, to) = *dice.pick(&pairs)?;
    let fine = from.attribute.data_type != DataType::Date && to.attribute.data_type != DataType::Date;
    let brief = [
        "ride", "call", "charg", "start", "queued", "entered", "dispatch", "pick", "mission", "task",
        "session", "dep", "stop", "contact",
    ];
    let is_brief = fine
        && brief
            .iter()
            .any(|w| from.attribute.name.to_lowercase().contains(w) || source.subject.one.contains(w));
    let (unit, said) = if is_brief {
        *dice.pick(&[
            ("MINUTE", "minutes"),
            ("SECOND", "seconds"),
            ("MINUTE", "minutes"),
        ])?
    } else if fine {
        *dice.pick(&[("HOUR", "hours"), ("DAY", "days"), ("HOUR", "hours")])?
    } else {
        ("DAY", "days")
    };
    let date = |f: &Field<'_>| {
        if f.attribute.data_type == DataType::Date {
            f.sql.clone()
        } else {
            format!("DATE({})", f.sql)
        }
    };
    let same = from.attribute.data_type == to.attribute.data_type;
    let sql = match (&from.attribute.data_type, fine && same) {
        (DataType::Timestamp, true) => format!("TIMESTAMP_DIFF({}, {}, {unit})", to.sql, from.sql),
        (DataType::DateTime, true) => format!("DATETIME_DIFF({}, {}, {unit})", to.sql, from.sql),
        _ if unit == "DAY" => format!("DATE_DIFF({}, {}, DAY)", date(to), date(from)),
        _ => return None,
    };
    Some(Span {
        from,
        to,
        unit,
        said,
        sql,
    })
}

/// Verbs of what happens to a thing and the nouns of that.
const HAPPENINGS: &[(&str, &str)] = &[
    ("opened", "opening"),
    ("closed", "closing"),
    ("ordered", "order"),
    ("delivered", "delivery"),
    ("shipped", "shipping"),
    ("booked", "booking"),
    ("admitted", "admission"),
    ("discharged", "discharge"),
    ("returned", "return"),
    ("approved", "approval"),
    ("submitted", "submission"),
    ("published", "publication"),
    ("created", "creation"),
    ("resolved", "resolution"),
    ("paid", "payment"),
    ("started", "start"),
    ("ended", "end"),
    ("finished", "end"),
    ("reported", "report"),
    ("repaired", "repair"),
    ("requested", "request"),
    ("completed", "completion"),
    ("launched", "launch"),
    ("enrolled", "enrollment"),
    ("installed", "installation"),
    ("dispatched", "dispatch"),
    ("issued", "issue"),
    ("filed", "filing"),
];

/// "opening", "delivery": what happens at a time as a noun.
fn happening(field: &Field<'_>) -> Option<&'static str> {
    let Some(Event::Passive(verb) | Event::Active(verb)) = &field.attribute.event else {
        return None;
    };
    HAPPENINGS
        .iter()
        .find(|(done, _)| done == verb)
        .map(|(_, noun)| *noun)
}

/// "being placed", "the order date".
fn moment(field: &Field<'_>) -> String {
    match &field.attribute.event {
        Some(Event::Passive(verb)) if verb != "due" => format!("being {verb}"),
        _ => {
            let noun = &field.attribute.noun;
            let happening = ["time of ", "date of "]
                .iter()
                .find_map(|kind| noun.strip_prefix(kind));
            happening.map_or_else(|| format!("the {noun}"), str::to_owned)
        }
    }
}

impl Span<'_, '_> {
    fn between(&self, dice: &mut Dice) -> String {
        let (from, to) = match (happening(self.from), happening(self.to)) {
            (Some(from), Some(to)) if dice.chance(0.5) => (from.to_owned(), to.to_owned()),
            _ => (moment(self.from), moment(self.to)),
        };
        match dice.below(2) {
            0 => format!("between {from} and {to}"),
            _ => format!("from {from} to {to}"),
        }
    }

    /// Rows without an end have no duration.
    fn ended(&self) -> Option<Condition> {
        let open = self.to.attribute.missing.is_some() || !self.to.attribute.required;
        open.then(|| Condition {
            sql: format!("{} IS NOT NULL", self.to.sql),
            about: self.to.sql.clone(),
            ..Condition::default()
        })
    }
}

/// The average duration, of all or in groups.
pub(super) fn average(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let (source, dimension) = if dice.chance(0.6) {
        let (source, dimension) = grouped(context, Reach::Joined, dice, 0.2)?;
        (source, Some(dimension))
    } else {
        (source(context, Reach::Joined, dice)?, None)
    };
    let span = spans(&source, dice)?;
    let mut conditions = conditions::some(&source, dice, 1);
    conditions.retain(|c| c.about != span.to.sql && dimension.as_ref().is_none_or(|d| d.about != c.about));
    conditions::complete(&source, dice, &mut conditions);
    let rows = subject(&source, &conditions, dice);
    let (function, word) = dice.weighted(&[
        (("AVG", "average"), 5.0),
        (("MAX", "longest"), 1.0),
        (("MIN", "shortest"), 0.4),
    ])?;
    let between = span.between(dice);
    let mut rows = rows;
    let finished_only = match (&span.to.attribute.event, span.ended()) {
        (Some(Event::Passive(verb)), Some(condition)) if dice.chance(0.5) => {
            conditions.push(condition);
            match dice.below(3) {
                0 => format!(", counting only those already {verb}"),
                1 => format!(", for those already {verb}"),
                _ => {
                    rows = format!("{verb} {rows}");
                    String::new()
                }
            }
        }
        _ => String::new(),
    };
    let style = style(dice);
    let unit = span.said;
    let of = format!("of {rows}");
    let text = match style {
        Style::Terse if dice.chance(0.4) => format!("{word} number of {unit} {between} {of}")
            .replace("longest number", "highest number")
            .replace("shortest number", "lowest number"),
        Style::Terse => format!("{word} {unit} {between} {of}"),
        Style::Sentence if function == "AVG" && dice.chance(0.6) => match dice.below(3) {
            0 => format!("How long is it on average, in {unit}, {between} {of}"),
            _ => {
                let (from, to) = (moment(span.from), moment(span.to));
                format!("How many {unit} do {rows} take on average from {from} to {to}")
            }
        },
        Style::Sentence => format!("What is the {word} time in {unit} {between} {of}"),
        Style::Order => format!(
            "{} the {word} number of {unit} {between} {of}",
            dice.word(&["Show", "Compute", "Give"])
        )
        .replace("longest number", "highest number")
        .replace("shortest number", "lowest number"),
    };
    let expression = format!("{function}({})", span.sql);
    let name = format!("{}_{}", function.to_lowercase(), span.said);
    let (text, sql) = match dimension {
        Some(dimension) => {
            let alias = source.free_name(&name);
            let order = if dimension.is_time {
                format!(" ORDER BY {}", dimension.name)
            } else {
                String::new()
            };
            (
                format!(
                    "{text}, {} {}{finished_only}",
                    dice.word(&["per", "by", "for each"]),
                    dimension.noun
                ),
                format!(
                    "SELECT {}, {expression} AS {alias} FROM {}{} GROUP BY {}{order}",
                    dimension.select,
                    source.from,
                    where_clause(&conditions),
                    dimension.group
                ),
            )
        }
        None => (
            format!("{text}{finished_only}"),
            format!(
                "SELECT {expression} FROM {}{}",
                source.from,
                where_clause(&conditions)
            ),
        ),
    };
    Some(Draft {
        question: finished(style, &text, dice),
        sql,
    })
}

/// Rows that took longer than so much, or each row with what it took.
pub(super) fn rows(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let source = source(context, Reach::Joined, dice)?;
    let span = spans(&source, dice)?;
    let names: Vec<String> = source.names().iter().map(|f| f.sql.clone()).collect();
    if names.is_empty() {
        return None;
    }
    let mut conditions = conditions::some(&source, dice, 1);
    conditions.retain(|c| c.about != span.to.sql && c.about != span.from.sql);
    conditions::complete(&source, dice, &mut conditions);
    let rows = subject(&source, &conditions, dice);
    let style = style(dice);
    let between = span.between(dice);
    let unit = span.said;
    let each = each(&source, &rows, &conditions);
    if dice.chance(0.4) {
        let mut columns = names;
        columns.push(format!("{} AS {}", span.sql, source.free_name(unit)));
        let text = match style {
            Style::Terse => format!("{unit} {between} for {each}"),
            Style::Sentence => format!("How many {unit} passed {between} for {each}"),
            Style::Order => format!(
                "{} the {rows} with the number of {unit} {between}",
                dice.word(&["List", "Show"])
            ),
        };
        return Some(Draft::select(
            finished(style, &text, dice),
            &select(&columns)?,
            &source,
            &conditions,
            "",
        ));
    }
    let limit = match span.unit {
        "SECOND" => *dice.pick(&[30, 60, 120, 300])?,
        "MINUTE" => *dice.pick(&[5, 10, 15, 30, 45, 60, 90])?,
        "HOUR" => *dice.pick(&[2, 4, 12, 24, 48, 72])?,
        _ => *dice.pick(&[2, 3, 7, 10, 14, 30, 60, 90])?,
    };
    let (sign, word) = if dice.chance(0.75) {
        (">", "more than")
    } else {
        ("<", "less than")
    };
    conditions.push(Condition {
        sql: format!("{} {sign} {limit}", span.sql),
        ..Condition::default()
    });
    let with = format!("with {word} {limit} {unit} {between}");
    let counts = dice.chance(0.4) && source.table.countable;
    let text = match (style, counts) {
        (Style::Terse, true) => format!("number of {rows} {with}"),
        (_, true) => format!("How many {rows} have {word} {limit} {unit} {between}"),
        (Style::Terse, false) => format!("{rows} {with}"),
        (Style::Sentence, false) => format!("Which {rows} have {word} {limit} {unit} {between}"),
        (Style::Order, false) => format!("{} {rows} {with}", dice.word(&["List", "Find all"])),
    };
    let what = if counts {
        "COUNT(*)".to_owned()
    } else {
        select(&names)?
    };
    Some(Draft::select(
        finished(style, &text, dice),
        &what,
        &source,
        &conditions,
        "",
    ))
}

/// The share of rows that came after the time that was set for them.
pub(super) fn late(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let source = source(context, Reach::Joined, dice)?;
    let set = source.own(|a| {
        a.role == Role::Time
            && ["due", "promised", "eta", "sched", "planned"]
                .iter()
                .any(|w| words::raw(&a.name).iter().any(|r| r == w))
    });
    let limit = *dice.pick(&set)?;
    let happened = source.own(|a| {
        let name = a.name.to_lowercase();
        a.role == Role::Time
            && a.name != limit.attribute.name
            && [
                "delivered",
                "returned",
                "closed",
                "paid",
                "arrived",
                "actual",
                "finished",
                "resolved",
                "solved",
            ]
            .iter()
            .any(|w| name.contains(w))
    });
    let happened: Vec<_> = happened
        .into_iter()
        .filter(|f| {
            !limit.attribute.name.starts_with("sched")
                || f.attribute
                    .name
                    .ends_with(limit.attribute.name.trim_start_matches("sched"))
        })
        .collect();
    let done = *dice.pick(&happened)?;
    let date = |f: &Field<'_>| {
        if f.attribute.data_type == DataType::Date {
            f.sql.clone()
        } else {
            format!("DATE({})", f.sql)
        }
    };
    let fine = done.attribute.data_type == limit.attribute.data_type;
    let comparison = if fine {
        format!("{} > {}", done.sql, limit.sql)
    } else {
        format!("{} > {}", date(done), date(limit))
    };
    let Some(Event::Passive(verb) | Event::Active(verb)) = done.attribute.event.clone() else {
        return None;
    };
    let after = format!("{verb} after the {}", limit.attribute.noun);
    let mut conditions = conditions::some(&source, dice, 1);
    conditions.retain(|c| c.about != done.sql && c.about != limit.sql);
    conditions::complete(&source, dice, &mut conditions);
    let rows = subject(&source, &conditions, dice);
    let style = style(dice);
    if dice.chance(0.4) {
        conditions.push(Condition {
            sql: comparison,
            ..Condition::default()
        });
        let text = match style {
            Style::Terse => format!("number of {rows} {after}"),
            Style::Sentence => format!("How many {rows} were {after}"),
            Style::Order => format!("Count the {rows} that were {after}"),
        };
        return Some(Draft::select(
            finished(style, &text, dice),
            "COUNT(*)",
            &source,
            &conditions,
            "",
        ));
    }
    conditions.push(Condition {
        sql: format!("{} IS NOT NULL", done.sql),
        ..Condition::default()
    });
    let text = match style {
        Style::Terse => format!(
            "share of {rows} {after}, {}",
            dice.word(&["among those {}", "among the {} ones", "of those already {}"])
                .replace("{}", &verb)
        ),
        Style::Sentence => format!("Of the {rows} that have been {verb}, what share was {after}"),
        Style::Order => {
            format!("Compute the share of {rows} that were {after}, leaving out those not yet {verb}")
        }
    };
    Some(Draft::select(
        finished(style, &text, dice),
        &format!("COUNTIF({comparison}) / COUNT(*)"),
        &source,
        &conditions,
        "",
    ))
}
