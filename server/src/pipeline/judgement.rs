//! What the check says of a generated statement.

use bigquill_analysis::check::{Diagnostic, Severity, prove};
use bigquill_analysis::schema::CatalogSnapshot;
use bigquill_analysis::syntax::lexer::tokens;
use bigquill_analysis::syntax::split::statements;

/// The verdict on a generated statement.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// Nothing stands against it, and all of it could be looked at.
    pub proved: bool,
    /// It is something else than one query.
    pub refused: bool,
    /// What was found, with byte ranges in the statement.
    pub diagnostics: Vec<Diagnostic>,
    /// Why it is not proved, beside the findings: short phrases.
    pub reasons: Vec<String>,
}

/// Judges generated SQL: one query, that parses and whose names resolve.
#[must_use]
pub fn judge(sql: &str, snapshot: &CatalogSnapshot) -> Judgement {
    let proof = prove(sql, snapshot);
    let refused = !is_one_query(sql);
    let mut reasons = proof.reasons;
    if snapshot.is_empty() {
        // That no name is known follows from this.
        reasons = vec!["there is no catalog to check its names against".to_owned()];
    }
    if refused {
        // Whatever else is said of it follows from this.
        reasons = vec!["it is not one query, and nothing else is taken from a model".to_owned()];
    }
    Judgement {
        proved: proof.proved && !refused && !snapshot.is_empty(),
        refused,
        diagnostics: proof.diagnostics,
        reasons,
    }
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
            !self.proved,
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
