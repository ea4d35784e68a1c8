//! Query parameters with types and values, as the API takes them
//! (<https://cloud.google.com/bigquery/docs/reference/rest/v2/QueryParameter>).

use std::collections::BTreeMap;

use bigquill_analysis::syntax::parameter::{Declaration, TypedText, declarations, type_names, used};
use serde_json::{Value, json};

/// A parameter's type and value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Typed {
    data_type: &'static str,
    value: TypedValue,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum TypedValue {
    Scalar(Option<String>),
    Array(Vec<Option<String>>),
}

/// The parameters of a statement.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Parameters {
    /// Names, or numbers from 1 for `?`, in the order of their use.
    values: Vec<(String, Typed)>,
}

/// Why a statement's parameters are not all there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParameterError {
    /// No value is declared.
    #[error(
        "the parameter {} has no value; write `-- @{name} DATE = 2024-01-01`, with its own type and value, into the \
         file, or set `parameters`",
        shown(.name)
    )]
    Missing {
        /// Its name or number.
        name: String,
    },
    /// What is declared cannot be read.
    #[error("the parameter {}: {why}", shown(.name))]
    Unreadable {
        /// Its name or number.
        name: String,
        /// What is wrong, and what it should be.
        why: String,
    },
}

/// Declared values by name in small letters.
#[derive(Debug, Clone, Default)]
pub struct Declared(BTreeMap<String, String>);

impl Declared {
    /// What the settings declare, and over it what comments of this text do.
    #[must_use]
    pub fn read(text: &str, settings: &BTreeMap<String, String>) -> Self {
        let mut declared = Self::default();
        for (name, text) in settings {
            declared.set(name, text);
        }
        for Declaration { name, text } in declarations(text) {
            declared.set(&name, &text);
        }
        declared
    }

    /// Declares one more: `DATE = 2024-01-01`.
    pub fn set(&mut self, name: &str, text: &str) {
        self.0
            .insert(name.trim_start_matches('@').to_lowercase(), text.to_owned());
    }

    /// The parameters that this statement uses.
    ///
    /// # Errors
    /// Where one is not declared, or its declaration cannot be read: the first of them.
    pub fn of(&self, sql: &str) -> Result<Parameters, ParameterError> {
        let typed = |name: String| {
            let text = self.0.get(&name.to_lowercase());
            let text = text.ok_or_else(|| ParameterError::Missing { name: name.clone() })?;
            match Typed::parse(text) {
                Ok(typed) => Ok((name, typed)),
                Err(why) => Err(ParameterError::Unreadable { name, why }),
            }
        };
        let values = used(sql).into_iter().map(typed).collect::<Result<_, _>>()?;
        Ok(Parameters { values })
    }

    /// Parameters of this statement that have no value yet.
    #[must_use]
    pub fn missing(&self, sql: &str) -> Vec<String> {
        let mut names = used(sql);
        names.retain(|name| !self.0.contains_key(&name.to_lowercase()));
        names
    }
}

impl Parameters {
    /// Writes them into `configuration.query` of a job.
    pub(super) fn put(&self, query: &mut Value) {
        if self.values.is_empty() {
            return;
        }
        let positional = self.values.iter().all(|(name, _)| is_number(name));
        query["parameterMode"] = json!(if positional { "POSITIONAL" } else { "NAMED" });
        let parameter = |(name, typed): &(String, Typed)| {
            let mut parameter =
                json!({"parameterType": typed.api_type(), "parameterValue": typed.api_value()});
            if !positional {
                parameter["name"] = json!(name);
            }
            parameter
        };
        query["queryParameters"] = self.values.iter().map(parameter).collect();
    }
}

impl Typed {
    /// Reads `DATE = 2024-01-01`, `STRING 'x'`, `ARRAY<INT64> = [1, 2]`, `INT64 = NULL`.
    ///
    /// # Errors
    /// What is wrong, and what it should be.
    pub fn parse(text: &str) -> Result<Self, String> {
        let TypedText {
            written,
            data_type,
            array,
            value,
        } = TypedText::read(text);
        let data_type = data_type.ok_or_else(|| {
            let names: Vec<&str> = type_names().collect();
            format!("`{written}` is no type that a parameter can be given here; there are {} and ARRAY<…> of them, as in `DATE = 2024-01-01`", names.join(", "))
        })?;
        if value.is_empty() {
            return Err(format!(
                "there is no value after {written}, as in `{written} = 2024-01-01`"
            ));
        }
        let value = if array {
            TypedValue::Array(elements(value)?)
        } else {
            TypedValue::Scalar(scalar(value))
        };
        Ok(Self { data_type, value })
    }

    fn api_type(&self) -> Value {
        match self.value {
            TypedValue::Scalar(_) => json!({"type": self.data_type}),
            TypedValue::Array(_) => json!({"type": "ARRAY", "arrayType": {"type": self.data_type}}),
        }
    }

    fn api_value(&self) -> Value {
        match &self.value {
            TypedValue::Scalar(value) => json!({"value": value}),
            TypedValue::Array(values) => {
                let values: Vec<Value> = values.iter().map(|value| json!({"value": value})).collect();
                json!({"arrayValues": values})
            }
        }
    }
}

/// A value without its quotes; none for NULL.
fn scalar(text: &str) -> Option<String> {
    let quoted = ['\'', '"']
        .iter()
        .find_map(|quote| text.strip_prefix(*quote)?.strip_suffix(*quote).map(str::to_owned));
    match quoted {
        Some(text) => Some(text),
        None if text.eq_ignore_ascii_case("null") => None,
        None => Some(text.to_owned()),
    }
}

/// The elements of `[1, 'two, too', 3]`.
fn elements(text: &str) -> Result<Vec<Option<String>>, String> {
    let inner = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .ok_or_else(|| format!("an array is written in brackets, as in `[1, 2]`, not {text}"))?;
    if inner.trim().is_empty() {
        return Ok(Vec::new());
    }
    let mut quote = None;
    let is_border = |c: char| {
        match quote {
            Some(open) if c == open => quote = None,
            None if matches!(c, '\'' | '"') => quote = Some(c),
            _ => {}
        }
        c == ',' && quote.is_none()
    };
    Ok(inner.split(is_border).map(|part| scalar(part.trim())).collect())
}

fn is_number(name: &str) -> bool {
    name.bytes().all(|b| b.is_ascii_digit())
}

/// As a person names it.
fn shown(name: &str) -> String {
    if is_number(name) {
        format!("? number {name}")
    } else {
        format!("@{name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_settings_give_values() {
        let settings = BTreeMap::from([
            ("day".to_owned(), "DATE = 2023-01-01".to_owned()),
            ("n".to_owned(), "INTEGER 3".to_owned()),
        ]);
        let text = "-- @Day DATE = '2024-01-01'\n-- @ids ARRAY<STRING> = ['a, b', \"c\", NULL]\nSELECT @day, @n, @ids";
        let parameters = Declared::read(text, &settings)
            .of(text)
            .expect("all are declared");
        let mut query = json!({});
        parameters.put(&mut query);
        assert_eq!(
            query,
            json!({"parameterMode": "NAMED", "queryParameters": [
                {"name": "day", "parameterType": {"type": "DATE"}, "parameterValue": {"value": "2024-01-01"}},
                {"name": "n", "parameterType": {"type": "INT64"}, "parameterValue": {"value": "3"}},
                {"name": "ids", "parameterType": {"type": "ARRAY", "arrayType": {"type": "STRING"}},
                 "parameterValue": {"arrayValues": [{"value": "a, b"}, {"value": "c"}, {"value": null}]}},
            ]})
        );
    }

    #[test]
    fn positions_have_numbers() {
        let text = "-- @1 BOOL = true\nSELECT ?";
        let declared = Declared::read(text, &BTreeMap::new());
        let mut query = json!({});
        declared.of(text).expect("it is declared").put(&mut query);
        assert_eq!(query["parameterMode"], "POSITIONAL");
        assert_eq!(query["queryParameters"][0]["parameterValue"]["value"], "true");
        assert_eq!(declared.missing("SELECT ? + ?"), ["2"]);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let none = BTreeMap::new();
        let unknown = Typed::parse("DAY = 3").expect_err("there is no such type");
        assert!(unknown.contains("`DAY` is no type"), "{unknown}");
        for (text, part) in [
            ("SELECT @day", "@day has no value"),
            ("SELECT ?", "? number 1 has no value"),
            ("-- @day the first day\nSELECT @day", "@day has no value"),
            ("-- @day DATE =\nSELECT @day", "no value after DATE"),
            ("-- @ids ARRAY<INT64> = 3\nSELECT @ids", "in brackets"),
        ] {
            let error = Declared::read(text, &none).of(text).expect_err(text).to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
