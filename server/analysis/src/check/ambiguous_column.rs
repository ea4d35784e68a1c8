//! A column without qualifier that several relations have.

use std::ops::Range;

use super::{Code, Diagnostic, Fix};
use crate::schema::quote_name;

/// The column `name` is in each of these relations.
#[must_use]
pub fn diagnostic(range: Range<usize>, name: &str, relations: &[&str]) -> Diagnostic {
    let listed: Vec<String> = relations.iter().map(|r| format!("`{r}`")).collect();
    let place = if listed.is_empty() {
        "several relations".to_owned()
    } else {
        listed.join(" and ")
    };
    let mut diagnostic = Diagnostic::error(
        Code::AmbiguousColumn,
        range.clone(),
        format!("column `{name}` is ambiguous: it is in {place}"),
    );
    diagnostic.fixes = relations
        .iter()
        .map(|r| Fix {
            title: format!("Use `{r}.{name}`"),
            edits: vec![(range.start..range.start, format!("{}.", quote_name(r)))],
            preferred: false,
        })
        .collect();
    diagnostic
}
