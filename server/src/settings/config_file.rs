//! `bigquill.toml`: where it is found and how its keys become a layer with line numbers.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use toml::de::{DeTable, DeValue};

use super::layer::{Layer, Origin};
use super::{Problem, keys};

/// The configuration file's name.
pub const CONFIG_FILE_NAME: &str = "bigquill.toml";

/// The nearest `bigquill.toml`: in this folder, or beside this file, or in a folder above.
#[must_use]
pub fn find_config_file(start: &Path) -> Option<PathBuf> {
    let start = std::path::absolute(start).ok()?;
    start
        .ancestors()
        .map(|folder| folder.join(CONFIG_FILE_NAME))
        .find(|path| path.is_file())
}

/// The layer that a file holds.
pub(super) fn read(path: &Path) -> Result<Layer, Problem> {
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(path, &error))?;
    let table = DeTable::parse(&text).map_err(|error| {
        let line = error.span().map_or(1, |span| line_of(&text, span.start));
        Origin::line(path, line).problem(&format!("not TOML: {}", error.message()))
    })?;
    let mut map = Map::new();
    let mut lines = Map::new();
    let mut entries: Vec<_> = table.get_ref().iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    for (key, value) in entries {
        let name = key.get_ref().to_string();
        lines.insert(name.clone(), line_of(&text, key.span().start).into());
        map.insert(name, json(value.get_ref()));
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    Ok(Layer::new(&map, folder, |key| {
        let line = lines.get(key).and_then(Value::as_u64).unwrap_or(1);
        Origin::line(path, usize::try_from(line).unwrap_or(1))
    }))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Problem {
    let message = if error.kind() == std::io::ErrorKind::NotFound {
        format!(
            "{}: there is no such configuration file; make one with lines such as `catalog = \"tables.json\"` \
             (settings: {}), or leave the path out to search for {CONFIG_FILE_NAME}",
            path.display(),
            keys().join(", ")
        )
    } else {
        format!(
            "{}: the configuration file cannot be read: {error}",
            path.display()
        )
    };
    Problem {
        file: Some(path.to_owned()),
        line: None,
        message,
    }
}

/// Line of a byte offset, from 1.
fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|b| *b == b'\n').count() + 1
}

fn json(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(number) => integer(number.as_str(), number.radix()),
        DeValue::Float(number) => number.as_str().parse::<f64>().map_or(Value::Null, Value::from),
        DeValue::Boolean(flag) => Value::Bool(*flag),
        DeValue::Datetime(time) => Value::String(time.to_string()),
        DeValue::Array(items) => items.iter().map(|item| json(item.get_ref())).collect(),
        DeValue::Table(table) => table
            .iter()
            .map(|(key, value)| (key.get_ref().to_string(), json(value.get_ref())))
            .collect(),
    }
}

fn integer(digits: &str, radix: u32) -> Value {
    u64::from_str_radix(digits, radix)
        .map(Value::from)
        .or_else(|_| i64::from_str_radix(digits, radix).map(Value::from))
        .unwrap_or_else(|_| Value::String(digits.to_owned()))
}
