//! What descriptions tell: the values of a column, its range, what a missing value means, a noun for it.

use bigquill_analysis::schema::DataType;

use super::words;

/// A value that a column can have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Value {
    /// The literal in SQL.
    pub(super) sql: String,
    /// How it is called in a question.
    pub(super) said: String,
}

impl Value {
    /// A string as it stands in the column.
    pub(super) fn string(text: &str) -> Self {
        Self {
            sql: quoted(text),
            said: text.to_owned(),
        }
    }
}

/// A string literal.
pub(super) fn quoted(text: &str) -> String {
    format!(
        "'{}'",
        text.replace('\\', "\\\\")
            .replace('\'', "\\'")
            .replace('\n', "\\n")
    )
}

/// Most words in one value of a list.
const VALUE_WORDS: usize = 4;
/// Most letters in one value of a list.
const VALUE_LETTERS: usize = 28;

/// The values that a description lists: "placed, shipped or returned", "1 critical, 2 major", "such as DE or US".
pub(super) fn values(description: &str, data_type: &DataType) -> Vec<Value> {
    let text = strip_lead(description);
    match data_type {
        DataType::String => strings(text),
        DataType::Int64 => codes(text),
        _ => Vec::new(),
    }
}

/// The list itself, without what stands before and after it.
fn strip_lead(description: &str) -> &str {
    let mut text = description.trim().trim_end_matches('.');
    for lead in ["such as ", "one of ", "e.g. ", "for example ", ": "] {
        if let Some((_, after)) = text.split_once(lead) {
            text = after;
        }
    }
    text.split([';', '(']).next().unwrap_or_default().trim()
}

fn items(text: &str) -> Vec<&str> {
    let parts: Vec<&str> = text.split(['|', ',']).collect();
    let mut items = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        let last = index + 1 == parts.len();
        let part = part.trim();
        let part = part
            .strip_prefix("or ")
            .or_else(|| part.strip_prefix("and "))
            .unwrap_or(part);
        match part.split_once(" or ").filter(|_| last) {
            Some((one, other)) => items.extend([one, other]),
            None => items.push(part),
        }
    }
    items
        .iter()
        .map(|i| i.trim().trim_matches(['\'', '"', '`']))
        .filter(|i| !i.is_empty())
        .collect()
}

fn strings(text: &str) -> Vec<Value> {
    if !text.contains(" or ") && !text.contains('|') && !text.contains(['\'', '"']) {
        return Vec::new();
    }
    let items = items(text);
    let fits = |item: &&str| {
        let words: Vec<&str> = item.split(' ').collect();
        words.len() <= VALUE_WORDS
            && item.chars().count() <= VALUE_LETTERS
            && !words.iter().any(|w| {
                matches!(
                    *w,
                    "null" | "not" | "is" | "are" | "was" | "which" | "than" | "where"
                )
            })
    };
    if items.len() < 2 || !items.iter().all(fits) {
        return Vec::new();
    }
    items.into_iter().map(Value::string).collect()
}

fn codes(text: &str) -> Vec<Value> {
    let mut values = Vec::new();
    for item in items(text) {
        let (number, meaning) = item.split_once([' ', '=']).unwrap_or((item, ""));
        if number.parse::<i64>().is_err() {
            return Vec::new();
        }
        let meaning = meaning.trim_matches([' ', '=']);
        if meaning.split(' ').count() > 3 || meaning.contains(" to ") || meaning.starts_with("to ") {
            return Vec::new();
        }
        values.push(Value {
            sql: number.to_owned(),
            said: if meaning.is_empty() { number } else { meaning }.to_owned(),
        });
    }
    if values.len() < 2 { Vec::new() } else { values }
}

/// The range of a number: "from 1 to 5", "1 beginner to 5 expert".
pub(super) fn range(description: &str) -> Option<(f64, f64)> {
    let words: Vec<&str> = description
        .split([' ', ',', ';', '(', ')'])
        .filter(|w| !w.is_empty())
        .collect();
    let to = words.iter().position(|w| *w == "to")?;
    let before = words[..to]
        .iter()
        .rev()
        .take(2)
        .find_map(|w| w.parse::<f64>().ok())?;
    let after = words.get(to + 1)?.parse::<f64>().ok()?;
    let (low, high) = if before < after {
        (before, after)
    } else {
        (after, before)
    };
    (high > low).then_some((low, high))
}

/// What a missing value means: the state of "null while open", "null until delivered", "null unless cancelled".
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Missing {
    /// The state.
    pub(super) state: String,
    /// Whether the state is that of rows with a value instead: "until delivered", "unless cancelled".
    pub(super) of_present: bool,
}

/// What a description says of missing values.
pub(super) fn missing(description: &str) -> Option<Missing> {
    let after = description.split_once("null ")?.1;
    let (word, rest) = after.split_once(' ')?;
    let of_present = match word {
        "while" | "where" | "if" | "when" => false,
        "until" | "unless" => true,
        _ => return None,
    };
    let rest = rest.split([',', ';', '.']).next().unwrap_or_default().trim();
    let state = rest
        .rsplit_once(" is ")
        .or_else(|| rest.rsplit_once(" are "))
        .map_or(rest, |(_, state)| state);
    // "null while it lasts" tells a verb, which does not fit behind "is".
    let fits = state.split(' ').count() <= 3
        && !state.starts_with("it ")
        && !state.starts_with("the ")
        && !state.ends_with("may give");
    fits.then(|| Missing {
        state: state.to_owned(),
        of_present,
    })
}

/// A noun phrase of a description, if it is a short one: "net sales amount", "number of pages seen".
pub(super) fn noun(description: &str) -> Option<String> {
    let text = description
        .split([',', ';', ':', '(', '.'])
        .next()
        .unwrap_or_default()
        .trim();
    if text.len() < 3 || text.contains(" or ") || text.contains(['"', '\'', '=', '/']) {
        return None;
    }
    let text = text
        .split_once(" from ")
        .filter(|(_, range)| range.starts_with(char::is_numeric))
        .map_or(text, |(noun, _)| noun);
    let mut words: Vec<&str> = text.split_whitespace().collect();
    if matches!(words.first(), Some(&("the" | "a" | "an"))) {
        words.remove(0);
    }
    // The unit is said where it is wanted.
    if let Some(place) = words.iter().rposition(|w| *w == "in")
        && place > 0
        && words.len() - place <= 3
        && words[place + 1..].iter().any(|w| super::units::is_unit(w))
    {
        words.truncate(place);
    }
    let first = words.first()?.to_lowercase();
    let refused = [
        "in",
        "of",
        "on",
        "null",
        "from",
        "such",
        "as",
        "whether",
        "one",
        "given",
        "available",
        "day",
        "when",
        "what",
        "which",
        "where",
        "how",
        "receives",
        "marketing",
        "contact",
        "true",
        "negative",
        "as",
        "always",
        "phases",
        "key-value",
        "properties",
        "planned",
        "two-letter",
        "identifiers",
        "shares",
        "colors",
        "coupons",
        "decided",
        "domain",
        "experiments",
        "cannot",
        "name",
    ];
    let verbs = [
        "is", "are", "was", "that", "which", "who", "until", "where", "have", "has",
    ];
    let of_a_list = words.len() == 1 && description.contains(" or ");
    let fits = !of_a_list
        && (1..=5).contains(&words.len())
        && !refused.contains(&first.as_str())
        && !first.starts_with(char::is_numeric)
        && !words.iter().any(|w| verbs.contains(w));
    let mut words: Vec<String> = words.into_iter().map(str::to_owned).collect();
    if let Some(word) = words
        .first_mut()
        .filter(|w| !w.chars().skip(1).any(char::is_uppercase))
    {
        *word = word.to_lowercase();
    }
    fits.then(|| words.join(" "))
}

/// What one row of a table is: the noun of "one row per order placed in the shop".
pub(super) fn row(description: &str) -> Option<String> {
    let lower = description.to_lowercase();
    let after = [
        "one row per ",
        "one row for each ",
        "one row for every ",
        "each row is a ",
        "each row is an ",
        "one entry per ",
    ]
    .iter()
    .find_map(|lead| lower.find(lead).map(|at| &lower[at + lead.len()..]))?;
    let sentence = after.split(['.', ';', '(', ':']).next().unwrap_or_default();
    if sentence.contains(',') || sentence.contains(" and ") || sentence.contains(" or ") {
        return None;
    }
    let stop = [
        "of", "in", "on", "at", "for", "to", "by", "with", "from", "that", "which", "who", "under", "about",
        "after", "per", "a", "as",
    ];
    let mut noun = Vec::new();
    for word in sentence.split_whitespace() {
        let ends = stop.contains(&word)
            || (!noun.is_empty()
                && words::is_participle(word)
                && !matches!(word, "run" | "set" | "open" | "read"));
        if ends {
            break;
        }
        noun.push(word);
    }
    (1..=3).contains(&noun.len()).then(|| noun.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_values_are_found() {
        let said =
            |text: &str, of: DataType| values(text, &of).into_iter().map(|v| v.said).collect::<Vec<_>>();
        assert_eq!(
            said("placed, shipped or returned", DataType::String),
            ["placed", "shipped", "returned"]
        );
        assert_eq!(
            said("two-letter country code, such as DE or US", DataType::String),
            ["DE", "US"]
        );
        assert_eq!(
            said("state of the order: 'new' | 'done'", DataType::String),
            ["new", "done"]
        );
        assert_eq!(
            said("1 critical, 2 major, 3 minor", DataType::Int64),
            ["critical", "major", "minor"]
        );
        assert_eq!(
            said("1 highest to 5 lowest", DataType::Int64),
            Vec::<String>::new()
        );
        assert_eq!(
            said("null while the store is open", DataType::String),
            Vec::<String>::new()
        );
        assert_eq!(
            said("amount paid, tax included", DataType::String),
            Vec::<String>::new()
        );
    }

    #[test]
    fn ranges_missing_values_and_nouns_are_found() {
        assert_eq!(range("rating from 1 to 5, given after closing"), Some((1.0, 5.0)));
        assert_eq!(range("1 beginner to 5 expert"), Some((1.0, 5.0)));
        assert_eq!(range("cost of goods"), None);
        let state = |text| missing(text).map(|m| (m.state, m.of_present));
        assert_eq!(
            state("null while the store is open"),
            Some(("open".to_owned(), false))
        );
        assert_eq!(
            state("null until delivered"),
            Some(("delivered".to_owned(), true))
        );
        assert_eq!(state("null while the shortage lasts"), None);
        assert_eq!(
            noun("arrival delay in minutes, negative where early").as_deref(),
            Some("arrival delay")
        );
        assert_eq!(noun("placed, shipped or returned"), None);
    }

    #[test]
    fn a_row_has_a_noun() {
        assert_eq!(
            row("One row per order placed in the web shop").as_deref(),
            Some("order")
        );
        assert_eq!(
            row("One row per building permit").as_deref(),
            Some("building permit")
        );
        assert_eq!(row("One row per user and day"), None);
    }
}
