//! A limit of bytes: a number, or a text with a unit.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};

/// Units as BigQuery counts them: of 1024.
const UNITS: &[(&str, u32)] = &[
    ("kib", 10),
    ("mib", 20),
    ("gib", 30),
    ("tib", 40),
    ("kb", 10),
    ("mb", 20),
    ("gb", 30),
    ("tb", 40),
    ("bytes", 0),
    ("b", 0),
];

/// Most bytes, or no limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByteLimit {
    /// As it was written, to be shown again.
    text: String,
    bytes: u64,
}

impl ByteLimit {
    /// The limit; none where there is none.
    #[must_use]
    pub fn bytes(&self) -> Option<u64> {
        (self.bytes > 0).then_some(self.bytes)
    }

    /// Reads `100 GiB`, `1.5 TiB`, `1000000`.
    ///
    /// # Errors
    /// What such a text looks like.
    pub fn parse(text: &str) -> Result<Self, String> {
        let lower = text.trim().to_ascii_lowercase();
        let unit = UNITS.iter().find(|(unit, _)| lower.ends_with(unit));
        let (number, shift) = match unit {
            Some((unit, shift)) => (lower[..lower.len() - unit.len()].trim(), *shift),
            None => (lower.as_str(), 0),
        };
        let number: f64 = number.parse().unwrap_or(f64::NAN);
        if !number.is_finite() || number < 0.0 {
            return Err(format!(
                "expected bytes such as \"100 GiB\" or 1000000, not {text:?}"
            ));
        }
        Ok(Self {
            text: text.trim().to_owned(),
            // The smallest limit is a byte, for 0 is none.
            bytes: (number * (1_u64 << shift) as f64).ceil() as u64,
        })
    }
}

impl Default for ByteLimit {
    fn default() -> Self {
        Self {
            text: "100 GiB".to_owned(),
            bytes: 100 << 30,
        }
    }
}

impl std::fmt::Display for ByteLimit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::str::FromStr for ByteLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse(text)
    }
}

impl Serialize for ByteLimit {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for ByteLimit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        };
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for ByteLimit {
    fn schema_name() -> Cow<'static, str> {
        "ByteLimit".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"anyOf": [{"type": "string"}, {"type": "integer", "minimum": 0}]})
    }

    fn inline_schema() -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_with_and_without_unit() {
        for (text, bytes) in [
            ("100 GiB", Some(100 << 30)),
            ("1.5tb", Some(3 << 39)),
            ("10 b", Some(10)),
            ("1000000", Some(1_000_000)),
            ("0", None),
            ("0.5", Some(1)),
        ] {
            assert_eq!(
                ByteLimit::parse(text).map(|limit| limit.bytes()),
                Ok(bytes),
                "{text}"
            );
        }
        let default = ByteLimit::default();
        assert_eq!(ByteLimit::parse(&default.to_string()), Ok(default));
        for text in ["many", "-1", "GiB", "inf", ""] {
            let error = ByteLimit::parse(text).expect_err(text);
            assert!(error.contains("100 GiB"), "{error}");
        }
    }
}
