//! Rows: some of them, the first of an order, all columns but some.

use super::super::columns::{Attribute, Event, Role, State};
use super::super::conditions::{self, Condition};
use super::super::descriptions::Value;
use super::super::dice::Dice;
use super::super::ids;
use super::super::phrases::{Style, few, finished, style, subject, where_clause};
use super::super::source::{Field, Source};
use super::super::words;
use super::{Context, Draft, Reach, is_shown, select, shown_as, source, tie, tie_said};

/// The columns that a list of rows shows: what rows are called by, and some more.
fn columns<'s, 'm>(source: &'s Source<'m>, more: usize, dice: &mut Dice) -> Vec<&'s Field<'m>> {
    let mut shown: Vec<&Field<'m>> = source.names();
    let others = source
        .which(|f| is_shown(f) && f.attribute.role != Role::Key && !shown.iter().any(|s| s.sql == f.sql));
    for field in dice.shuffled(others) {
        if shown.len() >= more + source.names().len().max(1) {
            break;
        }
        let new_noun = shown
            .iter()
            .all(|s| s.attribute.noun != field.attribute.noun && s.attribute.name != field.attribute.name);
        if new_noun && (field.owner.is_none() || dice.chance(0.4)) {
            shown.push(field);
        }
    }
    shown
}

/// "whether they are paid": the column of a flag.
pub(super) fn whether(attribute: &Attribute) -> String {
    match &attribute.state {
        Some(State::With(word)) => format!("whether they have {word}"),
        Some(State::Did(word)) => format!("whether they {word}"),
        Some(State::Marked(word)) => format!("whether they are marked as {word}"),
        Some(State::Adjective(word) | State::Phrase(word)) => format!("whether they are {word}"),
        None => attribute.noun.clone(),
    }
}

/// Whether a column is said as "when …" or "whether …".
fn is_clause(field: &Field<'_>) -> bool {
    let due = matches!(&field.attribute.event, Some(Event::Passive(verb)) if verb == "due");
    field.owner.is_none() && (field.attribute.event.is_some() && !due || field.attribute.role == Role::Flag)
}

/// Columns in the order in which [`nouns`] tells them.
fn as_said<'s, 'm>(mut fields: Vec<&'s Field<'m>>) -> Vec<&'s Field<'m>> {
    fields.sort_by_key(|field| is_clause(field));
    fields
}

/// The nouns of columns: times as "when they were placed".
fn nouns(source: &Source<'_>, fields: &[&Field<'_>], plural: bool, dice: &mut Dice) -> Vec<String> {
    let mut nouns = Vec::new();
    let mut whens = Vec::new();
    for field in fields {
        match &field.attribute.event {
            Some(Event::Passive(verb)) if field.owner.is_none() && verb != "due" => {
                whens.push(format!("when they were {verb}"))
            }
            Some(Event::Active(verb)) if field.owner.is_none() => whens.push(format!("when they {verb}")),
            Some(Event::Present(verb)) if field.owner.is_none() => {
                whens.push(format!("when they {}", verb.trim_end_matches('s')))
            }
            _ if field.owner.is_none() && field.attribute.role == Role::Flag => {
                whens.push(whether(field.attribute))
            }
            _ => {
                let noun = source.noun(field, dice);
                nouns.push(if plural { words::plural(&noun) } else { noun });
            }
        }
    }
    nouns.extend(whens);
    nouns
}

fn sql_of(source: &Source<'_>, fields: &[&Field<'_>]) -> Option<String> {
    select(&fields.iter().map(|f| shown_as(source, f)).collect::<Vec<_>>())
}

/// Rows that fulfil conditions, with some columns.
pub(super) fn some(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let source = source(context, Reach::All, dice)?;
    let count = 1 + dice.below(2);
    let conditions = conditions::exactly(&source, dice, count);
    // Elements without a name of their own are told by more than one column.
    if conditions.is_empty() || source.unnested && source.names().is_empty() && dice.chance(0.7) {
        return None;
    }
    let more = dice.below(3);
    let shown: Vec<&Field<'_>> = as_said(columns(&source, more, dice))
        .into_iter()
        // What all rows have alike need not be shown.
        .filter(|f| {
            !conditions.iter().any(|c| {
                c.about == f.sql && !c.is_time && (c.sql.contains(" = ") || f.attribute.role == Role::Flag)
            })
        })
        .collect();
    // "What are the when they were placed" nobody asks.
    let clause =
        |f: &&Field<'_>| f.owner.is_none() && (f.attribute.event.is_some() || f.attribute.role == Role::Flag);
    if shown.iter().all(clause) {
        return None;
    }
    let sql = format!(
        "SELECT {} FROM {}{}",
        sql_of(&source, &shown)?,
        source.from,
        where_clause(&conditions)
    );
    let rows = subject(&source, &conditions, dice);
    Some(Draft {
        question: rows_asked(&source, &rows, &shown, &conditions, dice),
        sql,
    })
}

fn rows_asked(
    source: &Source<'_>,
    rows: &str,
    shown: &[&Field<'_>],
    conditions: &[Condition],
    dice: &mut Dice,
) -> String {
    let style = style(dice);
    let named = source.names();
    let only_names = shown.len() == named.len() && shown.iter().zip(&named).all(|(a, b)| a.sql == b.sql);
    if only_names && !source.unnested {
        // Without a name there is only the key to tell a row by.
        let by_key = source.table.label.is_empty();
        let of = |dice: &mut Dice| {
            if by_key && dice.chance(0.6) {
                format!("{} of {rows}", words::plural(&named[0].attribute.noun))
            } else {
                rows.to_owned()
            }
        };
        let text = match style {
            Style::Terse => of(dice),
            Style::Sentence if conditions.len() == 1 && conditions[0].owner.is_none() && dice.chance(0.6) => {
                format!(
                    "Which {} {}",
                    source.subject.many,
                    plural_predicate(&conditions[0])
                )
            }
            Style::Sentence => format!("Which {rows} are there"),
            Style::Order => format!(
                "{} {}{}",
                dice.word(&["List", "Find", "Show"]),
                dice.word(&["all ", "the ", ""]),
                of(dice)
            ),
        };
        return finished(style, &text, dice);
    }
    // "the titles and when they were resolved of incidents" would be hard to read.
    let clauses = shown
        .iter()
        .any(|f| is_clause(f) || source.unnested && f.owner.is_some());
    let text = match style {
        Style::Terse => match dice.below(if clauses { 2 } else { 3 }) {
            0 => format!(
                "{rows}: {}",
                words::list(&nouns(source, shown, false, dice), "and")
            ),
            1 => format!(
                "{rows} with {}",
                words::list(&nouns(source, shown, false, dice), "and")
            ),
            _ => format!(
                "{} of {rows}",
                words::list(&nouns(source, shown, false, dice), "and")
            ),
        },
        Style::Sentence => match dice.below(2) {
            0 if !clauses => format!(
                "What are the {} of {rows}",
                words::list(&nouns(source, shown, true, dice), "and")
            ),
            _ => format!(
                "Which {rows} are there? Give {}.",
                words::list(&nouns(source, shown, false, dice), "and")
            ),
        },
        Style::Order => {
            let verb = dice.word(&["Show", "List", "Give", "Return", "Show me"]);
            match dice.below(2) {
                0 if !clauses => format!(
                    "{verb} the {} of {rows}",
                    words::list(&nouns(source, shown, false, dice), "and")
                ),
                _ => format!(
                    "{verb} {rows} with their {}",
                    words::list(&nouns(source, shown, false, dice), "and")
                ),
            }
        }
    };
    finished(style, text.trim_end_matches('.'), dice)
}

/// "are from Germany", "were placed in May 2025", "have more than 3 items".
fn plural_predicate(condition: &Condition) -> String {
    let changed = [("is ", "are "), ("was ", "were "), ("has ", "have ")]
        .iter()
        .find_map(|(one, many)| {
            condition
                .predicate
                .strip_prefix(one)
                .map(|rest| format!("{many}{rest}"))
        });
    changed.unwrap_or_else(|| {
        let predicate = &condition.predicate;
        let (first, rest) = predicate.split_once(' ').unwrap_or((predicate, ""));
        let present = [
            "expires", "closes", "matures", "starts", "ends", "renews", "begins",
        ]
        .contains(&first);
        if present {
            format!("{} {rest}", first.trim_end_matches('s'))
        } else {
            predicate.clone()
        }
    })
}

/// What a comparison of rows by a number is called.
fn extreme(field: &Field<'_>, most: bool, dice: &mut Dice) -> String {
    let noun = &field.attribute.noun;
    let counted = field.attribute.measure().is_some_and(|m| m.counted);
    match (counted, most) {
        (true, true) => format!("the most {noun}"),
        (true, false) => format!("the fewest {noun}"),
        (false, true) => format!("the {} {noun}", dice.word(&["highest", "highest", "largest"])),
        (false, false) => format!("the {} {noun}", dice.word(&["lowest", "smallest"])),
    }
}

/// The rows with the highest or lowest number.
pub(super) fn top(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let source = source(context, Reach::All, dice)?;
    let names = source.names();
    let measures = source.own(|a| a.measure().is_some());
    let by = *dice.pick(&measures)?;
    if names.is_empty() {
        return None;
    }
    let conditions = conditions::some(&source, dice, 1);
    if conditions.iter().any(|c| c.about == by.sql) {
        return None;
    }
    let most = dice.chance(0.75) || by.attribute.may_lack();
    let count = *dice.pick(&[1, 3, 5, 5, 10, 10, 20])?;
    let second = count == 1 && most && dice.chance(0.2) && !by.attribute.measure().is_some_and(|m| m.counted);
    let mut columns: Vec<String> = names.iter().map(|f| f.sql.clone()).collect();
    let show_number = dice.chance(0.6);
    if show_number {
        columns.push(by.sql.clone());
    }
    let sql = format!(
        "SELECT {} FROM {}{} ORDER BY {}{}{} LIMIT {count}{}",
        select(&columns)?,
        source.from,
        where_clause(&conditions),
        by.sql,
        if most { " DESC" } else { "" },
        tie(&by.sql, &names[0].sql),
        if second { " OFFSET 1" } else { "" }
    );
    let rows = subject(&source, &conditions, dice);
    let what = if second {
        format!(
            "the {} {}",
            dice.word(&["second highest", "second-highest"]),
            by.attribute.noun
        )
    } else {
        extreme(by, most, dice)
    };
    let style = style(dice);
    let listed: Vec<String> = names
        .iter()
        .map(|f| &f.attribute.noun)
        .chain([&by.attribute.noun])
        .cloned()
        .collect();
    let with = match dice.below(4) {
        _ if !show_number => tie_said(&names[0].attribute.noun, dice),
        0 => format!(": {}", words::list(&listed, "and")),
        1 => format!(", {}", words::list(&listed, "and")),
        _ => format!(", with the {}", by.attribute.noun),
    };
    let and = if show_number {
        format!(" and {} {}", dice.word(&["what", "how high"]), "is it")
    } else {
        String::new()
    };
    let text = if count == 1 {
        let one = subject_one(&source, &rows);
        match style {
            Style::Terse => format!("{one} with {what}{with}"),
            Style::Sentence if and.is_empty() || dice.chance(0.5) => format!(
                "Which {one} has {what}{}",
                if show_number {
                    format!("? Give the {} too", by.attribute.noun)
                } else {
                    String::new()
                }
            ),
            Style::Sentence => format!("Which {one} has {what}{and}"),
            Style::Order => format!("Find the {one} with {what}{with}"),
        }
    } else {
        let number = few(count, dice);
        match style {
            Style::Terse if dice.chance(0.5) && most => format!(
                "top {count} {rows} by {}{}",
                by.attribute.noun,
                if show_number { " (show it)" } else { "" }
            ),
            Style::Terse => format!("the {number} {rows} with {what}{with}"),
            Style::Sentence => format!(
                "Which {number} {rows} have {what}{}",
                match dice.below(3) {
                    _ if !show_number => String::new(),
                    0 => format!("? Give {}", words::list(&listed, "and")),
                    1 => format!("? Return {}", words::list(&listed, "and")),
                    _ => format!("? Show the {} as well", by.attribute.noun),
                }
            ),
            Style::Order => format!(
                "{} the {number} {rows} with {what}{with}",
                dice.word(&["List", "Show", "Give me"])
            ),
        }
    };
    Some(Draft {
        question: finished(style, &text, dice),
        sql,
    })
}

/// One row of the rows: their noun in the singular.
pub(super) fn subject_one(source: &Source<'_>, rows: &str) -> String {
    rows.replacen(&source.subject.many, &source.subject.one, 1)
        .replacen(" who are boys", " who is a boy", 1)
        .replacen(" who are girls", " who is a girl", 1)
        .replacen(" who are men", " who is a man", 1)
        .replacen(" who are women", " who is a woman", 1)
        .replacen(" that are ", " that is ", 1)
        .replacen(" who are ", " who is ", 1)
        .replacen(" that have ", " that has ", 1)
        .replacen(" who have ", " who has ", 1)
        .replacen(" have ", " has ", 1)
        .replacen("their ", "its ", 1)
}

/// The last rows by time.
pub(super) fn latest(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let source = source(context, Reach::Joined, dice)?;
    let times =
        source.own(|a| a.role == Role::Time && matches!(a.event, Some(Event::Passive(_) | Event::Active(_))));
    let time = match source.table_time() {
        Some(time) if source.table.dated => time,
        _ => *dice.pick(&times)?,
    };
    let mut conditions = conditions::some(&source, dice, 1);
    conditions.retain(|c| !c.is_time);
    conditions::complete(&source, dice, &mut conditions);
    let more = dice.below(2);
    let mut shown = columns(&source, more, dice);
    if !shown.iter().any(|f| f.sql == time.sql) {
        shown.push(time);
    }
    let shown = as_said(shown);
    let newest = dice.chance(0.8);
    let count = *dice.pick(&[1, 5, 10, 20, 50])?;
    let sql = format!(
        "SELECT {} FROM {}{} ORDER BY {}{}{} LIMIT {count}",
        sql_of(&source, &shown)?,
        source.from,
        where_clause(&conditions),
        time.sql,
        if newest { " DESC" } else { "" },
        shown.first().map_or_else(String::new, |f| tie(&time.sql, &f.sql))
    );
    let rows = subject(&source, &conditions, dice);
    let order = match (&time.attribute.event, newest) {
        (Some(Event::Passive(verb)), true) => format!("most recently {verb}"),
        (Some(Event::Passive(verb)), false) => format!("first {verb}"),
        (_, true) => dice.word(&["latest", "most recent", "last"]).to_owned(),
        (_, false) => dice.word(&["oldest", "earliest", "first"]).to_owned(),
    };
    let nouns = words::list(&nouns(&source, &shown, false, dice), "and");
    let style = style(dice);
    let what = if count == 1 {
        format!("the {order} {}", subject_one(&source, &rows))
    } else {
        format!("the {} {order} {rows}", few(count, dice))
    };
    let text = match style {
        Style::Terse => format!("{}, {nouns}", what.trim_start_matches("the ")),
        Style::Sentence => format!(
            "What {} {what}? Give {nouns}",
            if count == 1 { "is" } else { "are" }
        ),
        Style::Order => format!("{} {what} with {nouns}", dice.word(&["Show", "List", "Get"])),
    };
    Some(Draft {
        question: finished(style, &text, dice),
        sql,
    })
}

/// One row by its key or name.
pub(super) fn one(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let source = source(context, Reach::Joined, dice)?;
    let key = source.key()?;
    let Value { sql: literal, said } = ids::asked(key.attribute, dice);
    let fields = source
        .which(|f| is_shown(f) && f.sql != key.sql && !matches!(f.attribute.role, Role::Key | Role::Flag));
    let count = 1 + dice.below(2);
    let mut shown: Vec<&Field<'_>> = Vec::new();
    for field in dice.shuffled(fields).into_iter().take(6) {
        if shown.len() < count && shown.iter().all(|s| s.attribute.name != field.attribute.name) {
            shown.push(field);
        }
    }
    if shown.is_empty() {
        return None;
    }
    let mut conditions = vec![Condition {
        sql: format!("{} = {literal}", key.sql),
        about: key.sql.clone(),
        ..Condition::default()
    }];
    let before = conditions.len();
    conditions::complete(&source, dice, &mut conditions);
    let when: String = conditions
        .iter()
        .skip(before)
        .map(|c| format!(", {}", c.post))
        .collect();
    let sql = format!(
        "SELECT {} FROM {}{}",
        sql_of(&source, &shown)?,
        source.from,
        where_clause(&conditions)
    );
    let thing = format!("{} {said}", source.subject.one);
    let style = style(dice);
    let time = shown
        .first()
        .filter(|_| shown.len() == 1)
        .and_then(|f| f.attribute.event.clone().filter(|_| f.owner.is_none()));
    let what = words::list(
        &shown.iter().map(|f| source.noun(f, dice)).collect::<Vec<_>>(),
        "and",
    );
    let text = match (time, style) {
        (Some(Event::Passive(verb)), Style::Sentence | Style::Order) if verb != "due" => {
            format!("When was {thing} {verb}{when}?")
        }
        (_, Style::Terse) => format!("{what} of {thing}{when}"),
        (_, Style::Sentence) => format!(
            "What {} the {what} of {thing}{when}?",
            if shown.len() == 1 { "is" } else { "are" }
        ),
        (_, Style::Order) => format!(
            "{} the {what} of {thing}{when}",
            dice.word(&["Show", "Look up", "Give"])
        ),
    };
    Some(Draft {
        question: finished(style, text.trim_end_matches('?'), dice),
        sql,
    })
}

/// The values that there are.
pub(super) fn values(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let source = source(context, Reach::All, dice)?;
    let fields = source.which(|f| {
        matches!(f.attribute.role, Role::Category | Role::Label | Role::Year)
            && f.attribute.noun != source.subject.one
            && !conditions::is_answer(f.attribute)
            && f.owner
                .is_none_or(|o| !source.unnested && !source.owners[o].contains)
    });
    let field = *dice.pick(&fields)?;
    let conditions = conditions::some(&source, dice, 2);
    if conditions.iter().any(|c| c.about == field.sql) {
        return None;
    }
    let ordered = dice.chance(0.25);
    let order = if ordered {
        format!(" ORDER BY {}", field.sql)
    } else {
        String::new()
    };
    let sql = format!(
        "SELECT DISTINCT {} FROM {}{}{order}",
        field.sql,
        source.from,
        where_clause(&conditions)
    );
    let rows = subject(&source, &conditions, dice);
    let noun = words::plural(&source.noun(field, dice));
    let different = dice.word(&["different ", "", "distinct ", "unique "]);
    let style = style(dice);
    let text = match style {
        Style::Terse => format!(
            "{}{noun} of {rows}",
            if different.is_empty() { "all " } else { different }
        ),
        Style::Sentence => match dice.below(2) {
            0 => format!("Which {different}{noun} do {rows} have"),
            _ => format!("What {different}{noun} are there among {rows}"),
        },
        Style::Order => format!(
            "List {} {noun} of {rows}",
            if different.is_empty() {
                "the different"
            } else {
                different
            }
        ),
    };
    let sorted = if ordered {
        dice.word(&[", sorted", ", in alphabetical order", ", sorted by name"])
    } else {
        ""
    };
    let sorted =
        if field.attribute.data_type == bigquill_analysis::schema::DataType::String || sorted.is_empty() {
            sorted
        } else {
            ", sorted"
        };
    Some(Draft {
        question: finished(style, &format!("{text}{sorted}"), dice),
        sql,
    })
}
