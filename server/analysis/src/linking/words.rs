//! Words of names and of sentences, lightly stemmed.

/// Words of a name: cut at `_`, other marks, digits and capitals; lower-cased and stemmed.
#[must_use]
pub fn identifier_words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    let mut previous: Option<char> = None;
    let mut characters = name.chars().peekable();
    while let Some(c) = characters.next() {
        let next = characters.peek().copied();
        if !c.is_alphanumeric() {
            push(&mut words, &mut word);
        } else {
            let hump = c.is_uppercase()
                && previous.is_some_and(|p| {
                    p.is_lowercase() || (p.is_uppercase() && next.is_some_and(char::is_lowercase))
                });
            let kind = previous.is_some_and(|p| p.is_alphanumeric() && p.is_numeric() != c.is_numeric());
            if hump || kind {
                push(&mut words, &mut word);
            }
            word.extend(c.to_lowercase());
        }
        previous = Some(c);
    }
    push(&mut words, &mut word);
    words
}

fn push(words: &mut Vec<String>, word: &mut String) {
    if !word.is_empty() {
        words.push(stem(word));
        word.clear();
    }
}

/// Words of a sentence, names in it cut like names; stop words left out.
#[must_use]
pub fn text_words(text: &str) -> Vec<String> {
    let pieces = text.split(|c: char| !(c.is_alphanumeric() || c == '_'));
    let mut words = Vec::new();
    for piece in pieces.filter(|p| !p.is_empty()) {
        if STOP_WORDS.binary_search(&piece.to_lowercase().as_str()).is_ok() {
            continue;
        }
        let parts = identifier_words(piece);
        if parts.len() > 1 {
            words.push(squeezed(piece));
        }
        words.extend(parts);
    }
    words
}

/// A name without its marks, in lower case, stemmed: `first_name` is `firstname`.
#[must_use]
pub fn squeezed(name: &str) -> String {
    let letters: String = name
        .chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect();
    stem(&letters)
}

/// Plural, `-ing` and `-ed` taken off; crude, but the same on both sides.
fn stem(word: &str) -> String {
    let count = word.chars().count();
    if !word.is_ascii() || count < 4 {
        return word.to_owned();
    }
    let cut = |suffix: &str, least: usize| word.strip_suffix(suffix).filter(|s| s.len() >= least);
    let base = if let Some(s) = cut("ies", 2) {
        return format!("{s}y");
    } else if word.ends_with("ss") || word.ends_with("us") || word.ends_with("is") {
        word
    } else if let Some(s) = cut("ches", 2)
        .or_else(|| cut("shes", 2))
        .or_else(|| cut("xes", 2))
        .or_else(|| cut("sses", 2))
    {
        &word[..s.len() + word.len() - s.len() - 2]
    } else if let Some(s) = cut("s", 3) {
        s
    } else {
        word
    };
    let base = base.strip_suffix("ing").filter(|s| s.len() >= 4).unwrap_or(base);
    let base = base.strip_suffix("ed").filter(|s| s.len() >= 4).unwrap_or(base);
    let bytes = base.as_bytes();
    // `shipp` of `shipped`, and the `e` that `priced` lost.
    let doubled = base.len() > 4
        && base.len() < word.len()
        && bytes[base.len() - 1] == bytes[base.len() - 2]
        && !matches!(bytes[base.len() - 1], b's' | b'l');
    let base = if doubled { &base[..base.len() - 1] } else { base };
    base.strip_suffix('e')
        .filter(|s| s.len() >= 4)
        .unwrap_or(base)
        .to_owned()
}

/// Sorted.
const STOP_WORDS: &[&str] = &[
    "a", "about", "after", "all", "also", "among", "an", "and", "any", "are", "as", "at", "be", "been",
    "before", "below", "between", "both", "but", "by", "can", "could", "did", "display", "do", "does",
    "each", "either", "every", "find", "for", "from", "get", "give", "given", "had", "has", "have", "having",
    "how", "i", "if", "in", "into", "is", "it", "its", "least", "list", "many", "me", "more", "most", "much",
    "my", "no", "not", "of", "on", "one", "only", "or", "order", "other", "our", "out", "over", "per",
    "please", "return", "show", "so", "some", "such", "than", "that", "the", "their", "them", "then",
    "there", "these", "they", "this", "those", "to", "under", "use", "using", "want", "was", "we", "were",
    "what", "when", "where", "which", "who", "whose", "will", "with", "without", "would", "you", "your",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut() {
        assert_eq!(identifier_words("firstName"), ["first", "name"]);
        assert_eq!(identifier_words("HTTPServer_id2"), ["http", "server", "id", "2"]);
        assert_eq!(identifier_words("order_items"), ["order", "item"]);
        assert_eq!(squeezed("First_Name"), "firstnam");
    }

    #[test]
    fn stems_agree() {
        for (a, b) in [
            ("countries", "country"),
            ("prices", "price"),
            ("priced", "price"),
            ("shipping", "shipped"),
            ("boxes", "box"),
            ("matches", "match"),
            ("viewing", "views"),
            ("classes", "class"),
            ("cities", "city"),
        ] {
            assert_eq!(stem(a), stem(b), "{a} {b}");
        }
    }

    #[test]
    fn stop_words_are_sorted() {
        assert!(STOP_WORDS.windows(2).all(|w| w[0] < w[1]));
        assert_eq!(text_words("How many singers are there?"), ["singer"]);
    }
}
