//! Figures in groups, and groups by their figures.

use super::super::conditions::{self, Condition};
use super::super::dice::Dice;
use super::super::dimensions::{self, Dimension};
use super::super::metrics::{self, Kind, Metric};
use super::super::phrases::{Style, few, finished, style, subject};
use super::super::source::Source;
use super::super::thresholds;
use super::super::words;
use super::{Context, Draft, Reach, grouped, select, source, tie, tie_said};

/// Conditions that leave a grouping its groups and are not about what its figure is about.
pub(super) fn conditions_beside(
    source: &Source<'_>,
    dimension: &Dimension,
    argument: Option<&String>,
    most: usize,
    dice: &mut Dice,
) -> Vec<Condition> {
    let mut found = conditions::some(source, dice, most);
    found.retain(|c| !argument.is_some_and(|sql| c.is_about(sql)));
    // "commits with more than 3 changes of commits of 2025" would say what they are twice.
    found.retain(|c| {
        c.owner
            .is_none_or(|o| !source.owners[o].contains || source.owners[o].noun.one != dimension.noun)
    });
    found.retain(|c| {
        c.about != dimension.about
            || c.is_time && dimension.is_time && (c.sql.contains(">= '") || c.sql.contains("YEAR"))
    });
    // Of two times nobody can tell which one "by month" means.
    found.retain(|c| !(c.is_time && dimension.is_time) || c.about == dimension.about);
    conditions::complete(source, dice, &mut found);
    found
}

/// "number of orders per country", in any style.
fn asked(metric: &Metric, rows: &str, bare: bool, by: &str, dice: &mut Dice) -> String {
    let style = style(dice);
    let per = dice.word(&["per", "by", "for each", "per", "by"]);
    let text = match style {
        Style::Terse if metric.kind == Kind::Count && dice.chance(0.5) => {
            format!("{rows} {} {by}", dice.word(&["per", "by"]))
        }
        Style::Terse => format!(
            "{} {} {by}",
            metric.short(rows, bare, dice),
            dice.word(&["per", "by"])
        ),
        Style::Sentence => match (metric.kind, dice.below(4)) {
            (Kind::Count, 0 | 1) => format!(
                "How many {rows} are there {} {by}",
                dice.word(&["per", "for each", "in each"])
                    .replace("in each", "per")
            ),
            (Kind::Count, 3) if by.split(' ').count() < 3 && !by.ends_with(" flag") => {
                format!("How many {rows} {} each {by} have", dice.word(&["does", "did"]))
            }
            (Kind::Count, 2) if !rows.contains(" that ") && !rows.contains(" who ") => {
                format!("For each {by}, how many {rows} are there")
            }
            (Kind::Different, 0..2) if metric.alone && bare => {
                format!("How many {} were there {per} {by}", metric.head)
            }
            (Kind::Different, _) => format!("How many {} are there among {rows}, {per} {by}", metric.head),
            (Kind::Sum, 0) if !metric.said.is_empty() => {
                format!("What do the {} of {rows} add up to {per} {by}", metric.said)
            }
            (_, 2) => format!("For each {by}, what is the {}", metric.short(rows, bare, dice)),
            _ => format!("What is the {} {per} {by}", metric.short(rows, bare, dice)),
        },
        Style::Order => format!(
            "{} the {} {} {by}",
            dice.word(&["Show", "Give", "List", "Show me", "Compute", "Break down"]),
            metric.short(rows, bare, dice),
            dice.word(&["per", "by", "for each", "per", "by", "for every"])
        ),
    };
    finished(style, &text, dice)
}

/// One figure in groups.
pub(super) fn group(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let (source, dimension) = grouped(context, Reach::All, dice, 0.25)?;
    let metric = metrics::draw(&source, dice);
    if metric.argument.as_ref() == Some(&dimension.about) || metric.is_of(&dimension.noun) {
        return None;
    }
    let conditions = conditions_beside(&source, &dimension, metric.argument.as_ref(), 2, dice);
    let rows = dimension.without_owner(&source, &subject(&source, &conditions, dice));
    let mut question = asked(&metric, &rows, conditions.is_empty(), &dimension.noun, dice);
    let mut order = String::new();
    if !dimension.is_time && dice.chance(0.25) {
        let descending = dice.chance(0.8);
        order = format!(
            " ORDER BY {}{}",
            metric.alias,
            if descending { " DESC" } else { "" }
        );
        let words = if descending {
            [", highest first", ", in descending order", ", largest first"]
        } else {
            [", lowest first", ", in ascending order", ", smallest first"]
        };
        let at = question.trim_end_matches(['.', '?']).to_owned();
        let end = question[at.len()..].to_owned();
        question = format!("{at}{}{end}", dice.word(&words));
    } else if dimension.is_time {
        order = dimension.order();
        question = dimension.shown_as(&question, dice);
    }
    Some(Draft::group(
        question,
        &dimension,
        &format!("{} AS {}", metric.sql, metric.alias),
        &source,
        &conditions,
        &order,
    ))
}

/// One figure in groups of two things.
pub(super) fn two(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let source = source(context, Reach::All, dice)?;
    let metric = metrics::draw(&source, dice);
    let first = dimensions::draw(&source, dice, 0.5)?;
    let second = dimensions::by_value(&source, dice)?;
    if first.about == second.about
        || first.noun == second.noun
        || metric.is_of(&first.noun)
        || metric.is_of(&second.noun)
        || metric
            .argument
            .as_ref()
            .is_some_and(|a| *a == first.about || *a == second.about)
    {
        return None;
    }
    let mut conditions = conditions_beside(&source, &first, metric.argument.as_ref(), 1, dice);
    conditions.retain(|c| !c.is_about(&second.about));
    let rows = subject(&source, &conditions, dice);
    let by = format!("{} and {}", first.noun, second.noun);
    let order = if first.is_time {
        format!(" ORDER BY {}, {}", first.name, second.name)
    } else {
        String::new()
    };
    Some(Draft::select(
        asked(&metric, &rows, conditions.is_empty(), &by, dice),
        &format!(
            "{}, {} AS {}",
            select(&[first.select.clone(), second.select.clone()])?,
            metric.sql,
            metric.alias
        ),
        &source,
        &conditions,
        &format!(" GROUP BY {}, {}{order}", first.group, second.group),
    ))
}

/// Several figures in groups.
pub(super) fn several(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let (source, dimension) = grouped(context, Reach::All, dice, 0.25)?;
    let first = metrics::count(&source);
    let second = metrics::of_number(&source, dice)?;
    let third =
        metrics::of_number(&source, dice).filter(|m| dice.chance(0.35) && m.argument != second.argument);
    if second.argument.as_ref() == Some(&dimension.about) {
        return None;
    }
    let conditions = conditions_beside(&source, &dimension, second.argument.as_ref(), 1, dice);
    let rows = dimension.without_owner(&source, &subject(&source, &conditions, dice));
    let mut figures = vec![first.clone(), second.clone()];
    figures.extend(third);
    let said: Vec<String> = figures
        .iter()
        .skip(1)
        .map(|m| format!("{}{}", m.head, m.unit))
        .collect();
    let said = words::list(&said, "and");
    let style = style(dice);
    let by = &dimension.noun;
    let text = match style {
        Style::Terse => format!("number of {rows}, {said} per {by}"),
        Style::Sentence => format!("How many {rows} are there per {by}, and what is their {said}"),
        Style::Order => format!(
            "For each {by}, {} the number of {rows} and their {said}",
            dice.word(&["show", "give", "list"])
        ),
    };
    let columns: Vec<String> = figures
        .iter()
        .map(|m| format!("{} AS {}", m.sql, m.alias))
        .collect();
    let order = dimension.order();
    Some(Draft::group(
        finished(style, &text, dice),
        &dimension,
        &columns.join(", "),
        &source,
        &conditions,
        &order,
    ))
}

/// Groups whose figure passes a bound.
pub(super) fn having(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let (source, dimension) = grouped(context, Reach::All, dice, 0.0)?;
    let counts = dice.chance(0.6) && (source.table.countable || source.unnested);
    let measures = source.own(|a| a.measure().is_some());
    let measure = if counts {
        None
    } else {
        Some(*dice.pick(&measures)?)
    };
    let conditions = conditions_beside(&source, &dimension, measure.map(|m| &m.sql), 1, dice);
    let rows = dimension.without_owner(&source, &subject(&source, &conditions, dice));
    let many = dimension.many();
    if many.ends_with(" flags") {
        return None;
    }
    let (condition, said, sql, alias) = if measure.is_none() {
        let metric = metrics::count(&source);
        let limit = *dice.pick(&[1, 2, 3, 5, 10, 20, 50, 100, 500, 1000])?;
        let (sign, words) = match dice.below(5) {
            0 => (">=", format!("at least {limit} {rows}")),
            1 if limit > 1 => ("<", format!("fewer than {limit} {rows}")),
            _ => (
                ">",
                format!(
                    "more than {} {rows}",
                    if limit == 1 {
                        "one".to_owned()
                    } else {
                        limit.to_string()
                    }
                ),
            ),
        };
        let words = if limit == 1 && sign == ">=" {
            return None;
        } else if limit == 1 {
            words.replacen(&source.subject.many, &source.subject.one, 1)
        } else {
            words
        };
        (
            format!("{} {sign} {limit}", metric.sql),
            words,
            metric.sql,
            metric.alias,
        )
    } else {
        let field = measure.filter(|m| m.sql != dimension.about)?;
        let adds = field
            .attribute
            .measure()
            .is_some_and(|m| m.additive && !m.aggregated);
        let kind = if adds && dice.chance(0.5) {
            Kind::Sum
        } else {
            Kind::Average
        };
        let metric = metrics::figure(&source, field, kind, dice);
        let limit = thresholds::draw(field.attribute, dice)?;
        // What many rows come to is more than what one has.
        let limit = if kind == Kind::Sum {
            limit.times(10.0)
        } else {
            limit
        };
        let (sign, word) = if dice.chance(0.7) {
            let words = ["above", "over", "of more than"];
            (
                ">",
                dice.word(if conditions.is_empty() {
                    &words
                } else {
                    &words[..2]
                }),
            )
        } else {
            ("<", dice.word(&["below", "under"]))
        };
        let of = if conditions.is_empty() && dice.chance(0.6) {
            String::new()
        } else {
            format!(" of {rows}")
        };
        (
            format!("{} {sign} {}", metric.sql, limit.sql),
            if of.contains(" with ") || of.contains(" whose ") || of.contains(" where ") {
                let head = words::with_article(&metric.head);
                format!("{head} {word} {}, counting only {rows}", limit.said)
            } else {
                format!("{}{of} {word} {}", words::with_article(&metric.head), limit.said)
            },
            metric.sql,
            metric.alias,
        )
    };
    let show = dice.chance(0.45);
    let style = style(dice);
    let too = if show {
        if counts {
            dice.word(&[" and how many", ", with the number"])
        } else {
            ", with the figure"
        }
    } else {
        ""
    };
    let text = match style {
        Style::Terse => format!("{many} with {said}{too}"),
        Style::Sentence => format!(
            "Which {many} have {said}{}",
            if show {
                if counts {
                    "? Show the number too"
                } else {
                    "? Show the figure too"
                }
            } else {
                ""
            }
        ),
        Style::Order => format!("{} {many} with {said}{too}", dice.word(&["List", "Find", "Show"])),
    };
    let shown = if show {
        format!("{}, {sql} AS {alias}", dimension.select)
    } else {
        dimension.select.clone()
    };
    Some(Draft::select(
        finished(style, &text, dice),
        &shown,
        &source,
        &conditions,
        &format!(" GROUP BY {} HAVING {condition}", dimension.group),
    ))
}

/// The groups with the highest figures.
pub(super) fn top(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let (source, dimension) = grouped(context, Reach::All, dice, 0.0)?;
    let metric = metrics::draw(&source, dice);
    let values_few = source
        .fields
        .iter()
        .any(|f| f.sql == dimension.about && !f.attribute.values.is_empty());
    if metric.argument.as_ref() == Some(&dimension.about)
        || dimension.noun.ends_with(" flag")
        || matches!(metric.kind, Kind::Most | Kind::Least)
    {
        return None;
    }
    let conditions = conditions_beside(&source, &dimension, metric.argument.as_ref(), 1, dice);
    let rows = dimension.without_owner(&source, &subject(&source, &conditions, dice));
    let count = if values_few {
        1
    } else {
        *dice.pick(&[1, 3, 5, 5, 10, 10])?
    };
    let most = dice.chance(0.85);
    let what = match (metric.kind, most) {
        (Kind::Count, true) => format!("the most {rows}"),
        (Kind::Count, false) => format!("the fewest {rows}"),
        (Kind::Different, true) => format!("the most {} among {rows}", metric.head),
        (Kind::Different, false) => format!("the fewest {} among {rows}", metric.head),
        (_, true) => format!(
            "the {} {}",
            dice.word(&["highest", "largest"]),
            metric.short(&rows, conditions.is_empty(), dice)
        ),
        (_, false) => format!(
            "the {} {}",
            dice.word(&["lowest", "smallest"]),
            metric.short(&rows, conditions.is_empty(), dice)
        ),
    };
    let show = dice.chance(0.5);
    let figure = if metric.kind == Kind::Count {
        "the number"
    } else {
        "the figure"
    };
    let style = style(dice);
    let by = if count == 1 {
        dimension.noun.clone()
    } else {
        dimension.many()
    };
    let number = few(count, dice);
    let text = match (style, count) {
        (Style::Terse, 1) => format!(
            "{by} with {what}{}",
            if show {
                format!(", with {figure}")
            } else {
                String::new()
            }
        ),
        (Style::Terse, _) if metric.kind == Kind::Count && most && dice.chance(0.6) => format!(
            "top {count} {by} by number of {rows}{}",
            if show {
                format!(", with {figure}")
            } else {
                String::new()
            }
        ),
        (Style::Terse, _) => format!(
            "{number} {by} with {what}{}",
            if show {
                format!(", with {figure}")
            } else {
                String::new()
            }
        ),
        (Style::Sentence, 1) => format!(
            "Which {by} has {what}{}",
            if show {
                format!("? Give {figure} too")
            } else {
                String::new()
            }
        ),
        (Style::Sentence, _) if show && dice.chance(0.35) => format!(
            "Which {} has {what}? Give {} and {}, top {count}",
            dimension.noun,
            dimension.noun,
            figure.trim_start_matches("the ")
        ),
        (Style::Sentence, _) => format!(
            "Which {number} {by} have {what}{}",
            if show {
                format!("? Give {figure} too")
            } else {
                String::new()
            }
        ),
        (Style::Order, 1) => format!(
            "{} the {by} with {what}{}",
            dice.word(&["Find", "Give"]),
            if show {
                format!(", and {figure}")
            } else {
                String::new()
            }
        ),
        (Style::Order, _) => format!(
            "{} the {number} {by} with {what}{}",
            dice.word(&["List", "Show"]),
            if show {
                format!(", and {figure}")
            } else {
                String::new()
            }
        ),
    };
    let text = if style == Style::Sentence {
        text
    } else {
        format!("{text}{}", tie_said("name", dice))
    };
    let desc = if most { " DESC" } else { "" };
    let (columns, order) = if show {
        (
            format!("{}, {} AS {}", dimension.select, metric.sql, metric.alias),
            metric.alias.clone(),
        )
    } else {
        (dimension.select.clone(), metric.sql.clone())
    };
    Some(Draft::select(
        finished(style, &text, dice),
        &columns,
        &source,
        &conditions,
        &format!(
            " GROUP BY {} ORDER BY {order}{desc}{} LIMIT {count}",
            dimension.group,
            tie(&order, &dimension.name)
        ),
    ))
}

/// Each group's share of the whole.
pub(super) fn share_of_total(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let source = source(context, Reach::All, dice)?;
    let dimension = dimensions::draw(&source, dice, 0.15)?;
    let metric = metrics::additive(&source, dice);
    if metric.argument.as_ref() == Some(&dimension.about) || dimension.noun.ends_with(" flag") {
        return None;
    }
    let conditions = conditions_beside(&source, &dimension, metric.argument.as_ref(), 1, dice);
    let rows = subject(&source, &conditions, dice);
    let percent = dice.chance(0.4);
    let alias = source.free_name(if percent { "percentage" } else { "share" });
    let figure = &metric.sql;
    let rounded = percent && dice.chance(0.5);
    let expression = match (percent, rounded) {
        (true, true) => format!("ROUND(100 * {figure} / SUM({figure}) OVER (), 1)"),
        (true, false) => format!("100 * {figure} / SUM({figure}) OVER ()"),
        _ => format!("{figure} / SUM({figure}) OVER ()"),
    };
    let word = if percent {
        dice.word(&["percentage", "percent share"])
    } else {
        "share"
    };
    let whole = match metric.kind {
        Kind::Count => format!("all {rows}"),
        _ => format!("the {}", metric.short(&rows, conditions.is_empty(), dice)),
    };
    let style = style(dice);
    let by = &dimension.noun;
    let text = match style {
        Style::Terse => format!("{word} of each {by} in {whole}"),
        Style::Sentence if dimension.is_time => format!(
            "What {} of {whole} falls in each {by}",
            word.trim_end_matches(" share")
        ),
        Style::Sentence => format!(
            "What {} of {whole} does each {by} account for",
            word.trim_end_matches(" share")
        ),
        Style::Order if by.contains(" of ") => format!(
            "{} the {word} of each {by} in {whole}",
            dice.word(&["Show", "Compute", "Give"])
        ),
        Style::Order => format!(
            "{} each {by}'s {word} of {whole}",
            dice.word(&["Show", "Compute", "Give"])
        ),
    };
    let text = if rounded {
        format!(
            "{text}{}",
            dice.word(&[
                ", rounded to one decimal",
                ", with one decimal",
                ", rounded to one decimal place"
            ])
        )
    } else {
        text
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
