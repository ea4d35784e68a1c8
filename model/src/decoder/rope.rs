//! Rotary position tables (Su et al. 2021): angle = position · base^(-2i / head_dim), divided by Llama 3's factors where
//! the file has them.

use std::ops::Range;

use crate::gguf::Gguf;

use super::{Config, DecoderError, weights};

/// The inverse frequencies, and rows of cosines and sines made from them.
#[derive(Debug, Clone)]
pub struct RopeTable {
    frequencies: Vec<f32>,
}

impl RopeTable {
    /// The model's table.
    ///
    /// # Errors
    /// Where `rope_freqs.weight` has another shape or divides by zero.
    pub fn load(gguf: &Gguf, config: &Config) -> Result<Self, DecoderError> {
        let half = config.head_dim / 2;
        let exponent = |i: usize| (2 * i) as f32 / config.head_dim as f32;
        let mut frequencies: Vec<f32> = (0..half)
            .map(|i| 1.0 / (config.rope_base as f32).powf(exponent(i)))
            .collect();
        if gguf.find("rope_freqs.weight").is_some() {
            let factors = weights::floats(gguf, "rope_freqs.weight", &[half])?;
            for (frequency, factor) in frequencies.iter_mut().zip(factors) {
                *frequency /= factor;
            }
        }
        if frequencies.iter().any(|frequency| !frequency.is_finite()) {
            return Err(DecoderError::RopeScaling {
                path: gguf.path().to_owned(),
                kind: "a factor of zero".to_owned(),
            });
        }
        Ok(Self { frequencies })
    }

    /// Pairs per head.
    #[must_use]
    pub fn half(&self) -> usize {
        self.frequencies.len()
    }

    /// Cosines and sines of a range of positions, row after row.
    #[must_use]
    pub fn rows(&self, positions: Range<usize>) -> (Vec<f32>, Vec<f32>) {
        positions
            .flat_map(|position| {
                self.frequencies
                    .iter()
                    .map(move |frequency| position as f32 * frequency)
            })
            .map(|angle| (angle.cos(), angle.sin()))
            .unzip()
    }
}
