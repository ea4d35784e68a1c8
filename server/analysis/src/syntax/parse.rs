//! A statement's tree by sqlparser, with its errors placed in bytes.
//!
//! sqlparser's "no" is a hint, never a verdict: it rejects some valid GoogleSQL and places errors loosely. Its tree is
//! right where it parses (what it takes too much is found by [`crate::check`]). Long flat chains (`a + b + …`) make deep
//! trees; they are parsed and resolved on a thread with a large stack, and refused beyond [`MAX_OPERATORS`].

use std::ops::Range;
use std::sync::Mutex;

use sqlparser::ast::Statement;
use sqlparser::dialect::BigQueryDialect;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token as Sql, TokenWithSpan};

use super::adapt::{Adapted, adapt, span};
use super::lexer::{Token, TokenKind};
use super::split::PieceKind;

/// Operators and set operations that a statement may have; beyond, it is not judged.
pub const MAX_OPERATORS: usize = 40_000;
/// Operators up to which a statement is parsed on the caller's stack.
const INLINE_OPERATORS: usize = 300;
/// Bytes beyond which a statement is not judged.
const MAX_BYTES: usize = 4 << 20;

/// What sqlparser makes of a statement.
#[derive(Debug, Default)]
pub struct Parsed {
    /// The tree.
    pub statement: Option<Statement>,
    /// Why there is no tree.
    pub error: Option<SyntaxError>,
    /// What was rewritten on the way.
    pub adapted: Adapted,
    /// Only the query at the end of the statement was parsed (`CREATE MODEL … AS query`).
    pub partial: bool,
}

/// Where and why sqlparser gave up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError {
    /// The token at which it did.
    pub range: Range<usize>,
    /// Its message, without the place.
    pub message: String,
    /// The statement is too long or nests too deep to be parsed at all.
    pub limit: bool,
}

/// Parses the piece of a text that these tokens make up, and hands the tree to `then`, both on a stack that is large
/// enough for it.
pub fn parse_with<R: Send>(
    text: &str,
    tokens: &[Token],
    kind: PieceKind,
    then: impl FnOnce(&Parsed) -> R + Send,
) -> R {
    let adapted = adapt(text, tokens);
    let length = tokens.last().map_or(0, |t| t.end) - tokens.first().map_or(0, |t| t.start);
    if adapted.operators > MAX_OPERATORS || length > MAX_BYTES {
        return then(&too_long(tokens));
    }
    if adapted.operators <= INLINE_OPERATORS {
        return then(&parse(text, tokens, kind, adapted));
    }
    // A level of the tree takes up to some kilobytes in parsing, resolving and dropping; untouched pages cost nothing.
    let stack = (8 << 20) + adapted.operators * 16 * 1024;
    let job = Mutex::new(Some((adapted, then)));
    let take = || job.lock().ok().and_then(|mut j| j.take());
    std::thread::scope(|scope| {
        let run = || take().map(|(adapted, then)| then(&parse(text, tokens, kind, adapted)));
        let handle = std::thread::Builder::new()
            .stack_size(stack)
            .spawn_scoped(scope, run);
        match handle.map(std::thread::ScopedJoinHandle::join) {
            Ok(Ok(Some(result))) => Ok(result),
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            // No thread to be had: the statement stays unjudged.
            Ok(Ok(None)) | Err(_) => Err(()),
        }
    })
    .or_else(|()| take().map(|(_, then)| then(&too_long(tokens))).ok_or(()))
    .unwrap_or_else(|()| unreachable!("the job was either run or is still there"))
}

fn too_long(tokens: &[Token]) -> Parsed {
    let error = SyntaxError {
        range: tokens.first().map_or(0..0, Token::range),
        message: "the statement is too long to be checked".to_owned(),
        limit: true,
    };
    Parsed {
        error: Some(error),
        ..Parsed::default()
    }
}

fn parse(text: &str, tokens: &[Token], kind: PieceKind, mut adapted: Adapted) -> Parsed {
    let mut sql = std::mem::take(&mut adapted.tokens);
    let at = tokens.first().map_or(0, |t| t.start);
    if kind == PieceKind::Expression {
        sql.insert(
            0,
            TokenWithSpan {
                token: Sql::make_word("SELECT", None),
                span: span(&(at..at)),
            },
        );
    }
    let create = first_word(text, tokens)
        .is_some_and(|w| ["CREATE", "EXPORT"].iter().any(|c| w.eq_ignore_ascii_case(c)));
    // The tail is only needed where the whole fails.
    let tail = if create { query_tail(&sql) } else { None };
    match run(sql) {
        Ok(statement) => Parsed {
            statement: Some(statement),
            error: None,
            adapted,
            partial: false,
        },
        Err(error) => {
            if let Some(tail) = tail
                && let Ok(statement) = run(tail)
            {
                return Parsed {
                    statement: Some(statement),
                    error: None,
                    adapted,
                    partial: true,
                };
            }
            let error = place(text, tokens, &error);
            Parsed {
                statement: None,
                error: Some(error),
                adapted,
                partial: false,
            }
        }
    }
}

fn first_word<'t>(text: &'t str, tokens: &[Token]) -> Option<&'t str> {
    tokens
        .iter()
        .find(|t| !t.is_comment())
        .filter(|t| t.kind == TokenKind::Word)
        .map(|t| t.text(text))
}

fn run(tokens: Vec<TokenWithSpan>) -> Result<Statement, ParserError> {
    let dialect = BigQueryDialect;
    let mut parser = Parser::new(&dialect)
        .with_recursion_limit(64)
        .with_tokens_with_locations(tokens);
    let statement = parser.parse_statement()?;
    let next = parser.peek_token();
    if next.token == Sql::EOF {
        return Ok(statement);
    }
    Err(ParserError::ParserError(format!(
        "Expected: end of statement, found: {next}{}",
        next.span.start
    )))
}

/// The query after the last `AS` outside brackets: what CREATE and EXPORT statements end in.
fn query_tail(tokens: &[TokenWithSpan]) -> Option<Vec<TokenWithSpan>> {
    let mut depth = 0_i32;
    let is = |t: &TokenWithSpan, words: &[&str]| match &t.token {
        Sql::Word(w) => w.quote_style.is_none() && words.iter().any(|x| w.value.eq_ignore_ascii_case(x)),
        Sql::LParen => words.contains(&"("),
        _ => false,
    };
    for (index, pair) in tokens.windows(2).enumerate() {
        match pair[0].token {
            Sql::LParen => depth += 1,
            Sql::RParen => depth -= 1,
            _ => {}
        }
        if depth == 0 && is(&pair[0], &["AS"]) && is(&pair[1], &["SELECT", "WITH", "FROM", "("]) {
            return Some(tokens[index + 1..].to_vec());
        }
    }
    None
}

/// sqlparser writes the place into its message: ` at Line: 1, Column: N`, where N is our offset plus one.
fn place(text: &str, tokens: &[Token], error: &ParserError) -> SyntaxError {
    let raw = match error {
        ParserError::TokenizerError(m) | ParserError::ParserError(m) => m.clone(),
        ParserError::RecursionLimitExceeded => "it nests too deep to be checked".to_owned(),
    };
    let (message, column) = match raw.rsplit_once(" at Line: 1, Column: ") {
        Some((message, column)) => (message.to_owned(), column.trim().parse::<usize>().ok()),
        None => (raw, None),
    };
    let last = tokens.last().map_or(0, |t| t.end);
    let offset = column.map_or(last, |c| c.saturating_sub(1));
    let token = tokens
        .iter()
        .find(|t| !t.is_comment() && t.start <= offset && offset < t.end);
    let range = match (token, column) {
        (Some(token), _) => token.range(),
        // The end of the statement: its last token, which is what something is missing after.
        _ => tokens
            .iter()
            .rev()
            .find(|t| !t.is_comment())
            .map_or(last..last, Token::range),
    };
    let limit = matches!(error, ParserError::RecursionLimitExceeded);
    SyntaxError {
        range,
        message: readable(text, &message),
        limit,
    }
}

fn readable(_text: &str, message: &str) -> String {
    let message = message.strip_prefix("sql parser error: ").unwrap_or(message);
    message
        .replace("Expected: ", "expected ")
        .replace(", found: EOF", ", found the end")
        .replace(", found: ", ", found ")
}
