//! Progress on standard error: a bar on a terminal, whole lines elsewhere; metrics as JSON lines in a file.

use std::cell::Cell;
use std::fs::File;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use bigquill_model::lora::write_atomically;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

/// How often a line is written where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// A bar, or lines.
pub(crate) struct Bar {
    bar: Option<ProgressBar>,
    title: &'static str,
    total: u64,
    last_line: Cell<Option<Instant>>,
}

impl Bar {
    pub(crate) fn new(total: u64, title: &'static str) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style =
                ProgressStyle::with_template("{prefix} {bar:24} {pos}/{len} {wide_msg} {elapsed} + {eta}");
            ProgressBar::new(total)
                .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
                .with_prefix(title)
        });
        Self {
            bar,
            title,
            total,
            last_line: Cell::new(None),
        }
    }

    /// Shows how far it is.
    pub(crate) fn set(&self, done: u64, text: &str) {
        match &self.bar {
            Some(bar) => {
                bar.set_position(done);
                bar.set_message(text.to_owned());
            }
            None => {
                let due = self
                    .last_line
                    .get()
                    .is_none_or(|last| last.elapsed() >= LINE_EVERY);
                if due || done == self.total {
                    self.last_line.set(Some(Instant::now()));
                    self.line(done, text);
                }
            }
        }
    }

    /// Shows how far it is in a line of its own where there is no terminal.
    pub(crate) fn set_now(&self, done: u64, text: &str) {
        self.last_line.set(None);
        self.set(done, text);
    }

    /// Says something beside the progress.
    pub(crate) fn note(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None => tell(text),
        }
    }

    fn line(&self, done: u64, text: &str) {
        tell(&format!("{} {done}/{}: {text}", self.title, self.total));
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// A line on standard error.
pub(crate) fn tell(text: &str) {
    // Standard error may be closed; the work goes on.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// The metrics file: a JSON object for each update and each measurement.
pub(crate) struct Metrics {
    path: PathBuf,
    file: File,
}

impl Metrics {
    /// Begins the file, or goes on after update `from`: lines of later updates, which are made again, are taken out.
    pub(crate) fn open(path: &Path, from: u64) -> anyhow::Result<Self> {
        let context = || format!("the metrics file {} cannot be written", path.display());
        let mut kept = String::new();
        if from > 0 {
            let old = std::fs::read_to_string(path).unwrap_or_default();
            let step = |line: &str| -> Option<u64> {
                serde_json::from_str::<Value>(line).ok()?.get("step")?.as_u64()
            };
            for line in old
                .lines()
                .filter(|line| step(line).is_some_and(|step| step <= from))
            {
                kept.push_str(line);
                kept.push('\n');
            }
        }
        write_atomically(path, kept.as_bytes()).with_context(context)?;
        let file = File::options().append(true).open(path).with_context(context)?;
        Ok(Self {
            path: path.to_owned(),
            file,
        })
    }

    /// Writes a line; it has a `step`.
    pub(crate) fn write(&mut self, line: &Value) -> anyhow::Result<()> {
        let text = format!("{line}\n");
        self.file
            .write_all(text.as_bytes())
            .with_context(|| format!("the metrics file {} cannot be written", self.path.display()))
    }
}

/// Bytes of memory that the process holds, where the system tells.
pub(crate) fn resident() -> Option<u64> {
    status("VmRSS:")
}

/// The most that the process ever held.
pub(crate) fn peak() -> Option<u64> {
    status("VmHWM:")
}

fn status(key: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with(key))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes * 1024)
}

/// Bytes for people.
pub(crate) fn size(bytes: u64) -> String {
    let mebibytes = bytes as f64 / f64::from(1 << 20);
    if mebibytes < 1000.0 {
        format!("{mebibytes:.0} MiB")
    } else {
        format!("{:.1} GiB", mebibytes / 1024.0)
    }
}

/// A time for people.
pub(crate) fn minutes(time: Duration) -> String {
    let whole = time.as_secs();
    format!("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60)
}

/// A file's name without its folder.
pub(crate) fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}
