//! Query jobs: begun, looked at, cancelled. Only what a person asks for becomes one.

use std::time::Duration;

use serde_json::{Value, json};

use super::dry_run::refused;
use super::parameter::Parameters;
use super::{BigQuery, BigQueryError, Refusal, no_project};

/// SQL to plan or to run.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// A statement or a script.
    pub sql: String,
    /// Values of its parameters.
    pub parameters: Parameters,
    /// BigQuery refuses to bill more than so many bytes; none for no limit.
    pub maximum_bytes_billed: Option<u64>,
}

/// Names a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobReference {
    /// The project that it is made and billed in.
    pub project: String,
    /// Its id, which we choose: a second try of the same request is then no second job.
    pub id: String,
    /// Where it runs, such as `EU`; none until BigQuery tells.
    pub location: Option<String>,
}

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    /// It waits for its turn.
    Pending,
    /// It runs.
    Running,
    /// It has ended, well or not.
    Done,
}

/// A job as BigQuery tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its name.
    pub reference: JobReference,
    /// How far it is.
    pub state: JobState,
    /// Why it ended without success.
    pub error: Option<Refusal>,
    /// What it did and cost so far.
    pub statistics: JobStatistics,
}

/// What a job did and cost.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JobStatistics {
    /// `SELECT`, `INSERT`, …; empty where BigQuery does not tell.
    pub statement_type: String,
    /// Bytes that it read.
    pub bytes_processed: u64,
    /// Bytes that are billed, where BigQuery tells.
    pub bytes_billed: Option<u64>,
    /// The result was there from an earlier run.
    pub cache_hit: bool,
    /// Time of all slots together, where BigQuery tells.
    pub slot_time: Option<Duration>,
    /// From its start to its end.
    pub duration: Option<Duration>,
    /// Rows that a statement changed, where it is one that does.
    pub affected_rows: Option<u64>,
}

impl BigQuery {
    /// A name for a new job: where the settings say, else where its plan was made.
    ///
    /// # Errors
    /// Where no project is known.
    pub fn new_job(&self, planned: Option<&str>) -> Result<JobReference, BigQueryError> {
        Ok(JobReference {
            project: self.billing_project.clone().ok_or_else(no_project)?,
            id: format!("bigquill_{:032x}", fastrand::u128(..)),
            location: self.location.clone().or_else(|| planned.map(str::to_owned)),
        })
    }

    /// Begins a job of this name.
    ///
    /// # Errors
    /// [`BigQueryError::Refused`] where BigQuery does not take the SQL, and where it cannot be asked.
    pub async fn begin(&self, reference: &JobReference, query: &Query) -> Result<Job, BigQueryError> {
        let mut configuration = configuration(query);
        if let Some(limit) = query.maximum_bytes_billed {
            configuration["maximumBytesBilled"] = json!(limit.to_string());
        }
        let body = json!({
            "jobReference": resource(reference),
            "configuration": {"query": configuration, "labels": {"source": "bigquill"}},
        });
        let path = ["projects", &reference.project, "jobs"];
        match self.transport.post(&path, &body).await {
            Ok(answer) => Ok(job(&answer, reference)),
            // The answer to a first try was lost.
            Err(BigQueryError::Refused { reason, .. }) if reason == "duplicate" => self.job(reference).await,
            Err(error) => Err(error),
        }
    }

    /// The job as it is now.
    ///
    /// # Errors
    /// Where there is no such job, and where BigQuery cannot be asked.
    pub async fn job(&self, reference: &JobReference) -> Result<Job, BigQueryError> {
        let path = ["projects", &reference.project, "jobs", &reference.id];
        let answer = self.transport.get(&path, &in_location(reference)).await?;
        Ok(job(&answer, reference))
    }

    /// Asks BigQuery to end a job. It may run on for a moment.
    ///
    /// # Errors
    /// Where there is no such job, and where BigQuery cannot be asked.
    pub async fn cancel(&self, reference: &JobReference) -> Result<(), BigQueryError> {
        let path = ["projects", &reference.project, "jobs", &reference.id, "cancel"];
        self.transport
            .post_to(&path, &in_location(reference), &json!({}))
            .await
            .map(|_| ())
    }
}

/// `configuration.query` of a job.
pub(super) fn configuration(query: &Query) -> Value {
    let mut configuration = json!({"query": query.sql, "useLegacySql": false});
    query.parameters.put(&mut configuration);
    configuration
}

pub(super) fn resource(reference: &JobReference) -> Value {
    let mut resource = json!({"projectId": reference.project, "jobId": reference.id});
    if let Some(location) = &reference.location {
        resource["location"] = json!(location);
    }
    resource
}

/// Outside of the `US` and `EU` a job is found only with its location.
pub(super) fn in_location(reference: &JobReference) -> Vec<(&str, &str)> {
    let location = reference.location.as_deref();
    location
        .map(|location| ("location", location))
        .into_iter()
        .collect()
}

fn job(answer: &Value, asked: &JobReference) -> Job {
    let location = answer.pointer("/jobReference/location").and_then(Value::as_str);
    let error = answer.pointer("/status/errorResult").map(|error| {
        let text = |member: &str| error.get(member).and_then(Value::as_str).unwrap_or_default();
        refused(text("reason").to_owned(), text("message"))
    });
    Job {
        reference: JobReference {
            location: location.map(str::to_owned).or_else(|| asked.location.clone()),
            ..asked.clone()
        },
        state: match answer.pointer("/status/state").and_then(Value::as_str) {
            Some("DONE") => JobState::Done,
            Some("RUNNING") => JobState::Running,
            _ => JobState::Pending,
        },
        error,
        statistics: statistics(answer),
    }
}

fn statistics(answer: &Value) -> JobStatistics {
    let of_job = |member: &str| answer.pointer(&format!("/statistics/{member}"));
    let of_query = |member: &str| answer.pointer(&format!("/statistics/query/{member}"));
    let milliseconds = |member: &str| of_job(member).and_then(number);
    let duration = milliseconds("endTime").zip(milliseconds("startTime"));
    JobStatistics {
        statement_type: of_query("statementType")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned(),
        bytes_processed: of_query("totalBytesProcessed")
            .or_else(|| of_job("totalBytesProcessed"))
            .and_then(number)
            .unwrap_or_default(),
        bytes_billed: of_query("totalBytesBilled").and_then(number),
        cache_hit: of_query("cacheHit").and_then(Value::as_bool).unwrap_or_default(),
        slot_time: of_query("totalSlotMs")
            .or_else(|| of_job("totalSlotMs"))
            .and_then(number)
            .map(Duration::from_millis),
        duration: duration.map(|(end, start)| Duration::from_millis(end.saturating_sub(start))),
        affected_rows: of_query("numDmlAffectedRows").and_then(number),
    }
}

/// 64-bit numbers are texts in Google's JSON.
pub(super) fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

impl JobReference {
    /// `project:location.id`, as `bq` takes it.
    #[must_use]
    pub fn full_id(&self) -> String {
        match &self.location {
            Some(location) => format!("{}:{location}.{}", self.project, self.id),
            None => format!("{}:{}", self.project, self.id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_tells_its_state_and_cost() {
        let asked = JobReference {
            project: "p".to_owned(),
            id: "j".to_owned(),
            location: None,
        };
        let answer = json!({
            "jobReference": {"projectId": "p", "jobId": "j", "location": "EU"},
            "status": {"state": "DONE", "errorResult": {"reason": "invalidQuery", "message": "Division by zero at [1:8]"}},
            "statistics": {"startTime": "1000", "endTime": "3500", "totalSlotMs": "12000", "query": {
                "totalBytesProcessed": "5", "totalBytesBilled": "10485760", "cacheHit": true,
                "statementType": "SELECT", "numDmlAffectedRows": "3",
            }},
        });
        let job = job(&answer, &asked);
        assert_eq!(job.state, JobState::Done);
        assert_eq!(job.reference.full_id(), "p:EU.j");
        assert_eq!(
            job.error.map(|e| (e.message, e.place)),
            Some(("Division by zero".to_owned(), Some((1, 8))))
        );
        let expected = JobStatistics {
            statement_type: "SELECT".to_owned(),
            bytes_processed: 5,
            bytes_billed: Some(10_485_760),
            cache_hit: true,
            slot_time: Some(Duration::from_secs(12)),
            duration: Some(Duration::from_millis(2500)),
            affected_rows: Some(3),
        };
        assert_eq!(job.statistics, expected);
    }
}
