//! Pairs are kept where their queries give rows.

use std::collections::BTreeMap;

use super::rows::RowSet;

/// What came of running a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It gives rows that say something.
    Rows,
    /// It gives none, or a single one with nothing but zeros and missing values.
    Empty,
    /// It fails on these rows, and would on others like them.
    Failed(String),
    /// What runs it cannot do this, though it is no fault of the query.
    Unable(String),
}

/// Why nothing can be run.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct RunnerError(pub String);

/// Runs queries on rows.
pub trait Runner: Sync {
    /// Makes these tables, in place of those that were there.
    ///
    /// # Errors
    ///
    /// Where they cannot be made.
    fn open(&self, rows: &RowSet) -> Result<(), RunnerError>;

    /// Runs queries as [`RowSet::runnable`] wrote them: an outcome for each.
    ///
    /// # Errors
    ///
    /// Where nothing runs any more.
    fn run(&self, queries: &[String]) -> Result<Vec<Outcome>, RunnerError>;
}

/// Queries of one call of [`Runner::run`].
const AT_ONCE: usize = 16;

/// Runs these queries on `threads` threads.
pub(super) fn run(
    runner: &dyn Runner,
    queries: &[String],
    threads: usize,
) -> Result<Vec<Outcome>, RunnerError> {
    let calls: Vec<&[String]> = queries.chunks(AT_ONCE).collect();
    let each = calls.len().div_ceil(threads.max(1)).max(1);
    std::thread::scope(|scope| {
        let parts: Vec<_> = calls
            .chunks(each)
            .map(|part| {
                scope.spawn(move || {
                    let mut outcomes = Vec::new();
                    for queries in part {
                        outcomes.extend(runner.run(queries)?);
                    }
                    Ok(outcomes)
                })
            })
            .collect();
        let mut outcomes = Vec::with_capacity(queries.len());
        for part in parts {
            outcomes.extend(
                part.join()
                    .unwrap_or_else(|_| Err(RunnerError("a thread ended".to_owned())))?,
            );
        }
        Ok(outcomes)
    })
}

/// Why a draw became no pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The check refused the query.
    Refused,
    /// It fails on rows.
    Failed,
    /// It gives no rows.
    Empty,
    /// It was kept, but could not be run.
    NotRun,
}

/// A shape's queries with one fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faulty {
    /// Why they are no pairs.
    pub fault: Fault,
    /// The shape.
    pub shape: String,
    /// How many there were.
    pub count: usize,
    /// The last of them.
    pub sql: String,
    /// What was said of it.
    pub message: String,
}

/// All that did not become a pair, by fault and shape.
#[derive(Debug, Default)]
pub(super) struct Faults(BTreeMap<(Fault, String), Faulty>);

impl Faults {
    pub(super) fn add(&mut self, fault: Fault, shape: &str, sql: &str, message: &str) {
        let entry = self.0.entry((fault, shape.to_owned())).or_insert_with(|| Faulty {
            fault,
            shape: shape.to_owned(),
            count: 0,
            sql: String::new(),
            message: String::new(),
        });
        entry.count += 1;
        sql.clone_into(&mut entry.sql);
        message.clone_into(&mut entry.message);
    }

    /// The most frequent first, fault by fault.
    pub(super) fn all(&self) -> Vec<&Faulty> {
        let mut all: Vec<&Faulty> = self.0.values().collect();
        all.sort_by_key(|f| (f.fault, std::cmp::Reverse(f.count)));
        all
    }

    pub(super) fn count(&self, fault: Fault) -> usize {
        self.0
            .values()
            .filter(|f| f.fault == fault)
            .map(|f| f.count)
            .sum()
    }
}
