//! BigQuery's own word on a generated statement: the last step, where a connection stands.
//!
//! It knows the tables of this moment, where a catalog knows those of some time ago. Where it cannot be asked, or not in
//! time, what the catalog says stands.

use std::sync::Arc;
use std::time::Duration;

use bigquill_analysis::check::{Code, Diagnostic, Severity};
use bigquill_analysis::syntax::lexer::{TokenKind, tokens};

use super::{Judgement, ProvedBy};
use crate::bigquery::unit::Unit;
use crate::bigquery::{BigQuery, BigQueryError, DryRun, Refusal};
use crate::run::CostLimit;
use crate::settings::Settings;

/// How long an answer waits for BigQuery.
const DEADLINE: Duration = Duration::from_secs(5);

/// Reasons of BigQuery's that no other SQL mends.
const NOT_OF_THE_SQL: [&str; 4] = [
    "accessDenied",
    "quotaExceeded",
    "rateLimitExceeded",
    "billingNotEnabled",
];

/// A connection that plans answers.
#[derive(Clone)]
pub struct DryRunStep {
    bigquery: Arc<BigQuery>,
    limit: CostLimit,
    deadline: Duration,
}

/// What BigQuery says of an answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Planned {
    /// It takes it.
    Taken {
        /// Bytes that it would read.
        bytes: u64,
        /// Why that is too much, if it is.
        over_limit: Option<String>,
    },
    /// It does not.
    Refused(Refusal),
}

impl DryRunStep {
    /// Answers are planned over this connection, and held against the limit of the settings.
    #[must_use]
    pub fn new(bigquery: Arc<BigQuery>, settings: &Settings) -> Self {
        Self {
            bigquery,
            limit: CostLimit::of(settings),
            deadline: DEADLINE,
        }
    }

    /// The step that the settings want; none where they want none, or no connection can be had, as the log says.
    pub async fn connect(settings: &Settings) -> Option<Self> {
        if !settings.dry_runs() {
            return None;
        }
        Self::over(BigQuery::connect(settings).await.map(Arc::new), settings)
    }

    /// The step over a connection, if there is one; else the log says why not.
    pub fn over(bigquery: Result<Arc<BigQuery>, BigQueryError>, settings: &Settings) -> Option<Self> {
        match bigquery {
            Ok(bigquery) => Some(Self::new(bigquery, settings)),
            Err(error) => {
                tracing::warn!(%error, "answers are not planned by BigQuery");
                None
            }
        }
    }

    /// The same with another deadline.
    #[must_use]
    pub fn within(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// None where BigQuery does not answer, or not in time.
    pub(super) async fn plan(&self, sql: &str) -> Option<Planned> {
        match tokio::time::timeout(self.deadline, self.bigquery.dry_run(sql)).await {
            Ok(Ok(DryRun::Estimate(estimate))) => {
                let bytes = estimate.bytes_processed;
                Some(Planned::Taken {
                    bytes,
                    over_limit: self.limit.check(bytes).err().and_then(|error| error.excess()),
                })
            }
            Ok(Ok(DryRun::Refused(refusal))) => Some(Planned::Refused(refusal)),
            Ok(Err(error)) => {
                tracing::warn!(%error, "BigQuery was not asked about an answer");
                None
            }
            Err(_) => {
                let seconds = self.deadline.as_secs_f64();
                tracing::warn!(
                    seconds,
                    "BigQuery was not asked about an answer: it takes too long"
                );
                None
            }
        }
    }
}

impl std::fmt::Debug for DryRunStep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DryRunStep")
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

/// Whether BigQuery can be asked about it as it stands: it is one query, nothing is known against it, and no parameter
/// lacks its value.
pub(super) fn is_askable(sql: &str, judgement: &Judgement) -> bool {
    let wrong = |d: &Diagnostic| d.severity == Severity::Error;
    let open = |kind, start: usize| match kind {
        TokenKind::Parameter => !sql[start..].starts_with("@@"),
        kind => kind == TokenKind::Template,
    };
    !judgement.refused
        && !judgement.diagnostics.iter().any(wrong)
        && !tokens(sql).iter().any(|token| open(token.kind, token.start))
}

impl Judgement {
    /// BigQuery takes it: there is no better proof.
    pub(super) fn taken(&mut self) {
        self.proved_by = Some(ProvedBy::DryRun);
        self.reasons.clear();
    }

    /// BigQuery does not take it, whatever was proved before.
    pub(super) fn refused_by_bigquery(&mut self, sql: &str, refusal: &Refusal) {
        self.proved_by = None;
        self.reasons.clear();
        let range = Unit { range: 0..sql.len() }.place(sql, refusal.place);
        self.diagnostics
            .push(Diagnostic::error(Code::DryRun, range, refusal.message.clone()));
    }
}

/// Whether other SQL may do.
pub(super) fn is_of_the_sql(refusal: &Refusal) -> bool {
    !NOT_OF_THE_SQL.contains(&refusal.reason.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_query_or_lacks_a_value_is_not_asked() {
        let judgement = |refused| Judgement {
            proved_by: None,
            refused,
            diagnostics: Vec::new(),
            reasons: Vec::new(),
        };
        assert!(is_askable("SELECT @@time_zone, '@x'", &judgement(false)));
        assert!(!is_askable("SELECT @day", &judgement(false)));
        assert!(!is_askable("SELECT ?", &judgement(false)));
        assert!(!is_askable("DROP TABLE t", &judgement(true)));
    }

    #[test]
    fn bigquerys_no_outranks_every_other_yes() {
        let mut judgement = Judgement {
            proved_by: Some(ProvedBy::GoogleSql),
            refused: false,
            diagnostics: Vec::new(),
            reasons: Vec::new(),
        };
        let refusal = Refusal {
            reason: "invalidQuery".to_owned(),
            message: "Unrecognized name: nme".to_owned(),
            place: Some((1, 8)),
        };
        judgement.refused_by_bigquery("SELECT nme FROM t", &refusal);
        assert!(!judgement.proved() && is_of_the_sql(&refusal));
        assert_eq!(judgement.diagnostics[0].range, 7..10);
        let denied = Refusal {
            reason: "accessDenied".to_owned(),
            ..refusal
        };
        assert!(!is_of_the_sql(&denied));
    }
}
