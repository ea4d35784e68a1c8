//! What the check and, where it is there, GoogleSQL say of a generated statement.

use bigquill_analysis::check::{Diagnostic, Proof, Severity, prove};
use bigquill_analysis::schema::CatalogSnapshot;
use bigquill_analysis::syntax::lexer::tokens;
use bigquill_analysis::syntax::split::statements;
use bigquill_judge::{Judge, Verdict, merge};

use super::ProvedBy;
use crate::judge::context;

/// The verdict on a generated statement.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// Who proved it: nothing stands against it, and all of it could be looked at.
    pub proved_by: Option<ProvedBy>,
    /// It is something else than one query.
    pub refused: bool,
    /// What was found, with byte ranges in the statement.
    pub diagnostics: Vec<Diagnostic>,
    /// Why it is not proved, beside the findings: short phrases.
    pub reasons: Vec<String>,
}

/// Judges generated SQL: one query that holds against the snapshot. GoogleSQL decides where it has a verdict, else
/// the resolver. Blocks for some milliseconds.
#[must_use]
pub fn judge(sql: &str, snapshot: &CatalogSnapshot, googlesql: Option<&Judge>) -> Judgement {
    let proof = prove(sql, snapshot);
    let refused = !is_one_query(sql);
    let unfit = if refused {
        Some("it is not one query, and nothing else is taken from a model")
    } else if snapshot.is_empty() {
        Some("there is no catalog to check its names against")
    } else {
        None
    };
    if let Some(reason) = unfit {
        return Judgement {
            proved_by: None,
            refused,
            diagnostics: proof.diagnostics,
            // Whatever else is said of it follows from this.
            reasons: vec![reason.to_owned()],
        };
    }
    let verdict = googlesql.map(|judge| judge.verdict(sql, snapshot, &context(snapshot)));
    Judgement::of(sql, proof, verdict)
}

/// Foreign text is data: what a model wrote is taken only where it can do nothing but read.
fn is_one_query(sql: &str) -> bool {
    let first = tokens(sql).into_iter().find(|t| !t.is_comment());
    statements(sql).len() == 1
        && first.is_some_and(|t| {
            t.is_symbol(sql, "(") || ["SELECT", "WITH", "FROM"].iter().any(|word| t.is_word(sql, word))
        })
}

impl Judgement {
    fn of(sql: &str, proof: Proof, verdict: Option<Verdict>) -> Self {
        let by_resolver = Self {
            proved_by: proof.proved.then_some(ProvedBy::Resolver),
            refused: false,
            diagnostics: proof.diagnostics,
            reasons: proof.reasons,
        };
        let (verdict, proved_by) = match verdict {
            Some(verdict @ Verdict::Accepted(_)) => (verdict, Some(ProvedBy::GoogleSql)),
            Some(verdict @ Verdict::Refused(_)) => (verdict, None),
            Some(Verdict::Unknown(_)) | None => return by_resolver,
        };
        let merged = merge(sql, by_resolver.diagnostics, &[(0..sql.len(), verdict)]);
        let found = merged.diagnostics.iter().any(|d| d.severity <= Severity::Warning);
        Self {
            proved_by,
            refused: false,
            // What the resolver could not look at the analyzer did.
            reasons: if proved_by.is_some() || found {
                Vec::new()
            } else {
                by_resolver.reasons
            },
            diagnostics: merged.diagnostics,
        }
    }

    /// Whether somebody proved it.
    #[must_use]
    pub fn proved(&self) -> bool {
        self.proved_by.is_some()
    }

    /// Whether this one is nearer to holding.
    pub(super) fn better_than(&self, other: &Self) -> bool {
        self.rank() < other.rank()
    }

    fn rank(&self) -> (bool, bool, usize, usize) {
        let errors = self
            .diagnostics
            .iter()
            .filter(|d| d.severity == Severity::Error)
            .count();
        (
            !self.proved(),
            self.refused,
            errors,
            self.diagnostics.len() + self.reasons.len(),
        )
    }

    /// What to tell a model that asks what is wrong.
    pub(super) fn findings(&self) -> Vec<String> {
        let mut all: Vec<String> = self.diagnostics.iter().map(|d| d.message.clone()).collect();
        if all.is_empty() {
            all.extend(self.reasons.iter().cloned());
        }
        all
    }
}
