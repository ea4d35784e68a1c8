//! What is computed of many rows: counts, sums, averages, medians, shares; in SQL and in words.

use super::columns::Role;
use super::dice::Dice;
use super::source::{Field, Source, snake};
use super::words;

/// How many rows become one figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Count,
    Different,
    Sum,
    Average,
    Least,
    Most,
    Median,
}

/// A figure of rows.
#[derive(Debug, Clone)]
pub(super) struct Metric {
    pub(super) kind: Kind,
    pub(super) sql: String,
    pub(super) alias: String,
    /// "total delivery fee"; empty for a count of rows.
    pub(super) head: String,
    /// Its unit, behind the rest: " in minutes".
    pub(super) unit: String,
    /// The argument, where there is one.
    pub(super) argument: Option<String>,
    /// The noun says itself which rows it is about.
    pub(super) alone: bool,
    /// What is added up, in the plural: "unpaid amounts"; empty where there is none.
    pub(super) said: String,
}

/// The number of rows.
pub(super) fn count(source: &Source<'_>) -> Metric {
    let many = &source.subject.many;
    let name = if many.split(' ').count() <= 2 && many.is_ascii() {
        many.as_str()
    } else {
        "n"
    };
    Metric {
        kind: Kind::Count,
        sql: "COUNT(*)".to_owned(),
        alias: source.free_name(name),
        head: String::new(),
        unit: String::new(),
        argument: None,
        alone: false,
        said: String::new(),
    }
}

/// A figure that somebody may want of these rows: a count where there is nothing to add up.
pub(super) fn draw(source: &Source<'_>, dice: &mut Dice) -> Metric {
    let counted = if source.table.countable || source.unnested {
        0.4
    } else {
        0.05
    };
    if dice.chance(counted) {
        return count(source);
    }
    if dice.chance(0.14)
        && let Some(metric) = different(source, dice)
    {
        return metric;
    }
    of_number(source, dice).unwrap_or_else(|| count(source))
}

/// A figure of a number column.
pub(super) fn of_number(source: &Source<'_>, dice: &mut Dice) -> Option<Metric> {
    // The numbers of an owner would be taken once for each of its rows.
    let fields = source.own(|a| a.measure().is_some());
    let field = *dice.pick(&fields)?;
    let measure = field.attribute.measure()?;
    let kinds = [
        (
            Kind::Sum,
            if measure.additive && !measure.aggregated {
                4.0
            } else {
                0.0
            },
        ),
        (Kind::Average, 3.0),
        (Kind::Most, if measure.counted { 0.6 } else { 1.0 }),
        (Kind::Least, if measure.counted { 0.2 } else { 0.5 }),
        (Kind::Median, 0.6),
    ];
    Some(figure(source, field, dice.weighted(&kinds)?, dice))
}

/// A sum of a number column.
pub(super) fn sum(source: &Source<'_>, dice: &mut Dice) -> Option<Metric> {
    let fields = source.own(|a| a.measure().is_some_and(|m| m.additive && !m.aggregated));
    let field = *dice.pick(&fields)?;
    Some(figure(source, field, Kind::Sum, dice))
}

/// A count of rows or a sum: what can be added up over groups.
pub(super) fn additive(source: &Source<'_>, dice: &mut Dice) -> Metric {
    let counted = if source.table.countable || source.unnested {
        0.5
    } else {
        0.0
    };
    if dice.chance(counted) {
        count(source)
    } else {
        sum(source, dice).unwrap_or_else(|| count(source))
    }
}

/// How many different values a column has.
pub(super) fn different(source: &Source<'_>, dice: &mut Dice) -> Option<Metric> {
    let own_key = source.key().map(|k| k.sql.clone());
    let fields = source.which(|f| {
        f.owner.is_none()
            && matches!(f.attribute.role, Role::Category | Role::Key | Role::Label)
            && f.attribute.values.is_empty()
            && Some(&f.sql) != own_key.as_ref()
            && f.attribute.noun != "ID"
            && !f.attribute.noun.ends_with(" by")
            // The number of a line within its order tells no lines apart.
            && !source.subject.one.ends_with(&format!(" {}", thing(&f.attribute.noun)))
    });
    let field = *dice.pick(&fields)?;
    let noun = thing(&field.attribute.noun);
    let many = words::plural(&noun);
    Some(Metric {
        kind: Kind::Different,
        sql: format!("COUNT(DISTINCT {})", field.sql),
        alias: source.free_name(&many),
        head: format!("{} {many}", dice.word(&["different", "distinct", "unique"])),
        unit: String::new(),
        argument: Some(field.sql.clone()),
        // Where nothing else happens it need not be said among what they are counted.
        alone: source.table.alone && field.attribute.role == Role::Key,
        said: String::new(),
    })
}

/// "customer" for "customer ID".
pub(super) fn thing(noun: &str) -> String {
    for end in [" ID", " key", " number", " code"] {
        if let Some(start) = noun.strip_suffix(end)
            && ![
                "order", "serial", "version", "tracking", "flight", "postal", "zip",
            ]
            .contains(&start)
            && start.chars().any(char::is_lowercase)
        {
            return start.to_owned();
        }
    }
    noun.to_owned()
}

/// This figure of this column.
pub(super) fn figure(source: &Source<'_>, field: &Field<'_>, kind: Kind, dice: &mut Dice) -> Metric {
    let attribute = field.attribute;
    let noun = attribute.noun.as_str();
    let measure = attribute.measure();
    let counted = measure.is_some_and(|m| m.counted);
    let plain = ["average ", "total ", "maximum ", "minimum ", "peak "]
        .iter()
        .find_map(|start| noun.strip_prefix(start))
        .unwrap_or(noun);
    let (function, name, start, said) = match kind {
        Kind::Count | Kind::Different => ("COUNT", "n", "number of", noun),
        Kind::Sum => (
            "SUM",
            "total",
            dice.word(&["total", "total", "total", "overall", "combined"]),
            plain,
        ),
        Kind::Average => (
            "AVG",
            "avg",
            dice.word(&["average", "average", "average", "mean"]),
            if noun.starts_with("average ") { plain } else { noun },
        ),
        Kind::Most => (
            "MAX",
            "max",
            dice.word(&["highest", "maximum", "largest"]),
            if noun.starts_with("maximum ") { plain } else { noun },
        ),
        Kind::Least => (
            "MIN",
            "min",
            dice.word(&["lowest", "minimum", "smallest"]),
            if noun.starts_with("minimum ") { plain } else { noun },
        ),
        Kind::Median => ("APPROX_QUANTILES", "median", "median", noun),
    };
    let sql = match kind {
        Kind::Median => format!("APPROX_QUANTILES({}, 100)[OFFSET(50)]", field.sql),
        _ => format!("{function}({})", field.sql),
    };
    let of = if counted && !measure.is_some_and(|m| m.aggregated) {
        "number of "
    } else {
        ""
    };
    let head = format!("{start} {of}{said}");
    let unit = attribute
        .unit
        .filter(|u| u.short != "%" && !counted && dice.chance(0.3))
        .map_or_else(String::new, |u| {
            format!(" in {}", if dice.chance(0.7) { u.words } else { u.short })
        });
    Metric {
        kind,
        sql,
        alias: source.free_name(&format!("{name}_{}", snake(&attribute.name))),
        head,
        unit,
        argument: Some(field.sql.clone()),
        alone: noun.contains(' '),
        said: if counted {
            noun.to_owned()
        } else {
            words::plural(noun)
        },
    }
}

impl Metric {
    /// Whether it is what each group has one of: the capacity of a stadium.
    pub(super) fn is_of(&self, group: &str) -> bool {
        !matches!(self.kind, Kind::Count | Kind::Different) && self.head.contains(&format!(" {group} "))
    }

    /// The figure of these rows: "number of orders", "total delivery fee of orders".
    pub(super) fn of(&self, rows: &str) -> String {
        match self.kind {
            Kind::Count => format!("number of {rows}"),
            Kind::Different => format!("number of {} {} {rows}", self.head, "among"),
            _ => format!("{}{} of {rows}", self.head, self.unit),
        }
    }

    /// The figure, where the rows need not be told: nothing is said of them and its noun is its own.
    pub(super) fn short(&self, rows: &str, bare: bool, dice: &mut Dice) -> String {
        // "the total number of seats per hall" would be those that a hall has.
        let counts = self.kind == Kind::Sum && self.head.contains("number of ");
        if bare && self.alone && self.kind != Kind::Count && !counts && dice.chance(0.45) {
            let of = if self.kind == Kind::Different {
                "number of "
            } else {
                ""
            };
            return format!("{of}{}{}", self.head, self.unit);
        }
        self.of(rows)
    }

    /// A question for the figure, without its mark.
    pub(super) fn asked(&self, rows: &str, bare: bool, dice: &mut Dice) -> String {
        match self.kind {
            Kind::Count => match dice.below(4) {
                0 => format!("How many {rows} do we have"),
                1 => format!("What is the number of {rows}"),
                _ => format!("How many {rows} are there"),
            },
            Kind::Different => format!("How many {} are there among {rows}", self.head),
            _ => format!("What is the {}", self.short(rows, bare, dice)),
        }
    }
}
