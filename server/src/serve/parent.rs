//! Whether the client's process still runs.
//!
//! A client that is killed closes our stdin, but not where a wrapper or a child of its own holds the other end; the
//! protocol therefore tells the server its process id.

use std::time::Duration;

use tokio::sync::watch;

/// How often the process is looked for.
const INTERVAL: Duration = Duration::from_secs(if cfg!(target_os = "linux") { 1 } else { 10 });

/// Returns once the process that `parent` names is gone; never where it names none.
pub(super) async fn gone(mut parent: watch::Receiver<Option<u32>>) {
    let process = loop {
        if let Some(process) = *parent.borrow_and_update() {
            break process;
        }
        if parent.changed().await.is_err() {
            return std::future::pending().await;
        }
    };
    let mut interval = tokio::time::interval(INTERVAL);
    while runs(process) {
        interval.tick().await;
    }
}

/// Whether we can see the process. One that cannot be seen to begin with, from the other side of a container say, is not
/// to be waited for.
#[cfg(target_os = "linux")]
pub(super) fn runs(process: u32) -> bool {
    std::path::Path::new("/proc").join(process.to_string()).exists()
}

#[cfg(all(unix, not(target_os = "linux")))]
pub(super) fn runs(process: u32) -> bool {
    // Without /proc the shell's tool asks the kernel; a tool that is missing is no reason to end.
    let mut kill = std::process::Command::new("kill");
    kill.arg("-0")
        .arg(process.to_string())
        .stderr(std::process::Stdio::null());
    kill.status().map_or(true, |status| status.success())
}

#[cfg(not(unix))]
pub(super) fn runs(_process: u32) -> bool {
    // Elsewhere the end of stdin is what tells us.
    true
}
