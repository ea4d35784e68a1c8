//! Conditions: a comparison in SQL, and the ways in which it is said of rows.

mod categories;
mod lists;
mod times;
mod values;

use bigquill_analysis::schema::DataType;

pub(super) use categories::{is_answer, is_sex, on_value, people};
use categories::{on_category, said};
pub(super) use lists::on_array;
pub(super) use lists::pair_values;
pub(super) use times::in_period;
pub(super) use times::{is_life, is_to_come};
use times::{on_missing, on_time, shards};
pub(super) use values::{names_of, values_of};
use values::{on_code, on_name};

use super::columns::{Attribute, Role, State};
use super::dice::Dice;
use super::periods::Period;
use super::source::{Field, Source};
use super::thresholds;
use super::words;

/// A condition on rows.
#[derive(Debug, Clone, Default)]
pub(super) struct Condition {
    pub(super) sql: String,
    /// The owner whose attribute it is about; none for the row's own.
    pub(super) owner: Option<usize>,
    /// "shipped", where it can stand before the noun.
    pub(super) adjective: Option<String>,
    /// "with status shipped", behind the plural.
    pub(super) post: String,
    /// "has status shipped", behind the singular.
    pub(super) predicate: String,
    /// It chooses a time: said last.
    pub(super) is_time: bool,
    /// What it is about, so that no two conditions are about the same.
    pub(super) about: String,
    /// What its alternative is about, where it has one.
    pub(super) or_about: String,
}

impl Condition {
    /// Whether it says something of this expression.
    pub(super) fn is_about(&self, sql: &str) -> bool {
        self.about == sql || self.or_about == sql
    }

    /// The role of the field that it is about.
    pub(super) fn role<'s>(&self, source: &'s Source<'_>) -> Option<&'s Role> {
        let field = source.fields.iter().find(|f| f.sql == self.about)?;
        Some(&field.attribute.role)
    }
}

/// Some conditions on different fields; `most` at most.
pub(super) fn some(source: &Source<'_>, dice: &mut Dice, most: usize) -> Vec<Condition> {
    let count = dice
        .weighted(&[(0, 4.5), (1, 4.0), (2, 1.5)])
        .unwrap_or(0)
        .min(most);
    exactly(source, dice, count)
}

/// As many conditions on different fields, if there are as many.
pub(super) fn exactly(source: &Source<'_>, dice: &mut Dice, count: usize) -> Vec<Condition> {
    let mut found: Vec<Condition> = Vec::new();
    for _ in 0..count * 8 {
        if found.len() == count {
            break;
        }
        let drawn = one(source, dice).map(|condition| {
            if dice.chance(0.06) {
                either(source, condition, dice)
            } else {
                condition
            }
        });
        if let Some(condition) = drawn
            && found
                .iter()
                .all(|other| !(other.is_about(&condition.about) || other.is_time && condition.is_time))
        {
            found.push(condition);
        }
    }
    complete(source, dice, &mut found);
    found
}

/// Adds what rows of this source cannot be read without: the partition filter, the shards.
pub(super) fn complete(source: &Source<'_>, dice: &mut Dice, found: &mut Vec<Condition>) {
    let sharded =
        source.table.sharded && !found.iter().any(|c| c.sql.contains("_TABLE_SUFFIX")) && dice.chance(0.85);
    let time = source.table_time();
    let bound = |c: &Condition| time.is_some_and(|t| c.is_time && c.about == t.sql);
    if sharded {
        found.retain(|c| !c.is_time);
        found.extend(shards(source, dice));
    } else if source.table.filter_required && !found.iter().any(bound) {
        found.retain(|c| !c.is_time);
        if let Some(time) = time {
            let period = loop {
                let period = Period::draw(dice, time.attribute.data_type != DataType::Date);
                if !period.is_recurring() {
                    break period;
                }
            };
            found.extend(in_period(source, time, &period, dice));
        }
    }
}

/// One condition.
pub(super) fn one(source: &Source<'_>, dice: &mut Dice) -> Option<Condition> {
    let weight = |field: &Field<'_>| {
        let of_role = match field.attribute.role {
            Role::Category if !field.attribute.values.is_empty() => 4.0,
            Role::Category => 0.8,
            Role::Flag => 3.0,
            Role::Measure(_) => 2.0,
            Role::Time if is_main(source, field) => 6.0,
            Role::Time => 2.0,
            Role::Year => 1.5,
            Role::Text | Role::Email | Role::Path => 0.8,
            Role::Label => 0.8,
            Role::Key => 0.5,
            Role::Other => 0.0,
        };
        of_role * if field.owner.is_some() { 0.7 } else { 1.0 }
    };
    let arrays: f32 = if source.unnested || !source.owners.is_empty() {
        0.0
    } else {
        2.0
    };
    let lists = &source.table.arrays;
    if !lists.is_empty() && dice.chance(arrays / (arrays + 8.0)) {
        let array = dice.pick(lists)?;
        return on_array(source, array, dice);
    }
    let weights: Vec<(usize, f32)> = source
        .fields
        .iter()
        .enumerate()
        .map(|(i, f)| (i, weight(f)))
        .collect();
    let field = &source.fields[dice.weighted(&weights)?];
    on_field(source, field, dice)
}

/// The condition or another one, where both are said alike: "with a cost over 50 or a discount over 10".
pub(super) fn either(source: &Source<'_>, first: Condition, dice: &mut Dice) -> Condition {
    // Who it is or what it is called is no alternative to anything.
    let tells = |c: &Condition| {
        matches!(
            c.role(source),
            Some(Role::Category | Role::Flag | Role::Measure(_))
        )
    };
    let plain = |c: &Condition| {
        c.owner.is_none() && !c.is_time && c.post.starts_with("with ") && !c.sql.contains(" OR ") && tells(c)
    };
    let Some(second) =
        one(source, dice).filter(|second| plain(second) && plain(&first) && second.about != first.about)
    else {
        return first;
    };
    let or =
        |text: &str, more: &str, verb: &str| format!("{text} or {}", more.strip_prefix(verb).unwrap_or(more));
    Condition {
        sql: format!("({} OR {})", first.sql, second.sql),
        post: or(&first.post, &second.post, "with "),
        predicate: or(&first.predicate, &second.predicate, "has "),
        adjective: None,
        or_about: second.about,
        ..first
    }
}

fn is_main(source: &Source<'_>, field: &Field<'_>) -> bool {
    source.time().is_some_and(|time| time.sql == field.sql)
}

/// A condition on this field.
pub(super) fn on_field(source: &Source<'_>, field: &Field<'_>, dice: &mut Dice) -> Option<Condition> {
    let attribute = field.attribute;
    let owner = field
        .owner
        .map(|o| &source.owners[o].noun.one)
        .unwrap_or(&source.subject.one);
    let mut condition = if attribute.missing.is_some() && dice.chance(0.5) {
        on_missing(source, field, dice)
    } else {
        match attribute.role {
            Role::Category => on_category(field, words::is_person(owner), dice),
            Role::Flag => Some(on_flag(field, dice.chance(0.3))),
            Role::Measure(_) => on_measure(field, dice),
            Role::Time => on_time(source, field, dice),
            Role::Year => Some(on_year(attribute, &field.sql, dice)),
            Role::Label if dice.chance(0.6) => on_name(field, words::is_person(owner), dice),
            Role::Text | Role::Email | Role::Path | Role::Label => on_text(field, dice),
            Role::Key => on_code(source, field, dice),
            Role::Other => None,
        }
    }?;
    if words::is_person(owner) && condition.post.starts_with("that ") {
        condition.post.replace_range(..4, "who");
    }
    condition.owner = field.owner;
    condition.about.clone_from(&field.sql);
    Some(condition)
}

fn simple(sql: String, with: &str) -> Condition {
    Condition {
        sql,
        post: format!("with {with}"),
        predicate: format!("has {with}"),
        ..Condition::default()
    }
}

/// A condition on a flag; where `not`, that it is false.
pub(super) fn on_flag(field: &Field<'_>, not: bool) -> Condition {
    let sql = if not {
        format!("NOT {}", field.sql)
    } else {
        field.sql.clone()
    };
    let (adjective, post, predicate) = match (&field.attribute.state, not) {
        (Some(State::Adjective(word)), false) => (
            Some(word.clone()),
            format!("that are {word}"),
            format!("is {word}"),
        ),
        (Some(State::Adjective(word)), true) => (
            words::opposite(word),
            format!("that are not {word}"),
            format!("is not {word}"),
        ),
        (Some(State::Marked(word)), false) => {
            (None, format!("marked as {word}"), format!("is marked as {word}"))
        }
        (Some(State::Marked(word)), true) => (
            None,
            format!("not marked as {word}"),
            format!("is not marked as {word}"),
        ),
        (Some(State::Phrase(word)), false) => (None, format!("that are {word}"), format!("is {word}")),
        (Some(State::Phrase(word)), true) => (None, format!("that are not {word}"), format!("is not {word}")),
        (Some(State::Did(word)), false) => (None, format!("that {word}"), word.clone()),
        (Some(State::Did(word)), true) => {
            let not = format!("did not {}", words::base(word));
            (None, format!("that {not}"), not)
        }
        (Some(State::With(word)), false) => (None, format!("with {word}"), format!("has {word}")),
        (Some(State::With(word)), true) if words::is_participle(last_word(word)) && word.contains(' ') => {
            let (noun, done) = word.rsplit_once(' ').unwrap_or((word, ""));
            (
                None,
                format!("with {noun} not {done}"),
                format!("has {noun} not {done}"),
            )
        }
        (Some(State::With(word)), true) => (None, format!("without {word}"), format!("has no {word}")),
        (None, _) => (
            None,
            format!("with {}", field.attribute.noun),
            format!("has {}", field.attribute.noun),
        ),
    };
    Condition {
        sql,
        adjective,
        post,
        predicate,
        ..Condition::default()
    }
}

fn last_word(phrase: &str) -> &str {
    phrase.rsplit(' ').next().unwrap_or(phrase)
}

/// Nouns that one has one of: "with an amount over 5".
const COUNTABLE: &[&str] = &[
    "age",
    "amount",
    "balance",
    "budget",
    "capacity",
    "cost",
    "delay",
    "deposit",
    "discount",
    "distance",
    "duration",
    "fee",
    "fine",
    "income",
    "latency",
    "length",
    "level",
    "limit",
    "loss",
    "number",
    "premium",
    "price",
    "rate",
    "rating",
    "salary",
    "score",
    "speed",
    "temperature",
    "time",
    "tip",
    "total",
    "value",
    "volume",
    "weight",
    "yield",
    "percentage",
    "probability",
    "factor",
    "height",
    "goal",
    "refund",
    "grade",
];

/// The noun with the article that it takes: "an amount", but "revenue".
pub(super) fn with_its_article(noun: &str) -> String {
    let last = noun.rsplit(' ').next().unwrap_or(noun);
    if COUNTABLE.contains(&last) {
        words::with_article(noun)
    } else {
        noun.to_owned()
    }
}

fn on_measure(field: &Field<'_>, dice: &mut Dice) -> Option<Condition> {
    let attribute = field.attribute;
    let limit = thresholds::draw(attribute, dice)?;
    let noun = &attribute.noun;
    let sql = &field.sql;
    let counted = attribute.measure().is_some_and(|m| m.counted);
    let said = with_its_article(noun);
    if counted && attribute.range.is_none() && dice.chance(0.14) {
        return Some(none_or_some(field, dice));
    }
    if dice.chance(0.12) {
        let high = [2.0, 2.5, 4.0].map(|by| limit.value * by);
        let high = high[dice.below(3)].round();
        if high > limit.value
            && limit.value > 0.0
            && attribute.range.is_none()
            && attribute.unit.is_none_or(|u| u.short != "%")
        {
            let between = format!(
                "between {} and {}",
                limit.sql,
                limit.said.replacen(&limit.sql, &thresholds::number(high), 1)
            );
            let with = if counted {
                format!("{between} {noun}")
            } else {
                format!("{said} {between}")
            };
            return Some(simple(
                format!("{sql} BETWEEN {} AND {}", limit.sql, thresholds::number(high)),
                &with,
            ));
        }
    }
    let (operator, more, of) = match dice.below(8) {
        0..4 => (
            ">",
            "more than",
            dice.word(&["over", "above", "of more than", "greater than", "over", "above"]),
        ),
        4 => (
            ">=",
            "at least",
            dice.word(&["of at least", "at least", "not lower than"]),
        ),
        5..7 => ("<", "fewer than", dice.word(&["below", "under", "of less than"])),
        _ => (
            "<=",
            "at most",
            dice.word(&["of at most", "at most", "not higher than", "up to"]),
        ),
    };
    let one = limit.value == 1.0;
    let with = if counted {
        format!(
            "{more} {} {}",
            limit.said,
            if one { words::singular(noun) } else { noun.clone() }
        )
    } else {
        format!("{said} {of} {}", limit.said)
    };
    let counts_nothing = counted && limit.value <= 1.0 && operator.starts_with('<');
    (!counts_nothing).then(|| simple(format!("{sql} {operator} {}", limit.sql), &with))
}

/// That there is none of what a field counts, or any, or only one.
fn none_or_some(field: &Field<'_>, dice: &mut Dice) -> Condition {
    let (noun, sql) = (&field.attribute.noun, &field.sql);
    let one = words::singular(noun);
    match dice.below(5) {
        0 | 1 => Condition {
            sql: format!("{sql} = 0"),
            post: format!("{} {noun}", dice.word(&["with no", "without any"])),
            predicate: format!("has no {noun}"),
            ..Condition::default()
        },
        2 => simple(format!("{sql} = 1"), &format!("only one {one}")),
        _ if dice.chance(0.4) => simple(format!("{sql} > 0"), &format!("any {noun}")),
        _ => simple(format!("{sql} > 0"), &format!("at least one {one}")),
    }
}

fn on_year(attribute: &Attribute, sql: &str, dice: &mut Dice) -> Condition {
    let noun = &attribute.noun;
    let born = noun.contains("birth");
    let year = if born {
        dice.between(1950, 2004)
    } else {
        dice.between(2005, 2025)
    };
    let kind = noun.strip_suffix(" year").unwrap_or(noun).to_owned();
    let (operator, when) = match dice.below(4) {
        0 => ("<", format!("before {year}")),
        1 => (">", format!("after {year}")),
        2 => (">=", format!("in {year} or later")),
        _ => ("=", format!("in {year}")),
    };
    let event = match kind.as_str() {
        "birth" => Some("born"),
        "release" => Some("released"),
        "built" | "year built" => Some("built"),
        "founded" | "founding" => Some("founded"),
        _ => None,
    };
    let sql = format!("{sql} {operator} {year}");
    match event {
        Some(event) => Condition {
            sql,
            post: format!("{event} {when}"),
            predicate: format!("was {event} {when}"),
            ..Condition::default()
        },
        None => simple(
            sql,
            &format!("{} {}", words::with_article(noun), when.replace("in ", "of ")),
        ),
    }
}

/// Domains of e-mail addresses.
pub(super) const DOMAINS: &[&str] = &["gmail.com", "example.com", "outlook.com", "web.de"];
/// What the paths of pages begin with.
pub(super) const PATHS: &[&str] = &["/checkout", "/blog/", "/account", "/search", "/help/"];
/// What names begin with.
const INITIALS: &[&str] = &["A", "B", "M", "S", "K", "The"];
/// Words in texts.
pub(super) const WORDS: &[&str] = &["urgent", "error", "test", "delay", "new", "broken", "late"];

fn on_text(field: &Field<'_>, dice: &mut Dice) -> Option<Condition> {
    let (attribute, sql) = (field.attribute, &field.sql);
    let noun = &attribute.noun;
    let (sql, said) = match attribute.role {
        Role::Email => {
            let domain = *dice.pick(DOMAINS)?;
            (
                format!("ENDS_WITH({sql}, '@{domain}')"),
                format!("ends with @{domain}"),
            )
        }
        Role::Path => {
            let start = *dice.pick(PATHS)?;
            (
                format!("STARTS_WITH({sql}, '{start}')"),
                format!("starts with {start}"),
            )
        }
        Role::Label => {
            let letter = *dice.pick(INITIALS)?;
            (
                format!("STARTS_WITH({sql}, '{letter}')"),
                format!("starts with {}", quotes(letter, dice)),
            )
        }
        _ => {
            let word = *dice.pick(WORDS)?;
            if dice.chance(0.4) {
                (
                    format!("LOWER({sql}) LIKE '%{word}%'"),
                    format!(
                        "contains '{word}' {}",
                        dice.word(&["in any case", "in upper or lower case", "(ignoring case)"])
                    ),
                )
            } else {
                (
                    format!("{sql} LIKE '%{word}%'"),
                    format!("contains {}", quotes(word, dice)),
                )
            }
        }
    };
    Some(Condition {
        sql,
        post: format!("whose {noun} {said}"),
        predicate: format!("has {} that {said}", words::with_article(noun)),
        ..Condition::default()
    })
}

fn quotes(text: &str, dice: &mut Dice) -> String {
    format!("{0}{text}{0}", dice.word(&["'", "'", "\""]))
}
