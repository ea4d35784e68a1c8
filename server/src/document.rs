//! An open document: its text at one version.
//!
//! A document is immutable. An edit makes a new one, so that whoever works on a version keeps it while the person
//! types on.

use std::ops::Range;

use tower_lsp::lsp_types::{Position, Range as EditorRange, TextDocumentContentChangeEvent, Url};

use crate::position::{Encoding, LineIndex};

/// One version of an open document.
#[derive(Debug, Clone)]
pub struct Document {
    /// Its address.
    pub uri: Url,
    /// The client's number of this version.
    pub version: i32,
    /// The whole text.
    pub text: String,
    /// What positions count, as agreed with the client.
    pub encoding: Encoding,
    lines: LineIndex,
}

/// What a change did to a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replacement {
    /// Bytes of the text before.
    pub range: Range<usize>,
    /// How many bytes stand in their place.
    pub len: usize,
}

impl Replacement {
    /// The smallest that makes one text of the other.
    fn between(old: &str, new: &str) -> Self {
        let same = |pairs: &mut dyn Iterator<Item = (u8, u8)>| pairs.take_while(|(a, b)| a == b).count();
        let start = same(&mut old.bytes().zip(new.bytes()));
        let most = old.len().min(new.len()) - start;
        let end = same(&mut old.bytes().rev().zip(new.bytes().rev())).min(most);
        Self {
            range: start..old.len() - end,
            len: new.len() - end - start,
        }
    }
}

impl Document {
    /// A document as the client opened it.
    #[must_use]
    pub fn new(uri: Url, version: i32, text: String, encoding: Encoding) -> Self {
        let lines = LineIndex::new(&text);
        Self {
            uri,
            version,
            text,
            encoding,
            lines,
        }
    }

    /// The next version: the changes are applied one after the other, each to the text that the one before left. And
    /// what each replaced.
    #[must_use]
    pub fn changed(
        &self,
        version: i32,
        changes: Vec<TextDocumentContentChangeEvent>,
    ) -> (Self, Vec<Replacement>) {
        let mut next = Self {
            version,
            ..self.clone()
        };
        let replacements = changes.into_iter().map(|change| next.apply(change)).collect();
        (next, replacements)
    }

    fn apply(&mut self, change: TextDocumentContentChangeEvent) -> Replacement {
        let Some(range) = change.range else {
            let replacement = Replacement::between(&self.text, &change.text);
            self.lines = LineIndex::new(&change.text);
            self.text = change.text;
            return replacement;
        };
        let range = self.byte_range(range);
        self.text.replace_range(range.clone(), &change.text);
        self.lines.splice(&self.text, range.clone(), change.text.len());
        Replacement {
            range,
            len: change.text.len(),
        }
    }

    /// The line index of this version.
    #[must_use]
    pub fn lines(&self) -> &LineIndex {
        &self.lines
    }

    /// The byte offset of a position.
    #[must_use]
    pub fn offset(&self, position: Position) -> usize {
        self.lines.offset(&self.text, position, self.encoding)
    }

    /// The byte range of an editor's range.
    #[must_use]
    pub fn byte_range(&self, range: EditorRange) -> Range<usize> {
        self.lines.byte_range(&self.text, range, self.encoding)
    }

    /// The position of a byte offset.
    #[must_use]
    pub fn position(&self, offset: usize) -> Position {
        self.lines.position(&self.text, offset, self.encoding)
    }

    /// The editor's range of a byte range.
    #[must_use]
    pub fn editor_range(&self, range: &Range<usize>) -> EditorRange {
        self.lines.editor_range(&self.text, range, self.encoding)
    }

    /// The text of a byte range; empty where the range does not fit this version.
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> &str {
        self.text.get(range).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(range: Option<(u32, u32, u32, u32)>, text: &str) -> TextDocumentContentChangeEvent {
        TextDocumentContentChangeEvent {
            range: range.map(|(a, b, c, d)| EditorRange::new(Position::new(a, b), Position::new(c, d))),
            range_length: None,
            text: text.to_owned(),
        }
    }

    #[test]
    fn changes_of_one_notification_build_on_each_other() {
        let uri = Url::parse("file:///a.sql").expect("a valid address");
        let first = Document::new(uri, 1, "-- 😀 a\r\nselect 1".into(), Encoding::Utf16);
        let (second, replaced) = first.changed(
            2,
            vec![
                change(Some((0, 3, 0, 5)), "total"),
                change(Some((0, 8, 0, 9)), "\r"),
                change(Some((2, 0, 2, 6)), "SELECT"),
                change(Some((9, 9, 9, 9)), ";"),
            ],
        );
        assert_eq!(second.text, "-- total\ra\r\nSELECT 1;");
        assert_eq!(replaced[0], Replacement { range: 3..7, len: 5 });
        assert_eq!(second.lines(), &LineIndex::new(&second.text));
        assert_eq!((first.version, second.version), (1, 2));
        assert_eq!(first.text, "-- 😀 a\r\nselect 1", "the old version stays");
        let (third, replaced) = second.changed(3, vec![change(None, "-- totals\ra\r\nSELECT 1;")]);
        assert_eq!(third.text, "-- totals\ra\r\nSELECT 1;");
        assert_eq!(replaced, [Replacement { range: 8..8, len: 1 }]);
    }
}
