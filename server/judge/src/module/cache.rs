//! The compiled module on disk.
//!
//! A file is named by the module's digest and by a digest of everything that native code depends on (our own passes,
//! wasmtime's version, its settings, the CPU's features), so another version or machine never finds it. Beside it
//! stands a stamp: length and CRC-32 of the compiled file. A file that is truncated, damaged or without a stamp that
//! fits is not loaded but written anew. The stamp is against accidents, and a checksum of 75 MB must not cost more than
//! all the rest of opening. Whoever may write the folder may run code as this user, so the folder is
//! closed to others, and one that others may write is not used.
#![expect(unsafe_code, reason = "loading native code from a file is unsafe by nature")]

use std::fs::{self, File};
use std::hash::{Hash, Hasher};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use wasmtime::{Engine, Module};

use super::{Sha256Digest, optimize};

/// The folder for compiled modules; made when first written, for its owner alone.
#[derive(Debug, Clone)]
pub struct CacheFolder(pub PathBuf);

/// One compiled module's place in the cache.
pub(super) struct Entry {
    folder: PathBuf,
    code: PathBuf,
    stamp: PathBuf,
}

impl Entry {
    /// The place of this module's code for this engine.
    pub(super) fn new(folder: &CacheFolder, engine: &Engine, module: Sha256Digest) -> Self {
        let mut compatibility = DigestHasher(Sha256::new());
        engine.precompile_compatibility_hash().hash(&mut compatibility);
        optimize::VERSION.hash(&mut compatibility);
        let compatibility = Sha256Digest(compatibility.0.finalize().into());
        let name = format!(
            "googlesql-{:.16}-{:.16}",
            module.to_string(),
            compatibility.to_string()
        );
        Self {
            folder: folder.0.clone(),
            code: folder.0.join(format!("{name}.cwasm")),
            stamp: folder.0.join(format!("{name}.stamp")),
        }
    }

    /// The compiled module, if the file is there and is what was written.
    pub(super) fn read(&self, engine: &Engine) -> Option<Module> {
        if !self.folder.exists() {
            return None;
        }
        let outcome = private(&self.folder).and_then(|()| self.read_stamped(engine));
        match outcome {
            Ok(module) => Some(module),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::warn!(%error, "the compiled GoogleSQL module in the cache is not usable; it is compiled again");
                None
            }
        }
    }

    fn read_stamped(&self, engine: &Engine) -> io::Result<Module> {
        let expected = fs::read_to_string(&self.stamp)?;
        let mut file = File::open(&self.code)?;
        if stamp(&mut file)? != expected {
            return Err(io::Error::other("its content does not fit its stamp"));
        }
        file.rewind()?;
        // SAFETY: the file's bytes are those that `write` put there from `Module::serialize`, by the stamp's checksum,
        // and only this user may write the folder; wasmtime itself refuses code of another version or CPU.
        unsafe { Module::deserialize_open_file(engine, file) }.map_err(io::Error::other)
    }

    /// Stores a compiled module, so that no reader ever sees half of it.
    pub(super) fn write(&self, module: &Module) -> io::Result<()> {
        make_private(&self.folder)?;
        let code = module.serialize().map_err(io::Error::other)?;
        // No stamp while the code changes: a crash between the two leaves a miss, not a mismatch.
        match fs::remove_file(&self.stamp) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        self.replace(&self.code, &code)?;
        self.replace(&self.stamp, stamp(&mut code.as_slice())?.as_bytes())
    }

    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let temporary = path.with_extension(format!("{}.part", std::process::id()));
        let written = create_private(&temporary)
            .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
            .and_then(|()| fs::rename(&temporary, path));
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        written
    }
}

/// Length and checksum of a compiled file, as its stamp says them.
fn stamp(file: &mut dyn Read) -> io::Result<String> {
    let mut checksum = crc32fast::Hasher::new();
    let mut buffer = vec![0; 256 << 10];
    let mut length = 0_u64;
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(format!("{length} {:08x}\n", checksum.finalize())),
            read => {
                checksum.update(&buffer[..read]);
                length += read as u64;
            }
        }
    }
}

/// Lets wasmtime's compatibility key, which is `Hash`, go into a digest that is the same in every build.
struct DigestHasher(Sha256);

impl Hasher for DigestHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        0 // never asked: the digest is taken from the inside
    }
}

#[cfg(unix)]
fn make_private(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let mode = fs::metadata(folder)?.permissions().mode();
    if mode & 0o077 != 0 {
        fs::set_permissions(folder, fs::Permissions::from_mode(mode & 0o7700))?;
    }
    private(folder)
}

/// Fails where another user may write the folder.
#[cfg(unix)]
fn private(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    match fs::metadata(folder)?.permissions().mode() & 0o022 {
        0 => Ok(()),
        _ => Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!("other users may write {}", folder.display()),
        )),
    }
}

#[cfg(unix)]
fn create_private(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
}

#[cfg(not(unix))]
fn make_private(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder) // a user's profile folder is closed to others by its access list
}

#[cfg(not(unix))]
fn private(_folder: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(not(unix))]
fn create_private(path: &Path) -> io::Result<File> {
    File::create(path)
}
