//! The `bigquill` binary of this build, and `finetune` beside it.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// A command that takes longer is a failed test.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a command printed, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// Exit code.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// Its path: what `BIGQUILL` names, as `./test` sets it, else beside the folder of the test's own binary.
#[must_use]
pub fn path() -> PathBuf {
    let named = std::env::var_os("BIGQUILL").map(PathBuf::from);
    let binary = named.filter(|path| path.is_absolute()).unwrap_or_else(beside);
    assert!(
        binary.exists(),
        "build it first: cargo build --release --bin bigquill"
    );
    binary
}

/// The path of the companion binary, beside the server's.
///
/// # Panics
/// Where it was not built.
#[must_use]
pub fn finetune() -> PathBuf {
    let binary = path().with_file_name("finetune");
    assert!(
        binary.exists(),
        "build it first: cargo build --release --bin finetune"
    );
    binary
}

fn beside() -> PathBuf {
    let test = std::env::current_exe().expect("a running test has a path");
    let folder = test.ancestors().nth(2).expect("target/PROFILE/deps/TEST");
    folder.join("bigquill")
}

/// Runs it in this folder with these arguments and this standard input.
pub async fn run(folder: &Path, arguments: &[&str], input: &str) -> Ran {
    run_with(folder, arguments, input, &[]).await
}

/// As [`run`], with these variables in the environment.
pub async fn run_with(folder: &Path, arguments: &[&str], input: &str, environment: &[(&str, &str)]) -> Ran {
    run_program(&path(), folder, arguments, input, environment).await
}

/// As [`run_with`], of another program.
pub async fn run_program(
    program: &Path,
    folder: &Path,
    arguments: &[&str],
    input: &str,
    environment: &[(&str, &str)],
) -> Ran {
    // Nobody's own credentials and projects take part.
    let google = [
        "GOOGLE_APPLICATION_CREDENTIALS",
        "GOOGLE_CLOUD_PROJECT",
        "GOOGLE_CLOUD_QUOTA_PROJECT",
        "CLOUDSDK_CORE_PROJECT",
        "CLOUDSDK_ACTIVE_CONFIG_NAME",
    ];
    let mut command = Command::new(program);
    for variable in google {
        command.env_remove(variable);
    }
    let mut child = command
        .args(arguments)
        .current_dir(folder)
        .env_remove("BIGQUILL_LOG")
        .env("CLOUDSDK_CONFIG", folder)
        // Nor what they have read.
        .env("BIGQUILL_CACHE", folder.join("cache"))
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the binary starts");
    let mut stdin = child.stdin.take().expect("piped");
    // A command that reads no input may have ended.
    let _ = stdin.write_all(input.as_bytes()).await;
    drop(stdin);
    let ended = tokio::time::timeout(PATIENCE, child.wait_with_output()).await;
    let output = ended.expect("the command ends").expect("it is our child");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Ran {
        code: output.status.code(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}
