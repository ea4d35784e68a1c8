//! A subquery of several columns where one value is wanted: as an operand, or after IN.

use std::ops::Range;

use super::{Code, Diagnostic};

/// The query has this many columns.
#[must_use]
pub fn diagnostic(range: Range<usize>, count: usize) -> Diagnostic {
    let mut diagnostic = Diagnostic::error(
        Code::SubqueryColumns,
        range,
        format!("a subquery that stands for a value must have one column, not {count}"),
    );
    diagnostic
        .notes
        .push("SELECT AS STRUCT makes one value of several columns".to_owned());
    diagnostic
}
