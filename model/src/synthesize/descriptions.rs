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

    /// The text that stands in a column of texts.
    pub(super) fn text(&self) -> String {
        let inner = self.sql.strip_prefix('\'').and_then(|sql| sql.strip_suffix('\''));
        inner.map_or_else(
            || self.sql.clone(),
            |text| {
                text.replace("\\'", "'")
                    .replace("\\n", "\n")
                    .replace("\\\\", "\\")
            },
        )
    }

    /// Whether it says that nobody knows.
    pub(super) fn is_unknown(&self) -> bool {
        let said = self.said.to_lowercase();
        ["unknown", "missing", "undetermined", "refused", "unclear"].contains(&said.as_str())
            || said.starts_with("not ")
            || said.starts_with("no answer")
            || said.starts_with("don't know")
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
        DataType::String => {
            let coded = codes(description, data_type);
            if coded.is_empty() { strings(text) } else { coded }
        }
        DataType::Int64 => codes(description, data_type),
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

/// The codes of a code book and what they mean: "sex: 1 male, 2 female", "0 = no; 1 = yes", "A active or P paused".
fn codes(description: &str, data_type: &DataType) -> Vec<Value> {
    let list = description.split_once(": ").map_or(description, |(_, list)| list);
    let list = list
        .split('(')
        .next()
        .unwrap_or_default()
        .trim()
        .trim_end_matches('.');
    // Between semicolons stand the codes, or a list of them and something else.
    let by_comma = list.split(';').next().unwrap_or_default();
    let parts = if list.contains(';') && !by_comma.contains(',') {
        list.replace(';', ",")
    } else {
        by_comma.to_owned()
    };
    let mut values: Vec<Value> = Vec::new();
    for item in items(&parts) {
        let Some(value) = code(item, data_type) else {
            return Vec::new();
        };
        if values.iter().any(|other| other.said == value.said) {
            return Vec::new();
        }
        values.push(value);
    }
    if values.len() < 2 { Vec::new() } else { values }
}

fn code(item: &str, data_type: &DataType) -> Option<Value> {
    let (code, meaning) = item.split_once([' ', '=', ':']).unwrap_or((item, ""));
    let meaning = meaning.trim_matches([' ', '=', ':']);
    let meaning = meaning.strip_prefix("- ").unwrap_or(meaning);
    if meaning.split(' ').count() > VALUE_WORDS || meaning.contains(" to ") || meaning.starts_with("to ") {
        return None;
    }
    if *data_type == DataType::Int64 {
        code.parse::<i64>().ok()?;
        return Some(Value {
            sql: code.to_owned(),
            said: if meaning.is_empty() { code } else { meaning }.to_owned(),
        });
    }
    // A code is short and in capitals or digits, and what it means is a word.
    let short = code.len() <= 3 && code.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
    let word = meaning.starts_with(char::is_lowercase);
    (short && word).then(|| Value {
        sql: quoted(code),
        said: meaning.to_owned(),
    })
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

/// Most numbers of a part that one groups by.
const PARTS: f64 = 12.0;

/// The whole numbers of a range of few.
pub(super) fn numbers(range: Option<(f64, f64)>) -> Vec<Value> {
    let Some((low, high)) = range.filter(|(low, high)| high - low < PARTS) else {
        return Vec::new();
    };
    #[expect(clippy::cast_possible_truncation, reason = "small whole numbers")]
    let numbers = low as i64..=high as i64;
    let value = |number: i64| Value {
        sql: number.to_string(),
        said: number.to_string(),
    };
    numbers.map(value).collect()
}

/// Whether the values are yes and no, and what says that nobody knows.
pub(super) fn are_answers(values: &[Value]) -> bool {
    let known = || values.iter().filter(|value| !value.is_unknown());
    known().count() == 2 && known().all(|value| ["yes", "no"].contains(&value.said.to_lowercase().as_str()))
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

/// Most words of a noun that is said beside a name that can be read.
pub(super) const SHORT_NOUN: usize = 5;

/// A noun phrase of a description, if it has at most so many words: "net sales amount", "number of pages seen".
pub(super) fn noun(description: &str, most: usize) -> Option<String> {
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
        "in", "of", "on", "null", "from", "such", "as", "whether", "one", "when", "what", "which", "where",
        "how", "true", "negative", "always", "cannot", "not", "name",
    ];
    // What a short description begins with that tells more than it names.
    let telling = [
        "given",
        "available",
        "day",
        "receives",
        "marketing",
        "contact",
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
    ];
    let verbs = [
        "is", "are", "was", "that", "which", "who", "until", "where", "have", "has",
    ];
    let of_a_list = words.len() == 1 && description.contains(" or ");
    let fits = !of_a_list
        && (1..=most).contains(&words.len())
        && !refused.contains(&first.as_str())
        && (most > SHORT_NOUN || !telling.contains(&first.as_str()))
        && !first.starts_with(char::is_numeric)
        && !words.iter().any(|w| verbs.contains(w));
    if let ["total", "number", "of", ..] = words.as_slice() {
        words.remove(0);
    }
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
            noun("arrival delay in minutes, negative where early", 5).as_deref(),
            Some("arrival delay")
        );
        assert_eq!(noun("placed, shipped or returned", 5), None);
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
