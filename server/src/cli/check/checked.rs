//! A text, checked by the fast layer and, where it is there, by GoogleSQL.

use std::ops::Range;

use bigquill_analysis::check::{self, Diagnostic};
use bigquill_analysis::schema::CatalogSnapshot;
use bigquill_judge::{Disagreement, Judge, Verdict, merge};
use serde_json::{Map, Value, json};

use crate::cli::json;
use crate::judge::context;
use crate::position::LineIndex;

/// What is known of a text.
pub(super) struct Checked {
    /// All findings.
    pub(super) diagnostics: Vec<Diagnostic>,
    /// Where the fast layer and GoogleSQL do not agree.
    pub(super) disagreements: Vec<Disagreement>,
    /// GoogleSQL's verdict on each statement; empty without it.
    verdicts: Vec<(Range<usize>, Verdict)>,
}

impl Checked {
    /// Checks a text.
    pub(super) fn new(text: &str, snapshot: &CatalogSnapshot, googlesql: Option<&Judge>) -> Self {
        let verdicts = googlesql
            .map(|judge| judge.script(text, snapshot, &context(snapshot)))
            .unwrap_or_default();
        let merged = merge(text, check::check(text, snapshot), &verdicts);
        Self {
            diagnostics: merged.diagnostics,
            disagreements: merged.disagreements,
            verdicts,
        }
    }

    /// Statements, and those of them that GoogleSQL has a verdict on.
    pub(super) fn counts(&self) -> (usize, usize) {
        let unknown = |verdict: &Verdict| matches!(verdict, Verdict::Unknown(_));
        let judged = self.verdicts.iter().filter(|(_, v)| !unknown(v)).count();
        (self.verdicts.len(), judged)
    }

    /// `diagnostics` and, with GoogleSQL, `statements`.
    pub(super) fn json(&self, text: &str) -> Map<String, Value> {
        let mut map = Map::new();
        map.insert(
            "diagnostics".to_owned(),
            json::diagnostics(text, &self.diagnostics),
        );
        if !self.verdicts.is_empty() {
            let index = LineIndex::new(text);
            let statements = self.verdicts.iter();
            map.insert(
                "statements".to_owned(),
                statements
                    .map(|(range, v)| statement(text, &index, range, v))
                    .collect(),
            );
        }
        map
    }
}

fn statement(text: &str, index: &LineIndex, range: &Range<usize>, verdict: &Verdict) -> Value {
    let place = |offset| json::place(text, index, offset);
    let mut value = json!({ "start": place(range.start), "end": place(range.end) });
    let mut set = |key: &str, content: Value| value[key] = content;
    match verdict {
        Verdict::Accepted(accepted) => {
            set("verdict", "accepted".into());
            let column = |c: &bigquill_judge::OutputColumn| json!({"name": c.name, "type": c.sql_type});
            set("columns", accepted.columns.iter().map(column).collect());
            set(
                "tables",
                accepted.tables.iter().map(ToString::to_string).collect(),
            );
        }
        Verdict::Refused(refusal) => {
            set("verdict", "refused".into());
            set("reason", refusal.message.clone().into());
        }
        Verdict::Unknown(reason) => {
            set("verdict", "none".into());
            set("reason", reason.to_string().into());
        }
    }
    value
}
