//! One list of findings: the fast layer's and GoogleSQL's, the judge before the fast layer.
//!
//! The analyzer stops at the first thing it refuses; the fast layer finds them all, but by rules of our own. So where
//! both name the same reason at the same place the fast finding stays, with its fixes; what a verdict contradicts goes,
//! and is told as a [`Disagreement`]: the work list of the fast layer.

use std::collections::BTreeMap;
use std::ops::Range;

use bigquill_analysis::check::{Code, Diagnostic, Fix, Severity};
use bigquill_analysis::schema::quote_name;

use crate::verdict::{Refusal, RefusalKind, Verdict};

/// Findings, and what the two layers do not agree on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Merged {
    /// The one list, in order of place.
    pub diagnostics: Vec<Diagnostic>,
    /// Where the fast layer was wrong or silent.
    pub disagreements: Vec<Disagreement>,
}

/// A statement on which the fast layer and GoogleSQL differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disagreement {
    /// What the fast layer says; none where it is silent.
    pub fast: Option<Code>,
    /// Why GoogleSQL refuses the statement; none where it accepts it.
    pub judge: Option<RefusalKind>,
    /// Bytes of the text that it is about.
    pub range: Range<usize>,
    /// The words of the one that speaks, GoogleSQL's where both do.
    pub message: String,
}

/// Merges the findings of a text with the verdicts on its statements; ranges are bytes of the text.
#[must_use]
pub fn merge(text: &str, fast: Vec<Diagnostic>, verdicts: &[(Range<usize>, Verdict)]) -> Merged {
    let mut merged = Merged::default();
    let (mut within, mut elsewhere) = (BTreeMap::<usize, Vec<Diagnostic>>::new(), Vec::new());
    for diagnostic in fast {
        let statement = verdicts.iter().position(|(range, _)| {
            range.start <= diagnostic.range.start && diagnostic.range.start <= range.end
        });
        match statement {
            Some(index) => within.entry(index).or_default().push(diagnostic),
            None => elsewhere.push(diagnostic),
        }
    }
    for (index, (_, verdict)) in verdicts.iter().enumerate() {
        let fast = within.remove(&index).unwrap_or_default();
        match verdict {
            Verdict::Accepted(_) => merged.accepted(fast),
            Verdict::Refused(refusal) => merged.refused(text, fast, refusal),
            Verdict::Unknown(_) => merged.diagnostics.extend(fast),
        }
    }
    merged.diagnostics.extend(elsewhere);
    merged.diagnostics.sort_by_key(|d| (d.range.start, d.range.end));
    merged
}

/// The finding that a refusal is.
fn diagnostic(text: &str, refusal: &Refusal) -> Diagnostic {
    let code = Code::Refused(refusal.kind.as_str());
    let (message, more) = gist(&refusal.message);
    let mut diagnostic = Diagnostic::error(code, refusal.range.clone(), message);
    diagnostic.notes.extend(more);
    if let Some(name) = &refusal.suggestion {
        diagnostic.message.push_str(&format!("; did you mean `{name}`?"));
        diagnostic.fixes.push(Fix {
            title: format!("Change to `{name}`"),
            edits: vec![(refusal.range.clone(), written_as(text, &refusal.range, name))],
            preferred: true,
        });
    }
    diagnostic
}

/// A message in one line, and the rest of it: the signatures that do not fit, line by line.
fn gist(message: &str) -> (String, Option<String>) {
    let Some((first, rest)) = message.split_once('\n') else {
        return (message.to_owned(), None);
    };
    match rest.split_once('\n') {
        Some((line, rest)) if line.trim_start().starts_with("Argument types:") => {
            let types = line.trim_start().trim_start_matches("Argument types:");
            (
                format!("{first} for argument types:{types}"),
                Some(rest.to_owned()),
            )
        }
        _ => (first.to_owned(), Some(rest.to_owned())),
    }
}

/// A proposed name or path as it is to be written in the place of `range`: quoted whole where that is, else part by part.
fn written_as(text: &str, range: &Range<usize>, name: &str) -> String {
    let old = text.get(range.clone()).unwrap_or_default();
    if old.starts_with('`') && old.matches('`').count() == 2 {
        return format!("`{name}`");
    }
    name.split('.').map(quote_name).collect::<Vec<_>>().join(".")
}

impl Merged {
    fn accepted(&mut self, fast: Vec<Diagnostic>) {
        for diagnostic in fast {
            if is_verdict(&diagnostic) {
                self.contradict(&diagnostic, None);
            } else {
                self.diagnostics.push(diagnostic);
            }
        }
    }

    fn refused(&mut self, text: &str, fast: Vec<Diagnostic>, refusal: &Refusal) {
        let elsewhere = |d: &Diagnostic| {
            d.code == Code::UnknownTable && d.severity > Severity::Warning && touch(&d.range, &refusal.range)
        };
        if refusal.kind == RefusalKind::UnknownTable && fast.iter().any(elsewhere) {
            // A table of a project that the catalog is not about: nothing is known of the statement.
            self.diagnostics.extend(fast);
            return;
        }
        let mut told = false;
        let mut silent = true;
        for diagnostic in fast {
            if !is_verdict(&diagnostic) {
                self.diagnostics.push(diagnostic);
                continue;
            }
            let here = touch(&diagnostic.range, &refusal.range);
            if is_reason(diagnostic.code, refusal.kind) {
                silent = false;
                told |= here || is_placed_freely(refusal.kind);
                self.diagnostics.push(diagnostic);
            } else if here || is_grammar(diagnostic.code) || refusal.kind == RefusalKind::Syntax {
                silent &= diagnostic.severity == Severity::Hint;
                self.contradict(&diagnostic, Some(refusal));
            } else {
                // The analyzer stops at its first refusal: of what else is wrong it says nothing.
                silent = false;
                self.diagnostics.push(diagnostic);
            }
        }
        if !told {
            self.diagnostics.push(self::diagnostic(text, refusal));
        }
        if silent {
            self.disagreements.push(Disagreement {
                fast: None,
                judge: Some(refusal.kind),
                range: refusal.range.clone(),
                message: gist(&refusal.message).0,
            });
        }
    }

    fn contradict(&mut self, fast: &Diagnostic, refusal: Option<&Refusal>) {
        // A hint claims nothing: that it goes is no disagreement.
        if fast.severity == Severity::Hint {
            return;
        }
        self.disagreements.push(Disagreement {
            fast: Some(fast.code),
            judge: refusal.map(|r| r.kind),
            range: fast.range.clone(),
            message: refusal.map_or_else(|| fast.message.clone(), |r| gist(&r.message).0),
        });
    }
}

/// Whether a finding says that BigQuery refuses the statement, or that it may.
fn is_verdict(diagnostic: &Diagnostic) -> bool {
    // Table names differ by case in BigQuery; in the analyzer's catalog they do not. Nor does it know partitions.
    !matches!(diagnostic.code, Code::TableCase | Code::MissingPartitionFilter)
        && (diagnostic.severity <= Severity::Warning || diagnostic.code == Code::NotParsed)
}

fn is_grammar(code: Code) -> bool {
    matches!(code, Code::SyntaxError | Code::ForeignSyntax | Code::NotParsed)
}

/// Whether the two layers have different habits of where such an error stands.
fn is_placed_freely(kind: RefusalKind) -> bool {
    use RefusalKind as R;
    matches!(
        kind,
        R::NestedAggregate | R::SetOperationColumns | R::SubqueryColumns | R::DuplicateName
    )
}

fn touch(a: &Range<usize>, b: &Range<usize>) -> bool {
    a.start <= b.end && b.start <= a.end
}

/// Whether a finding of the fast layer and a refusal are about the same thing.
fn is_reason(code: Code, kind: RefusalKind) -> bool {
    use RefusalKind as R;
    match code {
        Code::SyntaxError | Code::ForeignSyntax => matches!(kind, R::Syntax | R::NotInBigQuery),
        Code::UnknownTable => kind == R::UnknownTable,
        Code::UnknownColumn | Code::UnknownQualifier => matches!(kind, R::UnknownName | R::UnknownNameInList),
        Code::UnknownField => kind == R::UnknownField,
        Code::AmbiguousColumn => kind == R::AmbiguousName,
        Code::DuplicateAlias => matches!(kind, R::DuplicateName | R::AmbiguousName),
        Code::UnknownFunction => kind == R::UnknownFunction,
        Code::ArgumentCount => matches!(kind, R::ArgumentCount | R::ArgumentTypes),
        Code::UnknownDatePart => kind == R::DatePart,
        Code::NotAnArray => kind == R::NotAnArray,
        Code::SetOperationColumns => kind == R::SetOperationColumns,
        Code::SubqueryColumns => kind == R::SubqueryColumns,
        Code::UngroupedColumn => kind == R::NotGrouped,
        Code::AggregateNotAllowed => kind == R::AggregateNotAllowed,
        Code::WindowNotAllowed => kind == R::WindowNotAllowed,
        Code::NestedAggregate => kind == R::NestedAggregate,
        Code::NotParsed
        | Code::TableCase
        | Code::MissingPartitionFilter
        | Code::Refused(_)
        | Code::DryRun => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Accepted;

    fn fast(code: Code, range: Range<usize>) -> Diagnostic {
        Diagnostic::error(code, range, "fast".to_owned())
    }

    fn refused(kind: RefusalKind, range: Range<usize>, suggestion: Option<&str>) -> Verdict {
        Verdict::Refused(Refusal {
            kind,
            message: "judge".to_owned(),
            range,
            suggestion: suggestion.map(str::to_owned),
        })
    }

    fn codes(merged: &Merged) -> Vec<&'static str> {
        merged.diagnostics.iter().map(|d| d.code.as_str()).collect()
    }

    #[test]
    fn what_the_judge_accepts_is_no_finding() {
        let mut hint = fast(Code::NotParsed, 0..1);
        hint.severity = Severity::Hint;
        let found = vec![
            hint,
            fast(Code::UnknownColumn, 7..9),
            fast(Code::TableCase, 15..16),
        ];
        let merged = merge(
            "SELECT ab FROM t",
            found,
            &[(0..16, Verdict::Accepted(Accepted::default()))],
        );
        assert_eq!(codes(&merged), ["table-case"]);
        assert_eq!(merged.disagreements.len(), 1, "the hint claimed nothing");
        assert_eq!(merged.disagreements[0].fast, Some(Code::UnknownColumn));
        assert_eq!(merged.disagreements[0].judge, None);
    }

    #[test]
    fn where_both_agree_there_is_one_finding() {
        let verdict = refused(RefusalKind::UnknownName, 7..9, Some("abc"));
        let merged = merge(
            "SELECT ab FROM t",
            vec![fast(Code::UnknownColumn, 7..9)],
            &[(0..16, verdict)],
        );
        assert_eq!(codes(&merged), ["unknown-column"]);
        assert_eq!(merged.disagreements, []);
    }

    #[test]
    fn what_the_fast_layer_does_not_see_the_judge_adds() {
        let verdict = refused(RefusalKind::ArgumentTypes, 7..9, None);
        let merged = merge("SELECT ab FROM t", Vec::new(), &[(0..16, verdict)]);
        assert_eq!(codes(&merged), ["argument-types"]);
        assert_eq!(merged.diagnostics[0].code.source().as_str(), "GoogleSQL");
        assert_eq!(merged.disagreements[0].judge, Some(RefusalKind::ArgumentTypes));
    }

    #[test]
    fn another_reason_at_the_same_place_is_the_judges() {
        let verdict = refused(RefusalKind::UnknownFunction, 7..9, None);
        let found = vec![fast(Code::UnknownColumn, 7..9), fast(Code::UnknownColumn, 11..12)];
        let merged = merge("SELECT ab, c FROM t", found, &[(0..19, verdict)]);
        assert_eq!(codes(&merged), ["unknown-function", "unknown-column"]);
        assert_eq!(merged.disagreements.len(), 1);
    }

    #[test]
    fn a_message_of_many_lines_has_a_gist() {
        let signature = "  Signature: ROUND(FLOAT64)\n    Argument 1: Unable to coerce";
        let message =
            format!("No matching signature for function ROUND\n  Argument types: STRING\n{signature}");
        let (first, rest) = gist(&message);
        assert_eq!(
            first,
            "No matching signature for function ROUND for argument types: STRING"
        );
        assert_eq!(rest.as_deref(), Some(signature));
        assert_eq!(gist("one line"), ("one line".to_owned(), None));
    }

    #[test]
    fn one_nesting_of_aggregates_is_one_finding() {
        let verdict = refused(RefusalKind::NestedAggregate, 7..10, None);
        let found = vec![fast(Code::NestedAggregate, 11..14)];
        let merged = merge("SELECT SUM(AVG(a)) FROM t", found, &[(0..25, verdict)]);
        assert_eq!(codes(&merged), ["nested-aggregate"]);
    }

    #[test]
    fn what_parses_has_no_finding_of_grammar() {
        let verdict = refused(RefusalKind::UnknownName, 7..9, None);
        let merged = merge(
            "SELECT ab FROM t",
            vec![fast(Code::SyntaxError, 15..16)],
            &[(0..16, verdict)],
        );
        assert_eq!(codes(&merged), ["unknown-name"]);
    }

    #[test]
    fn without_a_verdict_the_fast_findings_stay() {
        let verdict = Verdict::Unknown(crate::NoVerdict::Template);
        let found = vec![fast(Code::UnknownColumn, 7..9), fast(Code::UnknownColumn, 25..26)];
        let merged = merge("SELECT ab FROM t; SELECT c", found.clone(), &[(0..16, verdict)]);
        assert_eq!(merged.diagnostics, found);
    }

    #[test]
    fn a_proposal_is_written_as_the_name_was() {
        let edit = |text: &str, range: Range<usize>, name| {
            let Verdict::Refused(refusal) = refused(RefusalKind::UnknownTable, range, Some(name)) else {
                unreachable!()
            };
            diagnostic(text, &refusal).fixes[0].edits[0].1.clone()
        };
        assert_eq!(edit("SELECT 1 FROM `d.t`", 14..19, "d.tt"), "`d.tt`");
        assert_eq!(edit("SELECT 1 FROM d.t", 14..17, "d.tt"), "d.tt");
        assert_eq!(edit("SELECT 1 FROM d.t", 14..17, "d.order"), "d.`order`");
    }
}
