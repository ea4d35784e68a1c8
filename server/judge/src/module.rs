//! The WebAssembly module: verify, compile once, keep the compiled form, run it in bounded instances.
//!
//! The caller says where the module's bytes are and which SHA-256 they must have; nothing is fetched here. The
//! compiled form is native code, so its cache file is trusted only as far as [`cache`] describes.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use wasmtime::{Config, Engine, Module};

use crate::JudgeError;

pub(crate) mod cache;
pub(crate) mod instance;
pub(crate) mod pool;
pub(crate) mod wasi;

pub use cache::CacheFolder;

/// Stack that the module's native code may use: deep nesting ends in a trap there, not in a crash.
const WASM_STACK: usize = 4 << 20;

/// A SHA-256 digest.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Sha256Digest(pub [u8; 32]);

/// Where the module's bytes are, and what they must be.
#[derive(Debug, Clone)]
pub struct ModuleSource {
    /// The file; it is read only when there is no compiled form in the cache.
    pub path: PathBuf,
    /// Digest that the file must have.
    pub sha256: Sha256Digest,
}

/// What opening a judge is busy with, for progress on a screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Looks for a compiled form in the cache.
    Cache,
    /// Reads the module and checks its digest.
    Verify,
    /// Compiles to native code: half a minute, once.
    Compile,
    /// Writes the compiled form to the cache.
    Store,
}

impl Sha256Digest {
    /// A digest from its 64 hexadecimal digits; none for any other text.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let digits: Vec<u8> = text.chars().map(|c| c.to_digit(16).map(|d| d as u8)).collect::<Option<_>>()?;
        let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
        (digits.len() == 64).then(|| bytes.try_into().ok().map(Self))?
    }

    fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl std::fmt::Display for Sha256Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::fmt::Debug for Sha256Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// An engine with the module in it: from the cache, else compiled from the verified bytes and cached.
pub(crate) fn load(
    source: &ModuleSource,
    folder: &CacheFolder,
    progress: &dyn Fn(Phase),
) -> Result<(Engine, Module), JudgeError> {
    let engine = engine()?;
    progress(Phase::Cache);
    let entry = cache::Entry::new(folder, &engine, source.sha256);
    if let Some(module) = entry.read(&engine) {
        return Ok((engine, module));
    }
    progress(Phase::Verify);
    let bytes = verified(&source.path, source.sha256)?;
    progress(Phase::Compile);
    let module = Module::from_binary(&engine, &unshared(&bytes)?).map_err(JudgeError::compile)?;
    drop(bytes);
    progress(Phase::Store);
    match entry.write(&module) {
        // Mapped from the file the code costs no memory of its own.
        Ok(()) => Ok((entry.read(&engine).map_or_else(|| (engine.clone(), module), |m| (engine.clone(), m)))),
        Err(error) => {
            tracing::warn!(%error, "the compiled GoogleSQL module could not be cached; it is compiled again at the next start");
            Ok((engine, module))
        }
    }
}

fn engine() -> Result<Engine, JudgeError> {
    let mut config = Config::new();
    config
        .wasm_threads(true) // the module has atomic instructions; it starts no thread
        .max_wasm_stack(WASM_STACK)
        .epoch_interruption(true)
        .generate_address_map(false)
        .wasm_backtrace_max_frames(None);
    Engine::new(&config).map_err(JudgeError::compile)
}

fn verified(path: &Path, expected: Sha256Digest) -> Result<Vec<u8>, JudgeError> {
    let bytes = std::fs::read(path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => JudgeError::ModuleMissing { path: path.to_owned() },
        _ => JudgeError::ModuleUnreadable { path: path.to_owned(), source },
    })?;
    let found = Sha256Digest::of(&bytes);
    if found == expected {
        Ok(bytes)
    } else {
        Err(JudgeError::ModuleForeign { path: path.to_owned(), length: bytes.len(), found, expected })
    }
}

/// The module with its memory declared unshared.
///
/// It is linked for threads but has none to start. An unshared memory belongs to its instance: the resource
/// limiter bounds it (wasmtime cannot bound a shared one) and its bytes are read without `unsafe`.
fn unshared(module: &[u8]) -> Result<Vec<u8>, JudgeError> {
    const MEMORY_SECTION: u8 = 5;
    const SHARED: u8 = 2;
    let mut bytes = module.to_vec();
    let mut at = 8; // magic and version
    while at < bytes.len() {
        let id = bytes[at];
        let (length, body) = leb128(&bytes, at + 1).ok_or(JudgeError::ModuleMalformed)?;
        if id == MEMORY_SECTION {
            let (_count, limits) = leb128(&bytes, body).ok_or(JudgeError::ModuleMalformed)?;
            let flags = bytes.get_mut(limits).ok_or(JudgeError::ModuleMalformed)?;
            *flags &= !SHARED;
            return Ok(bytes);
        }
        at = body.checked_add(length).ok_or(JudgeError::ModuleMalformed)?;
    }
    Err(JudgeError::ModuleMalformed)
}

/// An unsigned LEB128 number at `at`, and where it ends.
fn leb128(bytes: &[u8], mut at: usize) -> Option<(usize, usize)> {
    let mut value = 0;
    for shift in (0..35).step_by(7) {
        let byte = *bytes.get(at)?;
        at += 1;
        value |= usize::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some((value, at));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_reads_back_as_it_prints() {
        let digest = Sha256Digest::of(b"bigquill");
        assert_eq!(Sha256Digest::from_hex(&digest.to_string()), Some(digest));
        assert_eq!(Sha256Digest::from_hex("00"), None);
        assert_eq!(Sha256Digest::from_hex(&"g".repeat(64)), None);
    }

    #[test]
    fn the_memory_loses_its_shared_flag_and_nothing_else() {
        let module = [b"\0asm\x01\0\0\0".as_slice(), &[1, 1, 0, 5, 4, 1, 3, 1, 2]].concat();
        let unshared = unshared(&module).expect("a memory section");
        assert_eq!(unshared[..module.len() - 3], module[..module.len() - 3]);
        assert_eq!(unshared[module.len() - 3..], [1, 1, 2]);
    }

    #[test]
    fn a_cut_module_is_malformed() {
        assert!(matches!(unshared(b"\0asm\x01\0\0\0\x05"), Err(JudgeError::ModuleMalformed)));
        assert!(matches!(unshared(b"\0asm\x01\0\0\0"), Err(JudgeError::ModuleMalformed)));
    }
}
