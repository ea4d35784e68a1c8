//! Types of values as far as the resolver knows them: enough to follow struct fields and arrays, never guessed.

use std::sync::Arc;

use crate::schema::{Column, DataType, Mode};

/// A value's type.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Type {
    /// Not known: nothing may be concluded.
    #[default]
    Unknown,
    /// A type without parts. Never [`DataType::Struct`].
    Scalar(DataType),
    /// A struct with all its fields.
    Struct(Arc<Vec<Field>>),
    /// An array.
    Array(Arc<Type>),
}

/// A column of a relation, or a field of a struct.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Field {
    /// Its name; empty where it has none.
    pub name: Arc<str>,
    /// Its type.
    pub data_type: Type,
    /// The description from the catalog; empty where there is none.
    pub description: Arc<str>,
}

impl Field {
    /// A field without description.
    #[must_use]
    pub fn new(name: &str, data_type: Type) -> Self {
        Self {
            name: name.into(),
            data_type,
            description: Arc::from(""),
        }
    }

    /// Whether it has this name, in any case.
    #[must_use]
    pub fn is_named(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}

impl Type {
    /// The type that this word means in SQL; unknown for words that are no type.
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        match DataType::from_name(name) {
            DataType::Other(other) if other.eq_ignore_ascii_case("RANGE") => {
                Self::Scalar(DataType::Other("RANGE".to_owned()))
            }
            DataType::Other(other) => match other.to_ascii_uppercase().as_str() {
                "INT" | "SMALLINT" | "BIGINT" | "TINYINT" | "BYTEINT" => Self::Scalar(DataType::Int64),
                "DECIMAL" => Self::Scalar(DataType::Numeric),
                "BIGDECIMAL" => Self::Scalar(DataType::BigNumeric),
                _ => Self::Unknown,
            },
            DataType::Struct => Self::Unknown,
            known => Self::Scalar(known),
        }
    }

    /// As SQL; unknown parts are written `?`.
    #[must_use]
    pub fn sql(&self) -> String {
        match self {
            Self::Unknown => "?".to_owned(),
            Self::Scalar(t) => t.sql_name().to_owned(),
            Self::Array(element) => format!("ARRAY<{}>", element.sql()),
            Self::Struct(fields) => {
                let shown: Vec<String> = fields
                    .iter()
                    .take(8)
                    .map(|f| format!("{} {}", f.name, f.data_type.sql()).trim().to_owned())
                    .collect();
                let more = if fields.len() > 8 { ", …" } else { "" };
                format!("STRUCT<{}{more}>", shown.join(", "))
            }
        }
    }

    /// The element's type, where this is an array.
    #[must_use]
    pub fn element(&self) -> Self {
        match self {
            Self::Array(element) => (**element).clone(),
            _ => Self::Unknown,
        }
    }

    /// Whether nothing is known of it, at the top.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown)
    }
}

/// The fields that these columns of a catalog make.
#[must_use]
pub fn fields(columns: &[Column]) -> Vec<Field> {
    columns.iter().map(field).collect()
}

fn field(column: &Column) -> Field {
    let one = match &column.data_type {
        DataType::Struct if column.fields.is_empty() => Type::Unknown,
        DataType::Struct => Type::Struct(Arc::new(fields(&column.fields))),
        DataType::Other(name) if !name.to_ascii_uppercase().starts_with("RANGE") => Type::Unknown,
        other => Type::Scalar(other.clone()),
    };
    let data_type = if column.mode == Mode::Repeated {
        Type::Array(Arc::new(one))
    } else {
        one
    };
    Field {
        name: column.name.as_str().into(),
        data_type,
        description: column.description.as_str().into(),
    }
}
