//! Whether the folder of an adapter holds what it held before.

use std::fs::Metadata;
use std::path::Path;
use std::time::SystemTime;

use super::{CONFIG, WEIGHTS};

/// What tells one writing of an adapter's files from another without reading them. Each file is replaced as a whole, so
/// that it is another file on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdapterStamp([FileStamp; 2]);

#[derive(Debug, Clone, PartialEq, Eq)]
struct FileStamp {
    modified: Option<SystemTime>,
    bytes: u64,
    inode: u64,
}

impl AdapterStamp {
    /// The stamp of a folder; none where it is not whole: the configuration is written last.
    #[must_use]
    pub fn of(folder: &Path) -> Option<Self> {
        let stamp = |name: &str| {
            std::fs::metadata(folder.join(name))
                .ok()
                .map(|file| FileStamp::of(&file))
        };
        Some(Self([stamp(CONFIG)?, stamp(WEIGHTS)?]))
    }
}

impl FileStamp {
    fn of(file: &Metadata) -> Self {
        #[cfg(unix)]
        let inode = std::os::unix::fs::MetadataExt::ino(file);
        #[cfg(not(unix))]
        let inode = 0;
        Self {
            modified: file.modified().ok(),
            bytes: file.len(),
            inode,
        }
    }
}
