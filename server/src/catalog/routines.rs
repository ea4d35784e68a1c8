//! The functions and procedures of a dataset: listed, and read where they changed.

use std::collections::HashMap;

use bigquill_analysis::schema::read_resources;
use futures::stream::{self, StreamExt};
use serde_json::Value;

use super::DatasetReference;
use crate::bigquery::{BigQuery, BigQueryError};

/// Requests at the same time for one dataset.
const PARALLEL: usize = 8;

/// Digits of a time in milliseconds.
const MILLISECONDS: usize = 13;

/// Routines of a dataset as BigQuery has them now.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Routines {
    /// Their names, each with its resource, or without one where it did not change.
    pub(super) found: Vec<(String, Option<Value>)>,
    /// Of which ones only the name and kind can be read, and why.
    pub(super) problems: Vec<String>,
    /// Whether these are all.
    pub(super) complete: bool,
}

/// Lists the routines of a dataset and reads those that are not `known` by this time of change. None where BigQuery
/// has no such list.
///
/// # Errors
/// Where BigQuery does not answer. That one routine may not be read leaves its name.
pub(super) async fn routines(
    bigquery: &BigQuery,
    dataset: &DatasetReference,
    known: &HashMap<String, String>,
) -> Result<Option<Routines>, BigQueryError> {
    let Some((listed, complete)) = bigquery.routines(&dataset.project, &dataset.dataset).await? else {
        return Ok(None);
    };
    let mut routines = Routines {
        complete,
        ..Routines::default()
    };
    let mut read = stream::iter(listed)
        .map(|entry| async move {
            let id = entry
                .pointer("/routineReference/routineId")
                .and_then(Value::as_str)?
                .to_owned();
            let modified = entry
                .get("lastModifiedTime")
                .and_then(Value::as_str)
                .unwrap_or_default();
            if modified.len() >= MILLISECONDS && known.get(&id).is_some_and(|before| before == modified) {
                return Some((id, Ok(None)));
            }
            let resource = bigquery.routine(&dataset.project, &dataset.dataset, &id).await;
            Some((id, resource.map(Some).map_err(|error| (error, entry))))
        })
        .buffered(PARALLEL);
    while let Some(answer) = read.next().await {
        let Some((id, resource)) = answer else { continue };
        let (resource, problem) = match resource {
            Ok(None) => (None, None),
            Ok(Some(resource)) if is_readable(&resource) => (Some(resource), None),
            Ok(Some(resource)) => (
                named(dataset, &id, &resource),
                Some("its form is not known".to_owned()),
            ),
            Err((BigQueryError::NotFound(_), _)) => continue,
            Err((error @ (BigQueryError::Forbidden(_) | BigQueryError::Refused { .. }), entry)) => {
                (named(dataset, &id, &entry), Some(error.to_string()))
            }
            Err((error, _)) => return Err(error),
        };
        let why = |why| format!("of the routine {dataset}.{id} only the name is known: {why}");
        routines.problems.extend(problem.map(why));
        routines.found.push((id, resource));
    }
    Ok(Some(routines))
}

fn is_readable(resource: &Value) -> bool {
    let (_, routines, errors) = read_resources(&resource.to_string());
    errors.is_empty() && routines.len() == 1
}

/// No more than the name and kind: whatever calls it is then not judged.
fn named(dataset: &DatasetReference, id: &str, entry: &Value) -> Option<Value> {
    Some(serde_json::json!({
        "routineReference": {"projectId": dataset.project, "datasetId": dataset.dataset, "routineId": id},
        "routineType": entry.get("routineType").and_then(Value::as_str).unwrap_or("SCALAR_FUNCTION"),
    }))
}
