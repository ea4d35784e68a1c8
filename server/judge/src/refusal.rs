//! From GoogleSQL's error text to a [`Refusal`]: its kind, its place, the name it proposes.

use std::ops::Range;

use bigquill_analysis::syntax::lexer::{Token, TokenKind};

use crate::position;
use crate::verdict::{NoVerdict, Refusal, RefusalKind};

/// Status codes (`absl::StatusCode`) that speak of the statement; the others speak of the analyzer.
const STATEMENT_CODES: &[u32] = &[3, 5, 6, 9, 11];
const RESOURCE_EXHAUSTED: u32 = 8;

/// What the analyzer said of this statement.
pub(crate) fn refusal(text: &str, tokens: &[Token], error: &str) -> Result<Refusal, NoVerdict> {
    let (code, message) = status(error);
    if code == RESOURCE_EXHAUSTED {
        return Err(NoVerdict::Nesting);
    }
    if !STATEMENT_CODES.contains(&code) || message.is_empty() || message.contains("RET_CHECK") {
        return Err(NoVerdict::Analyzer(message.to_owned()));
    }
    let (message, line, column) = located(message);
    let (message, suggestion) = proposed(message);
    let kind = kind(message);
    let offset = position::offset(text, line, column);
    Ok(Refusal {
        kind,
        range: range(text, tokens, offset, kind),
        suggestion,
        message: message.to_owned(),
    })
}

/// `Code: 3, Message: …` in two.
fn status(error: &str) -> (u32, &str) {
    let parts = error
        .strip_prefix("Code: ")
        .and_then(|rest| rest.split_once(", Message: "));
    match parts.and_then(|(code, message)| Some((code.parse().ok()?, message))) {
        Some(parts) => parts,
        None => (STATEMENT_CODES[0], error),
    }
}

/// A message without the position at its end, and the position; line 1, column 1 where it has none.
fn located(message: &str) -> (&str, usize, usize) {
    const MARK: &str = "[at ";
    let found = message.rfind(MARK).and_then(|at| {
        let (line, rest) = message[at + MARK.len()..].split_once(':')?;
        let (column, _) = rest.split_once(']')?;
        Some((message[..at].trim_end(), line.parse().ok()?, column.parse().ok()?))
    });
    found.unwrap_or((message.trim_end(), 1, 1))
}

/// A message without the name that it proposes at its end, and the name.
fn proposed(message: &str) -> (&str, Option<String>) {
    let split = message.rsplit_once("; Did you mean ");
    match split.and_then(|(before, name)| Some((before, name.strip_suffix('?')?))) {
        Some((before, name)) => (before, Some(name.to_owned())),
        None => (message, None),
    }
}

/// The bytes at fault: the token at the place of the error; the whole path where a path was looked up.
fn range(text: &str, tokens: &[Token], offset: usize, kind: RefusalKind) -> Range<usize> {
    let index = tokens.partition_point(|t| t.end <= offset);
    let Some(token) = tokens.get(index) else {
        return offset..offset;
    };
    let start = token.start.max(offset);
    let mut end = token.end;
    if matches!(kind, RefusalKind::UnknownTable | RefusalKind::UnknownFunction) {
        end = path_end(text, tokens, index);
    }
    start..end.max(start)
}

fn path_end(text: &str, tokens: &[Token], mut index: usize) -> usize {
    let is_part = |t: &Token| t.is_name() || t.kind == TokenKind::Number;
    while let [name, joint, next, ..] = &tokens[index..] {
        let joined = joint.is_symbol(text, ".")
            || joint.is_symbol(text, "-") && name.end == joint.start && joint.end == next.start;
        if !joined || !is_part(next) {
            break;
        }
        index += 2;
    }
    tokens[index].end
}

/// A rule: what the message begins with, what it holds, and what that means.
type Rule = (&'static str, &'static str, RefusalKind);

/// The first rule that fits decides.
const RULES: &[Rule] = {
    use RefusalKind as K;
    &[
        ("Syntax error", "", K::Syntax),
        ("Statement not supported", "", K::NotInBigQuery),
        ("Table not found", "", K::UnknownTable),
        ("Function not found", "", K::UnknownFunction),
        ("Table-valued function not found", "", K::UnknownFunction),
        ("Procedure not found", "", K::UnknownFunction),
        ("Aggregate function not found", "", K::UnknownFunction),
        ("Type not found", "", K::UnknownType),
        ("Model not found", "", K::UnknownTable),
        ("Unrecognized name", "", K::UnknownName),
        ("Field name ", "does not exist in", K::UnknownField),
        ("Field name ", "", K::UnknownField),
        ("Name ", "not found inside", K::UnknownField),
        ("Cannot access field", "", K::UnknownField),
        ("", "is not present in table", K::UnknownNameInList),
        ("Column name in pipe", "", K::UnknownNameInList),
        ("", "EXCEPT list does not exist", K::UnknownNameInList),
        ("", "REPLACE list does not exist", K::UnknownNameInList),
        ("", "in USING clause not found", K::UnknownNameInList),
        ("", "is ambiguous", K::AmbiguousName),
        ("", "ambiguous", K::AmbiguousName),
        ("Duplicate", "", K::DuplicateName),
        ("", "neither grouped nor aggregated", K::NotGrouped),
        ("Multi-level aggregation", "", K::NestedAggregate),
        ("Aggregations of aggregations", "", K::NestedAggregate),
        ("Aggregate function ", "not allowed", K::AggregateNotAllowed),
        ("Analytic function", "not allowed", K::WindowNotAllowed),
        ("Window function", "not allowed", K::WindowNotAllowed),
        ("", "mismatched column count", K::SetOperationColumns),
        ("", "has incompatible types", K::SetOperationColumns),
        ("Subquery of type", "only one output column", K::SubqueryColumns),
        ("Scalar subquery", "", K::SubqueryColumns),
        ("ARRAY subquery", "", K::SubqueryColumns),
        ("Invalid cast", "", K::BadCast),
        ("Could not cast literal", "", K::BadCast),
        ("Values referenced in UNNEST must be arrays", "", K::NotAnArray),
        ("Second argument of IN UNNEST", "", K::NotAnArray),
        ("A valid date part", "", K::DatePart),
        ("", "date part", K::DatePart),
        ("", "is out of SELECT column number range", K::Ordinal),
        ("", "exceeds number of SELECT columns", K::Ordinal),
        ("No matching signature for operator", "", K::OperatorTypes),
        ("Argument * can only", "", K::ArgumentOther),
        ("Too few arguments", "", K::ArgumentOther),
        ("Too many arguments", "", K::ArgumentOther),
        ("Number of arguments does not match", "", K::ArgumentCount),
    ]
};

fn kind(message: &str) -> RefusalKind {
    if message.starts_with("No matching signature for")
        && !message.starts_with("No matching signature for operator")
    {
        return signature_kind(message);
    }
    let fits = |(start, part, _): &&Rule| message.starts_with(start) && message.contains(part);
    RULES.iter().find(fits).map_or(RefusalKind::Other, |rule| rule.2)
}

/// Whether a call has the wrong number of arguments: some signature takes each argument that both have, and
/// blames the number only.
fn signature_kind(message: &str) -> RefusalKind {
    let mut signatures = message.split("\n  Signature: ");
    let given = signatures
        .next()
        .and_then(|head| head.split_once("Argument types: "));
    let given = given.map_or_else(Vec::new, |(_, types)| listed(types));
    let signatures: Vec<&str> = signatures.collect();
    let counts = |s: &str| s.contains("Signature requires") || s.contains("Signature accepts");
    let takes = |signature: &str| {
        let types = signature
            .split_once('(')
            .and_then(|(_, rest)| rest.split_once(")\n"));
        let types = types.map_or_else(Vec::new, |(types, _)| listed(types));
        given.iter().zip(&types).all(|(given, taken)| given == taken)
    };
    let all = !signatures.is_empty() && signatures.iter().all(|s| counts(s));
    if all || signatures.iter().any(|s| counts(s) && takes(s)) {
        RefusalKind::ArgumentCount
    } else {
        RefusalKind::ArgumentTypes
    }
}

/// Types as a message lists them; brackets stand around those that may be left out.
fn listed(types: &str) -> Vec<&str> {
    let line = types.lines().next().unwrap_or_default();
    line.split(", ")
        .map(|name| name.trim_matches(['[', ']']))
        .filter(|name| !name.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bigquill_analysis::syntax::lexer::tokens;

    fn read(text: &str, error: &str) -> Result<Refusal, NoVerdict> {
        refusal(text, &tokens(text), error)
    }

    #[test]
    fn a_name_has_its_range_and_suggestion() {
        let text = "SELECT custmer FROM t";
        let error = "Code: 3, Message: Unrecognized name: custmer; Did you mean customer? [at 1:8]";
        let refusal = read(text, error).expect("a refusal");
        assert_eq!(&text[refusal.range], "custmer");
        assert_eq!(refusal.suggestion.as_deref(), Some("customer"));
        assert_eq!(refusal.message, "Unrecognized name: custmer");
        assert_eq!(refusal.kind, RefusalKind::UnknownName);
    }

    #[test]
    fn a_path_is_at_fault_whole() {
        for (text, path) in [
            ("SELECT 1 FROM my-proj.shop.ordrs o", "my-proj.shop.ordrs"),
            ("SELECT 1 FROM `a.b`.c", "`a.b`.c"),
        ] {
            let refusal = read(text, "Code: 3, Message: Table not found: x [at 1:15]").expect("a refusal");
            assert_eq!(&text[refusal.range], path);
        }
    }

    #[test]
    fn signatures_tell_number_from_types() {
        let count = "No matching signature for function F\n  Argument types: INT64\n  Signature: F(INT64, INT64)\n    Signature requires at least 2 arguments, found 1 argument";
        assert_eq!(kind(count), RefusalKind::ArgumentCount);
        let types = "No matching signature for function F\n  Argument types: INT64\n  Signature: F(STRING)\n    Argument 1: Unable to coerce type INT64 to expected type STRING";
        assert_eq!(kind(types), RefusalKind::ArgumentTypes);
    }

    #[test]
    fn the_analyzers_own_failures_are_no_refusal() {
        assert!(matches!(
            read("SELECT 1", "Code: 13, Message: RET_CHECK failure"),
            Err(NoVerdict::Analyzer(_))
        ));
        assert_eq!(
            read("SELECT 1", "Code: 8, Message: Out of stack space"),
            Err(NoVerdict::Nesting)
        );
        assert!(read("SELECT 1", "").is_err());
    }
}
