//! The only converter between byte offsets and editor positions.
//!
//! Inside, everything is a byte offset into the text. An editor counts lines from 0, ended by `\n`, `\r\n` or a
//! lone `\r`, and within a line UTF-16 code units, or bytes or code points where both sides agreed so
//! (<https://microsoft.github.io/language-server-protocol/specifications/lsp/3.17/specification/#position>).
//! A position that does not exist is moved to the nearest one before it; nothing here fails.

use std::ops::Range;

use tower_lsp::lsp_types::{Position, PositionEncodingKind, Range as EditorRange};

/// What the `character` of a position counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Encoding {
    /// Bytes.
    Utf8,
    /// UTF-16 code units, the protocol's default.
    #[default]
    Utf16,
    /// Code points.
    Utf32,
}

impl Encoding {
    /// The first encoding of the client's list, which is in the client's order of preference, that we know;
    /// UTF-16 where the client offers none.
    #[must_use]
    pub fn negotiate(offered: Option<&[PositionEncodingKind]>) -> Self {
        offered
            .unwrap_or_default()
            .iter()
            .find_map(|kind| match kind.as_str() {
                "utf-8" => Some(Self::Utf8),
                "utf-16" => Some(Self::Utf16),
                "utf-32" => Some(Self::Utf32),
                _ => None,
            })
            .unwrap_or_default()
    }

    /// The protocol's name of it.
    #[must_use]
    pub fn kind(self) -> PositionEncodingKind {
        match self {
            Self::Utf8 => PositionEncodingKind::UTF8,
            Self::Utf16 => PositionEncodingKind::UTF16,
            Self::Utf32 => PositionEncodingKind::UTF32,
        }
    }

    fn units(self, text: &str) -> usize {
        match self {
            Self::Utf8 => text.len(),
            Self::Utf16 => text.chars().map(char::len_utf16).sum(),
            Self::Utf32 => text.chars().count(),
        }
    }

    /// Bytes of the longest prefix of `line` that has at most so many units.
    fn bytes(self, line: &str, units: usize) -> usize {
        let mut left = units;
        for (offset, char) in line.char_indices() {
            let width = match self {
                Self::Utf8 => char.len_utf8(),
                Self::Utf16 => char.len_utf16(),
                Self::Utf32 => 1,
            };
            if width > left {
                return offset;
            }
            left -= width;
        }
        line.len()
    }
}

/// Where the lines of a text begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineIndex {
    starts: Vec<usize>,
}

impl LineIndex {
    /// The lines of this text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let bytes = text.as_bytes();
        let mut starts = vec![0];
        starts.extend((1..=bytes.len()).filter(|&at| begins_line(bytes, at)));
        Self { starts }
    }

    /// Follows an edit: `replaced` is the byte range in the old text, `text` the new text, in which the replacement
    /// is `inserted` bytes long. Looks only at the bytes of the edit and its borders.
    pub fn splice(&mut self, text: &str, replaced: Range<usize>, inserted: usize) {
        // A line start depends on the byte before and the byte after it, so only those from the first to the last
        // border of the edit may come or go.
        let first = self.starts.partition_point(|&s| s < replaced.start.max(1));
        let last = self.starts.partition_point(|&s| s <= replaced.end).max(first);
        let end = replaced.start + inserted;
        for start in &mut self.starts[last..] {
            *start = *start - replaced.end + end;
        }
        let bytes = text.as_bytes();
        let fresh = (replaced.start.max(1)..=end).filter(|&at| begins_line(bytes, at));
        self.starts.splice(first..last, fresh);
    }

    /// How many lines there are: one more than line ends.
    #[must_use]
    pub fn lines(&self) -> usize {
        self.starts.len()
    }

    /// The line of a byte offset, from 0.
    #[must_use]
    pub fn line_of(&self, offset: usize) -> usize {
        self.starts.partition_point(|&start| start <= offset).max(1) - 1
    }

    /// Byte range of a line without its line end; the empty range at the end of the text for a line that is not there.
    #[must_use]
    pub fn line_range(&self, text: &str, line: usize) -> Range<usize> {
        let Some(&start) = self.starts.get(line) else {
            return text.len()..text.len();
        };
        let end = self.starts.get(line + 1).copied().unwrap_or(text.len());
        let content = text.get(start..end).unwrap_or_default();
        let trimmed = if line + 1 < self.starts.len() {
            content
                .strip_suffix("\r\n")
                .unwrap_or_else(|| content.strip_suffix(['\n', '\r']).unwrap_or(content))
        } else {
            content
        };
        start..start + trimmed.len()
    }

    /// The byte offset of a position: the end of the line for a character past it, the end of the text for a line
    /// past it, the character's start for a position inside a character.
    #[must_use]
    pub fn offset(&self, text: &str, position: Position, encoding: Encoding) -> usize {
        let line = self.line_range(text, position.line as usize);
        let content = text.get(line.clone()).unwrap_or_default();
        line.start + encoding.bytes(content, position.character as usize)
    }

    /// The byte range of an editor's range; ends in the wrong order are swapped.
    #[must_use]
    pub fn byte_range(&self, text: &str, range: EditorRange, encoding: Encoding) -> Range<usize> {
        let start = self.offset(text, range.start, encoding);
        let end = self.offset(text, range.end, encoding);
        start.min(end)..start.max(end)
    }

    /// The position of a byte offset; an offset past the text or inside a character is moved back to a border.
    #[must_use]
    pub fn position(&self, text: &str, offset: usize, encoding: Encoding) -> Position {
        let mut offset = offset.min(text.len());
        while !text.is_char_boundary(offset) {
            offset -= 1;
        }
        let line = self.line_of(offset);
        let range = self.line_range(text, line);
        // Between `\r` and `\n` there is no position: it is the end of the line.
        let before = text.get(range.start..offset.min(range.end)).unwrap_or_default();
        Position::new(saturating(line), saturating(encoding.units(before)))
    }

    /// The editor's range of a byte range.
    #[must_use]
    pub fn editor_range(&self, text: &str, range: &Range<usize>, encoding: Encoding) -> EditorRange {
        EditorRange::new(
            self.position(text, range.start, encoding),
            self.position(text, range.end, encoding),
        )
    }
}

fn begins_line(bytes: &[u8], at: usize) -> bool {
    match bytes[at - 1] {
        b'\n' => true,
        b'\r' => bytes.get(at) != Some(&b'\n'),
        _ => false,
    }
}

fn saturating(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENCODINGS: [Encoding; 3] = [Encoding::Utf8, Encoding::Utf16, Encoding::Utf32];

    fn at(line: u32, character: u32) -> Position {
        Position::new(line, character)
    }

    #[test]
    fn every_line_end_counts_once() {
        let text = "a\nb\r\nc\rd\r\r\n";
        let index = LineIndex::new(text);
        let lines: Vec<&str> = (0..index.lines())
            .map(|l| &text[index.line_range(text, l)])
            .collect();
        assert_eq!(lines, ["a", "b", "c", "d", "", ""]);
    }

    #[test]
    fn units_of_each_encoding() {
        // tab, precomposed é, decomposed é, an astral emoji, a CJK ideograph
        let text = "x\n\té e\u{301} 😀 表 z";
        let index = LineIndex::new(text);
        let z = text.len() - 1;
        let columns = ENCODINGS.map(|encoding| index.position(text, z, encoding).character);
        assert_eq!(columns, [17, 11, 10]);
        for encoding in ENCODINGS {
            let position = index.position(text, z, encoding);
            assert_eq!(index.offset(text, position, encoding), z, "{encoding:?}");
        }
    }

    #[test]
    fn every_border_goes_there_and_back() {
        let text = "-- 😀 größe\r\n\tselect 'e\u{301}'\r-- 表\n\n";
        let index = LineIndex::new(text);
        for encoding in ENCODINGS {
            for (offset, _) in text
                .char_indices()
                .filter(|&(o, _)| !text[..o].ends_with('\r') || !text[o..].starts_with('\n'))
            {
                let position = index.position(text, offset, encoding);
                assert_eq!(
                    index.offset(text, position, encoding),
                    offset,
                    "{encoding:?} {offset}"
                );
            }
        }
    }

    #[test]
    fn positions_outside_are_moved_to_the_nearest_before() {
        let text = "ab😀\r\ncd";
        let index = LineIndex::new(text);
        assert_eq!(index.offset(text, at(0, 99), Encoding::Utf16), 6);
        assert_eq!(
            index.offset(text, at(0, 3), Encoding::Utf16),
            2,
            "between the surrogates"
        );
        assert_eq!(
            index.offset(text, at(0, 4), Encoding::Utf8),
            2,
            "inside the four bytes"
        );
        assert_eq!(index.offset(text, at(9, 0), Encoding::Utf16), text.len());
        assert_eq!(
            index.offset(text, at(u32::MAX, u32::MAX), Encoding::Utf32),
            text.len()
        );
        assert_eq!(
            index.position(text, 4, Encoding::Utf16),
            at(0, 2),
            "inside a character"
        );
        assert_eq!(
            index.position(text, 7, Encoding::Utf16),
            at(0, 4),
            "between CR and LF"
        );
        assert_eq!(index.position(text, 999, Encoding::Utf16), at(1, 2));
        let backwards = EditorRange::new(at(1, 1), at(0, 1));
        assert_eq!(index.byte_range(text, backwards, Encoding::Utf16), 1..9);
    }

    #[test]
    fn splice_equals_a_fresh_index_whatever_the_edit() {
        let pieces = ["", "\r", "\n", "\r\n", "a", "a\nb", "\n\r", "😀\r"];
        for text in ["", "\r\n", "a\r\nb", "\r\r\n\n", "one\ntwo\rthree\r\n", "\n\n"] {
            for start in (0..=text.len()).filter(|&i| text.is_char_boundary(i)) {
                for end in (start..=text.len()).filter(|&i| text.is_char_boundary(i)) {
                    for piece in pieces {
                        let mut index = LineIndex::new(text);
                        let mut edited = text.to_owned();
                        edited.replace_range(start..end, piece);
                        index.splice(&edited, start..end, piece.len());
                        assert_eq!(
                            index,
                            LineIndex::new(&edited),
                            "{text:?} {start}..{end} {piece:?}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn the_clients_order_of_encodings_decides() {
        let offer = |names: &[&'static str]| {
            let kinds: Vec<_> = names.iter().map(|&n| PositionEncodingKind::new(n)).collect();
            Encoding::negotiate(Some(&kinds))
        };
        assert_eq!(Encoding::negotiate(None), Encoding::Utf16);
        assert_eq!(offer(&["utf-8", "utf-16"]), Encoding::Utf8);
        assert_eq!(offer(&["utf-16", "utf-8"]), Encoding::Utf16);
        assert_eq!(offer(&["utf-7", "utf-32"]), Encoding::Utf32);
        assert_eq!(offer(&["utf-7"]), Encoding::Utf16);
    }
}
