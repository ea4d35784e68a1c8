//! Reads `tables.get` and `routines.get` resources, as `bq show --format=json` prints them.

use serde::Deserialize;
use serde_json::Value;

use super::{
    Argument, Column, DataType, ForeignKey, Mode, Partitioning, Routine, RoutineKind, TableKind, TableNotes,
    TableReference, TableSchema,
};

/// What a catalog text holds that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ResourceError {
    /// The text is not JSON from this line on.
    #[error("line {line}: {message}")]
    Json {
        /// Line, from 1.
        line: usize,
        /// What the JSON reader says.
        message: String,
    },
    /// A resource lacks what it must have.
    #[error("line {line}: {message}")]
    Resource {
        /// Line where the resource begins, from 1; with a JSON array, the number of the element instead.
        line: usize,
        /// What is missing or wrong.
        message: String,
    },
}

/// Tables and routines of a catalog text: a JSON array, one object, or JSON lines.
///
/// Lines that cannot be read are left out and reported: the rest still counts.
#[must_use]
pub fn read_resources(text: &str) -> (Vec<TableSchema>, Vec<Routine>, Vec<ResourceError>) {
    let mut tables = Vec::new();
    let mut routines = Vec::new();
    let mut errors = Vec::new();
    for (line, value) in values(text, &mut errors) {
        match read_one(value) {
            Ok(Resource::Table(t)) => tables.push(*t),
            Ok(Resource::Routine(r)) => routines.push(r),
            Err(message) => errors.push(ResourceError::Resource { line, message }),
        }
    }
    (tables, routines, errors)
}

fn values(text: &str, errors: &mut Vec<ResourceError>) -> Vec<(usize, Value)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Array(items)) => {
            return items.into_iter().enumerate().map(|(i, v)| (i + 1, v)).collect();
        }
        Ok(value) => return vec![(1, value)],
        Err(error) if text.trim_start().starts_with('[') => {
            errors.push(ResourceError::Json {
                line: error.line(),
                message: error.to_string(),
            });
            return Vec::new();
        }
        Err(_) => {}
    }
    let mut values = Vec::new();
    for (index, line) in text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
        match serde_json::from_str(line) {
            Ok(value) => values.push((index + 1, value)),
            Err(error) => errors.push(ResourceError::Json {
                line: index + 1,
                message: error.to_string(),
            }),
        }
    }
    values
}

enum Resource {
    Table(Box<TableSchema>),
    Routine(Routine),
}

fn read_one(value: Value) -> Result<Resource, String> {
    if value.get("tableReference").is_some() {
        let raw: RawTable = serde_json::from_value(value).map_err(|e| e.to_string())?;
        Ok(Resource::Table(Box::new(raw.into())))
    } else if value.get("routineReference").is_some() {
        let raw: RawRoutine = serde_json::from_value(value).map_err(|e| e.to_string())?;
        Ok(Resource::Routine(raw.into()))
    } else {
        Err("neither a table (`tableReference`) nor a routine (`routineReference`)".to_owned())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawReference {
    #[serde(default)]
    project_id: String,
    dataset_id: String,
    table_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawRoutineReference {
    #[serde(default)]
    project_id: String,
    dataset_id: String,
    routine_id: String,
}

#[derive(Deserialize, Default)]
struct RawSchema {
    #[serde(default)]
    fields: Vec<RawField>,
}

#[derive(Deserialize)]
struct RawField {
    name: String,
    #[serde(rename = "type")]
    data_type: String,
    #[serde(default)]
    mode: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    fields: Vec<RawField>,
    #[serde(default, rename = "policyTags")]
    policy_tags: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawTable {
    table_reference: RawReference,
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    schema: RawSchema,
    #[serde(default)]
    table_constraints: RawConstraints,
    time_partitioning: Option<RawTimePartitioning>,
    range_partitioning: Option<RawRangePartitioning>,
    #[serde(default)]
    require_partition_filter: bool,
    clustering: Option<RawClustering>,
    num_rows: Option<Value>,
    num_bytes: Option<Value>,
    #[serde(default)]
    labels: Value,
    #[serde(default)]
    snapshot_definition: Value,
    #[serde(default)]
    clone_definition: Value,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct RawConstraints {
    primary_key: Option<RawPrimaryKey>,
    foreign_keys: Vec<RawForeignKey>,
}

#[derive(Deserialize)]
struct RawPrimaryKey {
    #[serde(default)]
    columns: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawForeignKey {
    referenced_table: RawReference,
    #[serde(default)]
    column_references: Vec<RawColumnReference>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawColumnReference {
    referencing_column: String,
    referenced_column: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawTimePartitioning {
    #[serde(default, rename = "type")]
    kind: String,
    field: Option<String>,
    #[serde(default)]
    require_partition_filter: bool,
}

#[derive(Deserialize)]
struct RawRangePartitioning {
    field: Option<String>,
}

#[derive(Deserialize)]
struct RawClustering {
    #[serde(default)]
    fields: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawRoutine {
    routine_reference: RawRoutineReference,
    #[serde(default)]
    routine_type: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    arguments: Vec<RawArgument>,
    return_type: Option<Value>,
    return_table_type: Option<RawReturnTable>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawArgument {
    #[serde(default)]
    name: String,
    data_type: Option<Value>,
}

#[derive(Deserialize)]
struct RawReturnTable {
    #[serde(default)]
    columns: Vec<RawReturnColumn>,
}

#[derive(Deserialize)]
struct RawReturnColumn {
    #[serde(default)]
    name: String,
    #[serde(rename = "type")]
    data_type: Option<Value>,
}

impl From<RawReference> for TableReference {
    fn from(raw: RawReference) -> Self {
        Self {
            project: raw.project_id,
            dataset: raw.dataset_id,
            table: raw.table_id,
        }
    }
}

impl From<RawField> for Column {
    fn from(raw: RawField) -> Self {
        Self {
            data_type: DataType::from_name(&raw.data_type),
            mode: match raw.mode.to_ascii_uppercase().as_str() {
                "REPEATED" => Mode::Repeated,
                "REQUIRED" => Mode::Required,
                _ => Mode::Nullable,
            },
            name: raw.name,
            description: raw.description,
            fields: raw.fields.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<RawTable> for TableSchema {
    fn from(raw: RawTable) -> Self {
        let (partitioning, notes) = (partitioning(&raw), notes(&raw));
        Self {
            reference: raw.table_reference.into(),
            kind: match raw.kind.as_str() {
                "VIEW" => TableKind::View,
                "MATERIALIZED_VIEW" => TableKind::MaterializedView,
                "EXTERNAL" => TableKind::External,
                "SNAPSHOT" => TableKind::Snapshot,
                _ if raw.clone_definition.is_object() => TableKind::Clone,
                _ => TableKind::Table,
            },
            description: raw.description,
            columns: raw.schema.fields.into_iter().map(Into::into).collect(),
            primary_key: raw
                .table_constraints
                .primary_key
                .map(|k| k.columns)
                .unwrap_or_default(),
            foreign_keys: raw
                .table_constraints
                .foreign_keys
                .into_iter()
                .map(Into::into)
                .collect(),
            partitioning,
            clustering: raw.clustering.map(|c| c.fields).unwrap_or_default(),
            num_rows: raw.num_rows.as_ref().and_then(count),
            num_bytes: raw.num_bytes.as_ref().and_then(count),
            notes,
        }
    }
}

/// Whatever form they have: nothing of this may lose a table.
fn notes(raw: &RawTable) -> TableNotes {
    let labels = raw.labels.as_object().into_iter().flatten();
    let mut labels: Vec<(String, String)> = labels
        .map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned()))
        .collect();
    labels.sort();
    let mut policy_tags = Vec::new();
    add_policy_tags("", &raw.schema.fields, &mut policy_tags);
    let base = [&raw.snapshot_definition, &raw.clone_definition]
        .into_iter()
        .find_map(|definition| {
            let reference = definition.get("baseTableReference")?.clone();
            serde_json::from_value::<RawReference>(reference).ok()
        });
    TableNotes {
        labels,
        policy_tags,
        base: base.map(Into::into),
    }
}

fn add_policy_tags(before: &str, fields: &[RawField], found: &mut Vec<(String, Vec<String>)>) {
    for field in fields {
        let path = format!("{before}{}", field.name);
        let names = field
            .policy_tags
            .get("names")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        let names: Vec<String> = names.filter_map(Value::as_str).map(str::to_owned).collect();
        add_policy_tags(&format!("{path}."), &field.fields, found);
        if !names.is_empty() {
            found.push((path, names));
        }
    }
}

fn partitioning(raw: &RawTable) -> Option<Partitioning> {
    if let Some(time) = &raw.time_partitioning {
        return Some(Partitioning {
            column: time.field.clone(),
            kind: if time.kind.is_empty() {
                "DAY".to_owned()
            } else {
                time.kind.clone()
            },
            require_filter: raw.require_partition_filter || time.require_partition_filter,
        });
    }
    raw.range_partitioning.as_ref().map(|range| Partitioning {
        column: range.field.clone(),
        kind: "RANGE".to_owned(),
        require_filter: raw.require_partition_filter,
    })
}

/// The API prints 64-bit counts as strings; other tools print numbers.
fn count(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

impl From<RawForeignKey> for ForeignKey {
    fn from(raw: RawForeignKey) -> Self {
        Self {
            table: raw.referenced_table.into(),
            columns: raw
                .column_references
                .into_iter()
                .map(|c| (c.referencing_column, c.referenced_column))
                .collect(),
        }
    }
}

impl From<RawRoutine> for Routine {
    fn from(raw: RawRoutine) -> Self {
        let name = raw.routine_reference;
        Self {
            reference: TableReference {
                project: name.project_id,
                dataset: name.dataset_id,
                table: name.routine_id,
            },
            kind: match raw.routine_type.as_str() {
                "AGGREGATE_FUNCTION" => RoutineKind::Aggregate,
                "TABLE_VALUED_FUNCTION" => RoutineKind::Table,
                "PROCEDURE" => RoutineKind::Procedure,
                _ => RoutineKind::Scalar,
            },
            description: raw.description,
            arguments: raw
                .arguments
                .into_iter()
                .map(|a| Argument {
                    name: a.name,
                    data_type: a.data_type.as_ref().and_then(type_text),
                })
                .collect(),
            return_type: raw.return_type.as_ref().and_then(type_text),
            return_columns: raw.return_table_type.map(return_columns).unwrap_or_default(),
        }
    }
}

fn return_columns(raw: RawReturnTable) -> Vec<Column> {
    raw.columns
        .into_iter()
        .filter_map(|c| type_column(c.name, c.data_type.as_ref()?))
        .collect()
}

/// A `StandardSqlDataType` as SQL text.
fn type_text(value: &Value) -> Option<String> {
    type_column(String::new(), value).map(|c| c.sql_type())
}

/// A column of a `StandardSqlDataType`.
fn type_column(name: String, value: &Value) -> Option<Column> {
    let kind = value.get("typeKind")?.as_str()?;
    if kind == "ARRAY" {
        let mut column = type_column(name, value.get("arrayElementType")?)?;
        column.mode = Mode::Repeated;
        return Some(column);
    }
    let fields = value
        .pointer("/structType/fields")
        .and_then(Value::as_array)
        .map(|fields| {
            fields
                .iter()
                .filter_map(|f| {
                    let name = f.get("name").and_then(Value::as_str).unwrap_or_default();
                    type_column(name.to_owned(), f.get("type")?)
                })
                .collect()
        })
        .unwrap_or_default();
    Some(Column {
        name,
        data_type: DataType::from_name(kind),
        mode: Mode::Nullable,
        description: String::new(),
        fields,
    })
}
