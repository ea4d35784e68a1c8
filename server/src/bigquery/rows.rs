//! Rows as BigQuery gives them: of a job's result, or of a table, which costs nothing.

use std::time::Duration;

use bigquill_analysis::schema::TableReference;
use chrono::DateTime;
use serde_json::{Map, Number, Value};

use super::job::{JobReference, in_location, number};
use super::{BigQuery, BigQueryError};

/// How long one call waits for a job to end; the caller asks again.
const WAIT: &str = "10000";
/// How often it asks: jobs that are asked for rows have ended.
const WAITS: usize = 30;
/// Between two times, for a server that does not wait.
const PAUSE: Duration = Duration::from_millis(200);

/// A column of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultField {
    /// Its name.
    pub name: String,
    /// Its type, as the API names it: `INTEGER`, `RECORD`, …
    pub data_type: String,
    /// Whether it is an array of that type.
    pub repeated: bool,
    /// Fields of a `RECORD`.
    pub fields: Vec<ResultField>,
}

/// Some rows that follow each other.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Rows {
    /// The columns.
    pub fields: Vec<ResultField>,
    /// A value for each column of each row: see [`ResultField::value`].
    pub rows: Vec<Vec<Value>>,
    /// Rows of the whole.
    pub total: u64,
}

/// What has rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowSource {
    /// The result of a job.
    Job(JobReference),
    /// A table.
    Table(TableReference),
}

impl BigQuery {
    /// Rows from number `start` (from 0) on, at most so many. Fewer come where a page of BigQuery is full (10 MB).
    ///
    /// # Errors
    /// Where there is no such job or table, the job has failed, or BigQuery cannot be asked.
    pub async fn rows(&self, source: &RowSource, start: u64, most: usize) -> Result<Rows, BigQueryError> {
        match source {
            RowSource::Job(reference) => self.rows_of_job(reference, start, most).await,
            RowSource::Table(table) => self.rows_of_table(table, start, most).await,
        }
    }

    async fn rows_of_job(
        &self,
        reference: &JobReference,
        start: u64,
        most: usize,
    ) -> Result<Rows, BigQueryError> {
        let (start, most) = (start.to_string(), most.to_string());
        let mut query = page(&start, &most);
        query.push(("timeoutMs", WAIT));
        query.extend(in_location(reference));
        let path = ["projects", &reference.project, "queries", &reference.id];
        for _ in 0..WAITS {
            let answer = self.transport.get(&path, &query).await?;
            if answer.get("jobComplete").and_then(Value::as_bool) != Some(false) {
                let fields = answer.get("schema").map(fields).unwrap_or_default();
                return Ok(rows(&answer, fields));
            }
            tokio::time::sleep(PAUSE).await;
        }
        let what = format!("the rows of job {} are not there", reference.full_id());
        Err(BigQueryError::Unavailable(what))
    }

    async fn rows_of_table(
        &self,
        table: &TableReference,
        start: u64,
        most: usize,
    ) -> Result<Rows, BigQueryError> {
        let resource = self.table(&table.project, &table.dataset, &table.table).await?;
        let fields = resource.get("schema").map(fields).unwrap_or_default();
        let (from, limit) = (start.to_string(), most.to_string());
        let path = [
            "projects",
            &table.project,
            "datasets",
            &table.dataset,
            "tables",
            &table.table,
            "data",
        ];
        let answer = self.transport.get(&path, &page(&from, &limit)).await?;
        let mut rows = rows(&answer, fields);
        if rows.rows.len() > most {
            // The emulator gives all rows whatever is asked.
            let start = usize::try_from(start).unwrap_or(usize::MAX).min(rows.rows.len());
            rows.rows.drain(..start);
            rows.rows.truncate(most);
        }
        Ok(rows)
    }
}

fn page<'a>(start: &'a str, most: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        ("startIndex", start),
        ("maxResults", most),
        // Else a moment is a floating-point number of seconds, in which its microseconds are lost.
        ("formatOptions.useInt64Timestamp", "true"),
    ]
}

fn rows(answer: &Value, fields: Vec<ResultField>) -> Rows {
    let row = |row: &Value| {
        let cells = row.get("f").and_then(Value::as_array);
        let cells = cells.map(Vec::as_slice).unwrap_or_default();
        let value = |(at, field): (usize, &ResultField)| field.value(cells.get(at).and_then(|c| c.get("v")));
        fields.iter().enumerate().map(value).collect()
    };
    let all = answer.get("rows").and_then(Value::as_array);
    Rows {
        rows: all.into_iter().flatten().map(row).collect(),
        total: answer.get("totalRows").and_then(number).unwrap_or_default(),
        fields,
    }
}

/// The fields of `{"fields": […]}`.
pub(super) fn fields(schema: &Value) -> Vec<ResultField> {
    let all = schema.get("fields").and_then(Value::as_array);
    let field = |field: &Value| {
        let text = |member: &str| {
            let text = field.get(member).and_then(Value::as_str);
            text.unwrap_or_default().to_owned()
        };
        ResultField {
            name: text("name"),
            data_type: text("type"),
            repeated: text("mode") == "REPEATED",
            fields: fields(field),
        }
    };
    all.into_iter().flatten().map(field).collect()
}

impl ResultField {
    /// A value as JSON has it: numbers for INT64 and FLOAT64, texts for what JSON has no type for (NUMERIC, dates and
    /// times as BigQuery prints them, BYTES in base64), objects for structs, lists for arrays.
    #[must_use]
    pub fn value(&self, cell: Option<&Value>) -> Value {
        match cell {
            None | Some(Value::Null) if self.repeated => Value::Array(Vec::new()),
            None | Some(Value::Null) => Value::Null,
            Some(Value::Array(items)) if self.repeated => {
                let item = |item: &Value| self.single(item.get("v").unwrap_or(&Value::Null));
                items.iter().map(item).collect()
            }
            Some(cell) => self.single(cell),
        }
    }

    fn single(&self, cell: &Value) -> Value {
        match (self.data_type.as_str(), cell) {
            ("RECORD" | "STRUCT", cell) => {
                let cells = cell.get("f").and_then(Value::as_array);
                let cells = cells.map(Vec::as_slice).unwrap_or_default();
                let member = |(at, field): (usize, &ResultField)| {
                    let value = field.value(cells.get(at).and_then(|cell| cell.get("v")));
                    (field.name.clone(), value)
                };
                Value::Object(self.fields.iter().enumerate().map(member).collect::<Map<_, _>>())
            }
            (data_type, Value::String(text)) => scalar(data_type, text),
            (_, other) => other.clone(),
        }
    }

    /// The type as SQL writes it: `ARRAY<INT64>`, `STRUCT<a STRING>`.
    #[must_use]
    pub fn sql_type(&self) -> String {
        let single = match self.data_type.as_str() {
            "INTEGER" => "INT64".to_owned(),
            "FLOAT" => "FLOAT64".to_owned(),
            "BOOLEAN" => "BOOL".to_owned(),
            "RECORD" | "STRUCT" => {
                let fields = self.fields.iter();
                let fields: Vec<String> = fields.map(|f| format!("{} {}", f.name, f.sql_type())).collect();
                format!("STRUCT<{}>", fields.join(", "))
            }
            other => other.to_owned(),
        };
        if self.repeated {
            format!("ARRAY<{single}>")
        } else {
            single
        }
    }

    /// Whether its values are numbers, which stand at the right.
    #[must_use]
    pub fn is_number(&self) -> bool {
        let names = ["INTEGER", "INT64", "FLOAT", "FLOAT64", "NUMERIC", "BIGNUMERIC"];
        !self.repeated && names.contains(&self.data_type.as_str())
    }
}

fn scalar(data_type: &str, text: &str) -> Value {
    let number = match data_type {
        "INTEGER" | "INT64" => text.parse::<i64>().ok().map(Number::from),
        "FLOAT" | "FLOAT64" => text.parse::<f64>().ok().and_then(Number::from_f64),
        _ => None,
    };
    if let Some(number) = number {
        return Value::Number(number);
    }
    match data_type {
        "BOOLEAN" | "BOOL" if text.eq_ignore_ascii_case("true") => Value::Bool(true),
        "BOOLEAN" | "BOOL" if text.eq_ignore_ascii_case("false") => Value::Bool(false),
        "TIMESTAMP" => Value::String(moment(text).unwrap_or_else(|| text.to_owned())),
        "DATETIME" => Value::String(text.replacen('T', " ", 1)),
        "JSON" => serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned())),
        _ => Value::String(text.to_owned()),
    }
}

/// Microseconds since 1970, or seconds with a fraction, as BigQuery prints a TIMESTAMP.
fn moment(text: &str) -> Option<String> {
    let microseconds = match text.parse::<i64>() {
        Ok(microseconds) => microseconds,
        Err(_) => (text.parse::<f64>().ok()? * 1e6).round() as i64,
    };
    let moment = DateTime::from_timestamp_micros(microseconds)?;
    Some(moment.format("%Y-%m-%d %H:%M:%S%.f UTC").to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn field(data_type: &str) -> ResultField {
        ResultField {
            name: "x".to_owned(),
            data_type: data_type.to_owned(),
            repeated: false,
            fields: Vec::new(),
        }
    }

    #[test]
    fn every_type_becomes_json() {
        for (data_type, text, expected) in [
            ("INTEGER", "9007199254740993", json!(9_007_199_254_740_993_i64)),
            ("FLOAT", "1.5", json!(1.5)),
            ("FLOAT", "NaN", json!("NaN")),
            ("NUMERIC", "1.50", json!("1.50")),
            ("BOOLEAN", "true", json!(true)),
            (
                "TIMESTAMP",
                "1704164645678000",
                json!("2024-01-02 03:04:05.678 UTC"),
            ),
            (
                "TIMESTAMP",
                "1704164645.678000",
                json!("2024-01-02 03:04:05.678 UTC"),
            ),
            ("TIMESTAMP", "-1000000", json!("1969-12-31 23:59:59 UTC")),
            ("DATETIME", "2024-01-01T01:02:03", json!("2024-01-01 01:02:03")),
            ("JSON", "{\"a\": 1}", json!({"a": 1})),
            ("BYTES", "YWI=", json!("YWI=")),
            ("POINT_CLOUD", "new", json!("new")),
        ] {
            assert_eq!(
                field(data_type).value(Some(&json!(text))),
                expected,
                "{data_type}"
            );
        }
        assert_eq!(field("STRING").value(Some(&Value::Null)), Value::Null);
    }

    #[test]
    fn structs_and_arrays_keep_their_form() {
        let schema = json!({"fields": [
            {"name": "s", "type": "RECORD", "mode": "REPEATED", "fields": [{"name": "a", "type": "INTEGER"}]},
            {"name": "n", "type": "STRING", "mode": "REPEATED"},
        ]});
        let answer =
            json!({"totalRows": "7", "rows": [{"f": [{"v": [{"v": {"f": [{"v": "1"}]}}]}, {"v": null}]}]});
        let rows = rows(&answer, fields(&schema));
        assert_eq!(rows.rows, [[json!([{"a": 1}]), json!([])]]);
        assert_eq!(rows.total, 7);
        assert_eq!(rows.fields[0].sql_type(), "ARRAY<STRUCT<a INT64>>");
    }
}
