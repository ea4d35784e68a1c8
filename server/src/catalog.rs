//! Where schemas come from. Analysis never asks a catalog: it is handed a [`CatalogSnapshot`].

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bigquill_analysis::schema::{CatalogSnapshot, TableReference, TableSchema};

mod array;
mod directory;
mod file;
pub mod import;

pub use directory::CatalogDirectory;
pub use file::{CatalogText, FileCatalog, read_catalog_text};

/// A dataset's name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
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
    #[error(
        "no access to {0}; run `gcloud auth application-default login` or ask for the role BigQuery Metadata Viewer"
    )]
    Unauthorized(String),
    /// There is no such dataset or file.
    #[error("{0}")]
    NotFound(String),
    /// It cannot be reached or read now.
    #[error("{0}")]
    Unavailable(String),
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
