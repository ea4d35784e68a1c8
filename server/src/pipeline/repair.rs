//! From findings to a better candidate: the nearest name, else the question again with what was found.

use bigquill_analysis::check::Diagnostic;
use bigquill_analysis::schema::CatalogSnapshot;
use bigquill_judge::Judge;
use bigquill_model::generate::Prompt;
use bigquill_model::prompt;

use super::{Judgement, judge};

/// Most rounds of replacing names: a corrected table name can bring up names of its columns.
const ROUNDS: usize = 4;

/// Most findings that a model is told.
const TOLD: usize = 5;

/// Puts wrong names right where the check names a preferred fix, as long as that leaves fewer findings.
///
/// Returns the SQL, its judgement, and the titles of the fixes.
pub(super) fn nearest_names(
    mut sql: String,
    mut judgement: Judgement,
    snapshot: &CatalogSnapshot,
    googlesql: Option<&Judge>,
) -> (String, Judgement, Vec<String>) {
    let mut titles = Vec::new();
    for _ in 0..ROUNDS {
        if judgement.proved() || judgement.refused {
            break;
        }
        let Some((next, applied)) = apply_fixes(&sql, &judgement.diagnostics) else {
            break;
        };
        let next_judgement = judge(&next, snapshot, googlesql);
        if !next_judgement.better_than(&judgement) {
            break;
        }
        sql = next;
        judgement = next_judgement;
        titles.extend(applied);
    }
    (sql, judgement, titles)
}

/// The SQL with every preferred fix whose edits touch no other's, and their titles; none where there is no fix.
fn apply_fixes(sql: &str, diagnostics: &[Diagnostic]) -> Option<(String, Vec<String>)> {
    let mut edits = Vec::new();
    let mut titles = Vec::new();
    for fix in diagnostics
        .iter()
        .filter_map(|d| d.fixes.iter().find(|f| f.preferred))
    {
        let free = fix.edits.iter().all(|(range, text)| {
            edits.iter().all(|(other, _): &(std::ops::Range<usize>, String)| {
                range.end <= other.start || other.end <= range.start
            }) && (!range.is_empty() || !text.is_empty())
        });
        if free && !fix.edits.is_empty() {
            edits.extend(fix.edits.iter().cloned());
            titles.push(fix.title.clone());
        }
    }
    if edits.is_empty() {
        return None;
    }
    edits.sort_by_key(|(range, _)| std::cmp::Reverse(range.start));
    let mut out = sql.to_owned();
    for (range, text) in edits {
        if out.get(range.clone()).is_some() {
            out.replace_range(range, &text);
        }
    }
    Some((out, titles))
}

/// The chat that goes on with the answer and what is wrong with it.
pub(super) fn ask_again(first: &Prompt, sql: &str, judgement: &Judgement) -> Prompt {
    let mut told = judgement.findings();
    told.truncate(TOLD);
    prompt::repair(first, sql, &told)
}
