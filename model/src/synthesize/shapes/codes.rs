//! Columns whose numbers or letters stand for words: shares among what is known, kinds side by side and set against each
//! other, codes spelled out.

use super::super::columns::Role;
use super::super::conditions::{self, Condition, is_answer, is_sex, on_value, people};
use super::super::descriptions::Value;
use super::super::dice::Dice;
use super::super::dimensions::{self, Dimension};
use super::super::metrics;
use super::super::phrases::{Style, finished, style, subject, subject_called};
use super::super::source::{Field, Source, snake};
use super::super::words;
use super::figures::plural;
use super::regrouped::classes;
use super::{Context, Draft, Reach, source};

/// Most values of a column whose codes are spelled out.
const MOST: usize = 8;

/// A column of codes, and which of them say something.
pub(super) struct Codes<'s, 'm> {
    pub(super) field: &'s Field<'m>,
    known: Vec<&'m Value>,
    unknown: usize,
}

impl<'s, 'm> Codes<'s, 'm> {
    /// One of the source's columns whose values have words of their own; `only` those whose values are codes for them.
    pub(super) fn draw(source: &'s Source<'m>, only: bool, dice: &mut Dice) -> Option<Self> {
        let fits = |field: &&Field<'m>| {
            let values = &field.attribute.values;
            let worded = values
                .iter()
                .all(|value| value.said.chars().any(char::is_alphabetic));
            let coded = values.iter().all(|value| value.text() != value.said);
            field.attribute.role == Role::Category
                && (2..=MOST).contains(&values.len())
                && worded
                && (coded || !only)
        };
        let own = source.own(|_| true);
        let all: Vec<&'s Field<'m>> = own.into_iter().filter(fits).collect();
        let field = *dice.pick(&all)?;
        let attribute = field.attribute;
        let known: Vec<&Value> = attribute
            .values
            .iter()
            .filter(|value| !value.is_unknown())
            .collect();
        let unknown = attribute.values.len() - known.len();
        (known.len() > 1).then_some(Self {
            field,
            known,
            unknown,
        })
    }

    /// Two of the codes that say something.
    pub(super) fn two(&self, dice: &mut Dice) -> Option<[&'m Value; 2]> {
        let mut all = dice.shuffled(self.known.clone()).into_iter();
        Some([all.next()?, all.next()?])
    }

    pub(super) fn is(&self, value: &Value) -> String {
        format!("{} = {}", self.field.sql, value.sql)
    }

    /// That a row has one of the codes that say something.
    fn is_known(&self) -> String {
        let all: Vec<&str> = self.known.iter().map(|value| value.sql.as_str()).collect();
        format!("{} IN ({})", self.field.sql, all.join(", "))
    }

    /// The rows of a kind in the plural: "women", "paused campaigns", "claims with status open".
    pub(super) fn kind(&self, source: &Source<'m>, value: &Value, dice: &mut Dice) -> String {
        let of_people = words::is_person(&source.subject.one);
        match people(value).filter(|_| of_people && is_sex(self.field.attribute)) {
            Some(people) if dice.chance(0.75) => people.to_owned(),
            _ => {
                let condition = on_value(self.field, value, of_people, dice);
                subject_called(source, &source.subject.many, &[condition], dice)
            }
        }
    }

    /// What rows of a kind are or have: "are women", "have status open".
    fn predicate(&self, source: &Source<'m>, value: &Value, dice: &mut Dice) -> String {
        let of_people = words::is_person(&source.subject.one);
        match people(value).filter(|_| of_people && is_sex(self.field.attribute)) {
            Some(people) => format!("are {people}"),
            None => plural(&on_value(self.field, value, of_people, dice)),
        }
    }

    /// A name for what is computed of a kind.
    pub(super) fn name(&self, source: &Source<'m>, value: &Value) -> String {
        let noun = &self.field.attribute.noun;
        let of_people = words::is_person(&source.subject.one) && is_sex(self.field.attribute);
        source.free_name(&match people(value).filter(|_| of_people) {
            Some(people) => people.to_owned(),
            None if is_answer(self.field.attribute) && value.said == "yes" => format!("with_{}", snake(noun)),
            None if is_answer(self.field.attribute) => format!("without_{}", snake(noun)),
            None => snake(&value.said),
        })
    }
}

/// Conditions that are about none of these.
pub(super) fn beside(source: &Source<'_>, taken: &[&str], most: usize, dice: &mut Dice) -> Vec<Condition> {
    let mut found = conditions::some(source, dice, most);
    found.retain(|condition| !taken.iter().any(|sql| condition.is_about(sql)));
    conditions::complete(source, dice, &mut found);
    found
}

/// A grouping by something else.
pub(super) fn grouping(source: &Source<'_>, taken: &[&str], dice: &mut Dice) -> Option<Dimension> {
    dimensions::draw(source, dice, 0.25)
        .filter(|d| !taken.contains(&d.about.as_str()) && !d.noun.ends_with(" flag"))
}

/// The query of figures in groups, if there is a grouping.
pub(super) fn drafted(
    question: String,
    dimension: Option<&Dimension>,
    figures: &str,
    source: &Source<'_>,
    conditions: &[Condition],
    rest: &str,
) -> Draft {
    match dimension {
        Some(dimension) => {
            let rest = format!("{rest}{}", dimension.order());
            Draft::group(question, dimension, figures, source, conditions, &rest)
        }
        None => Draft::select(question, figures, source, conditions, rest),
    }
}

/// ", by month"; nothing where there is no grouping.
pub(super) fn by(dimension: Option<&Dimension>, dice: &mut Dice) -> String {
    dimension.map_or_else(String::new, |d| {
        format!(
            " {} {}",
            dice.word(&["by", "per", "for each", "for every"]),
            d.noun
        )
    })
}

/// The share of one code among the rows whose code says something.
pub(super) fn share(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let source = source(context, Reach::Joined, dice)?;
    let codes = Codes::draw(&source, false, dice).filter(|codes| codes.unknown > 0)?;
    let value = *dice.pick(&codes.known)?;
    let own = codes.field.sql.as_str();
    let dimension = if dice.chance(0.55) {
        grouping(&source, &[own], dice)
    } else {
        None
    };
    let mut taken = vec![own];
    taken.extend(dimension.as_ref().map(|d| d.about.as_str()));
    let conditions = beside(&source, &taken, 1, dice);
    let (is, known) = (codes.is(value), codes.is_known());
    let (times, word, digits) = match dice.below(5) {
        0 | 1 => ("100 * ", "percentage", false),
        2 => ("100 * ", "percentage", true),
        _ => ("", dice.word(&["share", "share", "proportion"]), false),
    };
    let share = if dimension.is_some() && dice.chance(0.5) {
        format!("{times}SAFE_DIVIDE(COUNTIF({is}), COUNTIF({known}))")
    } else {
        format!("{times}COUNTIF({is}) / COUNTIF({known})")
    };
    let share = if digits {
        format!("ROUND({share}, 1)")
    } else {
        share
    };
    let noun = &codes.field.attribute.noun;
    let kind = codes.kind(&source, value, dice);
    let post = if is_answer(codes.field.attribute) || dice.chance(0.3) {
        format!("whose {noun} is known")
    } else {
        format!("with {} {noun}", dice.word(&["a known", "known"]))
    };
    let mut said = conditions.clone();
    said.push(Condition {
        post,
        ..Condition::default()
    });
    let rows = subject(&source, &said, dice);
    let by = by(dimension.as_ref(), dice);
    let style = style(dice);
    let text = match style {
        Style::Sentence if conditions.is_empty() => {
            format!(
                "What {word} of {rows} {}{by}",
                codes.predicate(&source, value, dice)
            )
        }
        Style::Terse => format!("{word} of {kind} among {rows}{by}"),
        Style::Sentence => format!("What is the {word} of {kind} among {rows}{by}"),
        Style::Order => format!(
            "{} the {word} of {kind} among {rows}{by}",
            dice.word(&["Show", "Compute", "Give"])
        ),
    };
    let text = if digits {
        format!("{text}, rounded to one decimal")
    } else {
        text
    };
    let figures = match &dimension {
        Some(_) => format!(
            "{share} AS {}",
            source.free_name(if times.is_empty() { "share" } else { "percentage" })
        ),
        None => share,
    };
    let question = finished(style, &text, dice);
    Some(drafted(
        question,
        dimension.as_ref(),
        &figures,
        &source,
        &conditions,
        "",
    ))
}

/// How many of each kind in every group, and now and then their ratio.
pub(super) fn side_by_side(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let source = source(context, Reach::Joined, dice)?;
    let codes = Codes::draw(&source, true, dice)?;
    let own = codes.field.sql.as_str();
    let dimension = if dice.chance(0.3) {
        classes(&source, dice)?.1.dimension
    } else {
        grouping(&source, &[own], dice)?
    };
    let conditions = beside(
        &source,
        &[own, dimension.about.as_str()],
        usize::from(dice.chance(0.25)),
        dice,
    );
    let [first, second] = codes.two(dice)?;
    let (name, other_name) = (codes.name(&source, first), codes.name(&source, second));
    if name == other_name {
        return None;
    }
    let (a, b) = (
        format!("COUNTIF({})", codes.is(first)),
        format!("COUNTIF({})", codes.is(second)),
    );
    let mut figures = format!("{a} AS {name}, {b} AS {other_name}");
    let (one, other) = (
        codes.kind(&source, first, dice),
        codes.kind(&source, second, dice),
    );
    let ratio = if dice.chance(0.3) {
        figures.push_str(&format!(
            ", SAFE_DIVIDE({a}, {b}) AS {}",
            source.free_name("ratio")
        ));
        format!(" and the ratio of {one} to {other}")
    } else {
        String::new()
    };
    let among = if conditions.is_empty() {
        String::new()
    } else {
        format!(" among {}", subject(&source, &conditions, dice))
    };
    let noun = &dimension.noun;
    let and = if ratio.is_empty() { " and" } else { "," };
    let style = style(dice);
    let text = match style {
        Style::Terse => format!("number of {one}{and} number of {other}{ratio} per {noun}{among}"),
        Style::Sentence if ratio.is_empty() => {
            format!("How many {one} and how many {other} are there per {noun}{among}")
        }
        Style::Sentence => {
            format!("For each {noun}, what is the number of {one}, the number of {other}{ratio}{among}")
        }
        Style::Order => format!(
            "For each {noun}, {} the number of {one}{and} the number of {other}{ratio}{among}",
            dice.word(&["show", "give", "count"]).replace("count", "show")
        ),
    };
    let question = finished(style, &text, dice);
    Some(drafted(
        question,
        Some(&dimension),
        &figures,
        &source,
        &conditions,
        "",
    ))
}

/// A figure for two of the codes: for men and for women.
pub(super) fn of_two(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let source = source(context, Reach::Joined, dice)?;
    let codes = Codes::draw(&source, true, dice).filter(|codes| codes.known.len() + codes.unknown > 2)?;
    let [first, second] = codes.two(dice)?;
    let metric = metrics::of_number(&source, dice)?;
    let of_people = words::is_person(&source.subject.one);
    // "for women" says of whom, other words only what their column has.
    let kind = |value: &Value| match people(value).filter(|_| of_people && is_sex(codes.field.attribute)) {
        Some(people) => people.to_owned(),
        None => value.said.clone(),
    };
    let noun = &codes.field.attribute.noun;
    let (one, other) = (kind(first), kind(second));
    let which = if people(first).is_some_and(|people| people == one) {
        format!("for {one} and for {other}")
    } else {
        format!("for {noun} {one} and for {noun} {other}")
    };
    let conditions = beside(
        &source,
        &[codes.field.sql.as_str()],
        usize::from(dice.chance(0.3)),
        dice,
    );
    if is_answer(codes.field.attribute)
        || conditions
            .iter()
            .any(|c| Some(&c.about) == metric.argument.as_ref())
    {
        return None;
    }
    let rows = subject(&source, &conditions, dice);
    let what = metric.short(&rows, conditions.is_empty(), dice);
    let style = style(dice);
    let text = match style {
        Style::Terse => format!("{what}, {which}"),
        Style::Sentence => format!("What is the {what}, {which}"),
        Style::Order => format!("{} the {what} {which}", dice.word(&["Show", "Compare", "Give"])),
    };
    let mut all = vec![Condition {
        sql: format!("{} IN ({}, {})", codes.field.sql, first.sql, second.sql),
        ..Condition::default()
    }];
    all.extend(conditions);
    let sql = &codes.field.sql;
    Some(Draft::select(
        finished(style, &text, dice),
        &format!("{sql}, {} AS {}", metric.sql, metric.alias),
        &source,
        &all,
        &format!(" GROUP BY {sql}"),
    ))
}

/// A figure of each code, which is spelled out.
pub(super) fn spelled(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let source = source(context, Reach::Joined, dice)?;
    let codes = Codes::draw(&source, true, dice)?;
    let attribute = codes.field.attribute;
    let metric = if dice.chance(0.6) {
        metrics::count(&source)
    } else {
        metrics::of_number(&source, dice)?
    };
    let conditions = beside(
        &source,
        &[codes.field.sql.as_str()],
        usize::from(dice.chance(0.4)),
        dice,
    );
    if conditions
        .iter()
        .any(|c| Some(&c.about) == metric.argument.as_ref())
    {
        return None;
    }
    let cases: Vec<String> = attribute
        .values
        .iter()
        .map(|value| format!("WHEN {} THEN {}", value.sql, Value::string(&value.said).sql))
        .collect();
    let head = attribute.noun.split(" of ").next().unwrap_or(&attribute.noun);
    let last = head.rsplit(' ').next().unwrap_or(head);
    let alias = source.free_name(&format!("{}_name", snake(last)));
    let largest = dice.chance(0.4);
    let rest = if largest {
        format!(" GROUP BY {alias} ORDER BY {} DESC", metric.alias)
    } else {
        format!(" GROUP BY {alias}")
    };
    let rows = subject(&source, &conditions, dice);
    let what = metric.short(&rows, conditions.is_empty(), dice);
    let said: Vec<String> = attribute.values.iter().map(|value| value.said.clone()).collect();
    let noun = &attribute.noun;
    let spelled = match dice.below(4) {
        0 => format!("{noun} as text ({})", said.join(", ")),
        1 => format!("{noun} (as text)"),
        2 => format!("{noun} in words"),
        _ => format!("{noun}, spelled out"),
    };
    let order = if largest {
        dice.word(&[", largest first", ", highest first"])
    } else {
        ""
    };
    let style = style(dice);
    let text = match style {
        Style::Terse => format!("{what} by {spelled}{order}"),
        Style::Sentence => format!("What is the {what} per {spelled}{order}"),
        Style::Order => format!("Show {spelled}, with the {what}{order}"),
    };
    Some(Draft::select(
        finished(style, &text, dice),
        &format!(
            "CASE {} {} END AS {alias}, {} AS {}",
            codes.field.sql,
            cases.join(" "),
            metric.sql,
            metric.alias
        ),
        &source,
        &conditions,
        &rest,
    ))
}
