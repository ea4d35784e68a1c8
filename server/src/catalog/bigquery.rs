//! Schemas from BigQuery itself.
//!
//! What is read stays as it was read: a fresher catalog is another [`BigQueryCatalog`].

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use bigquill_analysis::schema::{CatalogSnapshot, TableReference, TableSchema, read_resources};
use futures::stream::{self, StreamExt};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::routines::routines;
use super::shards::{Member, families};
use super::{Catalog, CatalogError, DatasetReference};
use crate::bigquery::{BigQuery, BigQueryError};

/// Requests at the same time. BigQuery allows 100 a second and user.
const PARALLEL: usize = 16;

/// The tables of some datasets, or of all datasets of the project.
pub struct BigQueryCatalog {
    bigquery: BigQuery,
    datasets: Vec<DatasetReference>,
    snapshot: OnceCell<Arc<CatalogSnapshot>>,
}

/// What was read.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Fetched {
    /// `tables.get` resources, by project, dataset and name; a date-sharded family is one.
    pub resources: Vec<Value>,
    /// `routines.get` resources, by project, dataset and name.
    pub routines: Vec<Value>,
    /// The datasets whose routines were all listed.
    pub with_routines: Vec<DatasetReference>,
    /// What was left out, and why.
    pub problems: Vec<String>,
    /// The datasets that were read.
    pub datasets: Vec<DatasetReference>,
    /// Names of the datasets whose lists came to their end.
    pub names: Vec<(DatasetReference, Vec<Member>)>,
}

/// How far reading has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncProgress {
    /// So many datasets are listed.
    Listed(usize),
    /// So many of so many tables are read.
    Read(usize, usize),
}

impl BigQueryCatalog {
    /// The tables of these datasets; of all datasets of the project where there are none.
    #[must_use]
    pub fn new(bigquery: BigQuery, datasets: Vec<DatasetReference>) -> Self {
        Self {
            bigquery,
            datasets,
            snapshot: OnceCell::new(),
        }
    }

    /// Reads every table now. A table that vanishes meanwhile, or that the account may not see, is left out and told.
    ///
    /// # Errors
    /// Where a dataset is not there, or BigQuery does not answer: half a catalog would call the other half unknown.
    pub async fn fetch(&self, progress: impl Fn(SyncProgress)) -> Result<Fetched, CatalogError> {
        let mut fetched = Fetched::default();
        fetched.datasets = self.all_datasets(&mut fetched.problems).await?;
        let mut members = Vec::new();
        let datasets = fetched.datasets.clone();
        let mut lists = stream::iter(datasets)
            .map(|dataset| async move { (self.members(&dataset).await, dataset) })
            .buffered(PARALLEL);
        while let Some((listed, dataset)) = lists.next().await {
            let (found, problem) = listed?;
            if problem.is_none() {
                fetched.names.push((dataset.clone(), found.clone()));
            }
            fetched.problems.extend(problem);
            members.extend(found.into_iter().map(|member| (dataset.clone(), member)));
            progress(SyncProgress::Listed(members.len()));
        }
        drop(lists);
        let total = members.len();
        let mut tables = stream::iter(members)
            .map(|(dataset, member)| async move {
                (resource(&self.bigquery, &dataset, &member).await, dataset, member)
            })
            .buffered(PARALLEL);
        let mut read = 0;
        while let Some((resource, dataset, member)) = tables.next().await {
            read += 1;
            progress(SyncProgress::Read(read, total));
            match resource {
                Ok(resource) => match check(&resource) {
                    Ok(()) => fetched.resources.push(resource),
                    Err(why) => fetched.problems.push(left_out(&dataset, &member, &why)),
                },
                Err(error @ (BigQueryError::NotFound(_) | BigQueryError::Forbidden(_))) => {
                    fetched
                        .problems
                        .push(left_out(&dataset, &member, &error.to_string()));
                }
                Err(error) => return Err(error.into()),
            }
        }
        drop(tables);
        self.fetch_routines(&mut fetched).await?;
        Ok(fetched)
    }

    async fn fetch_routines(&self, fetched: &mut Fetched) -> Result<(), CatalogError> {
        let datasets = fetched.datasets.clone();
        let mut all = stream::iter(datasets)
            .map(
                |dataset| async move { (routines(&self.bigquery, &dataset, &HashMap::new()).await, dataset) },
            )
            // Each of them asks for several at a time.
            .buffered(2);
        while let Some((found, dataset)) = all.next().await {
            match found {
                Ok(Some(found)) => {
                    fetched.problems.extend(found.problems);
                    fetched
                        .problems
                        .extend(cut(found.complete, "routines", &dataset.to_string()));
                    fetched
                        .routines
                        .extend(found.found.into_iter().filter_map(|(_, resource)| resource));
                    if found.complete {
                        fetched.with_routines.push(dataset);
                    }
                }
                // Gone since its tables were read.
                Ok(None) | Err(BigQueryError::NotFound(_)) => {}
                Err(error @ (BigQueryError::Forbidden(_) | BigQueryError::Refused { .. })) => {
                    fetched
                        .problems
                        .push(format!("the routines of {dataset} are left out: {error}"));
                }
                Err(error) => return Err(error.into()),
            }
        }
        drop(all);
        Ok(())
    }

    async fn all_datasets(&self, problems: &mut Vec<String>) -> Result<Vec<DatasetReference>, CatalogError> {
        let mut datasets = if self.datasets.is_empty() {
            let project = self.project("")?;
            let listing = self.bigquery.datasets(project).await?;
            problems.extend(cut(listing.complete, "datasets", project));
            let dataset = |dataset| DatasetReference {
                project: project.to_owned(),
                dataset,
            };
            listing.ids.into_iter().map(dataset).collect()
        } else {
            let whole = |dataset: &DatasetReference| {
                Ok(DatasetReference {
                    project: self.project(&dataset.project)?.to_owned(),
                    dataset: dataset.dataset.clone(),
                })
            };
            self.datasets
                .iter()
                .map(whole)
                .collect::<Result<Vec<_>, BigQueryError>>()?
        };
        datasets.sort_by(|a, b| (&a.project, &a.dataset).cmp(&(&b.project, &b.dataset)));
        datasets.dedup();
        Ok(datasets)
    }

    async fn members(
        &self,
        dataset: &DatasetReference,
    ) -> Result<(Vec<Member>, Option<String>), BigQueryError> {
        let listing = self.bigquery.tables(&dataset.project, &dataset.dataset).await?;
        let problem = cut(listing.complete, "tables", &dataset.to_string());
        Ok((families(listing.ids), problem))
    }

    fn project<'a>(&'a self, of_dataset: &'a str) -> Result<&'a str, BigQueryError> {
        if !of_dataset.is_empty() {
            return Ok(of_dataset);
        }
        self.bigquery.project().ok_or_else(crate::bigquery::no_project)
    }

    async fn read_snapshot(&self) -> Result<Arc<CatalogSnapshot>, CatalogError> {
        let fetched = self.fetch(|_| {}).await?;
        for problem in &fetched.problems {
            tracing::warn!(problem, "the catalog is not whole");
        }
        let tables = fetched
            .resources
            .iter()
            .flat_map(|resource| read_resources(&resource.to_string()).0);
        let routines = fetched
            .routines
            .iter()
            .flat_map(|resource| read_resources(&resource.to_string()).1);
        let mut snapshot = CatalogSnapshot::new(self.bigquery.project().map(str::to_owned), tables, routines);
        snapshot.read_at = Some(std::time::SystemTime::now());
        Ok(Arc::new(snapshot))
    }
}

#[async_trait]
impl Catalog for BigQueryCatalog {
    async fn tables(&self, dataset: &DatasetReference) -> Result<Vec<TableReference>, CatalogError> {
        let dataset = DatasetReference {
            project: self.project(&dataset.project)?.to_owned(),
            dataset: dataset.dataset.clone(),
        };
        let (members, _) = self.members(&dataset).await?;
        let reference = |member: Member| TableReference {
            project: dataset.project.clone(),
            dataset: dataset.dataset.clone(),
            table: member.name,
        };
        Ok(members.into_iter().map(reference).collect())
    }

    async fn schema(&self, table: &TableReference) -> Result<Option<Arc<TableSchema>>, CatalogError> {
        let dataset = DatasetReference {
            project: self.project(&table.project)?.to_owned(),
            dataset: table.dataset.clone(),
        };
        let mut member = Member {
            id: table.table.clone(),
            name: table.table.clone(),
        };
        if table.table.ends_with('*') {
            let (members, _) = self.members(&dataset).await?;
            let Some(found) = members.into_iter().find(|member| member.name == table.table) else {
                return Ok(None);
            };
            member = found;
        }
        match resource(&self.bigquery, &dataset, &member).await {
            Ok(resource) => Ok(read_resources(&resource.to_string())
                .0
                .into_iter()
                .next()
                .map(Arc::new)),
            Err(BigQueryError::NotFound(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn snapshot(&self) -> Result<Arc<CatalogSnapshot>, CatalogError> {
        self.snapshot
            .get_or_try_init(|| self.read_snapshot())
            .await
            .cloned()
    }
}

/// A table's resource under its name in the catalog.
pub(super) async fn resource(
    bigquery: &BigQuery,
    dataset: &DatasetReference,
    member: &Member,
) -> Result<Value, BigQueryError> {
    let mut resource = bigquery
        .table(&dataset.project, &dataset.dataset, &member.id)
        .await?;
    if member.name != member.id {
        rename(&mut resource, dataset, &member.name);
    }
    Ok(resource)
}

/// Gives a shard's resource the name of its family.
fn rename(resource: &mut Value, dataset: &DatasetReference, name: &str) {
    if let Some(id) = resource.pointer_mut("/tableReference/tableId") {
        *id = json!(name);
    }
    if let Some(object) = resource.as_object_mut() {
        let id = format!("{}:{}.{name}", dataset.project, dataset.dataset);
        object.insert("id".to_owned(), json!(id));
        // Those of one day: nobody should take them for the family's.
        for of_one_day in ["numRows", "numBytes", "selfLink", "etag"] {
            object.shift_remove(of_one_day);
        }
    }
}

/// Whether a file with this resource can be read again.
fn check(resource: &Value) -> Result<(), String> {
    let (tables, _, errors) = read_resources(&resource.to_string());
    match errors.into_iter().next() {
        Some(error) => Err(error.to_string()),
        None if tables.is_empty() => Err("it is no table".to_owned()),
        None => Ok(()),
    }
}

fn left_out(dataset: &DatasetReference, member: &Member, why: &str) -> String {
    format!("{dataset}.{} is left out: {why}", member.name)
}

fn cut(complete: bool, what: &str, of: &str) -> Option<String> {
    (!complete)
        .then(|| format!("the list of {what} of {of} does not end and was cut; what came after is left out"))
}
