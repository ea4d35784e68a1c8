//! Snapshot files: one resource a line, as `bq show --format=json` prints it.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;

/// Writes resources as JSON lines; gzipped where the name ends in `.gz`. The file is there whole or not at all.
///
/// # Errors
/// Where it cannot be written; an older file of that name then stays.
pub fn write_snapshot(path: &Path, resources: &[Value]) -> std::io::Result<()> {
    let partial = partial_path(path);
    let written = write_lines(&partial, path, resources).and_then(|()| std::fs::rename(&partial, path));
    if written.is_err() {
        // The first error is the one that counts.
        let _ = std::fs::remove_file(&partial);
    }
    written
}

/// Beside the file, for only within a file system is renaming atomic.
fn partial_path(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".partial-{}", std::process::id()));
    path.with_file_name(name)
}

fn write_lines(partial: &Path, path: &Path, resources: &[Value]) -> std::io::Result<()> {
    let file = std::fs::File::create(partial)?;
    let mut lines = BufWriter::new(&file);
    if path.extension().is_some_and(|ending| ending == "gz") {
        let mut encoder = GzEncoder::new(&mut lines, Compression::default());
        write_all(&mut encoder, resources)?;
        encoder.finish()?;
    } else {
        write_all(&mut lines, resources)?;
    }
    lines.flush()?;
    drop(lines);
    file.sync_all()
}

fn write_all(out: &mut impl Write, resources: &[Value]) -> std::io::Result<()> {
    resources
        .iter()
        .try_for_each(|resource| writeln!(out, "{resource}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::catalog::FileCatalog;

    #[test]
    fn what_is_written_is_read_plain_and_gzipped() {
        let folder = tempfile::tempdir().expect("a folder");
        let table = json!({"tableReference": {"projectId": "p", "datasetId": "d", "tableId": "t"}});
        for name in ["tables.json", "tables.json.gz"] {
            let path = folder.path().join(name);
            write_snapshot(&path, std::slice::from_ref(&table)).expect("the folder is ours");
            let catalog = FileCatalog::open(&[path.to_string_lossy().into_owned()], None);
            assert_eq!(catalog.problems(), []);
            assert_eq!(catalog.current().tables().count(), 1);
        }
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 2);
    }

    #[test]
    fn a_file_that_cannot_be_written_leaves_the_old_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let target = folder.path().join("taken");
        std::fs::create_dir_all(target.join("inside")).expect("the folder is ours");
        write_snapshot(&target, &[]).expect_err("a folder with content is in the way");
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1);
    }
}
