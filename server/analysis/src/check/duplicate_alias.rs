//! Two relations of one FROM clause with the same name.

use std::ops::Range;

use super::{Code, Diagnostic};

/// The alias stands a second time here.
#[must_use]
pub fn diagnostic(range: Range<usize>, alias: &str) -> Diagnostic {
    Diagnostic::error(
        Code::DuplicateAlias,
        range,
        format!("the name `{alias}` stands twice in this FROM clause; give one an alias of its own"),
    )
}
