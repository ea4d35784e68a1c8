//! UNNEST, or a path in FROM, of something that is no array.

use std::ops::Range;

use super::{Code, Diagnostic};
use crate::types::Type;

/// This value of type `data_type` is no array.
#[must_use]
pub fn diagnostic(range: Range<usize>, data_type: &Type) -> Diagnostic {
    Diagnostic::error(
        Code::NotAnArray,
        range,
        format!("only an array can be unnested, and this is {}", data_type.sql()),
    )
}
