//! Findings kept per statement: a keystroke checks anew only the statement that it changed.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use super::{Diagnostic, check_piece};
use crate::resolve::FileContext;
use crate::schema::CatalogSnapshot;
use crate::syntax::split::{Piece, Split, split};

/// Checks the versions of one text, one after the other.
#[derive(Debug, Default)]
pub struct Checker {
    /// Findings by statement, relative to its first byte. The texts are compared, so a hash collision does no harm.
    known: HashMap<u64, (Box<str>, Arc<Vec<Diagnostic>>)>,
}

impl Checker {
    /// A checker that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// All findings of a text, in order of place: the same as [`super::check`].
    pub fn check(&mut self, text: &str, snapshot: &CatalogSnapshot) -> Vec<Diagnostic> {
        let split = split(text);
        let file = FileContext::read(text, &split);
        let around = (snapshot.id(), file.hash_value());
        let mut kept = HashMap::with_capacity(split.pieces.len());
        let mut found = Vec::new();
        for piece in &split.pieces {
            let (start, source) = source(text, &split, piece);
            let key = key(source, piece, around);
            let known = kept.get(&key).or_else(|| self.known.get(&key));
            let entry = match known.filter(|(known, _)| **known == *source) {
                Some((_, diagnostics)) => Arc::clone(diagnostics),
                None => Arc::new(relative(check_piece(text, &split, piece, snapshot, &file), start)),
            };
            found.extend(entry.iter().cloned().map(|d| d.moved(start)));
            kept.insert(key, (source.into(), entry));
        }
        // What the text no longer holds is forgotten.
        self.known = kept;
        found.sort_by_key(|d| (d.range.start, d.range.end));
        found
    }
}

fn source<'t>(text: &'t str, split: &Split, piece: &Piece) -> (usize, &'t str) {
    let first = split.tokens.get(piece.tokens.start).map_or(0, |t| t.start);
    let last = split
        .tokens
        .get(piece.tokens.end.saturating_sub(1))
        .map_or(first, |t| t.end);
    (first, text.get(first..last).unwrap_or_default())
}

fn key(source: &str, piece: &Piece, around: (u64, u64)) -> u64 {
    let mut hasher = DefaultHasher::new();
    (source, piece.kind as u8, around).hash(&mut hasher);
    hasher.finish()
}

fn relative(mut found: Vec<Diagnostic>, start: usize) -> Vec<Diagnostic> {
    for diagnostic in &mut found {
        let shift = |at: usize| at.saturating_sub(start);
        diagnostic.range = shift(diagnostic.range.start)..shift(diagnostic.range.end);
        for (range, _) in diagnostic.fixes.iter_mut().flat_map(|f| &mut f.edits) {
            *range = shift(range.start)..shift(range.end);
        }
    }
    found
}
