//! Elements of a JSON array as texts of their own, so that one broken element does not lose the others.

/// One element and the line where it begins, from 1.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Element<'a> {
    pub(super) line: usize,
    pub(super) text: &'a str,
}

/// Elements of the array that `text` begins with, and the place where the array itself is broken.
///
/// Only brackets and strings are looked at. A string ends with its line at the latest, as JSON wants it:
/// a forgotten quote then spoils no more than its own element.
pub(super) fn elements(text: &str) -> (Vec<Element<'_>>, Option<(usize, String)>) {
    let mut found = Vec::new();
    let mut scan = Scan::default();
    let mut start: Option<(usize, usize)> = None;
    for (offset, byte) in text.bytes().enumerate() {
        let outside = scan.depth == 1 && !scan.in_string;
        if outside && start.is_none() && !byte.is_ascii_whitespace() && !matches!(byte, b',' | b']') {
            start = Some((offset, scan.line));
        }
        if outside && matches!(byte, b',' | b']') {
            push(text, &mut found, start.take(), offset);
        }
        scan.step(byte);
        if scan.depth == 0 && byte == b']' && !scan.in_string {
            return (found, trailing(&text[offset + 1..], scan.line));
        }
    }
    push(text, &mut found, start, text.len());
    (
        found,
        Some((scan.line, "the array is not closed by `]`".to_owned())),
    )
}

#[derive(Default)]
struct Scan {
    depth: usize,
    in_string: bool,
    escaped: bool,
    line: usize,
}

impl Scan {
    fn step(&mut self, byte: u8) {
        if self.line == 0 {
            self.line = 1;
        }
        if byte == b'\n' {
            self.line += 1;
            self.in_string = false;
            self.escaped = false;
        } else if self.in_string {
            self.in_string = self.escaped || byte != b'"';
            self.escaped = !self.escaped && byte == b'\\';
        } else {
            match byte {
                b'"' => self.in_string = true,
                b'[' | b'{' => self.depth += 1,
                b']' | b'}' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
    }
}

fn push<'a>(text: &'a str, found: &mut Vec<Element<'a>>, start: Option<(usize, usize)>, end: usize) {
    if let Some((offset, line)) = start {
        found.push(Element {
            line,
            text: text[offset..end].trim_end(),
        });
    }
}

fn trailing(rest: &str, line: usize) -> Option<(usize, String)> {
    let blank = rest.len() - rest.trim_start().len();
    (blank < rest.len()).then(|| {
        let line = line + rest[..blank].matches('\n').count();
        (line, "text after the end of the array is not read".to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> (Vec<(usize, &str)>, Option<usize>) {
        let (found, error) = elements(text);
        (
            found.into_iter().map(|e| (e.line, e.text)).collect(),
            error.map(|e| e.0),
        )
    }

    #[test]
    fn elements_stand_alone() {
        assert_eq!(
            texts("[\n {\"a\": \"]},[\\\"\"},\n {\"b\": [1, 2]}\n]\n"),
            (vec![(2, "{\"a\": \"]},[\\\"\"}"), (3, "{\"b\": [1, 2]}")], None)
        );
        assert_eq!(texts("[]"), (vec![], None));
    }

    #[test]
    fn a_forgotten_quote_spoils_one_element() {
        let (found, error) = texts("[\n {\"a\": \"x\n },\n {\"b\": 1}\n]");
        assert_eq!(found[1], (4, "{\"b\": 1}"));
        assert_eq!(error, None);
    }

    #[test]
    fn an_open_array_and_trailing_text_are_told() {
        assert_eq!(
            texts("[{\"a\": 1},\n{\"b\""),
            (vec![(1, "{\"a\": 1}"), (2, "{\"b\"")], Some(2))
        );
        assert_eq!(texts("[1]\n\nx"), (vec![(1, "1")], Some(3)));
    }
}
