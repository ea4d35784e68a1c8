//! From the store to a running judge on this machine: is its module there, is it compiled, open it.

use bigquill_judge::{CacheFolder, CompiledModule, Judge, JudgeError, JudgeOptions, ModuleSource, Phase};

use crate::store::{JUDGE_MODULE, ModelStore, StoreError};

/// The folder of compiled modules, beside the models.
const CACHE: &str = "googlesql";

/// Why there is no judge.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The module was not fetched.
    #[error("GoogleSQL is not on this machine; get it with `bigquill model pull {JUDGE_MODULE}`")]
    Missing,
    /// There is no folder to look in.
    #[error(transparent)]
    Store(StoreError),
    /// Opening it ended in the middle.
    #[error("opening GoogleSQL was interrupted; restart the server")]
    Interrupted,
    /// The module cannot be used; the text says why and what to do.
    #[error(transparent)]
    Module(#[from] JudgeError),
}

/// Where the judge stands, for reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// The module was not fetched.
    Missing,
    /// It is there, but not compiled for this program and processor yet.
    NotCompiled,
    /// It opens in a moment.
    Ready,
}

/// Opens the judge; the first time on a machine its module is compiled, which takes half a minute. Blocks.
///
/// # Errors
/// Where the module is not there or cannot be used.
pub fn open(options: JudgeOptions, progress: &dyn Fn(Phase)) -> Result<Judge, OpenError> {
    let (source, cache) = files()?;
    Ok(Judge::open(&source, &cache, options, progress)?)
}

/// Where the judge stands. Blocks for some milliseconds.
///
/// # Errors
/// Where the module cannot be used.
pub fn readiness() -> Result<Readiness, OpenError> {
    let (source, cache) = match files() {
        Err(OpenError::Missing) => return Ok(Readiness::Missing),
        other => other?,
    };
    Ok(match CompiledModule::load(&source, &cache)? {
        Some(_) => Readiness::Ready,
        None => Readiness::NotCompiled,
    })
}

fn files() -> Result<(ModuleSource, CacheFolder), OpenError> {
    let store = ModelStore::open().map_err(OpenError::Store)?;
    let path = store.path(JUDGE_MODULE).map_err(|error| match error {
        StoreError::NotFetched { .. } => OpenError::Missing,
        other => OpenError::Store(other),
    })?;
    Ok((
        ModuleSource::pinned(path),
        CacheFolder(store.folder().join(CACHE)),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bigquill_judge::{MODULE_FILE, MODULE_LENGTH, MODULE_SHA256};

    #[test]
    fn the_store_fetches_what_the_judge_is_made_for() {
        let module = crate::store::known(JUDGE_MODULE).expect("it is known");
        assert_eq!(module.sha256, Some(MODULE_SHA256.to_string().as_str()));
        assert_eq!(module.bytes, Some(MODULE_LENGTH));
        assert_eq!(module.file, MODULE_FILE);
    }
}
