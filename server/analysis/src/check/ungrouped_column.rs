//! A column of the select list that is neither grouped nor aggregated, though the query groups.

use std::ops::Range;

use super::{Code, Diagnostic};

/// The column `name` stands beside aggregates (`grouped`: there is a GROUP BY, without it).
#[must_use]
pub fn diagnostic(range: Range<usize>, name: &str, grouped: bool) -> Diagnostic {
    let mut diagnostic = Diagnostic::error(
        Code::UngroupedColumn,
        range,
        format!("column `{name}` is neither grouped nor aggregated"),
    );
    diagnostic.notes.push(if grouped {
        format!("add `{name}` to GROUP BY, or take ANY_VALUE({name})")
    } else {
        format!("the query aggregates: add GROUP BY {name}, or take ANY_VALUE({name})")
    });
    diagnostic
}
