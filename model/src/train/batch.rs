//! Sequences that are computed together, padded on the right.

use candle_core::{Device, Result, Tensor};

/// A sequence of tokens, of which the last ones are learned.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Sequence {
    /// Prompt and completion.
    pub tokens: Vec<u32>,
    /// How many tokens are prompt: these are read and not learned. At least 1.
    pub prompt: usize,
}

impl Sequence {
    /// Tokens that are learned.
    #[must_use]
    pub fn completion(&self) -> usize {
        self.tokens.len().saturating_sub(self.prompt)
    }
}

/// Sequences side by side. Under causal attention nothing looks at the padding on the right, so that it needs no mask;
/// it is kept out of the loss by length, since a pad token can be the token that ends an answer.
#[derive(Debug, Clone)]
pub struct Batch {
    sequences: usize,
    width: usize,
    tokens: Vec<u32>,
    /// Indices into `sequences · width` of the positions whose next token is learned.
    rows: Vec<u32>,
    /// The tokens that are learned there.
    targets: Vec<u32>,
    /// Learned tokens of each sequence.
    counts: Vec<usize>,
    /// Decides what dropout drops; nothing is dropped without.
    noise: Option<u64>,
}

impl Batch {
    /// Puts sequences side by side.
    #[must_use]
    pub fn new<'a>(sequences: impl IntoIterator<Item = &'a Sequence>) -> Self {
        let sequences: Vec<&Sequence> = sequences.into_iter().collect();
        let width = sequences.iter().map(|s| s.tokens.len()).max().unwrap_or(0);
        let mut batch = Self {
            sequences: sequences.len(),
            width,
            tokens: vec![0; sequences.len() * width],
            rows: Vec::new(),
            targets: Vec::new(),
            counts: Vec::new(),
            noise: None,
        };
        for (index, sequence) in sequences.into_iter().enumerate() {
            let start = index * width;
            batch.tokens[start..start + sequence.tokens.len()].copy_from_slice(&sequence.tokens);
            let learned = sequence.prompt.max(1)..sequence.tokens.len();
            batch.counts.push(learned.len());
            for position in learned {
                batch.rows.push((start + position - 1) as u32);
                batch.targets.push(sequence.tokens[position]);
            }
        }
        batch
    }

    /// The batch as it is learned from, with the seed of its dropout.
    #[must_use]
    pub(crate) fn with_noise(mut self, seed: u64) -> Self {
        self.noise = Some(seed);
        self
    }

    /// The seed of its dropout, where it is learned from.
    pub(crate) fn noise(&self) -> Option<u64> {
        self.noise
    }

    /// How many sequences.
    #[must_use]
    pub fn sequences(&self) -> usize {
        self.sequences
    }

    /// Tokens of the longest.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Tokens that are computed, padding included, row after row.
    #[must_use]
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// Learned tokens of each sequence.
    #[must_use]
    pub fn counts(&self) -> &[usize] {
        &self.counts
    }

    /// Row indices and targets of the learned tokens, `(targets)` in U32 each.
    pub(crate) fn supervised(&self, device: &Device) -> Result<(Tensor, Tensor)> {
        Ok((
            Tensor::new(self.rows.as_slice(), device)?,
            Tensor::new(self.targets.as_slice(), device)?,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_token_is_learned_though_it_is_the_padding_token_too() {
        let long = Sequence {
            tokens: vec![5, 6, 7, 8, 0],
            prompt: 3,
        };
        let short = Sequence {
            tokens: vec![5, 9, 0],
            prompt: 1,
        };
        let batch = Batch::new([&long, &short]);
        assert_eq!((batch.sequences(), batch.width()), (2, 5));
        assert_eq!(batch.tokens(), [5, 6, 7, 8, 0, 5, 9, 0, 0, 0]);
        assert_eq!(batch.rows, [2, 3, 5, 6]);
        assert_eq!(batch.targets, [8, 0, 9, 0]);
        assert_eq!(batch.counts(), [2, 2]);
    }
}
