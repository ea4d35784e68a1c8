//! Where schemas come from. Analysis never asks a catalog: it is handed a [`CatalogSnapshot`].

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bigquill_analysis::schema::{CatalogSnapshot, TableReference, TableSchema};

use crate::bigquery::BigQueryError;

mod age;
mod array;
mod bigquery;
mod cache;
mod directory;
mod file;
pub mod import;
mod live;
mod routines;
mod shards;
mod write;

pub use age::ago;
pub use bigquery::{BigQueryCatalog, Fetched, SyncProgress};
pub use cache::{CacheError, CachedResource, CatalogCache, DatasetSummary};
pub use directory::CatalogDirectory;
pub use file::{CatalogText, FileCatalog, read_catalog_text};
pub use live::{Contact, Known, LiveCatalog, LiveKey, LiveOptions, LiveState, ReadRoutine, ReadTable};
pub use shards::Member;
pub use write::write_snapshot;

/// The datasets of these names; what is no name is left out.
#[must_use]
pub fn dataset_references(names: &[String]) -> Vec<DatasetReference> {
    names.iter().filter_map(|name| name.parse().ok()).collect()
}

/// A dataset's name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DatasetReference {
    /// Project id; empty where unknown.
    pub project: String,
    /// Dataset id.
    pub dataset: String,
}

/// Why a catalog has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// The credentials do not allow it.
    #[error("{0}")]
    Unauthorized(String),
    /// There is no such dataset or file.
    #[error("{0}")]
    NotFound(String),
    /// It cannot be reached or read now.
    #[error("{0}")]
    Unavailable(String),
}

impl From<BigQueryError> for CatalogError {
    fn from(error: BigQueryError) -> Self {
        let message = error.to_string();
        match error {
            BigQueryError::Credentials(_)
            | BigQueryError::SignIn { .. }
            | BigQueryError::Unauthorized(_)
            | BigQueryError::Forbidden(_) => Self::Unauthorized(message),
            BigQueryError::NotFound(_) => Self::NotFound(message),
            BigQueryError::Settings(_)
            | BigQueryError::Quota(_)
            | BigQueryError::Refused { .. }
            | BigQueryError::Unavailable(_)
            | BigQueryError::NotBigQuery(_) => Self::Unavailable(message),
        }
    }
}

impl std::str::FromStr for DatasetReference {
    type Err = String;

    /// `dataset`, `project.dataset` or, as `bq` writes it, `project:dataset`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // A project may have dots (`example.com:p`), a dataset has none.
        let (project, dataset) = text.rsplit_once(['.', ':']).unwrap_or(("", text));
        let named = !dataset.is_empty() && (!project.is_empty() || !text.contains(['.', ':']));
        named
            .then(|| Self {
                project: project.to_owned(),
                dataset: dataset.to_owned(),
            })
            .ok_or_else(|| format!("{text:?} is no dataset; write DATASET or PROJECT.DATASET"))
    }
}

impl std::fmt::Display for DatasetReference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.project.is_empty() {
            write!(f, "{}.", self.project)?;
        }
        f.write_str(&self.dataset)
    }
}

/// A place in a catalog that cannot be used, while the rest is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogProblem {
    /// The file, or the pattern that names none.
    pub path: PathBuf,
    /// Line in the file, from 1, where known.
    pub line: Option<usize>,
    /// What is wrong there, and what to do.
    pub message: String,
}

impl std::fmt::Display for CatalogProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.message)
    }
}

/// A source of schemas.
#[async_trait]
pub trait Catalog: Send + Sync {
    /// Tables of a dataset.
    ///
    /// # Errors
    /// Where the dataset does not exist or cannot be read.
    async fn tables(&self, dataset: &DatasetReference) -> Result<Vec<TableReference>, CatalogError>;

    /// Schema of a table; none where there is no such table.
    ///
    /// # Errors
    /// Where the catalog cannot be read.
    async fn schema(&self, table: &TableReference) -> Result<Option<Arc<TableSchema>>, CatalogError>;

    /// All schemas that this catalog knows now. Cheap when nothing has changed.
    ///
    /// # Errors
    /// Where nothing can be read at all.
    async fn snapshot(&self) -> Result<Arc<CatalogSnapshot>, CatalogError>;
}
