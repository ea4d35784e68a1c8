//! Schemas from snapshot files, exactly what `bq show --format=json` prints; `.gz` too.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use async_trait::async_trait;
use bigquill_analysis::schema::{
    CatalogSnapshot, ResourceError, Routine, TableReference, TableSchema, read_resources,
};

use super::{Catalog, CatalogError, CatalogProblem, DatasetReference, array};

/// Snapshot files as a catalog. Files are read again when they change.
#[derive(Debug)]
pub struct FileCatalog {
    patterns: Vec<String>,
    project: Option<String>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    files: Vec<LoadedFile>,
    snapshot: Arc<CatalogSnapshot>,
    problems: Vec<CatalogProblem>,
}

#[derive(Debug)]
struct LoadedFile {
    path: PathBuf,
    stamp: Option<Stamp>,
    tables: Vec<TableSchema>,
    routines: Vec<Routine>,
    problems: Vec<CatalogProblem>,
}

/// What tells that a file has changed, without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    modified: SystemTime,
    length: u64,
}

impl FileCatalog {
    /// The catalog of these paths or patterns (`*`, `**`), read now. `project` is the default project, if set.
    #[must_use]
    pub fn open(patterns: &[String], project: Option<String>) -> Self {
        let catalog = Self {
            patterns: patterns.to_vec(),
            project,
            state: Mutex::new(State::default()),
        };
        catalog.refresh();
        catalog
    }

    /// Reads what has changed since the last time; true when the snapshot is another one now.
    pub fn refresh(&self) -> bool {
        let (paths, mut problems) = expand(&self.patterns);
        let mut state = self.state();
        let same = paths.iter().eq(state.files.iter().map(|f| &f.path))
            && state
                .files
                .iter()
                .all(|f| f.stamp.is_some() && stamp(&f.path) == f.stamp);
        if same && !paths.is_empty() {
            return false;
        }
        let mut old = std::mem::take(&mut state.files);
        state.files = paths
            .into_iter()
            .map(|path| take_or_load(&mut old, path))
            .collect();
        problems.extend(state.files.iter().flat_map(|f| f.problems.clone()));
        state.problems = problems;
        state.snapshot = Arc::new(snapshot_of(&state.files, self.project.clone()));
        true
    }

    /// The schemas as last read.
    #[must_use]
    pub fn current(&self) -> Arc<CatalogSnapshot> {
        Arc::clone(&self.state().snapshot)
    }

    /// Missing files, broken lines: one problem each.
    #[must_use]
    pub fn problems(&self) -> Vec<CatalogProblem> {
        self.state().problems.clone()
    }

    /// The files that the patterns name now.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        self.state().files.iter().map(|f| f.path.clone()).collect()
    }

    /// The paths or patterns it was opened with.
    #[must_use]
    pub fn patterns(&self) -> &[String] {
        &self.patterns
    }

    /// The default project it was opened with.
    #[must_use]
    pub fn project(&self) -> Option<&str> {
        self.project.as_deref()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every write leaves a whole state, so that a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Catalog for FileCatalog {
    async fn tables(&self, dataset: &DatasetReference) -> Result<Vec<TableReference>, CatalogError> {
        let snapshot = self.current();
        let project = default_project(&dataset.project, &snapshot);
        let tables: Vec<_> = snapshot
            .tables()
            .map(|t| &t.reference)
            .filter(|t| t.project == project && t.dataset == dataset.dataset)
            .cloned()
            .collect();
        if tables.is_empty() {
            return Err(CatalogError::NotFound(format!(
                "the catalog files have no dataset {}",
                dataset.dataset
            )));
        }
        Ok(tables)
    }

    async fn schema(&self, table: &TableReference) -> Result<Option<Arc<TableSchema>>, CatalogError> {
        Ok(self.current().table(table).cloned())
    }

    async fn snapshot(&self) -> Result<Arc<CatalogSnapshot>, CatalogError> {
        self.refresh();
        let state = self.state();
        if state.snapshot.is_empty()
            && let Some(problem) = state.problems.first()
        {
            return Err(CatalogError::Unavailable(problem.to_string()));
        }
        Ok(Arc::clone(&state.snapshot))
    }
}

fn default_project<'a>(project: &'a str, snapshot: &'a CatalogSnapshot) -> &'a str {
    if project.is_empty() {
        snapshot.default_project.as_deref().unwrap_or_default()
    } else {
        project
    }
}

/// The files of these paths and patterns, in the order given, each once; a pattern's files by name.
fn expand(patterns: &[String]) -> (Vec<PathBuf>, Vec<CatalogProblem>) {
    let mut paths: Vec<PathBuf> = Vec::new();
    let mut problems = Vec::new();
    for pattern in patterns {
        let plain = Path::new(pattern);
        let found = if plain.exists() || !pattern.contains(['*', '?', '[']) {
            vec![plain.to_owned()]
        } else {
            match glob::glob(pattern) {
                Ok(found) => found.flatten().collect(),
                Err(error) => {
                    problems.push(problem(
                        plain,
                        None,
                        format!("this pattern cannot be used: {error}"),
                    ));
                    continue;
                }
            }
        };
        if found.is_empty() {
            problems.push(problem(
                plain,
                None,
                "no catalog file matches this pattern".to_owned(),
            ));
        }
        for path in found {
            if !paths.contains(&path) {
                paths.push(path);
            }
        }
    }
    (paths, problems)
}

fn take_or_load(old: &mut Vec<LoadedFile>, path: PathBuf) -> LoadedFile {
    let stamp = stamp(&path);
    match old
        .iter()
        .position(|f| f.path == path && f.stamp.is_some() && f.stamp == stamp)
    {
        Some(index) => old.swap_remove(index),
        None => load(path, stamp),
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = std::fs::metadata(path).ok()?;
    Some(Stamp {
        modified: metadata.modified().ok()?,
        length: metadata.len(),
    })
}

fn load(path: PathBuf, stamp: Option<Stamp>) -> LoadedFile {
    let (tables, routines, problems) = match read_text(&path) {
        Ok(text) => {
            let (tables, routines, errors) = read_catalog_text(&text);
            let problems = errors
                .into_iter()
                .map(|(line, m)| problem(&path, line, m))
                .collect();
            (tables, routines, problems)
        }
        Err(message) => (Vec::new(), Vec::new(), vec![problem(&path, None, message)]),
    };
    LoadedFile {
        path,
        stamp,
        tables,
        routines,
        problems,
    }
}

/// Tables, routines, and messages with their line, from 1, where it is known.
pub type CatalogText = (Vec<TableSchema>, Vec<Routine>, Vec<(Option<usize>, String)>);

/// Tables and routines of a catalog text; what cannot be read is left out and told with its line, from 1.
#[must_use]
pub fn read_catalog_text(text: &str) -> CatalogText {
    if !text.trim_start_matches('\u{feff}').trim_start().starts_with('[') {
        let (tables, routines, errors) = read_resources(text);
        if errors.len() > 1 {
            let concatenated = read_concatenated(text);
            if concatenated.2.len() < errors.len() {
                return concatenated;
            }
        }
        let errors = errors.into_iter().map(|e| (Some(line(&e)), message(e))).collect();
        return (tables, routines, errors);
    }
    let mut all = (Vec::new(), Vec::new(), Vec::new());
    let (elements, error) = array::elements(text);
    for element in elements {
        let (tables, routines, errors) = read_resources(element.text);
        all.0.extend(tables);
        all.1.extend(routines);
        // Only the first: what follows a broken place in one element is noise.
        all.2.extend(errors.into_iter().take(1).map(|e| {
            let offset = match &e {
                ResourceError::Json { line, .. } => line - 1,
                ResourceError::Resource { .. } => 0,
            };
            (Some(element.line + offset), message(e))
        }));
    }
    all.2.extend(error.map(|(line, message)| (Some(line), message)));
    all
}

/// Objects one after the other, each over several lines, as `--format=prettyjson` prints them.
fn read_concatenated(text: &str) -> CatalogText {
    let mut all = (Vec::new(), Vec::new(), Vec::new());
    for value in serde_json::Deserializer::from_str(text).into_iter::<serde_json::Value>() {
        match value {
            Ok(value) => {
                let (tables, routines, errors) = read_resources(&value.to_string());
                all.0.extend(tables);
                all.1.extend(routines);
                all.2.extend(errors.into_iter().map(|e| (None, message(e))));
            }
            Err(error) => {
                let message = format!("not JSON from here on: {}", without_place(&error.to_string()));
                all.2.push((Some(error.line()), message));
            }
        }
    }
    all
}

fn line(error: &ResourceError) -> usize {
    match error {
        ResourceError::Json { line, .. } | ResourceError::Resource { line, .. } => *line,
    }
}

/// The message without the line, which the problem names, and without serde's own count of lines.
fn message(error: ResourceError) -> String {
    match error {
        ResourceError::Json { message, .. } => {
            let message = without_place(&message);
            format!("not JSON here ({message}); this entry is left out, the others are used")
        }
        ResourceError::Resource { message, .. } => {
            format!("{message}; this entry is left out, the others are used")
        }
    }
}

fn without_place(message: &str) -> &str {
    message.split(" at line ").next().unwrap_or_default()
}

/// The text of a file, decompressed where it begins as gzip does.
pub(super) fn read_text(path: &Path) -> Result<String, String> {
    let bytes = std::fs::read(path).map_err(|error| {
        if error.kind() == std::io::ErrorKind::NotFound {
            "there is no such catalog file; make one with `bigquill catalog sync --out FILE` or `bq show --format=json DATASET.TABLE >> FILE`, or correct `catalog`"
                .to_owned()
        } else {
            format!("the catalog file cannot be read: {error}")
        }
    })?;
    let bytes = if bytes.starts_with(&[0x1f, 0x8b]) {
        let mut out = Vec::new();
        flate2::read::MultiGzDecoder::new(bytes.as_slice())
            .read_to_end(&mut out)
            .map_err(|error| format!("not a whole gzip file: {error}"))?;
        out
    } else {
        bytes
    };
    String::from_utf8(bytes).map_err(|error| format!("not UTF-8 text: {error}"))
}

fn snapshot_of(files: &[LoadedFile], project: Option<String>) -> CatalogSnapshot {
    let tables = files.iter().flat_map(|f| f.tables.iter().cloned());
    let routines = files.iter().flat_map(|f| f.routines.iter().cloned());
    let mut snapshot = CatalogSnapshot::new(project, tables, routines);
    snapshot.read_at = files.iter().filter_map(|f| Some(f.stamp?.modified)).min();
    snapshot
}

fn problem(path: &Path, line: Option<usize>, message: String) -> CatalogProblem {
    CatalogProblem {
        path: path.to_owned(),
        line,
        message,
    }
}

#[cfg(test)]
mod tests;
