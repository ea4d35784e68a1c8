//! Borders between statements, found from tokens alone, so that a broken statement never takes its neighbours along.
//!
//! A `;` always ends a statement: GoogleSQL has none inside brackets. Script blocks (`BEGIN … END`, `IF … END IF`,
//! loops, procedure bodies) hold statements of their own. Without a `;`, a word that can only begin a statement, first
//! on its line after a blank line or a comment line, begins a new one.

use std::ops::Range;

use super::lexer::{Token, TokenKind, tokens};

/// A statement at the top level of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// From its first to its last token (comments before and after do not count), without the closing `;`.
    pub range: Range<usize>,
    /// Whether a `;` follows.
    pub terminated: bool,
    /// Whether it is a script block: `BEGIN … END`, `IF … END IF`, a loop, a procedure with a body.
    pub block: bool,
}

/// What a piece of a statement is to the check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PieceKind {
    /// A whole simple statement.
    Statement,
    /// An expression: the condition of `IF`, `WHILE`, `UNTIL`.
    Expression,
    /// A query in parentheses, over which `FOR … IN` runs.
    Query,
}

/// A simple statement or a condition: blocks are taken apart into these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Its tokens, as indices of the text's token list.
    pub tokens: Range<usize>,
    /// What it is.
    pub kind: PieceKind,
}

/// A text cut into statements, with its tokens.
#[derive(Debug, Clone, Default)]
pub struct Split {
    /// All tokens, comments included.
    pub tokens: Vec<Token>,
    /// The top-level statements.
    pub statements: Vec<Statement>,
    /// The simple statements and conditions in them, in order.
    pub pieces: Vec<Piece>,
    /// Words after `DECLARE`, loop variables: names that any later statement may use.
    pub has_script: bool,
}

/// The top-level statements of a text.
#[must_use]
pub fn statements(text: &str) -> Vec<Statement> {
    split(text).statements
}

/// Cuts a text into statements and their pieces.
#[must_use]
pub fn split(text: &str) -> Split {
    let tokens = tokens(text);
    let code: Vec<usize> = (0..tokens.len()).filter(|&i| !tokens[i].is_comment()).collect();
    let mut splitter = Splitter {
        text,
        tokens: &tokens,
        code: &code,
        at: 0,
        pieces: Vec::new(),
        blocks: 0,
    };
    let mut statements = Vec::new();
    let mut open_blocks = 0;
    while splitter.at < code.len() {
        if splitter.symbol(0, ";") {
            splitter.at += 1;
            continue;
        }
        let first = splitter.at;
        let pieces = splitter.pieces.len();
        let (mut last, mut block) = splitter.statement(0);
        if block == Block::Open {
            open_blocks += 1;
            // A block that never ends holds nothing together: its statements stand alone.
            splitter.at = first;
            splitter.pieces.truncate(pieces);
            splitter.blocks = usize::MAX;
            (last, block) = splitter.statement(0);
            // Each try reads to the text's end: a few are enough.
            splitter.blocks = if open_blocks > 3 { usize::MAX } else { 0 };
        }
        let terminated = splitter.symbol(0, ";");
        statements.push(Statement {
            range: tokens[code[first]].start..tokens[code[last]].end,
            terminated,
            block: block == Block::Closed,
        });
        splitter.at += usize::from(terminated);
    }
    let pieces = splitter.pieces;
    let has_script = statements.len() > 1 || statements.iter().any(|s| s.block);
    Split {
        tokens,
        statements,
        pieces,
        has_script,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Block {
    None,
    Closed,
    Open,
}

struct Splitter<'t> {
    text: &'t str,
    tokens: &'t [Token],
    /// Indices of the tokens that are no comments.
    code: &'t [usize],
    /// Index in `code`.
    at: usize,
    pieces: Vec<Piece>,
    /// `usize::MAX` where block keywords are not to be followed.
    blocks: usize,
}

/// How deep blocks are followed.
const MAX_DEPTH: usize = 40;

impl Splitter<'_> {
    fn token(&self, ahead: usize) -> Option<&Token> {
        self.code.get(self.at + ahead).map(|&i| &self.tokens[i])
    }

    fn word(&self, ahead: usize, word: &str) -> bool {
        self.token(ahead).is_some_and(|t| t.is_word(self.text, word))
    }

    fn any_word(&self, ahead: usize, words: &[&str]) -> bool {
        self.token(ahead).is_some_and(|t| {
            t.kind == TokenKind::Word && words.iter().any(|w| t.text(self.text).eq_ignore_ascii_case(w))
        })
    }

    fn symbol(&self, ahead: usize, symbol: &str) -> bool {
        self.token(ahead).is_some_and(|t| t.is_symbol(self.text, symbol))
    }

    /// Reads one statement; afterwards the cursor stands on its `;`, or on the next statement. Returns the index in
    /// `code` of its last token.
    fn statement(&mut self, depth: usize) -> (usize, Block) {
        let follow = self.blocks != usize::MAX && depth < MAX_DEPTH;
        if follow {
            let label = usize::from(self.token(0).is_some_and(Token::is_name) && self.symbol(1, ":")) * 2;
            if self.is_block_start(label) {
                self.at += label;
                return self.block(depth);
            }
        }
        self.simple(depth, follow)
    }

    fn is_block_start(&self, at: usize) -> bool {
        (self.word(at, "BEGIN")
            && self.token(at + 1).is_some()
            && !self.any_word(at + 1, &["TRANSACTION"])
            && !self.symbol(at + 1, ";"))
            || (self.any_word(at, &["IF", "WHILE", "LOOP", "REPEAT", "CASE"]) && !self.symbol(at + 1, ";"))
            || (self.word(at, "FOR") && self.word(at + 2, "IN"))
    }

    fn block(&mut self, depth: usize) -> (usize, Block) {
        let word = self
            .token(0)
            .map_or(String::new(), |t| t.text(self.text).to_ascii_uppercase());
        self.at += 1;
        match word.as_str() {
            "IF" => self.condition(&["THEN"], PieceKind::Expression),
            "WHILE" => self.condition(&["DO"], PieceKind::Expression),
            "FOR" => {
                self.at += 2;
                self.condition(&["DO"], PieceKind::Query);
            }
            "CASE" => self.condition(&["WHEN"], PieceKind::Expression),
            _ => {}
        }
        let closed = self.body(&word, depth);
        (
            self.at.saturating_sub(1),
            if closed { Block::Closed } else { Block::Open },
        )
    }

    /// Takes tokens up to one of these words as a piece; the cursor stands behind the word.
    fn condition(&mut self, until: &[&str], kind: PieceKind) {
        let first = self.at;
        let mut cases = 0_usize;
        while self.token(0).is_some() && !self.symbol(0, ";") {
            if cases == 0 && self.any_word(0, until) {
                break;
            }
            if self.word(0, "CASE") {
                cases += 1;
            } else if self.word(0, "END") {
                cases = cases.saturating_sub(1);
            }
            self.at += 1;
        }
        self.piece(first, self.at, kind);
        self.at += usize::from(self.any_word(0, until));
    }

    fn piece(&mut self, first: usize, end: usize, kind: PieceKind) {
        if let (Some(&a), Some(&b)) = (self.code.get(first), self.code.get(end.wrapping_sub(1)))
            && first < end
        {
            self.pieces.push(Piece {
                tokens: a..b + 1,
                kind,
            });
        }
    }

    /// Statements up to the block's `END`; false where the text ends first.
    fn body(&mut self, word: &str, depth: usize) -> bool {
        loop {
            if self.token(0).is_none() {
                return false;
            }
            if self.symbol(0, ";") {
                self.at += 1;
            } else if self.word(0, "END") {
                self.at += 1;
                let tail = matches!(word, "IF" | "WHILE" | "LOOP" | "REPEAT" | "FOR" | "CASE");
                if tail && self.word(0, word) {
                    self.at += 1;
                }
                // The label may be repeated.
                if self.token(0).is_some_and(Token::is_name) && self.symbol(1, ";") {
                    self.at += 1;
                }
                return true;
            } else if self.any_word(0, &["ELSE", "THEN", "DO"]) {
                self.at += 1;
            } else if self.any_word(0, &["ELSEIF", "WHEN"]) {
                self.at += 1;
                self.condition(&["THEN"], PieceKind::Expression);
            } else if self.word(0, "UNTIL") {
                self.at += 1;
                let first = self.at;
                while self.token(0).is_some() && !self.word(0, "END") && !self.symbol(0, ";") {
                    self.at += 1;
                }
                self.piece(first, self.at, PieceKind::Expression);
            } else if self.word(0, "EXCEPTION") && self.word(1, "WHEN") {
                self.at += 2;
                while self.token(0).is_some() && !self.word(0, "THEN") && !self.symbol(0, ";") {
                    self.at += 1;
                }
            } else {
                let (_, block) = self.statement(depth + 1);
                if block == Block::Open {
                    return false;
                }
            }
        }
    }

    /// A statement without a block of its own, or `CREATE PROCEDURE` with one.
    fn simple(&mut self, depth: usize, follow: bool) -> (usize, Block) {
        let first = self.at;
        let procedure = follow && self.word(0, "CREATE") && (1..5).any(|i| self.word(i, "PROCEDURE"));
        let mut state = State::new(self, first);
        while self.token(0).is_some() && !self.symbol(0, ";") {
            if self.at > first && self.begins_statement(&state) {
                break;
            }
            if procedure && state.depth == 0 && self.word(0, "BEGIN") {
                self.piece(first, self.at, PieceKind::Statement);
                self.at += 1;
                let closed = self.body("BEGIN", depth);
                return (
                    self.at.saturating_sub(1),
                    if closed { Block::Closed } else { Block::Open },
                );
            }
            state.step(self);
            self.at += 1;
        }
        self.piece(first, self.at, PieceKind::Statement);
        (self.at.saturating_sub(1), Block::None)
    }

    /// Whether the current token begins a new statement though no `;` stands before it.
    fn begins_statement(&self, state: &State) -> bool {
        let (Some(token), Some(previous)) = (
            self.token(0),
            self.code.get(self.at - 1).map(|&i| &self.tokens[i]),
        ) else {
            return false;
        };
        if token.kind != TokenKind::Word || !self.starts_line_after_gap(token, previous) {
            return false;
        }
        let starts = if self.word(0, "SELECT") {
            true
        } else if self.word(0, "WITH") {
            self.word(1, "RECURSIVE")
                || (self.token(1).is_some_and(Token::is_name) && self.word(2, "AS") && self.symbol(3, "("))
        } else if self.word(0, "CREATE") || self.word(0, "DECLARE") {
            true
        } else if self.any_word(0, &["DROP", "ALTER"]) {
            self.any_word(
                1,
                &[
                    "TABLE",
                    "VIEW",
                    "FUNCTION",
                    "SCHEMA",
                    "PROCEDURE",
                    "MATERIALIZED",
                    "EXTERNAL",
                ],
            )
        } else if self.word(0, "INSERT") {
            self.word(1, "INTO")
        } else if self.word(0, "DELETE") {
            self.word(1, "FROM")
        } else {
            self.word(0, "MERGE") && self.word(1, "INTO")
        };
        starts && !state.expects_query(self, previous)
    }

    /// First on its line, at most lightly indented, with a blank or a comment line before it.
    fn starts_line_after_gap(&self, token: &Token, previous: &Token) -> bool {
        let between = self.text.get(previous.end..token.start).unwrap_or_default();
        let Some(line) = between.rfind('\n') else {
            return false;
        };
        let indent = &between[line + 1..];
        indent.is_empty() && between.matches('\n').count() > 1
    }
}

/// What of the statement has been read.
struct State {
    depth: usize,
    /// A `WITH` whose main query, or an `INSERT` whose source, is still to come.
    awaits: bool,
}

impl State {
    fn new(splitter: &Splitter<'_>, _first: usize) -> Self {
        Self {
            depth: 0,
            awaits: splitter.any_word(0, &["WITH", "INSERT", "CREATE", "EXPORT", "EXPLAIN", "MERGE"]),
        }
    }

    fn step(&mut self, splitter: &Splitter<'_>) {
        if splitter.symbol(0, "(") {
            self.depth += 1;
        } else if splitter.symbol(0, ")") {
            self.depth = self.depth.saturating_sub(1);
        } else if self.depth == 0 && splitter.any_word(0, &["SELECT", "VALUES"]) {
            self.awaits = false;
        } else if self.depth == 0 && splitter.word(0, "WITH") && splitter.word(2, "AS") {
            self.awaits = true;
        }
    }

    /// Whether a query may stand here as a part of the statement that is being read.
    fn expects_query(&self, splitter: &Splitter<'_>, previous: &Token) -> bool {
        let text = previous.text(splitter.text);
        match previous.kind {
            TokenKind::Symbol => match text {
                "(" | "|>" | ":" => true,
                ")" => self.awaits,
                _ => false,
            },
            TokenKind::Word => {
                [
                    "AS", "ALL", "DISTINCT", "NAME", "THEN", "DO", "ELSE", "BEGIN", "LOOP", "EXPLAIN",
                    "REPEAT",
                ]
                .iter()
                .any(|w| text.eq_ignore_ascii_case(w))
                    || (self.awaits && self.depth == 0)
            }
            TokenKind::Quoted => self.awaits && self.depth == 0,
            TokenKind::Template => true,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str) -> Vec<&str> {
        statements(text).into_iter().map(|s| &text[s.range]).collect()
    }

    fn pieces(text: &str) -> Vec<&str> {
        let split = split(text);
        split
            .pieces
            .iter()
            .map(|p| &text[split.tokens[p.tokens.start].start..split.tokens[p.tokens.end - 1].end])
            .collect()
    }

    #[test]
    fn semicolons_and_comments() {
        assert_eq!(
            cut("-- a\nSELECT 1; -- b ; c\n\nSELECT ';' ;; SELECT 2"),
            ["SELECT 1", "SELECT ';'", "SELECT 2"]
        );
        assert_eq!(cut(""), Vec::<&str>::new());
        assert_eq!(cut(" ; -- x"), Vec::<&str>::new());
    }

    #[test]
    fn a_broken_neighbour_takes_nothing_along() {
        assert_eq!(
            cut("SELECT 'abc FROM t;\nSELECT 2"),
            ["SELECT 'abc FROM t", "SELECT 2"]
        );
        assert_eq!(cut("SELECT `abc\n\nSELECT 2"), ["SELECT `abc", "SELECT 2"]);
        assert_eq!(cut("SELECT (1 + (2;\nSELECT 2"), ["SELECT (1 + (2", "SELECT 2"]);
        assert_eq!(
            cut("SELECT (a FROM t\n\n-- how many?\n\nSELECT 2"),
            ["SELECT (a FROM t", "SELECT 2"]
        );
        assert_eq!(
            cut("SELECT a FROM\n\nWITH x AS (SELECT 1)\nSELECT * FROM x"),
            ["SELECT a FROM", "WITH x AS (SELECT 1)\nSELECT * FROM x"]
        );
    }

    #[test]
    fn a_blank_line_alone_parts_nothing() {
        for whole in [
            "SELECT a\n\nFROM t\n\nWHERE b",
            "WITH x AS (\n\nSELECT 1\n\n)\n\nSELECT * FROM x",
            "SELECT 1\n\nUNION ALL\n\nSELECT 2",
            "CREATE TABLE d.t AS\n\nSELECT 1",
            "INSERT INTO d.t (a, b)\n\nSELECT 1, 2",
            "INSERT INTO d.t\n\nSELECT 1, 2",
            "CREATE VIEW d.v\nOPTIONS (x = 1)\nAS\n\nWITH a AS (SELECT 1)\n\nSELECT * FROM a",
            "SELECT * FROM (\n\nSELECT 1\n\n)",
        ] {
            assert_eq!(cut(whole), [whole]);
        }
    }

    #[test]
    fn statements_without_semicolons() {
        assert_eq!(
            cut("SELECT 1 FROM t\n\n-- next?\n\nSELECT 2"),
            ["SELECT 1 FROM t", "SELECT 2"]
        );
        assert_eq!(
            cut("SELECT 1 FROM t\n\nCREATE TABLE d.x AS SELECT 1"),
            ["SELECT 1 FROM t", "CREATE TABLE d.x AS SELECT 1"]
        );
    }

    #[test]
    fn blocks_hold_together_and_give_pieces() {
        let script = "DECLARE x INT64;\nIF x > 1 THEN\n SELECT 1; SELECT CASE WHEN a THEN 1 END;\nELSE SELECT 2; END IF;\nSELECT 3";
        assert_eq!(cut(script).len(), 3);
        assert_eq!(
            pieces(script),
            [
                "DECLARE x INT64",
                "x > 1",
                "SELECT 1",
                "SELECT CASE WHEN a THEN 1 END",
                "SELECT 2",
                "SELECT 3"
            ]
        );
        let procedure = "CREATE OR REPLACE PROCEDURE d.p(x INT64) BEGIN SELECT x; END; SELECT 1";
        assert_eq!(
            pieces(procedure),
            ["CREATE OR REPLACE PROCEDURE d.p(x INT64)", "SELECT x", "SELECT 1"]
        );
        assert_eq!(
            pieces("FOR r IN (SELECT 1 AS a) DO SELECT r.a; END FOR"),
            ["(SELECT 1 AS a)", "SELECT r.a"]
        );
        assert_eq!(cut("BEGIN TRANSACTION; SELECT 1; COMMIT TRANSACTION").len(), 3);
        assert_eq!(
            cut("BEGIN SELECT 1; EXCEPTION WHEN ERROR THEN SELECT 2; END; SELECT 3").len(),
            2
        );
    }

    #[test]
    fn a_block_without_end_lets_its_statements_stand() {
        assert_eq!(cut("BEGIN SELECT 1; SELECT 2;\nSELECT 3").len(), 3);
    }

    #[test]
    fn deep_nesting_and_length_are_no_trouble() {
        let deep = format!("SELECT {}1{}; SELECT 2", "(".repeat(10_000), ")".repeat(10_000));
        assert_eq!(statements(&deep).len(), 2);
        let blocks = "BEGIN ".repeat(10_000);
        assert!(!statements(&blocks).is_empty());
    }
}
