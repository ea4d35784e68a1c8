//! Other people's catalogs as snapshot files: `bigquill catalog import`.
//!
//! Read are text-to-SQL catalogs (one JSON object a line with `name` and `tables`, or one object in a file), with
//! `fields`, `primary_keys`, `foreign_keys` and `shards`, and catalogs of analyzer corpora (`tables` with
//! `schema.fields`, `routines`, `defaultProject`). Written are `tables.get` and `routines.get` resources, one JSON
//! array a catalog, so that nothing else in bigquill knows the other forms.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::file::read_text;

mod resource;

/// A catalog that was read: its name and its resources.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportedCatalog {
    /// Name of the file to write, without ending.
    pub name: String,
    /// `tables.get` and `routines.get` resources.
    pub resources: Vec<Value>,
}

/// What was written, and what could not be.
#[derive(Debug, Default)]
pub struct ImportReport {
    /// Files written.
    pub files: Vec<PathBuf>,
    /// Tables in them.
    pub tables: usize,
    /// Routines in them.
    pub routines: usize,
    /// Messages, each with file and line.
    pub problems: Vec<String>,
}

/// Reads `sources` and writes `folder/NAME.json`, or `.json.gz`.
///
/// # Errors
/// Where the folder or a file cannot be written. What cannot be read is a problem in the report.
pub fn import(sources: &[PathBuf], folder: &Path, gzip: bool) -> std::io::Result<ImportReport> {
    std::fs::create_dir_all(folder)?;
    let mut report = ImportReport::default();
    for source in sources {
        let catalogs = match read_text(source) {
            Ok(text) => read(&text, source, &mut report.problems),
            Err(message) => {
                report.problems.push(format!("{}: {message}", source.display()));
                continue;
            }
        };
        for catalog in catalogs {
            report.routines += count(&catalog, "routineReference");
            report.tables += count(&catalog, "tableReference");
            report.files.push(write(&catalog, folder, gzip)?);
        }
    }
    Ok(report)
}

/// The catalogs of a text. `source` names the catalog where the text does not.
pub fn read(text: &str, source: &Path, problems: &mut Vec<String>) -> Vec<ImportedCatalog> {
    if let Ok(value) = serde_json::from_str::<Value>(text) {
        return one(&value, source, 1, problems).into_iter().collect();
    }
    let mut catalogs = Vec::new();
    for (index, line) in text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
        match serde_json::from_str(line) {
            Ok(value) => catalogs.extend(one(&value, source, index + 1, problems)),
            Err(error) => problems.push(format!(
                "{}:{}: not JSON: {error}; this catalog is left out",
                source.display(),
                index + 1
            )),
        }
    }
    catalogs
}

fn one(value: &Value, source: &Path, line: usize, problems: &mut Vec<String>) -> Option<ImportedCatalog> {
    let name = match value.get("name").and_then(Value::as_str) {
        Some(name) => name.to_owned(),
        None => stem(source),
    };
    let mut problem = |what: String| problems.push(format!("{}:{line}: {what}", source.display()));
    if name.is_empty() || name.contains(['/', '\\']) || name == ".." {
        problem(format!(
            "{name:?} cannot be the name of a file; this catalog is left out"
        ));
        return None;
    }
    let Some(tables) = value.get("tables").and_then(Value::as_array) else {
        problem("a catalog has a list `tables`; this object has none and is left out".to_owned());
        return None;
    };
    let project = value
        .get("defaultProject")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let mut resources = Vec::new();
    for table in tables {
        match resource::table(table, project) {
            Ok(resource) => resources.push(resource),
            Err(what) => problem(format!("catalog {name}: {what}; this table is left out")),
        }
    }
    for what in resource::add_keys(&mut resources, value) {
        problem(format!("catalog {name}: {what}"));
    }
    for routine in value
        .get("routines")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        match resource::routine(routine, project) {
            Ok(resource) => resources.push(resource),
            Err(what) => problem(format!("catalog {name}: {what}; this routine is left out")),
        }
    }
    Some(ImportedCatalog { name, resources })
}

/// `etl` of `etl.json.gz`.
fn stem(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    Path::new(name)
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

fn count(catalog: &ImportedCatalog, key: &str) -> usize {
    catalog.resources.iter().filter(|r| r.get(key).is_some()).count()
}

/// One resource a line inside the array: such a file can be read, compared and cut by hand.
fn write(catalog: &ImportedCatalog, folder: &Path, gzip: bool) -> std::io::Result<PathBuf> {
    use std::io::Write;
    let lines: Vec<String> = catalog.resources.iter().map(Value::to_string).collect();
    let text = if lines.is_empty() {
        "[]\n".to_owned()
    } else {
        format!("[\n{}\n]\n", lines.join(",\n"))
    };
    let path = folder.join(format!("{}.json{}", catalog.name, if gzip { ".gz" } else { "" }));
    if gzip {
        let file = std::fs::File::create(&path)?;
        let mut encoder = flate2::write::GzEncoder::new(file, flate2::Compression::default());
        encoder.write_all(text.as_bytes())?;
        encoder.finish()?;
    } else {
        std::fs::write(&path, text)?;
    }
    Ok(path)
}

/// An object without the members that are null or empty.
fn compact(value: Value) -> Value {
    let Value::Object(map) = value else {
        return value;
    };
    let kept: Map<String, Value> = map
        .into_iter()
        .filter(|(_, v)| !v.is_null() && v != &json!("") && v != &json!([]) && v != &json!({}))
        .collect();
    Value::Object(kept)
}

#[cfg(test)]
mod tests;
