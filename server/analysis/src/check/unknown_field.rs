//! A name after a dot that the value before it does not have.

use std::ops::Range;

use super::{Code, Diagnostic};
use crate::suggest::nearest;
use crate::types::{Field, Type};

/// The struct has no such field.
#[must_use]
pub fn in_struct(range: Range<usize>, name: &str, fields: &[Field]) -> Diagnostic {
    let found = nearest(name, fields.iter().map(|f| &*f.name));
    let mut diagnostic = Diagnostic::error(
        Code::UnknownField,
        range.clone(),
        format!("the struct has no field `{name}`"),
    )
    .suggesting(range, found);
    if diagnostic.fixes.is_empty() {
        diagnostic
            .notes
            .push(format!("it is {}", Type::Struct(fields.to_vec().into()).sql()));
    }
    diagnostic
}

/// The value is an array: its elements have fields, it has none.
#[must_use]
pub fn in_array(range: Range<usize>, name: &str, owner: Option<&str>, data_type: &Type) -> Diagnostic {
    let owner = owner.map_or("the value".to_owned(), |o| format!("`{o}`"));
    let mut diagnostic = Diagnostic::error(
        Code::UnknownField,
        range,
        format!("{owner} is an array, so it has no field `{name}`; unnest it first"),
    );
    diagnostic.notes.push(format!("it is {}", data_type.sql()));
    diagnostic
}

/// The value is neither struct nor JSON.
#[must_use]
pub fn in_scalar(range: Range<usize>, name: &str, data_type: &Type) -> Diagnostic {
    Diagnostic::error(
        Code::UnknownField,
        range,
        format!("a value of type {} has no field `{name}`", data_type.sql()),
    )
}
