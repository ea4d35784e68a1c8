//! Metadata values. Arrays keep their elements' type, so that a vocabulary of 150,000 pieces is one vector of strings.

/// One metadata value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A whole number of any unsigned width.
    Unsigned(u64),
    /// A whole number of any signed width.
    Signed(i64),
    /// A float of either width.
    Float(f64),
    /// A truth value.
    Bool(bool),
    /// A text. Bytes that are no UTF-8 were replaced.
    String(String),
    /// An array.
    Array(Array),
}

/// An array of one type.
#[derive(Debug, Clone, PartialEq)]
pub enum Array {
    /// Unsigned numbers.
    Unsigned(Vec<u64>),
    /// Signed numbers.
    Signed(Vec<i64>),
    /// Floats.
    Float(Vec<f64>),
    /// Truth values.
    Bool(Vec<bool>),
    /// Texts.
    String(Vec<String>),
}

impl Value {
    /// The number, where it is whole and not negative.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Self::Unsigned(number) => Some(*number),
            Self::Signed(number) => u64::try_from(*number).ok(),
            _ => None,
        }
    }

    /// The number as a float.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Unsigned(number) => Some(*number as f64),
            Self::Signed(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
            _ => None,
        }
    }

    /// The truth value.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The texts of an array of texts.
    #[must_use]
    pub fn as_strings(&self) -> Option<&[String]> {
        match self {
            Self::Array(Array::String(texts)) => Some(texts),
            _ => None,
        }
    }

    /// The whole numbers of an array of such.
    #[must_use]
    pub fn to_integers(&self) -> Option<Vec<i64>> {
        match self {
            Self::Array(Array::Signed(numbers)) => Some(numbers.clone()),
            Self::Array(Array::Unsigned(numbers)) => {
                numbers.iter().map(|number| i64::try_from(*number).ok()).collect()
            }
            _ => None,
        }
    }

    /// The floats of an array of such.
    #[must_use]
    pub fn as_floats(&self) -> Option<&[f64]> {
        match self {
            Self::Array(Array::Float(numbers)) => Some(numbers),
            _ => None,
        }
    }
}
