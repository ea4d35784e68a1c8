//! Where an accepted completion stands in a file, and what became of it there.
//!
//! A place is found again by its bytes, which move with every edit, and by the comment that asked: who rewrites a query
//! from nothing still answers the same comment.

use std::ops::Range;

use bigquill_analysis::syntax::lexer::tokens;
use bigquill_analysis::syntax::question::{Question, questions_of};
use bigquill_analysis::syntax::split::{Split, split};
use bigquill_model::corpus::Outcome;

use crate::document::Replacement;

/// What was put into a file.
#[derive(Debug, Clone, Copy)]
pub struct Offered<'a> {
    /// The question.
    pub question: &'a str,
    /// The answer's SQL.
    pub sql: &'a str,
    /// What was noted in it for the person.
    pub remark: Option<&'a str>,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Whether it stands as it was, stands changed, or is gone.
    pub outcome: Outcome,
    /// The changed SQL.
    pub sql: Option<String>,
}

impl Offered<'_> {
    /// Where the SQL stands as it was put in, below its question where there are several places.
    #[must_use]
    pub fn locate(&self, text: &str) -> Option<Range<usize>> {
        let split = split(text);
        let stands = |range: &Range<usize>| self.is_same(&text[range.clone()]);
        let below = self.answers(text, &split).find(stands);
        below.or_else(|| split.statements.iter().map(|s| s.range.clone()).find(stands))
    }

    /// What became of it, where it once stood in this range.
    #[must_use]
    pub fn kept(&self, text: &str, place: &Range<usize>) -> Kept {
        let split = split(text);
        let here: Vec<Range<usize>> = split
            .statements
            .iter()
            .map(|statement| statement.range.clone())
            .filter(|range| !place.is_empty() && range.start < place.end && place.start < range.end)
            .collect();
        let found = match here.as_slice() {
            [one] => Some(one.clone()),
            several => {
                let all = several
                    .first()
                    .zip(several.last())
                    .map(|(first, last)| first.start..last.end);
                self.answers(text, &split).next().or(all)
            }
        };
        let Some(range) = found else {
            return Kept {
                outcome: Outcome::Rejected,
                sql: None,
            };
        };
        let indent = indent_before(text, range.start);
        let sql = self.plain(&text[range], indent);
        if self.is_same(&sql) {
            return Kept {
                outcome: Outcome::Accepted,
                sql: None,
            };
        }
        Kept {
            outcome: Outcome::Edited,
            sql: Some(sql),
        }
    }

    /// The statements below comments that ask the same.
    fn answers(&self, text: &str, split: &Split) -> impl Iterator<Item = Range<usize>> {
        let same = |question: &Question| question.text == self.question;
        let answers: Vec<Range<usize>> = questions_of(text, split)
            .into_iter()
            .filter(same)
            .filter_map(|question| question.answer)
            .collect();
        answers.into_iter()
    }

    /// Whether white space and comments are all that differs.
    fn is_same(&self, sql: &str) -> bool {
        fn code(sql: &str) -> impl Iterator<Item = &str> {
            let tokens = tokens(sql).into_iter().filter(|token| !token.is_comment());
            tokens.map(|token| token.text(sql)).filter(|text| *text != ";")
        }
        code(sql).eq(code(self.sql))
    }

    /// SQL of a file as a model writes it: without the file's indent and line ends and without our own remark.
    fn plain(&self, sql: &str, indent: &str) -> String {
        let lines: Vec<&str> = sql
            .lines()
            .map(|line| line.strip_prefix(indent).unwrap_or(line))
            .collect();
        let sql = lines.join("\n");
        match self.remark {
            None => sql,
            Some(remark) => {
                let comment = crate::pipeline::remark_comment(remark);
                sql.replacen(&format!(" {comment}"), "", 1)
                    .replacen(&comment, "", 1)
            }
        }
    }
}

fn indent_before(text: &str, at: usize) -> &str {
    let line = text[..at].rfind('\n').map_or(0, |end| end + 1);
    let before = &text[line..at];
    if before.trim().is_empty() { before } else { "" }
}

/// Where a range is after a change of its text.
#[must_use]
pub fn moved(range: &Range<usize>, change: &Replacement) -> Range<usize> {
    let Replacement { range: old, len } = change;
    if old.start >= range.end {
        return range.clone();
    }
    let shifted = |at: usize| at - old.len() + len;
    if old.end <= range.start {
        return shifted(range.start)..shifted(range.end);
    }
    let end = if old.end >= range.end {
        old.start + len
    } else {
        shifted(range.end)
    };
    // What came from before the range is not of it, unless the range went with it.
    let start = if old.start < range.start && old.end < range.end {
        old.start + len
    } else {
        range.start.min(old.start)
    };
    start..end
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFERED: Offered<'static> = Offered {
        question: "how many?",
        sql: "SELECT COUNT(*)\nFROM t",
        remark: Some("not proved: t"),
    };
    const FILE: &str =
        "SELECT 1;\n  -- how many?\n  SELECT /* not proved: t */ COUNT(*)\n  FROM t;\n\nSELECT 2;\n";

    /// The file after this text took the place of that, and where the SQL stands then.
    fn edited(old: &str, new: &str) -> (String, Range<usize>) {
        let place = OFFERED.locate(FILE).expect("it stands there");
        let start = FILE.find(old).expect("it is there");
        let change = Replacement {
            range: start..start + old.len(),
            len: new.len(),
        };
        (FILE.replacen(old, new, 1), moved(&place, &change))
    }

    fn kept(old: &str, new: &str) -> Kept {
        let (text, place) = edited(old, new);
        OFFERED.kept(&text, &place)
    }

    fn changed(sql: &str) -> Kept {
        Kept {
            outcome: Outcome::Edited,
            sql: Some(sql.to_owned()),
        }
    }

    #[test]
    fn what_is_left_alone_or_laid_out_anew_is_accepted() {
        for (old, new) in [
            ("SELECT 1", "SELECT 1, 2"),
            ("SELECT 2", "WITH a AS (SELECT 1) SELECT 2"),
            ("  -- how many?\n", ""),
            ("COUNT(*)\n  FROM t", "COUNT( * )\n    FROM\n t -- yes"),
            (" /* not proved: t */", ""),
            ("  SELECT /*", "\n\n\nSELECT /*"),
        ] {
            assert_eq!(kept(old, new).outcome, Outcome::Accepted, "{old:?} {new:?}");
        }
    }

    #[test]
    fn what_is_changed_is_what_was_wanted() {
        assert_eq!(kept("COUNT(*)", "COUNT(id)"), changed("SELECT COUNT(id)\nFROM t"));
        // At its very end and its very start.
        assert_eq!(
            kept("FROM t", "FROM t LIMIT 1"),
            changed("SELECT COUNT(*)\nFROM t LIMIT 1")
        );
        assert_eq!(
            kept("SELECT /* not", "WITH a AS (SELECT 1) SELECT /* not"),
            changed("WITH a AS (SELECT 1) SELECT COUNT(*)\nFROM t")
        );
        // Written anew, with the comment and without.
        let all = &FILE[OFFERED.locate(FILE).expect("there")];
        assert_eq!(kept(all, "SELECT 7"), changed("SELECT 7"));
        let (text, place) = edited(all, "");
        let at = text.find("  ;").expect("what is left") + 2;
        let change = Replacement {
            range: at..at,
            len: 8,
        };
        let (text, place) = (text.replacen("  ;", "  SELECT 8;", 1), moved(&place, &change));
        assert_eq!(OFFERED.kept(&text, &place), changed("SELECT 8"));
        let asked_and_answered =
            &FILE[FILE.find("-- how").expect("there")..FILE.find(";\n\n").expect("there")];
        assert_eq!(kept(asked_and_answered, "SELECT 9"), changed("SELECT 9"));
    }

    #[test]
    fn what_is_gone_is_rejected() {
        let all = &FILE[FILE.find("  -- how").expect("there")..FILE.find("\nSELECT 2").expect("there")];
        assert_eq!(kept(all, "").outcome, Outcome::Rejected);
        assert_eq!(
            kept(&FILE[..FILE.find("SELECT 2").expect("there")], "").outcome,
            Outcome::Rejected
        );
    }
}
