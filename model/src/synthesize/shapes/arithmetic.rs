//! Two numbers of a row taken together: differences, sums, products.

use bigquill_analysis::schema::DataType;

use super::super::columns::Attribute;
use super::super::conditions::{self, Condition};
use super::super::dice::Dice;
use super::super::phrases::{Style, each, finished, its, shown, style, subject};
use super::super::source::Source;
use super::super::units;
use super::comparisons::is_part_of;
use super::groups::conditions_beside;
use super::lists::{listed, records};
use super::{Context, Draft, Reach, select, source};

/// What is left when the second is taken from the first.
const DIFFERENCES: &[(&[&str], &[&str])] = &[
    (&["new"], &["old", "previous"]),
    (&["end", "closing"], &["start", "opening"]),
    (&["maximum", "highest", "peak"], &["minimum", "lowest", "average"]),
    (&["systolic"], &["diastolic"]),
    (
        &["actual"],
        &["planned", "estimated", "scheduled", "target", "expected"],
    ),
    (
        &["planned", "target", "ordered", "requested"],
        &["actual", "received", "delivered", "used"],
    ),
    (
        &["budget", "limit", "goal", "capacity"],
        &[
            "spend", "spent", "raised", "pledged", "used", "occupied", "enrolled",
        ],
    ),
    (
        &["sent", "impressions", "views"],
        &["delivered", "opened", "clicks"],
    ),
    (
        &[
            "revenue", "amount", "price", "sales", "gross", "income", "value", "total",
        ],
        &[
            "cost",
            "costs",
            "discount",
            "refund",
            "refunded",
            "fee",
            "fees",
            "tax",
            "net",
            "commission",
            "tip",
        ],
    ),
    (&["claimed", "reserve"], &["paid", "approved"]),
    (
        &["added", "inserted", "created"],
        &["removed", "deleted", "closed"],
    ),
    (
        &["produced", "good", "for", "won"],
        &["scrapped", "bad", "against", "lost"],
    ),
    (&["import", "imported", "in"], &["export", "exported", "out"]),
];

/// A computed number.
struct Computed {
    /// Over the two columns, as [`Computed::of`] was given them.
    sql: String,
    /// "revenue minus cost"
    noun: String,
    /// What to call it.
    name: &'static str,
    /// A sum of it over rows means something.
    additive: bool,
}

impl Computed {
    fn of(attributes: &[(&Attribute, String)], dice: &mut Dice) -> Option<Self> {
        let mut all = Vec::new();
        for (a, left) in attributes {
            for (b, right) in attributes {
                if left == right
                    || a.unit != b.unit
                    || a.noun == b.noun
                    || a.noun.contains(" in ")
                    || b.noun.contains(" in ")
                {
                    continue;
                }
                let has = |of: &Attribute, list: &[&str]| of.noun.split(' ').any(|w| list.contains(&w));
                let counted = |of: &Attribute| of.measure().is_some_and(|m| m.counted);
                if DIFFERENCES
                    .iter()
                    .any(|(from, less)| has(a, from) && has(b, less))
                {
                    all.push((a, left, b, right, '-'));
                }
                let additive = |of: &Attribute| of.measure().is_some_and(|m| m.additive && !m.aggregated);
                let is_unit = |of: &Attribute| of.noun.split(' ').any(units::is_unit);
                let whole = |of: &Attribute| has(of, &["total", "gross", "net"]);
                let whole_number = |of: &Attribute| of.data_type == DataType::Int64;
                let alike = counted(a) && counted(b) && whole_number(a) && whole_number(b);
                if left < right
                    && alike
                    && additive(a)
                    && additive(b)
                    && !whole(a)
                    && !whole(b)
                    && !is_unit(a)
                    && !is_unit(b)
                    && !is_part_of(a, b)
                {
                    all.push((a, left, b, right, '+'));
                }
            }
        }
        let (a, left, b, right, sign) = *dice.pick(&all)?;
        let noun = match (sign, dice.below(3)) {
            ('-', 0) if net(&a.noun, &b.noun).is_some() => net(&a.noun, &b.noun)?,
            ('-', 0) => format!("difference between {} and {}", a.noun, b.noun),
            ('-', _) => format!("{} minus {}", a.noun, b.noun),
            (_, 0) => format!("sum of {} and {}", a.noun, b.noun),
            _ => format!("{} plus {}", a.noun, b.noun),
        };
        Some(Self {
            sql: format!("{left} {sign} {right}"),
            noun,
            name: if sign == '-' { "difference" } else { "both" },
            additive: [a, b]
                .iter()
                .all(|of| of.measure().is_some_and(|m| m.additive && !m.aggregated)),
        })
    }

    fn of_rows(source: &Source<'_>, dice: &mut Dice) -> Option<Self> {
        let fields = source.own(|a| a.measure().is_some());
        let fields: Vec<_> = fields.iter().map(|f| (f.attribute, f.sql.clone())).collect();
        Self::of(&fields, dice)
    }

    /// Whether a condition is about one of the two columns.
    fn is_in(&self, condition: &Condition) -> bool {
        self.sql.split(' ').any(|part| part == condition.about)
    }
}

/// "net lines (added minus removed)": what two nouns have alike, and in what they differ.
fn net(from: &str, less: &str) -> Option<String> {
    let (a, b): (Vec<&str>, Vec<&str>) = (from.split(' ').collect(), less.split(' ').collect());
    let [(a_first, a_last), (b_first, b_last)] =
        [(a.as_slice(), ()), (b.as_slice(), ())].map(|(words, ())| match words {
            [first, last] => (*first, *last),
            _ => ("", ""),
        });
    if a_first.is_empty() || b_first.is_empty() {
        None
    } else if a_first == b_first {
        Some(format!("net {a_first} ({a_last} minus {b_last})"))
    } else if a_last == b_last {
        Some(format!("net {a_last} ({a_first} minus {b_first})"))
    } else {
        None
    }
}

/// A sum or an average of it.
fn folded(computed: &Computed, dice: &mut Dice) -> (String, String, String) {
    let all = [
        ("MAX", "highest"),
        ("AVG", "average"),
        ("AVG", "average"),
        ("SUM", "total"),
        ("SUM", "overall"),
    ];
    let (function, word) = all[dice.below(if computed.additive { 5 } else { 3 })];
    (
        format!("{function}({})", computed.sql),
        format!("{word} {}", computed.noun),
        format!("{}_{}", function.to_lowercase(), computed.name),
    )
}

/// One figure of all rows.
pub(super) fn one(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let source = source(context, Reach::All, dice)?;
    let computed = Computed::of_rows(&source, dice)?;
    let conditions = conditions::some(&source, dice, 1);
    if conditions.iter().any(|c| computed.is_in(c)) {
        return None;
    }
    let (sql, said, _) = folded(&computed, dice);
    let rows = subject(&source, &conditions, dice);
    let style = style(dice);
    let question = match style {
        Style::Sentence => finished(style, &format!("What is the {said} of {rows}"), dice),
        _ => shown(style, &format!("{said} of {rows}"), dice),
    };
    Some(Draft::select(question, &sql, &source, &conditions, ""))
}

/// A figure in groups.
pub(super) fn grouped(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let (source, dimension) = super::grouped(context, Reach::All, dice, 0.3)?;
    let computed = Computed::of_rows(&source, dice)?;
    let conditions = conditions_beside(&source, &dimension, None, 1, dice);
    if conditions.iter().any(|c| computed.is_in(c)) {
        return None;
    }
    let (sql, said, name) = folded(&computed, dice);
    let rows = dimension.without_owner(&source, &subject(&source, &conditions, dice));
    let style = style(dice);
    let by = &dimension.noun;
    let text = match style {
        Style::Terse => format!("{said} of {rows} {} {by}", dice.word(&["per", "by"])),
        Style::Sentence => format!(
            "What is the {said} of {rows} {} {by}",
            dice.word(&["per", "for each", "by"])
        ),
        Style::Order => format!(
            "{} the {said} of {rows} for {} {by}",
            dice.word(&["Show", "Give", "Compute"]),
            dice.word(&["each", "every"])
        ),
    };
    let order = dimension.order();
    Some(Draft::group(
        finished(style, &text, dice),
        &dimension,
        &format!("{sql} AS {}", source.free_name(&name)),
        &source,
        &conditions,
        &order,
    ))
}

/// Each row with it.
pub(super) fn rows(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let source = source(context, Reach::Tables, dice)?;
    let computed = Computed::of_rows(&source, dice)?;
    let mut columns: Vec<String> = source.names().iter().map(|f| f.sql.clone()).collect();
    if columns.is_empty() {
        return None;
    }
    let conditions = conditions::some(&source, dice, 1);
    if conditions.iter().any(|c| computed.is_in(c)) {
        return None;
    }
    let rows = subject(&source, &conditions, dice);
    let (said, each) = (&computed.noun, each(&source, &rows, &conditions));
    columns.push(format!("{} AS {}", computed.sql, source.free_name(computed.name)));
    let style = style(dice);
    let text = match style {
        Style::Terse => format!("{said} of {each}"),
        Style::Sentence => format!("What is the {said} of {each}"),
        Style::Order => format!("{} {rows} with the {said}", dice.word(&["Show", "List", "Give"])),
    };
    Some(Draft::select(
        finished(style, &text, dice),
        &select(&columns)?,
        &source,
        &conditions,
        "",
    ))
}

/// Each row with the sum of it over a list in the row.
pub(super) fn lists(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let listed = listed(context, dice, records)?;
    let measures = listed.which(|a| a.measure().is_some());
    let measures: Vec<_> = measures.into_iter().map(|a| (a, listed.of(a))).collect();
    let computed = Computed::of(&measures, dice)?;
    let conditions = listed.conditions(dice);
    let rows = subject(&listed.source, &conditions, dice);
    let (folded, said, name) = folded(&computed, dice);
    let expression = listed.over(&folded, "");
    let alias = listed.source.free_name(&name);
    let each = each(&listed.source, &rows, &conditions);
    let many = &listed.array.noun.many;
    let style = style(dice);
    let its = its(&listed.source);
    let text = match style {
        Style::Terse => format!("{said} over the {many} of {each}"),
        Style::Sentence => format!("For {each}, what is the {said} of {its} {many}"),
        Style::Order => format!(
            "{} {rows} with the {said} of their {many}",
            dice.word(&["Show", "List"])
        ),
    };
    listed.figure(finished(style, &text, dice), &expression, &alias, &conditions)
}
