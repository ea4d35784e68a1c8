//! Running a statement because a person asked: what it would change, what it would read, the job.
//!
//! The one way to [`BigQuery::begin`]: a statement over the limit of bytes never gets there, and whoever calls asks the
//! person first where [`effects`] names any.

use std::time::Duration;

use bigquill_analysis::syntax::lexer::tokens;
use bigquill_analysis::syntax::split::split;

use crate::bigquery::job::{Job, JobReference, JobState, Query};
use crate::bigquery::{BigQuery, BigQueryError, DryRun, Estimate, Refusal, cost};
use crate::settings::{ByteLimit, Settings};

/// Wait before a job is looked at for the first time; each later wait is half as long again.
const FIRST_LOOK: Duration = Duration::from_millis(200);
/// The longest wait between two looks.
const LONGEST_WAIT: Duration = Duration::from_secs(3);
/// How often BigQuery is asked to cancel a job that it does not know yet.
const CANCEL_TRIES: usize = 5;

/// Why a statement was not run, or not to its end.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RunError {
    /// BigQuery does not take the SQL, or gives up on the way.
    #[error("BigQuery refuses it: {}", .0.message)]
    Refused(Refusal),
    /// It would read too much.
    #[error("{}", over_limit(*.bytes, .limit, *.price_per_tib))]
    OverLimit {
        /// Bytes that it would read.
        bytes: u64,
        /// The limit, as the settings have it.
        limit: String,
        /// What a TiB costs.
        price_per_tib: f64,
    },
    /// BigQuery cannot be asked.
    #[error(transparent)]
    BigQuery(#[from] BigQueryError),
}

/// The limit of bytes that a statement may read, and what they cost.
#[derive(Debug, Clone, PartialEq)]
pub struct CostLimit {
    limit: ByteLimit,
    price_per_tib: f64,
}

impl CostLimit {
    /// The limit that the settings have.
    #[must_use]
    pub fn of(settings: &Settings) -> Self {
        Self {
            limit: settings.maximum_bytes_billed.clone(),
            price_per_tib: settings.price_per_tib,
        }
    }

    /// Holds a statement that would read so many bytes against the limit.
    ///
    /// # Errors
    /// [`RunError::OverLimit`].
    pub fn check(&self, bytes: u64) -> Result<(), RunError> {
        if self.limit.bytes().is_none_or(|limit| bytes <= limit) {
            return Ok(());
        }
        Err(RunError::OverLimit {
            bytes,
            limit: self.limit.to_string(),
            price_per_tib: self.price_per_tib,
        })
    }
}

fn over_limit(bytes: u64, limit: &str, price_per_tib: f64) -> String {
    format!(
        "it would read {}, over the limit of {limit}; read less, or raise `maximum_bytes_billed`",
        cost::text(bytes, price_per_tib)
    )
}

/// What running this may change, to be asked about: `INSERT`, `a script`; none where it only reads.
///
/// Only a text that is one query is taken for harmless, whatever BigQuery says of it.
#[must_use]
pub fn effects(sql: &str) -> Option<String> {
    let statements = split(sql).statements;
    let [statement] = statements.as_slice() else {
        return Some("a script".to_owned());
    };
    let sql = &sql[statement.range.clone()];
    let all = tokens(sql);
    let mut code = all.iter().filter(|token| !token.is_comment());
    let first = code.find(|token| !token.is_symbol(sql, "("));
    let word = first.map_or(String::new(), |token| token.text(sql).to_ascii_uppercase());
    match word.as_str() {
        "SELECT" | "WITH" | "FROM" => None,
        "BEGIN" | "DECLARE" | "SET" | "IF" | "LOOP" | "WHILE" | "FOR" | "REPEAT" | "CASE" => {
            Some("a script".to_owned())
        }
        _ => Some(word),
    }
}

/// What BigQuery says a query would read. Nothing is run.
///
/// # Errors
/// Where BigQuery refuses it or cannot be asked, and where it is over the limit.
pub async fn plan(bigquery: &BigQuery, query: &Query, settings: &Settings) -> Result<Estimate, RunError> {
    match bigquery.plan(query).await? {
        DryRun::Refused(refusal) => Err(RunError::Refused(refusal)),
        DryRun::Estimate(estimate) => {
            CostLimit::of(settings).check(estimate.bytes_processed)?;
            Ok(estimate)
        }
    }
}

/// Runs a query to its end. Dropping the future does not end the job: see [`cancel`].
///
/// # Errors
/// Where BigQuery refuses it, gives up on the way, or cannot be asked.
pub async fn finish(
    bigquery: &BigQuery,
    reference: &JobReference,
    query: &Query,
    mut on_state: impl FnMut(&Job),
) -> Result<Job, RunError> {
    let begun = bigquery.begin(reference, query).await;
    let mut job = begun.map_err(|error| match error {
        BigQueryError::Refused { reason, message } => RunError::Refused(Refusal {
            reason,
            message,
            place: None,
        }),
        error => RunError::BigQuery(error),
    })?;
    let mut wait = FIRST_LOOK;
    while job.state != JobState::Done {
        on_state(&job);
        tokio::time::sleep(wait).await;
        wait = (wait * 3 / 2).min(LONGEST_WAIT);
        job = bigquery.job(&job.reference).await?;
    }
    match job.error {
        Some(refusal) => Err(RunError::Refused(refusal)),
        None => Ok(job),
    }
}

/// Ends a job that may not have begun yet: the request for it may still be on its way.
///
/// # Errors
/// Where BigQuery cannot be asked.
pub async fn cancel(bigquery: &BigQuery, reference: &JobReference) -> Result<(), BigQueryError> {
    for _ in 0..CANCEL_TRIES {
        match bigquery.cancel(reference).await {
            Err(BigQueryError::NotFound(_)) => tokio::time::sleep(FIRST_LOOK).await,
            ended => return ended,
        }
    }
    Ok(())
}

/// A state as a person reads it.
#[must_use]
pub fn state(job: &Job) -> &'static str {
    match job.state {
        JobState::Pending => "waiting for its turn",
        JobState::Running => "running",
        JobState::Done => "done",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_query_is_harmless() {
        for sql in [
            "SELECT 1",
            "-- a\n(SELECT 1) UNION ALL (SELECT 2);",
            "with x as (select 1) select * from x",
            "FROM d.t |> SELECT a",
        ] {
            assert_eq!(effects(sql), None, "{sql}");
        }
        for (sql, what) in [
            ("INSERT d.t VALUES (1)", "INSERT"),
            ("/* SELECT */ drop table d.t", "DROP"),
            ("CREATE TABLE d.t AS SELECT 1", "CREATE"),
            ("EXPORT DATA OPTIONS () AS SELECT 1", "EXPORT"),
            ("SELECT 1; DELETE FROM d.t WHERE TRUE", "a script"),
            ("DECLARE x INT64; SELECT x", "a script"),
            ("BEGIN SELECT 1; END", "a script"),
        ] {
            assert_eq!(effects(sql).as_deref(), Some(what), "{sql}");
        }
    }

    #[test]
    fn over_the_limit_says_how_much_and_what_to_do() {
        let limit = CostLimit::of(&Settings::default());
        assert_eq!(limit.check(100 << 30), Ok(()));
        let error = limit.check((100 << 30) + 1).expect_err("it is over").to_string();
        assert_eq!(
            error,
            "it would read 100.0 GiB, 0.61 USD, over the limit of 100 GiB; read less, or raise `maximum_bytes_billed`"
        );
    }
}
