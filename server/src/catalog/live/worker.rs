//! The one task behind a live catalog: a queue of small calls, the urgent ones first.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::SystemTime;

use bigquill_analysis::schema::TableReference;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::job::{Answer, Before, Job, ask, dataset_of};
use super::known::{Known, ReadRoutine};
use super::{Command, Contact, LiveKey, LiveOptions, LiveState};
use crate::bigquery::{BigQuery, BigQueryError};
use crate::catalog::{CacheError, CatalogCache, DatasetReference};
use crate::settings::Settings;

mod answers;

/// Calls at a time.
const PARALLEL: usize = 16;
/// A long refresh is shown as it comes, but not more often: a new snapshot has every open document looked at again.
const SHOW: std::time::Duration = std::time::Duration::from_secs(1);

/// Somebody who waits for schemas.
struct Waiting {
    tables: HashSet<TableReference>,
    /// Dropped when there is nothing left to wait for.
    _done: oneshot::Sender<()>,
}

pub(super) struct Worker {
    key: LiveKey,
    settings: Settings,
    options: LiveOptions,
    sender: watch::Sender<LiveState>,
    cache: Option<Arc<CatalogCache>>,
    bigquery: Option<Arc<BigQuery>>,
    project: Option<String>,
    known: Known,
    /// The table that a family's schema is read of.
    shards: HashMap<TableReference, String>,
    contact: Contact,
    refreshed_at: Option<SystemTime>,
    /// Whether `known` has what was not shown.
    unshown: bool,
    shown: Instant,
    queue: VecDeque<Job>,
    /// Queued or running.
    pending: HashSet<Job>,
    running: FuturesUnordered<BoxFuture<'static, (Job, Answer)>>,
    waiting: Vec<Waiting>,
    /// What BigQuery refuses; asked for again by the next refresh.
    given_up: HashSet<Job>,
    used: HashSet<DatasetReference>,
    /// Whether everything is being asked again, and who waits for that.
    refreshing: Option<Vec<oneshot::Sender<()>>>,
    /// Who asked while that was going on: what was read before they asked is too old for them.
    refresh_again: Vec<oneshot::Sender<()>>,
    failures: u32,
    next_refresh: Instant,
}

impl Worker {
    pub(super) fn new(
        key: LiveKey,
        settings: Settings,
        options: LiveOptions,
        sender: watch::Sender<LiveState>,
    ) -> Self {
        let now = Instant::now();
        Self {
            project: key.project.clone(),
            key,
            settings,
            options,
            sender,
            cache: None,
            bigquery: None,
            known: Known::default(),
            shards: HashMap::new(),
            contact: Contact::Connecting,
            refreshed_at: None,
            unshown: false,
            shown: now,
            queue: VecDeque::new(),
            pending: HashSet::new(),
            running: FuturesUnordered::new(),
            waiting: Vec::new(),
            given_up: HashSet::new(),
            used: HashSet::new(),
            refreshing: None,
            refresh_again: Vec::new(),
            failures: 0,
            next_refresh: now,
        }
    }

    /// Works until nobody can ask any more.
    pub(super) async fn run(mut self, mut commands: mpsc::UnboundedReceiver<Command>) {
        if self.project.is_some() {
            self.open_cache().await;
        }
        loop {
            self.start_jobs();
            self.finish_refresh();
            self.show_when_due();
            let idle = self.refreshing.is_none();
            let next = self.next_refresh;
            tokio::select! {
                command = commands.recv() => match command {
                    Some(Command::Need(tables, done)) => self.need(tables, done).await,
                    Some(Command::Use(datasets)) => self.use_datasets(datasets),
                    Some(Command::Refresh(done)) => {
                        self.refresh_again.push(done);
                        if idle {
                            self.refresh().await;
                        }
                    }
                    None => return,
                },
                Some((job, answer)) = self.running.next() => {
                    self.pending.remove(&job);
                    self.take(job, answer).await;
                }
                () = tokio::time::sleep_until(next), if idle => self.refresh().await,
            }
        }
    }

    /// Shows what the cache has.
    async fn open_cache(&mut self) {
        let Some(project) = self.project.clone() else {
            return;
        };
        if let Some(folder) = self.options.cache.clone() {
            let (of, endpoint) = (project.clone(), self.key.endpoint.clone());
            let whole = self.options.whole;
            let opened = tokio::task::spawn_blocking(move || {
                let cache = CatalogCache::open(&folder, &of, endpoint.as_deref())?;
                let tables = if cache.count()? <= whole {
                    cache.all_tables()?
                } else {
                    Vec::new()
                };
                let (listing, shards, routines) = (cache.listing()?, cache.families()?, cache.routines()?);
                Ok::<_, CacheError>((cache, listing, shards, tables, routines))
            });
            match opened.await {
                Ok(Ok((cache, listing, shards, tables, routines))) => {
                    self.cache = Some(Arc::new(cache));
                    self.shards = shards;
                    self.known.listing = Arc::new(listing);
                    for table in &tables {
                        self.known.put(table);
                    }
                    for cached in &routines {
                        let dataset = dataset_of(&cached.reference);
                        let of_dataset = self.known.routines.entry(dataset).or_default();
                        let name = cached.reference.table.clone();
                        Arc::make_mut(of_dataset).extend(ReadRoutine::of(cached).map(|read| (name, read)));
                    }
                }
                Ok(Err(error)) => tracing::warn!(%error, "BigQuery's tables are not kept"),
                Err(error) => tracing::error!(%error, "opening the cache broke off"),
            }
        }
        // Until BigQuery has answered any table may be there.
        self.known.project(&project);
        self.show();
    }

    /// Asks for everything again.
    async fn refresh(&mut self) {
        let bigquery = match &self.bigquery {
            Some(bigquery) => Arc::clone(bigquery),
            None => match BigQuery::connect_with(&self.settings, &self.options.connect).await {
                Ok(bigquery) => Arc::new(bigquery),
                Err(error) => return self.failed(&error),
            },
        };
        self.bigquery = Some(Arc::clone(&bigquery));
        if self.project.is_none() {
            let Some(project) = bigquery.project() else {
                return self.failed(&crate::bigquery::no_project());
            };
            self.project = Some(project.to_owned());
            self.open_cache().await;
        }
        let Some(project) = self.project.clone() else {
            return;
        };
        self.refreshing = Some(std::mem::take(&mut self.refresh_again));
        self.given_up.clear();
        let own = self.key.datasets();
        if own.is_empty() {
            self.queue_last(Job::Datasets(project.clone()));
        } else {
            let used = self.used.iter().filter(|dataset| dataset.project == project);
            let used: Vec<_> = used.cloned().collect();
            for dataset in own.into_iter().chain(used) {
                let dataset = self.whole(dataset);
                self.queue_last(Job::Tables(dataset));
            }
        }
        // Datasets of other projects that somebody once needed.
        let listing = Arc::clone(&self.known.listing);
        let others = listing.iter().filter(|(other, _)| **other != project);
        for (other, datasets) in others {
            for dataset in datasets.datasets.keys() {
                self.queue_last(Job::Tables(DatasetReference {
                    project: other.clone(),
                    dataset: dataset.clone(),
                }));
            }
        }
    }

    /// Routines that somebody needs and nobody asked for.
    fn use_datasets(&mut self, datasets: Vec<DatasetReference>) {
        if matches!(self.contact, Contact::Offline { .. }) {
            return;
        }
        for dataset in datasets {
            let job = Job::Routines(dataset.clone());
            if !self.known.routines.contains_key(&dataset) && !self.given_up.contains(&job) {
                self.used.insert(dataset);
                self.queue_first(job);
            }
        }
    }

    fn finish_refresh(&mut self) {
        if self.refreshing.is_none() || !self.queue.is_empty() || !self.running.is_empty() {
            return;
        }
        self.failures = 0;
        self.contact = Contact::Online;
        self.refreshed_at = Some(SystemTime::now());
        self.next_refresh = Instant::now() + self.options.refresh;
        // Shown before those who wait go on.
        self.show();
        self.refreshing = None;
        if !self.refresh_again.is_empty() {
            self.next_refresh = Instant::now();
        }
    }

    /// Reads what is needed: from the cache, else from BigQuery before anything else.
    async fn need(&mut self, tables: Vec<TableReference>, done: oneshot::Sender<()>) {
        let mut missing: Vec<TableReference> = tables
            .into_iter()
            .filter(|table| !self.known.read.contains_key(table))
            .collect();
        let wanted = missing.clone();
        for table in self
            .cached(move |cache| cache.tables(&wanted))
            .await
            .unwrap_or_default()
        {
            self.unshown |= self.known.put(&table);
            missing.retain(|reference| *reference != table.reference);
        }
        if self.unshown {
            self.show();
        }
        let job = |worker: &Self, reference: &TableReference| {
            let dataset = dataset_of(reference);
            match worker.known.names(&dataset) {
                Some(_) => Job::Table(reference.clone()),
                None if worker.given_up.contains(&Job::Tables(dataset.clone())) => {
                    Job::Table(reference.clone())
                }
                None => Job::Tables(dataset),
            }
        };
        missing.retain(|reference| !self.given_up.contains(&job(self, reference)));
        if missing.is_empty() || matches!(self.contact, Contact::Offline { .. }) {
            return;
        }
        for reference in &missing {
            self.used.insert(dataset_of(reference));
            let job = job(self, reference);
            self.queue_first(job);
        }
        self.waiting.push(Waiting {
            tables: missing.into_iter().collect(),
            _done: done,
        });
    }

    /// BigQuery does not answer: what is known stays, and nobody waits any more.
    fn failed(&mut self, error: &BigQueryError) {
        self.queue.clear();
        self.pending.clear();
        if !matches!(self.contact, Contact::Offline { .. }) || self.refreshing.is_some() {
            self.failures += 1;
        }
        let wait = self
            .options
            .retry
            .saturating_mul(1 << (self.failures.max(1) - 1).min(10));
        self.next_refresh = Instant::now() + wait.min(self.options.refresh.max(self.options.retry));
        self.contact = Contact::Offline {
            why: error.to_string(),
            needs_person: matches!(
                error,
                BigQueryError::Settings(_)
                    | BigQueryError::Credentials(_)
                    | BigQueryError::SignIn { .. }
                    | BigQueryError::Unauthorized(_)
                    | BigQueryError::NotFound(_)
                    | BigQueryError::NotBigQuery(_)
            ),
        };
        if let Some(project) = &self.project {
            // Where nothing was ever listed, catalog files are all that counts.
            let listing = Arc::make_mut(&mut self.known.listing);
            let empty = |listing: &bigquill_analysis::schema::ProjectListing| {
                !listing.complete && listing.datasets.is_empty()
            };
            if listing.get(project).is_some_and(empty) {
                listing.remove(project);
            }
        }
        self.show();
        self.waiting.clear();
        self.refreshing = None;
        self.refresh_again.clear();
    }

    fn start_jobs(&mut self) {
        let Some(bigquery) = &self.bigquery else { return };
        while self.running.len() < PARALLEL
            && let Some(job) = self.queue.pop_front()
        {
            let mut before = Before::default();
            match &job {
                Job::Table(reference) => before.id = self.shards.get(reference).cloned(),
                Job::Routines(dataset) => {
                    let known = self
                        .known
                        .routines
                        .get(dataset)
                        .into_iter()
                        .flat_map(|known| known.iter());
                    before.routines = known
                        .map(|(name, read)| (name.clone(), read.modified.clone()))
                        .collect();
                }
                Job::Datasets(_) | Job::Tables(_) => {}
            }
            self.running
                .push(Box::pin(ask(Arc::clone(bigquery), job, before)));
        }
    }

    fn queue_first(&mut self, job: Job) {
        if self.pending.insert(job.clone()) {
            self.queue.push_front(job);
        } else if let Some(at) = self.queue.iter().position(|queued| *queued == job) {
            self.queue.remove(at);
            self.queue.push_front(job);
        }
    }

    fn queue_last(&mut self, job: Job) {
        if self.pending.insert(job.clone()) {
            self.queue.push_back(job);
        }
    }

    fn show_when_due(&mut self) {
        if self.unshown && (self.running.is_empty() || self.shown.elapsed() >= SHOW) {
            self.show();
        }
    }

    fn show(&mut self) {
        self.shown = Instant::now();
        let changed = std::mem::take(&mut self.unshown) || self.sender.borrow().project != self.project;
        let known = Arc::new(self.known.clone());
        self.sender.send_modify(|state| {
            state.epoch += u64::from(changed || state.epoch == 0 || known.listing != state.known.listing);
            state.known = known;
            state.contact = self.contact.clone();
            state.project = self.project.clone();
            state.refreshed_at = self.refreshed_at;
        });
    }

    fn whole(&self, dataset: DatasetReference) -> DatasetReference {
        match &self.project {
            Some(project) if dataset.project.is_empty() => DatasetReference {
                project: project.clone(),
                ..dataset
            },
            _ => dataset,
        }
    }

    /// Asks the cache away from the threads that serve messages. A cache that fails is no cache.
    fn cached<T: Send + 'static>(
        &self,
        work: impl FnOnce(&CatalogCache) -> Result<T, CacheError> + Send + 'static,
    ) -> BoxFuture<'static, Option<T>> {
        let cache = self.cache.clone();
        Box::pin(async move {
            let cache = cache?;
            match tokio::task::spawn_blocking(move || work(&cache)).await {
                Ok(Ok(value)) => Some(value),
                Ok(Err(error)) => {
                    tracing::warn!(%error, "what was read is not kept");
                    None
                }
                Err(error) => {
                    tracing::error!(%error, "the cache broke off");
                    None
                }
            }
        })
    }
}
