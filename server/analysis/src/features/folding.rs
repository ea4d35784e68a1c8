//! Regions that an editor can fold: statements, brackets and comments of more than one line.

use std::ops::Range;

use crate::syntax::lexer::Token;
use crate::syntax::split::split;

/// What a region is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FoldingKind {
    /// A statement or a bracket.
    Region,
    /// A comment.
    Comment,
}

/// A region of more than one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoldingRegion {
    /// Its bytes.
    pub range: Range<usize>,
    /// What it is.
    pub kind: FoldingKind,
}

/// All regions of a text, in order of their start.
#[must_use]
pub fn folding(text: &str) -> Vec<FoldingRegion> {
    let split = split(text);
    let mut regions: Vec<FoldingRegion> = split
        .statements
        .iter()
        .map(|s| FoldingRegion {
            range: s.range.clone(),
            kind: FoldingKind::Region,
        })
        .collect();
    regions.extend(brackets(text, &split.tokens));
    regions.extend(comments(text, &split.tokens));
    regions.retain(|r| text.get(r.range.clone()).is_some_and(|t| t.contains('\n')));
    regions.sort_by_key(|r| (r.range.start, std::cmp::Reverse(r.range.end)));
    regions
}

fn brackets(text: &str, tokens: &[Token]) -> Vec<FoldingRegion> {
    let mut open: Vec<usize> = Vec::new();
    let mut regions = Vec::new();
    for token in tokens {
        match token.text(text) {
            "(" | "[" => open.push(token.start),
            ")" | "]" => {
                if let Some(start) = open.pop() {
                    regions.push(FoldingRegion {
                        range: start..token.end,
                        kind: FoldingKind::Region,
                    });
                }
            }
            ";" => open.clear(),
            _ => {}
        }
    }
    regions
}

/// Comments, those on lines that follow each other joined.
fn comments(text: &str, tokens: &[Token]) -> Vec<FoldingRegion> {
    let mut regions: Vec<FoldingRegion> = Vec::new();
    let mut last = None;
    for (index, token) in tokens.iter().enumerate().filter(|(_, t)| t.is_comment()) {
        let follows = last.is_some_and(|l: usize| l + 1 == index)
            && regions.last().is_some_and(|r| {
                text.get(r.range.end..token.start)
                    .is_some_and(|b| b.trim().is_empty() && b.matches('\n').count() == 1)
            });
        match regions.last_mut() {
            Some(region) if follows => region.range.end = token.end,
            _ => regions.push(FoldingRegion {
                range: token.range(),
                kind: FoldingKind::Comment,
            }),
        }
        last = Some(index);
    }
    regions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_of_several_lines() {
        let text = "-- a\n-- b\nSELECT (\n 1\n);\nSELECT 2";
        let found: Vec<(&str, FoldingKind)> = folding(text)
            .into_iter()
            .map(|r| (&text[r.range], r.kind))
            .collect();
        assert_eq!(
            found,
            [
                ("-- a\n-- b", FoldingKind::Comment),
                ("SELECT (\n 1\n)", FoldingKind::Region),
                ("(\n 1\n)", FoldingKind::Region)
            ]
        );
    }
}
