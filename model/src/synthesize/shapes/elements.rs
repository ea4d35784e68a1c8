//! Single elements of the lists in rows: first and best ones, positions, those of one row, all in one text.

use super::super::columns::{Attribute, Role};
use super::super::conditions::{self, Condition};
use super::super::descriptions::Value;
use super::super::dice::Dice;
use super::super::ids;
use super::super::phrases::{Style, each, finished, style, subject, where_clause};
use super::super::source::snake;
use super::super::tables::Elements;
use super::super::words;
use super::lists::{any, listed, records};
use super::rows::whether;
use super::{Context, Draft, select};

/// The first or last element of each list.
pub(super) fn first(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let listed = listed(context, dice, any)?;
    let conditions = listed.conditions(dice);
    let rows = subject(&listed.source, &conditions, dice);
    let shown = listed.which(|a| {
        matches!(
            a.role,
            Role::Category | Role::Label | Role::Measure(_) | Role::Time | Role::Key
        )
    });
    let field = match &listed.array.elements {
        Elements::Scalars(_) => None,
        _ => Some(*dice.pick(&shown)?),
    };
    let (offset, word) = match dice.below(4) {
        0 => (
            format!("[SAFE_OFFSET(ARRAY_LENGTH({}) - 1)]", listed.list),
            "last",
        ),
        1 => ("[SAFE_OFFSET(1)]".to_owned(), "second"),
        _ => ("[SAFE_OFFSET(0)]".to_owned(), "first"),
    };
    let one = &listed.array.noun.one;
    let (expression, what) = match field {
        None => (format!("{}{offset}", listed.list), format!("{word} {one}")),
        Some(field) => (
            format!("{}{offset}.{}", listed.list, field.path.join(".")),
            format!("{} of the {word} {one}", field.noun),
        ),
    };
    let alias = listed
        .source
        .free_name(&format!("{word}_{}", snake(field.map_or(one, |f| &f.name))));
    let each = each(&listed.source, &rows, &conditions);
    let style = style(dice);
    let text = match style {
        Style::Terse => format!("{what} of {each}"),
        Style::Sentence => format!("What is the {what} of {each}"),
        Style::Order => format!("{} {each} with the {what}", dice.word(&["Show", "List"])),
    };
    listed.figure(finished(style, &text, dice), &expression, &alias, &conditions)
}

/// Elements with their position.
pub(super) fn position(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let listed = listed(context, dice, any)?;
    let names = listed.names()?;
    let conditions = listed.conditions(dice);
    let rows = subject(&listed.source, &conditions, dice);
    let what = match &listed.array.elements {
        Elements::Scalars(_) => listed.element.clone(),
        _ => {
            let shown = listed.which(|a| matches!(a.role, Role::Category | Role::Label | Role::Key));
            listed.of(dice.pick(&shown)?)
        }
    };
    let noun = if what == listed.element {
        listed.array.noun.one.clone()
    } else {
        let name = what.rsplit('.').next().unwrap_or_default().to_owned();
        listed
            .attributes()
            .iter()
            .find(|a| a.path.last() == Some(&name))
            .map(|a| a.noun.clone())?
    };
    let position = listed.source.free_name("position");
    if listed
        .attributes()
        .iter()
        .any(|a| a.name.eq_ignore_ascii_case("position"))
    {
        return None;
    }
    let start = if dice.chance(0.5) { 1 } else { 0 };
    let plus = if start == 1 {
        format!("{position} + 1 AS {position}")
    } else {
        position.clone()
    };
    let mut columns = names;
    columns.extend([what, plus]);
    let many = &listed.array.noun.many;
    let style = style(dice);
    let of = if noun == listed.array.noun.one {
        many.clone()
    } else {
        format!("{many} ({noun})")
    };
    let from = if start == 1 {
        "counting from 1"
    } else {
        "counting from 0"
    };
    let text = match style {
        Style::Terse => format!("{of} of {rows} with their position, {from}"),
        Style::Sentence => format!(
            "At which position of the list does each {} of {rows} stand, {from}? Show the {} as well",
            listed.array.noun.one,
            if noun == listed.array.noun.one {
                listed.source.subject.one.clone()
            } else {
                noun.clone()
            }
        ),
        Style::Order => format!(
            "{} the {of} of {rows} with their position in the list, {from}",
            dice.word(&["List", "Show"])
        ),
    };
    Some(Draft {
        question: finished(style, &text, dice),
        sql: format!(
            "SELECT {} FROM {}, UNNEST({}) AS {} WITH OFFSET AS {position}{}",
            select(&columns)?,
            listed.source.from,
            listed.list,
            listed.element,
            where_clause(&conditions)
        ),
    })
}

/// The best element of each list.
pub(super) fn best(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let listed = listed(context, dice, records)?;
    let measures = listed.which(|a| a.measure().is_some() || a.role == Role::Time);
    let by = *dice.pick(&measures)?;
    let shown = listed.which(|a| matches!(a.role, Role::Label | Role::Category | Role::Key));
    let shown = *dice.pick(&shown)?;
    if shown.noun == listed.array.noun.one {
        return None;
    }
    let conditions = listed.conditions(dice);
    let rows = subject(&listed.source, &conditions, dice);
    let most = dice.chance(0.8);
    let is_time = by.role == Role::Time;
    let counted = by.measure().is_some_and(|m| m.counted);
    let which = match (is_time, counted, most) {
        (true, _, true) => format!("latest {}", by.noun),
        (true, _, false) => format!("earliest {}", by.noun),
        (_, true, true) => format!("most {}", by.noun),
        (_, true, false) => format!("fewest {}", by.noun),
        (_, _, true) => format!("highest {}", by.noun),
        (_, _, false) => format!("lowest {}", by.noun),
    };
    let expression = format!(
        "(SELECT {} FROM UNNEST({}) AS {} ORDER BY {}{} LIMIT 1)",
        listed.of(shown),
        listed.list,
        listed.element,
        listed.of(by),
        if most { " DESC" } else { "" }
    );
    let one = &listed.array.noun.one;
    let alias = listed.source.free_name(&format!(
        "{}_{}",
        if is_time {
            if most { "latest" } else { "earliest" }
        } else if most {
            "top"
        } else {
            "lowest"
        },
        snake(&shown.name)
    ));
    let each = each(&listed.source, &rows, &conditions);
    let style = style(dice);
    let text = match style {
        Style::Terse => format!("{} of the {one} with the {which}, for {each}", shown.noun),
        Style::Sentence => format!(
            "For {each}, what is the {} of the {one} with the {which}",
            shown.noun
        ),
        Style::Order => format!(
            "{} for {each} the {} of its {one} with the {which}",
            dice.word(&["Show", "Give"]),
            shown.noun
        ),
    };
    listed.figure(finished(style, &text, dice), &expression, &alias, &conditions)
}

/// The list as one text, or as a list of one field.
pub(super) fn joined(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let listed = listed(context, dice, any)?;
    let conditions = listed.conditions(dice);
    let rows = subject(&listed.source, &conditions, dice);
    let string = bigquill_analysis::schema::DataType::String;
    let (expression, noun) = match &listed.array.elements {
        Elements::Scalars(attribute) if attribute.data_type == string => (
            format!("ARRAY_TO_STRING({}, ', ')", listed.list),
            listed.array.noun.many.clone(),
        ),
        Elements::Records { .. } => {
            let shown = listed.which(|a| {
                a.data_type == string && matches!(a.role, Role::Label | Role::Category | Role::Key)
            });
            let shown = *dice.pick(&shown)?;
            let many = words::plural(&shown.noun);
            if listed.array.noun.many.ends_with(&many) {
                return None;
            }

            (
                listed.over(&format!("STRING_AGG({}, ', ')", listed.of(shown)), ""),
                format!("{many} of the {}", listed.array.noun.many),
            )
        }
        _ => return None,
    };
    let alias = listed
        .source
        .free_name(noun.split(" of the ").next().unwrap_or(&noun));
    let each = each(&listed.source, &rows, &conditions);
    let style = style(dice);
    let as_text = dice.word(&[
        "in one text, separated by commas",
        "as comma-separated text",
        "joined with commas",
    ]);
    let text = match style {
        Style::Terse => format!("{noun} of {each} {as_text}"),
        Style::Sentence => format!("What are the {noun} of {each}, {as_text}"),
        Style::Order => format!(
            "{} {each} with the {noun} {as_text}",
            dice.word(&["Show", "List"])
        ),
    };
    listed.figure(finished(style, &text, dice), &expression, &alias, &conditions)
}

/// Whether this tells which element it is: "drug" or "drug name" of a drug.
fn is_name_of(attribute: &Attribute, one: &str) -> bool {
    let noun = attribute.noun.as_str();
    noun == one || noun == "name" || noun.strip_suffix(" name").is_some_and(|of| one.ends_with(of))
}

/// The elements of one row.
pub(super) fn elements(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let listed = listed(context, dice, any)?;
    let key = listed.source.key()?;
    let Value { sql: literal, said } = ids::asked(key.attribute, dice);
    let mut conditions = vec![Condition {
        sql: format!("{} = {literal}", key.sql),
        about: key.sql.clone(),
        ..Condition::default()
    }];
    conditions::complete(&listed.source, dice, &mut conditions);
    let when: String = conditions
        .iter()
        .skip(1)
        .map(|c| format!(", {}", c.post))
        .collect();
    let (what, nouns) = match &listed.array.elements {
        Elements::Scalars(_) => (listed.element.clone(), String::new()),
        _ => {
            let shown = listed.which(|a| !matches!(a.role, Role::Other));
            let mut shown = dice.shuffled(shown);
            // "Which drugs" is answered by the drugs.
            let is_name = |a: &Attribute| is_name_of(a, &listed.array.noun.one);
            shown.sort_by_key(|a| !is_name(a));
            shown.truncate(2);
            shown.sort_by_key(|a| (!is_name(a), a.role == Role::Flag));
            if shown.is_empty() {
                return None;
            }
            let columns: Vec<String> = shown.iter().map(|a| listed.of(a)).collect();
            let said = |a: &&Attribute| {
                if a.role == Role::Flag {
                    whether(a)
                } else {
                    a.noun.clone()
                }
            };
            let nouns: Vec<String> = shown.iter().map(said).collect();
            (select(&columns)?, words::list(&nouns, "and"))
        }
    };
    let sorted = listed.which(|a| a.measure().is_some());
    let is_sorted = dice.chance(0.35);
    let order = dice
        .pick(&sorted)
        .filter(|_| is_sorted)
        .map(|a| (listed.of(a), a.noun.clone()));
    let many = &listed.array.noun.many;
    let thing = format!("{} {said}{when}", listed.source.subject.one);
    let style = style(dice);
    let with = if nouns.is_empty() {
        String::new()
    } else {
        format!(" with {nouns}")
    };
    let by = order.as_ref().map_or_else(String::new, |(_, noun)| {
        format!(", sorted by {noun} from high to low")
    });
    let text = match style {
        Style::Terse => format!("{many} of {thing}{with}{by}"),
        Style::Sentence if nouns.is_empty() => format!("Which {many} does {thing} have{by}"),
        Style::Sentence => format!("Which {many} does {thing} have? Give {nouns}{by}"),
        Style::Order => format!(
            "{} the {many} of {thing}{with}{by}",
            dice.word(&["List", "Show", "Get"])
        ),
    };
    let order = order.map_or_else(String::new, |(sql, _)| format!(" ORDER BY {sql} DESC"));
    Some(Draft {
        question: finished(style, &text, dice),
        sql: format!(
            "SELECT {what} FROM {}, UNNEST({}) AS {}{}{order}",
            listed.source.from,
            listed.list,
            listed.element,
            where_clause(&conditions)
        ),
    })
}
