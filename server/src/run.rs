//! Running a statement because a person asked: what it would change, what it would read, the job.
//!
//! The one way to [`BigQuery::begin`]: [`plan`] stops a statement over the limit of bytes, then whoever calls asks the
//! person where [`effects`] names any, then [`execute`] runs it.

use std::time::Duration;

use bigquill_analysis::syntax::lexer::tokens;
use bigquill_analysis::syntax::split::split;
use tokio::time::Instant;

use crate::bigquery::job::{Job, JobReference, JobState, Query};
use crate::bigquery::{BigQuery, BigQueryError, DryRun, Estimate, Refusal, cost, refused};
use crate::settings::{ByteLimit, Settings};

/// Wait before a job is looked at for the first time; each later wait is half as long again.
const FIRST_LOOK: Duration = Duration::from_millis(200);
/// The longest wait between two looks.
const LONGEST_WAIT: Duration = Duration::from_secs(3);
/// How long BigQuery is asked to cancel a job that it does not know: the request for it may still be on its way.
const CANCEL_PATIENCE: Duration = Duration::from_secs(15);

/// Why a statement was not run, or not to its end.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RunError {
    /// BigQuery does not take the SQL: nothing was run.
    #[error("BigQuery refuses it: {}", .0.message)]
    Refused(Refusal),
    /// It would read too much: nothing was run.
    #[error("it was not run: {}", over_limit(*.bytes, .limit, *.price_per_tib))]
    OverLimit {
        /// Bytes that it would read.
        bytes: u64,
        /// The limit, as the settings have it.
        limit: String,
        /// What a TiB costs.
        price_per_tib: f64,
    },
    /// BigQuery cannot be asked: nothing was run.
    #[error("it was not run: {0}")]
    NotAsked(#[from] BigQueryError),
    /// It ran, and failed. What a script did before stands.
    #[error("it failed while it ran (job {job}): {}", .refusal.message)]
    Failed {
        /// The job.
        job: String,
        /// BigQuery's words.
        refusal: Refusal,
    },
    /// It was begun, or may have been, and how it ended is not known.
    #[error("it may have run, or run still, as job {job}: {error}")]
    Lost {
        /// The job.
        job: String,
        /// Why BigQuery does not tell.
        error: BigQueryError,
    },
}

/// How a job ended that nothing went wrong with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// It is done.
    Done(Box<Job>),
    /// The person cancelled it.
    Cancelled,
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

impl RunError {
    /// Why the limit forbids it, without saying that it was not run; none where another thing is wrong.
    #[must_use]
    pub fn excess(&self) -> Option<String> {
        match self {
            Self::OverLimit {
                bytes,
                limit,
                price_per_tib,
            } => Some(over_limit(*bytes, limit, *price_per_tib)),
            _ => None,
        }
    }

    /// What BigQuery says against the SQL, where that is what is wrong.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) | Self::Failed { refusal, .. } => Some(refusal),
            _ => None,
        }
    }
}

/// What running this may change, to be asked about: `INSERT`, `a script of 3 statements`; none where it only reads.
///
/// Only a text that is one query to us is taken for harmless, and only where BigQuery's plan does not say otherwise.
#[must_use]
pub fn effects(sql: &str, planned: &Estimate) -> Option<String> {
    let of_text = effects_of_text(sql);
    let kind = planned.statement_type.as_str();
    of_text.or_else(|| (!matches!(kind, "" | "SELECT")).then(|| kind.replace('_', " ")))
}

fn effects_of_text(sql: &str) -> Option<String> {
    let statements = split(sql).statements;
    let [statement] = statements.as_slice() else {
        return Some(format!("a script of {} statements", statements.len()));
    };
    let sql = &sql[statement.range.clone()];
    let all = tokens(sql);
    let code: Vec<_> = all.iter().filter(|token| !token.is_comment()).collect();
    let first = code.iter().find(|token| !token.is_symbol(sql, "("));
    let word = first.map_or(String::new(), |token| token.text(sql).to_ascii_uppercase());
    match word.as_str() {
        "SELECT" | "WITH" | "FROM" => code.windows(2).find_map(|pair| {
            let piped = pair[0].is_symbol(sql, "|>");
            let word = pair[1].text(sql).to_ascii_uppercase();
            (piped && matches!(word.as_str(), "INSERT" | "CREATE" | "EXPORT")).then_some(word)
        }),
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

/// Begins a job of this name and follows it to its end, or until `cancelled` says that the person wants no more of it:
/// then BigQuery is asked to cancel it.
///
/// # Errors
/// Where BigQuery refuses it, gives up on the way, or cannot be asked.
pub async fn execute(
    bigquery: &BigQuery,
    reference: &JobReference,
    query: &Query,
    mut on_state: impl FnMut(&Job),
    cancelled: impl Future<Output = ()>,
) -> Result<Ended, RunError> {
    let mut cancelled = std::pin::pin!(cancelled);
    let mut begin = std::pin::pin!(bigquery.begin(reference, query));
    let begun = tokio::select! {
        begun = &mut begin => begun,
        // The request is on its way and is seen to its end: a job that nobody hears of cannot be cancelled.
        () = &mut cancelled => tokio::select! {
            ended = cancel(bigquery, reference) => return ended,
            begun = &mut begin => {
                let job = begun.map_err(|error| not_begun(reference, error))?;
                return cancel(bigquery, &job.reference).await;
            }
        },
    };
    let mut job = begun.map_err(|error| not_begun(reference, error))?;
    let mut wait = FIRST_LOOK;
    while job.state != JobState::Done {
        on_state(&job);
        let look = async {
            tokio::time::sleep(wait).await;
            bigquery.job(&job.reference).await
        };
        let seen = tokio::select! {
            seen = look => seen,
            () = &mut cancelled => return cancel(bigquery, &job.reference).await,
        };
        wait = (wait * 3 / 2).min(LONGEST_WAIT);
        job = seen.map_err(|error| lost(&job.reference, error))?;
    }
    match job.error {
        Some(refusal) => Err(RunError::Failed {
            job: job.reference.full_id(),
            refusal,
        }),
        None => Ok(Ended::Done(Box::new(job))),
    }
}

/// Of an answer that did not come the job may have begun all the same.
fn not_begun(reference: &JobReference, error: BigQueryError) -> RunError {
    match error {
        BigQueryError::Refused { reason, message } => RunError::Refused(refused(reason, &message)),
        BigQueryError::Unavailable(_) | BigQueryError::NotBigQuery(_) => lost(reference, error),
        error => RunError::NotAsked(error),
    }
}

fn lost(reference: &JobReference, error: BigQueryError) -> RunError {
    RunError::Lost {
        job: reference.full_id(),
        error,
    }
}

/// Ends a job that BigQuery may not know yet.
async fn cancel(bigquery: &BigQuery, reference: &JobReference) -> Result<Ended, RunError> {
    let until = Instant::now() + CANCEL_PATIENCE;
    loop {
        match bigquery.cancel(reference).await {
            Ok(()) => return Ok(Ended::Cancelled),
            Err(BigQueryError::NotFound(_)) if Instant::now() < until => tokio::time::sleep(FIRST_LOOK).await,
            Err(error) => return Err(lost(reference, error)),
        }
    }
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

    fn planned(kind: &str) -> Estimate {
        Estimate {
            statement_type: kind.to_owned(),
            ..Estimate::default()
        }
    }

    #[test]
    fn only_one_query_is_harmless() {
        for sql in [
            "SELECT 1",
            "-- a\n(SELECT 1) UNION ALL (SELECT 2);",
            "with x as (select 1) select * from x",
            "FROM d.t |> SELECT a",
        ] {
            assert_eq!(effects(sql, &planned("SELECT")), None, "{sql}");
            assert_eq!(effects(sql, &planned("")), None, "{sql}");
            assert_eq!(
                effects(sql, &planned("CREATE_TABLE")).as_deref(),
                Some("CREATE TABLE")
            );
        }
        for (sql, what) in [
            ("INSERT d.t VALUES (1)", "INSERT"),
            ("/* SELECT */ drop table d.t", "DROP"),
            ("CREATE TABLE d.t AS SELECT 1", "CREATE"),
            ("EXPORT DATA OPTIONS () AS SELECT 1", "EXPORT"),
            ("FROM d.t |> WHERE a > 1 |> INSERT INTO d.u", "INSERT"),
            ("SELECT 1; DELETE FROM d.t WHERE TRUE", "a script of 2 statements"),
            (
                "SELECT 1 --\r; DELETE FROM t WHERE TRUE",
                "a script of 2 statements",
            ),
            ("DECLARE x INT64; SELECT x", "a script of 2 statements"),
            ("BEGIN SELECT 1; END", "a script"),
        ] {
            assert_eq!(effects(sql, &planned("SELECT")).as_deref(), Some(what), "{sql}");
        }
    }

    #[test]
    fn over_the_limit_says_how_much_and_what_to_do() {
        let limit = CostLimit::of(&Settings::default());
        assert_eq!(limit.check(100 << 30), Ok(()));
        let error = limit.check((100 << 30) + 1).expect_err("it is over").excess();
        assert_eq!(
            error.as_deref(),
            Some(
                "it would read 100.0 GiB, 0.61 USD, over the limit of 100 GiB; read less, or raise `maximum_bytes_billed`"
            )
        );
    }
}
