//! Repair by the nearest name: preferred fixes applied and checked again, as long as it gets better.

use std::ops::Range;

use super::{Diagnostic, Severity, check};
use crate::schema::CatalogSnapshot;

/// How often fixes are applied: one may uncover the next.
const ROUNDS: usize = 4;

/// The statement with its preferred fixes applied, if that leaves no error or warning, or fewer of them; none where
/// nothing is to be repaired or nothing helps.
#[must_use]
pub fn repair(sql: &str, snapshot: &CatalogSnapshot) -> Option<String> {
    let mut best = sql.to_owned();
    let mut findings = faults(check(sql, snapshot));
    let before = findings.len();
    for _ in 0..ROUNDS {
        let edits = preferred(&findings);
        if edits.is_empty() {
            break;
        }
        let candidate = apply_edits(&best, &edits);
        let left = faults(check(&candidate, snapshot));
        if left.len() > findings.len() || candidate == best {
            break;
        }
        best = candidate;
        findings = left;
    }
    (findings.len() < before).then_some(best)
}

fn faults(found: Vec<Diagnostic>) -> Vec<Diagnostic> {
    found
        .into_iter()
        .filter(|d| d.severity <= Severity::Information)
        .collect()
}

/// One preferred fix of each finding, those that overlap an earlier one left out.
fn preferred(findings: &[Diagnostic]) -> Vec<(Range<usize>, String)> {
    let mut edits: Vec<(Range<usize>, String)> = Vec::new();
    for finding in findings {
        let Some(fix) = finding.fixes.iter().find(|f| f.preferred) else {
            continue;
        };
        let free = fix.edits.iter().all(|(new, _)| {
            edits
                .iter()
                .all(|(r, _)| new.end <= r.start || new.start >= r.end)
        });
        if free {
            edits.extend(fix.edits.iter().cloned());
        }
    }
    edits.sort_by_key(|(r, _)| r.start);
    edits
}

/// A text with replacements that are sorted and do not overlap.
#[must_use]
pub fn apply_edits(text: &str, edits: &[(Range<usize>, String)]) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut at = 0;
    for (range, new) in edits {
        out.push_str(text.get(at..range.start).unwrap_or_default());
        out.push_str(new);
        at = range.end;
    }
    out.push_str(text.get(at..).unwrap_or_default());
    out
}
