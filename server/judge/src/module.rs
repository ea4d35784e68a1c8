//! The WebAssembly module: verify, compile once, keep the compiled form, run it in bounded instances.
//!
//! The caller says where the module's bytes are and which SHA-256 they must have; nothing is fetched here. The
//! compiled form is native code, so its cache file is trusted only as far as [`cache`] describes.

use std::path::PathBuf;

use sha2::{Digest, Sha256};
use wasmtime::{Config, Engine, Module};

use crate::error::JudgeError;

pub(crate) mod cache;
pub(crate) mod instance;
mod optimize;
pub(crate) mod pool;
pub(crate) mod wasi;

pub use cache::CacheFolder;

/// The module's usual file name.
pub const MODULE_FILE: &str = "zetasql.wasm";
/// Length in bytes of the module that the judge is made for: `zetasql/wasi/zetasql.wasm` of PyPI's zetasql 0.1.5.
pub const MODULE_LENGTH: u64 = 28_412_931;
/// Its SHA-256.
pub const MODULE_SHA256: Sha256Digest = Sha256Digest([
    0x00, 0x13, 0x5b, 0x44, 0xfe, 0x39, 0x1f, 0xa8, 0xd5, 0x6f, 0x68, 0x04, 0xdc, 0xa0, 0x13, 0xbc, 0x68,
    0x1e, 0x45, 0xd6, 0x07, 0x56, 0x1a, 0x63, 0x8b, 0x81, 0xc9, 0x8a, 0x08, 0x74, 0x4b, 0xcb,
]);

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
    /// Length that the file must have, in bytes.
    pub length: u64,
    /// Digest that the file must have.
    pub sha256: Sha256Digest,
}

/// What compiling is busy with, for progress on a screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Reads the module and checks its digest.
    Verify,
    /// Optimises and compiles to native code: half a minute, once.
    Compile,
    /// Writes the compiled form to the cache.
    Store,
}

/// The module as native code, ready for [`Judge::new`](crate::Judge::new). Clones share the code.
#[derive(Clone)]
pub struct CompiledModule {
    pub(crate) engine: Engine,
    pub(crate) module: Module,
}

impl std::fmt::Debug for CompiledModule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CompiledModule").finish_non_exhaustive()
    }
}

impl ModuleSource {
    /// The module that the judge is made for, at this path.
    #[must_use]
    pub fn pinned(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            length: MODULE_LENGTH,
            sha256: MODULE_SHA256,
        }
    }

    /// The module's bytes, checked.
    fn read(&self) -> Result<Vec<u8>, JudgeError> {
        let bytes = std::fs::read(&self.path).map_err(|source| self.unreadable(source))?;
        let length = bytes.len() as u64;
        let found = Sha256Digest::of(&bytes);
        let path = || self.path.clone();
        if found == self.sha256 {
            Ok(bytes)
        } else if length < self.length {
            Err(JudgeError::ModuleTruncated { path: path(), length })
        } else {
            Err(JudgeError::ModuleForeign {
                path: path(),
                found,
                expected: self.sha256,
            })
        }
    }

    fn unreadable(&self, source: std::io::Error) -> JudgeError {
        let path = self.path.clone();
        match source.kind() {
            std::io::ErrorKind::NotFound => JudgeError::ModuleMissing { path },
            _ => JudgeError::ModuleUnreadable { path, source },
        }
    }
}

impl CompiledModule {
    /// The compiled form in the cache: some tens of milliseconds. None where there is none that fits this program,
    /// this processor and this module; then [`Self::compile`] makes one.
    ///
    /// # Errors
    /// wasmtime does not run on this machine.
    pub fn load(source: &ModuleSource, cache: &CacheFolder) -> Result<Option<Self>, JudgeError> {
        let engine = engine()?;
        let entry = cache::Entry::new(cache, &engine, source.sha256);
        Ok(entry.read(&engine).map(|module| Self { engine, module }))
    }

    /// Verifies and compiles the module (half a minute on two cores, 1 GB of memory, once) and puts the compiled
    /// form into the cache. Blocks; says what it is busy with.
    ///
    /// # Errors
    /// The module is missing or is not the one that it must be. A cache that cannot be written is no error: the
    /// module is compiled again at the next start.
    pub fn compile(
        source: &ModuleSource,
        cache: &CacheFolder,
        progress: &dyn Fn(Phase),
    ) -> Result<Self, JudgeError> {
        progress(Phase::Verify);
        let bytes = unshared(source.read()?)?;
        progress(Phase::Compile);
        // The checks are known by their place in the one module that is pinned.
        let checks = if source.sha256 == MODULE_SHA256 {
            optimize::CHECKS
        } else {
            &[]
        };
        let bytes = optimize::optimized(&bytes, checks)?;
        let engine = engine()?;
        let module = Module::from_binary(&engine, &bytes).map_err(JudgeError::compile)?;
        drop(bytes);
        progress(Phase::Store);
        let entry = cache::Entry::new(cache, &engine, source.sha256);
        let stored = entry.write(&module);
        if let Err(error) = &stored {
            tracing::warn!(%error, "the compiled GoogleSQL module could not be cached; it is compiled again at the next start");
        }
        // Mapped from the file the code costs no memory of its own.
        let mapped = stored.ok().and_then(|()| entry.read(&engine));
        Ok(Self {
            module: mapped.unwrap_or(module),
            engine,
        })
    }
}

impl Sha256Digest {
    /// A digest from its 64 hexadecimal digits; none for any other text.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let digits: Vec<u8> = text
            .chars()
            .map(|c| c.to_digit(16).map(|d| d as u8))
            .collect::<Option<_>>()?;
        let bytes: Vec<u8> = digits
            .chunks_exact(2)
            .map(|pair| pair[0] << 4 | pair[1])
            .collect();
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

fn engine() -> Result<Engine, JudgeError> {
    let mut config = Config::new();
    config
        .wasm_threads(true) // the module has atomic instructions; it starts no thread
        .async_stack_size(2 * WASM_STACK) // not in use, but it must not be the smaller one
        .max_wasm_stack(WASM_STACK)
        .epoch_interruption(true)
        .generate_address_map(false)
        .wasm_backtrace_max_frames(None);
    Engine::new(&config).map_err(JudgeError::compile)
}

/// The module with its memory declared unshared.
///
/// It is linked for threads but has none to start. An unshared memory belongs to its instance: the resource
/// limiter bounds it (wasmtime cannot bound a shared one) and its bytes are read without `unsafe`.
fn unshared(mut bytes: Vec<u8>) -> Result<Vec<u8>, JudgeError> {
    const MEMORY_SECTION: u8 = 5;
    const SHARED: u8 = 2;
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
        let unshared = unshared(module.clone()).expect("a memory section");
        assert_eq!(unshared[..module.len() - 3], module[..module.len() - 3]);
        assert_eq!(unshared[module.len() - 3..], [1, 1, 2]);
    }

    #[test]
    fn a_cut_module_is_malformed() {
        assert!(matches!(
            unshared(b"\0asm\x01\0\0\0\x05".to_vec()),
            Err(JudgeError::ModuleMalformed)
        ));
        assert!(matches!(
            unshared(b"\0asm\x01\0\0\0".to_vec()),
            Err(JudgeError::ModuleMalformed)
        ));
    }
}
