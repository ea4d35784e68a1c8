//! Groups put together anew: classes of a number, averages over groups, the values of a group in one.

use bigquill_analysis::schema::quote_name;

use super::super::columns::Role;
use super::super::conditions::{self, with_its_article};
use super::super::dice::Dice;
use super::super::dimensions::{self, Dimension};
use super::super::metrics::{self, Kind};
use super::super::phrases::{Style, finished, style, subject, where_clause};
use super::super::source::{Field, Source, snake};
use super::super::thresholds;
use super::super::words;
use super::groups::conditions_beside;
use super::{Context, Draft, Reach, source};

/// Classes of a number.
pub(super) struct Classes {
    /// "under 5, 5 to under 10, 10 km and more"
    said: String,
    /// The grouping by them, as "age (under 5, 5 to under 10, 10 and more)".
    pub(super) dimension: Dimension,
}

/// Three classes of a number of the rows.
pub(super) fn classes<'s, 'm>(source: &'s Source<'m>, dice: &mut Dice) -> Option<(&'s Field<'m>, Classes)> {
    let fields = source.own(|a| a.measure().is_some());
    let field = *dice.pick(&fields)?;
    let mut bounds = Vec::new();
    for _ in 0..6 {
        if let Some(limit) = thresholds::draw(field.attribute, dice)
            && bounds
                .iter()
                .all(|b: &f64| (b - limit.value).abs() > f64::EPSILON)
            && limit.value > 0.0
        {
            bounds.push(limit.value);
        }
    }
    bounds.truncate(2);
    bounds.sort_by(f64::total_cmp);
    let [low, high] = bounds.as_slice() else {
        return None;
    };
    let (low, high) = (thresholds::number(*low), thresholds::number(*high));
    let (sql, noun) = (&field.sql, &field.attribute.noun);
    let unit = field
        .attribute
        .unit
        .map_or_else(String::new, |u| format!(" {}", u.short));
    let said = format!("under {low}, {low} to under {high}, {high}{unit} and more");
    let expression = format!(
        "CASE WHEN {sql} < {low} THEN 'under {low}' WHEN {sql} < {high} THEN '{low} to under {high}' WHEN {sql} >= {high} THEN '{high} and more' END"
    );
    let alias = source.free_name("bucket");
    let dimension = Dimension {
        select: format!("{expression} AS {alias}"),
        group: alias.clone(),
        name: alias,
        noun: format!("{} of {noun} ({said})", dice.word(&["band", "class", "group"])),
        expression,
        is_time: false,
        about: sql.clone(),
    };
    Some((field, Classes { said, dimension }))
}

/// Rows in classes of a number.
pub(super) fn buckets(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let source = source(context, Reach::All, dice)?;
    let (field, Classes { said, dimension }) = classes(&source, dice)?;
    let conditions = conditions::some(&source, dice, 1);
    if conditions.iter().any(|c| c.about == field.sql) {
        return None;
    }
    let metric = metrics::count(&source);
    let noun = &field.attribute.noun;
    let rows = subject(&source, &conditions, dice);
    let style = style(dice);
    let text = match style {
        Style::Terse => format!("number of {rows} by {noun}: {said}"),
        Style::Sentence => format!(
            "How many {rows} have {} {}",
            with_its_article(noun),
            said.replace("and more", "or more")
        ),
        Style::Order => format!("Group {rows} by {noun} into {said}, and count each group"),
    };
    let question = finished(style, &text, dice);
    let figures = format!("COUNT(*) AS {}", metric.alias);
    Some(Draft::group(
        question,
        &dimension,
        &figures,
        &source,
        &conditions,
        "",
    ))
}

/// The average over groups of a figure: orders per customer, sales per day.
pub(super) fn average_per(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let source = source(context, Reach::Joined, dice)?;
    let metric = metrics::additive(&source, dice);
    let (dimension, one) = if source.table.dated && dice.chance(0.4) {
        let day = dimensions::by_grain(
            &source,
            if dice.chance(0.6) {
                dimensions::Grain::Day
            } else {
                dimensions::Grain::Month
            },
            dice,
        )?;
        let one = day.noun.clone();
        (day, one)
    } else {
        let own_key = source.key().map(|k| k.sql.clone());
        let keys = source.own(|a| matches!(a.role, Role::Key) && a.noun != "ID" && !a.noun.contains("hash"));
        let keys: Vec<_> = keys
            .into_iter()
            .filter(|k| Some(&k.sql) != own_key.as_ref())
            .collect();
        let key = *dice.pick(&keys)?;
        let dimension = Dimension {
            select: key.sql.clone(),
            group: key.sql.clone(),
            name: key.attribute.name.clone(),
            noun: key.attribute.noun.clone(),
            expression: key.sql.clone(),
            is_time: false,
            about: key.sql.clone(),
        };
        (dimension, metrics::thing(&key.attribute.noun))
    };
    let conditions = conditions_beside(&source, &dimension, metric.argument.as_ref(), 1, dice);
    let rows = subject(&source, &conditions, dice);
    let what = match metric.kind {
        Kind::Count => format!("number of {rows}"),
        _ => metric.short(&rows, conditions.is_empty(), dice),
    };
    let (outer, word) = dice.weighted(&[
        (("AVG", "average"), 5.0),
        (("MAX", "highest"), 1.0),
        (("MIN", "lowest"), 0.5),
    ])?;
    let style = style(dice);
    let text = match style {
        Style::Terse => format!("{word} {what} per {one}"),
        Style::Sentence if metric.kind == Kind::Count && outer == "AVG" => {
            format!("How many {rows} are there per {one} on average")
        }
        Style::Sentence => format!("What is the {word} {what} per {one}"),
        Style::Order => format!(
            "{} the {word} {what} per {one}",
            dice.word(&["Compute", "Show", "Give"])
        ),
    };
    let inner = format!(
        "SELECT {}, {} AS {} FROM {}{} GROUP BY {}",
        dimension.select,
        metric.sql,
        metric.alias,
        source.from,
        where_clause(&conditions),
        dimension.group
    );
    let sql = if dice.chance(0.5) {
        let name = quote_name(&format!(
            "per_{}",
            snake(
                &one.split(" in which")
                    .next()
                    .and_then(|start| start.split(" on which").next())
                    .unwrap_or(&one)
                    .replace(" of the ", " ")
            )
        ));
        format!(
            "WITH {name} AS ({inner}) SELECT {outer}({}) FROM {name}",
            metric.alias
        )
    } else {
        format!("SELECT {outer}({}) FROM ({inner})", metric.alias)
    };
    Some(Draft {
        question: finished(style, &text, dice),
        sql,
    })
}

/// The values of each group in one text or list.
pub(super) fn listed(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let source = source(context, Reach::Joined, dice)?;
    let dimension = dimensions::by_value(&source, dice)?;
    let names = source.own(|a| {
        matches!(a.role, Role::Label | Role::Category)
            && a.data_type == bigquill_analysis::schema::DataType::String
    });
    let field = *dice.pick(&names)?;
    if field.sql == dimension.about || dimension.noun.ends_with(" flag") {
        return None;
    }
    let conditions = conditions_beside(&source, &dimension, None, 1, dice);
    let many = words::plural(&field.attribute.noun);
    let alias = source.free_name(&many);
    let rows = subject(&source, &conditions, dice);
    let by = &dimension.noun;
    let (expression, said) = match dice.below(3) {
        0 => (
            format!("ARRAY_AGG(DISTINCT {0} IGNORE NULLS)", field.sql),
            dice.word(&["as a list", "as an array"]),
        ),
        1 => (
            format!("STRING_AGG({0}, ', ' ORDER BY {0})", field.sql),
            "in one comma-separated text, sorted",
        ),
        _ => (
            format!("STRING_AGG(DISTINCT {0}, ', ')", field.sql),
            dice.word(&["separated by commas", "as comma-separated text"]),
        ),
    };
    let different = if expression.contains("DISTINCT") {
        "different "
    } else {
        ""
    };
    let style = style(dice);
    let text = match style {
        Style::Terse => format!("{different}{many} of {rows} per {by}, {said}"),
        Style::Sentence => format!("Which {different}{many} do {rows} have per {by}? Give them {said}"),
        Style::Order => format!(
            "For each {by}, {} the {different}{many} of {rows} {said}",
            dice.word(&["list", "collect"])
        ),
    };
    Some(Draft::group(
        finished(style, &text, dice),
        &dimension,
        &format!("{expression} AS {alias}"),
        &source,
        &conditions,
        "",
    ))
}
