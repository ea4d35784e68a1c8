//! One call to BigQuery for a live catalog.

use std::collections::HashMap;
use std::sync::Arc;

use bigquill_analysis::schema::TableReference;
use serde_json::Value;

use crate::bigquery::{BigQuery, BigQueryError, Listing};
use crate::catalog::DatasetReference;
use crate::catalog::bigquery::resource;
use crate::catalog::routines::{Routines, routines};
use crate::catalog::shards::Member;

/// One call to BigQuery.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Job {
    Datasets(String),
    Tables(DatasetReference),
    Table(TableReference),
    Routines(DatasetReference),
}

/// What BigQuery said to it.
pub(super) enum Answer {
    Names(Result<Listing, BigQueryError>),
    Table(Result<Value, BigQueryError>),
    Routines(Result<Option<Routines>, BigQueryError>),
}

/// What a call needs to know.
#[derive(Default)]
pub(super) struct Before {
    /// The table that a family is read of.
    pub(super) id: Option<String>,
    /// The routines that are known, with their time of change.
    pub(super) routines: HashMap<String, String>,
}

/// Makes the call.
pub(super) async fn ask(bigquery: Arc<BigQuery>, job: Job, before: Before) -> (Job, Answer) {
    let answer = match &job {
        Job::Datasets(project) => Answer::Names(bigquery.datasets(project).await),
        Job::Tables(dataset) => Answer::Names(bigquery.tables(&dataset.project, &dataset.dataset).await),
        Job::Table(reference) => {
            let member = Member {
                id: before.id.unwrap_or_else(|| reference.table.clone()),
                name: reference.table.clone(),
            };
            Answer::Table(resource(&bigquery, &dataset_of(reference), &member).await)
        }
        Job::Routines(dataset) => Answer::Routines(routines(&bigquery, dataset, &before.routines).await),
    };
    (job, answer)
}

/// The dataset of a table.
pub(super) fn dataset_of(reference: &TableReference) -> DatasetReference {
    DatasetReference {
        project: reference.project.clone(),
        dataset: reference.dataset.clone(),
    }
}

/// A table of a dataset.
pub(super) fn table_of(dataset: &DatasetReference, table: &str) -> TableReference {
    TableReference {
        project: dataset.project.clone(),
        dataset: dataset.dataset.clone(),
        table: table.to_owned(),
    }
}
