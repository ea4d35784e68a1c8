//! Progress on standard error: a line that changes on a terminal, nothing but whole lines elsewhere.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::pipeline;

/// How often the line is drawn.
const TICK: Duration = Duration::from_millis(100);

/// The progress of one answer.
pub(super) struct AnswerProgress {
    bar: Option<ProgressBar>,
}

impl AnswerProgress {
    /// Shows nothing unless standard error is a terminal.
    pub(super) fn start(title: &str) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner().with_style(style("{spinner} {prefix} {wide_msg}"));
            bar.set_prefix(one_line(title, 40));
            bar.enable_steady_tick(TICK);
            bar
        });
        Self { bar }
    }

    /// Takes what the pipeline reports.
    pub(super) fn show(&self, progress: pipeline::Progress<'_>) {
        let Some(bar) = &self.bar else { return };
        match progress {
            pipeline::Progress::Prompt { tokens, reused } => {
                bar.set_message(format!("reading {tokens} tokens, {reused} known"));
            }
            pipeline::Progress::Text(sql) => bar.set_message(tail(sql, 100)),
            pipeline::Progress::Checking => bar.set_message("checking"),
            pipeline::Progress::Repairing { attempt, findings } => bar.set_message(format!(
                "asking again ({attempt}): {}",
                findings.first().map_or("", String::as_str)
            )),
        }
    }
}

impl Drop for AnswerProgress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Work of unknown length: a line on a terminal.
pub(super) fn spinner() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner().with_style(style("{spinner} {wide_msg} {elapsed}"));
    bar.enable_steady_tick(TICK);
    bar
}

/// Work on so many things: a bar on a terminal.
pub(super) fn counting_bar() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    ProgressBar::new(0).with_style(style("{wide_bar} {pos} of {len} {msg}, {eta} left"))
}

/// A download: a bar on a terminal.
pub(super) fn download_bar(total: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    ProgressBar::new(total).with_style(style(
        "{wide_bar} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left",
    ))
}

fn style(template: &str) -> ProgressStyle {
    // The templates are our own; a default bar is no reason to fail.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn one_line(text: &str, most: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= most {
        return line;
    }
    let cut: String = line.chars().take(most.saturating_sub(1)).collect();
    format!("{cut}…")
}

fn tail(text: &str, most: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let skip = line.chars().count().saturating_sub(most);
    line.chars().skip(skip).collect()
}
