//! A query that stands for a `DECLARE` or `SET`, which GoogleSQL's analyzer does not take: it selects the value,
//! cast to the variable's type, and what is said of it is moved back to the statement.

use std::ops::Range;

/// The type that a value is cast to.
pub(crate) enum Cast {
    /// It keeps its own.
    None,
    /// The one at these bytes of the statement.
    Written(Range<usize>),
    /// This one, in SQL.
    Known(String),
}

/// The query, and which bytes of the statement stand where in it.
pub(crate) struct Probe<'a> {
    text: &'a str,
    /// The query.
    pub(crate) sql: String,
    /// Where a piece begins in the query, and its bytes in the statement.
    pieces: Vec<(usize, Range<usize>)>,
}

impl<'a> Probe<'a> {
    /// A query of the value at these bytes of a statement, NULL where there is none.
    pub(crate) fn new(text: &'a str, value: Option<Range<usize>>, cast: Cast) -> Self {
        let mut probe = Self {
            text,
            sql: String::from("SELECT "),
            pieces: Vec::new(),
        };
        let casts = !matches!(cast, Cast::None);
        probe.sql.push_str(if casts { "CAST(" } else { "" });
        probe.value(value);
        match cast {
            Cast::None => {}
            Cast::Written(range) => {
                probe.sql.push_str(" AS ");
                probe.piece(range);
            }
            Cast::Known(of) => {
                probe.sql.push_str(" AS ");
                probe.sql.push_str(&of);
            }
        }
        probe.sql.push_str(if casts { ")" } else { "" });
        probe
    }

    fn value(&mut self, value: Option<Range<usize>>) {
        match value {
            Some(range) => {
                self.sql.push('(');
                self.piece(range);
                self.sql.push(')');
            }
            None => self.sql.push_str("NULL"),
        }
    }

    fn piece(&mut self, range: Range<usize>) {
        self.pieces.push((self.sql.len(), range.clone()));
        self.sql.push_str(&self.text[range]);
    }

    /// The bytes of the statement for bytes of the query: the whole value for what stands around it.
    pub(crate) fn back(&self, range: &Range<usize>) -> Range<usize> {
        let inside = |at: usize| {
            let piece =
                |(start, range): &&(usize, Range<usize>)| (*start..=start + range.len()).contains(&at);
            self.pieces
                .iter()
                .find(piece)
                .map(|(start, range)| range.start + at - start)
        };
        match (inside(range.start), inside(range.end)) {
            (Some(start), Some(end)) if start <= end => start..end,
            _ => self.pieces.first().map_or(0..0, |(_, whole)| whole.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_go_back_to_the_statement() {
        let text = "DECLARE d DATE DEFAULT nothing";
        let probe = Probe::new(text, Some(23..30), Cast::Written(10..14));
        assert_eq!(probe.sql, "SELECT CAST((nothing) AS DATE)");
        let at = |word: &str| probe.sql.find(word).map(|start| start..start + word.len());
        for word in ["nothing", "DATE"] {
            assert_eq!(at(word).map(|range| &text[probe.back(&range)]), Some(word));
        }
        assert_eq!(&text[probe.back(&(7..11))], "nothing");
    }

    #[test]
    fn a_known_type_is_no_place() {
        let probe = Probe::new("SET d = 'x'", Some(8..11), Cast::Known("DATE".to_owned()));
        assert_eq!(probe.sql, "SELECT CAST(('x') AS DATE)");
        assert_eq!(probe.back(&(20..24)), 8..11);
    }
}
