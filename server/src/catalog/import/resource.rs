//! One table or routine of a foreign catalog as BigQuery's REST resource.

use serde_json::{Value, json};

use super::compact;

/// A `tables.get` resource.
pub(super) fn table(table: &Value, default_project: &str) -> Result<Value, String> {
    let dataset = text(table, "dataset").ok_or("a table without `dataset`")?;
    let id = text(table, "table").ok_or("a table without `table`")?;
    let fields = table.get("fields").or_else(|| table.pointer("/schema/fields"));
    let fields = fields
        .and_then(Value::as_array)
        .ok_or_else(|| format!("table {dataset}.{id} has no list `fields`"))?;
    let project = text(table, "project").unwrap_or(default_project);
    Ok(compact(json!({
        "kind": "bigquery#table",
        "tableReference": reference(project, dataset, "tableId", id),
        "type": text(table, "type").unwrap_or("TABLE"),
        "description": text(table, "description"),
        "schema": {"fields": fields.iter().map(field).collect::<Vec<_>>()},
        "timePartitioning": table.get("timePartitioning"),
        "clustering": table.get("clustering"),
        "numRows": table.get("numRows"),
        "numBytes": table.get("numBytes"),
    })))
}

/// A `routines.get` resource.
pub(super) fn routine(routine: &Value, default_project: &str) -> Result<Value, String> {
    let dataset = text(routine, "dataset").ok_or("a routine without `dataset`")?;
    let id = text(routine, "routine").ok_or("a routine without `routine`")?;
    let project = text(routine, "project").unwrap_or(default_project);
    let arguments: Vec<Value> = members(routine, "arguments")
        .map(|a| compact(json!({"name": text(a, "name"), "dataType": data_type(a)})))
        .collect();
    Ok(compact(json!({
        "routineReference": reference(project, dataset, "routineId", id),
        "routineType": text(routine, "routineType").unwrap_or("SCALAR_FUNCTION"),
        "description": text(routine, "description"),
        "arguments": arguments,
        "returnType": routine.get("returns").and_then(data_type),
    })))
}

/// Adds a catalog's `primary_keys` (`table.column`) and `foreign_keys` (pairs of them) to its tables' constraints.
///
/// Returns a message for each key that names no table of the catalog.
pub(super) fn add_keys(tables: &mut [Value], catalog: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    for key in members(catalog, "primary_keys") {
        match key.as_str().and_then(|key| find(tables, key)) {
            Some((index, column)) => push(
                &mut tables[index],
                "/tableConstraints/primaryKey/columns",
                json!(column),
            ),
            None => problems.push(format!("the primary key {key} names no table here")),
        }
    }
    for pair in members(catalog, "foreign_keys") {
        let side = |i: usize| {
            pair.get(i)
                .and_then(Value::as_str)
                .and_then(|key| find(tables, key))
        };
        let (Some((from, column)), Some((to, referenced))) = (side(0), side(1)) else {
            problems.push(format!("the foreign key {pair} names no two tables here"));
            continue;
        };
        let key = json!({
            "referencedTable": tables[to]["tableReference"],
            "columnReferences": [{"referencingColumn": column, "referencedColumn": referenced}],
        });
        push(&mut tables[from], "/tableConstraints/foreignKeys", key);
    }
    problems
}

fn reference(project: &str, dataset: &str, member: &str, id: &str) -> Value {
    compact(json!({"projectId": project, "datasetId": dataset, member: id}))
}

fn field(field: &Value) -> Value {
    compact(json!({
        "name": text(field, "name"),
        "type": text(field, "type").unwrap_or("STRING"),
        "mode": text(field, "mode"),
        "description": text(field, "description"),
        "fields": members(field, "fields").map(self::field).collect::<Vec<_>>(),
    }))
}

/// A `StandardSqlDataType`; none for a type that stands for any.
fn data_type(value: &Value) -> Option<Value> {
    let name = text(value, "type")?.to_ascii_uppercase();
    if name.starts_with("ANY") {
        return None;
    }
    let element = if matches!(name.as_str(), "RECORD" | "STRUCT") {
        let fields: Vec<Value> = members(value, "fields")
            .map(|f| compact(json!({"name": text(f, "name"), "type": data_type(f)})))
            .collect();
        json!({"typeKind": "STRUCT", "structType": {"fields": fields}})
    } else {
        json!({"typeKind": kind(&name)})
    };
    Some(if text(value, "mode") == Some("REPEATED") {
        json!({"typeKind": "ARRAY", "arrayElementType": element})
    } else {
        element
    })
}

/// The name of a type as `StandardSqlDataType` spells it.
fn kind(name: &str) -> &str {
    match name {
        "INTEGER" => "INT64",
        "FLOAT" => "FLOAT64",
        "BOOLEAN" => "BOOL",
        other => other,
    }
}

/// The table and column that `table.column` means. Table names may have dots, column names have none.
fn find(tables: &[Value], key: &str) -> Option<(usize, String)> {
    let (table, column) = key.rsplit_once('.')?;
    let named = |wanted: &dyn Fn(&str) -> bool| {
        tables.iter().position(|t| {
            t.pointer("/tableReference/tableId")
                .and_then(Value::as_str)
                .is_some_and(wanted)
        })
    };
    let index = named(&|name| name == table).or_else(|| named(&|name| name.eq_ignore_ascii_case(table)))?;
    Some((index, column.to_owned()))
}

/// Appends to the list at `path` (`/member/member/list`), which is made where it is missing.
fn push(value: &mut Value, path: &str, item: Value) {
    let mut place = value;
    for member in path.split('/').skip(1) {
        place = &mut place[member];
    }
    match place {
        Value::Array(items) => items.push(item),
        other => *other = json!([item]),
    }
}

fn text<'a>(value: &'a Value, member: &str) -> Option<&'a str> {
    value
        .get(member)
        .and_then(Value::as_str)
        .filter(|t| !t.is_empty())
}

fn members<'a>(value: &'a Value, member: &str) -> impl Iterator<Item = &'a Value> {
    value.get(member).and_then(Value::as_array).into_iter().flatten()
}
