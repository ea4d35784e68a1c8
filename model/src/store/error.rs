//! What can go wrong with the store; each message says what to do.

use std::io;
use std::path::{Path, PathBuf};

use super::{CACHE_VARIABLE, KNOWN_MODELS};

/// Why a model could not be found, fetched, checked or removed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No model has this name.
    #[error("no model is called `{name}`; known are {known}, and any path of a .gguf file can be given instead", known = names())]
    UnknownModel {
        /// The name.
        name: String,
    },
    /// The user has no home folder.
    #[error("no cache folder: set {CACHE_VARIABLE} to a folder for models")]
    NoCacheFolder,
    /// The model was not fetched yet.
    #[error(
        "the model `{name}` is not there ({path} is missing): run `bigquill model pull {name}` on a machine with network, or copy the file there",
        path = path.display()
    )]
    NotFetched {
        /// The model.
        name: String,
        /// Where it would be.
        path: PathBuf,
    },
    /// Another process works on the model.
    #[error("another bigquill process is fetching `{name}`: wait until it is done")]
    Busy {
        /// The model.
        name: String,
    },
    /// Not one source had it.
    #[error(
        "`{name}` could not be fetched: {}; run `bigquill model pull {name}` again when that is mended (it goes on where it stopped), or copy {file} to {path}",
        reasons.join("; "),
        path = path.display()
    )]
    NoSource {
        /// The model.
        name: String,
        /// Its file on other machines.
        file: String,
        /// Where the file belongs.
        path: PathBuf,
        /// Each source and why it could not.
        reasons: Vec<String>,
    },
    /// The bytes are not the model.
    #[error(
        "{path} is not what it should be ({found}, expected {expected}): remove it and run `bigquill model pull` again",
        path = path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Size or hash found.
        found: String,
        /// Size or hash expected.
        expected: String,
    },
    /// The file was put there by hand and no hash is known.
    #[error(
        "no SHA-256 is known for {path}, for bigquill did not fetch it: remove it and run `bigquill model pull` to have one",
        path = path.display()
    )]
    NoHash {
        /// The file.
        path: PathBuf,
    },
    /// The disk has no room.
    #[error(
        "the disk is full ({path}): make room, or set {CACHE_VARIABLE} to a folder on another disk; what is fetched is kept",
        path = path.display()
    )]
    DiskFull {
        /// What was written.
        path: PathBuf,
    },
    /// The file system said no.
    #[error("cannot {action} {path}: {source}", path = path.display())]
    Io {
        /// What was tried: `read`, `write`, …
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl StoreError {
    /// For `map_err`: names what was tried with which file, and tells a full disk from other trouble.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { path },
            _ => Self::Io { action, path, source },
        }
    }
}

fn names() -> String {
    KNOWN_MODELS
        .iter()
        .map(|model| format!("`{}`", model.name))
        .collect::<Vec<_>>()
        .join(", ")
}
