//! Files of the store: hashes, locks, parts, and writing that is whole or not at all.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::{OnEvent, PullEvent, StoreError};

/// Bytes that are read at a time.
const BLOCK: usize = 1 << 20;

/// Bytes between two progress events.
pub(super) const EVENT_BYTES: u64 = 4 << 20;

/// A file's size and hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest {
    /// Bytes.
    pub bytes: u64,
    /// SHA-256 in lower-case hexadecimal.
    pub sha256: String,
}

/// The hash in lower-case hexadecimal.
pub(crate) fn hexadecimal(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Feeds a file to the hash; `on_bytes` hears how many were read so far.
pub(super) fn hash_file(
    path: &Path,
    hash: &mut Sha256,
    on_bytes: &mut dyn FnMut(u64),
) -> Result<u64, StoreError> {
    let mut file = File::open(path).map_err(StoreError::io("open", path))?;
    let mut block = vec![0; BLOCK];
    let mut done = 0;
    loop {
        match file.read(&mut block).map_err(StoreError::io("read", path))? {
            0 => return Ok(done),
            read => {
                hash.update(&block[..read]);
                done += read as u64;
                on_bytes(done);
            }
        }
    }
}

/// Compares size and hash of a file.
pub(super) fn verify(
    path: &Path,
    bytes: Option<u64>,
    sha256: &str,
    on_event: OnEvent<'_>,
) -> Result<Digest, StoreError> {
    let total = fs::metadata(path).map_err(StoreError::io("read", path))?.len();
    let mut hash = Sha256::new();
    let mut told = 0;
    // The size alone may tell that the file is wrong, before half a gigabyte is read.
    let found = if bytes.is_some_and(|bytes| bytes != total) {
        Digest {
            bytes: total,
            sha256: String::new(),
        }
    } else {
        let bytes = hash_file(path, &mut hash, &mut |done| {
            if done - told >= EVENT_BYTES || done == total {
                told = done;
                on_event(PullEvent::Verifying { done, total });
            }
        })?;
        Digest {
            bytes,
            sha256: hexadecimal(hash),
        }
    };
    compare(path, &found, bytes, sha256)?;
    Ok(found)
}

/// An error that names the difference, where there is one.
pub(super) fn compare(
    path: &Path,
    found: &Digest,
    bytes: Option<u64>,
    sha256: &str,
) -> Result<(), StoreError> {
    let damaged = |found: String, expected: String| {
        Err(StoreError::Damaged {
            path: path.to_owned(),
            found,
            expected,
        })
    };
    if let Some(bytes) = bytes.filter(|bytes| *bytes != found.bytes) {
        return damaged(format!("{} bytes", found.bytes), format!("{bytes} bytes"));
    }
    if found.sha256 != sha256 {
        return damaged(format!("SHA-256 {}", found.sha256), sha256.to_owned());
    }
    Ok(())
}

/// Creates the store's folder.
pub(super) fn create_folder(folder: &Path) -> Result<(), StoreError> {
    fs::create_dir_all(folder).map_err(StoreError::io("create", folder))
}

/// A lock on a model that holds until the file is dropped, or the process ends in whatever way; none where
/// another process has it.
pub(super) fn try_lock(folder: &Path, file: &str) -> Result<Option<File>, StoreError> {
    let path = folder.join(format!("{file}.lock"));
    let lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(StoreError::io("create", &path))?;
    match lock.try_lock() {
        Ok(()) => Ok(Some(lock)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(StoreError::io("lock", &path)(error)),
    }
}

/// Writes a small file so that it is there as a whole or not at all.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    let write = || -> std::io::Result<()> {
        let mut file = File::create(&new)?;
        file.write_all(bytes)?;
        file.sync_data()?;
        fs::rename(&new, path)
    };
    write().map_err(StoreError::io("write", path))
}

/// Removes a file; tells whether it was there.
pub(super) fn remove_if_there(path: &Path) -> Result<bool, StoreError> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(StoreError::io("remove", path)(error)),
    }
}

/// Removes what is half fetched of a model; tells whether there was anything.
pub(super) fn remove_parts(folder: &Path, file: &str) -> Result<bool, StoreError> {
    let mut any = false;
    for (path, _) in parts(folder, file) {
        any |= remove_if_there(&path)?;
    }
    Ok(any)
}

/// Bytes of the model that are fetched so far.
pub(super) fn partial_bytes(folder: &Path, file: &str) -> u64 {
    parts(folder, file).map(|(_, bytes)| bytes).sum()
}

/// The files that [`super::pull`] leaves behind when it is stopped, with their sizes.
fn parts(folder: &Path, file: &str) -> impl Iterator<Item = (PathBuf, u64)> {
    let beginning = format!("{file}.");
    fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(move |entry| {
            let name = entry.file_name();
            let rest = name.to_str()?.strip_prefix(&beginning)?;
            let is_part = rest.ends_with(".part") || rest.ends_with(".part.json") || rest.ends_with(".new");
            is_part.then(|| (entry.path(), entry.metadata().map_or(0, |m| m.len())))
        })
}
