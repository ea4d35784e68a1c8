//! Figures over time: series, running and moving figures, changes, years side by side.

use super::super::columns::Role;
use super::super::conditions::{self, Condition};
use super::super::dice::Dice;
use super::super::dimensions::{self, Dimension, Grain};
use super::super::metrics::{self, Kind, Metric};
use super::super::phrases::{Style, finished, style, subject, where_clause};
use super::super::source::Source;
use super::{Context, Draft, Reach, source, tie};

/// Rows, a figure and spans of time, with conditions that leave the series whole.
struct Timed<'m> {
    source: Source<'m>,
    metric: Metric,
    time: Dimension,
    conditions: Vec<Condition>,
    rows: String,
    what: String,
}

fn timed<'m>(context: Context<'m>, dice: &mut Dice, additive: bool) -> Option<Timed<'m>> {
    let source = source(context, Reach::All, dice)?;
    let metric = if additive {
        metrics::additive(&source, dice)
    } else {
        metrics::draw(&source, dice)
    };
    // What things amount to that do not happen is not more because more of them were looked at.
    let metric = if metric.kind == Kind::Sum && !source.table.dated {
        metrics::count(&source)
    } else {
        metric
    };
    let time = dimensions::by_series(&source, dice)?;
    // Shards are read for some days: months of them are cut off.
    let days = time.about == "_TABLE_SUFFIX" || short(&time.noun) == "day";
    if !time.is_time || source.table.sharded && !days {
        return None;
    }
    // What did not happen yet would be a span of its own.
    let happened = source.fields.iter().find(|f| f.sql == time.about);
    if happened.is_some_and(|f| f.attribute.missing.is_some()) {
        return None;
    }
    let mut conditions = conditions::some(&source, dice, 1);
    // A short span has no course, and neither has a single thing.
    let is_long = |c: &Condition| {
        [">= '", "YEAR", "_TABLE_SUFFIX"]
            .iter()
            .any(|mark| c.sql.contains(mark))
    };
    let names_one = |c: &Condition| {
        c.role(&source) == Some(&Role::Key) || source.names().iter().any(|name| name.sql == c.about)
    };
    conditions.retain(|c| {
        (!c.is_time || is_long(c))
            && !names_one(c)
            && !metric.argument.as_ref().is_some_and(|sql| c.is_about(sql))
    });
    conditions::complete(&source, dice, &mut conditions);
    if conditions.iter().any(|c| c.is_time && !is_long(c)) {
        return None;
    }
    let rows = subject(&source, &conditions, dice);
    let what = match metric.kind {
        Kind::Count => format!("number of {rows}"),
        _ => metric.short(&rows, conditions.is_empty(), dice),
    };
    Some(Timed {
        source,
        metric,
        time,
        conditions,
        rows,
        what,
    })
}

impl Timed<'_> {
    /// The figure in each span, as a query.
    fn inner(&self) -> String {
        format!(
            "SELECT {}, {} AS {} FROM {}{} GROUP BY {}",
            self.time.select,
            self.metric.sql,
            self.metric.alias,
            self.source.from,
            where_clause(&self.conditions),
            self.time.group
        )
    }

    /// The name of the span in the result of [`Self::inner`].
    fn span(&self) -> String {
        self.time
            .name
            .rsplit('.')
            .next()
            .unwrap_or(&self.time.name)
            .to_owned()
    }
}

/// "month" of "calendar month in which they were placed".
fn short(noun: &str) -> &str {
    let start = noun
        .split(" in which")
        .next()
        .and_then(|start| start.split(" on which").next())
        .unwrap_or(noun);
    let start = start.split(" of the ").next().unwrap_or(start);
    start
        .split(" starting")
        .next()
        .unwrap_or(start)
        .split(" (")
        .next()
        .unwrap_or(start)
        .trim_start_matches("calendar ")
}

/// A figure in each span.
pub(super) fn series(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let timed = timed(context, dice, false)?;
    let noun = &timed.time.noun;
    let style = style(dice);
    let often = match short(noun) {
        "day" => "daily",
        "week" => "weekly",
        "month" => "monthly",
        "quarter" => "quarterly",
        "year" => "yearly",
        _ => "",
    };
    let plain = short(noun) == noun && !often.is_empty();
    let (what, rows) = (&timed.what, &timed.rows);
    let text = match style {
        Style::Terse if plain && dice.chance(0.5) => format!("{often} {what}"),
        Style::Terse => format!("{what} per {noun}"),
        Style::Sentence => match dice.below(3) {
            0 if timed.metric.kind == Kind::Count => format!("How many {rows} were there per {noun}"),
            1 if timed.metric.kind != Kind::Different => format!("How did the {what} develop by {noun}"),
            _ => format!("What is the {what} per {noun}"),
        },
        Style::Order => format!(
            "{} the {what} by {noun}{}",
            dice.word(&["Show", "Plot", "Give"]),
            dice.word(&["", "", " in chronological order", ", oldest first"])
        ),
    };
    let latest = style != Style::Order && dice.chance(0.12);
    let text = if latest {
        format!("{text}, latest first")
    } else {
        text
    };
    let question = finished(style, &text, dice);
    Some(Draft {
        question: if latest {
            question
        } else {
            timed.time.shown_as(&question, dice)
        },
        sql: format!(
            "{} ORDER BY {}{}",
            timed.inner(),
            timed.time.name,
            if latest { " DESC" } else { "" }
        ),
    })
}

/// The figure added up from the start.
pub(super) fn running(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let timed = timed(context, dice, true)?;
    let noun = &timed.time.noun;
    let (span, figure) = (timed.span(), &timed.metric.alias);
    let style = style(dice);
    let bare = timed
        .what
        .strip_prefix("total ")
        .or_else(|| timed.what.strip_prefix("overall "))
        .or_else(|| timed.what.strip_prefix("combined "))
        .unwrap_or(&timed.what);
    let total = if timed.metric.kind == Kind::Count {
        "running total of the"
    } else {
        "running total"
    };
    let word = if dice.chance(0.6) { "cumulative" } else { total };
    let text = match style {
        Style::Terse => format!("{word} {bare} by {noun}"),
        Style::Sentence => format!("What is the {word} {bare} by {noun}"),
        Style::Order => format!(
            "{} the {word} {bare} per {noun}",
            dice.word(&["Show", "Compute", "Give"])
        ),
    };
    let alias = timed.source.free_name(&format!("running_{figure}"));
    let sql = match dice.below(2) {
        0 => format!(
            "SELECT {span}, SUM({figure}) OVER (ORDER BY {span}) AS {alias} FROM ({}) ORDER BY {span}",
            timed.inner()
        ),
        _ => format!(
            "WITH per_{0} AS ({1}) SELECT {span}, SUM({figure}) OVER (ORDER BY {span}) AS {alias} FROM per_{0} ORDER BY {span}",
            short(noun).replace(' ', "_"),
            timed.inner()
        ),
    };
    Some(Draft {
        question: finished(style, &text, dice),
        sql,
    })
}

/// The average or sum of the last few spans.
pub(super) fn moving(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let timed = timed(context, dice, true)?;
    let unit = short(&timed.time.noun).to_owned();
    let count = match unit.as_str() {
        "day" => *dice.pick(&[7, 7, 14, 28, 30])?,
        "week" => 4,
        "month" => *dice.pick(&[3, 6, 12])?,
        _ => return None,
    };
    let (span, figure) = (timed.span(), &timed.metric.alias);
    let (function, word) = if dice.chance(0.75) {
        ("AVG", dice.word(&["moving average", "rolling average"]))
    } else {
        ("SUM", dice.word(&["rolling sum", "moving sum"]))
    };
    let bare = timed
        .what
        .strip_prefix("total ")
        .or_else(|| timed.what.strip_prefix("overall "))
        .or_else(|| timed.what.strip_prefix("combined "))
        .unwrap_or(&timed.what);
    let style = style(dice);
    let daily = format!(
        "{} {bare}",
        match unit.as_str() {
            "day" => "daily",
            "week" => "weekly",
            _ => "monthly",
        }
    );
    let text = match style {
        Style::Terse => format!("{count}-{unit} {word} of the {daily}"),
        Style::Sentence => format!("What is the {count}-{unit} {word} of the {daily}"),
        Style::Order => format!(
            "{} the {daily} with its {word} over {count} {unit}s",
            dice.word(&["Show", "Give"])
        ),
    };
    let text = if timed.time.noun == unit || timed.time.noun.starts_with("calendar") {
        text
    } else {
        format!("{text}, {}", timed.time.noun.replace(['(', ')'], ""))
    };
    let both = if style == Style::Order {
        format!("{figure}, ")
    } else {
        String::new()
    };
    let alias = timed.source.free_name(&format!(
        "{}_{figure}",
        if function == "AVG" {
            "moving_avg"
        } else {
            "moving_sum"
        }
    ));
    let before = count - 1;
    Some(Draft {
        question: finished(style, &text, dice),
        sql: format!(
            "SELECT {span}, {both}{function}({figure}) OVER (ORDER BY {span} ROWS BETWEEN {before} PRECEDING AND CURRENT ROW) AS {alias} FROM ({}) ORDER BY {span}",
            timed.inner()
        ),
    })
}

/// The change against the span before, as a difference or in percent.
pub(super) fn change(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let timed = timed(context, dice, true)?;
    let unit = short(&timed.time.noun).to_owned();
    let (span, figure) = (timed.span(), &timed.metric.alias);
    let lag = format!("LAG({figure}) OVER (ORDER BY {span})");
    let bare = &timed.what;
    let style = style(dice);
    let noun = &timed.time.noun;
    let (expression, name, text) = match dice.below(3) {
        0 => {
            let text = match style {
                Style::Terse => {
                    format!("growth of the {bare} against the previous {unit} in percent, per {noun}")
                }
                Style::Sentence => {
                    format!("By how many percent did the {bare} change from one {noun} to the next")
                }
                Style::Order => format!(
                    "{} the {unit}-over-{unit} growth in percent of the {bare}",
                    dice.word(&["Show", "Compute"])
                ),
            };
            (
                format!("100 * SAFE_DIVIDE({figure} - {lag}, {lag})"),
                "growth_pct",
                text,
            )
        }
        1 => {
            let text = match style {
                Style::Terse => format!("{bare} per {noun} and that of the previous {unit}"),
                Style::Sentence => {
                    format!("What is the {bare} per {noun}, next to that of the {unit} before")
                }
                Style::Order => format!(
                    "{} the {bare} per {noun} beside the previous {unit}'s",
                    dice.word(&["Show", "List"])
                ),
            };
            (lag.clone(), "previous", text)
        }
        _ => {
            let text = match style {
                Style::Terse => format!("{unit}-over-{unit} change in the {bare}"),
                Style::Sentence => format!("How much did the {bare} change from {unit} to {unit}"),
                Style::Order => format!(
                    "{} for each {noun} how the {bare} differs from the previous {unit}",
                    dice.word(&["Show", "Compute"])
                ),
            };
            (format!("{figure} - {lag}"), "difference", text)
        }
    };
    let text = if text.contains(noun.as_str()) || *noun == unit {
        text
    } else {
        format!("{text}, by {noun}")
    };
    let alias = timed.source.free_name(name);
    let figure_too = if name == "previous" {
        format!("{figure}, ")
    } else {
        String::new()
    };
    let inner = timed.inner();
    let sql = if dice.chance(0.5) {
        format!("SELECT {span}, {figure_too}{expression} AS {alias} FROM ({inner}) ORDER BY {span}")
    } else {
        let name = format!("per_{}", unit.replace(' ', "_"));
        format!(
            "WITH {name} AS ({inner}) SELECT {span}, {figure_too}{expression} AS {alias} FROM {name} ORDER BY {span}"
        )
    };
    Some(Draft {
        question: finished(style, &text, dice),
        sql,
    })
}

/// Two years side by side.
pub(super) fn years(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let source = source(context, Reach::Joined, dice)?;
    if source.table.sharded || source.table.filter_required {
        return None;
    }
    let time = source.table_time().filter(|_| source.table.dated)?.clone();
    let dimension = dimensions::by_value(&source, dice)?;
    let year = dice.between(2022, 2025);
    let metric = metrics::additive(&source, dice);
    let column = |year: i64| match &metric.argument {
        Some(argument) => format!(
            "SUM(IF(EXTRACT(YEAR FROM {}) = {year}, {argument}, 0)) AS year_{year}",
            time.sql
        ),
        None => format!("COUNTIF(EXTRACT(YEAR FROM {}) = {year}) AS year_{year}", time.sql),
    };
    let mut conditions = conditions::some(&source, dice, 1);
    conditions.retain(|c| !c.is_time && c.about != dimension.about);
    let rows = subject(&source, &conditions, dice);
    let what = match metric.kind {
        Kind::Count => format!("number of {rows}"),
        _ => metric.short(&rows, conditions.is_empty(), dice),
    };
    let style = style(dice);
    let next = year + 1;
    let by = &dimension.noun;
    let text = match style {
        Style::Terse => format!("{what} in {year} and {next} side by side, per {by}"),
        Style::Sentence => format!("For each {by}, what was the {what} in {year} and in {next}"),
        Style::Order => format!("Compare the {what} in {year} and in {next}, by {by}"),
    };
    Some(Draft::group(
        finished(style, &text, dice),
        &dimension,
        &format!("{}, {}", column(year), column(next)),
        &source,
        &conditions,
        "",
    ))
}

/// The span with the highest figure.
pub(super) fn busiest(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let source = source(context, Reach::Joined, dice)?;
    let grain = *dice.pick(&[
        Grain::Day,
        Grain::Month,
        Grain::Weekday,
        Grain::HourOfDay,
        Grain::Week,
        Grain::Year,
    ])?;
    let time = dimensions::by_grain(&source, grain, dice)?;
    let metric = metrics::additive(&source, dice);
    let mut conditions = conditions::some(&source, dice, 1);
    conditions.retain(|c| !c.is_time || c.sql.contains("YEAR"));
    conditions::complete(&source, dice, &mut conditions);
    let rows = subject(&source, &conditions, dice);
    let most = dice.chance(0.85);
    let what = match (metric.kind, most) {
        (Kind::Count, true) => format!("the most {rows}"),
        (Kind::Count, false) => format!("the fewest {rows}"),
        (_, true) => format!("the highest {}", metric.short(&rows, conditions.is_empty(), dice)),
        (_, false) => format!("the lowest {}", metric.short(&rows, conditions.is_empty(), dice)),
    };
    let style = style(dice);
    let noun = &time.noun;
    let show = dice.chance(0.35);
    let happened = noun.contains(" which they ") && metric.kind == Kind::Count;
    let text = match style {
        _ if happened => {
            let span = noun.replacen("they", &what, 1);
            match style {
                Style::Terse => format!("{span}{}", if show { ", with the figure" } else { "" }),
                Style::Sentence => format!(
                    "What is the {span}{}",
                    if show { "? Give the figure too" } else { "" }
                ),
                Style::Order => format!("Find the {span}{}", if show { ", and the figure" } else { "" }),
            }
        }
        Style::Terse => format!(
            "{noun} with {what}{}",
            if show { ", with the figure" } else { "" }
        ),
        Style::Sentence => format!(
            "Which {noun} had {what}{}",
            if show { "? Give the figure too" } else { "" }
        ),
        Style::Order => format!(
            "Find the {noun} with {what}{}",
            if show { ", and the figure" } else { "" }
        ),
    };
    let desc = if most { " DESC" } else { "" };
    let (columns, order) = if show {
        (
            format!("{}, {} AS {}", time.select, metric.sql, metric.alias),
            metric.alias.clone(),
        )
    } else {
        (time.select.clone(), metric.sql.clone())
    };
    Some(Draft::select(
        finished(style, &text, dice),
        &columns,
        &source,
        &conditions,
        &format!(
            " GROUP BY {} ORDER BY {order}{desc}{} LIMIT 1",
            time.group,
            tie(&order, &time.name)
        ),
    ))
}
