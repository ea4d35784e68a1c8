//! Queries of UNION, INTERSECT or EXCEPT with different numbers of columns.

use std::ops::Range;

use sqlparser::ast::SetOperator;

use super::{Code, Diagnostic};

/// The sides have this many columns; the range is the right side.
#[must_use]
pub fn diagnostic(range: Range<usize>, operator: SetOperator, left: usize, right: usize) -> Diagnostic {
    Diagnostic::error(
        Code::SetOperationColumns,
        range,
        format!("the queries of {operator} have different numbers of columns: {left} before, {right} here"),
    )
}
