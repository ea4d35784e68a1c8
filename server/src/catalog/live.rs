//! BigQuery's tables as the editor sees them: from the cache at once, then from BigQuery, fresh as long as it answers.
//!
//! One task does all the work. It lists names, reads the schemas that somebody needs before all others, and asks for
//! each thing once however many wait for it. Where BigQuery does not answer, what is known stays, and it is asked again
//! after a while.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bigquill_analysis::schema::TableReference;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::{DatasetReference, dataset_references};
use crate::bigquery::ConnectOptions;
use crate::settings::Settings;

mod job;
mod known;
mod worker;

pub use known::{Known, ReadRoutine, ReadTable};
use worker::Worker;

/// How a live catalog behaves.
#[derive(Debug, Clone)]
pub struct LiveOptions {
    /// Folder of caches; without one nothing is kept.
    pub cache: Option<PathBuf>,
    /// The connection.
    pub connect: ConnectOptions,
    /// How often BigQuery is asked what changed.
    pub refresh: Duration,
    /// How long after a failure BigQuery is asked again; each further failure doubles it, up to `refresh`.
    pub retry: Duration,
    /// Of a project with up to so many tables all schemas are read; of a larger one those that are needed.
    pub whole: usize,
}

/// The settings that a live catalog hangs on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveKey {
    /// The project.
    pub project: Option<String>,
    /// The endpoint, where it is not Google's.
    pub endpoint: Option<String>,
    /// The credentials file, where one is set.
    pub credentials: Option<String>,
    /// The datasets to list; all of the project where there are none.
    pub datasets: Vec<String>,
}

/// How it stands with BigQuery.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Contact {
    /// It was not asked yet.
    #[default]
    Connecting,
    /// It answered the last time.
    Online,
    /// It did not.
    Offline {
        /// Why, and what to do.
        why: String,
        /// Whether waiting alone mends nothing.
        needs_person: bool,
    },
}

/// What a live catalog knows at a moment.
#[derive(Debug, Clone, Default)]
pub struct LiveState {
    /// Names and schemas.
    pub known: Arc<Known>,
    /// How it stands with BigQuery.
    pub contact: Contact,
    /// The project whose tables are written without it.
    pub project: Option<String>,
    /// Changes with `known`.
    pub epoch: u64,
    /// When everything that was to be asked last was answered.
    pub refreshed_at: Option<SystemTime>,
}

/// A live catalog; its work ends with the value.
pub struct LiveCatalog {
    key: LiveKey,
    commands: mpsc::UnboundedSender<Command>,
    state: watch::Receiver<LiveState>,
    task: JoinHandle<()>,
}

/// What the worker is asked for. It answers by dropping the sender.
enum Command {
    /// Read these schemas.
    Need(Vec<TableReference>, oneshot::Sender<()>),
    /// Somebody uses these datasets: read their routines, too.
    Use(Vec<DatasetReference>),
    /// Ask BigQuery what changed.
    Refresh(oneshot::Sender<()>),
}

impl Default for LiveOptions {
    fn default() -> Self {
        Self {
            cache: super::CatalogCache::user_folder(),
            connect: ConnectOptions::default(),
            refresh: Duration::from_secs(600),
            retry: Duration::from_secs(5),
            whole: 2000,
        }
    }
}

impl LiveKey {
    /// The key of these settings; none where they want no live catalog.
    #[must_use]
    pub fn of(settings: &Settings) -> Option<Self> {
        settings.is_live().then(|| Self {
            project: settings.project.clone(),
            endpoint: settings.endpoint.clone(),
            credentials: settings.credentials.clone(),
            datasets: settings.datasets.clone(),
        })
    }

    fn datasets(&self) -> Vec<DatasetReference> {
        dataset_references(&self.datasets)
    }
}

impl LiveCatalog {
    /// Begins to work for these settings. The first [`state`](Self::state) has nothing; the cache's content follows.
    #[must_use]
    pub fn start(key: LiveKey, settings: &Settings, options: LiveOptions) -> Self {
        let (commands, receiver) = mpsc::unbounded_channel();
        let (sender, state) = watch::channel(LiveState::default());
        let worker = Worker::new(key.clone(), settings.clone(), options, sender);
        Self {
            key,
            commands,
            state,
            task: tokio::spawn(worker.run(receiver)),
        }
    }

    /// The settings that it was started with.
    #[must_use]
    pub fn key(&self) -> &LiveKey {
        &self.key
    }

    /// What it knows, now and later.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<LiveState> {
        self.state.clone()
    }

    /// Has these schemas read; the future ends when they are, or cannot be.
    pub fn need(&self, tables: Vec<TableReference>) -> impl Future<Output = ()> + use<> {
        let (done, answer) = oneshot::channel();
        self.ask(Command::Need(tables, done), answer)
    }

    /// Has the routines of these datasets read; [`state`](Self::state) has them then.
    pub fn need_routines(&self, datasets: Vec<DatasetReference>) {
        // A worker that is gone reads nothing any more.
        let _ = self.commands.send(Command::Use(datasets));
    }

    /// Has BigQuery asked what changed; the future ends when it has answered, or does not.
    pub fn refresh(&self) -> impl Future<Output = ()> + use<> {
        let (done, answer) = oneshot::channel();
        self.ask(Command::Refresh(done), answer)
    }

    fn ask(&self, command: Command, answer: oneshot::Receiver<()>) -> impl Future<Output = ()> + use<> {
        // A worker that is gone drops the sender, which is an answer, too.
        let _ = self.commands.send(command);
        async move {
            let _ = answer.await;
        }
    }
}

impl Drop for LiveCatalog {
    fn drop(&mut self) {
        self.task.abort();
    }
}
