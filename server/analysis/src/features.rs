//! What an editor shows, one feature a file. All take a text and byte offsets and give byte ranges; none fails.

pub mod completion;
pub mod definition;
pub mod folding;
pub mod hover;
pub mod references;
pub mod signature_help;
pub mod symbols;

use crate::resolve::{FileContext, Resolution, resolve};
use crate::schema::CatalogSnapshot;
use crate::syntax::lexer::Token;
use crate::syntax::parse::parse_with;
use crate::syntax::split::{Piece, Split, split};

/// A text cut into statements, and the one at an offset.
pub(crate) struct Place {
    pub(crate) split: Split,
    pub(crate) file: FileContext,
    /// Index of the piece that holds the offset, or ends right before it.
    pub(crate) piece: Option<usize>,
}

impl Place {
    pub(crate) fn new(text: &str, offset: usize) -> Self {
        let split = split(text);
        let file = FileContext::read(text, &split);
        let bounds = |p: &Piece| {
            let first = split.tokens.get(p.tokens.start).map_or(0, |t| t.start);
            let last = split
                .tokens
                .get(p.tokens.end.saturating_sub(1))
                .map_or(0, |t| t.end);
            (first, last)
        };
        let piece = split.pieces.iter().position(|p| {
            let (first, last) = bounds(p);
            first <= offset && offset <= last
        });
        Self { piece, file, split }
    }

    /// Tokens of the piece.
    pub(crate) fn tokens(&self) -> &[Token] {
        let piece = self.piece.and_then(|p| self.split.pieces.get(p));
        piece
            .and_then(|p| self.split.tokens.get(p.tokens.clone()))
            .unwrap_or_default()
    }

    /// The piece resolved; none where it does not parse.
    pub(crate) fn resolution(&self, text: &str, snapshot: &CatalogSnapshot) -> Option<Resolution> {
        let piece = self.split.pieces.get(self.piece?)?;
        parse_with(text, self.tokens(), piece.kind, |parsed| {
            parsed.statement.as_ref()?;
            Some(resolve(text, parsed, snapshot, &self.file, None))
        })
    }

    /// The token at an offset; a name that ends there counts.
    pub(crate) fn token_at(&self, offset: usize) -> Option<&Token> {
        let tokens = &self.split.tokens;
        let after = tokens.partition_point(|t| t.start <= offset);
        let token = tokens.get(after.checked_sub(1)?)?;
        (offset < token.end || (offset == token.end && token.is_name())).then_some(token)
    }
}
