//! Rows of numbers and words from CSV and JSONL files, and the texts that stand for them.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use serde_json::{Map, Value};

/// Columns that are taken for the text where nobody names one.
const TEXTS: [&str; 2] = ["text", "prompt"];

/// A row: its place, and its values by column, in the file's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) place: String,
    values: Vec<(String, String)>,
}

impl Row {
    pub(super) fn value(&self, column: &str) -> Option<&str> {
        let value = self.values.iter().find(|(name, _)| name == column);
        value.map(|(_, value)| value.as_str())
    }

    pub(super) fn columns(&self) -> impl Iterator<Item = &str> {
        self.values.iter().map(|(name, _)| name.as_str())
    }

    /// The number in a column.
    pub(super) fn number(&self, column: &str) -> anyhow::Result<f64> {
        let Some(value) = self.value(column) else {
            bail!(
                "{}: there is no column {column}; name it with --target, one of: {}",
                self.place,
                self.columns().collect::<Vec<_>>().join(", ")
            )
        };
        let number: Option<f64> = value
            .trim()
            .parse()
            .ok()
            .filter(|number: &f64| number.is_finite());
        number.with_context(|| {
            format!(
                "{}: {column} is {value:?} and no number; mend the row or take it out",
                self.place
            )
        })
    }
}

/// The rows of files: `.csv` with a line of names first, else one JSON object a line.
pub(super) fn read(paths: &[PathBuf]) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for path in paths {
        let before = rows.len();
        if path.extension().is_some_and(|extension| extension == "csv") {
            read_csv(path, &mut rows)?;
        } else {
            read_json(path, &mut rows)?;
        }
        ensure!(
            rows.len() > before,
            "{} has no row; name a file with at least one",
            path.display()
        );
    }
    Ok(rows)
}

fn read_csv(path: &Path, rows: &mut Vec<Row>) -> anyhow::Result<()> {
    let failed = || format!("the data file {} cannot be read", path.display());
    let mut reader = csv::Reader::from_path(path).with_context(failed)?;
    let names = reader.headers().with_context(failed)?.clone();
    for record in reader.records() {
        let record = record.with_context(|| format!("{}: mend the row or take it out", path.display()))?;
        let line = record.position().map_or(0, csv::Position::line);
        let pairs = names.iter().zip(&record);
        rows.push(Row {
            place: format!("{}:{line}", path.display()),
            values: pairs
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        });
    }
    Ok(())
}

fn read_json(path: &Path, rows: &mut Vec<Row>) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("the data file {} cannot be read", path.display()))?;
    for (index, line) in text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
    {
        let place = format!("{}:{}", path.display(), index + 1);
        let object: Map<String, Value> = serde_json::from_str(line).map_err(|error| {
            anyhow::anyhow!("{place}: this is no JSON object ({error}); mend the line or take it out")
        })?;
        let text = |value: &Value| match value {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        rows.push(Row {
            place,
            values: object
                .iter()
                .map(|(name, value)| (name.clone(), text(value)))
                .collect(),
        });
    }
    Ok(())
}

/// How a row becomes a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template(String);

impl Template {
    /// The given one, in which `{column}` stands for a value; else the column `text` or `prompt` as it is.
    pub(super) fn new(given: Option<&str>, row: &Row) -> anyhow::Result<Self> {
        if let Some(given) = given {
            return Ok(Self(given.to_owned()));
        }
        let text = TEXTS.into_iter().find(|name| row.value(name).is_some());
        let Some(text) = text else {
            let columns: Vec<&str> = row.columns().collect();
            let example = columns.first().copied().unwrap_or("column");
            bail!(
                "{}: there is no column text or prompt; say how a row reads, for instance --template \"What is the price \
                 at {example} {{{example}}}?\"; the columns are: {}",
                row.place,
                columns.join(", ")
            )
        };
        Ok(Self(format!("{{{text}}}")))
    }

    pub(super) fn text(&self) -> &str {
        &self.0
    }

    /// The text of a row.
    pub(super) fn fill(&self, row: &Row) -> anyhow::Result<String> {
        let (mut filled, mut rest) = (String::new(), self.0.as_str());
        while let Some(start) = rest.find('{') {
            let Some(length) = rest[start..].find('}') else {
                bail!("the template {:?} has a {{ without its }}", self.0)
            };
            let name = &rest[start + 1..start + length];
            let Some(value) = row.value(name) else {
                bail!(
                    "{}: there is no column {name}, which the template names; the columns are: {}",
                    row.place,
                    row.columns().collect::<Vec<_>>().join(", ")
                )
            };
            filled.push_str(&rest[..start]);
            filled.push_str(value);
            rest = &rest[start + length + 1..];
        }
        filled.push_str(rest);
        ensure!(!filled.trim().is_empty(), "{}: its text is empty", row.place);
        Ok(filled)
    }

    /// Whether the template gives the target away.
    pub(super) fn names(&self, column: &str) -> bool {
        self.0.contains(&format!("{{{column}}}"))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may panic
mod tests {
    use super::*;

    fn rows(name: &str, text: &str) -> anyhow::Result<Vec<Row>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        read(&[path])
    }

    #[test]
    fn both_forms_give_the_same_rows() {
        let csv = rows("a.csv", "rooms,city,price\n2,\"Köln, Süd\",7.5\n").unwrap();
        let json = rows("a.jsonl", r#"{"rooms": 2, "city": "Köln, Süd", "price": 7.5}"#).unwrap();
        assert_eq!(csv[0].values, json[0].values);
        assert!(csv[0].place.ends_with("a.csv:2") && json[0].place.ends_with("a.jsonl:1"));
        assert_eq!(csv[0].number("price").unwrap(), 7.5);
        let template = Template::new(Some("{rooms} rooms in {city}?"), &csv[0]).unwrap();
        assert_eq!(template.fill(&csv[0]).unwrap(), "2 rooms in Köln, Süd?");
    }

    #[test]
    fn what_is_wrong_with_a_row_is_told() {
        let row = &rows("a.csv", "rooms,price\nmany,x\n").unwrap()[0];
        let error = row.number("price").unwrap_err().to_string();
        assert!(error.contains("a.csv:2: price is \"x\" and no number"), "{error}");
        let error = row.number("cost").unwrap_err().to_string();
        assert!(error.contains("--target, one of: rooms, price"), "{error}");
        let error = Template::new(None, row).unwrap_err().to_string();
        assert!(
            error.contains("--template \"What is the price at rooms {rooms}?\""),
            "{error}"
        );
        let error = Template(String::from("{city}"))
            .fill(row)
            .unwrap_err()
            .to_string();
        assert!(error.contains("no column city"), "{error}");
        let error = rows("a.jsonl", "{\"a\": 1}\n{\"a\"").unwrap_err().to_string();
        assert!(error.contains("a.jsonl:2: this is no JSON object"), "{error}");
        assert!(
            rows("a.csv", "a,b\n")
                .unwrap_err()
                .to_string()
                .contains("has no row")
        );
    }
}
