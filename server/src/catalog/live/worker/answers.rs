//! What BigQuery answered, taken into what is known.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::SystemTime;

use bigquill_analysis::schema::TableReference;
use serde_json::Value;

use super::super::job::{Answer, Job, dataset_of, table_of};
use super::super::known::ReadRoutine;
use super::Worker;
use crate::bigquery::{BigQueryError, Listing};
use crate::catalog::routines::Routines;
use crate::catalog::shards::{Member, families};
use crate::catalog::{CachedResource, DatasetReference};

/// Of a dataset that somebody uses all schemas are read where it has up to so many tables.
const OF_USED_DATASET: usize = 500;

impl Worker {
    pub(super) async fn take(&mut self, job: Job, answer: Answer) {
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
            (Job::Routines(dataset), Answer::Routines(Ok(Some(routines)))) => {
                self.take_routines(dataset, routines).await;
            }
            (job, Answer::Routines(Ok(None) | Err(BigQueryError::NotFound(_)))) => self.give_up_on(&job),
            // One object that the account may not see says nothing of the others.
            (
                job,
                Answer::Names(Err(error @ (BigQueryError::Forbidden(_) | BigQueryError::Refused { .. })))
                | Answer::Table(Err(error @ (BigQueryError::Forbidden(_) | BigQueryError::Refused { .. })))
                | Answer::Routines(Err(error @ (BigQueryError::Forbidden(_) | BigQueryError::Refused { .. }))),
            ) => {
                tracing::warn!(%error, "a part of the catalog cannot be read");
                self.give_up_on(&job);
            }
            (_, Answer::Names(Err(error)) | Answer::Table(Err(error)) | Answer::Routines(Err(error))) => {
                self.failed(&error);
            }
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
        let listed: HashSet<DatasetReference> = used.iter().chain(&rest).cloned().collect();
        let unlisted = self.used.iter().filter(|dataset| dataset.project == project);
        let unlisted: Vec<_> = unlisted
            .filter(|dataset| !listed.contains(dataset))
            .cloned()
            .collect();
        for dataset in used.into_iter().chain(unlisted).chain(rest) {
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
        let routines = self.known.routines.contains_key(dataset);
        if routines || self.used.contains(dataset) || small {
            let job = Job::Routines(dataset.clone());
            if (self.refreshing.is_some() || !routines) && !self.given_up.contains(&job) {
                self.queue_last(job);
            }
        }
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
        let Some(table) = CachedResource::table(resource, SystemTime::now()).map(|table| CachedResource {
            reference: reference.clone(),
            ..table
        }) else {
            return self.give_up_on(&Job::Table(reference));
        };
        self.unshown |= self.known.put(&table);
        self.cached(move |cache| cache.put_tables(&[table])).await;
        self.done_waiting(&reference);
    }

    async fn take_routines(&mut self, dataset: DatasetReference, routines: Routines) {
        for problem in &routines.problems {
            tracing::warn!(problem, "a part of the catalog cannot be read");
        }
        if !routines.complete {
            return self.give_up_on(&Job::Routines(dataset));
        }
        let before = self.known.routines.get(&dataset).cloned().unwrap_or_default();
        let (mut now, mut changed, mut names) = (BTreeMap::new(), Vec::new(), Vec::new());
        for (name, resource) in routines.found {
            let read = match resource {
                None => before.get(&name).cloned(),
                Some(resource) => {
                    let cached = CachedResource::routine(&resource, SystemTime::now());
                    let read = cached.as_ref().and_then(ReadRoutine::of);
                    changed.extend(cached);
                    read
                }
            };
            now.extend(read.map(|read| (name.clone(), read)));
            names.push(name);
        }
        self.unshown |= *before != now;
        self.known.routines.insert(dataset.clone(), Arc::new(now));
        self.cached(move |cache| cache.put_routines(&dataset, &names, &changed))
            .await;
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
            Job::Datasets(_) | Job::Routines(_) => {}
            Job::Tables(dataset) => {
                // What may not be listed may be there, and a single table of it may be readable.
                let project = self.known.project(&dataset.project);
                if !project.datasets.contains_key(&dataset.dataset) {
                    project.datasets.insert(dataset.dataset.clone(), None);
                    self.unshown = true;
                }
                let waiting = self.waiting.iter().flat_map(|waiting| &waiting.tables);
                let known = self.known.read.keys().filter(|_| self.refreshing.is_some());
                let wanted: Vec<TableReference> = waiting
                    .chain(known)
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
}
