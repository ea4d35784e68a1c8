//! A word where a date part belongs that is none: `DAYS`, `MON`.

use std::ops::Range;

use super::{Code, Diagnostic, Fix};
use crate::suggest::{Nearest, nearest};

/// `word` is no date part of this function.
#[must_use]
pub fn diagnostic(range: Range<usize>, word: &str, function: &str, parts: &[&'static str]) -> Diagnostic {
    let upper = word.to_ascii_uppercase();
    let singular = upper
        .strip_suffix('S')
        .and_then(|s| parts.iter().find(|p| **p == s));
    let found = match singular {
        Some(part) => Some(Nearest {
            name: part,
            sure: true,
        }),
        None => nearest(word, parts.iter().copied()).or_else(|| {
            let longer = parts.iter().find(|p| upper.len() >= 3 && p.starts_with(&upper))?;
            Some(Nearest {
                name: longer,
                sure: true,
            })
        }),
    };
    let mut diagnostic = Diagnostic::error(
        Code::UnknownDatePart,
        range.clone(),
        format!("`{word}` is no date part of `{function}`"),
    );
    if let Some(found) = found {
        diagnostic
            .message
            .push_str(&format!("; did you mean `{}`?", found.name));
        diagnostic.fixes.push(Fix {
            title: format!("Change to {}", found.name),
            edits: vec![(range, found.name.to_owned())],
            preferred: found.sure,
        });
    }
    diagnostic
}
