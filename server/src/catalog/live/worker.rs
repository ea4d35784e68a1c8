//! The one task behind a live catalog: a queue of small calls, the urgent ones first.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::SystemTime;

use bigquill_analysis::schema::TableReference;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::job::{Answer, Job, ask, dataset_of, table_of};
use super::known::Known;
use super::{Command, Contact, LiveKey, LiveOptions, LiveState};
use crate::bigquery::{BigQuery, BigQueryError, Listing};
use crate::catalog::shards::{Member, families};
use crate::catalog::{CacheError, CachedTable, CatalogCache, DatasetReference};
use crate::settings::Settings;

/// Calls at a time.
const PARALLEL: usize = 16;
/// Of a dataset that somebody uses all schemas are read where it has up to so many tables.
const OF_USED_DATASET: usize = 500;
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
                let (listing, shards) = (cache.listing()?, cache.families()?);
                Ok::<_, CacheError>((cache, listing, shards, tables))
            });
            match opened.await {
                Ok(Ok((cache, listing, shards, tables))) => {
                    self.cache = Some(Arc::new(cache));
                    self.shards = shards;
                    self.known.listing = Arc::new(listing);
                    for table in &tables {
                        self.known.put(table);
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
        }
        for dataset in own {
            let dataset = self.whole(dataset);
            self.queue_last(Job::Tables(dataset));
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

    async fn take(&mut self, job: Job, answer: Answer) {
        match (job, answer) {
            (Job::Datasets(project), Answer::Names(Ok(listing))) => {
                self.take_datasets(&project, listing).await
            }
            (Job::Tables(dataset), Answer::Names(Ok(listing))) => {
                let members = families(listing.ids);
                self.take_names(&dataset, &members, listing.complete).await;
            }
            (Job::Tables(dataset), Answer::Names(Err(BigQueryError::NotFound(_)))) => {
                self.take_names(&dataset, &[], true).await;
            }
            (Job::Table(reference), Answer::Table(Ok(resource))) => {
                self.take_table(reference, &resource).await
            }
            (Job::Table(reference), Answer::Table(Err(BigQueryError::NotFound(_)))) => {
                self.drop_table(&reference).await;
            }
            // One object that the account may not see says nothing of the others.
            (
                job,
                Answer::Names(Err(error @ (BigQueryError::Forbidden(_) | BigQueryError::Refused { .. })))
                | Answer::Table(Err(error @ (BigQueryError::Forbidden(_) | BigQueryError::Refused { .. }))),
            ) => {
                tracing::warn!(%error, "a part of the catalog cannot be read");
                self.give_up_on(&job);
            }
            (_, Answer::Names(Err(error)) | Answer::Table(Err(error))) => self.failed(&error),
            // A job has the answer of its own kind.
            (job, _) => self.give_up_on(&job),
        }
    }

    async fn take_datasets(&mut self, project: &str, listing: Listing) {
        let known = self.known.project(project);
        known.complete = listing.complete;
        if listing.complete {
            // A dataset whose tables alone the account may read is in no list.
            let used = |dataset: &String| {
                self.used
                    .iter()
                    .any(|used| used.project == project && used.dataset == *dataset)
            };
            known
                .datasets
                .retain(|dataset, _| listing.ids.contains(dataset) || used(dataset));
        }
        for dataset in &listing.ids {
            known.datasets.entry(dataset.clone()).or_default();
        }
        self.known.forget_unlisted();
        self.unshown = true;
        let (of, ids) = (project.to_owned(), listing.ids.clone());
        if listing.complete {
            self.cached(move |cache| cache.put_datasets(&of, &ids)).await;
        }
        let reference = |dataset: String| DatasetReference {
            project: project.to_owned(),
            dataset,
        };
        let (used, rest): (Vec<_>, Vec<_>) = listing
            .ids
            .into_iter()
            .map(reference)
            .partition(|dataset| self.used.contains(dataset));
        for dataset in used.into_iter().chain(rest) {
            self.queue_last(Job::Tables(dataset));
        }
    }

    async fn take_names(&mut self, dataset: &DatasetReference, members: &[Member], complete: bool) {
        let names: Arc<[Box<str>]> = members
            .iter()
            .map(|member| Box::from(member.name.as_str()))
            .collect();
        // Of a list that was cut nothing follows for a name that is not in it.
        let known = complete.then(|| Arc::clone(&names));
        let of_project = self.known.project(&dataset.project);
        let before = of_project.datasets.insert(dataset.dataset.clone(), known.clone());
        if before != Some(known) {
            self.unshown = true;
        }
        self.known.forget_unlisted();
        for member in members.iter().filter(|member| member.id != member.name) {
            self.shards
                .insert(table_of(dataset, &member.name), member.id.clone());
        }
        if complete {
            let (of, members) = (dataset.clone(), members.to_vec());
            self.cached(move |cache| cache.put_names(&of, &members)).await;
        }
        self.resolve_waiting(dataset, members);
        self.queue_schemas(dataset, &names);
    }

    /// Those who wait for a table of a dataset that was not listed wait for what it is called there.
    fn resolve_waiting(&mut self, dataset: &DatasetReference, members: &[Member]) {
        let mut needed = Vec::new();
        for waiting in &mut self.waiting {
            let of_dataset: Vec<TableReference> = waiting
                .tables
                .iter()
                .filter(|table| dataset_of(table) == *dataset)
                .cloned()
                .collect();
            for written in of_dataset {
                waiting.tables.remove(&written);
                if let Some(member) = members.iter().find(|member| member.is(&written.table)) {
                    let reference = table_of(dataset, &member.name);
                    waiting.tables.insert(reference.clone());
                    needed.push(reference);
                }
            }
        }
        for reference in needed {
            self.queue_first(Job::Table(reference));
        }
        self.waiting.retain(|waiting| !waiting.tables.is_empty());
    }

    /// Schemas that a refresh reads: all of a small project, those of datasets in use, and those that are known.
    fn queue_schemas(&mut self, dataset: &DatasetReference, names: &[Box<str>]) {
        let used = self.used.contains(dataset) && names.len() <= OF_USED_DATASET;
        let small = self.known.listed_tables() <= self.options.whole;
        for name in names {
            let reference = table_of(dataset, name);
            let known = self.known.read.contains_key(&reference) && self.refreshing.is_some();
            if known || ((used || small) && !self.known.read.contains_key(&reference)) {
                self.queue_last(Job::Table(reference));
            }
        }
    }

    async fn take_table(&mut self, reference: TableReference, resource: &Value) {
        // Under the name that was asked for, whatever the answer calls itself.
        let Some(table) = CachedTable::of(resource, SystemTime::now()).map(|table| CachedTable {
            reference: reference.clone(),
            ..table
        }) else {
            return self.give_up_on(&Job::Table(reference));
        };
        self.unshown |= self.known.put(&table);
        self.cached(move |cache| cache.put_tables(&[table])).await;
        self.done_waiting(&reference);
    }

    async fn drop_table(&mut self, reference: &TableReference) {
        self.unshown |= self.known.read.remove(reference).is_some();
        let dataset = dataset_of(reference);
        if let Some(names) = self.known.names(&dataset) {
            let left: Arc<[Box<str>]> = names
                .iter()
                .filter(|name| ***name != reference.table)
                .cloned()
                .collect();
            self.known
                .project(&dataset.project)
                .datasets
                .insert(dataset.dataset, Some(left));
            self.unshown = true;
        } else {
            self.given_up.insert(Job::Table(reference.clone()));
        }
        let gone = reference.clone();
        self.cached(move |cache| cache.remove_table(&gone)).await;
        self.done_waiting(reference);
    }

    fn give_up_on(&mut self, job: &Job) {
        self.given_up.insert(job.clone());
        match job {
            Job::Datasets(_) => {}
            Job::Tables(dataset) => {
                // What may not be listed may be there, and a single table of it may be readable.
                let project = self.known.project(&dataset.project);
                if !project.datasets.contains_key(&dataset.dataset) {
                    project.datasets.insert(dataset.dataset.clone(), None);
                    self.unshown = true;
                }
                let waiting = self.waiting.iter().flat_map(|waiting| &waiting.tables);
                let wanted: Vec<TableReference> = waiting
                    .filter(|table| dataset_of(table) == *dataset)
                    .cloned()
                    .collect();
                for reference in wanted {
                    self.queue_first(Job::Table(reference));
                }
            }
            Job::Table(reference) => self.done_waiting(reference),
        }
    }

    fn done_waiting(&mut self, reference: &TableReference) {
        if self
            .waiting
            .iter()
            .any(|waiting| waiting.tables.contains(reference))
            && self.unshown
        {
            self.show();
        }
        for waiting in &mut self.waiting {
            waiting.tables.remove(reference);
        }
        self.waiting.retain(|waiting| !waiting.tables.is_empty());
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
            let id = match &job {
                Job::Table(reference) => self.shards.get(reference).cloned(),
                Job::Datasets(_) | Job::Tables(_) => None,
            };
            self.running.push(Box::pin(ask(Arc::clone(bigquery), job, id)));
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
