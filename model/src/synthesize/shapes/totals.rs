//! What the list of a row comes to, counted or added up: of each row, compared with a bound, on average.

use super::super::conditions::Condition;
use super::super::dice::Dice;
use super::super::phrases::{Style, each, finished, style, subject};
use super::super::source::snake;
use super::super::thresholds;
use super::super::words;
use super::lists::{described, listed, records};
use super::{Context, Draft, select, tie};

/// How many elements of a kind each row has.
pub(super) fn count(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let listed = listed(context, dice, records)?;
    let columns = listed.names()?;
    let element = listed.element_condition(dice)?;
    let conditions = listed.conditions(dice);
    let rows = subject(&listed.source, &conditions, dice);
    let expression = listed.over("COUNT(*)", &format!(" WHERE {}", element.sql));
    let kind = described(&listed.array.noun.many, &element);
    let each = each(&listed.source, &rows, &conditions);
    let style = style(dice);
    let text = match dice.below(5) {
        0 => {
            let limit = *dice.pick(&[3, 5, 10])?;
            let text = match style {
                Style::Terse => format!("top {limit} {rows} by number of {kind}"),
                Style::Sentence => format!("Which {limit} {rows} have the most {kind}"),
                Style::Order => format!("List the {limit} {rows} with the most {kind}"),
            };
            return Some(Draft::select(
                finished(style, &text, dice),
                &select(&columns)?,
                &listed.source,
                &conditions,
                &format!(
                    " ORDER BY {expression} DESC{} LIMIT {limit}",
                    tie("", &columns[0])
                ),
            ));
        }
        1 => {
            let limit = dice.between(1, 4);
            let more = if limit == 1 {
                "more than one".to_owned()
            } else {
                format!("more than {limit}")
            };
            let kind = if limit == 1 {
                described(&listed.array.noun.one, &element)
            } else {
                kind
            };
            let text = match style {
                Style::Terse => format!("{rows} with {more} {kind}"),
                Style::Sentence => format!("Which {rows} have {more} {kind}"),
                Style::Order => format!("Find the {rows} with {more} {kind}"),
            };
            let mut all = conditions;
            all.push(Condition {
                sql: format!("{expression} > {limit}"),
                ..Condition::default()
            });
            return Some(Draft::select(
                finished(style, &text, dice),
                &select(&columns)?,
                &listed.source,
                &all,
                "",
            ));
        }
        _ => match style {
            Style::Terse => format!("number of {kind} of {each}"),
            Style::Sentence => format!("How many {kind} does {each} have"),
            Style::Order => format!(
                "{} {rows} with their number of {kind}",
                dice.word(&["List", "Show"])
            ),
        },
    };
    let name = listed
        .source
        .free_name(&format!("{} count", listed.array.noun.many));
    listed.figure(finished(style, &text, dice), &expression, &name, &conditions)
}

/// Rows whose list adds up to more than a bound, or what lists add up to on average.
pub(super) fn compared(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let listed = listed(context, dice, records)?;
    let names = listed.names()?;
    let measures = listed.which(|a| a.measure().is_some_and(|m| m.additive && !m.aggregated));
    let attribute = *dice.pick(&measures)?;
    let element = if dice.chance(0.4) {
        listed
            .element_condition(dice)
            .filter(|c| !c.sql.contains(&listed.of(attribute)))
    } else {
        None
    };
    let mut conditions = listed.conditions(dice);
    let rows = subject(&listed.source, &conditions, dice);
    let filter = element
        .as_ref()
        .map_or_else(String::new, |c| format!(" WHERE {}", c.sql));
    let expression = listed.over(&format!("SUM({})", listed.of(attribute)), &filter);
    let kind = match &element {
        Some(condition) => described(&listed.array.noun.many, condition),
        None => listed.array.noun.many.clone(),
    };
    let counted = attribute.measure().is_some_and(|m| m.counted);
    let of = if counted { "number of " } else { "" };
    let noun = &attribute.noun;
    let style = style(dice);
    let one = &listed.source.subject.one;
    if dice.chance(0.35) {
        let text = match style {
            Style::Terse => format!("average total {of}{noun} of the {kind} per {one}"),
            Style::Sentence => format!(
                "What do the {} of the {kind} add up to per {one} on average",
                words::plural(noun)
            ),
            Style::Order => {
                format!("Compute the average over {rows} of the total {of}{noun} of their {kind}")
            }
        };
        let text = if style == Style::Order || conditions.is_empty() {
            text
        } else {
            format!("{text}, for {rows}")
        };
        return Some(Draft::select(
            finished(style, &text, dice),
            &format!("AVG({expression})"),
            &listed.source,
            &conditions,
            "",
        ));
    }
    let limit = thresholds::draw(attribute, dice)?;
    let (sign, word) = *dice.pick(&[
        (">", "more than"),
        (">", "over"),
        (">=", "at least"),
        ("<", "less than"),
    ])?;
    conditions.push(Condition {
        sql: format!("{expression} {sign} {}", limit.sql),
        ..Condition::default()
    });
    let text = match style {
        Style::Terse => format!(
            "{rows} whose {kind} have a total {of}{noun} of {word} {}",
            limit.said
        ),
        Style::Sentence => format!(
            "Which {rows} have {kind} with a total {of}{noun} of {word} {}",
            limit.said
        ),
        Style::Order => format!(
            "List the {rows} whose {kind} add up to {word} {} in {noun}",
            limit.said
        ),
    };
    let show = dice.chance(0.3);
    let mut columns = names;
    if show {
        columns.push(format!(
            "{expression} AS {}",
            listed
                .source
                .free_name(&format!("total_{}", snake(&attribute.name)))
        ));
    }
    let too = match style {
        _ if !show => "",
        Style::Sentence => "? Give the total too",
        _ => ", with that total",
    };
    Some(Draft::select(
        finished(style, &format!("{text}{too}").replace(" of over", " over"), dice),
        &select(&columns)?,
        &listed.source,
        &conditions,
        "",
    ))
}
