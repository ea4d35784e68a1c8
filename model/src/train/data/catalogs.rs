//! Named catalogs from files: one JSON object a line with `name` and `tables`, or a snapshot file as `bigquill catalog sync`
//! writes it, which is one catalog and called like the file.
//!
//! Tables are BigQuery's own resources (`tables.get`), or the short form `dataset`, `table`, `fields`; beside short
//! tables stand `foreign_keys` and `primary_keys` as `table.column`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bigquill_analysis::schema::{CatalogSnapshot, ResourceError, read_resources};
use serde::Deserialize;
use serde_json::{Value, json};

use super::read::{lines, text_of};
use super::{DataError, Place};

/// Catalogs by name.
#[derive(Debug, Clone, Default)]
pub struct Catalogs(BTreeMap<String, Arc<CatalogSnapshot>>);

#[derive(Deserialize)]
struct Line {
    name: String,
    tables: Vec<Value>,
    #[serde(default)]
    foreign_keys: Vec<(String, String)>,
    #[serde(default)]
    primary_keys: Vec<String>,
}

impl Catalogs {
    /// Reads files, and the `.jsonl` and `.jsonl.gz` files of folders. A later catalog replaces one of its name.
    ///
    /// # Errors
    /// Where a file cannot be read or a line is no catalog.
    pub fn read(paths: &[PathBuf]) -> Result<Self, DataError> {
        let mut catalogs = BTreeMap::new();
        for path in paths
            .iter()
            .map(|path| files(path))
            .collect::<Result<Vec<_>, _>>()?
            .concat()
        {
            let text = text_of(&path)?;
            if is_snapshot(&text) {
                let (name, snapshot) = snapshot(&path, &text)?;
                catalogs.insert(name, Arc::new(snapshot));
                continue;
            }
            for (place, line) in lines(&path, &text) {
                let (name, snapshot) = catalog(line).map_err(|what| DataError::Catalog { place, what })?;
                catalogs.insert(name, Arc::new(snapshot));
            }
        }
        Ok(Self(catalogs))
    }

    /// The catalogs in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Arc<CatalogSnapshot>)> {
        self.0.iter().map(|(name, snapshot)| (name.as_str(), snapshot))
    }

    /// The catalog of that name; an empty one for a question that names none.
    pub(super) fn find(&self, name: Option<&str>, place: &Place) -> Result<Arc<CatalogSnapshot>, DataError> {
        let Some(name) = name else {
            return Ok(Arc::default());
        };
        let found = self.0.get(name).cloned();
        found.ok_or_else(|| DataError::MissingCatalog {
            place: place.clone(),
            name: name.to_owned(),
        })
    }
}

fn files(path: &Path) -> Result<Vec<PathBuf>, DataError> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let failed = |source| DataError::Read {
        path: path.to_owned(),
        source,
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let file = entry.map_err(failed)?.path();
        let name = file.to_string_lossy();
        if name.ends_with(".jsonl") || name.ends_with(".jsonl.gz") {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

/// Whether a file has tables rather than named catalogs, by what stands first in it.
fn is_snapshot(text: &str) -> bool {
    let start = text.trim_start_matches('\u{feff}').trim_start();
    let first = serde_json::Deserializer::from_str(start)
        .into_iter::<Value>()
        .next();
    let has = |value: &Value, key| value.get(key).is_some();
    start.starts_with('[')
        || matches!(first, Some(Ok(value)) if has(&value, "tableReference") || has(&value, "routineReference"))
}

/// The one catalog of a snapshot file, called like the file.
fn snapshot(path: &Path, text: &str) -> Result<(String, CatalogSnapshot), DataError> {
    let (tables, routines, errors) = read_resources(text);
    if let Some(error) = errors.first() {
        let line = match error {
            ResourceError::Json { line, .. } | ResourceError::Resource { line, .. } => *line,
        };
        return Err(DataError::Catalog {
            place: Place {
                path: path.into(),
                line,
            },
            what: error.to_string(),
        });
    }
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy())
        .unwrap_or_default();
    let name = name.split('.').next().unwrap_or_default().to_owned();
    Ok((name, CatalogSnapshot::new(None, tables, routines)))
}

fn catalog(line: &str) -> Result<(String, CatalogSnapshot), String> {
    let line: Line = serde_json::from_str(line).map_err(|error| format!("this is no catalog ({error})"))?;
    let resources: Vec<Value> = line.tables.iter().map(|table| resource(table, &line)).collect();
    let (tables, routines, errors) = read_resources(&Value::Array(resources).to_string());
    match errors.first() {
        Some(error) => Err(format!("a table of {} cannot be read: {error}", line.name)),
        None => Ok((line.name, CatalogSnapshot::new(None, tables, routines))),
    }
}

/// A table in BigQuery's form.
fn resource(table: &Value, catalog: &Line) -> Value {
    if table.get("tableReference").is_some() {
        return table.clone();
    }
    json!({
        "tableReference": reference(table),
        "description": table["description"].as_str().unwrap_or_default(),
        "schema": { "fields": table["fields"] },
        "tableConstraints": {
            "primaryKey": { "columns": primary_key(table, catalog) },
            "foreignKeys": foreign_keys(table, catalog),
        },
    })
}

fn reference(table: &Value) -> Value {
    let mut reference = json!({ "datasetId": table["dataset"], "tableId": table["table"] });
    if let Some(project) = table.get("project") {
        reference["projectId"] = project.clone();
    }
    reference
}

fn primary_key(table: &Value, catalog: &Line) -> Vec<String> {
    let columns = catalog.primary_keys.iter().filter_map(|key| split(key));
    columns
        .filter(|(name, _)| is_named(table, name))
        .filter_map(|(_, column)| column_of(table, column))
        .collect()
}

/// The keys of a table, in the case of the tables' own names; a key whose table or column there is not is left out.
fn foreign_keys(table: &Value, catalog: &Line) -> Vec<Value> {
    let key = |(own, other): &(String, String)| {
        let ((table_name, column), (other_name, other_column)) = (split(own)?, split(other)?);
        let other = catalog.tables.iter().find(|t| is_named(t, other_name))?;
        let column = is_named(table, table_name).then(|| column_of(table, column))??;
        Some(json!({
            "referencedTable": reference(other),
            "columnReferences": [{
                "referencingColumn": column,
                "referencedColumn": column_of(other, other_column)?,
            }],
        }))
    };
    catalog.foreign_keys.iter().filter_map(key).collect()
}

/// `table.column`
fn split(key: &str) -> Option<(&str, &str)> {
    key.split_once('.')
}

fn is_named(table: &Value, name: &str) -> bool {
    table["table"]
        .as_str()
        .is_some_and(|own| own.eq_ignore_ascii_case(name))
}

fn column_of(table: &Value, name: &str) -> Option<String> {
    let fields = table["fields"].as_array()?;
    let names = fields.iter().filter_map(|field| field["name"].as_str());
    names
        .filter(|own| own.eq_ignore_ascii_case(name))
        .map(str::to_owned)
        .next()
}
