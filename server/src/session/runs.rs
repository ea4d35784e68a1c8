//! What was run for a person in this session: jobs under way, and results whose pages are documents.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use dashmap::DashMap;
use tempfile::TempDir;
use tokio::sync::Notify;
use tower_lsp::lsp_types::{ProgressToken, Url};

use crate::bigquery::rows::{RowSource, Rows};
use crate::bigquery::{BigQuery, BigQueryError};
use crate::results::{count, table};

/// The scheme of documents that a client asks for by `workspace/textDocumentContent`.
pub const RESULTS_SCHEME: &str = "bigquill";

/// Results that are kept; older ones must be run again.
const KEPT: usize = 100;

/// Jobs and results of a session.
pub struct Runs {
    /// In the addresses of pages, so that those of another server are not taken for ours.
    nonce: String,
    numbers: AtomicU64,
    running: DashMap<u64, Running>,
    results: Mutex<BTreeMap<u64, Arc<Results>>>,
    /// Where pages are files, for clients that ask for no documents.
    folder: Mutex<Option<TempDir>>,
}

struct Running {
    token: Option<ProgressToken>,
    stop: Arc<Notify>,
}

/// A job under way; it is off the list when this goes.
pub struct Ticket<'a> {
    runs: &'a Runs,
    number: u64,
    stop: Arc<Notify>,
}

/// The rows of a job or a table, as pages.
pub struct Results {
    /// Lines above the table: what it is, what it cost.
    pub head: String,
    /// The start of a page's name.
    pub name: String,
    /// The connection by which pages are read.
    pub bigquery: Arc<BigQuery>,
    /// What has the rows.
    pub source: RowSource,
    /// Rows on a page.
    pub page_rows: usize,
}

/// A page of results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageId {
    /// Which results of the session.
    pub results: u64,
    /// Which page of them, from 1.
    pub page: u64,
}

impl Default for Runs {
    fn default() -> Self {
        Self {
            nonce: format!("{:016x}", fastrand::u64(..)),
            numbers: AtomicU64::new(1),
            running: DashMap::new(),
            results: Mutex::default(),
            folder: Mutex::default(),
        }
    }
}

impl Runs {
    /// Puts a job on the list of those that can be cancelled by their progress.
    pub fn begin(&self, token: Option<ProgressToken>) -> Ticket<'_> {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let stop = Arc::new(Notify::new());
        let running = Running {
            token,
            stop: Arc::clone(&stop),
        };
        self.running.insert(number, running);
        Ticket {
            runs: self,
            number,
            stop,
        }
    }

    /// Cancels the job that shows this progress.
    pub fn cancel(&self, token: &ProgressToken) {
        for running in self.running.iter().filter(|r| r.token.as_ref() == Some(token)) {
            // Kept for a job that does not wait yet.
            running.stop.notify_one();
        }
    }

    /// Keeps results; returns their first page.
    pub fn keep(&self, results: Results) -> PageId {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let mut kept = self.results.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert(number, Arc::new(results));
        while kept.len() > KEPT {
            kept.pop_first();
        }
        PageId {
            results: number,
            page: 1,
        }
    }

    /// Results that are kept.
    #[must_use]
    pub fn results(&self, number: u64) -> Option<Arc<Results>> {
        let kept = self.results.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(&number).cloned()
    }

    /// Writes a page as a file that only its owner may read, in a folder that goes with the session.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn write_page(&self, id: PageId, results: &Results, text: &str) -> io::Result<PathBuf> {
        let mut folder = self.folder.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = match &mut *folder {
            Some(folder) => folder,
            none => none.insert(private_folder()?),
        };
        let place = folder
            .path()
            .join(id.results.to_string())
            .join(id.page.to_string());
        std::fs::create_dir_all(&place)?;
        let path = place.join(results.page_name(id.page));
        // Beside it first: a page is there whole, or not at all. For its owner alone, as such files are.
        let mut file = tempfile::NamedTempFile::new_in(&place)?;
        file.write_all(text.as_bytes())?;
        let mut permissions = file.as_file().metadata()?.permissions();
        permissions.set_readonly(true);
        file.as_file().set_permissions(permissions)?;
        file.persist(&path).map_err(|error| error.error)?;
        Ok(path)
    }

    /// The page that a document of this session shows, be it a file or not.
    #[must_use]
    pub fn page_of(&self, uri: &Url) -> Option<PageId> {
        let path = if uri.scheme() == RESULTS_SCHEME {
            let rest = uri.path().strip_prefix("/results/")?;
            PathBuf::from(rest.strip_prefix(self.nonce.as_str())?.strip_prefix('/')?)
        } else {
            let path = uri.to_file_path().ok()?;
            let folder = self.folder.lock().unwrap_or_else(PoisonError::into_inner);
            path.strip_prefix(folder.as_ref()?.path()).ok()?.to_owned()
        };
        let mut parts = path.iter().map(|part| part.to_str()?.parse().ok());
        Some(PageId {
            results: parts.next()??,
            page: parts.next()??,
        })
    }

    /// The address under which a client asks for a page.
    #[must_use]
    pub fn uri(&self, id: PageId, results: &Results) -> Option<Url> {
        let mut uri = Url::parse(&format!("{RESULTS_SCHEME}:/results")).ok()?;
        uri.path_segments_mut().ok()?.extend([
            self.nonce.clone(),
            id.results.to_string(),
            id.page.to_string(),
            results.page_name(id.page),
        ]);
        Some(uri)
    }

    /// Removes the pages that are files: the session is over.
    pub fn end(&self) {
        let folder = self.folder.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(error) = folder.and_then(|folder| folder.close().err()) {
            tracing::warn!(%error, "files with results stay");
        }
    }
}

impl Ticket<'_> {
    /// Waits until the person cancels.
    pub async fn cancelled(&self) {
        self.stop.notified().await;
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.runs.running.remove(&self.number);
    }
}

impl Results {
    /// The text of a page.
    ///
    /// # Errors
    /// Where BigQuery does not give its rows.
    pub async fn page(&self, page: u64) -> Result<String, BigQueryError> {
        let start = page.saturating_sub(1).saturating_mul(self.page_rows as u64);
        let mut rows = self.bigquery.rows(&self.source, start, self.page_rows).await?;
        // BigQuery cuts an answer at 10 MB.
        while rows.rows.len() < self.page_rows {
            let next = start.saturating_add(rows.rows.len() as u64);
            if next >= rows.total {
                break;
            }
            let more = self
                .bigquery
                .rows(&self.source, next, self.page_rows - rows.rows.len())
                .await?;
            if more.rows.is_empty() {
                break;
            }
            rows.rows.extend(more.rows);
        }
        Ok(format!(
            "{}\n\n{}\n\n{}\n",
            self.head,
            self.place(page, &rows),
            table(&rows)
        ))
    }

    fn place(&self, page: u64, rows: &Rows) -> String {
        let pages = rows.total.div_ceil(self.page_rows as u64).max(1);
        let total = count(rows.total, "row");
        if pages == 1 {
            total
        } else {
            format!("{total}, page {page} of {pages}")
        }
    }

    /// How many pages there are.
    ///
    /// # Errors
    /// Where BigQuery does not tell.
    pub async fn pages(&self) -> Result<u64, BigQueryError> {
        let rows = self.bigquery.rows(&self.source, 0, 1).await?;
        Ok(rows.total.div_ceil(self.page_rows as u64).max(1))
    }

    fn page_name(&self, page: u64) -> String {
        format!("{}-results-{page}.md", self.name)
    }
}

/// A folder in the folder for temporary files that only its owner may look into.
fn private_folder() -> io::Result<TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("bigquill-results-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o700));
    }
    builder.tempdir()
}
