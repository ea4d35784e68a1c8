//! The file of pairs, and beside it what they were made from.

use std::fs::File;
use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use bigquill_model::lora::write_atomically;
use bigquill_model::synthesize::{Named, Pair, Weights};
use bigquill_model::train::{Settings, first_difference};
use sha2::{Digest, Sha256};

use super::SynthesizeArgs;
use crate::base::hex;

/// Bytes of a hash that are told: enough to see a change.
const DIGEST: usize = 8;

/// The file of pairs.
pub(super) struct Output<'a> {
    path: &'a Path,
    file: BufWriter<File>,
}

impl<'a> Output<'a> {
    /// The pairs that are there and are to be kept.
    pub(super) fn kept(args: &SynthesizeArgs) -> anyhow::Result<Vec<Pair>> {
        let path = &args.out;
        if path.extension().is_some_and(|ending| ending == "gz") {
            bail!(
                "{} would be packed, and a packed file cannot be gone on with; name a .jsonl file",
                path.display()
            );
        }
        let Some(text) = text(path)? else {
            return Ok(Vec::new());
        };
        if !args.resume {
            bail!(
                "{} is there already; go on with it with --resume, or name another file",
                path.display()
            );
        }
        // A run that was cut may have left half a line.
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let pair = |(index, line)| {
            serde_json::from_str(line).with_context(|| {
                format!(
                    "{}:{} is no pair of this command; name another file",
                    path.display(),
                    index + 1
                )
            })
        };
        whole.lines().enumerate().map(pair).collect()
    }

    /// Writes the pairs that are kept; the others come behind them.
    pub(super) fn open(path: &'a Path, pairs: &[Pair], made_from: &Settings) -> anyhow::Result<Self> {
        write_made_from(path, made_from)?;
        let file = File::create(path).with_context(|| format!("{} cannot be written", path.display()))?;
        let mut out = Self {
            path,
            file: BufWriter::new(file),
        };
        out.write(pairs)?;
        Ok(out)
    }

    pub(super) fn write(&mut self, pairs: &[Pair]) -> anyhow::Result<()> {
        let context = || format!("{} cannot be written", self.path.display());
        for pair in pairs {
            let line = serde_json::to_string(pair).with_context(context)?;
            writeln!(self.file, "{line}").with_context(context)?;
        }
        self.file.flush().with_context(context)
    }

    /// Leaves nothing behind, where nothing could be made.
    pub(super) fn discard(self) {
        for path in [self.path, &beside(self.path)] {
            // An empty file is in nobody's way.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// What decides the pairs, by name: the seed, hashes of the weights and of each catalog's tables, and whether they run.
pub(super) fn made_from(args: &SynthesizeArgs, weights: &Weights, catalogs: &[Named]) -> Settings {
    let run_on = if args.run_on.is_some() {
        "an emulator"
    } else {
        "nothing"
    };
    let mut settings = Settings::from([
        ("seed".to_owned(), args.seed.to_string()),
        ("weights".to_owned(), digest([weights])),
        ("run-on".to_owned(), run_on.to_owned()),
    ]);
    for catalog in catalogs {
        let tables = catalog.snapshot.tables();
        settings.insert(format!("catalog {}", catalog.name), digest(tables));
    }
    settings
}

/// A hash of values whose fields all count.
fn digest(values: impl IntoIterator<Item = impl std::fmt::Debug>) -> String {
    let mut hash = Sha256::new();
    for value in values {
        hash.update(format!("{value:?}\n"));
    }
    hex(&hash.finalize()[..DIGEST])
}

/// The file beside the pairs that tells what they were made from.
fn beside(path: &Path) -> PathBuf {
    path.with_extension("settings.json")
}

fn write_made_from(path: &Path, made_from: &Settings) -> anyhow::Result<()> {
    let file = beside(path);
    let context = || format!("{} cannot be written", file.display());
    let text = serde_json::to_string_pretty(made_from).with_context(context)?;
    write_atomically(&file, format!("{text}\n").as_bytes()).with_context(context)
}

/// Refuses to go on with something else than the pairs were made from.
pub(super) fn compare(path: &Path, made_from: &Settings) -> anyhow::Result<()> {
    let (pairs, file) = (path.display(), beside(path));
    let Some(text) = text(&file)? else {
        bail!(
            "{} is missing, which tells what {pairs} was made from; name another file",
            file.display()
        );
    };
    let stored: Settings = serde_json::from_str(&text)
        .with_context(|| format!("{} does not tell what {pairs} was made from", file.display()))?;
    if let Some((setting, stored, given)) = first_difference(&stored, made_from) {
        bail!(
            "{pairs} was made with {setting} {stored} where it is {given} now; give the same, or name another file"
        );
    }
    Ok(())
}

/// The text of a file, if it is there.
fn text(path: &Path) -> anyhow::Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("{} cannot be read", path.display())),
    }
}
