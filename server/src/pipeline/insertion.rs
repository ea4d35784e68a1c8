//! How an answer stands in a file.

use std::ops::Range;

use bigquill_analysis::syntax::question::Question;
use bigquill_analysis::syntax::split::statements;

use super::{Answer, Finish};

/// What a comment inside an answer that is not proved begins with.
pub const NOT_PROVED: &str = "not proved: ";

impl Answer {
    /// The answer as text for a file, with `;`, every line after `indent`; none where it may not be inserted.
    ///
    /// An answer that is not proved, or reads too much, carries a comment that says so and why. It stands behind the first word: there it
    /// belongs to the statement, so that a new answer replaces it, and no part of the question's comment.
    #[must_use]
    pub fn text(&self, indent: &str) -> Option<String> {
        if self.refused {
            return None;
        }
        let sql = match self.remark() {
            None => self.sql.clone(),
            Some(remark) => marked(&self.sql, &remark),
        };
        // In a string over several lines an indent would be part of the string.
        let keeps_lines = sql.contains("'''") || sql.contains("\"\"\"");
        let lines: Vec<String> = sql
            .lines()
            .enumerate()
            .map(|(i, line)| {
                if line.is_empty() || (keeps_lines && i > 0) {
                    line.to_owned()
                } else {
                    format!("{indent}{line}")
                }
            })
            .collect();
        Some(format!("{};", lines.join("\n")))
    }

    /// What a person must know of the answer: why it is not proved, or that it reads too much.
    #[must_use]
    pub fn remark(&self) -> Option<String> {
        match self.reason() {
            Some(reason) => Some(format!("{NOT_PROVED}{reason}")),
            None => self.over_limit.clone(),
        }
    }

    /// Why the answer is not proved, in one line; none where it is.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        if self.proved {
            return None;
        }
        if self.finish == Finish::Length {
            return Some("it was cut off at `max_tokens`".to_owned());
        }
        let found = self.diagnostics.iter().map(|d| d.message.as_str());
        let mut all = found.chain(self.reasons.iter().map(String::as_str));
        let first = all.next().unwrap_or("it was not checked");
        let first = first.split_whitespace().collect::<Vec<_>>().join(" ");
        Some(match all.count() {
            0 => first,
            more => format!("{first} (and {more} more)"),
        })
    }
}

/// The edits that put an answer below its question, or in place of the answer there; none where it may not be inserted.
///
/// Ranges are bytes of `text`, in ascending order and apart. Line ends are those of `text`.
#[must_use]
pub fn edits(text: &str, question: &Question, answer: &Answer) -> Option<Vec<(Range<usize>, String)>> {
    let line_end = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let body = answer.text(&question.indent)?.replace('\n', line_end);
    let mut edits = Vec::new();
    if question.separator_missing
        && let Some(before) = statements(text)
            .iter()
            .rev()
            .find(|s| s.range.end <= question.comment.start)
    {
        edits.push((before.range.end..before.range.end, ";".to_owned()));
    }
    edits.push(match &question.answer {
        Some(old) => {
            // The old answer's first line keeps its indent and its `;` stays.
            let body = body.strip_prefix(question.indent.as_str()).unwrap_or(&body);
            let body = if question.answer_terminated {
                body.trim_end_matches(';')
            } else {
                body
            };
            (old.clone(), body.to_owned())
        }
        None => (
            question.insert_at..question.insert_at,
            format!("{line_end}{body}"),
        ),
    });
    Some(edits)
}

/// The comment that says a remark inside of an answer.
#[must_use]
pub fn remark_comment(remark: &str) -> String {
    format!("/* {} */", remark.replace("*/", "* /"))
}

fn marked(sql: &str, remark: &str) -> String {
    let comment = remark_comment(remark);
    let end = sql
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(sql.len())
        .max(usize::from(sql.starts_with('(')));
    let (head, tail) = sql.split_at(end);
    let gap = if tail.is_empty() || tail.starts_with(char::is_whitespace) {
        ""
    } else {
        " "
    };
    format!("{head} {comment}{gap}{tail}")
}
