//! Texts: domains of addresses, whole names, patterns, lengths, parts.

use bigquill_analysis::schema::DataType;

use super::super::columns::Role;
use super::super::conditions::{self, Condition};
use super::super::dice::Dice;
use super::super::phrases::{Style, few, finished, style, subject, where_clause};
use super::super::words;
use super::{Context, Draft, Reach, select, source};

/// Rows by the domain of their e-mail address.
pub(super) fn domain(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let source = (0..6).map(|_| source(context, Reach::Joined, dice)).find(|s| {
        s.as_ref()
            .is_some_and(|s| !s.own(|a| a.role == Role::Email).is_empty())
    })??;
    let fields = source.own(|a| a.role == Role::Email);
    let field = *dice.pick(&fields)?;
    let conditions = conditions::some(&source, dice, 1);
    if conditions.iter().any(|c| c.about == field.sql) {
        return None;
    }
    let rows = subject(&source, &conditions, dice);
    let expression = format!("SPLIT({}, '@')[SAFE_OFFSET(1)]", field.sql);
    let alias = source.free_name("domain");
    let count = *dice.pick(&[0, 0, 3, 5, 10])?;
    let name = source.free_name(&source.subject.many);
    let noun = dice.word(&["e-mail domain", "email domain", "mail domain"]);
    let address = format!("the {}", field.attribute.noun);
    let style = style(dice);
    let (text, tail) = if count == 0 {
        let text = match style {
            Style::Terse if dice.chance(0.4) => format!("each domain of {address} with its number of {rows}"),
            Style::Terse => format!("number of {rows} per {noun}"),
            Style::Sentence if dice.chance(0.4) => {
                format!("How many {rows} are there per domain of {address}")
            }
            Style::Sentence => format!("How many {rows} are there per {noun}"),
            Style::Order if dice.chance(0.4) => {
                format!("Give the domain of {address} and the number of {rows} with it")
            }
            Style::Order => format!("Count {rows} by {noun}"),
        };
        (text, String::new())
    } else {
        let text = match style {
            Style::Terse => format!("top {count} {noun}s of {rows}, with how many"),
            Style::Sentence => format!(
                "What are the {} most common {noun}s of {rows}? Give the number too",
                few(count, dice)
            ),
            Style::Order => {
                format!("List the {count} most common {noun}s of {rows} and how often they occur")
            }
        };
        (text, format!(" ORDER BY {name} DESC, {alias} LIMIT {count}"))
    };
    Some(Draft::select(
        finished(style, &text, dice),
        &format!("{expression} AS {alias}, COUNT(*) AS {name}"),
        &source,
        &conditions,
        &format!(" GROUP BY {alias}{tail}"),
    ))
}

/// First and last name as one.
pub(super) fn full_name(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let has = |names: &[String]| names.len() == 2;
    let source = (0..10).map(|_| source(context, Reach::Tables, dice)).find(|s| {
        s.as_ref()
            .is_some_and(|s| has(&s.names().iter().map(|f| f.sql.clone()).collect::<Vec<_>>()))
    })??;
    let names = source.names();
    let (first, last) = (names[0].sql.clone(), names[1].sql.clone());
    let conditions = conditions::exactly(&source, dice, 1);
    let rows = subject(&source, &conditions, dice);
    let turned = dice.chance(0.3);
    let expression = if turned {
        format!("CONCAT({last}, ', ', {first})")
    } else {
        format!("CONCAT({first}, ' ', {last})")
    };
    let said = if turned {
        "last name, a comma and first name as one text"
    } else {
        dice.word(&[
            "full name",
            "first and last name in one column",
            "whole name in one column",
        ])
    };
    let alias = source.free_name("full_name");
    let style = style(dice);
    let text = match style {
        Style::Terse => format!("{said} of {rows}"),
        Style::Sentence => format!("What is the {said} of each of the {rows}")
            .replace("the last name", "the text of last name"),
        Style::Order => format!("{} the {said} of {rows}", dice.word(&["Show", "List"])),
    };
    Some(Draft::select(
        finished(style, &text, dice),
        &format!("{expression} AS {alias}"),
        &source,
        &conditions,
        "",
    ))
}

/// Rows whose text follows a pattern.
pub(super) fn matching(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let source = source(context, Reach::Joined, dice)?;
    let fields = source.own(|a| {
        a.data_type == DataType::String
            && matches!(a.role, Role::Label | Role::Text | Role::Key)
            && a.values.is_empty()
    });
    let field = *dice.pick(&fields)?;
    let (sql, noun) = (&field.sql, &field.attribute.noun);
    let (condition, said) = match (field.attribute.role, dice.below(4)) {
        (Role::Key, 0) => (
            format!("REGEXP_CONTAINS({sql}, r'^[A-Z]{{2}}')"),
            "starts with two capital letters".to_owned(),
        ),
        (Role::Key, 1) => (format!("ENDS_WITH({sql}, '7')"), "ends with 7".to_owned()),
        (Role::Key, 2) => (
            format!("REGEXP_CONTAINS({sql}, r'^[0-9]+$')"),
            "consists of digits only".to_owned(),
        ),
        (Role::Key, _) => {
            let start = dice.word(&["A", "DE", "X-", "00"]);
            (
                format!("STARTS_WITH({sql}, '{start}')"),
                format!("starts with '{start}'"),
            )
        }
        (_, 0) => (
            format!("REGEXP_CONTAINS({sql}, r'[0-9]')"),
            "contains a digit".to_owned(),
        ),
        (_, 1) => {
            let (a, b) = *dice.pick(&[
                ("north", "south"),
                ("old", "new"),
                ("test", "demo"),
                ("red", "blue"),
            ])?;
            (
                format!("REGEXP_CONTAINS({sql}, r'(?i){a}|{b}')"),
                format!("contains '{a}' or '{b}' in any case"),
            )
        }
        (_, 2) => {
            let word = dice.word(&["park", "center", "pro", "plus", "north"]);
            (
                format!("LOWER({sql}) LIKE '%{word}%'"),
                format!("contains '{word}', whatever the case"),
            )
        }
        _ => {
            let letter = dice.word(&["A", "B", "S", "M"]);
            (format!("{sql} LIKE '{letter}%'"), format!("begins with {letter}"))
        }
    };
    let mut all = vec![Condition {
        sql: condition,
        about: sql.clone(),
        post: format!("whose {noun} {said}"),
        ..Condition::default()
    }];
    let others = conditions::some(&source, dice, 1);
    all.extend(others.into_iter().filter(|c| c.about != *sql));
    let rows = subject(&source, &all, dice);
    let counts = dice.chance(0.45) && source.table.countable;
    let mut names: Vec<String> = source.names().iter().map(|f| f.sql.clone()).collect();
    if names.is_empty() || !names.contains(sql) {
        names.push(sql.clone());
    }
    let too = if counts || source.names().iter().any(|n| n.sql == *sql) {
        String::new()
    } else {
        format!(" and their {noun}")
    };
    let style = style(dice);
    let text = match (style, counts) {
        (Style::Terse, true) => format!("number of {rows}"),
        (_, true) => format!("How many {rows} are there"),
        (Style::Terse, false) => format!(
            "{rows}{}",
            if too.is_empty() {
                String::new()
            } else {
                format!(", with the {noun}")
            }
        ),
        (Style::Sentence, false) => format!(
            "Which {rows} are there{}",
            if too.is_empty() {
                String::new()
            } else {
                format!("? Show the {noun} too")
            }
        ),
        (Style::Order, false) => format!(
            "{} {rows}{}",
            dice.word(&["Find", "List"]),
            if too.is_empty() {
                String::new()
            } else {
                format!(", with the {noun}")
            }
        ),
    };
    let what = if counts {
        "COUNT(*)".to_owned()
    } else {
        select(&names)?
    };
    Some(Draft::select(
        finished(style, &text, dice),
        &what,
        &source,
        &all,
        "",
    ))
}

/// How long texts are.
pub(super) fn length(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let source = source(context, Reach::Tables, dice)?;
    let fields = source.own(|a| {
        a.data_type == DataType::String
            && matches!(a.role, Role::Label | Role::Text)
            && !a.name.contains("user_agent")
    });
    let field = *dice.pick(&fields)?;
    let conditions = conditions::some(&source, dice, 1);
    if conditions.iter().any(|c| c.about == field.sql) {
        return None;
    }
    let rows = subject(&source, &conditions, dice);
    let (sql, noun) = (&field.sql, &field.attribute.noun);
    let style = style(dice);
    let filter = where_clause(&conditions);
    let (text, sql) = match dice.below(3) {
        0 => (
            match style {
                Style::Terse => format!("average length of the {noun} of {rows}, in characters"),
                Style::Sentence => format!("How many characters does the {noun} of {rows} have on average"),
                Style::Order => format!("Compute the average number of characters in the {noun} of {rows}"),
            },
            format!("SELECT AVG(LENGTH({sql})) FROM {}{filter}", source.from),
        ),
        1 => (
            match style {
                Style::Terse => format!("longest {noun} of {rows}"),
                Style::Sentence => format!("What is the longest {noun} of {rows}"),
                Style::Order => format!("Find the longest {noun} of {rows}"),
            },
            format!(
                "SELECT {sql} FROM {}{filter} ORDER BY LENGTH({sql}) DESC LIMIT 1",
                source.from
            ),
        ),
        _ => {
            let limit = *dice.pick(&[10, 20, 30, 50])?;
            let and = if filter.is_empty() {
                " WHERE".to_owned()
            } else {
                format!("{filter} AND")
            };
            (
                match style {
                    Style::Terse => format!(
                        "number of {rows} with {} longer than {limit} characters",
                        words::with_article(noun)
                    ),
                    Style::Sentence => format!(
                        "How many {rows} have {} longer than {limit} characters",
                        words::with_article(noun)
                    ),
                    Style::Order => format!(
                        "Count the {rows} with {} of more than {limit} characters",
                        words::with_article(noun)
                    ),
                },
                format!(
                    "SELECT COUNT(*) FROM {}{and} LENGTH({sql}) > {limit}",
                    source.from
                ),
            )
        }
    };
    Some(Draft {
        question: finished(style, &text, dice),
        sql,
    })
}

/// Rows by a part of a text: a first letter, the first part of a path.
pub(super) fn extracted(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let source = source(context, Reach::Joined, dice)?;
    let fields = source.own(|a| {
        a.data_type == DataType::String && matches!(a.role, Role::Label | Role::Path)
            || a.noun.contains("postal code")
            || a.noun.contains("version")
    });
    let fields: Vec<_> = fields
        .into_iter()
        .filter(|f| f.attribute.data_type == DataType::String)
        .collect();
    let field = *dice.pick(&fields)?;
    let (sql, noun) = (&field.sql, &field.attribute.noun);
    let (expression, name, said) = if field.attribute.role == Role::Path {
        (
            format!("REGEXP_EXTRACT({sql}, r'^/([^/]+)')"),
            "section",
            format!("first part of the {noun}"),
        )
    } else if noun.contains("postal code") {
        (
            format!("SUBSTR({sql}, 1, 2)"),
            "area",
            format!("first two characters of the {noun}"),
        )
    } else if noun.contains("version") {
        (
            format!("SPLIT({sql}, '.')[SAFE_OFFSET(0)]"),
            "major",
            format!("part of the {noun} before the first dot"),
        )
    } else {
        (
            format!("UPPER(SUBSTR({sql}, 1, 1))"),
            "initial",
            format!("first letter of the {noun}, in upper case"),
        )
    };
    let conditions = conditions::some(&source, dice, 1);
    if conditions.iter().any(|c| c.about == *sql) {
        return None;
    }
    let rows = subject(&source, &conditions, dice);
    let alias = source.free_name(name);
    let count = source.free_name(&source.subject.many);
    let style = style(dice);
    let text = match style {
        Style::Terse => format!("number of {rows} by {said}"),
        Style::Sentence => format!("How many {rows} are there for each {said}"),
        Style::Order => format!("Count {rows} by the {said}"),
    };
    Some(Draft::select(
        finished(style, &text, dice),
        &format!("{expression} AS {alias}, COUNT(*) AS {count}"),
        &source,
        &conditions,
        &format!(" GROUP BY {alias}"),
    ))
}
