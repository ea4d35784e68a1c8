//! Tables that belong together: rows without others, with some, with many; values that two tables have.

use super::super::columns::Role;
use super::super::conditions::{self, Condition};
use super::super::dice::Dice;
use super::super::metrics;
use super::super::periods::Period;
use super::super::phrases::{Style, finished, style, subject, where_clause, who};
use super::super::source::Source;
use super::super::tables::{Link, Table};
use super::super::words;
use super::{Context, Draft, select};

/// A table, one whose rows belong to its rows, and the link.
struct Family<'m> {
    parent: &'m Table,
    child: &'m Table,
    link: &'m Link,
}

fn family<'m>(context: Context<'m>, dice: &mut Dice) -> Option<Family<'m>> {
    let model = context.model;
    let mut all = Vec::new();
    for (index, parent) in model.tables.iter().enumerate() {
        for (child, link) in model.children(index) {
            let child = &model.tables[child];
            // Rows by day are nothing that one has or has not.
            let plain = link.noun == parent.noun.one || parent.noun.one.ends_with(&link.noun);
            if link.on.len() == 1
                && plain
                && child.countable
                && !child.sharded
                && !child.filter_required
                && !parent.filter_required
                && !parent.sharded
            {
                all.push((parent, child, link));
            }
        }
    }
    let (parent, child, link) = *dice.pick(&all)?;
    Some(Family { parent, child, link })
}

impl<'m> Family<'m> {
    fn names(&self) -> Option<Vec<String>> {
        let names: Vec<String> = Source::table(self.parent)
            .names()
            .iter()
            .map(|f| f.sql.clone())
            .collect();
        (!names.is_empty()).then_some(names)
    }

    /// A condition on the child's rows, by what draws some; whose they are is asked already.
    fn of_child(
        &self,
        child: &Source<'_>,
        dice: &mut Dice,
        drawn: fn(&Source<'_>, &mut Dice, usize) -> Vec<Condition>,
    ) -> Vec<Condition> {
        let mut found = drawn(child, dice, 1);
        found.retain(|c| !self.link.on.iter().any(|(own, _)| c.is_about(own)));
        found
    }

    /// The rows of the parent in words, with conditions on them.
    fn parents(&self, conditions: &[Condition], dice: &mut Dice) -> String {
        subject(&Source::table(self.parent), conditions, dice)
    }
}

/// Rows that no row of another table belongs to.
pub(super) fn without(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let family = family(context, dice)?;
    let parent = Source::table(family.parent);
    let child = Source::table(family.child);
    let names = family.names()?;
    let of_parent = conditions::some(&parent, dice, 1);
    let of_child = if dice.chance(0.5) {
        family.of_child(&child, dice, conditions::some)
    } else {
        Vec::new()
    };
    let parents = family.parents(&of_parent, dice);
    let children = subject(&child, &of_child, dice);
    let (column, key) = &family.link.on[0];
    let inner = where_clause(&of_child);
    let counts = dice.chance(0.3);
    let outer: String = of_parent.iter().map(|c| format!(" AND {}", c.sql)).collect();
    let what = if counts {
        "COUNT(*)".to_owned()
    } else {
        select(&names)?
    };
    let sql = match dice.below(3) {
        0 => format!(
            "SELECT {what} FROM {} WHERE {key} NOT IN (SELECT {column} FROM {}{}{column} IS NOT NULL){outer}",
            family.parent.path,
            family.child.path,
            if inner.is_empty() {
                " WHERE ".to_owned()
            } else {
                format!("{inner} AND ")
            }
        ),
        1 if of_child.is_empty() && of_parent.is_empty() && !counts => {
            let (p, c) = aliases(family.parent, family.child);
            let names: Vec<String> = names.iter().map(|n| format!("{p}.{n}")).collect();
            format!(
                "SELECT {} FROM {} AS {p} LEFT JOIN {} AS {c} ON {c}.{column} = {p}.{key} WHERE {c}.{column} IS NULL",
                select(&names)?,
                family.parent.path,
                family.child.path
            )
        }
        _ => {
            let (p, c) = aliases(family.parent, family.child);
            let inner: String = requalified(&of_child, &child, &c);
            format!(
                "SELECT {what} FROM {} AS {p} WHERE NOT EXISTS (SELECT 1 FROM {} AS {c} WHERE {c}.{column} = {p}.{key}{inner}){outer}",
                family.parent.path, family.child.path
            )
        }
    };
    let style = style(dice);
    let that = if words::is_person(&family.parent.noun.one) {
        "who"
    } else {
        "that"
    };
    let text = match (style, counts) {
        (Style::Terse, true) => format!("number of {parents} without {children}"),
        (_, true) => format!("How many {parents} have no {children}"),
        (Style::Terse, false) => format!("{parents} without any {children}"),
        (Style::Sentence, false) => format!(
            "Which {parents} have {}",
            dice.word(&["no ", "never had any "]).to_owned() + &children
        ),
        (Style::Order, false) => format!(
            "{} {parents} {that} have no {children}",
            dice.word(&["List all", "Find", "Show"])
        ),
    };
    Some(Draft {
        question: finished(style, &text, dice),
        sql,
    })
}

fn aliases(parent: &Table, child: &Table) -> (String, String) {
    let p = super::super::source::short_alias(&parent.reference.table, &[]);
    let c = super::super::source::short_alias(&child.reference.table, &[p.as_str()]);
    (p, c)
}

/// The conditions of a table's own fields, its columns behind an alias. Only what starts with a field's path can be
/// written so; the others would be ambiguous and are left to the judge, who refuses them.
fn requalified(conditions: &[Condition], source: &Source<'_>, alias: &str) -> String {
    let mut text = String::new();
    for condition in conditions {
        let mut sql = condition.sql.clone();
        if source.fields.iter().any(|f| f.sql == condition.about) {
            sql = sql.replace(&condition.about, &format!("{alias}.{}", condition.about));
        }
        text.push_str(" AND ");
        text.push_str(&sql);
    }
    text
}

/// Rows that some row of another table belongs to, with a condition on it.
pub(super) fn with_some(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let family = family(context, dice)?;
    let child = Source::table(family.child);
    let names = family.names()?;
    let of_child = family.of_child(&child, dice, conditions::exactly);
    if of_child.is_empty() || of_child[0].sql.contains("UNNEST") {
        return None;
    }
    let (column, key) = &family.link.on[0];
    let counts = dice.chance(0.35);
    let what = if counts {
        "COUNT(*)".to_owned()
    } else {
        select(&names)?
    };
    let sql = if dice.chance(0.5) {
        format!(
            "SELECT {what} FROM {} WHERE {key} IN (SELECT {column} FROM {}{})",
            family.parent.path,
            family.child.path,
            where_clause(&of_child)
        )
    } else {
        let (p, c) = aliases(family.parent, family.child);
        let inner = requalified(&of_child, &child, &c);
        format!(
            "SELECT {what} FROM {} AS {p} WHERE EXISTS (SELECT 1 FROM {} AS {c} WHERE {c}.{column} = {p}.{key}{inner})",
            family.parent.path, family.child.path
        )
    };
    let parents = &family.parent.noun.many;
    let that = who(&Source::table(family.parent));
    let posts = subject(&child, &of_child, dice);
    let style = style(dice);
    let text = match (style, counts) {
        (Style::Terse, true) => format!("number of {parents} with {posts}"),
        (_, true) => format!("How many {parents} have {posts}"),
        (Style::Terse, false) => format!("{parents} with {posts}"),
        (Style::Sentence, false) => format!("Which {parents} have {posts}"),
        (Style::Order, false) => format!(
            "{} {parents} {that} have {posts}",
            dice.word(&["List", "Find", "Show"])
        ),
    };
    Some(Draft {
        question: finished(style, &text, dice),
        sql,
    })
}

/// Rows that many rows of another table belong to.
pub(super) fn with_many(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let family = family(context, dice)?;
    let (p, c) = aliases(family.parent, family.child);
    let names = family.names()?;
    let names: Vec<String> = names.iter().map(|n| format!("{p}.{n}")).collect();
    let (column, key) = &family.link.on[0];
    let child = Source::table(family.child);
    let of_child = if dice.chance(0.45) {
        family.of_child(&child, dice, conditions::some)
    } else {
        Vec::new()
    };
    if of_child
        .iter()
        .any(|x| !child.fields.iter().any(|f| f.sql == x.about))
    {
        return None;
    }
    let inner = requalified(&of_child, &child, &c);
    let filter = inner
        .strip_prefix(" AND ")
        .map_or_else(String::new, |rest| format!(" WHERE {rest}"));
    let children = subject(&child, &of_child, dice);
    let limit = *dice.pick(&[1, 2, 3, 5, 10, 20])?;
    let shows = dice.chance(0.4);
    let alias = child.free_name(&family.child.noun.many);
    let group: Vec<String> = std::iter::once(format!("{p}.{key}"))
        .chain(names.iter().filter(|n| **n != format!("{p}.{key}")).cloned())
        .collect();
    let figure = if shows {
        format!(", COUNT(*) AS {alias}")
    } else {
        String::new()
    };
    let sql = format!(
        "SELECT {}{figure} FROM {} AS {p} JOIN {} AS {c} ON {c}.{column} = {p}.{key}{filter} GROUP BY {} HAVING COUNT(*) > {limit}",
        select(&names)?,
        family.parent.path,
        family.child.path,
        group.join(", ")
    );
    let children = if limit == 1 {
        children.replacen(&family.child.noun.many, &family.child.noun.one, 1)
    } else {
        children
    };
    let more = if limit == 1 {
        format!("more than one {children}")
    } else {
        format!("more than {limit} {children}")
    };
    let parents = &family.parent.noun.many;
    let style = style(dice);
    let text = match style {
        Style::Terse => format!(
            "{parents} with {more}{}",
            if shows { ", and how many" } else { "" }
        ),
        Style::Sentence => format!(
            "Which {parents} have {more}{}",
            if shows { "? Show how many" } else { "" }
        ),
        Style::Order => format!(
            "{} the {parents} with {more}{}",
            dice.word(&["List", "Find"]),
            if shows { ", with the number" } else { "" }
        ),
    };
    Some(Draft {
        question: finished(style, &text, dice),
        sql,
    })
}

/// How many rows belong to each row, 0 included.
pub(super) fn all_counted(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let family = family(context, dice)?;
    let (p, c) = aliases(family.parent, family.child);
    let names: Vec<String> = family.names()?.iter().map(|n| format!("{p}.{n}")).collect();
    let (column, key) = &family.link.on[0];
    let child = Source::table(family.child);
    let alias = child.free_name(&family.child.noun.many);
    let sum = if dice.chance(0.3) {
        metrics::sum(&child, dice)
    } else {
        None
    };
    let (expression, what) = match &sum {
        Some(sum) => {
            let argument = sum.argument.as_deref().unwrap_or_default();
            (
                format!("COALESCE(SUM({c}.{argument}), 0) AS {}", sum.alias),
                sum.of(&family.child.noun.many),
            )
        }
        None => (
            format!("COUNT({c}.{column}) AS {alias}"),
            format!("number of {}", family.child.noun.many),
        ),
    };
    let group: Vec<String> = std::iter::once(format!("{p}.{key}"))
        .chain(names.iter().filter(|n| **n != format!("{p}.{key}")).cloned())
        .collect();
    let sql = format!(
        "SELECT {}, {expression} FROM {} AS {p} LEFT JOIN {} AS {c} ON {c}.{column} = {p}.{key} GROUP BY {}",
        select(&names)?,
        family.parent.path,
        family.child.path,
        group.join(", ")
    );
    let (one, many) = (&family.parent.noun.one, &family.parent.noun.many);
    let style = style(dice);
    let text = match style {
        Style::Terse => format!("{what} per {one}, 0 for {many} without any"),
        Style::Sentence => format!("What is the {what} of every {one}, including {many} that have none")
            .replace(
                " that have none",
                if words::is_person(one) {
                    " who have none"
                } else {
                    " that have none"
                },
            ),
        Style::Order => format!(
            "{} all {many} with their {what}, also those without any",
            dice.word(&["List", "Show"])
        ),
    };
    Some(Draft {
        question: finished(style, &text, dice),
        sql,
    })
}

/// Values that two tables have, or one and not the other, or either.
pub(super) fn both(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let tables = &context.model.tables;
    let mut pairs = Vec::new();
    let plain = |t: &Table| !t.sharded && !t.filter_required;
    for (i, a) in tables.iter().enumerate().filter(|(_, t)| plain(t)) {
        for b in tables.iter().skip(i + 1).filter(|t| plain(t)) {
            let is_key = |t: &Table, x: &super::super::columns::Attribute| {
                t.key.is_some_and(|k| std::ptr::eq(&raw const t.attributes[k], x))
            };
            for x in a
                .attributes
                .iter()
                .filter(|x| !is_key(a, x) && matches!(x.role, Role::Category | Role::Label | Role::Key))
            {
                let same = |noun: &str| {
                    ["city", "town", "country", "region", "zone", "sku", "email"]
                        .iter()
                        .find(|w| noun.split(' ').any(|n| n.eq_ignore_ascii_case(w)))
                        .copied()
                };
                for y in b.attributes.iter().filter(|y| {
                    !is_key(b, y)
                        && y.data_type == x.data_type
                        && matches!(y.role, Role::Category | Role::Label | Role::Key)
                }) {
                    let alike = x.noun == y.noun
                        && !matches!(
                            x.noun.as_str(),
                            "ID" | "name" | "title" | "status" | "kind" | "type"
                        )
                        || same(&x.noun).is_some() && same(&x.noun) == same(&y.noun);
                    if alike && x.path.len() < 3 && y.path.len() < 3 {
                        pairs.push((a, x, b, y));
                    }
                }
            }
        }
    }
    let (a, x, b, y) = *dice.pick(&pairs)?;
    let (a, x, b, y) = if dice.chance(0.5) {
        (a, x, b, y)
    } else {
        (b, y, a, x)
    };
    let noun = metrics::thing(&x.noun);
    let short = noun.rsplit(' ').next().unwrap_or(&noun);
    let many = words::plural(if noun.ends_with("ID") { &noun } else { short });
    let (of_a, of_b) = (&a.noun.many, &b.noun.many);
    let (sql_a, sql_b) = (
        format!("SELECT {} FROM {}", x.path.join("."), a.path),
        format!("SELECT {} FROM {}", y.path.join("."), b.path),
    );
    let style = style(dice);
    let (operator, text) = match dice.below(3) {
        0 => (
            "INTERSECT DISTINCT",
            match style {
                Style::Terse => format!("{many} of both {of_a} and {of_b}"),
                Style::Sentence => format!("Which {many} appear both in {of_a} and in {of_b}"),
                Style::Order => format!("List the {many} that occur in both {of_a} and {of_b}"),
            },
        ),
        1 => (
            "EXCEPT DISTINCT",
            match style {
                Style::Terse => format!("{many} with {of_a} but without {of_b}"),
                Style::Sentence => format!("Which {many} have {of_a} but no {of_b}"),
                Style::Order => format!("Find the {many} that occur in {of_a} but not in {of_b}"),
            },
        ),
        _ => (
            "UNION DISTINCT",
            match style {
                Style::Terse => format!("all {many} of {of_a} or {of_b}, each once"),
                Style::Sentence => {
                    format!("What are all the {many} of {of_a} and {of_b} together, each once")
                }
                Style::Order => format!(
                    "List every {} that occurs in {of_a} or {of_b}, without doubles",
                    words::singular(&many)
                ),
            },
        ),
    };
    Some(Draft {
        question: finished(style, &text, dice),
        sql: format!("{sql_a} {operator} {sql_b}"),
    })
}

/// Things with rows in one span and none in another.
pub(super) fn in_one_period(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let family = family(context, dice)?;
    let child = Source::table(family.child);
    let time = child.table_time().filter(|_| family.child.dated)?;
    let (column, _) = &family.link.on[0];
    let year = dice.between(2022, 2025);
    let (first, second) = match dice.below(2) {
        0 => (Period::Year(year), Period::Year(year + 1)),
        _ => {
            let month = dice.between(1, 11);
            (Period::Month(year, month), Period::Month(year, month + 1))
        }
    };
    let part = |period: &Period| {
        format!(
            "SELECT {column} FROM {} WHERE {}",
            family.child.path,
            period.sql(&time.sql, &time.attribute.data_type)
        )
    };
    let (in_first, in_second) = (part(&first), part(&second));
    let (said_first, said_second) = (first.said(dice), second.said(dice));
    let (many, children) = (&family.parent.noun.many, &family.child.noun.many);
    let style = style(dice);
    let (operator, text) = if dice.chance(0.6) {
        let text = match style {
            Style::Terse => format!("{many} with {children} {said_first} but not {said_second}"),
            Style::Sentence => format!("Which {many} had {children} {said_first} but none {said_second}"),
            Style::Order => {
                format!("List the {many} that had {children} {said_first} and none {said_second}")
            }
        };
        ("EXCEPT DISTINCT", text)
    } else {
        let text = match style {
            Style::Terse => format!("{many} with {children} both {said_first} and {said_second}"),
            Style::Sentence => format!("Which {many} had {children} {said_first} as well as {said_second}"),
            Style::Order => {
                format!("List the {many} that had {children} both {said_first} and {said_second}")
            }
        };
        ("INTERSECT DISTINCT", text)
    };
    let id = child
        .fields
        .iter()
        .find(|f| f.sql == *column)
        .map(|f| words::plural(&f.attribute.noun))?;
    Some(Draft {
        question: finished(
            style,
            &format!(
                "{text}{}",
                if style == Style::Sentence {
                    format!("? Give the {id}")
                } else {
                    format!(" ({id})")
                }
            ),
            dice,
        ),
        sql: format!("{in_first} {operator} {in_second}"),
    })
}
