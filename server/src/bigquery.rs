//! The one boundary to BigQuery: datasets, tables, dry runs, query jobs and their rows, over its REST API.
//!
//! Tokens come from `yup-oauth2` as `gcp-bigquery-client` brings it. Calls are made here and not by that crate: it refuses
//! a whole table for one type that it does not know, and its errors lose the status, `Retry-After` and any body that is
//! no JSON. Every call has a deadline, and dropping its future cancels it. Only [`begin`](BigQuery::begin) runs SQL, and
//! only [`crate::run`] calls it; a dry run is planned only.

use std::time::Duration;

use serde_json::{Value, json};

use crate::settings::Settings;

pub mod cost;
pub mod credentials;
mod dry_run;
mod endpoint;
mod error;
pub mod job;
mod message;
pub mod parameter;
mod project;
mod refused;
mod routines;
pub mod rows;
mod transport;
pub mod unit;

pub(crate) use dry_run::refused;
pub use dry_run::{Accuracy, DryRun, Estimate, Refusal};
pub use error::BigQueryError;
pub use project::Project;

use credentials::Credentials;
use endpoint::Endpoint;
use job::Query;
use transport::Transport;

/// Objects that one page of a list may have.
const PAGE: &str = "1000";

/// A connection to BigQuery with somebody's credentials.
pub struct BigQuery {
    transport: Transport,
    project: Option<String>,
    billing_project: Option<String>,
    location: Option<String>,
    pages: usize,
}

/// How a connection behaves.
#[derive(Debug, Clone)]
pub struct ConnectOptions {
    /// The longest that a call may take, with all its tries.
    pub deadline: Duration,
    /// How often a call is tried at most.
    pub tries: u32,
    /// About how long the second try waits; each later one waits twice as long.
    pub backoff: Duration,
    /// Most pages of a list that are read.
    pub pages: usize,
    /// Where Google's BigQuery is. The setting `endpoint` wins, and gets no credentials.
    pub google: String,
}

/// Names of a list, and whether these are all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listing {
    /// Ids, in BigQuery's order.
    pub ids: Vec<String>,
    /// Whether the list came to its end; one that does not is cut.
    pub complete: bool,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(60),
            tries: 5,
            backoff: Duration::from_millis(500),
            pages: 1000,
            google: "https://bigquery.googleapis.com".to_owned(),
        }
    }
}

impl BigQuery {
    /// A connection as the settings want it. Credentials are read; nothing is sent yet.
    ///
    /// # Errors
    /// Where the credentials or the endpoint cannot be used.
    pub async fn connect(settings: &Settings) -> Result<Self, BigQueryError> {
        Self::connect_with(settings, &ConnectOptions::default()).await
    }

    /// [`connect`](Self::connect) with other options.
    ///
    /// # Errors
    /// Where the credentials or the endpoint cannot be used.
    pub async fn connect_with(settings: &Settings, options: &ConnectOptions) -> Result<Self, BigQueryError> {
        let (endpoint, credentials) = match &settings.endpoint {
            Some(address) => (Endpoint::new(address)?, None),
            None => {
                let credentials = Credentials::load(settings.credentials.as_deref()).await?;
                (Endpoint::new(&options.google)?, Some(credentials))
            }
        };
        let project = Project::find(settings).map(|project| project.id);
        Ok(Self {
            transport: Transport::new(endpoint, credentials, options)?,
            billing_project: settings.billing_project.clone().or_else(|| project.clone()),
            project,
            location: settings.location.clone(),
            pages: options.pages,
        })
    }

    /// The project of the settings, else the one that credentials or gcloud name.
    #[must_use]
    pub fn project(&self) -> Option<&str> {
        self.project.as_deref()
    }

    /// Datasets of a project.
    ///
    /// # Errors
    /// Where BigQuery cannot be asked or does not answer.
    pub async fn datasets(&self, project: &str) -> Result<Listing, BigQueryError> {
        let path = ["projects", project, "datasets"];
        self.list(&path, "datasets", "/datasetReference/datasetId").await
    }

    /// Tables, views and everything else that can be queried in a dataset.
    ///
    /// # Errors
    /// Where BigQuery cannot be asked or does not answer.
    pub async fn tables(&self, project: &str, dataset: &str) -> Result<Listing, BigQueryError> {
        let path = ["projects", project, "datasets", dataset, "tables"];
        self.list(&path, "tables", "/tableReference/tableId").await
    }

    /// A table as `tables.get` gives it.
    ///
    /// # Errors
    /// [`BigQueryError::NotFound`] where there is no such table, and where BigQuery cannot be asked.
    pub async fn table(&self, project: &str, dataset: &str, table: &str) -> Result<Value, BigQueryError> {
        let path = ["projects", project, "datasets", dataset, "tables", table];
        self.transport.get(&path, &[]).await
    }

    /// What BigQuery says of a statement or a script without parameters, without running it.
    ///
    /// # Errors
    /// Where BigQuery cannot be asked. That it refuses the SQL is an answer.
    pub async fn dry_run(&self, sql: &str) -> Result<DryRun, BigQueryError> {
        let query = Query {
            sql: sql.to_owned(),
            ..Query::default()
        };
        self.plan(&query).await
    }

    /// What BigQuery says of a query without running it. Its limit of bytes does not count here.
    ///
    /// # Errors
    /// Where BigQuery cannot be asked. That it refuses the SQL is an answer.
    pub async fn plan(&self, query: &Query) -> Result<DryRun, BigQueryError> {
        // The name is ours, because the emulator wants one. Dry runs are not kept: a second try is no second job.
        let reference = self.new_job(None)?;
        let body = json!({
            "jobReference": job::resource(&reference),
            "configuration": {"dryRun": true, "query": job::configuration(query)},
        });
        let path = ["projects", &reference.project, "jobs"];
        dry_run::answer(self.transport.post(&path, &body).await)
    }

    async fn list(&self, path: &[&str], member: &str, id: &str) -> Result<Listing, BigQueryError> {
        let (items, complete) = self.items(path, member).await?;
        let ids = items.iter().filter_map(|item| item.pointer(id)?.as_str());
        Ok(Listing {
            ids: ids.map(str::to_owned).collect(),
            complete,
        })
    }

    /// What the pages of a list have, and whether these are all.
    async fn items(&self, path: &[&str], member: &str) -> Result<(Vec<Value>, bool), BigQueryError> {
        let mut items = Vec::new();
        let mut token: Option<String> = None;
        for _ in 0..self.pages {
            let mut query = vec![("maxResults", PAGE)];
            query.extend(token.as_deref().map(|token| ("pageToken", token)));
            let mut page = self.transport.get(path, &query).await?;
            if let Some(Value::Array(of_page)) = page.get_mut(member).map(Value::take) {
                items.extend(of_page);
            }
            token = page
                .get("nextPageToken")
                .and_then(Value::as_str)
                .filter(|token| !token.is_empty())
                .map(str::to_owned);
            if token.is_none() {
                return Ok((items, true));
            }
        }
        Ok((items, false))
    }
}

/// There is no project where one is needed.
pub(crate) fn no_project() -> BigQueryError {
    BigQueryError::Settings(
        "no project is known: set `project` in bigquill.toml, give --project, or run `gcloud config set project`"
            .to_owned(),
    )
}

/// A variable of the environment that is set to something.
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
