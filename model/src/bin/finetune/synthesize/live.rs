//! The tables as they are in BigQuery now: `bigquill catalog sync` reads them into a file beside the pairs.
//!
//! Credentials and settings are bigquill's own, and the training finds the very tables that the pairs were made of.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use crate::progress::tell;

/// What stands in the place of a catalog's path.
const LIVE: &str = "live";

/// Exit codes of `bigquill catalog sync` with which the file is there: all was read, or something was left out.
const WRITTEN: [i32; 2] = [0, 1];

/// The catalogs' paths, with the file that BigQuery's tables are read into in the place of `live`. A run that goes on
/// takes the tables that it began with.
pub(super) fn resolve(paths: &[PathBuf], out: &Path, resume: bool) -> anyhow::Result<Vec<PathBuf>> {
    let live = |path: &PathBuf| path.as_path() == Path::new(LIVE);
    let file = out.with_extension("catalog.jsonl");
    if paths.iter().any(live) {
        if resume && file.exists() {
            tell(&format!("goes on with the tables in {}", file.display()));
        } else {
            sync(&file)?;
        }
    }
    let resolved = paths.iter().map(|path| if live(path) { &file } else { path });
    Ok(resolved.cloned().collect())
}

/// Runs `bigquill catalog sync`, which tells its own progress and problems.
fn sync(file: &Path) -> anyhow::Result<()> {
    let program = bigquill();
    let ended = Command::new(&program)
        .args(["catalog", "sync", "--out"])
        .arg(file)
        .stdin(Stdio::null())
        .status();
    let ended = match ended {
        Err(error) if error.kind() == ErrorKind::NotFound => bail!(
            "--catalog live reads the tables with bigquill, which is neither beside this program nor on the PATH: \
             install it with `cargo install --locked --path server`, or name a catalog file"
        ),
        ended => ended.with_context(|| format!("{} cannot be run", program.display()))?,
    };
    if !ended.code().is_some_and(|code| WRITTEN.contains(&code)) {
        bail!(
            "BigQuery's tables could not be read; `{} catalog sync` says why above, and `bigquill doctor --online` tells more",
            program.display()
        );
    }
    Ok(())
}

/// The program beside this one, else the one on the PATH.
fn bigquill() -> PathBuf {
    let name = format!("bigquill{}", std::env::consts::EXE_SUFFIX);
    let beside = std::env::current_exe().map(|own| own.with_file_name(&name));
    beside
        .ok()
        .filter(|path| path.is_file())
        .unwrap_or_else(|| name.into())
}
