//! A workspace folder with the fixtures' catalog, and a server that works in it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bigquill::catalog::LiveOptions;
use bigquill::session::{JudgeSource, ModelSource, ServerOptions};
use bigquill::settings::{ConfigFile, Sources};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::binary::{self, Ran};
use crate::client::Client;
use crate::generator::{Gate, Ready, gated};

/// A folder that is removed with the value.
pub struct Workspace {
    folder: TempDir,
}

impl Default for Workspace {
    fn default() -> Self {
        Self::new(&fixture("catalogs/shop.json"))
    }
}

impl Workspace {
    /// A workspace whose `bigquill.toml` names this catalog.
    #[must_use]
    pub fn new(catalog: &Path) -> Self {
        Self::with_config(&format!("catalog = {:?}\n", catalog.display().to_string()))
    }

    /// A workspace with this `bigquill.toml`.
    #[must_use]
    pub fn with_config(config: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder for temporary files");
        std::fs::write(folder.path().join("bigquill.toml"), config).expect("the folder is ours");
        Self { folder }
    }

    /// Path of a file in it.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file in it.
    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("the folder is ours");
    }

    /// Runs the `bigquill` binary in it.
    pub async fn run(&self, arguments: &[&str], input: &str) -> Ran {
        binary::run(self.folder.path(), arguments, input).await
    }

    /// As [`run`](Self::run), with these variables in the environment.
    pub async fn run_with(&self, arguments: &[&str], input: &str, environment: &[(&str, &str)]) -> Ran {
        binary::run_with(self.folder.path(), arguments, input, environment).await
    }

    /// Address of the folder.
    #[must_use]
    pub fn uri(&self) -> String {
        format!("file://{}", self.folder.path().display())
    }

    /// Address of a file in it.
    #[must_use]
    pub fn file_uri(&self, name: &str) -> String {
        format!("{}/{name}", self.uri())
    }

    /// Parameters of `initialize` for this workspace.
    #[must_use]
    pub fn initialize_params(&self, capabilities: Value) -> Value {
        json!({
            "rootUri": self.uri(),
            "workspaceFolders": [{ "uri": self.uri(), "name": "workspace" }],
            "capabilities": capabilities,
        })
    }

    /// A client of a server in memory, initialized in this workspace.
    pub async fn client(&self, models: Arc<dyn ModelSource>, capabilities: Value) -> Client {
        self.start(options(models), capabilities).await
    }

    /// A client of a server in memory with these options, initialized in this workspace.
    pub async fn start(&self, options: ServerOptions, capabilities: Value) -> Client {
        let mut client = Client::in_memory(options);
        client.initialize(self.initialize_params(capabilities)).await;
        client
    }

    /// A client of a server with GoogleSQL and a gated generator.
    pub async fn judged_client(&self, capabilities: Value) -> (Client, Gate) {
        let (generator, gate) = gated();
        let options = ServerOptions {
            judge: JudgeSource::Given(crate::judge::judge()),
            ..options(Arc::new(Ready(generator)))
        };
        (self.start(options, capabilities).await, gate)
    }

    /// A client of a server with a gated generator and without GoogleSQL.
    pub async fn gated_client(&self, capabilities: Value) -> (Client, Gate) {
        let (generator, gate) = gated();
        (self.client(Arc::new(Ready(generator)), capabilities).await, gate)
    }
}

/// A server that takes its settings from the workspace and the client alone.
#[must_use]
pub fn options(models: Arc<dyn ModelSource>) -> ServerOptions {
    ServerOptions {
        sources: Sources {
            config: ConfigFile::Search(PathBuf::new()),
            ..Sources::default()
        },
        models,
        judge: JudgeSource::Nowhere,
        live: LiveOptions {
            cache: None,
            ..LiveOptions::default()
        },
    }
}

/// Path of a fixture.
#[must_use]
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fixtures")
        .join(name)
}

/// Capabilities of an editor that can do everything but ask for the configuration.
#[must_use]
pub fn rich() -> Value {
    json!({
        "general": { "positionEncodings": ["utf-16"] },
        "window": { "workDoneProgress": true },
        "workspace": { "applyEdit": true, "workspaceEdit": { "documentChanges": true } },
        "textDocument": {
            "codeAction": { "codeActionLiteralSupport": { "codeActionKind": { "valueSet": [] } } },
            "inlineCompletion": {},
            "publishDiagnostics": { "versionSupport": true },
            "documentSymbol": { "hierarchicalDocumentSymbolSupport": true },
            "completion": { "completionItem": { "labelDetailsSupport": true, "snippetSupport": true } },
        },
    })
}
