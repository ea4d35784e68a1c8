//! Rows as SQL.
//!
//! `tabledata.insertAll` would be shorter and four times as fast, but goccy/bigquery-emulator 0.8.1 keeps what is in lists as
//! texts then: `EXTRACT` of a date in one fails, and 1.5 + 1 is 1.51.

use bigquill_analysis::schema::{Column, DataType, quote_name};
use serde_json::Value;

use super::super::descriptions::quoted;
use super::{Row, RowTable};

/// Rows of one statement.
const AT_ONCE: usize = 50;

/// The statements that fill a table.
pub(super) fn inserts(table: &RowTable) -> Vec<String> {
    let names: Vec<String> = table.columns.iter().map(|c| quote_name(&c.name)).collect();
    let head = format!("INSERT INTO {} ({}) VALUES ", table.path(), names.join(", "));
    let rows = |rows: &[Row]| {
        let rows: Vec<String> = rows.iter().map(|row| tuple(&table.columns, row)).collect();
        format!("{head}{}", rows.join(", "))
    };
    table.rows.chunks(AT_ONCE).map(rows).collect()
}

fn tuple(columns: &[Column], row: &Row) -> String {
    let value = |column: &Column| match row.get(&column.name) {
        // The fields of lists have their types from the list.
        Some(Value::Object(record)) => format!("{}({})", column.sql_type(), fields(&column.fields, record)),
        Some(value) => literal(column, value),
        None => "NULL".to_owned(),
    };
    let values: Vec<String> = columns.iter().map(value).collect();
    format!("({})", values.join(", "))
}

fn fields(columns: &[Column], record: &Row) -> String {
    let value = |column: &Column| literal(column, record.get(&column.name).unwrap_or(&Value::Null));
    let values: Vec<String> = columns.iter().map(value).collect();
    values.join(", ")
}

fn literal(column: &Column, value: &Value) -> String {
    match (&column.data_type, value) {
        (_, Value::Array(items)) => {
            let items: Vec<String> = items.iter().map(|item| literal(column, item)).collect();
            format!("{}[{}]", column.sql_type(), items.join(", "))
        }
        // A single field in parentheses is no struct.
        (_, Value::Object(record)) if record.len() == 1 => {
            format!("STRUCT({})", fields(&column.fields, record))
        }
        (_, Value::Object(record)) => format!("({})", fields(&column.fields, record)),
        (_, Value::Bool(_) | Value::Number(_)) => value.to_string(),
        (_, Value::Null) => "NULL".to_owned(),
        (DataType::Bytes, Value::String(text)) => format!("FROM_BASE64({})", quoted(text)),
        (DataType::String, Value::String(text)) => quoted(text),
        (other, Value::String(text)) => format!("{} {}", other.sql_name(), quoted(text)),
    }
}
