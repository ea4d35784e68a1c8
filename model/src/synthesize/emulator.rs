//! A BigQuery emulator, in which made pairs are run on made rows.
//!
//! goccy/bigquery-emulator reads and writes all of a project's jobs with every request, so jobs are deleted when they are
//! done, and many queries share one.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::{Client, Method, Url};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::rows::{RowSet, RowTable};
use super::runs::{Outcome, Runner, RunnerError};

/// How datasets are known that this command made and may delete.
const OWN: &str = "made by finetune data synthesize";
/// Rows of a query that are looked at.
const LOOKED_AT: usize = 2;
/// A query that takes longer is given up.
const PATIENCE: Duration = Duration::from_secs(120);

/// Times that a request is made that another one got in the way of.
const TRIES: usize = 10;

/// A running emulator.
pub struct Emulator {
    runtime: Runtime,
    client: Client,
    url: Url,
    /// Where the API is, up to the project.
    base: String,
    /// Datasets made here.
    datasets: Mutex<Vec<String>>,
}

/// Why there is no emulator to run queries in.
#[derive(Debug, thiserror::Error)]
pub enum EmulatorError {
    /// No address.
    #[error("{0} is no address; one is http://127.0.0.1:9050")]
    Address(String),
    /// Not on this machine.
    #[error(
        "{0} is not on this machine, and queries that nobody has read run in a BigQuery emulator only, never in BigQuery \
         itself; give the address of one, as http://127.0.0.1:9050"
    )]
    Remote(String),
    /// No client for it.
    #[error("no connection can be made: {0}")]
    Client(String),
    /// No emulator there.
    #[error(
        "{address} is no BigQuery emulator that runs ({reason}); start one, as \
         `bigquery-emulator --project=test --port 9050`"
    )]
    Absent {
        /// Where it should be.
        address: String,
        /// What was answered.
        reason: String,
    },
    /// It has tables of somebody else's.
    #[error(
        "the emulator has a dataset {0} already, where rows for the catalog would go; start another emulator for this command"
    )]
    Taken(String),
    /// It does not take a table or its rows.
    #[error("the emulator takes no rows for {table}: {reason}")]
    Table {
        /// Its name.
        table: String,
        /// What was answered.
        reason: String,
    },
    /// It refused something else.
    #[error("the emulator refuses: {0}")]
    Refused(String),
}

/// Why a request gave nothing.
#[derive(Debug, thiserror::Error)]
enum RequestError {
    /// Nobody answered.
    #[error("{0}")]
    Connection(String),
    /// The emulator refused.
    #[error("{0}")]
    Refused(String),
}

/// What it says where a job that it looks for is deleted at the same moment: a text without JSON, before it has done
/// anything.
struct Stumble(String);

impl From<RequestError> for EmulatorError {
    fn from(error: RequestError) -> Self {
        Self::Refused(error.to_string())
    }
}

impl Emulator {
    /// Connects to the emulator at an address of this machine.
    ///
    /// # Errors
    ///
    /// Where the address is another machine's or no emulator answers.
    pub fn connect(address: &str) -> Result<Self, EmulatorError> {
        let url = local(address)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(|error| EmulatorError::Client(error.to_string()))?;
        let client = Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(PATIENCE)
            .build()
            .map_err(|error| EmulatorError::Client(error.to_string()))?;
        let mut emulator = Self {
            runtime,
            client,
            base: String::new(),
            url,
            datasets: Mutex::default(),
        };
        let project = emulator.project().map_err(|error| EmulatorError::Absent {
            address: address.to_owned(),
            reason: error.to_string(),
        })?;
        emulator.base = format!("bigquery/v2/projects/{project}");
        Ok(emulator)
    }

    /// The project that it has; it has one.
    fn project(&self) -> Result<String, RequestError> {
        let listed = self.request(Method::GET, "bigquery/v2/projects", None)?;
        let id = listed["projects"][0]["id"].as_str();
        id.map(str::to_owned)
            .ok_or_else(|| RequestError::Refused("it has no project".to_owned()))
    }

    fn request(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, RequestError> {
        let mut answer = self.ask(&method, path, body)?;
        for _ in 1..TRIES {
            if !matches!(answer, Err(Stumble(_))) {
                break;
            }
            answer = self.ask(&method, path, body)?;
        }
        let answer = answer.map_err(|Stumble(text)| RequestError::Refused(text))?;
        match answer["error"]["message"].as_str() {
            Some(message) => Err(RequestError::Refused(message.to_owned())),
            None => Ok(answer),
        }
    }

    fn ask(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Result<Value, Stumble>, RequestError> {
        let unanswered = |error: reqwest::Error| RequestError::Connection(error.without_url().to_string());
        let url = self
            .url
            .join(path)
            .map_err(|error| RequestError::Refused(error.to_string()))?;
        let mut request = self.client.request(method.clone(), url);
        if let Some(body) = body {
            request = request
                .header("Content-Type", "application/json")
                .body(body.to_string());
        }
        let text = self
            .runtime
            .block_on(async { request.send().await?.text().await })
            .map_err(unanswered)?;
        if text.trim().is_empty() {
            return Ok(Ok(Value::Null));
        }
        Ok(serde_json::from_str(&text).map_err(|_| Stumble(text)))
    }

    fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, RequestError> {
        self.request(method, &format!("{}/{path}", self.base), body)
    }

    /// Runs a statement and forgets its job.
    fn query(&self, sql: &str) -> Result<Value, RequestError> {
        let body = json!({"query": sql, "useLegacySql": false});
        let mut answer = self.call(Method::POST, "queries", Some(&body))?;
        if let Some(job) = answer["jobReference"]["jobId"].as_str() {
            self.call(Method::DELETE, &format!("jobs/{job}/delete"), None)?;
        }
        Ok(answer["rows"].take())
    }

    fn make_dataset(&self, dataset: &str) -> Result<(), EmulatorError> {
        let path = format!("datasets/{dataset}");
        if let Ok(there) = self.call(Method::GET, &path, None) {
            if there["description"] != json!(OWN) {
                return Err(EmulatorError::Taken(dataset.to_owned()));
            }
            self.drop_dataset(dataset)?;
        }
        let body = json!({"datasetReference": {"datasetId": dataset}, "description": OWN});
        self.call(Method::POST, "datasets", Some(&body))?;
        self.datasets().push(dataset.to_owned());
        Ok(())
    }

    fn drop_dataset(&self, dataset: &str) -> Result<(), RequestError> {
        let path = format!("datasets/{dataset}?deleteContents=true");
        self.call(Method::DELETE, &path, None).map(|_| ())
    }

    fn make_table(&self, table: &RowTable) -> Result<(), RequestError> {
        self.query(&table.ddl())?;
        table
            .inserts()
            .iter()
            .try_for_each(|sql| self.query(sql).map(|_| ()))
    }

    fn datasets(&self) -> MutexGuard<'_, Vec<String>> {
        self.datasets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn clear(&self) -> Result<(), RequestError> {
        let datasets = std::mem::take(&mut *self.datasets());
        datasets.iter().try_for_each(|dataset| self.drop_dataset(dataset))
    }

    fn make(&self, rows: &RowSet) -> Result<(), EmulatorError> {
        self.clear()?;
        let datasets: BTreeSet<&str> = rows.tables.iter().map(|t| t.dataset.as_str()).collect();
        for dataset in datasets {
            self.make_dataset(dataset)?;
        }
        for table in &rows.tables {
            self.make_table(table).map_err(|error| EmulatorError::Table {
                table: table.path(),
                reason: error.to_string(),
            })?;
        }
        Ok(())
    }

    /// The first rows of each query, all in one job.
    fn first_rows(&self, queries: &[String]) -> Result<Vec<Value>, RequestError> {
        let columns: Vec<String> = queries
            .iter()
            .enumerate()
            .map(|(place, sql)| {
                format!("ARRAY(SELECT AS STRUCT * FROM ({sql}) LIMIT {LOOKED_AT}) AS q{place}")
            })
            .collect();
        let answer = self.query(&format!("SELECT {}", columns.join(", ")))?;
        let cells = answer[0]["f"]
            .as_array()
            .filter(|cells| cells.len() == queries.len());
        let cells = cells.ok_or_else(|| RequestError::Refused("it gave rows of another form".to_owned()))?;
        Ok(cells.iter().map(|cell| cell["v"].clone()).collect())
    }

    fn outcomes(&self, queries: &[String]) -> Result<Vec<Outcome>, RunnerError> {
        match (self.first_rows(queries), queries) {
            (Ok(rows), _) => Ok(rows.iter().map(outcome).collect()),
            (Err(error), [_]) => {
                if let RequestError::Connection(reason) = &error {
                    // A query that brings it down, or takes forever, is one thing; that it is gone is another.
                    self.project().map_err(|_| {
                        RunnerError(format!("the emulator does not answer any more ({reason}); start it and go on with --resume"))
                    })?;
                }
                Ok(vec![failure(&error.to_string())])
            }
            (Err(_), queries) => {
                let (one, other) = queries.split_at(queries.len() / 2);
                let mut outcomes = self.outcomes(one)?;
                outcomes.extend(self.outcomes(other)?);
                Ok(outcomes)
            }
        }
    }
}

impl Runner for Emulator {
    fn open(&self, rows: &RowSet) -> Result<(), RunnerError> {
        self.make(rows).map_err(|error| RunnerError(error.to_string()))
    }

    fn run(&self, queries: &[String]) -> Result<Vec<Outcome>, RunnerError> {
        self.outcomes(queries)
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // What is left is deleted by the next run.
        let _ = self.clear();
    }
}

/// The address, where it is one of this machine.
fn local(address: &str) -> Result<Url, EmulatorError> {
    let url = Url::parse(address).map_err(|_| EmulatorError::Address(address.to_owned()))?;
    let host = url.host_str().unwrap_or_default();
    let is_local = host == "localhost"
        || host
            .trim_matches(['[', ']'])
            .parse::<IpAddr>()
            .is_ok_and(|ip| ip.is_loopback());
    if url.scheme() != "http" || !is_local {
        return Err(EmulatorError::Remote(address.to_owned()));
    }
    Ok(url)
}

/// Whether the first rows of a query say anything.
fn outcome(rows: &Value) -> Outcome {
    match rows.as_array().map(Vec::as_slice) {
        None | Some([]) => Outcome::Empty,
        Some([only]) if says_nothing(&only["v"]) => Outcome::Empty,
        Some(_) => Outcome::Rows,
    }
}

/// Whether there is nothing but zeros and missing values in it.
fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.parse::<f64>().is_ok_and(|number| number == 0.0),
        Value::Array(items) => items.iter().all(|item| says_nothing(&item["v"])),
        Value::Object(record) => record.get("f").is_some_and(says_nothing),
        _ => false,
    }
}

/// What BigQuery would say as well is the query's fault, the rest is the emulator's.
fn failure(message: &str) -> Outcome {
    let by_query = ["failed to analyze", "zero divided", "out of range"];
    if by_query.iter().any(|part| message.contains(part)) {
        Outcome::Failed(message.to_owned())
    } else {
        Outcome::Unable(message.to_owned())
    }
}
