//! Everything the server knows of one client: documents, settings, catalog, generator.
//!
//! Handlers take a [`DocumentSnapshot`] out of it and work on that. No lock is held across an await: values are
//! cloned out as `Arc`s.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use bigquill_analysis::check::{Checker, Diagnostic};
use bigquill_analysis::schema::CatalogSnapshot;
use bigquill_judge::{Judge, NoVerdict, Verdict, merge};
use dashmap::DashMap;
use tokio::sync::{Notify, watch};
use tower_lsp::Client;
use tower_lsp::lsp_types::Url;

use crate::bigquery::{BigQuery, BigQueryError};
use crate::catalog::{FileCatalog, LiveOptions, LiveState};
use crate::document::{Document, Replacement};
use crate::judge::context;
use crate::position::Encoding;
use crate::settings::{Settings, Sources};

mod abilities;
mod accepted;
mod answers;
mod configuration;
mod connection;
mod dry_runs;
mod editor;
mod generations;
mod generator;
mod judge;
mod live;
mod runs;

pub use abilities::Abilities;
use accepted::{AcceptedSlot, Placed};
pub use answers::{AnswerKey, Answers};
use connection::ConnectionSlot;
use dry_runs::DryRunSlot;
pub use dry_runs::{DryRuns, WantedBy};
pub use editor::{Editor, Progress};
pub use generations::{Generations, Lane, Superseded};
pub use generator::{GeneratorSlot, LocalModels, ModelSource, NeededBy};
pub use judge::{JudgeSlot, JudgeSource};
use live::LiveSlot;
pub use runs::{PageId, RESULTS_SCHEME, Results, Runs};

/// What a server is started with.
#[derive(Clone)]
pub struct ServerOptions {
    /// Layers of settings that do not come from the client: configuration file, environment, flags.
    pub sources: Sources,
    /// Where the generator comes from.
    pub models: Arc<dyn ModelSource>,
    /// Where the judge comes from.
    pub judge: JudgeSource,
    /// How BigQuery's tables are kept fresh, where the settings want them.
    pub live: LiveOptions,
}

/// The state of one connection.
pub struct Session {
    /// The way to the client.
    pub editor: Editor,
    /// The generator, once it is loaded.
    pub generator: GeneratorSlot,
    /// GoogleSQL, once it is ready.
    pub judge: JudgeSlot,
    /// BigQuery's own tables, where the settings want them.
    live: LiveSlot,
    connection: ConnectionSlot,
    /// What is being generated now.
    pub generations: Generations,
    /// What was generated lately.
    pub answers: Answers,
    /// What was run for the person.
    pub runs: Runs,
    accepted: AcceptedSlot,
    sources: RwLock<Sources>,
    abilities: OnceLock<Abilities>,
    encoding: OnceLock<Encoding>,
    documents: DashMap<Url, OpenDocument>,
    settings: RwLock<Arc<Settings>>,
    catalog: watch::Sender<Option<CatalogState>>,
}

/// The catalog as last read; `epoch` counts the readings that changed it.
#[derive(Clone)]
struct CatalogState {
    files: Arc<FileCatalog>,
    live: Option<LiveState>,
    snapshot: Arc<CatalogSnapshot>,
    epoch: u64,
}

/// A document that the client has open.
#[derive(Clone)]
struct OpenDocument {
    current: Arc<Document>,
    /// Rung when the findings of this document may be others now; identifies this opening, too.
    changed: Arc<Notify>,
    checker: Arc<Mutex<Checker>>,
    dry_runs: Arc<DryRunSlot>,
    versions: Arc<watch::Sender<i32>>,
    /// Completions that were taken, and where they stand in this version.
    placed: Arc<Mutex<Vec<Placed>>>,
}

/// One version of a document with the schemas and settings of the moment.
#[derive(Clone)]
pub struct DocumentSnapshot {
    /// The document.
    pub document: Arc<Document>,
    /// The schemas.
    pub catalog: Arc<CatalogSnapshot>,
    /// Changes whenever the schemas do.
    pub catalog_epoch: u64,
    /// What BigQuery said of them and when, where it is asked.
    pub live: Option<LiveState>,
    /// The settings.
    pub settings: Arc<Settings>,
    /// GoogleSQL, where it is ready and wanted.
    pub judge: Option<Judge>,
    /// What BigQuery said of its statements.
    pub dry_runs: Arc<DryRuns>,
    checker: Arc<Mutex<Checker>>,
}

/// Findings with GoogleSQL's verdicts in them.
#[derive(Debug, Clone, Default)]
pub struct Judged {
    /// The one list.
    pub diagnostics: Vec<Diagnostic>,
    /// Whether every statement was judged that can be.
    pub complete: bool,
}

impl DocumentSnapshot {
    /// All findings of the resolver. Those of statements that did not change since the last time are known.
    #[must_use]
    pub fn findings(&self) -> Vec<Diagnostic> {
        let mut checker = self.checker.lock().unwrap_or_else(PoisonError::into_inner);
        checker.check(&self.document.text, &self.catalog)
    }

    /// GoogleSQL's verdicts on the statements that it knows already or gets to while `go_on` says so; none where it is
    /// not ready. Blocks.
    #[must_use]
    pub fn verdicts(&self, go_on: &dyn Fn() -> bool) -> Vec<(Range<usize>, Verdict)> {
        let Some(judge) = &self.judge else {
            return Vec::new();
        };
        judge.script_while(&self.document.text, &self.catalog, &context(&self.catalog), go_on)
    }

    /// All findings, with the [`verdicts`](Self::verdicts) in them. Blocks.
    #[must_use]
    pub fn judged(&self, go_on: &dyn Fn() -> bool) -> Judged {
        let verdicts = self.verdicts(go_on);
        let stopped = |verdict: &Verdict| *verdict == Verdict::Unknown(NoVerdict::Stopped);
        Judged {
            complete: !verdicts.iter().any(|(_, verdict)| stopped(verdict)),
            diagnostics: merge(&self.document.text, self.findings(), &verdicts).diagnostics,
        }
    }
}

impl Session {
    /// A session for a client that has not introduced itself yet.
    #[must_use]
    pub fn new(client: Client, options: ServerOptions) -> Self {
        Self {
            editor: Editor::new(client),
            generator: GeneratorSlot::new(options.models),
            judge: JudgeSlot::new(options.judge),
            connection: ConnectionSlot::new(options.live.connect.clone()),
            live: LiveSlot::new(options.live),
            generations: Generations::default(),
            answers: Answers::default(),
            runs: Runs::default(),
            accepted: AcceptedSlot::default(),
            sources: RwLock::new(options.sources),
            abilities: OnceLock::new(),
            encoding: OnceLock::new(),
            documents: DashMap::new(),
            settings: RwLock::default(),
            catalog: watch::Sender::new(None),
        }
    }

    /// Takes the parameters of `initialize` as JSON, for what lsp-types does not know. The first call counts.
    pub fn offer_raw_capabilities(&self, params: &serde_json::Value) {
        // A second `initialize` is refused by tower-lsp and must not change what the first agreed on.
        let _ = self.abilities.set(Abilities::read(params));
    }

    /// What the client can do.
    #[must_use]
    pub fn abilities(&self) -> Abilities {
        self.abilities.get().copied().unwrap_or_default()
    }

    /// Fixes what positions count.
    pub fn agree_encoding(&self, encoding: Encoding) {
        // As above: only the first `initialize` counts.
        let _ = self.encoding.set(encoding);
    }

    /// What positions count.
    #[must_use]
    pub fn encoding(&self) -> Encoding {
        self.encoding.get().copied().unwrap_or_default()
    }

    /// The settings of the moment.
    #[must_use]
    pub fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The connection to BigQuery of these settings, for what a person asks.
    ///
    /// # Errors
    /// Where the credentials or the endpoint cannot be used.
    pub async fn bigquery(&self, settings: &Settings) -> Result<Arc<BigQuery>, BigQueryError> {
        self.connection.get(settings).await
    }

    /// Adds or replaces a document that the client opened; returns the bell that is rung when it changes.
    pub fn open(&self, document: Document) -> Arc<Notify> {
        let changed = Arc::new(Notify::new());
        let version = document.version;
        let open = OpenDocument {
            current: Arc::new(document),
            changed: Arc::clone(&changed),
            checker: Arc::default(),
            dry_runs: Arc::default(),
            versions: Arc::new(watch::Sender::new(version)),
            placed: Arc::default(),
        };
        if let Some(before) = self.documents.insert(open.current.uri.clone(), open) {
            before.changed.notify_one();
        }
        changed
    }

    /// Replaces a document by its next version.
    pub fn change(&self, uri: &Url, next: impl FnOnce(&Document) -> (Document, Vec<Replacement>)) {
        if let Some(mut open) = self.documents.get_mut(uri) {
            let (document, replacements) = next(&open.current);
            open.move_placed(&replacements);
            open.current = Arc::new(document);
            open.versions.send_replace(open.current.version);
            open.dry_runs.cancel();
            open.changed.notify_one();
        } else {
            tracing::warn!("change of a document that is not open");
        }
    }

    /// Forgets a document.
    pub fn close(self: &Arc<Self>, uri: &Url) {
        if let Some((_, open)) = self.documents.remove(uri) {
            self.read_kept_of(&open);
            open.dry_runs.cancel();
            open.changed.notify_one();
        }
    }

    /// The newest version of a document.
    #[must_use]
    pub fn document(&self, uri: &Url) -> Option<Arc<Document>> {
        self.documents.get(uri).map(|open| Arc::clone(&open.current))
    }

    /// The newest version of a document, once it is newer than this one; none where it is closed before.
    pub async fn newer_than(&self, uri: &Url, version: i32) -> Option<Arc<Document>> {
        let mut versions = self.documents.get(uri)?.versions.subscribe();
        versions.wait_for(|newest| *newest > version).await.ok()?;
        self.document(uri)
    }

    /// Whether the document is still open, as it was opened when this bell was made.
    #[must_use]
    pub fn is_open(&self, uri: &Url, changed: &Arc<Notify>) -> bool {
        self.documents
            .get(uri)
            .is_some_and(|open| Arc::ptr_eq(&open.changed, changed))
    }

    /// The newest version of a document with the catalog, which is awaited where it is still being read.
    pub async fn snapshot(&self, uri: &Url) -> Option<DocumentSnapshot> {
        let document = self.document(uri)?;
        Some(self.with_catalog(document).await)
    }

    /// This version of a document with the catalog of the moment.
    pub async fn with_catalog(&self, document: Arc<Document>) -> DocumentSnapshot {
        let mut receiver = self.catalog.subscribe();
        let (catalog, catalog_epoch, live) = match receiver.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(state)) => (Arc::clone(&state.snapshot), state.epoch, state.live.clone()),
            _ => Default::default(),
        };
        let open = self.documents.get(&document.uri).map(|open| open.clone());
        let (checker, dry_runs) = match open {
            Some(open) => (open.checker, open.dry_runs.answers()),
            None => Default::default(),
        };
        let settings = self.settings();
        DocumentSnapshot {
            document,
            checker,
            dry_runs,
            catalog,
            catalog_epoch,
            live,
            judge: self.judge.ready().filter(|_| settings.judge),
            settings,
        }
    }

    /// Has the findings of all open documents looked at again.
    pub fn recheck_all(&self) {
        for open in &self.documents {
            open.changed.notify_one();
        }
    }

    fn workspace(&self) -> Option<PathBuf> {
        self.sources
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .workspace
            .clone()
    }
}
