//! One figure of many rows, or a few: counts, sums, averages, shares, ratios.

use super::super::columns::{Role, State};
use super::super::conditions::{self, Condition};
use super::super::dice::Dice;
use super::super::dimensions;
use super::super::metrics::{self, Kind, Metric};
use super::super::phrases::{Style, finished, shown, style, subject};
use super::super::source::{Source, snake};
use super::super::words;
use super::{Context, Draft, Reach, grouped, source};

/// How many rows there are.
pub(super) fn count(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let source = source(context, Reach::All, dice)?;
    if !source.table.countable && !source.unnested {
        return None;
    }
    let wanted = 1 + dice.below(2);
    let conditions = conditions::exactly(&source, dice, wanted);
    let metric = metrics::count(&source);
    Some(one(&source, &metric, &conditions, dice))
}

/// A sum, an average, an extreme.
pub(super) fn figure(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let source = source(context, Reach::All, dice)?;
    let metric = if dice.chance(0.2) {
        metrics::different(&source, dice)
    } else {
        metrics::of_number(&source, dice)
    }?;
    let conditions = conditions::some(&source, dice, 2);
    if conditions
        .iter()
        .any(|c| Some(&c.about) == metric.argument.as_ref())
    {
        return None;
    }
    Some(one(&source, &metric, &conditions, dice))
}

fn one(source: &Source<'_>, metric: &Metric, conditions: &[Condition], dice: &mut Dice) -> Draft {
    let rows = subject(source, conditions, dice);
    let bare = conditions.is_empty();
    let style = style(dice);
    let question = match style {
        Style::Sentence => finished(style, &metric.asked(&rows, bare, dice), dice),
        Style::Order if metric.kind == Kind::Count => finished(style, &format!("Count the {rows}"), dice),
        _ => shown(style, &metric.short(&rows, bare, dice), dice),
    };
    Draft::select(question, &metric.sql, source, conditions, "")
}

/// Two or three figures side by side.
pub(super) fn several(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let source = source(context, Reach::All, dice)?;
    let fields = source.own(|a| a.measure().is_some());
    let field = *dice.pick(&fields)?;
    let measure = field.attribute.measure()?;
    let noun = &field.attribute.noun;
    let (kinds, said): (&[Kind], String) = match dice.below(4) {
        0 => (&[Kind::Least, Kind::Most], format!("lowest and highest {noun}")),
        1 => (
            &[Kind::Least, Kind::Average, Kind::Most],
            format!("minimum, average and maximum {noun}"),
        ),
        2 if measure.additive && !measure.counted => {
            (&[Kind::Sum, Kind::Average], format!("total and average {noun}"))
        }
        _ => (
            &[Kind::Average, Kind::Median],
            format!("average and median {noun}"),
        ),
    };
    let figures: Vec<Metric> = kinds
        .iter()
        .map(|kind| metrics::figure(&source, field, *kind, dice))
        .collect();
    let with_count = source.table.countable && dice.chance(0.3);
    let mut columns: Vec<String> = figures
        .iter()
        .map(|m| format!("{} AS {}", m.sql, m.alias))
        .collect();
    let conditions = conditions::some(&source, dice, 1);
    if conditions.iter().any(|c| c.about == field.sql) {
        return None;
    }
    let rows = subject(&source, &conditions, dice);
    let mut what = format!("{said} of {rows}");
    if with_count {
        let count = metrics::count(&source);
        columns.insert(0, format!("{} AS {}", count.sql, count.alias));
        what = format!("number of {rows} and their {said}");
    }
    Some(Draft::select(
        shown(style(dice), &what, dice)
            .replace("What is the lowest and", "What are the lowest and")
            .replace("What is the minimum, ", "What are the minimum, "),
        &columns.join(", "),
        &source,
        &conditions,
        "",
    ))
}

/// A condition whose share can be asked for: one that many rows can fulfil, and is no time.
fn part(source: &Source<'_>, dice: &mut Dice) -> Option<Condition> {
    let names_one = |c: &Condition| matches!(c.role(source), Some(Role::Key | Role::Label));
    let one = (0..6).find_map(|_| {
        conditions::one(source, dice).filter(|c| !c.is_time && c.owner.is_none() && !names_one(c))
    })?;
    Some(if dice.chance(0.15) {
        conditions::either(source, one, dice)
    } else {
        one
    })
}

/// The share of rows that fulfil a condition, as SQL, its words, and whether in percent.
fn share_of(condition: &Condition, dice: &mut Dice) -> (String, &'static str) {
    let plain = condition
        .sql
        .strip_prefix('(')
        .and_then(|sql| sql.strip_suffix(')'));
    let holds = format!("COUNTIF({})", plain.unwrap_or(&condition.sql));
    match dice.below(5) {
        0 => (
            format!("100 * {holds} / COUNT(*)"),
            dice.word(&["percentage", "percent"]),
        ),
        1 => (
            format!("ROUND(100 * {holds} / COUNT(*), 1)"),
            "percentage (one decimal)",
        ),
        _ => (
            format!("{holds} / COUNT(*)"),
            dice.word(&["share", "share", "proportion", "fraction"]),
        ),
    }
}

/// The share of rows that fulfil a condition.
pub(super) fn share(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let source = source(context, Reach::All, dice)?;
    let part = part(&source, dice)?;
    let mut others = conditions::some(&source, dice, 1);
    others.retain(|c| c.about != part.about);
    let (sql, word) = share_of(&part, dice);
    let (all, some) = whole_and_part(&source, &others, &part, dice);
    let style = style(dice);
    let percent = word.starts_with("percent");
    let text = match (style, dice.below(2)) {
        (Style::Terse, 0) => format!(
            "{} of {some}{}",
            if percent { "percentage" } else { word },
            among(&all, &source)
        ),
        (Style::Terse, _) => format!(
            "{} of {all} {}",
            if percent { "percentage" } else { word },
            plain(&part)
        ),
        (Style::Sentence, _) => format!(
            "What {} of {all} {}",
            if percent { "percentage" } else { word },
            plural(&part)
        ),
        (Style::Order, _) => format!(
            "{} the {} of {all} {}",
            dice.word(&["Compute", "Show", "Calculate"]),
            if percent { "percentage" } else { word },
            plain(&part)
        ),
    };
    let text = if word.ends_with("decimal)") {
        format!("{text}, rounded to one decimal")
    } else {
        text
    };
    Some(Draft::select(
        finished(style, &text, dice),
        &sql,
        &source,
        &others,
        "",
    ))
}

/// All rows in words, and those that fulfil the condition too.
fn whole_and_part(
    source: &Source<'_>,
    others: &[Condition],
    part: &Condition,
    dice: &mut Dice,
) -> (String, String) {
    let all = subject(source, others, dice);
    let some = subject(source, std::slice::from_ref(part), dice);
    (all, some)
}

fn among(all: &str, source: &Source<'_>) -> String {
    if *all == source.subject.many {
        " among all of them".to_owned()
    } else {
        format!(" among {all}")
    }
}

/// The condition behind a plural, as a relative clause.
fn plain(condition: &Condition) -> String {
    condition.post.clone()
}

/// The condition as a predicate of a plural: "are refunded", "have status open".
pub(super) fn plural(condition: &Condition) -> String {
    let predicate = &condition.predicate;
    let changed = [("is ", "are "), ("was ", "were "), ("has ", "have ")]
        .iter()
        .find_map(|(one, many)| predicate.strip_prefix(one).map(|rest| format!("{many}{rest}")));
    changed.unwrap_or_else(|| predicate.clone())
}

/// The share in each group.
pub(super) fn share_by(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let (source, dimension) = grouped(context, Reach::All, dice, 0.3)?;
    let part = part(&source, dice)?;
    let mut others = conditions::some(&source, dice, 1);
    others.retain(|c| c.about != part.about && c.about != dimension.about);
    if dimension.about == part.about {
        return None;
    }
    let (sql, word) = share_of(&part, dice);
    let word = if word.starts_with("percent") {
        "percentage"
    } else {
        word
    };
    let all = dimension.without_owner(&source, &subject(&source, &others, dice));
    let alias = source.free_name(if word == "percentage" {
        "percentage"
    } else {
        "share"
    });
    let style = style(dice);
    let noun = &dimension.noun;
    let text = match style {
        Style::Terse => format!(
            "{word} of {all} {} {} {noun}",
            plain(&part),
            dice.word(&["by", "per"])
        ),
        Style::Sentence if dice.chance(0.5) => {
            format!("For each {noun}, what {word} of {all} {}", plural(&part))
        }
        Style::Sentence => format!(
            "What {word} of {all} {}, {} {noun}",
            plural(&part),
            dice.word(&["by", "per", "for each"])
        ),
        Style::Order => format!(
            "{} the {word} of {all} {}, {} {noun}",
            dice.word(&["Show", "Give", "Compute"]),
            plain(&part),
            dice.word(&["by", "per", "for each"])
        ),
    };
    let text = if sql.starts_with("ROUND") {
        format!("{text}, rounded to one decimal")
    } else {
        text
    };
    Some(Draft::group(
        finished(style, &text, dice),
        &dimension,
        &format!("{sql} AS {alias}"),
        &source,
        &others,
        "",
    ))
}

/// One sum by another: what is paid for a kilogram, an hour, a seat.
pub(super) fn ratio(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let source = source(context, Reach::All, dice)?;
    let sums = source.own(|a| a.measure().is_some_and(|m| m.additive && !m.aggregated));
    let above = *dice.pick(&sums)?;
    let below: Vec<_> = sums
        .iter()
        .filter(|f| {
            // Two counts of one thing have no price.
            let same = f.attribute.noun.split(' ').next() == above.attribute.noun.split(' ').next();
            f.sql != above.sql
                && !same
                && (f.attribute.unit.is_some()
                    || f.attribute.measure().is_some_and(|m| m.counted)
                    || f.attribute.noun.contains("quantity"))
        })
        .collect();
    let below = **dice.pick(&below)?;
    let one = match below.attribute.unit {
        Some(unit) => words::singular(unit.words).replace("kilowatt hours", "kilowatt hour"),
        None => words::singular(&below.attribute.noun),
    };
    let one = if below.attribute.unit.is_some() {
        format!("{one} of {}", below.attribute.noun)
    } else {
        one
    };
    let conditions = conditions::some(&source, dice, 1);
    let dimension = if dice.chance(0.55) {
        dimensions::draw(&source, dice, 0.3)
    } else {
        None
    };
    let rows = subject(&source, &conditions, dice);
    let expression = format!("SAFE_DIVIDE(SUM({}), SUM({}))", above.sql, below.sql);
    let what = format!("{} per {one} of {rows}", above.attribute.noun).replace("total ", "");
    let what = format!("{} {what}", dice.word(&["overall", "total"]));
    let style = style(dice);
    Some(match dimension {
        Some(dimension) if conditions.iter().all(|c| c.about != dimension.about) => {
            let alias = source.free_name(&format!(
                "{}_per_{}",
                snake(&above.attribute.name),
                snake(&words::singular(&below.attribute.name))
            ));
            Draft::group(
                shown(
                    style,
                    &format!("{what}, {} {}", dice.word(&["by", "for each"]), dimension.noun),
                    dice,
                ),
                &dimension,
                &format!("{expression} AS {alias}"),
                &source,
                &conditions,
                "",
            )
        }
        _ => Draft::select(shown(style, &what, dice), &expression, &source, &conditions, ""),
    })
}

/// Figures of rows of several kinds side by side, in each group or of all.
pub(super) fn conditional(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let (source, dimension) = match dice.below(4) {
        0 => (source(context, Reach::All, dice)?, None),
        _ => {
            let (source, dimension) = grouped(context, Reach::All, dice, 0.35)?;
            (source, Some(dimension))
        }
    };
    let fields = source.own(|a| match a.role {
        Role::Category => (2..=6).contains(&a.values.len()) && !conditions::is_answer(a),
        Role::Flag => true,
        Role::Time => a.missing.is_some(),
        _ => false,
    });
    let field = *dice.pick(&fields)?;
    if dimension.as_ref().is_some_and(|d| d.about == field.sql) {
        return None;
    }
    let mut others = conditions::some(&source, dice, 1);
    others.retain(|c| c.about != field.sql && dimension.as_ref().is_none_or(|d| d.about != c.about));
    conditions::complete(&source, dice, &mut others);
    let total = if dice.chance(0.4) {
        metrics::sum(&source, dice)
    } else {
        None
    };
    let figure = |condition: &str, name: &str| match total.as_ref().and_then(|t| t.argument.as_ref()) {
        Some(argument) => format!(
            "SUM(IF({condition}, {argument}, 0)) AS {}",
            source.free_name(&format!("{name}_total"))
        ),
        None => {
            let free = source.free_name(name);
            let alias = if free == name {
                free
            } else {
                source.free_name(&format!("{name}_count"))
            };
            format!("COUNTIF({condition}) AS {alias}")
        }
    };
    let noun = &field.attribute.noun;
    let (columns, kinds): (Vec<String>, Vec<String>) = match field.attribute.role {
        Role::Category => {
            let values = dice.shuffled(field.attribute.values.clone());
            let count = 2 + usize::from(values.len() > 2 && dice.chance(0.3));
            let chosen: Vec<_> = values.into_iter().take(count).collect();
            (
                chosen
                    .iter()
                    .map(|v| figure(&format!("{} = {}", field.sql, v.sql), &snake(&v.said)))
                    .collect(),
                chosen.into_iter().map(|v| column_of(noun, v.said)).collect(),
            )
        }
        Role::Flag => {
            let yes = conditions::on_flag(field, false);
            let no = conditions::on_flag(field, true);
            let name = snake(&field.attribute.noun);
            let kinds = match &field.attribute.state {
                Some(State::Adjective(word) | State::Phrase(word)) => {
                    vec![word.clone(), format!("not {word}")]
                }
                _ if total.is_some() => return None,
                _ => vec![yes.post.clone(), no.post.clone()],
            };
            (
                vec![figure(&yes.sql, &name), figure(&no.sql, &format!("not_{name}"))],
                kinds,
            )
        }
        _ => {
            let missing = field
                .attribute
                .missing
                .as_ref()
                .filter(|m| !m.of_present && !m.state.contains(' '))?;
            let Some(super::super::columns::Event::Passive(done)) = &field.attribute.event else {
                return None;
            };
            (
                vec![
                    figure(&format!("{} IS NULL", field.sql), &snake(&missing.state)),
                    figure(&format!("{} IS NOT NULL", field.sql), &snake(done)),
                ],
                vec![missing.state.clone(), done.clone()],
            )
        }
    };
    let rows = subject(&source, &others, dice);
    let kinds = words::list(&kinds, "and");
    let is_value = field.attribute.role == Role::Category && !super::is_numbered(field.attribute);
    let style = style(dice);
    let of = match &total {
        Some(total) => total.of(&rows),
        None => format!("number of {rows}"),
    };
    let by = dimension.as_ref().map(|d| d.noun.clone());
    let clauses = field.attribute.role == Role::Flag && kinds.contains("with")
        || kinds.contains("marked")
        || kinds.contains("that");
    let text = match (&by, style) {
        // "with snowmaking and without snowmaking": what rows are, rather than what they are called.
        (Some(by), Style::Terse) if clauses => format!("{of} {kinds}, in separate columns, per {by}"),
        (Some(by), Style::Sentence) if clauses => {
            format!("How many {rows} {kinds} are there per {by}, side by side")
        }
        (Some(by), Style::Order) if clauses => format!("Show for each {by} the {of} {kinds} in two columns"),
        (None, Style::Terse) if clauses => format!("{of} {kinds}, side by side"),
        (None, _) if clauses => format!("How many {rows} {kinds} are there? Give two columns"),
        (Some(by), Style::Sentence) if total.is_none() && !is_value && dice.chance(0.5) => {
            let (yes, no) = kinds.rsplit_once(" and ").unwrap_or((&kinds, ""));
            format!("For each {by}, how many {rows} are {yes} and how many {no}")
        }
        (Some(by), Style::Sentence) if total.is_none() && is_value => {
            format!("For each {by}, how many {rows} have {noun} {kinds}, side by side")
        }
        (Some(by), Style::Sentence) if total.is_none() && !kinds.contains("with") => {
            format!("For each {by}, how many {rows} are {}", kinds)
        }
        (Some(by), Style::Terse) => format!("{of} per {by}: {kinds} in separate columns"),
        (Some(by), _) => format!(
            "{} the {of} per {by}, with one column each for {}{kinds}",
            dice.word(&["Show", "Give", "Compare"]),
            if is_value {
                format!("{noun} ")
            } else {
                String::new()
            }
        ),
        (None, Style::Terse) => format!("{of}: {kinds} in separate columns"),
        (None, Style::Sentence) => format!(
            "What is the {of} for {}{kinds}, each in its own column",
            if is_value {
                format!("{noun} ")
            } else {
                String::new()
            }
        ),
        (None, Style::Order) => format!(
            "{} the {of} for {}{kinds} side by side",
            dice.word(&["Show", "Compare"]),
            if is_value {
                format!("{noun} ")
            } else {
                String::new()
            }
        ),
    };
    let (select, group) = match &dimension {
        Some(d) => (format!("{}, ", d.select), format!(" GROUP BY {}", d.group)),
        None => (String::new(), String::new()),
    };
    Some(Draft::select(
        finished(style, &text, dice),
        &format!("{select}{}", columns.join(", ")),
        &source,
        &others,
        &group,
    ))
}

/// What the column of a value is called: "shipped", "quintile of income 2", where 2 alone would tell nothing.
fn column_of(noun: &str, said: String) -> String {
    if said.parse::<i64>().is_ok() {
        format!("{noun} {said}")
    } else if said.contains('_') {
        format!("'{said}'")
    } else {
        said
    }
}

/// How many rows have no value.
pub(super) fn missing(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let source = source(context, Reach::All, dice)?;
    let fields = source.own(|a| {
        !a.required
            && a.missing.is_none()
            && a.stored.is_none()
            && a.role != Role::Flag
            && a.role != Role::Other
    });
    let field = *dice.pick(&fields)?;
    let head = field.attribute.noun.split(" of ").next().unwrap_or_default();
    let noun = if head.split(' ').any(words::is_plural) {
        field.attribute.noun.clone()
    } else {
        words::with_article(&field.attribute.noun)
    };
    // "with lost frames" would mean more than none.
    let has = dice.chance(0.25) && !field.attribute.measure().is_some_and(|m| m.counted);
    let others: Vec<Condition> = conditions::some(&source, dice, 1)
        .into_iter()
        .filter(|c| c.about != field.sql)
        .collect();
    let mut all = vec![Condition {
        sql: format!("{} IS {}NULL", field.sql, if has { "NOT " } else { "" }),
        post: if has {
            format!("with {noun}")
        } else {
            format!("without {noun}")
        },
        predicate: String::new(),
        about: field.sql.clone(),
        ..Condition::default()
    }];
    all.extend(others);
    let rows = subject(&source, &all, dice);
    let style = style(dice);
    if dice.chance(0.5) {
        let metric = metrics::count(&source);
        let question = match style {
            Style::Sentence => finished(style, &metric.asked(&rows, false, dice), dice),
            _ => shown(style, &metric.of(&rows), dice),
        };
        return Some(Draft::select(question, "COUNT(*)", &source, &all, ""));
    }
    let names: Vec<String> = source.names().iter().map(|f| f.sql.clone()).collect();
    if names.is_empty() || names.contains(&field.sql) {
        return None;
    }
    let text = match style {
        Style::Terse => rows,
        Style::Sentence => format!("Which {rows} are there"),
        Style::Order => format!("{} {rows}", dice.word(&["Find", "List"])),
    };
    Some(Draft::select(
        finished(style, &text, dice),
        &super::select(&names)?,
        &source,
        &all,
        "",
    ))
}
