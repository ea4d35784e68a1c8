//! English words out of names: cut, spelled out, put into the plural.

mod lexicon;

use lexicon::{ADJECTIVES, CAPITALS, INTRANSITIVE, IRREGULAR, NOT_PEOPLE, PARTICIPLES, PEOPLE, SAME, SHORT};

/// The words of a name in lower case, short forms spelled out: `custAddr_ID` is "customer", "address", "ID".
pub(super) fn of_name(name: &str) -> Vec<String> {
    raw(name).iter().flat_map(|word| spelled(word)).collect()
}

/// The words of a name in lower case as they stand there.
pub(super) fn raw(name: &str) -> Vec<String> {
    let characters: Vec<char> = name.chars().collect();
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    for (i, &c) in characters.iter().enumerate() {
        let (before, after) = (i.checked_sub(1).map(|b| characters[b]), characters.get(i + 1));
        let hump = c.is_uppercase()
            && before.is_some_and(|b| {
                b.is_lowercase()
                    || b.is_numeric()
                    || (b.is_uppercase() && after.is_some_and(|a| a.is_lowercase()))
            });
        if (!c.is_alphanumeric() || hump) && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

fn spelled(word: &str) -> Vec<String> {
    if CAPITALS.contains(&word) {
        return vec![word.to_uppercase()];
    }
    if let Some(one) = word.strip_suffix('s').filter(|one| CAPITALS.contains(one)) {
        return vec![format!("{}s", one.to_uppercase())];
    }
    let long = SHORT
        .iter()
        .find(|(short, _)| *short == word)
        .map_or(word, |(_, long)| long);
    long.split(' ').map(str::to_owned).collect()
}

/// Whether a word can be said: it has a vowel, or is one that is spelled in capitals.
pub(super) fn is_sayable(word: &str) -> bool {
    let known =
        word.chars().any(|c| c.is_uppercase()) || word.chars().all(char::is_numeric) || !word.is_ascii();
    known || (word.len() > 1 && word.contains(['a', 'e', 'i', 'o', 'u', 'y']))
}

/// Whether a short form is one that is spelled out, or stands in capitals.
pub(super) fn is_known(word: &str) -> bool {
    CAPITALS.contains(&word) || SHORT.iter().any(|(short, _)| *short == word)
}

/// The plural of a noun phrase: of its last word, or of the word before "of", "in" and the like.
pub(super) fn plural(phrase: &str) -> String {
    by_head(phrase, plural_word)
}

/// The singular of a noun phrase.
pub(super) fn singular(phrase: &str) -> String {
    by_head(phrase, singular_word)
}

fn by_head(phrase: &str, change: fn(&str) -> String) -> String {
    let words: Vec<&str> = phrase.split(' ').collect();
    let end = words.iter().position(|w| {
        matches!(
            *w,
            "of" | "in" | "at" | "for" | "on" | "per" | "without" | "with" | "to"
        )
    });
    let mut head = end.unwrap_or(words.len()).saturating_sub(1);
    if head > 0 && (words[head].ends_with("ed") && is_participle(words[head]) || words[head] == "built") {
        // "dates filed", "years built"
        head -= 1;
    }
    let changed: Vec<String> = words
        .iter()
        .enumerate()
        .map(|(i, word)| {
            if i == head {
                change(word)
            } else {
                (*word).to_owned()
            }
        })
        .collect();
    changed.join(" ")
}

fn plural_word(word: &str) -> String {
    if SAME.contains(&word) || !word.ends_with(char::is_alphabetic) || !is_latin(word) {
        return word.to_owned();
    }
    if let Some((_, many)) = IRREGULAR.iter().find(|(one, _)| *one == word) {
        return (*many).to_owned();
    }
    if word.len() > 1 && word.chars().all(|c| !c.is_lowercase()) {
        return format!("{word}s");
    }
    if is_plural(word) {
        return word.to_owned();
    }
    match word {
        w if w.ends_with('y') && !w.ends_with_any(&["ay", "ey", "oy", "uy"]) => {
            format!("{}ies", &w[..w.len() - 1])
        }
        w if w.ends_with_any(&["s", "x", "z", "ch", "sh"]) => format!("{w}es"),
        w => format!("{w}s"),
    }
}

/// Whether a word is written in Latin letters: of others nobody knows the plural.
pub(super) fn is_latin(word: &str) -> bool {
    word.chars()
        .all(|c| c.is_ascii() || matches!(c, '\u{c0}'..='\u{24f}'))
}

trait EndsWithAny {
    fn ends_with_any(&self, ends: &[&str]) -> bool;
}

impl EndsWithAny for str {
    fn ends_with_any(&self, ends: &[&str]) -> bool {
        ends.iter().any(|end| self.ends_with(end))
    }
}

fn singular_word(word: &str) -> String {
    if SAME.contains(&word) {
        return word.to_owned();
    }
    if let Some((one, _)) = IRREGULAR.iter().find(|(one, many)| *many == word || *one == word) {
        return (*one).to_owned();
    }
    if !is_plural(word) {
        return word.to_owned();
    }
    match word {
        w if w.ends_with("ies") && w.len() > 4 => format!("{}y", &w[..w.len() - 3]),
        w if w.ends_with_any(&["sses", "xes", "ches", "shes", "zzes"]) => w[..w.len() - 2].to_owned(),
        w => w[..w.len() - 1].to_owned(),
    }
}

/// Whether a word looks like a plural.
pub(super) fn is_plural(word: &str) -> bool {
    if SAME.contains(&word) || IRREGULAR.iter().any(|(one, _)| *one == word) {
        return false;
    }
    if IRREGULAR.iter().any(|(_, many)| *many == word) {
        return true;
    }
    let capitals = word
        .strip_suffix('s')
        .is_some_and(|one| CAPITALS.contains(&one.to_lowercase().as_str()) && one == one.to_uppercase());
    capitals || word.len() > 3 && word.ends_with('s') && !word.ends_with_any(&["ss", "us", "is", "ous"])
}

/// Whether a word is a past participle or tells a state in the same way: "shipped", "sent", "open".
pub(super) fn is_participle(word: &str) -> bool {
    PARTICIPLES.contains(&word)
        || (word.len() > 4
            && word.ends_with("ed")
            && !matches!(word, "speed" | "breed" | "need" | "feed" | "seed"))
}

/// What it is when it is not that, in one word: "unpaid" for "paid".
pub(super) fn opposite(word: &str) -> Option<String> {
    match word {
        "active" | "valid" | "correct" | "complete" | "visible" => Some(format!("in{word}")),
        "paid" | "resolved" | "answered" | "verified" | "confirmed" | "finished" | "used" | "solved"
        | "delivered" | "available" | "published" | "signed" | "planned" | "sold" | "successful" | "read" => {
            Some(format!("un{word}"))
        }
        _ => None,
    }
}

/// The plain form of what was done: "show up" of "showed up".
pub(super) fn base(done: &str) -> String {
    let (verb, rest) = done.split_once(' ').unwrap_or((done, ""));
    let stem = verb.strip_suffix("ed").unwrap_or(verb);
    let doubled = stem.ends_with("gg") || stem.ends_with("pp");
    let stem = if doubled { &stem[..stem.len() - 1] } else { stem };
    format!("{stem} {rest}").trim_end().to_owned()
}

/// Whether it is done by the thing itself: "joined", "left".
pub(super) fn is_intransitive(word: &str) -> bool {
    INTRANSITIVE.contains(&word)
}

/// Whether a word can stand before a noun and tell its state.
pub(super) fn is_adjective(word: &str) -> bool {
    let last = word.rsplit([' ', '-']).next().unwrap_or(word);
    is_participle(last) || ADJECTIVES.contains(&last)
}

/// Whether a noun phrase means people: "who" rather than "that".
pub(super) fn is_person(noun: &str) -> bool {
    let last = noun.rsplit(' ').next().unwrap_or(noun);
    let last = singular_word(last);
    if NOT_PEOPLE.contains(&last.as_str()) {
        return false;
    }
    PEOPLE.contains(&last.as_str()) || ((last.ends_with("er") || last.ends_with("ee")) && last.len() > 4)
}

/// The phrase with "a" or "an" before it.
pub(super) fn with_article(phrase: &str) -> String {
    let first = phrase
        .trim_start_matches('"')
        .split([' ', '-'])
        .next()
        .unwrap_or_default();
    let spelled = first.len() > 1 && first.chars().all(|c| !c.is_lowercase());
    let vowel = if spelled {
        first.starts_with(['A', 'E', 'F', 'H', 'I', 'L', 'M', 'N', 'O', 'R', 'S', 'X'])
    } else {
        first.to_lowercase().starts_with(['a', 'e', 'i', 'o', 'u'])
            && !["uni", "use", "usa", "eu", "one", "uti"]
                .iter()
                .any(|start| first.to_lowercase().starts_with(start))
    };
    format!("{} {phrase}", if vowel { "an" } else { "a" })
}

/// "a, b and c" with any last word.
pub(super) fn list(items: &[String], last: &str) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [start @ .., end] => format!("{} {last} {end}", start.join(", ")),
    }
}

/// The text with its first letter in upper case.
pub(super) fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(characters).collect()
    })
}

#[cfg(test)]
mod tests;
