//! One file over HTTP, resumed where an earlier attempt stopped.

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::StreamExt;
use reqwest::header::{CONTENT_RANGE, RANGE};
use reqwest::{Client, Response, StatusCode};
use sha2::{Digest as _, Sha256};

use super::StoreError;
use super::files::{self, Digest, EVENT_BYTES};
use super::locate::{RemoteFile, request_reason};

/// A connection that breaks so often without one new byte is given up.
const ATTEMPTS: u32 = 5;

/// Why a file did not come.
#[derive(Debug)]
pub(super) enum FetchError {
    /// The server is to blame; another source may do better. What came is kept.
    Source(String),
    /// This machine is to blame.
    Store(StoreError),
}

impl From<StoreError> for FetchError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// The client of all downloads.
pub(super) fn client() -> Result<Client, String> {
    let mut builder = Client::builder()
        .user_agent(concat!("bigquill/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(10))
        .read_timeout(Duration::from_secs(30));
    // What pip trusts, we trust, where the environment tells it.
    for variable in ["PIP_CERT", "REQUESTS_CA_BUNDLE"] {
        let Some(path) = std::env::var_os(variable).map(PathBuf::from) else {
            continue;
        };
        let certificates = std::fs::read(path)
            .ok()
            .and_then(|pem| reqwest::Certificate::from_pem_bundle(&pem).ok());
        for certificate in certificates.into_iter().flatten() {
            builder = builder.add_root_certificate(certificate);
        }
    }
    builder
        .build()
        .map_err(|error| format!("no TLS on this machine: {error}"))
}

/// Downloads `remote` to `target`, after what is there already. `on_start` hears how many bytes that are,
/// `on_bytes` how many are there after each block, with the whole size where it is known.
pub(super) async fn fetch(
    client: &Client,
    remote: &RemoteFile,
    target: &Path,
    retry_wait: Duration,
    on_start: &(dyn Fn(u64) + Send + Sync),
    on_bytes: &(dyn Fn(u64, Option<u64>) + Send + Sync),
) -> Result<Digest, FetchError> {
    let mut part = Part::open(target, remote.bytes).await?;
    on_start(part.bytes);
    let mut failures = 0;
    loop {
        if part.is_whole() {
            return part.finish();
        }
        let before = part.bytes;
        let reason = match attempt(client, remote, &mut part, on_bytes).await {
            Ok(()) => return part.finish(),
            Err(Attempt::Final(error)) => return Err(error),
            Err(Attempt::Retry(reason)) => reason,
        };
        failures = if part.bytes > before { 1 } else { failures + 1 };
        if failures >= ATTEMPTS {
            return Err(FetchError::Source(reason));
        }
        tracing::debug!(reason, bytes = part.bytes, "download cut, trying again");
        tokio::time::sleep(retry_wait * 2_u32.pow(failures - 1)).await;
    }
}

/// How an attempt ended without the whole file.
enum Attempt {
    Retry(String),
    Final(FetchError),
}

async fn attempt(
    client: &Client,
    remote: &RemoteFile,
    part: &mut Part,
    on_bytes: &(dyn Fn(u64, Option<u64>) + Send + Sync),
) -> Result<(), Attempt> {
    let mut request = client.get(&remote.url);
    if part.bytes > 0 {
        request = request.header(RANGE, format!("bytes={}-", part.bytes));
    }
    if let Some(token) = &remote.token {
        request = request.bearer_auth(token);
    }
    let response = request
        .send()
        .await
        .map_err(|e| Attempt::Retry(request_reason(&e)))?;
    begin(&response, part)?;
    let mut told = part.bytes;
    let mut stream = response.bytes_stream();
    while let Some(block) = stream.next().await {
        let block = block.map_err(|e| Attempt::Retry(request_reason(&e)))?;
        part.append(&block)
            .map_err(|e| Attempt::Final(FetchError::Store(e)))?;
        if part.total.is_some_and(|total| part.bytes > total) {
            part.restart().map_err(|e| Attempt::Final(FetchError::Store(e)))?;
            return Err(Attempt::Final(FetchError::Source(
                "the server sends more than the file has".into(),
            )));
        }
        if part.bytes - told >= EVENT_BYTES || part.is_whole() {
            told = part.bytes;
            on_bytes(part.bytes, part.total);
        }
    }
    match part.total {
        Some(total) if part.bytes < total => Err(Attempt::Retry(format!(
            "the connection ends after {} of {total} bytes",
            part.bytes
        ))),
        _ => Ok(()),
    }
}

/// Makes the part ready for what this response brings.
fn begin(response: &Response, part: &mut Part) -> Result<(), Attempt> {
    let store = |e| Attempt::Final(FetchError::Store(e));
    match response.status() {
        StatusCode::PARTIAL_CONTENT => {
            let (start, total) = content_range(response).unwrap_or((part.bytes, part.total));
            part.total = part.total.or(total);
            if start != part.bytes {
                part.restart().map_err(store)?;
                return Err(Attempt::Retry(
                    "the server sends another part than asked for".to_owned(),
                ));
            }
            Ok(())
        }
        StatusCode::RANGE_NOT_SATISFIABLE => {
            // What is there is as long as the file or longer.
            part.restart().map_err(store)?;
            Err(Attempt::Retry("the server has no such part".to_owned()))
        }
        status if status.is_success() => {
            if part.bytes > 0 {
                part.restart().map_err(store)?; // it knows no ranges: from the beginning
            }
            part.total = part.total.or(response.content_length());
            Ok(())
        }
        status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
            Err(Attempt::Retry(format!("the server answers {status}")))
        }
        status => Err(Attempt::Final(FetchError::Source(format!(
            "the server answers {status}"
        )))),
    }
}

/// First byte and whole size of `bytes 10-99/100`.
fn content_range(response: &Response) -> Option<(u64, Option<u64>)> {
    let value = response
        .headers()
        .get(CONTENT_RANGE)?
        .to_str()
        .ok()?
        .strip_prefix("bytes ")?;
    let (range, total) = value.split_once('/')?;
    let (start, _) = range.split_once('-')?;
    Some((start.parse().ok()?, total.parse().ok()))
}

/// A file that grows, with the hash of what it holds.
struct Part {
    path: PathBuf,
    file: File,
    bytes: u64,
    total: Option<u64>,
    hash: Sha256,
}

impl Part {
    /// Opens what is there, and hashes it.
    async fn open(path: &Path, total: Option<u64>) -> Result<Self, FetchError> {
        let path = path.to_owned();
        let open = move || -> Result<Self, StoreError> {
            let file = OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .open(&path)
                .map_err(StoreError::io("create", &path))?;
            let mut hash = Sha256::new();
            let bytes = files::hash_file(&path, &mut hash, &mut |_| {})?;
            let mut part = Self {
                path,
                file,
                bytes,
                total,
                hash,
            };
            part.file
                .seek(SeekFrom::End(0))
                .map_err(StoreError::io("write", &part.path))?;
            if total.is_some_and(|total| bytes > total) {
                part.restart()?;
            }
            Ok(part)
        };
        match tokio::task::spawn_blocking(open).await {
            Ok(part) => part.map_err(FetchError::Store),
            Err(error) => Err(FetchError::Source(error.to_string())),
        }
    }

    fn is_whole(&self) -> bool {
        self.bytes > 0 && self.total == Some(self.bytes)
    }

    fn append(&mut self, block: &[u8]) -> Result<(), StoreError> {
        self.file
            .write_all(block)
            .map_err(StoreError::io("write", &self.path))?;
        self.hash.update(block);
        self.bytes += block.len() as u64;
        Ok(())
    }

    fn restart(&mut self) -> Result<(), StoreError> {
        self.file
            .set_len(0)
            .map_err(StoreError::io("write", &self.path))?;
        self.file
            .seek(SeekFrom::Start(0))
            .map_err(StoreError::io("write", &self.path))?;
        self.hash = Sha256::new();
        self.bytes = 0;
        Ok(())
    }

    fn finish(self) -> Result<Digest, FetchError> {
        self.file
            .sync_data()
            .map_err(|e| FetchError::Store(StoreError::io("write", &self.path)(e)))?;
        Ok(Digest {
            bytes: self.bytes,
            sha256: files::hexadecimal(self.hash),
        })
    }
}
