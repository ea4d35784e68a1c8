//! A tolerant lexer of GoogleSQL: every byte of any text falls in a token or in white space, and nothing fails.
//!
//! Lexical rules: <https://cloud.google.com/bigquery/docs/reference/standard-sql/lexical>. Where a literal is not
//! closed, its token ends where a person would see its end (line, blank line), so that one slip does not swallow the rest.

use std::ops::Range;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// A name or keyword without quotes.
    Word,
    /// A name in backquotes.
    Quoted,
    /// A string literal, also raw or in triple quotes.
    String,
    /// A bytes literal.
    Bytes,
    /// A number.
    Number,
    /// `@name`, `@@name` or `?`.
    Parameter,
    /// An operator or punctuation of one or more characters.
    Symbol,
    /// `-- …` or `# …`, without the line's end.
    LineComment,
    /// `/* … */`.
    BlockComment,
    /// A template tag: `{{ … }}`, `{% … %}`, `{# … #}`, `${ … }`.
    Template,
    /// A character that GoogleSQL does not know.
    Unknown,
}

/// A token and the bytes that it covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// First byte.
    pub start: usize,
    /// Byte after the last.
    pub end: usize,
    /// False for a literal, quoted name or block comment that lacks its end.
    pub closed: bool,
}

impl Token {
    /// The bytes that it covers.
    #[must_use]
    pub fn range(&self) -> Range<usize> {
        self.start..self.end
    }

    /// Its text.
    #[must_use]
    pub fn text<'t>(&self, text: &'t str) -> &'t str {
        text.get(self.start..self.end).unwrap_or_default()
    }

    /// Whether it is a comment.
    #[must_use]
    pub fn is_comment(&self) -> bool {
        matches!(self.kind, TokenKind::LineComment | TokenKind::BlockComment)
    }

    /// Whether it is this unquoted word, in any case.
    #[must_use]
    pub fn is_word(&self, text: &str, word: &str) -> bool {
        self.kind == TokenKind::Word && self.text(text).eq_ignore_ascii_case(word)
    }

    /// Whether it is this symbol.
    #[must_use]
    pub fn is_symbol(&self, text: &str, symbol: &str) -> bool {
        self.kind == TokenKind::Symbol && self.text(text) == symbol
    }

    /// Whether it is a name, quoted or not (a keyword counts).
    #[must_use]
    pub fn is_name(&self) -> bool {
        matches!(self.kind, TokenKind::Word | TokenKind::Quoted)
    }
}

/// All tokens of a text, comments included, white space left out.
#[must_use]
pub fn tokens(text: &str) -> Vec<Token> {
    let mut lexer = Lexer {
        text,
        bytes: text.as_bytes(),
        at: 0,
        tokens: Vec::with_capacity(text.len() / 5 + 8),
    };
    lexer.run();
    lexer.tokens
}

/// A quoted name's text without backquotes and escapes.
#[must_use]
pub fn unquote(quoted: &str) -> String {
    let inner = quoted.strip_prefix('`').unwrap_or(quoted);
    let inner = inner.strip_suffix('`').unwrap_or(inner);
    if !inner.contains('\\') {
        return inner.to_owned();
    }
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        out.push(if c == '\\' { chars.next().unwrap_or(c) } else { c });
    }
    out
}

struct Lexer<'t> {
    text: &'t str,
    bytes: &'t [u8],
    at: usize,
    tokens: Vec<Token>,
}

/// Longest first within each first byte.
const SYMBOLS: &[&str] = &[
    "->>", "<=>", "<<", "<=", "<>", ">=", "!=", "||", "|>", "=>", "==", "->", "::", ":=", "+=", "-=", "**",
];

impl Lexer<'_> {
    fn run(&mut self) {
        if self.text.starts_with('\u{feff}') {
            self.at = '\u{feff}'.len_utf8();
        }
        while let Some(&byte) = self.bytes.get(self.at) {
            match byte {
                b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c => self.at += 1,
                b'#' => self.line_comment(),
                b'-' if self.peek(1) == Some(b'-') => self.line_comment(),
                b'/' if self.peek(1) == Some(b'*') => self.block_comment(),
                b'{' if matches!(self.peek(1), Some(b'{' | b'%' | b'#')) => self.template(2),
                b'$' if self.peek(1) == Some(b'{') => self.template(2),
                b'\'' | b'"' => self.string(self.at, false, TokenKind::String),
                b'`' => self.quoted(),
                b'0'..=b'9' => self.number(),
                b'.' if self.peek(1).is_some_and(|b| b.is_ascii_digit()) && !self.after_name() => {
                    self.number()
                }
                b'@' => self.parameter(),
                b'?' => self.push_bytes(TokenKind::Parameter, 1),
                b'a'..=b'z' | b'A'..=b'Z' | b'_' => self.word(),
                _ if byte.is_ascii() => self.symbol(),
                _ => self.other(),
            }
        }
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.bytes.get(self.at + ahead).copied()
    }

    fn push(&mut self, kind: TokenKind, end: usize, closed: bool) {
        let start = self.at;
        self.tokens.push(Token {
            kind,
            start,
            end,
            closed,
        });
        self.at = end;
    }

    fn push_bytes(&mut self, kind: TokenKind, length: usize) {
        self.push(kind, self.at + length, true);
    }

    /// Whether a `.` here would continue a path: `t.1a`.
    fn after_name(&self) -> bool {
        self.tokens.last().is_some_and(|t| {
            t.end == self.at
                && (t.is_name() || matches!(self.text.as_bytes().get(t.start), Some(b')' | b']')))
        })
    }

    fn line_end(&self, from: usize) -> usize {
        let rest = self.bytes.get(from..).unwrap_or_default();
        // GoogleSQL ends a comment at a lone carriage return, too.
        rest.iter()
            .position(|&b| matches!(b, b'\n' | b'\r'))
            .map_or(self.bytes.len(), |i| from + i)
    }

    fn line_comment(&mut self) {
        let end = self.line_end(self.at);
        self.push(TokenKind::LineComment, end, true);
    }

    fn block_comment(&mut self) {
        let body = self.at + 2;
        match find(self.bytes, body, b"*/") {
            Some(end) => self.push(TokenKind::BlockComment, end + 2, true),
            None => {
                let end = blank_line(self.text, body).unwrap_or(self.bytes.len());
                self.push(TokenKind::BlockComment, end, false);
            }
        }
    }

    fn template(&mut self, opening: usize) {
        let closing: &[u8] = match (self.bytes.get(self.at), self.peek(1)) {
            (Some(b'$'), _) => b"}",
            (_, Some(b'%')) => b"%}",
            (_, Some(b'#')) => b"#}",
            _ => b"}}",
        };
        match find(self.bytes, self.at + opening, closing) {
            Some(end) => self.push(TokenKind::Template, end + closing.len(), true),
            None => {
                let end = self.line_end(self.at);
                self.push(TokenKind::Template, end, false);
            }
        }
    }

    /// A string whose quote stands at `quote`; the token begins at the current place (its prefix).
    fn string(&mut self, quote: usize, raw: bool, kind: TokenKind) {
        let mark = self.bytes[quote];
        let triple = self
            .bytes
            .get(quote..quote + 3)
            .is_some_and(|b| b.iter().all(|&c| c == mark));
        let mut at = quote + if triple { 3 } else { 1 };
        // A raw literal keeps its backslashes, but a quote after one still does not end it.
        let _ = raw;
        while let Some(&byte) = self.bytes.get(at) {
            match byte {
                b'\\' => at += 2,
                b'\n' if !triple => break,
                _ if byte == mark && !triple => return self.push(kind, at + 1, true),
                _ if byte == mark
                    && self
                        .bytes
                        .get(at..at + 3)
                        .is_some_and(|b| b.iter().all(|&c| c == mark)) =>
                {
                    return self.push(kind, at + 3, true);
                }
                _ => at += 1,
            }
        }
        let end = self.open_end(quote);
        self.push(kind, end, false);
    }

    /// Where a literal that is not closed ends: with its line, but before a `;` that ends the line.
    fn open_end(&self, from: usize) -> usize {
        let end = self.line_end(from);
        let line = self.text.get(from..end).unwrap_or_default().trim_end();
        match line.strip_suffix(';') {
            Some(before) if !before.is_empty() => from + before.len(),
            _ => end,
        }
    }

    fn quoted(&mut self) {
        let mut at = self.at + 1;
        while let Some(&byte) = self.bytes.get(at) {
            match byte {
                b'\\' => at += 2,
                b'\n' => break,
                b'`' => return self.push(TokenKind::Quoted, at + 1, true),
                _ => at += 1,
            }
        }
        let end = self.open_end(self.at);
        self.push(TokenKind::Quoted, end, false);
    }

    fn number(&mut self) {
        let path = self.bytes.get(self.at.wrapping_sub(1)) == Some(&b'.');
        let mut at = self.at;
        if self.bytes[at] == b'0' && matches!(self.peek(1), Some(b'x' | b'X')) {
            at += 2;
            at = self.skip(at, |b| b.is_ascii_hexdigit());
            return self.push(TokenKind::Number, at, true);
        }
        at = self.skip(at, |b| b.is_ascii_digit());
        if path {
            // A path component may begin with digits: `t.1a`.
            at = self.skip(at, |b| b.is_ascii_alphanumeric() || b == b'_');
            return self.push(TokenKind::Word, at, true);
        }
        if self.bytes.get(at) == Some(&b'.') && !self.in_dashed_path(at) {
            at = self.skip(at + 1, |b| b.is_ascii_digit());
        }
        if matches!(self.bytes.get(at), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(self.bytes.get(at + 1), Some(b'+' | b'-')));
            if self.bytes.get(at + 1 + sign).is_some_and(u8::is_ascii_digit) {
                at = self.skip(at + 1 + sign, |b| b.is_ascii_digit());
            }
        }
        self.push(TokenKind::Number, at, true);
    }

    /// Whether digits that end at `dot` belong to a dashed project name: `my-project-123.dataset`.
    fn in_dashed_path(&self, dot: usize) -> bool {
        let dashed = self
            .tokens
            .last()
            .is_some_and(|t| t.end == self.at && t.is_symbol(self.text, "-"));
        dashed
            && self
                .bytes
                .get(dot + 1)
                .is_some_and(|b| b.is_ascii_alphabetic() || matches!(b, b'_' | b'`'))
    }

    fn skip(&self, from: usize, take: impl Fn(u8) -> bool) -> usize {
        let rest = self.bytes.get(from..).unwrap_or_default();
        from + rest.iter().position(|&b| !take(b)).unwrap_or(rest.len())
    }

    fn parameter(&mut self) {
        let name = self.at + if self.peek(1) == Some(b'@') { 2 } else { 1 };
        if self.bytes.get(name) == Some(&b'`') {
            let end = find(self.bytes, name + 1, b"`").map_or(self.line_end(name), |e| e + 1);
            return self.push(TokenKind::Parameter, end, true);
        }
        let end = self.skip(name, |b| b.is_ascii_alphanumeric() || b == b'_');
        let kind = if end == name {
            TokenKind::Symbol
        } else {
            TokenKind::Parameter
        };
        self.push(kind, end.max(self.at + 1), true);
    }

    fn word(&mut self) {
        let end = self.skip(self.at, |b| {
            b.is_ascii_alphanumeric() || b == b'_' || !b.is_ascii()
        });
        let prefix = self.bytes.get(self.at..end).unwrap_or_default();
        if matches!(self.bytes.get(end), Some(b'\'' | b'"')) && prefix.len() <= 2 {
            let raw = prefix.iter().any(|b| matches!(b, b'r' | b'R'));
            let bytes = prefix.iter().any(|b| matches!(b, b'b' | b'B'));
            let only = prefix.iter().all(|b| matches!(b, b'r' | b'R' | b'b' | b'B'));
            if only && prefix.len() == usize::from(raw) + usize::from(bytes) {
                let kind = if bytes {
                    TokenKind::Bytes
                } else {
                    TokenKind::String
                };
                return self.string(end, raw, kind);
            }
        }
        let end = floor_word(self.text, self.at, end);
        self.push(TokenKind::Word, end, true);
    }

    fn symbol(&mut self) {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let long = SYMBOLS.iter().find(|s| rest.starts_with(s.as_bytes()));
        let length = long.map_or(1, |s| s.len());
        let known = rest.first().is_some_and(|b| !b.is_ascii_control());
        self.push_bytes(
            if known {
                TokenKind::Symbol
            } else {
                TokenKind::Unknown
            },
            length,
        );
    }

    fn other(&mut self) {
        let Some(c) = self.text.get(self.at..).and_then(|t| t.chars().next()) else {
            self.at = self.bytes.len();
            return;
        };
        if c.is_whitespace() || c == '\u{feff}' || c == '\u{200b}' {
            self.at += c.len_utf8();
        } else if c.is_alphanumeric() {
            let end = self.skip(self.at, |b| {
                b.is_ascii_alphanumeric() || b == b'_' || !b.is_ascii()
            });
            let end = floor_word(self.text, self.at, end);
            self.push(TokenKind::Word, end, true);
        } else {
            self.push(TokenKind::Unknown, self.at + c.len_utf8(), true);
        }
    }
}

/// A run of word bytes ends before the first character that is no letter or digit (a no-break space, a quotation mark).
fn floor_word(text: &str, start: usize, end: usize) -> usize {
    let word = text.get(start..end).unwrap_or_default();
    let stop = word
        .char_indices()
        .find(|(i, c)| *i > 0 && !c.is_alphanumeric() && *c != '_');
    stop.map_or(end, |(i, _)| start + i)
}

fn find(bytes: &[u8], from: usize, needle: &[u8]) -> Option<usize> {
    let rest = bytes.get(from..)?;
    rest.windows(needle.len())
        .position(|w| w == needle)
        .map(|i| from + i)
}

/// Where the first blank line from here on begins.
fn blank_line(text: &str, from: usize) -> Option<usize> {
    let rest = text.get(from..)?;
    let mut at = from;
    for (index, line) in rest.split_inclusive('\n').enumerate() {
        if index > 0 && line.trim().is_empty() && line.ends_with('\n') {
            return Some(at);
        }
        at += line.len();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(sql: &str) -> Vec<&str> {
        tokens(sql).iter().map(|t| t.text(sql)).collect()
    }

    #[test]
    fn literals_keep_quotes_and_escapes() {
        assert_eq!(
            texts(r#"SELECT r'a\'b', b"x", '''it's''', 'it\'s' -- end"#),
            [
                "SELECT",
                r"r'a\'b'",
                ",",
                "b\"x\"",
                ",",
                "'''it's'''",
                ",",
                r"'it\'s'",
                "-- end"
            ]
        );
    }

    #[test]
    fn numbers_paths_and_parameters() {
        assert_eq!(
            texts("1.5e-3 .5 0xFF t.1a my-proj-123.d.t @p @@x.y ?"),
            [
                "1.5e-3", ".5", "0xFF", "t", ".", "1a", "my", "-", "proj", "-", "123", ".", "d", ".", "t",
                "@p", "@@x", ".", "y", "?"
            ]
        );
    }

    #[test]
    fn an_open_string_ends_with_its_line() {
        let sql = "SELECT 'abc\nFROM t";
        assert_eq!(texts(sql), ["SELECT", "'abc", "FROM", "t"]);
        assert!(!tokens(sql)[1].closed);
    }

    #[test]
    fn an_open_comment_ends_with_a_blank_line() {
        assert_eq!(texts("/* how many\n\nSELECT 1"), ["/* how many\n", "SELECT", "1"]);
    }

    #[test]
    fn any_text_is_covered() {
        for sql in [
            "\u{feff}SELECT 1",
            "SELECT\u{a0}a",
            "“a”",
            "\0",
            "é日本",
            "'\\",
            "`\\",
            "@",
            "$",
            "r'",
            "/*",
            "{{",
        ] {
            for token in tokens(sql) {
                assert!(
                    token.end > token.start && sql.get(token.range()).is_some(),
                    "{sql:?} {token:?}"
                );
            }
        }
    }
}
