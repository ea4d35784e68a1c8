//! Conditions on the lists of a row.

use bigquill_analysis::schema::DataType;

use super::super::columns::Role;
use super::super::descriptions::quoted;
use super::super::dice::Dice;
use super::super::source::{Field, Source, alias, path};
use super::super::tables::{Array, Elements};
use super::super::words;
use super::{Condition, on_category, on_code, on_flag, on_measure, on_name, quotes, said, simple, values_of};

/// A condition on what is in a list of the row.
pub(in super::super) fn on_array(source: &Source<'_>, array: &Array, dice: &mut Dice) -> Option<Condition> {
    let list = path(source.alias.as_deref(), &array.path);
    let about = list.clone();
    let Array { noun, elements, .. } = array;
    let length = |dice: &mut Dice| {
        let count = dice.between(1, 5);
        match dice.below(5) {
            0 | 1 => (
                format!("ARRAY_LENGTH({list}) > {count}"),
                format!(
                    "more than {count} {}",
                    if count == 1 { &noun.one } else { &noun.many }
                ),
            ),
            2 => (
                format!("ARRAY_LENGTH({list}) >= {}", count + 1),
                format!("at least {} {}", count + 1, noun.many),
            ),
            3 => (
                format!("ARRAY_LENGTH({list}) = {}", count + 1),
                format!("exactly {} {}", count + 1, noun.many),
            ),
            _ => (format!("ARRAY_LENGTH({list}) = 0"), String::new()),
        }
    };
    let condition = match elements {
        Elements::Scalars(_) if noun.one.ends_with("URL") => with_length(length(dice), noun.many.as_str()),
        Elements::Scalars(attribute) => match dice.pick(&values_of(attribute)) {
            Some(value) if dice.chance(0.75) => {
                let said = said(value, dice);
                let with = match dice.below(3) {
                    0 => format!("{said} among their {}", noun.many),
                    _ => format!("the {} {said}", noun.one),
                };
                let mut condition = simple(format!("{} IN UNNEST({list})", value.sql), &with);
                condition.predicate = format!("has the {} {said}", noun.one);
                let verb = match noun.one.as_str() {
                    "tag" => "tagged",
                    "label" => "labeled",
                    _ => "",
                };
                if !verb.is_empty() && dice.chance(0.4) {
                    condition.post = format!("{verb} {said}");
                }
                condition
            }
            _ => with_length(length(dice), noun.many.as_str()),
        },
        Elements::Records { attributes, .. } if dice.chance(0.7) => {
            let element = alias(&noun.one, &array.taken(source.table));
            let attribute = dice.pick(attributes)?;
            let field = Field {
                sql: path(Some(&element), &attribute.path),
                attribute,
                owner: None,
            };
            let inner = match attribute.role {
                Role::Category => on_category(&field, false, dice),
                Role::Flag => Some(on_flag(&field, dice.chance(0.2))),
                Role::Measure(_) => on_measure(&field, dice),
                Role::Key => on_code(source, &field, dice),
                Role::Label => on_name(&field, words::is_person(&noun.one), dice),
                _ => None,
            }?;
            if attribute.role == Role::Flag && dice.chance(0.3) {
                let (yes, no) = (on_flag(&field, false), on_flag(&field, true));
                let all = !inner.sql.starts_with("NOT ");
                let refused = if all { &no.sql } else { &yes.sql };
                return Some(Condition {
                    sql: format!("NOT EXISTS (SELECT 1 FROM UNNEST({list}) AS {element} WHERE {refused})"),
                    post: format!(
                        "where {} {} {}",
                        if all { "every" } else { "no" },
                        noun.one,
                        yes.predicate
                    ),
                    predicate: if all {
                        format!("has only {} {}", noun.many, yes.post)
                    } else {
                        format!("has no {} {}", noun.many, yes.post)
                    },
                    about,
                    ..Condition::default()
                });
            }
            let post = inner.post.clone();
            let (none, said) = match dice.below(5) {
                0 => (true, format!("without any {} {post}", noun.one)),
                1 | 2 => (false, format!("with at least one {} {post}", noun.one)),
                3 if attribute.role == Role::Key => {
                    let value = inner
                        .sql
                        .split(" = ")
                        .nth(1)
                        .unwrap_or_default()
                        .trim_matches('\'')
                        .to_owned();
                    let who = &attribute.noun;
                    let who = who.strip_suffix(" ID").unwrap_or(who);
                    (false, format!("with {who} {value} among their {}", noun.many))
                }
                _ => (false, format!("with {} {post}", words::with_article(&noun.one))),
            };
            let said = said.replace("that are ", "that is ");
            let exists = format!(
                "EXISTS (SELECT 1 FROM UNNEST({list}) AS {element} WHERE {})",
                inner.sql
            );
            Condition {
                sql: if none { format!("NOT {exists}") } else { exists },
                predicate: has(&said),
                post: said,
                ..Condition::default()
            }
        }
        Elements::Records { .. } => with_length(length(dice), noun.many.as_str()),
        Elements::Pairs { key, keys, values } => {
            let element = alias(&noun.one, &array.taken(source.table));
            let key_value = dice.pick(keys)?;
            let (value, _) = values
                .iter()
                .find(|(_, data_type)| *data_type == DataType::String)?;
            let wanted = *dice.pick(pair_values(&key_value.said))?;
            let said = format!(
                "whose {} {} is '{wanted}'",
                noun.one,
                quotes(&key_value.said, dice)
            );
            Condition {
                sql: format!(
                    "EXISTS (SELECT 1 FROM UNNEST({list}) AS {element} WHERE {element}.{key} = {} AND {element}.{value} = {})",
                    key_value.sql,
                    quoted(wanted)
                ),
                predicate: said
                    .replacen("whose", "has its", 1)
                    .replacen(" is ", " set to ", 1),
                post: said,
                ..Condition::default()
            }
        }
    };
    Some(Condition { about, ..condition })
}

/// Values that a key of key-value lists might have.
pub(in super::super) fn pair_values(key: &str) -> &'static [&'static str] {
    match key {
        "team" => &["data", "platform", "growth"],
        "env" | "environment" => &["prod", "staging", "dev"],
        "app" => &["checkout", "search", "portal"],
        "plan" => &["free", "pro"],
        _ => &["A", "default", "summer", "beta"],
    }
}

/// "has a line …" of "with a line …".
fn has(with: &str) -> String {
    match with.strip_prefix("without any ") {
        Some(rest) => format!("has no {rest}"),
        None => with.replacen("with ", "has ", 1),
    }
}

fn with_length((sql, with): (String, String), many: &str) -> Condition {
    if with.is_empty() {
        return Condition {
            sql,
            post: format!("without {many}"),
            predicate: format!("has no {many}"),
            ..Condition::default()
        };
    }
    simple(sql, &with)
}
