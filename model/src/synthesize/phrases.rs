//! Conditions and questions in words.

use super::conditions::Condition;
use super::dice::Dice;
use super::source::Source;
use super::words;

/// How something is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// A comment: "orders per month".
    Terse,
    /// A question or statement.
    Sentence,
    /// An order: "Show …".
    Order,
}

/// A style by how often people use it.
pub(super) fn style(dice: &mut Dice) -> Style {
    dice.weighted(&[(Style::Terse, 3.0), (Style::Sentence, 4.5), (Style::Order, 2.5)])
        .unwrap_or(Style::Sentence)
}

/// The conditions behind WHERE; empty where there is none.
pub(super) fn where_clause(conditions: &[Condition]) -> String {
    if conditions.is_empty() {
        return String::new();
    }
    let all: Vec<&str> = conditions.iter().map(|c| c.sql.as_str()).collect();
    format!(" WHERE {}", all.join(" AND "))
}

/// Rows that fulfil the conditions, in the plural: "shipped orders from Germany placed in May 2025".
pub(super) fn subject(source: &Source<'_>, conditions: &[Condition], dice: &mut Dice) -> String {
    subject_called(source, &source.subject.many, conditions, dice)
}

/// The same with another noun for the rows.
pub(super) fn subject_called(
    source: &Source<'_>,
    noun: &str,
    conditions: &[Condition],
    dice: &mut Dice,
) -> String {
    let own: Vec<&Condition> = conditions.iter().filter(|c| c.owner.is_none()).collect();
    let mut text = described(noun, &own, dice);
    let mut place = String::new();
    for (index, owner) in source.owners.iter().enumerate() {
        let of_owner: Vec<&Condition> = conditions.iter().filter(|c| c.owner == Some(index)).collect();
        if owner.contains {
            let last = index + 1 == source.owners.iter().filter(|o| o.contains).count();
            if of_owner.is_empty() && (!last || !place.is_empty()) {
                continue;
            }
            let clause = [" whose ", " where ", " that ", " who "]
                .iter()
                .any(|word| text.contains(word));
            if of_owner.is_empty() && !own.is_empty() && (clause || dice.chance(0.55)) {
                // What they are in is told by what they are.
                if !text.contains(&owner.noun.one) && dice.chance(0.5) {
                    text = text.replacen(noun, &format!("{} {noun}", owner.noun.one), 1);
                }
                continue;
            }
            if of_owner.is_empty() && own.is_empty() && conditions.is_empty() {
                match dice.below(5) {
                    0 | 1 if !text.contains(&owner.noun.one) => text = format!("{} {text}", owner.noun.one),
                    2 => {}
                    _ => place = format!(" {} {}", preposition(noun), owner.noun.many),
                }
                continue;
            }
            place = format!(
                "{place} {} {}",
                preposition(noun),
                described(&owner.noun.many, &of_owner, dice)
            );
        } else if !of_owner.is_empty() {
            if of_owner.len() == 1 && own.is_empty() && place.is_empty() && dice.chance(0.5) {
                place = format!(" of {}", described(&owner.noun.many, &of_owner, dice));
            } else {
                let predicates: Vec<String> = of_owner.iter().map(|c| c.predicate.clone()).collect();
                // "whose" must not run on into what the last condition was about.
                let and = if text.contains(" whose ") || text.contains(" where ") {
                    " and"
                } else {
                    ""
                };
                place = format!(
                    "{place}{and} whose {} {}",
                    owner.noun.one,
                    words::list(&predicates, "and")
                );
            }
        }
    }
    text.push_str(&place);
    text
}

/// What elements are said to be in.
fn preposition(noun: &str) -> &'static str {
    let inside = [
        "item",
        "items",
        "lines",
        "passengers",
        "players",
        "products",
        "entries",
        "events",
        "jobs",
        "drugs",
        "participants",
    ];
    if noun.split(' ').any(|w| inside.contains(&w)) {
        "in"
    } else {
        "of"
    }
}

/// A noun with its conditions before and behind it.
fn described(noun: &str, conditions: &[&Condition], dice: &mut Dice) -> String {
    let mut before = String::new();
    let mut behind: Vec<String> = Vec::new();
    let mut time = String::new();
    for condition in conditions {
        match &condition.adjective {
            Some(adjective) if before.is_empty() && dice.chance(0.65) => before = format!("{adjective} "),
            _ if condition.is_time => time = format!(" {}", condition.post),
            _ => behind.push(condition.post.clone()),
        }
    }
    // "with" first, so that "whose" does not run over what follows.
    behind.sort_by_key(|post| {
        (
            !post.starts_with("with "),
            post.starts_with("whose ") || post.starts_with("where "),
        )
    });
    let mut text = format!("{before}{noun}");
    for (index, post) in behind.iter().enumerate() {
        let joined = if index == 0 {
            format!(" {post}")
        } else if let (Some(rest), true) =
            (post.strip_prefix("with "), behind[index - 1].starts_with("with "))
        {
            format!(" and {rest}")
        } else {
            format!(" and {post}")
        };
        text.push_str(&joined);
    }
    if behind.iter().any(|p| {
        ["whose ", "where ", "that ", "who "]
            .iter()
            .any(|w| p.starts_with(w))
    }) && !time.is_empty()
    {
        // The time belongs to the noun, not to what the last condition was about.
        return format!("{before}{noun}{time}{}", &text[before.len() + noun.len()..]);
    }
    text + &time
}

/// "each order", where nothing is said of the rows, else "each of the shipped orders".
pub(super) fn each(source: &Source<'_>, rows: &str, conditions: &[Condition]) -> String {
    if conditions.is_empty() {
        format!("each {}", source.subject.one)
    } else {
        format!("each of the {rows}")
    }
}

/// "their" for people, else "its".
pub(super) fn its(source: &Source<'_>) -> &'static str {
    if words::is_person(&source.subject.one) {
        "their"
    } else {
        "its"
    }
}

/// "who" for people, else "that".
pub(super) fn who(source: &Source<'_>) -> &'static str {
    if words::is_person(&source.subject.one) {
        "who"
    } else {
        "that"
    }
}

/// The question with the capital and the mark at its end that its style has.
pub(super) fn finished(style: Style, text: &str, dice: &mut Dice) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let asks = [
        "what",
        "how",
        "which",
        "who",
        "when",
        "where",
        "by how many",
        "in which",
    ];
    let asks_inside = [", what ", ", how ", ", which "];
    match style {
        Style::Terse if dice.chance(0.65) => text,
        Style::Terse => words::capitalised(&text),
        Style::Sentence | Style::Order => {
            let lower = text.to_lowercase();
            let question = asks.iter().any(|word| lower.starts_with(&format!("{word} ")));
            let question = question
                || (lower.starts_with("for ") || lower.starts_with("of "))
                    && asks_inside.iter().any(|ask| lower.contains(ask));
            // What follows a question in the same text is an order.
            let question = question && !text.contains("? ");
            let end = match (question, style) {
                (true, _) => "?",
                (false, Style::Order) if dice.chance(0.35) => "",
                (false, _) => ".",
            };
            format!("{}{end}", words::capitalised(&text))
        }
    }
}

/// An order to show something, or the thing alone for a terse one.
pub(super) fn shown(style: Style, what: &str, dice: &mut Dice) -> String {
    let text = match style {
        Style::Terse => what.to_owned(),
        Style::Sentence => {
            let verb = if is_many(what) { "are" } else { "is" };
            format!("What {verb} the {what}")
        }
        Style::Order => format!(
            "{} the {what}",
            dice.word(&["Show", "Give", "List", "Return", "Show me", "Get", "Find"])
                .replace("List", if is_many(what) { "List" } else { "Compute" })
        ),
    };
    finished(style, &text, dice)
}

fn is_many(what: &str) -> bool {
    let head = what.split(" of ").next().unwrap_or(what);
    head.split(' ').next_back().is_some_and(words::is_plural)
        && !what.starts_with("number")
        && !what.starts_with("total")
        && !what.starts_with("average")
}

/// A number as it is said of a few: "5", seldom "five".
pub(super) fn few(count: i64, dice: &mut Dice) -> String {
    let written = [
        "", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    ];
    let word = usize::try_from(count)
        .ok()
        .and_then(|c| written.get(c))
        .filter(|w| !w.is_empty());
    match word {
        Some(word) if dice.chance(0.35) => (*word).to_owned(),
        _ => count.to_string(),
    }
}
