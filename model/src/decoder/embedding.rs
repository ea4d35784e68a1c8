//! The embedding table, read row by row from the mapped file: it is never held in memory as a whole.

use crate::gguf::{Gguf, Quantization, dequantize};

use super::{Config, DecoderError, weights};

/// The table of a model.
#[derive(Debug)]
pub(crate) struct Embedding {
    gguf: Gguf,
    quantization: Quantization,
    config: Config,
}

impl Embedding {
    pub(crate) fn load(gguf: &Gguf, config: &Config) -> Result<Self, DecoderError> {
        let quantization = weights::embedding(gguf, config)?.quantization;
        Ok(Self {
            gguf: gguf.clone(),
            quantization,
            config: config.clone(),
        })
    }

    /// Whether all of these are tokens of the vocabulary.
    pub(crate) fn check(&self, tokens: &[u32]) -> Result<(), DecoderError> {
        match tokens
            .iter()
            .find(|token| **token as usize >= self.config.vocabulary)
        {
            Some(token) => Err(DecoderError::Token {
                token: *token,
                vocabulary: self.config.vocabulary,
            }),
            None => Ok(()),
        }
    }

    /// The rows of these tokens, `(tokens, hidden)`.
    pub(crate) fn rows(&self, tokens: &[u32]) -> Result<Vec<f32>, DecoderError> {
        let table = weights::embedding(&self.gguf, &self.config)?;
        let bytes = self.quantization.row_bytes(self.config.hidden);
        let mut rows = vec![0.0; tokens.len() * self.config.hidden];
        for (token, row) in tokens.iter().zip(rows.chunks_exact_mut(self.config.hidden)) {
            let start = *token as usize * bytes;
            let stored = table.data.get(start..start + bytes);
            let stored = stored.ok_or(DecoderError::Token {
                token: *token,
                vocabulary: self.config.vocabulary,
            })?;
            dequantize::row(self.quantization, stored, row);
        }
        Ok(rows)
    }
}
