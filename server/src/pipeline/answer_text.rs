//! The SQL in what a model writes: without fences, prose around them, and whatever follows the first statement.

use bigquill_analysis::syntax::split::statements;

const FENCE: &str = "```";

/// An answer while it is written.
#[derive(Debug, Default)]
pub(super) struct AnswerText {
    raw: String,
}

impl AnswerText {
    /// Adds a piece.
    pub(super) fn push(&mut self, piece: &str) {
        self.raw.push_str(piece);
    }

    /// The SQL so far, for display.
    pub(super) fn sql(&self) -> &str {
        self.fenced().map_or(self.raw.as_str(), |(sql, _)| sql).trim()
    }

    /// Whether the answer is over though the model goes on: its fence is closed, or text follows the first `;`.
    pub(super) fn is_whole(&self) -> bool {
        if let Some((_, true)) = self.fenced() {
            return true;
        }
        let sql = self.sql();
        sql.contains(';') && {
            let all = statements(sql);
            all.len() > 1 && all[0].terminated
        }
    }

    /// The first statement, without its `;` and without comments around it; all of it where there is none.
    pub(super) fn statement(&self) -> String {
        let sql = self.sql();
        match statements(sql).first() {
            Some(first) => sql[first.range.clone()].to_owned(),
            None => String::new(),
        }
    }

    /// What stands after the first fence, and whether it is closed.
    fn fenced(&self) -> Option<(&str, bool)> {
        let start = self.raw.find(FENCE)? + FENCE.len();
        // The fence's line may name a language.
        let body = match self.raw[start..].find('\n') {
            Some(end) => &self.raw[start + end + 1..],
            None => "",
        };
        Some(match body.find(FENCE) {
            Some(end) => (&body[..end], true),
            None => (body, false),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(raw: &str) -> (String, bool) {
        let mut text = AnswerText::default();
        text.push(raw);
        (text.statement(), text.is_whole())
    }

    #[test]
    fn fences_prose_and_what_follows_are_left_out() {
        for (raw, sql, whole) in [
            ("SELECT 1", "SELECT 1", false),
            (" SELECT 1;\n", "SELECT 1", false),
            ("```sql\nSELECT 1;\n```", "SELECT 1", true),
            ("Here it is:\n```\nSELECT 1", "SELECT 1", false),
            ("```sql", "", false),
            ("SELECT ';' AS a; SELECT 2", "SELECT ';' AS a", true),
            ("SELECT 1; -- done", "SELECT 1", false),
            ("-- counts\nSELECT 1", "SELECT 1", false),
            ("", "", false),
        ] {
            assert_eq!(answer(raw), (sql.to_owned(), whole), "{raw}");
        }
    }

    #[test]
    fn every_prefix_can_be_shown() {
        let raw = "Größe 😀:\n```sql\nSELECT '```' FROM `a.b`;\n```\nDone.";
        let mut text = AnswerText::default();
        for c in raw.chars() {
            text.push(&c.to_string());
            let _ = (text.sql().len(), text.is_whole(), text.statement());
        }
    }
}
