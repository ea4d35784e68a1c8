//! Statistics of columns: correlation, spread, means by weights and of ratios, parts of a sum, weighted samples.

use super::super::columns::is_weight;
use super::super::conditions::{self, Condition};
use super::super::dice::Dice;
use super::super::dimensions::{self, Dimension};
use super::super::metrics::{self, Kind};
use super::super::phrases::{Style, finished, shown, style, subject};
use super::super::source::{Field, Source, snake};
use super::super::words;
use super::groups::conditions_beside;
use super::{Context, Draft, Reach, source};

/// "average delay", "number of calls": a number of one row, as what is taken of it is said.
fn of_row(field: &Field<'_>) -> String {
    let noun = &field.attribute.noun;
    if field.attribute.measure().is_some_and(|m| m.counted) {
        format!("number of {noun}")
    } else {
        noun.clone()
    }
}

/// Two numbers of a row.
fn two<'s, 'm>(source: &'s Source<'m>, dice: &mut Dice) -> Option<[&'s Field<'m>; 2]> {
    let fields = source.own(|a| a.measure().is_some());
    let mut all = dice.shuffled(fields).into_iter();
    let (one, other) = (all.next()?, all.next()?);
    (one.attribute.noun != other.attribute.noun).then_some([one, other])
}

/// A grouping that is about none of these, now and then.
fn grouping(source: &Source<'_>, taken: &[&str], chance: f32, dice: &mut Dice) -> Option<Dimension> {
    if !dice.chance(chance) {
        return None;
    }
    dimensions::draw(source, dice, 0.15)
        .filter(|d| !taken.contains(&d.about.as_str()) && !d.noun.ends_with(" flag"))
}

/// A figure, and how it is asked for.
struct Figure<'t> {
    /// "correlation between age and income"
    what: String,
    /// What is said at the end: ", using the sampling weight".
    tail: String,
    sql: String,
    alias: String,
    /// What it is about.
    taken: &'t [&'t str],
}

/// The figure, of all rows or in groups.
fn drafted(
    figure: &Figure<'_>,
    source: &Source<'_>,
    dimension: Option<&Dimension>,
    dice: &mut Dice,
) -> Draft {
    let mut conditions = match dimension {
        Some(dimension) => conditions_beside(source, dimension, None, 1, dice),
        None => conditions::some(source, dice, 1),
    };
    conditions.retain(|c| !figure.taken.contains(&c.about.as_str()));
    conditions::complete(source, dice, &mut conditions);
    let of = if conditions.is_empty() && dice.chance(0.6) {
        String::new()
    } else {
        format!(" of {}", subject(source, &conditions, dice))
    };
    let what = format!("{}{of}", figure.what);
    asked(&what, figure, source, dimension, &conditions, dice)
}

/// The same where `what` says of which rows it is.
fn asked(
    what: &str,
    figure: &Figure<'_>,
    source: &Source<'_>,
    dimension: Option<&Dimension>,
    conditions: &[Condition],
    dice: &mut Dice,
) -> Draft {
    let style = style(dice);
    let (tail, sql) = (&figure.tail, &figure.sql);
    let named = format!("{sql} AS {}", source.free_name(&figure.alias));
    let Some(dimension) = dimension else {
        let question = shown(style, &format!("{what}{tail}"), dice);
        return Draft::select(question, &named, source, conditions, "");
    };
    let by = dice.word(&["by", "per", "for each"]);
    let question = shown(style, &format!("{what} {by} {}{tail}", dimension.noun), dice);
    Draft::group(
        question,
        dimension,
        &named,
        source,
        conditions,
        &dimension.order(),
    )
}

/// How two numbers go together.
pub(super) fn correlation(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let source = source(context, Reach::Tables, dice)?;
    let [a, b] = two(&source, dice)?;
    let taken = [a.sql.as_str(), b.sql.as_str()];
    let dimension = grouping(&source, &taken, 0.25, dice);
    let (one, other) = (of_row(a), of_row(b));
    let what = match dice.below(3) {
        0 => format!("correlation of {one} and {other}"),
        1 => format!("correlation between the {one} and the {other}"),
        _ => format!("correlation between {one} and {other}"),
    };
    let sql = format!("CORR({}, {})", a.sql, b.sql);
    Some(drafted(
        &Figure {
            what,
            tail: String::new(),
            sql,
            alias: "correlation".to_owned(),
            taken: &taken,
        },
        &source,
        dimension.as_ref(),
        dice,
    ))
}

/// How far a number spreads.
pub(super) fn deviation(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let source = source(context, Reach::Joined, dice)?;
    let fields = source.own(|a| a.measure().is_some());
    let field = *dice.pick(&fields)?;
    let taken = [field.sql.as_str()];
    let dimension = grouping(&source, &taken, 0.5, dice);
    let noun = of_row(field);
    let name = snake(&field.attribute.name);
    if dice.chance(0.4) {
        let sql = format!(
            "AVG({0}) AS {1}, STDDEV({0})",
            field.sql,
            source.free_name(&format!("avg_{name}"))
        );
        let what = format!(
            "{} and standard deviation of the {noun}",
            dice.word(&["mean", "average"])
        );
        return Some(drafted(
            &Figure {
                what,
                tail: String::new(),
                sql,
                alias: format!("stddev_{name}"),
                taken: &taken,
            },
            &source,
            dimension.as_ref(),
            dice,
        ));
    }
    let sql = format!("STDDEV({})", field.sql);
    let what = format!("standard deviation of the {noun}");
    Some(drafted(
        &Figure {
            what,
            tail: String::new(),
            sql,
            alias: format!("stddev_{name}"),
            taken: &taken,
        },
        &source,
        dimension.as_ref(),
        dice,
    ))
}

/// A mean, a number or a share that counts every row as often as it stands for rows of the population.
pub(super) fn weighted(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let source = source(context, Reach::Tables, dice)?;
    let weights = source.own(|a| is_weight(&a.noun));
    let weight = *dice.pick(&weights)?;
    let w = weight.sql.as_str();
    let using = dice.word(&["using the", "with the", "weighted by the", "from the"]);
    let tail = format!(", {using} {}", weight.attribute.noun);
    let mut conditions = Vec::new();
    conditions::complete(&source, dice, &mut conditions);
    match dice.below(4) {
        0 => {
            let dimension = grouping(&source, &[w], 0.7, dice);
            let rows = &source.subject.many;
            let figure = Figure {
                what: match dice.below(2) {
                    0 => format!("estimated number of {rows} in the population"),
                    _ => format!("weighted number of {rows}"),
                },
                tail,
                sql: format!("SUM({w})"),
                alias: format!("estimated_{}", snake(rows)),
                taken: &[],
            };
            Some(asked(
                &figure.what,
                &figure,
                &source,
                dimension.as_ref(),
                &conditions,
                dice,
            ))
        }
        1 => {
            let part = (0..6).find_map(|_| {
                conditions::one(&source, dice).filter(|c| !c.is_time && c.owner.is_none() && c.about != w)
            })?;
            let dimension = grouping(&source, &[w, part.about.as_str()], 0.5, dice);
            let rows = subject(&source, std::slice::from_ref(&part), dice);
            let figure = Figure {
                what: format!("weighted share of {rows}"),
                tail,
                sql: format!("SUM(IF({}, {w}, 0)) / SUM({w})", part.sql),
                alias: "weighted_share".to_owned(),
                taken: &[],
            };
            Some(asked(
                &figure.what,
                &figure,
                &source,
                dimension.as_ref(),
                &conditions,
                dice,
            ))
        }
        _ => {
            let fields = source.own(|a| a.measure().is_some());
            let field = *dice.pick(&fields)?;
            let taken = [field.sql.as_str()];
            let dimension = grouping(&source, &taken, 0.6, dice);
            let figure = Figure {
                what: format!("weighted {} {}", dice.word(&["mean", "average"]), of_row(field)),
                tail,
                sql: format!("SUM({0} * {w}) / SUM({w})", field.sql),
                alias: format!("weighted_{}", snake(&field.attribute.name)),
                taken: &taken,
            };
            Some(drafted(&figure, &source, dimension.as_ref(), dice))
        }
    }
}

/// The mean of a price or rate, by how much it is paid or lasts for.
pub(super) fn mean_by_quantity(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let source = source(context, Reach::All, dice)?;
    let rates = source.own(|a| {
        a.measure().is_some_and(|m| !m.additive && !m.counted)
            && ["price", "rate", "score", "rating", "percentage"]
                .iter()
                .any(|word| a.noun.ends_with(word))
    });
    let amounts = source.own(|a| {
        a.measure().is_some_and(|m| m.additive && !m.aggregated)
            && [
                "quantity", "units", "packs", "volume", "hours", "tonnes", "weight",
            ]
            .iter()
            .any(|word| a.noun.contains(word))
    });
    let (rate, amount) = (*dice.pick(&rates)?, *dice.pick(&amounts)?);
    let taken = [rate.sql.as_str(), amount.sql.as_str()];
    let dimension = grouping(&source, &taken, 0.6, dice);
    let what = format!(
        "{} weighted by {}",
        metrics_noun(rate, dice),
        amount.attribute.noun
    );
    let sql = format!("SUM({0} * {1}) / SUM({1})", rate.sql, amount.sql);
    let alias = format!("weighted_{}", snake(&rate.attribute.name));
    Some(drafted(
        &Figure {
            what,
            tail: String::new(),
            sql,
            alias,
            taken: &taken,
        },
        &source,
        dimension.as_ref(),
        dice,
    ))
}

/// "average unit price"
fn metrics_noun(field: &Field<'_>, dice: &mut Dice) -> String {
    let noun = &field.attribute.noun;
    let plain = noun.strip_prefix("average ").unwrap_or(noun);
    format!("{} {plain}", dice.word(&["average", "mean"]))
}

/// The mean over rows of one number by another.
pub(super) fn mean_ratio(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let source = source(context, Reach::Joined, dice)?;
    let sums = source.own(|a| a.measure().is_some_and(|m| m.additive && !m.aggregated));
    let above = *dice.pick(&sums)?;
    let below: Vec<_> = sums
        .iter()
        .filter(|f| f.sql != above.sql && f.attribute.measure().is_some_and(|m| m.counted))
        .filter(|f| f.attribute.noun.split(' ').count() <= 3)
        .collect();
    let below = **dice.pick(&below)?;
    let taken = [above.sql.as_str(), below.sql.as_str()];
    let dimension = grouping(&source, &taken, 0.6, dice);
    let one = words::singular(&below.attribute.noun);
    let above_noun = above
        .attribute
        .noun
        .strip_prefix("total ")
        .unwrap_or(&above.attribute.noun);
    let each = &source.subject.one;
    let (what, tail) = match dice.below(3) {
        0 => (format!("average {above_noun} per {one}"), String::new()),
        1 => (
            format!("average {above_noun} per {one}"),
            format!(", averaged over {}", source.subject.many),
        ),
        _ => (
            format!("mean {above_noun} per {one}"),
            format!(", taken {each} by {each}"),
        ),
    };
    let figure = Figure {
        what,
        tail,
        sql: format!("AVG(SAFE_DIVIDE({}, {}))", above.sql, below.sql),
        alias: format!("{}_per_{}", snake(&above.attribute.name), snake(&one)),
        taken: &taken,
    };
    Some(drafted(&figure, &source, dimension.as_ref(), dice))
}

/// What part of one sum another is: calls at night in all calls.
pub(super) fn part_of_sum(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let source = source(context, Reach::Joined, dice)?;
    let sums = source.own(|a| a.measure().is_some_and(|m| m.additive && !m.aggregated));
    let mut pairs = Vec::new();
    for whole in &sums {
        let noun = &whole.attribute.noun;
        let plain = noun.strip_prefix("total ").unwrap_or(noun);
        for part in &sums {
            let more = part
                .attribute
                .noun
                .strip_prefix(plain)
                .is_some_and(|rest| rest.starts_with(' '));
            let before = part
                .attribute
                .noun
                .strip_suffix(plain)
                .is_some_and(|rest| rest.ends_with(' ') && rest != "total " && !rest.ends_with(" of "));
            if (more || before) && part.attribute.unit == whole.attribute.unit {
                pairs.push((*part, *whole));
            }
        }
    }
    let (part, whole) = *dice.pick(&pairs)?;
    let taken = [part.sql.as_str(), whole.sql.as_str()];
    let dimension = grouping(&source, &taken, 0.6, dice);
    let percent = dice.chance(0.6);
    let (word, times) = if percent {
        ("percentage", "100 * ")
    } else {
        (dice.word(&["share", "proportion"]), "")
    };
    let whole_noun = whole
        .attribute
        .noun
        .strip_prefix("total ")
        .unwrap_or(&whole.attribute.noun);
    let what = match dice.below(2) {
        0 => format!("{word} of {} in all {whole_noun}", part.attribute.noun),
        _ => format!("{} as a {word} of all {whole_noun}", part.attribute.noun),
    };
    let sql = format!("{times}SUM({}) / SUM({})", part.sql, whole.sql);
    Some(drafted(
        &Figure {
            what,
            tail: String::new(),
            sql,
            alias: (if percent { "percentage" } else { "share" }).to_owned(),
            taken: &taken,
        },
        &source,
        dimension.as_ref(),
        dice,
    ))
}

/// Sums of several columns, one column each.
pub(super) fn sums_side_by_side(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let source = source(context, Reach::Joined, dice)?;
    let kind = if dice.chance(0.7) {
        Kind::Sum
    } else {
        Kind::Average
    };
    let fields = source.own(|a| {
        a.measure()
            .is_some_and(|m| !m.aggregated && (m.additive || kind == Kind::Average))
    });
    let first = *dice.pick(&fields)?;
    // Columns of one kind are what somebody sets side by side.
    let akin = |field: &&&Field<'_>| {
        let shared = |noun: &str| {
            noun.split(' ')
                .filter(|w| w.len() > 3)
                .any(|w| first.attribute.noun.split(' ').any(|o| o == w))
        };
        field.sql != first.sql
            && shared(&field.attribute.noun)
            && field.attribute.noun != first.attribute.noun
    };
    let others: Vec<&Field<'_>> = fields.iter().filter(akin).copied().collect();
    let count = 1 + dice.below(4);
    let mut chosen = vec![first];
    chosen.extend(dice.shuffled(others).into_iter().take(count));
    if chosen.len() < 2 {
        return None;
    }
    let taken: Vec<&str> = chosen.iter().map(|f| f.sql.as_str()).collect();
    let dimension = grouping(&source, &taken, 0.4, dice);
    let figures: Vec<_> = chosen
        .iter()
        .map(|field| metrics::figure(&source, field, kind, dice))
        .collect();
    let columns: Vec<String> = figures
        .iter()
        .map(|m| format!("{} AS {}", m.sql, m.alias))
        .collect();
    let nouns: Vec<String> = chosen.iter().map(|f| f.attribute.noun.clone()).collect();
    let word = if kind == Kind::Sum { "total" } else { "average" };
    let nouns = words::list(&nouns, "and");
    let each = dice.word(&[
        ", one column each",
        ", each in its own column",
        ", side by side",
        "",
    ]);
    let mut conditions = conditions::some(&source, dice, 1);
    conditions.retain(|c| {
        !taken.contains(&c.about.as_str()) && dimension.as_ref().is_none_or(|d| d.about != c.about)
    });
    conditions::complete(&source, dice, &mut conditions);
    let of = if conditions.is_empty() && dice.chance(0.5) {
        String::new()
    } else {
        format!(" of {}", subject(&source, &conditions, dice))
    };
    let by = dimension.as_ref().map_or_else(String::new, |d| {
        format!(" {} {}", dice.word(&["by", "per", "for each"]), d.noun)
    });
    let style = style(dice);
    let what = format!("{word} {nouns}{of}{by}{each}");
    let text = match style {
        Style::Terse => what,
        Style::Sentence => format!("What are the {what}"),
        Style::Order => format!("{} the {what}", dice.word(&["Show", "Give", "Compute"])),
    };
    let (select, rest) = match &dimension {
        Some(d) => (
            format!("{}, ", d.select),
            format!(" GROUP BY {}{}", d.group, d.order()),
        ),
        None => (String::new(), String::new()),
    };
    Some(Draft::select(
        finished(style, &text, dice),
        &format!("{select}{}", columns.join(", ")),
        &source,
        &conditions,
        &rest,
    ))
}
