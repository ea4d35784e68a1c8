//! What can go wrong in training, in words that say what to do.

use std::path::PathBuf;

use crate::decoder::DecoderError;
use crate::gguf::GgufError;
use crate::lora::LoraError;
use crate::tokenizer::TokenizerError;

use super::data::DataError;

/// Why there is no adapter.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The base cannot be used, or computing failed.
    #[error(transparent)]
    Model(#[from] DecoderError),
    /// The data cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// An adapter cannot be read or written.
    #[error(transparent)]
    Lora(#[from] LoraError),
    /// The base's tokenizer cannot be used.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// There is nothing to learn from.
    #[error("there is no example to train on: {0}")]
    Empty(String),
    /// The loss or the gradient is no number any more.
    #[error(
        "the {what} became {value} in update {step} and nothing was changed by it; \
         begin anew with --overwrite and a lower --learning-rate, or look at the data with `finetune data inspect`"
    )]
    NotFinite {
        /// The loss or the gradient's norm.
        what: &'static str,
        /// What it is.
        value: f64,
        /// The update, from 1.
        step: u64,
    },
    /// A checkpoint cannot be written.
    #[error("the checkpoint {path} cannot be written: {reason}; free some space, or name another folder")]
    CheckpointWrite {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// A checkpoint cannot be read.
    #[error("the checkpoint {path} cannot be used: {reason}; start anew without --resume")]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A checkpoint was made with other settings or data.
    #[error(
        "the checkpoint {path} was made with {setting} {stored} where it is {given} now; \
         give the same, or start anew without --resume"
    )]
    Settings {
        /// The file.
        path: PathBuf,
        /// What differs.
        setting: String,
        /// What it was.
        stored: String,
        /// What it is.
        given: String,
    },
    /// A thread of the training died.
    #[error("a worker of the training stopped without a word; this is a bug, please report it")]
    Worker,
}

impl From<candle_core::Error> for TrainError {
    fn from(error: candle_core::Error) -> Self {
        Self::Model(error.into())
    }
}

impl From<GgufError> for TrainError {
    fn from(error: GgufError) -> Self {
        Self::Model(error.into())
    }
}
