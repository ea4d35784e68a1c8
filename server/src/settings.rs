//! What a person can set, and the layers it comes from.
//!
//! One [`Settings`] struct serves the command line, `bigquill.toml` and the editors; its JSON schema is committed
//! (`server/settings.schema.json`) and a test holds the two together. Later layers win, key by key:
//! defaults, `bigquill.toml`, the editor's configuration, `BIGQUILL_*` variables, flags.
//! A key or value that cannot be used becomes a [`Problem`] and is left out: nothing here stops the server.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bigquill_model::corpus::Corpus;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

mod byte_limit;
mod config_file;
mod layer;

pub use byte_limit::ByteLimit;
pub use config_file::{CONFIG_FILE_NAME, find_config_file};
use layer::{Layer, Origin};

/// Everything that can be set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Settings {
    /// Project whose tables are written `dataset.table`. Without it the only project of the catalog is taken.
    pub project: Option<String>,
    /// Catalog files: JSON arrays or JSON lines of `bq show --format=json` output, `.gz` too; one path or a list, `*` and `**` allowed.
    #[serde(deserialize_with = "one_or_many", serialize_with = "as_list")]
    #[schemars(with = "OneOrMany")]
    pub catalog: Vec<String>,
    /// Project that dry runs are made in, where it is not `project`: the one where you may start jobs.
    pub billing_project: Option<String>,
    /// Where jobs and dry runs are made, such as `EU` or `europe-west3`, where BigQuery cannot tell by the tables.
    pub location: Option<String>,
    /// Key file of a service account, or another credentials file, for BigQuery. Without it application default credentials (`gcloud auth application-default login`).
    pub credentials: Option<String>,
    /// Address of another BigQuery, such as `http://127.0.0.1:9050` of an emulator. No credentials are sent there.
    pub endpoint: Option<String>,
    /// Know BigQuery's tables in the editor: `auto` where `endpoint` or `credentials` is set, `on` also with application default credentials, `off` never.
    pub live_catalog: Switch,
    /// Datasets whose tables the editor lists, as `dataset` or `project.dataset`. Without any all of the project's.
    #[serde(deserialize_with = "one_or_many", serialize_with = "as_list")]
    #[schemars(with = "OneOrMany")]
    pub datasets: Vec<String>,
    /// Have BigQuery plan answers before they are offered, and the statements of a file when it is saved, for its errors and for bytes and price: `auto` where `endpoint` or `credentials` is set, `on`, `off`. The SQL is sent; nothing is run.
    pub dry_run: Switch,
    /// What reading a TiB costs, in USD, for the price of a dry run.
    #[schemars(range(min = 0))]
    #[serde(deserialize_with = "price")]
    pub price_per_tib: f64,
    /// A statement that would read more is not run: bytes, or a text such as `100 GiB`; 0 for no limit.
    pub maximum_bytes_billed: ByteLimit,
    /// Rows on a page of results.
    #[schemars(range(min = 1, max = 10000))]
    #[serde(deserialize_with = "page_rows")]
    pub result_rows: usize,
    /// Types and values of query parameters by name, such as `day = "DATE = 2024-01-01"`; comments in a file (`-- @day DATE = 2024-01-01`) win.
    pub parameters: BTreeMap<String, String>,
    /// A known model (`bigquill model list`) or the path of a `.gguf` file.
    pub model: String,
    /// `default` (the adapter made for the model, if there is one), `none`, or the folder of a PEFT LoRA adapter. A folder that changes, or comes to be, is taken up by the next question.
    pub adapter: String,
    /// Where the model runs. `cuda` and `metal` need a build with that feature.
    pub device: Device,
    /// With a seed answers are drawn at random, the same for the same seed; without one the likeliest token is taken.
    pub seed: Option<u64>,
    /// Most tokens of one answer.
    #[schemars(range(min = 1, max = 8192))]
    #[serde(deserialize_with = "positive")]
    pub max_tokens: usize,
    /// Most tokens of tables, evidence and question in a prompt; tables beyond that are left out by relevance.
    #[schemars(range(min = 100))]
    #[serde(deserialize_with = "at_least_100")]
    pub prompt_tokens: usize,
    /// Threads of the model on the CPU. Without it one for each core.
    #[schemars(range(min = 1))]
    #[serde(deserialize_with = "positive_option")]
    pub threads: Option<usize>,
    /// Offer the answer of a comment as ghost text or completion item.
    pub ghost_text: bool,
    /// Make ghost text while typing; otherwise only where the editor says that it was asked for.
    pub ghost_text_automatic: bool,
    /// Report findings in open files.
    pub diagnostics: bool,
    /// Have GoogleSQL, BigQuery's own analyzer, judge SQL where its module is there (`bigquill model pull googlesql`).
    pub judge: bool,
    /// Keep what was offered, accepted and edited in a file on this machine, for `finetune`: question, prompt (schemas, never rows) and SQL. `bigquill accepted` shows it and forgets it.
    pub store_accepted: bool,
    /// That file, such as `accepted.sqlite`, instead of one in the user's data folder.
    pub store_file: Option<String>,
    /// Keep SQL without its literals and questions without their values.
    pub redact_literals: bool,
}

/// Where the model runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Device {
    /// The processor.
    #[default]
    Cpu,
    /// An NVIDIA GPU.
    Cuda,
    /// An Apple GPU.
    Metal,
}

/// Whether something that needs a connection is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Switch {
    /// Where a connection is configured.
    #[default]
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

/// Where settings come from, weakest first. `Default` is: nothing but defaults.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The configuration file.
    pub config: ConfigFile,
    /// What an editor sent: `initializationOptions` or the answer to `workspace/configuration`, alone or under `bigquill`.
    pub client: Value,
    /// Folder that relative paths of the editor's configuration start from; the current one without it.
    pub workspace: Option<PathBuf>,
    /// Environment variables; those named `BIGQUILL_<KEY>` count.
    pub environment: Vec<(String, String)>,
    /// Flags of the command line, by setting.
    pub flags: Map<String, Value>,
}

/// Which `bigquill.toml` to read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ConfigFile {
    /// None.
    #[default]
    None,
    /// The nearest one, in this folder or above (or beside this file or above).
    Search(PathBuf),
    /// Exactly this one; that it is missing is a problem.
    Path(PathBuf),
}

/// Settings as far as they could be read, and what could not.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Loaded {
    /// The settings. Paths are absolute or relative to the current folder.
    pub settings: Settings,
    /// The configuration file that was read.
    pub config_file: Option<PathBuf>,
    /// Unknown keys, bad values, unreadable files.
    pub problems: Vec<Problem>,
}

/// Something in a layer that cannot be used, with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Path of the file, if it is in one.
    pub file: Option<PathBuf>,
    /// Line in the file, from 1.
    pub line: Option<usize>,
    /// The message, which names its place.
    pub message: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            project: None,
            catalog: Vec::new(),
            billing_project: None,
            location: None,
            credentials: None,
            endpoint: None,
            live_catalog: Switch::Auto,
            datasets: Vec::new(),
            dry_run: Switch::Auto,
            price_per_tib: 6.25,
            maximum_bytes_billed: ByteLimit::default(),
            result_rows: 100,
            parameters: BTreeMap::new(),
            model: "qwen2.5-coder-0.5b".to_owned(),
            adapter: "default".to_owned(),
            device: Device::Cpu,
            seed: None,
            max_tokens: 256,
            prompt_tokens: 1000,
            threads: None,
            ghost_text: true,
            ghost_text_automatic: true,
            diagnostics: true,
            judge: true,
            store_accepted: false,
            store_file: None,
            redact_literals: false,
        }
    }
}

impl Settings {
    /// Whether the editor may ask BigQuery about tables.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.is_on(self.live_catalog)
    }

    /// Whether a save sends the statements of a file for a dry run, and an answer is sent for one.
    #[must_use]
    pub fn dry_runs(&self) -> bool {
        self.is_on(self.dry_run)
    }

    /// Whether a person who wants something of BigQuery in the editor can have it: statements have a lens to run them.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.is_on(Switch::Auto) || self.live_catalog == Switch::On || self.dry_run == Switch::On
    }

    /// The file of accepted completions; none without a home folder.
    #[must_use]
    pub fn store_path(&self) -> Option<PathBuf> {
        self.store_file
            .as_ref()
            .map(PathBuf::from)
            .or_else(Corpus::user_file)
    }

    fn is_on(&self, switch: Switch) -> bool {
        match switch {
            Switch::On => true,
            Switch::Off => false,
            Switch::Auto => self.endpoint.is_some() || self.credentials.is_some(),
        }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::fmt::Display for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
            Self::Metal => "metal",
        })
    }
}

/// The settings of these sources, layer over layer.
#[must_use]
pub fn load(sources: &Sources) -> Loaded {
    let mut loaded = Loaded::default();
    let mut layers = Vec::new();
    if let Some(path) = config_path(&sources.config) {
        match config_file::read(&path) {
            Ok(layer) => {
                layers.push(layer);
                loaded.config_file = Some(path);
            }
            Err(problem) => loaded.problems.push(problem),
        }
    }
    layers.push(client_layer(sources, &mut loaded.problems));
    layers.push(layer::environment(&sources.environment));
    layers.push(Layer::new(&sources.flags, Path::new(""), |key| {
        Origin::named(format!("--{}", key.replace('_', "-")))
    }));
    let mut value = serde_json::to_value(&loaded.settings).unwrap_or_default();
    for layer in layers {
        layer.apply(&mut value, &mut loaded.settings, &mut loaded.problems);
    }
    loaded
}

/// The JSON schema of [`Settings`], as editors and their tests take it.
#[must_use]
pub fn json_schema() -> Value {
    let mut schema = schemars::schema_for!(Settings).to_value();
    schema["additionalProperties"] = Value::Bool(false);
    schema
}

/// Names of all settings.
pub(crate) fn keys() -> Vec<String> {
    match serde_json::to_value(Settings::default()) {
        Ok(Value::Object(map)) => map.keys().cloned().collect(),
        _ => Vec::new(),
    }
}

fn config_path(config: &ConfigFile) -> Option<PathBuf> {
    match config {
        ConfigFile::None => None,
        ConfigFile::Search(start) => find_config_file(start),
        ConfigFile::Path(path) => Some(path.clone()),
    }
}

fn client_layer(sources: &Sources, problems: &mut Vec<Problem>) -> Layer {
    let value = match &sources.client {
        Value::Object(map) if map.len() == 1 && map.contains_key("bigquill") => &map["bigquill"],
        other => other,
    };
    let base = sources.workspace.clone().unwrap_or_default();
    let map = match value {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| (layer::snake_case(key), value.clone()))
            .collect(),
        Value::Null => Map::new(),
        other => {
            problems.push(Problem::new(format!(
                "the editor's configuration is {other}, not an object with settings such as \"catalog\""
            )));
            Map::new()
        }
    };
    Layer::new(&map, &base, |key| {
        Origin::named(format!("the editor's configuration, `{key}`"))
    })
}

impl Problem {
    fn new(message: String) -> Self {
        Self {
            file: None,
            line: None,
            message,
        }
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

fn one_or_many<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    match OneOrMany::deserialize(deserializer) {
        Ok(OneOrMany::One(path)) => Ok(vec![path]),
        Ok(OneOrMany::Many(paths)) => Ok(paths),
        Err(_) => Err(serde::de::Error::custom("expected a path or a list of paths")),
    }
}

fn as_list<S: serde::Serializer>(paths: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    paths.serialize(serializer)
}

fn positive<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    at_least(usize::deserialize(deserializer)?, 1)
}

fn at_least_100<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    at_least(usize::deserialize(deserializer)?, 100)
}

fn page_rows<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let rows = at_least(usize::deserialize(deserializer)?, 1)?;
    if rows <= 10_000 {
        Ok(rows)
    } else {
        Err(serde::de::Error::custom(format!(
            "expected at most 10000, not {rows}"
        )))
    }
}

fn positive_option<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<usize>, D::Error> {
    Option::<usize>::deserialize(deserializer)?
        .map(|n| at_least(n, 1))
        .transpose()
}

fn price<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let price = f64::deserialize(deserializer)?;
    if price.is_finite() && price >= 0.0 {
        Ok(price)
    } else {
        Err(serde::de::Error::custom(format!(
            "expected a price of 0 or more, not {price}"
        )))
    }
}

fn at_least<E: serde::de::Error>(value: usize, least: usize) -> Result<usize, E> {
    if value >= least {
        Ok(value)
    } else {
        Err(E::custom(format!("expected at least {least}, not {value}")))
    }
}

#[cfg(test)]
mod tests;
