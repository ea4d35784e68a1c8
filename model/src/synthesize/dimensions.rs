//! What rows are grouped by: columns, things that rows belong to, spans of time; in SQL and in words.

use bigquill_analysis::schema::{DataType, quote_name};

use super::columns::{Attribute, Event, Role};
use super::conditions::is_answer;
use super::dice::Dice;
use super::source::{Field, Source, snake};
use super::words;

/// A grouping.
#[derive(Debug, Clone)]
pub(super) struct Dimension {
    /// Behind SELECT, with its alias where it is computed.
    pub(super) select: String,
    /// Behind GROUP BY.
    pub(super) group: String,
    /// Behind ORDER BY and in windows: what names its value in the result.
    pub(super) name: String,
    /// "per …"
    pub(super) noun: String,
    /// The expression itself, without an alias.
    pub(super) expression: String,
    pub(super) is_time: bool,
    /// The fields that it takes up.
    pub(super) about: String,
}

impl Dimension {
    /// The rows of one group, behind "per": several of them.
    pub(super) fn many(&self) -> String {
        words::plural(&self.noun)
    }
}

impl Dimension {
    /// The rows in words, without what a group of them is said to be of anyway: "fines per member", not "of members".
    pub(super) fn without_owner(&self, source: &Source<'_>, rows: &str) -> String {
        let Some(owner) = source
            .owners
            .iter()
            .find(|o| o.contains && o.noun.one == self.noun)
        else {
            return rows.to_owned();
        };
        let start = format!("{} ", owner.noun.one);
        let rows = rows.strip_prefix(&start).unwrap_or(rows);
        [" of ", " in "]
            .iter()
            .find_map(|place| rows.strip_suffix(&format!("{place}{}", owner.noun.many)))
            .unwrap_or(rows)
            .to_owned()
    }

    /// Series come in the order of time.
    pub(super) fn order(&self) -> String {
        if self.is_time {
            format!(" ORDER BY {}", self.name)
        } else {
            String::new()
        }
    }

    /// A grouping by dates that stand for longer spans: how that may be said.
    fn first_day(&self, dice: &mut Dice) -> String {
        let short = self.noun.split([' ', ',']).next().unwrap_or_default().to_owned();
        if !self.expression.starts_with("DATE_TRUNC")
            || short == "week"
            || short == "calendar"
            || !dice.chance(0.15)
        {
            return String::new();
        }
        match dice.below(3) {
            0 => format!(", {short} as first day"),
            1 => format!(", the {short} as its first day"),
            _ => format!(", with the first day of the {short}"),
        }
    }

    /// The question with how spans are to be shown, where somebody says it.
    pub(super) fn shown_as(&self, question: &str, dice: &mut Dice) -> String {
        let at = question.trim_end_matches(['.', '?']);
        format!("{at}{}{}", self.first_day(dice), &question[at.len()..])
    }
}

/// A grouping that somebody may want; `times` says how often by time.
pub(super) fn draw(source: &Source<'_>, dice: &mut Dice, times: f32) -> Option<Dimension> {
    if dice.chance(times)
        && let Some(dimension) = by_time(source, dice)
    {
        return Some(dimension);
    }
    by_value(source, dice)
}

/// By a column or by what rows belong to.
pub(super) fn by_value(source: &Source<'_>, dice: &mut Dice) -> Option<Dimension> {
    let owners: Vec<usize> = (0..source.owners.len())
        .filter(|o| !source.owners[*o].label.is_empty() && source.owners[*o].key.is_some())
        .collect();
    if !owners.is_empty() && dice.chance(0.35) {
        return dice.pick(&owners).map(|owner| by_owner(source, *owner));
    }
    let weight = |field: &Field<'_>| -> f32 {
        let of_role = match field.attribute.role {
            _ if source.key().is_some_and(|key| key.sql == field.sql) => 0.0,
            Role::Category if field.attribute.values.is_empty() => 2.0,
            Role::Category => 4.0,
            Role::Flag => 0.5,
            Role::Year => 1.0,
            Role::Label if field.owner.is_none() && source.unnested => 2.0,
            Role::Label if field.owner.is_none() && !is_own_name(source, field) => 1.0,
            Role::Email => 0.5,
            Role::Path => 0.5,
            _ => 0.0,
        };
        let joined = field.owner.is_some_and(|o| !source.owners[o].contains);
        of_role * if joined { 2.5 } else { 1.0 }
    };
    let weights: Vec<(usize, f32)> = source
        .fields
        .iter()
        .enumerate()
        .map(|(i, f)| (i, weight(f)))
        .collect();
    let field = source.fields[dice.weighted(&weights)?].clone();
    Some(of_field(source, &field, dice))
}

fn is_own_name(source: &Source<'_>, field: &Field<'_>) -> bool {
    source.names().iter().any(|name| name.sql == field.sql)
}

/// By a scalar of a list in the rows.
pub(super) fn of_element(element: &str, noun: &str, list: String) -> Dimension {
    Dimension {
        select: element.to_owned(),
        group: element.to_owned(),
        name: element.to_owned(),
        noun: noun.to_owned(),
        expression: element.to_owned(),
        is_time: false,
        about: list,
    }
}

/// By the values of this field.
pub(super) fn of_field(source: &Source<'_>, field: &Field<'_>, dice: &mut Dice) -> Dimension {
    let noun = source.noun(field, dice);
    let sql = field.sql.clone();
    let plain = Dimension {
        select: sql.clone(),
        group: sql.clone(),
        name: sql.clone(),
        noun,
        expression: sql.clone(),
        is_time: false,
        about: sql.clone(),
    };
    match field.attribute.role {
        Role::Email => {
            let alias = source.free_name("domain");
            let expression = format!("SPLIT({sql}, '@')[SAFE_OFFSET(1)]");
            Dimension {
                select: format!("{expression} AS {alias}"),
                group: alias.clone(),
                name: alias,
                noun: dice
                    .word(&["e-mail domain", "email domain", "domain of the email address"])
                    .to_owned(),
                expression,
                ..plain
            }
        }
        role if role == Role::Flag || is_answer(field.attribute) => {
            let noun = format!("{} flag", field.attribute.noun);
            Dimension { noun, ..plain }
        }
        _ => plain,
    }
}

/// By what rows belong to: by its key, shown by its name.
pub(super) fn by_owner(source: &Source<'_>, owner: usize) -> Dimension {
    let owner = &source.owners[owner];
    // Two names of one result must not be the same.
    let named = |sql: &String| {
        let name = sql.rsplit('.').next().unwrap_or(sql).trim_matches('`');
        let same = source
            .fields
            .iter()
            .filter(|f| f.attribute.name.eq_ignore_ascii_case(name))
            .count();
        if same > 1 {
            let name = format!("{}_{name}", snake(&owner.noun.one));
            format!("{sql} AS {}", quote_name(&name))
        } else {
            sql.clone()
        }
    };
    let mut group: Vec<&str> = owner.key.iter().map(String::as_str).collect();
    group.extend(
        owner
            .label
            .iter()
            .map(String::as_str)
            .filter(|label| Some(*label) != owner.key.as_deref()),
    );
    Dimension {
        select: owner.label.iter().map(named).collect::<Vec<_>>().join(", "),
        group: group.join(", "),
        name: owner.label.first().cloned().unwrap_or_default(),
        noun: owner.noun.one.clone(),
        expression: owner.label.first().cloned().unwrap_or_default(),
        is_time: false,
        about: owner.label.join(", "),
    }
}

/// A span that rows are put together by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grain {
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
    Weekday,
    HourOfDay,
}

impl Grain {
    fn noun(self, dice: &mut Dice) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => dice.word(&["month", "month", "calendar month"]),
            Self::Quarter => "quarter",
            Self::Year => "year",
            Self::Weekday => dice.word(&["weekday", "day of the week", "weekday name"]),
            Self::HourOfDay => dice.word(&["hour of the day", "hour of day"]),
        }
    }

    /// Whether spans follow each other, rather than repeat.
    pub(super) fn is_series(self) -> bool {
        !matches!(self, Self::Weekday | Self::HourOfDay)
    }
}

/// By spans of the time when rows happened, seldom of another time.
pub(super) fn by_time(source: &Source<'_>, dice: &mut Dice) -> Option<Dimension> {
    let grain = dice.weighted(&[
        (Grain::Day, 2.0),
        (Grain::Week, 1.0),
        (Grain::Month, 4.0),
        (Grain::Quarter, 1.0),
        (Grain::Year, 1.5),
        (Grain::Weekday, 1.2),
        (Grain::HourOfDay, 0.8),
        (Grain::Hour, 0.3),
    ])?;
    by_grain(source, grain, dice)
}

/// By spans that follow each other.
pub(super) fn by_series(source: &Source<'_>, dice: &mut Dice) -> Option<Dimension> {
    let grain = dice.weighted(&[
        (Grain::Day, 2.5),
        (Grain::Week, 1.0),
        (Grain::Month, 4.0),
        (Grain::Quarter, 0.7),
        (Grain::Year, 0.8),
    ])?;
    by_grain(source, grain, dice)
}

/// By this span.
pub(super) fn by_grain(source: &Source<'_>, grain: Grain, dice: &mut Dice) -> Option<Dimension> {
    if source.table.sharded && !source.unnested && grain == Grain::Day && dice.chance(0.6) {
        let expression = "PARSE_DATE('%Y%m%d', _TABLE_SUFFIX)".to_owned();
        let alias = source.free_name("day");
        return Some(Dimension {
            select: format!("{expression} AS {alias}"),
            group: alias.clone(),
            name: alias,
            noun: "day".to_owned(),
            expression,
            is_time: true,
            about: "_TABLE_SUFFIX".to_owned(),
        });
    }
    let main = source.time();
    let others = source.own(|a| a.role == Role::Time && a.event.is_some());
    let main = main.filter(|m| !m.attribute.noun.starts_with('"'));
    let field = match main {
        Some(main) if others.is_empty() || dice.chance(0.75) => main,
        _ => *dice.pick(&others)?,
    };
    let is_main = main.is_some_and(|m| m.sql == field.sql) && source.table.dated;
    of_time(source, field, grain, is_main, dice)
}

fn of_time(
    source: &Source<'_>,
    field: &Field<'_>,
    grain: Grain,
    is_main: bool,
    dice: &mut Dice,
) -> Option<Dimension> {
    let Attribute {
        data_type,
        event,
        noun,
        ..
    } = field.attribute;
    let sql = &field.sql;
    let date = if *data_type == DataType::Date {
        sql.clone()
    } else {
        format!("DATE({sql})")
    };
    let fine = *data_type != DataType::Date;
    let truncated = |part: &str| format!("DATE_TRUNC({date}, {part})");
    let (expression, alias) = match grain {
        Grain::Hour if fine && *data_type == DataType::Timestamp => {
            (format!("TIMESTAMP_TRUNC({sql}, HOUR)"), "hour")
        }
        Grain::HourOfDay if fine => (format!("EXTRACT(HOUR FROM {sql})"), "hour"),
        Grain::Hour | Grain::HourOfDay => return None,
        Grain::Day => (date.clone(), "day"),
        Grain::Week => (truncated(dice.word(&["WEEK(MONDAY)", "WEEK"])), "week"),
        Grain::Month if dice.chance(0.1) => (format!("FORMAT_DATE('%Y-%m', {date})"), "month"),
        Grain::Month => (truncated("MONTH"), "month"),
        Grain::Quarter => (truncated("QUARTER"), "quarter"),
        Grain::Year => (format!("EXTRACT(YEAR FROM {sql})"), "year"),
        Grain::Weekday => (format!("FORMAT_DATE('%A', {date})"), "weekday"),
    };
    let mut said = grain.noun(dice).to_owned();
    if grain == Grain::Month && expression.starts_with("FORMAT") {
        said = dice.word(&["month (YYYY-MM)", "month (as YYYY-MM)"]).to_owned();
    }
    if expression.contains("WEEK(MONDAY)") {
        said = dice
            .word(&["week starting on Monday", "week (Monday to Sunday)"])
            .to_owned();
    }
    let on = if matches!(grain, Grain::Day | Grain::Weekday) {
        "on"
    } else {
        "in"
    };
    if !is_main || field.owner.is_none() && source.unnested {
        said = match event {
            Some(Event::Passive(verb)) => format!("{said} {on} which they were {verb}"),
            Some(Event::Active(verb)) => format!("{said} {on} which they {verb}"),
            Some(Event::Present(verb)) => format!("{said} {on} which they {}", verb.trim_end_matches('s')),
            None => match noun
                .strip_prefix("date of ")
                .or_else(|| noun.strip_prefix("time of "))
            {
                Some(what) => format!("{said} of {what}"),
                None => format!("{said} of the {noun}"),
            },
        };
    }
    let alias = source.free_name(alias);
    let bare = expression == *sql && field.attribute.stored.is_none();
    Some(Dimension {
        select: if bare {
            sql.clone()
        } else {
            format!("{expression} AS {alias}")
        },
        group: if bare { sql.clone() } else { alias.clone() },
        name: if bare { sql.clone() } else { alias },
        noun: said,
        expression,
        is_time: grain.is_series(),
        about: sql.clone(),
    })
}
