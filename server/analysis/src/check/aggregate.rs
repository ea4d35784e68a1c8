//! Aggregates and window functions where GoogleSQL takes none: in WHERE and ON, and one inside another.

use std::ops::Range;

use super::{Code, Diagnostic};

/// An aggregate in WHERE or ON.
#[must_use]
pub fn not_allowed(range: Range<usize>, name: &str, clause: &str) -> Diagnostic {
    let mut diagnostic = Diagnostic::error(
        Code::AggregateNotAllowed,
        range,
        format!("the aggregate function `{name}` is not allowed in {clause}"),
    );
    if clause == "WHERE" {
        diagnostic
            .notes
            .push("a condition on groups belongs in HAVING".to_owned());
    }
    diagnostic
}

/// A window function in WHERE or ON.
#[must_use]
pub fn window_not_allowed(range: Range<usize>, name: &str, clause: &str) -> Diagnostic {
    let mut diagnostic = Diagnostic::error(
        Code::WindowNotAllowed,
        range,
        format!("the window function `{name}` is not allowed in {clause}"),
    );
    if clause == "WHERE" {
        diagnostic
            .notes
            .push("a condition on a window function belongs in QUALIFY".to_owned());
    }
    diagnostic
}

/// An aggregate inside another.
#[must_use]
pub fn nested(range: Range<usize>, name: &str) -> Diagnostic {
    let mut diagnostic = Diagnostic::error(
        Code::NestedAggregate,
        range,
        format!("the aggregate function `{name}` stands inside another aggregate"),
    );
    diagnostic
        .notes
        .push("aggregate in a subquery first, or give the outer one an OVER clause".to_owned());
    diagnostic
}
