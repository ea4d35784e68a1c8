//! What a dry run says: an estimate, or why BigQuery refuses the SQL.

use bigquill_analysis::schema::TableReference;
use serde_json::Value;

use super::rows::ResultField;
use super::{BigQueryError, job, message, rows};

/// BigQuery's answer to a dry run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DryRun {
    /// It would run.
    Estimate(Estimate),
    /// It would not.
    Refused(Refusal),
}

/// What a statement would do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Estimate {
    /// Bytes that it would read.
    pub bytes_processed: u64,
    /// How sure these bytes are.
    pub accuracy: Accuracy,
    /// `SELECT`, `INSERT`, `SCRIPT`, …; empty where BigQuery does not tell.
    pub statement_type: String,
    /// Tables that it would read.
    pub tables: Vec<TableReference>,
    /// Columns of its result, where BigQuery tells.
    pub columns: Vec<ResultField>,
    /// Where it would run, such as `EU`, where BigQuery tells.
    pub location: Option<String>,
}

/// How sure an estimate is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Accuracy {
    /// BigQuery does not tell.
    #[default]
    Unknown,
    /// Exactly so much.
    Precise,
    /// At least so much.
    LowerBound,
    /// At most so much, as with clustered tables.
    UpperBound,
}

/// Why BigQuery refuses a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// BigQuery's word for it, such as `invalidQuery`.
    pub reason: String,
    /// What it says, without the place.
    pub message: String,
    /// Line and column from 1 in the SQL that was sent, where it tells.
    pub place: Option<(usize, usize)>,
}

/// What the answer to the job says.
pub(super) fn answer(answer: Result<Value, BigQueryError>) -> Result<DryRun, BigQueryError> {
    match answer {
        Ok(job) => Ok(of_job(&job)),
        Err(BigQueryError::Refused { reason, message }) => Ok(DryRun::Refused(refused(reason, &message))),
        Err(BigQueryError::NotFound(message)) if is_of_the_sql(&message, "Not found: ") => {
            Ok(DryRun::Refused(refused("notFound".to_owned(), &message)))
        }
        Err(BigQueryError::Forbidden(message)) if is_of_the_sql(&message, "Access Denied: ") => {
            Ok(DryRun::Refused(refused("accessDenied".to_owned(), &message)))
        }
        Err(error) => Err(error),
    }
}

/// Whether a message is about something that the SQL names; else it is about the project that the job is in.
fn is_of_the_sql(message: &str, mark: &str) -> bool {
    let object = message.split_once(mark).map_or("", |(_, rest)| rest);
    ["Table ", "Dataset ", "View ", "Routine ", "Function ", "Model "]
        .iter()
        .any(|kind| object.starts_with(kind))
}

fn of_job(answer: &Value) -> DryRun {
    if let Some(error) = answer.pointer("/status/errorResult") {
        let text = |member: &str| error.get(member).and_then(Value::as_str).unwrap_or_default();
        return DryRun::Refused(refused(text("reason").to_owned(), text("message")));
    }
    let query = answer.pointer("/statistics/query");
    let member = |name: &str| query.and_then(|query| query.get(name));
    let bytes = member("totalBytesProcessed").or_else(|| answer.pointer("/statistics/totalBytesProcessed"));
    let tables = member("referencedTables")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    DryRun::Estimate(Estimate {
        bytes_processed: bytes.and_then(job::number).unwrap_or_default(),
        accuracy: match member("totalBytesProcessedAccuracy").and_then(Value::as_str) {
            Some("PRECISE") => Accuracy::Precise,
            Some("LOWER_BOUND") => Accuracy::LowerBound,
            Some("UPPER_BOUND") => Accuracy::UpperBound,
            _ => Accuracy::Unknown,
        },
        statement_type: member("statementType")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned(),
        tables: tables.filter_map(table).collect(),
        columns: member("schema").map(rows::fields).unwrap_or_default(),
        location: answer
            .pointer("/jobReference/location")
            .and_then(Value::as_str)
            .map(str::to_owned),
    })
}

fn table(reference: &Value) -> Option<TableReference> {
    let text = |member: &str| Some(reference.get(member)?.as_str()?.to_owned());
    Some(TableReference {
        project: text("projectId")?,
        dataset: text("datasetId")?,
        table: text("tableId")?,
    })
}

/// A refusal in BigQuery's words.
pub(crate) fn refused(reason: String, text: &str) -> Refusal {
    let (message, place) = message::parse(text);
    Refusal {
        reason,
        message,
        place,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_estimate_has_bytes_and_tables() {
        let job = json!({"statistics": {"query": {
            "totalBytesProcessed": "1073741824", "totalBytesProcessedAccuracy": "UPPER_BOUND", "statementType": "SELECT",
            "referencedTables": [{"projectId": "p", "datasetId": "d", "tableId": "t"}],
        }}});
        let Ok(DryRun::Estimate(estimate)) = answer(Ok(job)) else {
            panic!("an estimate")
        };
        assert_eq!(estimate.bytes_processed, 1 << 30);
        assert_eq!(estimate.accuracy, Accuracy::UpperBound);
        assert_eq!(estimate.tables[0].to_string(), "p.d.t");
    }

    #[test]
    fn the_sql_is_at_fault_or_the_project_is() {
        let of_sql =
            BigQueryError::NotFound("Not found: Table p:d.t was not found in location US".to_owned());
        assert!(matches!(answer(Err(of_sql)), Ok(DryRun::Refused(r)) if r.reason == "notFound"));
        let of_project = BigQueryError::NotFound("Not found: Project p".to_owned());
        assert_eq!(answer(Err(of_project.clone())), Err(of_project));
        let no_jobs =
            "Access Denied: Project p: User does not have bigquery.jobs.create permission in project p.";
        let no_jobs = BigQueryError::Forbidden(no_jobs.to_owned());
        assert_eq!(answer(Err(no_jobs.clone())), Err(no_jobs));
    }
}
