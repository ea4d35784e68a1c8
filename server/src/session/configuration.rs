//! Settings and catalog of a session: read, watched, read again.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bigquill_analysis::schema::CatalogSnapshot;
use serde_json::{Map, Value};
use tower_lsp::lsp_types::request::{RegisterCapability, WorkspaceConfiguration, WorkspaceDiagnosticRefresh};
use tower_lsp::lsp_types::{
    ConfigurationItem, ConfigurationParams, DidChangeWatchedFilesRegistrationOptions, FileSystemWatcher,
    GlobPattern, MessageType, Registration, RegistrationParams,
};

use super::{CatalogState, Session};
use crate::catalog::{FileCatalog, LiveState};
use crate::settings::{self, CONFIG_FILE_NAME, ConfigFile, Settings};

/// The section of the editor's configuration that is ours.
const SECTION: &str = "bigquill";

/// How long the first reading of the catalog waits for the editor's configuration.
const CONFIGURATION_WAIT: Duration = Duration::from_secs(5);

impl Session {
    /// Takes the workspace's folder and the client's `initializationOptions`, and reads the settings. What cannot be
    /// used of them is told by [`start`](Self::start): before `initialized` a server shows nothing.
    pub fn configure(&self, workspace: Option<PathBuf>, options: Option<Value>) {
        {
            let mut sources = self.sources.write().unwrap_or_else(PoisonError::into_inner);
            if let (ConfigFile::Search(_), Some(folder)) = (&sources.config, &workspace) {
                sources.config = ConfigFile::Search(folder.clone());
            }
            sources.workspace = workspace;
            sources.client = ours(options.unwrap_or_default());
        }
        self.load_settings();
    }

    /// Reads the settings again from all their layers; returns what could not be used.
    fn load_settings(&self) -> Vec<String> {
        let loaded = {
            let sources = self.sources.read().unwrap_or_else(PoisonError::into_inner);
            settings::load(&sources)
        };
        self.generator.settings_changed(&loaded.settings);
        *self.settings.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(loaded.settings);
        loaded
            .problems
            .into_iter()
            .map(|problem| problem.message)
            .collect()
    }

    /// What follows `initialized`: asks for the editor's configuration, reads the catalog, registers watchers.
    pub async fn start(self: &Arc<Self>) {
        if self.abilities().configuration {
            // A client that never answers must not keep the catalog away.
            let _ = tokio::time::timeout(CONFIGURATION_WAIT, self.pull_configuration()).await;
        }
        self.reload_settings().await;
        self.open_catalog().await;
        self.register().await;
    }

    /// Takes the settings that a client pushed, or asks for them where it would rather be asked.
    pub async fn configuration_changed(self: &Arc<Self>, pushed: Value) {
        if self.abilities().configuration {
            self.pull_configuration().await;
        } else if pushed.as_object().is_some_and(|map| !map.is_empty()) {
            self.take_configuration(pushed);
        }
        self.reload_settings().await;
        self.reopen_catalog().await;
    }

    /// A watched file changed: the configuration, or a catalog file.
    pub async fn files_changed(self: &Arc<Self>, configuration: bool) {
        if configuration {
            self.reload_settings().await;
            self.reopen_catalog().await;
        } else {
            self.refresh_catalog().await;
        }
    }

    async fn pull_configuration(&self) {
        let params = ConfigurationParams {
            items: vec![ConfigurationItem {
                scope_uri: None,
                section: Some(SECTION.to_owned()),
            }],
        };
        match self.editor.ask::<WorkspaceConfiguration>(params).await {
            Ok(values) => {
                if let Some(value) = values.into_iter().next().filter(|value| !value.is_null()) {
                    self.take_configuration(value);
                }
            }
            Err(error) => tracing::warn!(%error, "the client did not send its configuration"),
        }
    }

    fn take_configuration(&self, value: Value) {
        let mut sources = self.sources.write().unwrap_or_else(PoisonError::into_inner);
        sources.client = merged(std::mem::take(&mut sources.client), value);
    }

    async fn reload_settings(self: &Arc<Self>) {
        let session = Arc::clone(self);
        let problems = tokio::task::spawn_blocking(move || session.load_settings())
            .await
            .unwrap_or_default();
        self.show_problems(problems).await;
    }

    /// Shows each problem once in this session.
    pub async fn show_problems(&self, problems: Vec<String>) {
        for problem in problems {
            self.editor.show_once(MessageType::WARNING, &problem).await;
        }
    }

    async fn open_catalog(self: &Arc<Self>) {
        let settings = self.settings();
        let opened = tokio::task::spawn_blocking({
            let settings = Arc::clone(&settings);
            move || FileCatalog::open(&settings.catalog, settings.project.clone())
        });
        self.open_live(&settings).await;
        if let Ok(files) = opened.await {
            self.publish_catalog(Some(Arc::new(files))).await;
        }
    }

    /// Opens the catalog anew where the settings name another one, else looks for changed files.
    async fn reopen_catalog(self: &Arc<Self>) {
        let settings = self.settings();
        let same = self
            .catalog_state()
            .is_some_and(|state| is_catalog_of(&state.files, &settings));
        if same && self.is_live_of(&settings) {
            self.refresh_catalog().await;
        } else {
            self.open_catalog().await;
            self.register_catalog_watchers().await;
        }
    }

    /// Reads the catalog files that changed.
    pub async fn refresh_catalog(self: &Arc<Self>) {
        let Some(state) = self.catalog_state() else { return };
        let files = Arc::clone(&state.files);
        if tokio::task::spawn_blocking(move || files.refresh())
            .await
            .unwrap_or(false)
        {
            self.publish_catalog(Some(state.files)).await;
        }
    }

    /// Makes one snapshot of catalog files (those of before without new ones) and of what BigQuery said, where either
    /// changed, and has findings looked at again.
    pub(super) async fn publish_catalog(self: &Arc<Self>, files: Option<Arc<FileCatalog>>) {
        // What is read later must not be followed by what was read before it.
        let _one_at_a_time = self.live.publishing.lock().await;
        let before = self.catalog_state();
        let live = self.live_state();
        let epoch = |live: &Option<LiveState>| live.as_ref().map(|live| live.epoch);
        let same = files.is_none()
            && before
                .as_ref()
                .is_some_and(|before| epoch(&before.live) == epoch(&live));
        let Some(files) = files.or_else(|| before.map(|before| before.files)) else {
            return;
        };
        if same {
            self.catalog.send_modify(|state| {
                if let Some(state) = state {
                    state.live = live;
                }
            });
            return;
        }
        let problems = files.problems().iter().map(ToString::to_string).collect();
        let merged = tokio::task::spawn_blocking({
            let (files, live) = (Arc::clone(&files), live.clone());
            move || merge(&files, live.as_ref())
        });
        let Ok(snapshot) = merged.await else { return };
        self.catalog.send_modify(|state| {
            *state = Some(CatalogState {
                epoch: state.as_ref().map_or(1, |state| state.epoch + 1),
                files,
                live,
                snapshot,
            });
        });
        self.show_problems(problems).await;
        self.recheck_all();
        self.refresh_pulled();
    }

    /// Has a client that pulls findings pull them again.
    pub fn refresh_pulled(self: &Arc<Self>) {
        if self.abilities().pulls_diagnostics {
            let session = Arc::clone(self);
            tokio::spawn(async move {
                if let Err(error) = session.editor.ask::<WorkspaceDiagnosticRefresh>(()).await {
                    tracing::debug!(%error, "no diagnostic refresh");
                }
            });
        }
    }

    pub(super) fn catalog_state(&self) -> Option<CatalogState> {
        self.catalog.borrow().clone()
    }

    async fn register(self: &Arc<Self>) {
        let mut registrations = Vec::new();
        if self.abilities().registers_configuration {
            registrations.push(Registration {
                id: "bigquill.configuration".into(),
                method: "workspace/didChangeConfiguration".into(),
                register_options: Some(serde_json::json!({ "section": SECTION })),
            });
        }
        if self.abilities().registers_watchers {
            registrations.push(watchers(
                "bigquill.configuration-file",
                &[format!("**/{CONFIG_FILE_NAME}")],
            ));
        }
        self.register_all(registrations).await;
        self.register_catalog_watchers().await;
    }

    async fn register_catalog_watchers(self: &Arc<Self>) {
        let Some(state) = self
            .catalog_state()
            .filter(|_| self.abilities().registers_watchers)
        else {
            return;
        };
        let folder = self.workspace().unwrap_or_default();
        let absolute = |pattern: &String| folder.join(pattern).to_string_lossy().into_owned();
        let patterns: Vec<String> = state.files.patterns().iter().map(absolute).collect();
        if !patterns.is_empty() {
            // Earlier watchers stay: a change of a file that is no longer used is looked at in vain, no more.
            let id = format!("bigquill.catalog.{}", state.epoch);
            self.register_all(vec![watchers(&id, &patterns)]).await;
        }
    }

    async fn register_all(self: &Arc<Self>, registrations: Vec<Registration>) {
        if registrations.is_empty() {
            return;
        }
        if let Err(error) = self
            .editor
            .ask::<RegisterCapability>(RegistrationParams { registrations })
            .await
        {
            tracing::warn!(%error, "the client refused a registration");
        }
    }
}

fn watchers(id: &str, patterns: &[String]) -> Registration {
    let watchers = patterns
        .iter()
        .map(|pattern| FileSystemWatcher {
            glob_pattern: GlobPattern::String(pattern.clone()),
            kind: None,
        })
        .collect();
    let options = DidChangeWatchedFilesRegistrationOptions { watchers };
    Registration {
        id: id.to_owned(),
        method: "workspace/didChangeWatchedFiles".into(),
        register_options: serde_json::to_value(options).ok(),
    }
}

fn is_catalog_of(files: &FileCatalog, settings: &Settings) -> bool {
    files.patterns() == settings.catalog.as_slice() && files.project() == settings.project.as_deref()
}

fn merge(files: &FileCatalog, live: Option<&LiveState>) -> Arc<CatalogSnapshot> {
    let files = files.current();
    match live {
        Some(live) => Arc::new(live.known.merged(&files, live.project.as_deref())),
        None => files,
    }
}

/// Our part of what a client sent: the section, where it sent more than ours.
fn ours(value: Value) -> Value {
    match value {
        Value::Object(mut map) => match map.remove(SECTION) {
            Some(section) => section,
            None => Value::Object(map),
        },
        other => other,
    }
}

/// Settings over settings, key by key.
fn merged(below: Value, above: Value) -> Value {
    match (below, ours(above)) {
        (Value::Object(mut below), Value::Object(above)) => {
            let set: Map<String, Value> = above.into_iter().filter(|(_, value)| !value.is_null()).collect();
            below.extend(set);
            Value::Object(below)
        }
        (below, Value::Null) => below,
        (_, above) => above,
    }
}
