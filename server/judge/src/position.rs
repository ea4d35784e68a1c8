//! From GoogleSQL's line and column to bytes.

/// Columns from one tab stop to the next.
const TAB: usize = 8;

/// The byte at a line and column, both from 1.
///
/// A line ends with `\n`, `\r` or `\r\n`. A column counts characters; after a tab the next column is one more than
/// a multiple of 8. A position behind the end of a line is the line's end, one behind the text the text's.
#[must_use]
pub fn offset(text: &str, line: usize, column: usize) -> usize {
    let start = line_start(text, line);
    let mut at = 1;
    for (index, c) in text[start..].char_indices() {
        if at >= column || matches!(c, '\n' | '\r') {
            return start + index;
        }
        at = if c == '\t' {
            (at - 1) / TAB * TAB + TAB + 1
        } else {
            at + 1
        };
    }
    text.len()
}

fn line_start(text: &str, line: usize) -> usize {
    let bytes = text.as_bytes();
    let ends = (0..bytes.len()).filter(|&i| match bytes[i] {
        b'\n' => true,
        b'\r' => bytes.get(i + 1) != Some(&b'\n'),
        _ => false,
    });
    match line.checked_sub(2) {
        None => 0,
        Some(before) => ends.map(|i| i + 1).nth(before).unwrap_or(bytes.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tabs_characters_and_line_ends_count_as_googlesql_counts() {
        assert_eq!(offset("select x", 1, 8), 7);
        assert_eq!(offset("select \n\t\tx\r\ny", 2, 17), 10);
        assert_eq!(offset("a\r\nb\rc\nd", 4, 1), 7);
        assert_eq!(offset("'é😀' x", 1, 6), 9);
        assert_eq!(offset("ab\tx", 1, 9), 3);
    }

    #[test]
    fn positions_outside_are_clamped() {
        assert_eq!(offset("ab\ncd", 1, 99), 2);
        assert_eq!(offset("ab", 9, 1), 2);
        assert_eq!(offset("", 1, 1), 0);
    }
}
