//! Our tokens as sqlparser's, with the places where its BigQuery dialect falls short rewritten.
//!
//! Every token keeps its byte offset: the span's line is always 1 and its column is the offset plus one, so that the
//! tree's spans are byte ranges without further conversion. What is rewritten here is listed at each rule; the text
//! itself is never touched.

use std::ops::Range;

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Location, Span, Token as Sql, TokenWithSpan, Word};

use super::lexer::{Token, TokenKind, unquote};
use crate::schema::is_reserved;
use crate::types::{Field, Type};

/// Name of the function that stands for the typed array of this number: `$array3(…)` for `ARRAY<T>[…]`.
pub const TYPED_ARRAY: &str = "$array";
/// Name of the value that stands for a MODEL, TABLE or CONNECTION argument.
pub const OBJECT_ARGUMENT: &str = "$object";

/// Tokens for sqlparser, and what the rewriting took out of them.
#[derive(Debug, Default)]
pub struct Adapted {
    /// The tokens, without white space and comments.
    pub tokens: Vec<TokenWithSpan>,
    /// Types of the typed arrays, by number.
    pub arrays: Vec<Type>,
    /// Paths of tables that stand as arguments: `APPENDS(TABLE d.t, …)`.
    pub table_arguments: Vec<Range<usize>>,
    /// Something was left out that the tree does not show.
    pub lossy: bool,
    /// Operators and other things that can nest without brackets.
    pub operators: usize,
    /// Greatest depth of brackets.
    pub depth: usize,
}

/// Rewrites these tokens of a text; comments among them are left out.
#[must_use]
pub fn adapt(text: &str, tokens: &[Token]) -> Adapted {
    let code: Vec<Token> = tokens.iter().filter(|t| !t.is_comment()).copied().collect();
    let mut adapter = Adapter {
        text,
        code: &code,
        at: 0,
        out: Adapted::default(),
        brackets: Vec::new(),
        path_place: false,
    };
    adapter.out.tokens.reserve(code.len() + 8);
    while adapter.at < code.len() {
        adapter.step();
    }
    adapter.out
}

/// The span of these bytes.
#[must_use]
pub fn span(range: &Range<usize>) -> Span {
    let at = |offset: usize| Location {
        line: 1,
        column: offset as u64 + 1,
    };
    Span {
        start: at(range.start),
        end: at(range.end),
    }
}

/// The bytes that a span of the tree covers; none for a span that sqlparser left empty.
#[must_use]
pub fn bytes(span: &Span) -> Option<Range<usize>> {
    let at = |l: &Location| usize::try_from(l.column).ok()?.checked_sub(1);
    (span.start.line > 0).then_some(())?;
    Some(at(&span.start)?..at(&span.end)?)
}

#[derive(Clone, Copy, PartialEq)]
enum Bracket {
    /// `(` after a name that is no keyword: a call.
    Call,
    /// `(` of EXTRACT, where FROM begins no table list.
    Extract,
    /// Any other `(`.
    Group,
    /// `[`.
    Array,
    /// `[` of a typed array, written as `(`.
    TypedArray,
}

struct Adapter<'t> {
    text: &'t str,
    code: &'t [Token],
    at: usize,
    out: Adapted,
    brackets: Vec<(Bracket, bool)>,
    /// Whether a table's name may stand here: then `a-b.c.d` is one.
    path_place: bool,
}

const PATH_WORDS: &[&str] = &[
    "FROM",
    "JOIN",
    "INTO",
    "UPDATE",
    "TABLE",
    "VIEW",
    "MERGE",
    "USING",
    "CLONE",
    "COPY",
    "LIKE",
    "SCHEMA",
    "FUNCTION",
    "PROCEDURE",
    "EXISTS",
    "INSERT",
    "DELETE",
    "CALL",
    "MODEL",
];
const PATH_ENDS: &[&str] = &[
    "SELECT", "WHERE", "GROUP", "ORDER", "HAVING", "QUALIFY", "LIMIT", "ON", "SET", "WINDOW", "VALUES",
    "WHEN", "AS",
];
/// Words at which `FOR SYSTEM_TIME AS OF expression` ends.
const TIME_ENDS: &[&str] = &[
    "JOIN",
    "LEFT",
    "RIGHT",
    "INNER",
    "CROSS",
    "FULL",
    "ON",
    "USING",
    "WHERE",
    "GROUP",
    "ORDER",
    "HAVING",
    "QUALIFY",
    "LIMIT",
    "UNION",
    "EXCEPT",
    "INTERSECT",
    "WINDOW",
    "PIVOT",
    "UNPIVOT",
    "TABLESAMPLE",
    "AS",
    "WHEN",
    "OPTIONS",
];

impl Adapter<'_> {
    fn token(&self, ahead: usize) -> Option<&Token> {
        self.code.get(self.at + ahead)
    }

    fn word(&self, ahead: usize, word: &str) -> bool {
        self.token(ahead).is_some_and(|t| t.is_word(self.text, word))
    }

    fn symbol(&self, ahead: usize, symbol: &str) -> bool {
        self.token(ahead).is_some_and(|t| t.is_symbol(self.text, symbol))
    }

    fn previous(&self) -> Option<&Token> {
        self.code.get(self.at.checked_sub(1)?)
    }

    fn previous_symbol(&self, symbol: &str) -> bool {
        self.previous().is_some_and(|t| t.is_symbol(self.text, symbol))
    }

    fn emit(&mut self, token: Sql, range: &Range<usize>) {
        self.out.tokens.push(TokenWithSpan {
            token,
            span: span(range),
        });
    }

    fn emit_word(&mut self, word: &str, range: &Range<usize>) {
        self.emit(Sql::make_word(word, None), range);
    }

    fn step(&mut self) {
        let Some(&token) = self.token(0) else { return };
        let range = token.range();
        match token.kind {
            TokenKind::Word => self.step_word(&token),
            TokenKind::Quoted => {
                let value = unquote(token.text(self.text));
                self.emit(quoted(value), &range);
                self.at += 1;
            }
            TokenKind::String => {
                // Neighbouring literals are one; no rule needs their contents.
                let joined = self.previous().is_some_and(|t| t.kind == TokenKind::String);
                if !joined {
                    self.emit(Sql::SingleQuotedString(String::new()), &range);
                }
                self.at += 1;
            }
            TokenKind::Bytes => {
                self.emit(Sql::SingleQuotedByteStringLiteral(String::new()), &range);
                self.at += 1;
            }
            TokenKind::Number => {
                self.emit(Sql::Number(token.text(self.text).to_owned(), false), &range);
                self.at += 1;
            }
            TokenKind::Parameter => {
                let name = token.text(self.text);
                let system = name.starts_with("@@");
                self.emit(
                    if system {
                        Sql::make_word(name, None)
                    } else {
                        Sql::Placeholder(name.to_owned())
                    },
                    &range,
                );
                self.at += 1;
            }
            TokenKind::Symbol => self.step_symbol(&token),
            TokenKind::Template | TokenKind::Unknown => {
                self.emit(Sql::Char('\u{fffd}'), &range);
                self.at += 1;
            }
            TokenKind::LineComment | TokenKind::BlockComment => self.at += 1,
        }
    }

    fn step_word(&mut self, token: &Token) {
        let text = token.text(self.text);
        let range = token.range();
        // After a dot every word is a name: `SAFE.SUBSTR(…)`, `t.date`.
        if self.previous_symbol(".") {
            self.emit(
                Sql::Word(Word {
                    value: text.to_owned(),
                    quote_style: None,
                    keyword: Keyword::NoKeyword,
                }),
                &range,
            );
            self.at += 1;
            return;
        }
        if self.path_place && self.dashed_path() {
            return;
        }
        let is = |w: &str| text.eq_ignore_ascii_case(w);
        if is("ARRAY") && self.symbol(1, "<") && self.typed_array() {
            return;
        }
        if is("RANGE") && self.symbol(1, "<") && self.range_type() {
            return;
        }
        if is("FOR") && self.system_time() {
            return;
        }
        if (is("MODEL") || is("TABLE") || is("CONNECTION") || is("GRAPH")) && self.object_argument() {
            return;
        }
        if is("WITH") && self.word(1, "OFFSET") && self.offset_of_path() {
            return;
        }
        if is("TABLE") && self.table_named_table(&range) {
            return;
        }
        if is("WITH") && self.privacy_clause() {
            return;
        }
        if self.create_words(text) || self.pipe_words(text) {
            return;
        }
        if PATH_WORDS.iter().any(|w| is(w)) {
            self.path_place = !matches!(self.brackets.last(), Some((Bracket::Extract, _)));
        } else if PATH_ENDS.iter().any(|w| is(w)) {
            self.path_place = false;
        }
        if [
            "AND",
            "OR",
            "NOT",
            "UNION",
            "INTERSECT",
            "EXCEPT",
            "IS",
            "LIKE",
            "IN",
            "BETWEEN",
        ]
        .iter()
        .any(|w| is(w))
        {
            self.out.operators += 1;
        }
        self.emit_word(text, &range);
        self.at += 1;
    }

    /// `a-b-1.c.d` where a table's name may stand: one quoted word for the dashed part.
    fn dashed_path(&mut self) -> bool {
        let mut ahead = 0;
        let touching =
            |a: Option<&Token>, b: Option<&Token>| matches!((a, b), (Some(a), Some(b)) if a.end == b.start);
        while self.symbol(ahead + 1, "-")
            && touching(self.token(ahead), self.token(ahead + 1))
            && touching(self.token(ahead + 1), self.token(ahead + 2))
            && self
                .token(ahead + 2)
                .is_some_and(|t| matches!(t.kind, TokenKind::Word | TokenKind::Number))
        {
            ahead += 2;
            // Digits and letters after a dash come as two tokens: `a-1b`.
            while self
                .token(ahead + 1)
                .is_some_and(|t| matches!(t.kind, TokenKind::Word | TokenKind::Number))
                && touching(self.token(ahead), self.token(ahead + 1))
            {
                ahead += 1;
            }
        }
        if ahead == 0 || !self.symbol(ahead + 1, ".") {
            return false;
        }
        let (Some(first), Some(last)) = (self.token(0), self.token(ahead)) else {
            return false;
        };
        let range = first.start..last.end;
        let name = self.text.get(range.clone()).unwrap_or_default().to_owned();
        self.emit(quoted(name), &range);
        self.at += ahead + 1;
        true
    }

    /// `ARRAY<T>[…]` becomes `$arrayN(…)`; sqlparser reads it as comparisons, or not at all.
    fn typed_array(&mut self) -> bool {
        let Some((data_type, after)) = read_type(self.text, self.code, self.at, 0) else {
            return false;
        };
        if !self.code.get(after).is_some_and(|t| t.is_symbol(self.text, "[")) {
            return false;
        }
        let (Some(first), Some(bracket)) = (
            self.token(0).map(Token::range),
            self.code.get(after).map(Token::range),
        ) else {
            return false;
        };
        let name = format!("{TYPED_ARRAY}{}", self.out.arrays.len());
        self.out.arrays.push(data_type);
        self.emit(
            Sql::Word(Word {
                value: name,
                quote_style: None,
                keyword: Keyword::NoKeyword,
            }),
            &first,
        );
        self.emit(Sql::LParen, &bracket);
        self.push(Bracket::TypedArray);
        self.at = after + 1;
        true
    }

    /// `RANGE<T> '[…)'` becomes the string, `RANGE<T>` as a type one word.
    fn range_type(&mut self) -> bool {
        let Some((_, after)) = read_type(self.text, self.code, self.at, 0) else {
            return false;
        };
        let literal = self.code.get(after).is_some_and(|t| t.kind == TokenKind::String);
        if !literal {
            let Some(range) = self.token(0).map(Token::range) else {
                return false;
            };
            self.emit_word("RANGE_TYPE", &range);
        }
        self.at = after;
        true
    }

    /// `FOR SYSTEM_TIME AS OF expression`, which sqlparser takes only before an alias, is left out.
    fn system_time(&mut self) -> bool {
        let version = self.word(1, "SYSTEM_TIME") && self.word(2, "AS") && self.word(3, "OF");
        let old = self.word(1, "SYSTEM") && self.word(2, "TIME") && self.word(3, "AS") && self.word(4, "OF");
        if !version && !old {
            return false;
        }
        self.at += if version { 4 } else { 5 };
        let mut depth = 0_usize;
        while let Some(token) = self.token(0) {
            let text = token.text(self.text);
            match (token.kind, text) {
                (TokenKind::Symbol, "(" | "[") => depth += 1,
                (TokenKind::Symbol, ")" | "]") if depth == 0 => break,
                (TokenKind::Symbol, ")" | "]") => depth -= 1,
                (TokenKind::Symbol, "," | ";" | "|>") if depth == 0 => break,
                (TokenKind::Word, _)
                    if depth == 0 && TIME_ENDS.iter().any(|w| text.eq_ignore_ascii_case(w)) =>
                {
                    break;
                }
                (TokenKind::Word, _)
                    if depth == 0
                        && self.previous().is_some_and(|p| {
                            p.is_symbol(self.text, ")")
                                || p.kind == TokenKind::String
                                || p.kind == TokenKind::Parameter
                        })
                        && !is_reserved(text) =>
                {
                    break; // an alias without AS
                }
                _ => {}
            }
            self.at += 1;
        }
        self.out.lossy = true;
        true
    }

    /// `f(MODEL d.m, …)`, `f(TABLE d.t, …)`: a value stands for the object.
    fn object_argument(&mut self) -> bool {
        let in_call = matches!(self.brackets.last(), Some((Bracket::Call, _)));
        let opens = self.previous_symbol("(") || self.previous_symbol(",") || self.previous_symbol("=>");
        let named = self.token(1).is_some_and(|t| {
            t.kind == TokenKind::Quoted || (t.kind == TokenKind::Word && !is_reserved(t.text(self.text)))
        });
        if !in_call || !opens || !named {
            return false;
        }
        let table = self.word(0, "TABLE");
        let Some(keyword) = self.token(0).map(Token::range) else {
            return false;
        };
        self.at += 1;
        let first = self.at;
        while self.token(0).is_some_and(|t| {
            t.is_name()
                || t.kind == TokenKind::Number
                || t.is_symbol(self.text, ".")
                || t.is_symbol(self.text, "-")
        }) {
            self.at += 1;
        }
        if let (true, Some(a), Some(b)) = (table, self.code.get(first), self.previous()) {
            self.out.table_arguments.push(a.start..b.end);
        }
        let name = Word {
            value: OBJECT_ARGUMENT.to_owned(),
            quote_style: None,
            keyword: Keyword::NoKeyword,
        };
        self.emit(Sql::Word(name), &keyword);
        self.out.lossy = true;
        true
    }

    /// `FROM table`: the word is not reserved.
    fn table_named_table(&mut self, range: &Range<usize>) -> bool {
        let named = ["FROM", "JOIN", "INTO"]
            .iter()
            .any(|w| self.previous().is_some_and(|t| t.is_word(self.text, w)));
        let continued = self.token(1).is_some_and(|t| {
            t.kind == TokenKind::Quoted || (t.kind == TokenKind::Word && !is_reserved(t.text(self.text)))
        });
        if !named || continued {
            return false;
        }
        self.emit(quoted("table".to_owned()), range);
        self.at += 1;
        true
    }

    /// `SELECT WITH DIFFERENTIAL_PRIVACY OPTIONS(…)`: names stay what they are.
    fn privacy_clause(&mut self) -> bool {
        let kinds = ["DIFFERENTIAL_PRIVACY", "AGGREGATION_THRESHOLD", "ANONYMIZATION"];
        let select = self.previous().is_some_and(|t| t.is_word(self.text, "SELECT"));
        if !select || !kinds.iter().any(|k| self.word(1, k)) {
            return false;
        }
        self.at += 2;
        if self.word(0, "OPTIONS") && self.symbol(1, "(") {
            let mut depth = 0_usize;
            self.at += 1;
            while let Some(token) = self.token(0) {
                match token.text(self.text) {
                    "(" => depth += 1,
                    ")" => depth -= 1,
                    _ => {}
                }
                self.at += 1;
                if depth == 0 {
                    break;
                }
            }
        }
        self.out.lossy = true;
        true
    }

    /// `FROM t, t.arr WITH OFFSET AS i`: the offset becomes a relation of its own.
    fn offset_of_path(&mut self) -> bool {
        let after_call = self.previous_symbol(")");
        let aliased = self.code.get(self.at.wrapping_sub(1)).is_some_and(Token::is_name)
            && (1..4).any(|back| {
                self.code
                    .get(self.at.wrapping_sub(back))
                    .is_some_and(|t| t.is_symbol(self.text, ")"))
            });
        if after_call || aliased || !self.path_place {
            return false;
        }
        let Some(range) = self.token(1).map(Token::range) else {
            return false;
        };
        self.at += 2;
        self.at += usize::from(self.word(0, "AS"));
        let named = self.token(0).is_some_and(|t| {
            t.kind == TokenKind::Quoted || (t.kind == TokenKind::Word && !is_reserved(t.text(self.text)))
        });
        let name = if named {
            unquote(self.token(0).map_or("", |t| t.text(self.text)))
        } else {
            "offset".to_owned()
        };
        let at = if named {
            self.token(0).map_or(range.clone(), Token::range)
        } else {
            range.clone()
        };
        self.at += usize::from(named);
        for word in ["CROSS", "JOIN", "UNNEST"] {
            self.emit_word(word, &range);
        }
        for token in [
            Sql::LParen,
            Sql::LBracket,
            Sql::Number("0".to_owned(), false),
            Sql::RBracket,
            Sql::RParen,
        ] {
            self.emit(token, &range);
        }
        self.emit_word("AS", &range);
        self.emit(quoted(name), &at);
        true
    }

    /// Words of CREATE that change nothing for names: `AGGREGATE FUNCTION`, `NOT AGGREGATE`.
    fn create_words(&mut self, text: &str) -> bool {
        let is = |w: &str| text.eq_ignore_ascii_case(w);
        let dropped = (is("AGGREGATE") && self.word(1, "FUNCTION"))
            || (is("NOT") && self.word(1, "AGGREGATE") && (self.symbol(2, ",") || self.symbol(2, ")")));
        if dropped {
            self.at += if is("NOT") { 2 } else { 1 };
        }
        dropped
    }

    /// Pipe operators that sqlparser lacks and that leave the names as they are.
    fn pipe_words(&mut self, text: &str) -> bool {
        let is = |w: &str| text.eq_ignore_ascii_case(w);
        if is("DISTINCT") && self.previous_symbol("|>") {
            self.out.tokens.pop();
            self.at += 1;
            return true;
        }
        if is("GROUP") && self.word(1, "AND") && self.word(2, "ORDER") && self.word(3, "BY") {
            if let (Some(group), Some(by)) =
                (self.token(0).map(Token::range), self.token(3).map(Token::range))
            {
                self.emit_word("GROUP", &group);
                self.emit_word("BY", &by);
            }
            self.at += 4;
            return true;
        }
        false
    }

    fn push(&mut self, bracket: Bracket) {
        self.brackets.push((bracket, self.path_place));
        self.out.depth = self.out.depth.max(self.brackets.len());
        self.path_place = false;
    }

    fn step_symbol(&mut self, token: &Token) {
        let range = token.range();
        let text = token.text(self.text);
        self.at += 1;
        match text {
            "(" => {
                let before = self.code.get(self.at.wrapping_sub(2)).copied();
                let kind = match before {
                    Some(t) if t.is_word(self.text, "EXTRACT") => Bracket::Extract,
                    Some(t) if t.kind == TokenKind::Quoted => Bracket::Call,
                    Some(t) if t.kind == TokenKind::Word && !is_reserved(t.text(self.text)) => Bracket::Call,
                    _ => Bracket::Group,
                };
                self.push(kind);
                self.emit(Sql::LParen, &range);
            }
            "[" => {
                self.push(Bracket::Array);
                self.emit(Sql::LBracket, &range);
            }
            ")" | "]" => {
                let closed = self.brackets.pop();
                self.path_place = closed.is_some_and(|(_, place)| place);
                let round = text == ")" || closed.is_some_and(|(b, _)| b == Bracket::TypedArray);
                self.emit(if round { Sql::RParen } else { Sql::RBracket }, &range);
            }
            ">" if self.symbol(0, ">") && self.shift_right() => {
                self.emit(Sql::Ampersand, &range);
                self.at += 1;
                self.out.operators += 1;
            }
            _ => {
                if !matches!(text, "," | "." | ";") {
                    self.out.operators += 1;
                }
                self.emit(symbol(text), &range);
            }
        }
    }

    /// Whether `> >` that touch are a shift, not the end of two types: then an operand follows.
    fn shift_right(&self) -> bool {
        let touching = self
            .previous()
            .is_some_and(|p| self.token(0).is_some_and(|t| p.end == t.start));
        let operand = self.token(1).is_some_and(|t| match t.kind {
            TokenKind::Symbol => matches!(t.text(self.text), "-" | "~"),
            TokenKind::Word => !is_reserved(t.text(self.text)) || t.is_word(self.text, "CAST"),
            TokenKind::Number | TokenKind::Parameter | TokenKind::Quoted => true,
            _ => t.is_symbol(self.text, "("),
        });
        let group = self.token(1).is_some_and(|t| t.is_symbol(self.text, "("));
        touching && (operand || group) && !self.in_type()
    }

    /// Whether an `ARRAY<` or `STRUCT<` is open before the current place.
    fn in_type(&self) -> bool {
        let mut depth = 0_i32;
        for (back, token) in self.code[..self.at.saturating_sub(1)]
            .iter()
            .enumerate()
            .rev()
            .take(400)
        {
            match token.text(self.text) {
                ">" => depth += 1,
                "<" => {
                    let opener = back.checked_sub(1).and_then(|i| self.code.get(i));
                    let opens = opener.is_some_and(|t| {
                        ["ARRAY", "STRUCT", "RANGE", "TABLE"]
                            .iter()
                            .any(|w| t.is_word(self.text, w))
                    });
                    if opens && depth <= 0 {
                        return true;
                    }
                    depth -= i32::from(opens);
                }
                ";" | "SELECT" | "select" | "WHERE" | "where" => return false,
                _ => {}
            }
        }
        false
    }
}

fn quoted(value: String) -> Sql {
    Sql::Word(Word {
        value,
        quote_style: Some('`'),
        keyword: Keyword::NoKeyword,
    })
}

fn symbol(text: &str) -> Sql {
    match text {
        "," => Sql::Comma,
        "." => Sql::Period,
        ";" => Sql::SemiColon,
        ":" => Sql::Colon,
        "::" => Sql::DoubleColon,
        ":=" => Sql::Assignment,
        "=" => Sql::Eq,
        "==" => Sql::DoubleEq,
        "!=" | "<>" => Sql::Neq,
        "<" => Sql::Lt,
        ">" => Sql::Gt,
        "<=" => Sql::LtEq,
        ">=" => Sql::GtEq,
        "<=>" => Sql::Spaceship,
        "+" => Sql::Plus,
        "-" => Sql::Minus,
        "*" => Sql::Mul,
        "/" => Sql::Div,
        "%" => Sql::Mod,
        "||" => Sql::StringConcat,
        // A shift binds as loosely as any bitwise operator that matters to names.
        "<<" | "&" => Sql::Ampersand,
        "|" => Sql::Pipe,
        "^" => Sql::Caret,
        "~" => Sql::Tilde,
        "|>" => Sql::VerticalBarRightAngleBracket,
        "=>" => Sql::RArrow,
        "->" => Sql::Arrow,
        "->>" => Sql::LongArrow,
        "{" => Sql::LBrace,
        "}" => Sql::RBrace,
        "!" => Sql::ExclamationMark,
        "\\" => Sql::Backslash,
        "@" => Sql::AtSign,
        _ => Sql::Char(text.chars().next().unwrap_or('\u{fffd}')),
    }
}

/// Reads a type from `code[at]` on; gives it and the index after it.
#[must_use]
pub fn read_type(text: &str, code: &[Token], at: usize, depth: usize) -> Option<(Type, usize)> {
    if depth > 20 {
        return None;
    }
    let symbol = |i: usize, s: &str| code.get(i).is_some_and(|t| t.is_symbol(text, s));
    let first = code.get(at).filter(|t| t.is_name())?;
    let name = first.text(text);
    if symbol(at + 1, "<") {
        if name.eq_ignore_ascii_case("ARRAY") {
            let (element, after) = read_type(text, code, at + 2, depth + 1)?;
            return symbol(after, ">").then(|| (Type::Array(element.into()), after + 1));
        }
        if name.eq_ignore_ascii_case("STRUCT") {
            return read_struct(text, code, at + 2, depth);
        }
        let (_, after) = read_type(text, code, at + 2, depth + 1)?;
        let range = Type::Scalar(crate::schema::DataType::Other("RANGE".to_owned()));
        return symbol(after, ">").then_some((range, after + 1));
    }
    let mut after = at + 1;
    while symbol(after, ".") && code.get(after + 1).is_some_and(Token::is_name) {
        after += 2;
    }
    let plain = after == at + 1;
    if symbol(after, "(") {
        // Parameters of a type: STRING(10), NUMERIC(10, 2).
        after += 1;
        while code.get(after).is_some_and(|t| t.kind == TokenKind::Number)
            || symbol(after, ",")
            || code.get(after).is_some_and(|t| t.is_word(text, "MAX"))
        {
            after += 1;
        }
        if !symbol(after, ")") {
            return None;
        }
        after += 1;
    }
    Some((
        if plain {
            Type::from_name(name)
        } else {
            Type::Unknown
        },
        after,
    ))
}

fn read_struct(text: &str, code: &[Token], mut at: usize, depth: usize) -> Option<(Type, usize)> {
    let symbol = |i: usize, s: &str| code.get(i).is_some_and(|t| t.is_symbol(text, s));
    let mut fields = Vec::new();
    if symbol(at, ">") {
        return Some((Type::Struct(fields.into()), at + 1));
    }
    loop {
        let name = code.get(at)?;
        let named = code.get(at + 1).is_some_and(Token::is_name);
        let (data_type, mut after) = read_type(text, code, if named { at + 1 } else { at }, depth + 1)?;
        let name = if named {
            unquote(name.text(text))
        } else {
            String::new()
        };
        fields.push(Field::new(&name, data_type));
        while code
            .get(after)
            .is_some_and(|t| t.is_word(text, "NOT") || t.is_word(text, "NULL"))
        {
            after += 1;
        }
        if symbol(after, ",") {
            at = after + 1;
        } else if symbol(after, ">") {
            return Some((Type::Struct(fields.into()), after + 1));
        } else {
            return None;
        }
    }
}
