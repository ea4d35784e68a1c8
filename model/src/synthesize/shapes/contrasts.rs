//! One kind of rows set against another: differences, ratios, groups in which the one has more.

use super::super::dice::Dice;
use super::super::dimensions;
use super::super::phrases::{Style, finished, style, subject};
use super::super::source::{Field, Source};
use super::codes::{Codes, beside, by, drafted, grouping};
use super::{Context, Draft, Reach, source};

/// A figure of the rows that fulfil a condition, and how it is called.
struct Figure<'s, 'm> {
    field: Option<&'s Field<'m>>,
    sums: bool,
}

impl<'s, 'm> Figure<'s, 'm> {
    fn draw(source: &'s Source<'m>, taken: &[&str], counts: f32, dice: &mut Dice) -> Option<Self> {
        if dice.chance(counts) {
            return Some(Self {
                field: None,
                sums: false,
            });
        }
        let fields = source.own(|a| a.measure().is_some());
        let field = *dice.pick(&fields)?;
        let measure = field.attribute.measure()?;
        let sums = measure.additive && !measure.aggregated && dice.chance(0.35);
        (!taken.contains(&field.sql.as_str())).then_some(Self {
            field: Some(field),
            sums,
        })
    }

    fn sql(&self, condition: &str) -> String {
        match self.field {
            None => format!("COUNTIF({condition})"),
            Some(field) if self.sums => format!("SUM(IF({condition}, {}, 0))", field.sql),
            Some(field) => format!("AVG(IF({condition}, {}, NULL))", field.sql),
        }
    }

    /// "average number of calls"
    fn said(&self, dice: &mut Dice) -> String {
        let Some(field) = self.field else {
            return "number".to_owned();
        };
        let noun = &field.attribute.noun;
        let counted = field.attribute.measure().is_some_and(|m| m.counted);
        let of = if counted && dice.chance(0.6) {
            "number of "
        } else {
            ""
        };
        let word = if self.sums {
            "total"
        } else {
            dice.word(&["average", "average", "mean"])
        };
        format!(
            "{word} {of}{}",
            noun.strip_prefix(&format!("{word} ")).unwrap_or(noun)
        )
    }

    fn taken(&self) -> Option<&str> {
        self.field.map(|field| field.sql.as_str())
    }
}

/// A figure of one kind less that of another, or divided by it.
pub(super) fn apart(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let source = source(context, Reach::Joined, dice)?;
    let codes = Codes::draw(&source, false, dice)?;
    let [first, second] = codes.two(dice)?;
    let own = codes.field.sql.as_str();
    let divided = dice.chance(0.4);
    let figure = Figure::draw(&source, &[own], if divided { 0.6 } else { 0.15 }, dice)?;
    let mut taken = vec![own];
    taken.extend(figure.taken());
    let dimension = if dice.chance(0.45) {
        grouping(&source, &taken, dice)
    } else {
        None
    };
    taken.extend(dimension.as_ref().map(|d| d.about.as_str()));
    let conditions = beside(&source, &taken, usize::from(dice.chance(0.3)), dice);
    let (a, b) = (figure.sql(&codes.is(first)), figure.sql(&codes.is(second)));
    let sql = if divided {
        format!("SAFE_DIVIDE({a}, {b})")
    } else {
        format!("{a} - {b}")
    };
    let (one, other) = (
        codes.kind(&source, first, dice),
        codes.kind(&source, second, dice),
    );
    let (figure_said, by) = (figure.said(dice), by(dimension.as_ref(), dice));
    let among = if conditions.is_empty() {
        String::new()
    } else {
        format!(" among {}", subject(&source, &conditions, dice))
    };
    let style = style(dice);
    let what = match (divided, figure.field.is_some()) {
        (true, false) => format!("ratio of {one} to {other}"),
        (true, true) => format!("ratio of the {figure_said} of {one} to that of {other}"),
        (false, _) => match dice.below(3) {
            0 => format!("difference between the {figure_said} of {one} and that of {other}"),
            1 => format!("difference between the {figure_said} of {one} and the {figure_said} of {other}"),
            _ => format!("{figure_said} of {one} minus that of {other}"),
        },
    };
    let text = match style {
        Style::Terse => format!("{what}{among}{by}"),
        Style::Sentence => format!("What is the {what}{among}{by}"),
        Style::Order => format!(
            "{} the {what}{among}{by}",
            dice.word(&["Compute", "Show", "Give"])
        ),
    };
    let alias = source.free_name(if divided { "ratio" } else { "difference" });
    let question = finished(style, &text, dice);
    let figures = format!("{sql} AS {alias}");
    Some(drafted(
        question,
        dimension.as_ref(),
        &figures,
        &source,
        &conditions,
        "",
    ))
}

/// Groups in which one kind has more than the other.
pub(super) fn exceeds(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let source = source(context, Reach::Joined, dice)?;
    if source.table.filter_required || source.table.sharded {
        return None;
    }
    let codes = Codes::draw(&source, false, dice)?;
    let [first, second] = codes.two(dice)?;
    let own = codes.field.sql.as_str();
    let figure = Figure::draw(&source, &[own], 0.35, dice)?;
    let mut taken = vec![own];
    taken.extend(figure.taken());
    let dimension = dimensions::by_value(&source, dice)
        .filter(|d| !taken.contains(&d.about.as_str()) && !d.noun.ends_with(" flag"))?;
    let (a, b) = (figure.sql(&codes.is(first)), figure.sql(&codes.is(second)));
    let (name, other_name) = (codes.name(&source, first), codes.name(&source, second));
    if name == other_name {
        return None;
    }
    let (one, other) = (
        codes.kind(&source, first, dice),
        codes.kind(&source, second, dice),
    );
    let many = dimension.many();
    let figure_said = figure.said(dice);
    let style = style(dice);
    let (exceeds, two) = match figure.field {
        None => (format!("more {one} than {other}"), "both numbers"),
        Some(_) => (
            format!("a higher {figure_said} for {one} than for {other}"),
            "both figures",
        ),
    };
    let text = match style {
        Style::Terse => format!("{many} with {exceeds}, with {two}"),
        Style::Sentence if figure.field.is_some() && dice.chance(0.5) => {
            format!("In which {many} is the {figure_said} of {one} above that of {other}? Show {two}")
        }
        Style::Sentence => format!("Which {many} have {exceeds}? Show {two}"),
        Style::Order => format!(
            "{} the {many} with {exceeds}, with {two}",
            dice.word(&["List", "Find", "Show"])
        ),
    };
    Some(Draft::group(
        finished(style, &text, dice),
        &dimension,
        &format!("{a} AS {name}, {b} AS {other_name}"),
        &source,
        &[],
        &format!(" HAVING {a} > {b}"),
    ))
}
