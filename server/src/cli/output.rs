//! The one writer to standard output, and messages to standard error.

use std::io::{self, StdoutLock, Write};

/// Standard output of a command.
pub(super) struct Output {
    stdout: StdoutLock<'static>,
}

impl Output {
    pub(super) fn stdout() -> Self {
        Self {
            stdout: io::stdout().lock(),
        }
    }

    /// Writes a line and hands it on at once: who reads along sees each answer when it is there.
    pub(super) fn line(&mut self, line: &str) -> anyhow::Result<()> {
        self.text(line)?;
        self.text("\n")?;
        self.stdout.flush()?;
        Ok(())
    }

    /// Writes text as it is.
    pub(super) fn text(&mut self, text: &str) -> anyhow::Result<()> {
        self.stdout.write_all(text.as_bytes())?;
        Ok(())
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stdout.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stdout.flush()
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        // A reader that has gone needs no more.
        let _ = self.stdout.flush();
    }
}

/// A message for the person. That standard error is closed is no reason to stop.
pub(super) fn message(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Whether the error is that nobody reads our output any more.
pub(super) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}
