//! Results as people read them: what a job did and cost, and pages of rows as a table.

use std::time::Duration;

use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{Cell, CellAlignment, Table};
use serde_json::Value;

use crate::bigquery::cost;
use crate::bigquery::job::{Job, JobReference};
use crate::bigquery::rows::Rows;

mod export;

pub use export::{ExportError, ExportFormat, check_writable, export, export_to_file};

/// Longest text of a cell in a table; exports are whole.
const CELL: usize = 200;

/// A page of rows as an aligned Markdown table.
#[must_use]
pub fn table(rows: &Rows) -> String {
    let mut table = Table::new();
    table.load_preset(ASCII_MARKDOWN);
    table.set_header(rows.fields.iter().map(|field| one_line(&field.name)));
    for row in &rows.rows {
        table.add_row(row.iter().map(|value| Cell::new(cut(&one_line(&plain(value))))));
    }
    for (column, field) in table.column_iter_mut().zip(&rows.fields) {
        if field.is_number() {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt()
}

/// A value as text: a string as it is, NULL by its name, structs and arrays as JSON.
#[must_use]
pub fn plain(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// What must not break a line or a cell of a Markdown table is replaced.
fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => line.push('↵'),
            '|' => line.push_str("\\|"),
            c if c.is_control() => line.push(' '),
            c => line.push(c),
        }
    }
    line
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(CELL) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// What a job did and cost: `1.2 GiB processed, 1.2 GiB billed, 0.0073 USD · 3.1 s, slot time 12.0 s`.
#[must_use]
pub fn summary(job: &Job, price_per_tib: f64) -> String {
    let statistics = &job.statistics;
    let mut parts = vec![format!("{} processed", cost::size(statistics.bytes_processed))];
    if let Some(billed) = statistics.bytes_billed {
        parts.push(format!("{} billed", cost::text(billed, price_per_tib)));
    }
    if statistics.cache_hit {
        parts.push("from the cache".to_owned());
    }
    if let Some(rows) = statistics.affected_rows {
        parts.push(format!("{} changed", count(rows, "row")));
    }
    let mut times = Vec::new();
    times.extend(statistics.duration.map(seconds));
    times.extend(
        statistics
            .slot_time
            .map(|time| format!("slot time {}", seconds(time))),
    );
    let parts = parts.join(", ");
    if times.is_empty() {
        parts
    } else {
        format!("{parts} · {}", times.join(", "))
    }
}

/// `1 row`, `12,345 rows`.
#[must_use]
pub fn count(number: u64, noun: &str) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let plural = if number == 1 { "" } else { "s" };
    format!("{grouped} {noun}{plural}")
}

/// The address of a job in Google's console.
#[must_use]
pub fn console_link(job: &JobReference) -> String {
    let location = job.location.as_deref().unwrap_or("US");
    format!(
        "https://console.cloud.google.com/bigquery?project={0}&j=bq:{location}:{1}&page=queryresults",
        job.project, job.id
    )
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::bigquery::job::{JobState, JobStatistics};
    use crate::bigquery::rows::ResultField;

    fn field(name: &str, data_type: &str) -> ResultField {
        ResultField {
            name: name.to_owned(),
            data_type: data_type.to_owned(),
            repeated: false,
            fields: Vec::new(),
        }
    }

    #[test]
    fn a_table_is_aligned_markdown_with_a_line_a_row() {
        let rows = Rows {
            fields: vec![field("name", "STRING"), field("n", "INTEGER")],
            rows: vec![
                vec![json!("a|b\nc"), json!(1)],
                vec![json!("北京"), json!(10)],
                vec![Value::Null, json!(null)],
            ],
            total: 3,
        };
        let expected = "\
| name   |    n |\n\
|--------|------|\n\
| a\\|b↵c |    1 |\n\
| 北京   |   10 |\n\
| NULL   | NULL |";
        assert_eq!(table(&rows), expected);
    }

    #[test]
    fn long_cells_are_cut_between_characters() {
        let rows = Rows {
            fields: vec![field("x", "STRING")],
            rows: vec![vec![json!("é".repeat(300))]],
            total: 1,
        };
        assert!(table(&rows).contains(&format!("{}… |", "é".repeat(200))));
    }

    #[test]
    fn a_summary_says_what_was_billed() {
        let job = Job {
            reference: JobReference {
                project: "p".to_owned(),
                id: "j".to_owned(),
                location: Some("EU".to_owned()),
            },
            state: JobState::Done,
            error: None,
            statistics: JobStatistics {
                bytes_processed: 1_288_490_188,
                bytes_billed: Some(1_289_748_480),
                slot_time: Some(Duration::from_millis(12_340)),
                duration: Some(Duration::from_secs(3)),
                ..JobStatistics::default()
            },
        };
        assert_eq!(
            summary(&job, 6.25),
            "1.2 GiB processed, 1.2 GiB, 0.0073 USD billed · 3.0 s, slot time 12.3 s"
        );
        assert!(console_link(&job.reference).contains("bq:EU:j"));
        assert_eq!(count(1, "row"), "1 row");
        assert_eq!(count(1_234_567, "row"), "1,234,567 rows");
    }
}
