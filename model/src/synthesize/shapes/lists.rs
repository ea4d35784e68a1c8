//! Lists in rows, without taking them apart: lengths, sums over them, first and best elements, positions.

use super::super::columns::{Attribute, Role};
use super::super::conditions::{self, Condition};
use super::super::dice::Dice;
use super::super::metrics;
use super::super::phrases::{Style, each, few, finished, its, style, subject, where_clause};
use super::super::source::{Source, alias, path, snake};
use super::super::tables::{Array, Elements};
use super::{Context, Draft, select, table, tie};

/// A table with a list, as rows.
pub(super) struct Listed<'m> {
    pub(super) source: Source<'m>,
    pub(super) array: &'m Array,
    /// The list.
    pub(super) list: String,
    /// The name of an element.
    pub(super) element: String,
}

pub(super) fn listed<'m>(
    context: Context<'m>,
    dice: &mut Dice,
    fits: fn(&Elements) -> bool,
) -> Option<Listed<'m>> {
    let table = (0..5)
        .map(|_| table(context, dice))
        .find(|t| t.is_some_and(|t| t.arrays.iter().any(|a| fits(&a.elements))))??;
    let arrays: Vec<&Array> = table.arrays.iter().filter(|a| fits(&a.elements)).collect();
    let array = *dice.pick(&arrays)?;
    let source = Source::table(table);
    Some(Listed {
        list: path(None, &array.path),
        element: alias(&array.noun.one, &array.taken(table)),
        source,
        array,
    })
}

pub(super) fn any(elements: &Elements) -> bool {
    !matches!(elements, Elements::Pairs { .. })
}

pub(super) fn records(elements: &Elements) -> bool {
    matches!(elements, Elements::Records { .. })
}

fn scalars(elements: &Elements) -> bool {
    matches!(elements, Elements::Scalars(of) if !matches!(of.role, Role::Path | Role::Text))
}

impl Listed<'_> {
    /// The columns that a row is called by.
    pub(super) fn names(&self) -> Option<Vec<String>> {
        let names: Vec<String> = self.source.names().iter().map(|f| f.sql.clone()).collect();
        (!names.is_empty()).then_some(names)
    }

    pub(super) fn attributes(&self) -> &[Attribute] {
        match &self.array.elements {
            Elements::Records { attributes, .. } => attributes,
            _ => &[],
        }
    }

    /// Attributes of an element that fit.
    pub(super) fn which(&self, fits: impl Fn(&Attribute) -> bool) -> Vec<&Attribute> {
        self.attributes().iter().filter(|a| fits(a)).collect()
    }

    pub(super) fn of(&self, attribute: &Attribute) -> String {
        path(Some(&self.element), &attribute.path)
    }

    /// A subquery over the list.
    pub(super) fn over(&self, what: &str, filter: &str) -> String {
        format!(
            "(SELECT {what} FROM UNNEST({}) AS {}{filter})",
            self.list, self.element
        )
    }

    /// Each row, by what it is called by, with a figure of its list.
    pub(super) fn figure(
        &self,
        question: String,
        figure: &str,
        alias: &str,
        conditions: &[Condition],
    ) -> Option<Draft> {
        let mut columns = self.names()?;
        columns.push(format!("{figure} AS {alias}"));
        Some(Draft::select(
            question,
            &select(&columns)?,
            &self.source,
            conditions,
            "",
        ))
    }

    pub(super) fn conditions(&self, dice: &mut Dice) -> Vec<Condition> {
        let mut found = conditions::some(&self.source, dice, 1);
        found.retain(|c| c.about != self.list);
        conditions::complete(&self.source, dice, &mut found);
        found
    }

    /// A condition on an element, with its words.
    pub(super) fn element_condition(&self, dice: &mut Dice) -> Option<Condition> {
        let elements = Source::elements(self.source.table, self.array)?;
        let own: Vec<_> = elements.own(|a| matches!(a.role, Role::Category | Role::Flag | Role::Measure(_)));
        let field = *dice.pick(&own)?;
        let mut condition = conditions::on_field(&elements, field, dice)?;
        condition.sql = condition.sql.replace(&field.sql, &self.of(field.attribute));
        Some(condition)
    }
}

/// How long lists are: of each row, on average, of the rows with the longest.
pub(super) fn length(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let listed = listed(context, dice, |_| true)?;
    let conditions = listed.conditions(dice);
    let (one, many) = (&listed.source.subject.one, &listed.array.noun.many);
    let rows = subject(&listed.source, &conditions, dice);
    let expression = format!("ARRAY_LENGTH({})", listed.list);
    let (from, filter) = (&listed.source.from, where_clause(&conditions));
    let name = listed.source.free_name(&format!("{many} count"));
    let style = style(dice);
    let (text, sql) = match dice.below(4) {
        0 => {
            let (function, word) = dice.weighted(&[(("AVG", "average"), 4.0), (("MAX", "highest"), 1.0)])?;
            let text = match style {
                Style::Terse => format!("{word} number of {many} per {one}{}", among(&rows, &listed)),
                Style::Sentence if function == "AVG" => {
                    format!("How many {many} {} {rows} have on average", "do")
                }
                Style::Sentence => format!("What is the {word} number of {many} that any of the {rows} has"),
                Style::Order => format!("Compute the {word} number of {many} of {rows}"),
            };
            (
                text,
                format!("SELECT {function}({expression}) FROM {from}{filter}"),
            )
        }
        1 => {
            let names = listed.names()?;
            let count = *dice.pick(&[1, 3, 5, 10])?;
            let text = match (style, count) {
                (_, 1) => format!(
                    "Which {} has the most {many}",
                    rows.replacen(&listed.source.subject.many, one, 1)
                ),
                (Style::Terse, _) => format!("top {count} {rows} by number of {many}"),
                (Style::Sentence, _) => format!("Which {} {rows} have the most {many}", few(count, dice)),
                (Style::Order, _) => format!("List the {} {rows} with the most {many}", few(count, dice)),
            };
            (
                text,
                format!(
                    "SELECT {} FROM {from}{filter} ORDER BY {expression} DESC{} LIMIT {count}",
                    select(&names)?,
                    tie("", &names[0])
                ),
            )
        }
        2 => {
            let groups = listed.source.own(|a| a.role == Role::Category);
            let group = *dice.pick(&groups)?;
            if conditions.iter().any(|c| c.about == group.sql) {
                return None;
            }
            let by = &group.attribute.noun;
            let text = match style {
                Style::Terse => format!("average number of {many} of {rows} per {by}"),
                Style::Sentence => format!("How many {many} do {rows} have on average, by {by}"),
                Style::Order => format!("Show the average number of {many} of {rows} for each {by}"),
            };
            (
                text,
                format!(
                    "SELECT {0}, AVG({expression}) AS {1} FROM {from}{filter} GROUP BY {0}",
                    group.sql,
                    listed.source.free_name(&format!("avg_{}", snake(many)))
                ),
            )
        }
        _ => {
            let mut names = listed.names()?;
            names.push(format!("{expression} AS {name}"));
            let text = match style {
                Style::Terse => format!("number of {many} of each of the {rows}").replace(
                    &format!("each of the {}", listed.source.subject.many),
                    &format!("each {one}"),
                ),
                Style::Sentence => format!("How many {many} does each of the {rows} have").replace(
                    &format!("each of the {}", listed.source.subject.many),
                    &format!("each {one}"),
                ),
                Style::Order => format!(
                    "{} {rows} with their number of {many}",
                    dice.word(&["List", "Show"])
                ),
            };
            (text, format!("SELECT {} FROM {from}{filter}", select(&names)?))
        }
    };
    Some(Draft {
        question: finished(style, &text, dice),
        sql,
    })
}

fn among(rows: &str, listed: &Listed<'_>) -> String {
    if rows == listed.source.subject.many {
        String::new()
    } else {
        format!(", for {rows}")
    }
}

/// A sum or another figure over the list of each row.
pub(super) fn sum(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let listed = listed(context, dice, records)?;
    let measures = listed.which(|a| a.measure().is_some());
    let attribute = *dice.pick(&measures)?;
    let measure = attribute.measure()?;
    let names = listed.names()?;
    let conditions = listed.conditions(dice);
    let inner = if dice.chance(0.35) {
        listed
            .element_condition(dice)
            .filter(|c| !c.sql.contains(&listed.of(attribute)))
    } else {
        None
    };
    let (function, word) = if measure.additive && dice.chance(0.7) {
        ("SUM", "total")
    } else {
        *dice.pick(&[("MAX", "highest"), ("AVG", "average"), ("MIN", "lowest")])?
    };
    let argument = listed.of(attribute);
    let (argument, said) =
        product(&listed, attribute, function, dice).unwrap_or((argument, attribute.noun.clone()));
    let of = if measure.counted && argument == listed.of(attribute) {
        "number of "
    } else {
        ""
    };
    let filter = inner
        .as_ref()
        .map_or_else(String::new, |c| format!(" WHERE {}", c.sql));
    let expression = listed.over(&format!("{function}({argument})"), &filter);
    let alias = listed
        .source
        .free_name(&format!("{}_{}", function.to_lowercase(), snake(&attribute.name)));
    let rows = subject(&listed.source, &conditions, dice);
    let elements = match &inner {
        Some(condition) => described(&listed.array.noun.many, condition),
        None => listed.array.noun.many.clone(),
    };
    let style = style(dice);
    let its = its(&listed.source);
    let what = format!("{word} {of}{said} of {its} {elements}");
    let each = each(&listed.source, &rows, &conditions);
    if dice.chance(0.25) && function == "SUM" && inner.is_none() {
        let count = *dice.pick(&[3, 5, 10])?;
        let text = match style {
            Style::Terse => format!("top {count} {rows} by {word} {of}{said} of their {elements}"),
            Style::Sentence => format!(
                "Which {} {rows} have the highest {word} {of}{said} over their {elements}",
                few(count, dice)
            ),
            Style::Order => {
                format!("List the {count} {rows} with the highest {word} {of}{said} of their {elements}")
            }
        };
        return Some(Draft::select(
            finished(style, &text, dice),
            &select(&names)?,
            &listed.source,
            &conditions,
            &format!(" ORDER BY {expression} DESC{} LIMIT {count}", tie("", &names[0])),
        ));
    }
    let text = match style {
        Style::Terse => format!("{word} {of}{said} of {elements} for {each}"),
        Style::Sentence => format!("For {each}, what is the {what}"),
        Style::Order => format!("{} {each} with the {what}", dice.word(&["Show", "List"])),
    };
    listed.figure(finished(style, &text, dice), &expression, &alias, &conditions)
}

/// Price times quantity, where elements have both.
fn product(
    listed: &Listed<'_>,
    attribute: &Attribute,
    function: &str,
    dice: &mut Dice,
) -> Option<(String, String)> {
    let is_price = attribute.noun.ends_with("price")
        || attribute.noun.ends_with("amount") && attribute.name.contains("unit");
    let quantity = listed.which(|a| matches!(a.noun.as_str(), "quantity" | "packs" | "unit count"));
    let quantity = quantity
        .first()
        .filter(|_| is_price && function != "MIN" && dice.chance(0.8))?;
    Some((
        format!("{} * {}", listed.of(quantity), listed.of(attribute)),
        format!("{} times {}", quantity.noun, attribute.noun),
    ))
}

/// "items with quantity over 5", "fatal crashes".
pub(super) fn described(many: &str, condition: &Condition) -> String {
    match &condition.adjective {
        Some(adjective) => format!("{adjective} {many}"),
        None => format!("{many} {}", condition.post),
    }
}

/// Rows by what is in their lists.
pub(super) fn rows(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let listed = listed(context, dice, |_| true)?;
    let names = listed.names()?;
    let condition = conditions::on_array(&listed.source, listed.array, dice)?;
    let mut all = vec![condition];
    if dice.chance(0.35) {
        all.extend(
            conditions::exactly(&listed.source, dice, 1)
                .into_iter()
                .filter(|c| c.about != listed.list),
        );
    }
    conditions::complete(&listed.source, dice, &mut all);
    let rows = subject(&listed.source, &all, dice);
    let counts = dice.chance(0.4) && listed.source.table.countable;
    let style = style(dice);
    let text = match (style, counts) {
        (Style::Terse, true) => format!("number of {rows}"),
        (Style::Order, true) => format!("Count the {rows}"),
        (_, true) => format!("How many {rows} are there"),
        (Style::Terse, false) => rows,
        (Style::Sentence, false) => format!("Which {rows} are there"),
        (Style::Order, false) => format!("{} {rows}", dice.word(&["List the", "Find all", "Show"])),
    };
    let what = if counts {
        "COUNT(*)".to_owned()
    } else {
        select(&names)?
    };
    Some(Draft::select(
        finished(style, &text, dice),
        &what,
        &listed.source,
        &all,
        "",
    ))
}

/// The share of rows by what is in their lists, or of elements by what they are.
pub(super) fn share(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let listed = listed(context, dice, any)?;
    let condition = conditions::on_array(&listed.source, listed.array, dice)?;
    let others = listed.conditions(dice);
    let rows = subject(&listed.source, &others, dice);
    let percent = dice.chance(0.35);
    let word = if percent { "percentage" } else { "share" };
    let style = style(dice);
    let predicate = condition
        .predicate
        .replacen("has ", "have ", 1)
        .replacen("is ", "are ", 1);
    // "with" behind "with" would be about the wrong thing.
    let part = if others.is_empty() {
        condition.post.clone()
    } else {
        format!("that {predicate}")
    };
    let text = match style {
        Style::Terse => format!("{word} of {rows} {part}"),
        Style::Sentence => format!("What {word} of {rows} {predicate}"),
        Style::Order => format!("Compute the {word} of {rows} {part}"),
    };
    Some(Draft::select(
        finished(style, &text, dice),
        &format!(
            "{}COUNTIF({}) / COUNT(*)",
            if percent { "100 * " } else { "" },
            condition.sql
        ),
        &listed.source,
        &others,
        "",
    ))
}

/// In how many rows each scalar stands, and the rows that have none.
pub(super) fn spread(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let listed = listed(context, dice, scalars)?;
    let conditions = listed.conditions(dice);
    let rows = subject(&listed.source, &conditions, dice);
    let Listed {
        list,
        element,
        source,
        array,
    } = &listed;
    let style = style(dice);
    let (one, many) = (&array.noun.one, &array.noun.many);
    let name = source.free_name(&source.subject.many);
    let (text, sql) = match dice.below(5) {
        3 | 4 => {
            let metric = metrics::of_number(source, dice)?;
            let what = metric.short(&rows, conditions.is_empty(), dice);
            let text = match style {
                Style::Terse => format!("{what} per {one}"),
                Style::Sentence => format!("What is the {what} for each {one}"),
                Style::Order => format!("{} the {what} by {one}", dice.word(&["Show", "Compute", "Give"])),
            };
            let group = format!(
                "FROM {}, UNNEST({list}) AS {element}{} GROUP BY {element}",
                source.from,
                where_clause(&conditions)
            );
            (
                text,
                format!("SELECT {element}, {} AS {} {group}", metric.sql, metric.alias),
            )
        }
        0 => {
            let text = match style {
                Style::Terse if dice.chance(0.4) => format!("how often each {one} occurs among {rows}"),
                Style::Terse => format!("number of {rows} per {one}"),
                Style::Sentence if dice.chance(0.4) => {
                    format!("How often does each {one} occur among {rows}")
                }
                Style::Sentence => format!("How many {rows} have each {one}"),
                Style::Order => format!("Count the {rows} for each {one}"),
            };
            (
                text,
                format!(
                    "SELECT {element}, COUNT(*) AS {name} FROM {}, UNNEST({list}) AS {element}{} GROUP BY {element}",
                    source.from,
                    where_clause(&conditions)
                ),
            )
        }
        1 => {
            let text = match style {
                Style::Terse => format!("different {many} of {rows}"),
                Style::Sentence => format!("Which {many} occur among {rows}"),
                Style::Order => format!("List the different {many} of {rows}"),
            };
            (
                text,
                format!(
                    "SELECT DISTINCT {element} FROM {}, UNNEST({list}) AS {element}{}",
                    source.from,
                    where_clause(&conditions)
                ),
            )
        }
        _ => {
            let count = *dice.pick(&[3, 5, 10])?;
            let text = match style {
                Style::Terse => format!("{count} most frequent {many} of {rows}"),
                Style::Sentence => format!("What are the {} most common {many} of {rows}", few(count, dice)),
                Style::Order => format!("List the {count} most common {many} of {rows} with their frequency"),
            };
            let (figure, order) = if style == Style::Order {
                (format!(", COUNT(*) AS {name}"), name.clone())
            } else {
                (String::new(), "COUNT(*)".to_owned())
            };
            (
                text,
                format!(
                    "SELECT {element}{figure} FROM {}, UNNEST({list}) AS {element}{} GROUP BY {element} ORDER BY {order} DESC, {element} LIMIT {count}",
                    source.from,
                    where_clause(&conditions)
                ),
            )
        }
    };
    Some(Draft {
        question: finished(style, &text, dice),
        sql,
    })
}
