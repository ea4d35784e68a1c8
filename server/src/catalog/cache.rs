//! What was read of BigQuery, kept between starts: one SQLite file for each project and endpoint, for its owner alone.
//!
//! It is a cache: a file that cannot be used is made anew. Names stand apart from resources, so that a hundred thousand
//! names are read without the schemas behind them. All functions block.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bigquill_analysis::schema::{Listing, TableReference};
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::Value;

use super::{DatasetReference, Member};

/// The form of the file; another one is made anew.
const VERSION: i32 = 2;
/// How long another bigquill that writes is waited for.
const BUSY: Duration = Duration::from_secs(5);

const SCHEMA: &str = "
    CREATE TABLE projects (project TEXT PRIMARY KEY, listed_at INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE datasets (
        project TEXT NOT NULL, dataset TEXT NOT NULL, listed_at INTEGER,
        PRIMARY KEY (project, dataset)
    ) WITHOUT ROWID;
    -- `id` is the table that a family's schema is read of.
    CREATE TABLE names (
        project TEXT NOT NULL, dataset TEXT NOT NULL, name TEXT NOT NULL, id TEXT,
        PRIMARY KEY (project, dataset, name)
    ) WITHOUT ROWID;
    CREATE TABLE resources (
        project TEXT NOT NULL, dataset TEXT NOT NULL, name TEXT NOT NULL,
        modified TEXT NOT NULL, read_at INTEGER NOT NULL, resource TEXT NOT NULL,
        PRIMARY KEY (project, dataset, name)
    );
    CREATE TABLE routines (
        project TEXT NOT NULL, dataset TEXT NOT NULL, name TEXT NOT NULL,
        modified TEXT NOT NULL, read_at INTEGER NOT NULL, resource TEXT NOT NULL,
        PRIMARY KEY (project, dataset, name)
    );
";

/// A cache that cannot be opened, read or written.
#[derive(Debug, thiserror::Error)]
#[error("the cache {} cannot be used: {source}; remove the file, or set BIGQUILL_CACHE to another folder", path.display())]
pub struct CacheError {
    path: PathBuf,
    source: CacheFault,
}

#[derive(Debug, thiserror::Error)]
enum CacheFault {
    #[error("{0}")]
    Sqlite(#[from] rusqlite::Error),
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

/// An open cache.
pub struct CatalogCache {
    path: PathBuf,
    connection: Mutex<Connection>,
}

/// A table or routine as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachedResource {
    /// Its name in the catalog.
    pub reference: TableReference,
    /// BigQuery's `lastModifiedTime`; empty where it gave none.
    pub modified: String,
    /// When it was read.
    pub read_at: SystemTime,
    /// The `tables.get` resource, or that of `routines.get` without the routine's code.
    pub resource: String,
}

/// How much a cache holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatasetSummary {
    /// The dataset.
    pub dataset: DatasetReference,
    /// Tables whose names are known.
    pub names: usize,
    /// Tables whose schemas are known.
    pub schemas: usize,
    /// Routines that are known.
    pub routines: usize,
    /// When the oldest of these was read.
    pub oldest: Option<SystemTime>,
    /// When the newest of these was read.
    pub newest: Option<SystemTime>,
}

impl CachedResource {
    /// A `tables.get` resource that was read then; none where it names no table.
    #[must_use]
    pub fn table(resource: &Value, read_at: SystemTime) -> Option<Self> {
        Self::of(resource, ["tableReference", "tableId"], read_at)
    }

    /// A `routines.get` resource that was read then; none where it names no routine.
    #[must_use]
    pub fn routine(resource: &Value, read_at: SystemTime) -> Option<Self> {
        let mut kept = resource.clone();
        if let Some(object) = kept.as_object_mut() {
            // A signature is enough to know it, and code is nobody's business here.
            for of_code in [
                "definitionBody",
                "importedLibraries",
                "sparkOptions",
                "pythonOptions",
            ] {
                object.shift_remove(of_code);
            }
        }
        Self::of(&kept, ["routineReference", "routineId"], read_at)
    }

    fn of(resource: &Value, [reference, id]: [&str; 2], read_at: SystemTime) -> Option<Self> {
        let text = |value: Option<&Value>| Some(value?.as_str()?.to_owned());
        let name = |part: &str| text(resource.get(reference)?.get(part));
        Some(Self {
            reference: TableReference {
                project: name("projectId")?,
                dataset: name("datasetId")?,
                table: name(id)?,
            },
            modified: text(resource.get("lastModifiedTime")).unwrap_or_default(),
            read_at,
            resource: resource.to_string(),
        })
    }
}

impl CatalogCache {
    /// The cache of a project at an endpoint (none for Google's own) in this folder, made where it is not there.
    ///
    /// # Errors
    /// Where the folder cannot be written.
    pub fn open(folder: &Path, project: &str, endpoint: Option<&str>) -> Result<Self, CacheError> {
        let path = folder.join(file_name(project, endpoint));
        let open = || -> Result<Connection, CacheFault> {
            make_private(folder, &path)?;
            match connect(&path) {
                Ok(connection) => Ok(connection),
                Err(CacheFault::Sqlite(error)) if is_spoiled(&error) => {
                    tracing::warn!(%error, path = %path.display(), "the cache is made anew");
                    remove(&path)?;
                    make_private(folder, &path)?;
                    connect(&path)
                }
                Err(error) => Err(error),
            }
        };
        match open() {
            Ok(connection) => Ok(Self {
                path: path.clone(),
                connection: Mutex::new(connection),
            }),
            Err(source) => Err(CacheError { path, source }),
        }
    }

    /// The user's folder of caches: `bigquery` in the folder that `BIGQUILL_CACHE` names, else in the user's cache
    /// folder; none without a home folder.
    #[must_use]
    pub fn user_folder() -> Option<PathBuf> {
        let named =
            std::env::var_os(bigquill_model::store::CACHE_VARIABLE).filter(|folder| !folder.is_empty());
        let cache = match named {
            Some(folder) => PathBuf::from(folder),
            None => directories::ProjectDirs::from("", "", "bigquill")?
                .cache_dir()
                .to_owned(),
        };
        Some(cache.join("bigquery"))
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Everything that is listed, and when the project's datasets were.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn listing(&self) -> Result<Listing, CacheError> {
        self.with(|connection| {
            let mut listing = Listing::new();
            let mut rows = connection.prepare("SELECT project FROM projects")?;
            for project in rows.query_map([], |row| row.get::<_, String>(0))? {
                listing.entry(project?).or_default().complete = true;
            }
            let mut rows = connection.prepare("SELECT project, dataset, listed_at FROM datasets")?;
            let found = rows.query_map([], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get::<_, Option<i64>>(2)?))
            })?;
            let mut listed: BTreeMap<(String, String), Vec<Box<str>>> = BTreeMap::new();
            for row in found {
                let (project, dataset, at): (String, String, _) = row?;
                let of_project = listing.entry(project.clone()).or_default();
                of_project.datasets.insert(dataset.clone(), None);
                if at.is_some() {
                    listed.insert((project, dataset), Vec::new());
                }
            }
            let mut rows = connection
                .prepare("SELECT name FROM names WHERE project = ?1 AND dataset = ?2 ORDER BY name")?;
            for ((project, dataset), mut names) in listed {
                for name in rows.query_map(params![project, dataset], |row| row.get::<_, Box<str>>(0))? {
                    names.push(name?);
                }
                let of_project = listing.entry(project).or_default();
                of_project.datasets.insert(dataset, Some(Arc::from(names)));
            }
            Ok(listing)
        })
    }

    /// How many schemas there are.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn count(&self) -> Result<usize, CacheError> {
        self.with(|c| {
            let count: i64 = c.query_row("SELECT count(*) FROM resources", [], |row| row.get(0))?;
            Ok(usize::try_from(count).unwrap_or_default())
        })
    }

    /// The schemas of these tables that are there.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn tables(&self, references: &[TableReference]) -> Result<Vec<CachedResource>, CacheError> {
        self.with(|connection| {
            let mut row = connection.prepare_cached(
                "SELECT project, dataset, name, modified, read_at, resource FROM resources
                 WHERE project = ?1 AND dataset = ?2 AND name = ?3",
            )?;
            let mut found = Vec::new();
            for reference in references {
                let key = params![reference.project, reference.dataset, reference.table];
                found.extend(row.query_row(key, cached).optional()?);
            }
            Ok(found)
        })
    }

    /// All schemas, by name.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn all_tables(&self) -> Result<Vec<CachedResource>, CacheError> {
        self.with(|connection| {
            let mut rows = connection.prepare(
                "SELECT project, dataset, name, modified, read_at, resource FROM resources
                 ORDER BY project, dataset, name",
            )?;
            let found = rows.query_map([], cached)?.collect::<Result<Vec<_>, _>>()?;
            Ok(found)
        })
    }

    /// The tables that the schemas of families are read of.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn families(&self) -> Result<HashMap<TableReference, String>, CacheError> {
        self.with(|connection| {
            let mut rows =
                connection.prepare("SELECT project, dataset, name, id FROM names WHERE id IS NOT NULL")?;
            let found = rows.query_map([], |row| {
                let reference = TableReference {
                    project: row.get(0)?,
                    dataset: row.get(1)?,
                    table: row.get(2)?,
                };
                Ok((reference, row.get(3)?))
            })?;
            Ok(found.collect::<Result<HashMap<_, _>, _>>()?)
        })
    }

    /// Takes the list of a project's datasets. What is not in it is forgotten.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn put_datasets(&self, project: &str, datasets: &[String]) -> Result<(), CacheError> {
        self.change(|change| {
            change.execute(
                "INSERT OR REPLACE INTO projects VALUES (?1, ?2)",
                params![project, seconds(SystemTime::now())],
            )?;
            let mut known = change.prepare("SELECT dataset FROM datasets WHERE project = ?1")?;
            let known: Vec<String> = known
                .query_map([project], |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            for gone in known.iter().filter(|dataset| !datasets.contains(dataset)) {
                for table in ["datasets", "names", "resources", "routines"] {
                    let sql = format!("DELETE FROM {table} WHERE project = ?1 AND dataset = ?2");
                    change.execute(&sql, params![project, gone])?;
                }
            }
            let mut put = change.prepare("INSERT OR IGNORE INTO datasets VALUES (?1, ?2, NULL)")?;
            for dataset in datasets {
                put.execute(params![project, dataset])?;
            }
            Ok(())
        })
    }

    /// Takes the list of a dataset's tables. What is not in it is forgotten.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn put_names(&self, of: &DatasetReference, members: &[Member]) -> Result<(), CacheError> {
        self.change(|change| {
            let key = params![of.project, of.dataset];
            change.execute("DELETE FROM names WHERE project = ?1 AND dataset = ?2", key)?;
            let mut put = change.prepare("INSERT OR REPLACE INTO names VALUES (?1, ?2, ?3, ?4)")?;
            for member in members {
                let id = Some(&member.id).filter(|id| **id != member.name);
                put.execute(params![of.project, of.dataset, member.name, id])?;
            }
            change.execute(
                "DELETE FROM resources WHERE project = ?1 AND dataset = ?2 AND name NOT IN
                 (SELECT name FROM names WHERE project = ?1 AND dataset = ?2)",
                key,
            )?;
            change.execute(
                "INSERT OR REPLACE INTO datasets VALUES (?1, ?2, ?3)",
                params![of.project, of.dataset, seconds(SystemTime::now())],
            )?;
            Ok(())
        })
    }

    /// Takes schemas.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn put_tables(&self, tables: &[CachedResource]) -> Result<(), CacheError> {
        self.change(|change| {
            let mut put =
                change.prepare("INSERT OR REPLACE INTO resources VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
            for table in tables {
                let TableReference {
                    project,
                    dataset,
                    table: name,
                } = &table.reference;
                let at = seconds(table.read_at);
                put.execute(params![
                    project,
                    dataset,
                    name,
                    table.modified,
                    at,
                    table.resource
                ])?;
            }
            Ok(())
        })
    }

    /// Forgets a table.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn remove_table(&self, reference: &TableReference) -> Result<(), CacheError> {
        self.change(|change| {
            for table in ["names", "resources"] {
                let sql = format!("DELETE FROM {table} WHERE project = ?1 AND dataset = ?2 AND name = ?3");
                change.execute(
                    &sql,
                    params![reference.project, reference.dataset, reference.table],
                )?;
            }
            Ok(())
        })
    }

    /// What it holds, dataset by dataset.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn summary(&self) -> Result<Vec<DatasetSummary>, CacheError> {
        self.with(|connection| {
            let mut rows = connection.prepare(
                "SELECT d.project, d.dataset,
                   (SELECT count(*) FROM names n WHERE n.project = d.project AND n.dataset = d.dataset),
                   count(r.name), min(r.read_at), max(r.read_at),
                   (SELECT count(*) FROM routines f WHERE f.project = d.project AND f.dataset = d.dataset)
                 FROM datasets d LEFT JOIN resources r ON r.project = d.project AND r.dataset = d.dataset
                 GROUP BY d.project, d.dataset ORDER BY d.project, d.dataset",
            )?;
            let number = |n: i64| usize::try_from(n).unwrap_or_default();
            let found = rows.query_map([], |row| {
                Ok(DatasetSummary {
                    dataset: DatasetReference {
                        project: row.get(0)?,
                        dataset: row.get(1)?,
                    },
                    names: number(row.get(2)?),
                    schemas: number(row.get(3)?),
                    oldest: row.get::<_, Option<i64>>(4)?.map(time),
                    newest: row.get::<_, Option<i64>>(5)?.map(time),
                    routines: number(row.get(6)?),
                })
            })?;
            Ok(found.collect::<Result<Vec<_>, _>>()?)
        })
    }

    /// Forgets everything: the file goes.
    ///
    /// # Errors
    /// Where it cannot be removed.
    pub fn clear(self) -> Result<(), CacheError> {
        let Self { path, connection } = self;
        drop(connection);
        remove(&path).map_err(|error| CacheError {
            path,
            source: error.into(),
        })
    }

    fn with<T>(&self, read: impl FnOnce(&Connection) -> Result<T, CacheFault>) -> Result<T, CacheError> {
        read(&self.connection()).map_err(|source| self.fault(source))
    }

    fn change(
        &self,
        mut write: impl FnMut(&rusqlite::Transaction<'_>) -> Result<(), CacheFault>,
    ) -> Result<(), CacheError> {
        let mut connection = self.connection();
        let mut all = || -> Result<(), CacheFault> {
            let change = connection.transaction()?;
            write(&change)?;
            Ok(change.commit()?)
        };
        all().map_err(|source| self.fault(source))
    }

    fn fault(&self, source: CacheFault) -> CacheError {
        CacheError {
            path: self.path.clone(),
            source,
        }
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        // A transaction that a panic broke off is rolled back.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn cached(row: &rusqlite::Row<'_>) -> rusqlite::Result<CachedResource> {
    Ok(CachedResource {
        reference: TableReference {
            project: row.get(0)?,
            dataset: row.get(1)?,
            table: row.get(2)?,
        },
        modified: row.get(3)?,
        read_at: time(row.get(4)?),
        resource: row.get(5)?,
    })
}

/// A name for every project and endpoint that a file may have.
fn file_name(project: &str, endpoint: Option<&str>) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || matches!(c, '-' | '.') {
            c
        } else {
            '_'
        }
    };
    let at = endpoint.map_or(String::new(), |endpoint| {
        format!("@{}", endpoint.trim_end_matches('/'))
    });
    let name: String = format!("{project}{at}")
        .chars()
        .map(|c| if c == '@' { c } else { plain(c) })
        .collect();
    format!("{name}.sqlite")
}

/// The folder and the file, for the owner alone. SQLite gives its side files the rights of the file.
fn make_private(folder: &Path, path: &Path) -> std::io::Result<()> {
    let mut make_folder = std::fs::DirBuilder::new();
    make_folder.recursive(true);
    let mut make_file = std::fs::OpenOptions::new();
    make_file.write(true).create(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
        make_folder.mode(0o700);
        make_file.mode(0o600);
    }
    make_folder.create(folder)?;
    make_file.open(path).map(drop)
}

fn connect(path: &Path) -> Result<Connection, CacheFault> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // What a crash loses is read again.
    connection.pragma_update(None, "synchronous", "OFF")?;
    // Two servers that start at once must not both make the tables.
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let version: i32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version == VERSION {
        connection.execute_batch("COMMIT")?;
        return Ok(connection);
    }
    for table in ["projects", "datasets", "names", "resources", "routines"] {
        connection.execute_batch(&format!("DROP TABLE IF EXISTS {table}"))?;
    }
    connection.execute_batch(SCHEMA)?;
    connection.pragma_update(None, "user_version", VERSION)?;
    connection.execute_batch("COMMIT")?;
    Ok(connection)
}

/// Whether the file is no cache of ours, or a broken one.
fn is_spoiled(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase, Unknown};
    matches!(
        error.sqlite_error_code(),
        Some(DatabaseCorrupt | NotADatabase | Unknown)
    )
}

fn remove(path: &Path) -> std::io::Result<()> {
    for side in ["-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(side);
        // They are there only while somebody has it open.
        let _ = std::fs::remove_file(PathBuf::from(name));
    }
    std::fs::remove_file(path)
}

fn seconds(at: SystemTime) -> i64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

fn time(seconds: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
}

mod routines;
#[cfg(test)]
mod tests;
