//! Results as files: CSV, JSON lines, Markdown. Rows are read and written page by page.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use serde_json::{Map, Value};

use super::{one_line, plain};
use crate::bigquery::rows::{ResultField, RowSource, Rows};
use crate::bigquery::{BigQuery, BigQueryError};

/// Rows that are asked for at once; BigQuery gives fewer where they have more than 10 MB.
const PAGE: usize = 10_000;

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ExportFormat {
    /// Comma-separated values with a header; structs and arrays as JSON.
    Csv,
    /// A JSON object a line.
    Jsonl,
    /// A Markdown table.
    Markdown,
}

/// Why an export was not made.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The file cannot be written.
    #[error("it cannot be written: {0}")]
    Write(#[from] io::Error),
    /// The rows cannot be read.
    #[error(transparent)]
    BigQuery(#[from] BigQueryError),
    /// Fewer rows came than there are.
    #[error("BigQuery gave {0} of {1} rows and then no more: the table has changed; try again")]
    Short(u64, u64),
}

impl ExportFormat {
    /// The format that a file's name asks for.
    #[must_use]
    pub fn of_path(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "csv" => Some(Self::Csv),
            "jsonl" | "ndjson" | "json" => Some(Self::Jsonl),
            "md" | "markdown" => Some(Self::Markdown),
            _ => None,
        }
    }
}

/// Writes all rows into a file, which only its owner may read; it is there whole or not at all. Returns how many.
///
/// # Errors
/// Where rows cannot be read or the file cannot be written; an older file of that name then stays.
pub async fn export_to_file(
    bigquery: &BigQuery,
    source: &RowSource,
    format: ExportFormat,
    path: &Path,
    on_rows: impl FnMut(u64, u64),
) -> Result<u64, ExportError> {
    let mut out = BufWriter::new(beside(path)?);
    let written = export(bigquery, source, format, &mut out, on_rows).await?;
    let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(written)
}

/// Whether a file of this name can be made, before anything is paid for its rows.
///
/// # Errors
/// Where its folder is not there, or cannot be written.
pub fn check_writable(path: &Path) -> io::Result<()> {
    beside(path).map(|_| ())
}

fn beside(path: &Path) -> io::Result<tempfile::NamedTempFile> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))
}

/// Writes all rows. `on_rows` is told how many are written, of how many. Returns how many there were.
///
/// # Errors
/// Where rows cannot be read or written.
pub async fn export(
    bigquery: &BigQuery,
    source: &RowSource,
    format: ExportFormat,
    out: &mut impl Write,
    mut on_rows: impl FnMut(u64, u64),
) -> Result<u64, ExportError> {
    let mut sink = Sink::new(format, out);
    let mut written = 0;
    loop {
        let rows = bigquery.rows(source, written, PAGE).await?;
        if written == 0 {
            sink.header(&rows.fields)?;
        }
        sink.body(&rows)?;
        written += rows.rows.len() as u64;
        on_rows(written, rows.total);
        if written >= rows.total {
            sink.flush()?;
            return Ok(written);
        }
        if rows.rows.is_empty() {
            return Err(ExportError::Short(written, rows.total));
        }
    }
}

/// Where rows go, in a format.
enum Sink<'w, W: Write> {
    Csv(Box<csv::Writer<&'w mut W>>),
    Jsonl(&'w mut W),
    Markdown(&'w mut W),
}

impl<'w, W: Write> Sink<'w, W> {
    fn new(format: ExportFormat, out: &'w mut W) -> Self {
        match format {
            ExportFormat::Csv => Self::Csv(Box::new(csv::Writer::from_writer(out))),
            ExportFormat::Jsonl => Self::Jsonl(out),
            ExportFormat::Markdown => Self::Markdown(out),
        }
    }

    fn header(&mut self, fields: &[ResultField]) -> io::Result<()> {
        let names = || fields.iter().map(|field| field.name.as_str());
        match self {
            Self::Csv(writer) => writer.write_record(names()).map_err(io::Error::other),
            Self::Jsonl(_) => Ok(()),
            Self::Markdown(out) => {
                markdown_row(out, names().map(one_line))?;
                let rule = |field: &ResultField| if field.is_number() { "---:" } else { "---" };
                markdown_row(out, fields.iter().map(|field| rule(field).to_owned()))
            }
        }
    }

    fn body(&mut self, rows: &Rows) -> io::Result<()> {
        for row in &rows.rows {
            match self {
                Self::Csv(writer) => writer
                    .write_record(row.iter().map(csv_cell))
                    .map_err(io::Error::other)?,
                Self::Jsonl(out) => {
                    let names = rows.fields.iter().map(|field| field.name.clone());
                    let object: Map<String, Value> = names.zip(row.iter().cloned()).collect();
                    writeln!(out, "{}", Value::Object(object))?;
                }
                Self::Markdown(out) => markdown_row(out, row.iter().map(|value| one_line(&plain(value))))?,
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Csv(writer) => writer.flush(),
            Self::Jsonl(out) | Self::Markdown(out) => out.flush(),
        }
    }
}

/// NULL is an empty cell, as in BigQuery's own exports.
fn csv_cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        other => plain(other),
    }
}

fn markdown_row(out: &mut impl Write, cells: impl Iterator<Item = String>) -> io::Result<()> {
    for cell in cells {
        write!(out, "| {cell} ")?;
    }
    writeln!(out, "|")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn written(format: ExportFormat) -> String {
        let field = |name: &str, data_type: &str| ResultField {
            name: name.to_owned(),
            data_type: data_type.to_owned(),
            repeated: false,
            fields: Vec::new(),
        };
        let rows = Rows {
            fields: vec![
                field("name", "STRING"),
                field("n", "INTEGER"),
                field("s", "RECORD"),
            ],
            rows: vec![
                vec![json!("a \"quoted\", one"), json!(1), json!({"x": [1]})],
                vec![Value::Null, Value::Null, Value::Null],
            ],
            total: 2,
        };
        let mut out = Vec::new();
        let mut sink = Sink::new(format, &mut out);
        sink.header(&rows.fields).expect("memory takes it");
        sink.body(&rows).expect("memory takes it");
        sink.flush().expect("memory takes it");
        drop(sink);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn each_format_has_all_of_a_value() {
        assert_eq!(
            written(ExportFormat::Csv),
            "name,n,s\n\"a \"\"quoted\"\", one\",1,\"{\"\"x\"\":[1]}\"\n,,\n"
        );
        assert_eq!(
            written(ExportFormat::Jsonl),
            "{\"name\":\"a \\\"quoted\\\", one\",\"n\":1,\"s\":{\"x\":[1]}}\n{\"name\":null,\"n\":null,\"s\":null}\n"
        );
        assert_eq!(
            written(ExportFormat::Markdown),
            "| name | n | s |\n| --- | ---: | --- |\n| a \"quoted\", one | 1 | {\"x\":[1]} |\n| NULL | NULL | NULL |\n"
        );
    }

    #[test]
    fn a_name_tells_the_format() {
        assert_eq!(ExportFormat::of_path(Path::new("a.CSV")), Some(ExportFormat::Csv));
        assert_eq!(
            ExportFormat::of_path(Path::new("a.ndjson")),
            Some(ExportFormat::Jsonl)
        );
        assert_eq!(ExportFormat::of_path(Path::new("a.xlsx")), None);
    }
}
