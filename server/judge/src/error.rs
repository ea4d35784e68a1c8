//! Why a judge cannot be had.

use std::path::PathBuf;

use crate::module::{MODULE_LENGTH, Sha256Digest};

/// Why a judge cannot be had. What a statement meets later is a [`NoVerdict`](crate::NoVerdict), never this.
#[derive(Debug, thiserror::Error)]
pub enum JudgeError {
    /// There is no module at this path.
    #[error("no GoogleSQL module at {}; `bigquill model pull` gets it", path.display())]
    ModuleMissing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The module cannot be read.
    #[error("cannot read the GoogleSQL module at {}: {source}", path.display())]
    ModuleUnreadable {
        /// Its path.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file is shorter than the module: a download that ended early.
    #[error(
        "the GoogleSQL module at {} is cut short ({length} of {MODULE_LENGTH} bytes); \
         remove it and run `bigquill model pull`",
        path.display()
    )]
    ModuleTruncated {
        /// Its path.
        path: PathBuf,
        /// Its length in bytes.
        length: u64,
    },
    /// The file is not the module that is pinned: damaged, or another version.
    #[error(
        "{} is not the GoogleSQL module that bigquill knows (SHA-256 {found} in place of {expected}); \
         remove it and run `bigquill model pull`",
        path.display()
    )]
    ModuleForeign {
        /// Its path.
        path: PathBuf,
        /// The digest that it has.
        found: Sha256Digest,
        /// The digest that it must have.
        expected: Sha256Digest,
    },
    /// The pinned module has no memory section where one must be.
    #[error("the GoogleSQL module is malformed")]
    ModuleMalformed,
    /// wasmtime cannot compile or link the module.
    #[error("cannot compile the GoogleSQL module: {0}")]
    Compile(String),
    /// The system lends no thread.
    #[error("cannot start a thread for GoogleSQL: {0}")]
    Thread(std::io::Error),
}

impl JudgeError {
    pub(crate) fn compile(error: wasmtime::Error) -> Self {
        Self::Compile(format!("{error:#}"))
    }
}
