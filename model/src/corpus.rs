//! The store of accepted completions: what was asked, what the model saw and wrote, and what became of it.
//!
//! One SQLite file on this machine, for its owner alone. It holds questions, SQL and the prompt, which has schemas and
//! never rows. Several editors may write at once (write-ahead log), and what a call has returned from survives a crash:
//! each is a transaction of its own that is synced to the disk. All functions block.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::types::Type as SqlType;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

mod lines;
mod redact;

pub use lines::{LineError, TrainingLine, read_line, training_lines};
pub use redact::redact_literals;

/// The environment variable that names another folder for the store.
pub const DATA_VARIABLE: &str = "BIGQUILL_DATA";

/// The form of the file. An older one is brought up; a newer one is left alone.
const VERSION: i32 = 1;
/// How long another program that writes is waited for.
const BUSY: Duration = Duration::from_secs(10);

const SCHEMA: &str = "
    CREATE TABLE completions (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        -- The same completion imported twice is one.
        digest TEXT NOT NULL UNIQUE,
        question TEXT NOT NULL,
        -- JSON: a list of {role, content}.
        prompt TEXT NOT NULL,
        -- JSON: a list of names of tables.
        tables TEXT NOT NULL,
        generated TEXT NOT NULL,
        kept TEXT,
        outcome TEXT NOT NULL,
        proved_by TEXT,
        model TEXT NOT NULL,
        adapter TEXT,
        -- Milliseconds since 1970.
        asked_at INTEGER NOT NULL,
        decided_at INTEGER
    );
    CREATE INDEX completions_outcome ON completions (outcome);
";

/// The store cannot be opened, read or written.
#[derive(Debug, thiserror::Error)]
#[error("the store of completions {} cannot be used: {source}", path.display())]
pub struct CorpusError {
    path: PathBuf,
    source: CorpusFault,
}

#[derive(Debug, thiserror::Error)]
enum CorpusFault {
    #[error("{0}")]
    Sqlite(#[from] rusqlite::Error),
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("it is of a newer bigquill (form {0}); use that one, or set {DATA_VARIABLE} to another folder")]
    Newer(i32),
}

/// An open store.
pub struct Corpus {
    path: PathBuf,
    connection: Mutex<Connection>,
}

/// What became of a completion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It was offered, and nothing is known since.
    Shown,
    /// It was taken, and stands as it was written.
    Accepted,
    /// It was taken and then changed: what stands now is what was wanted.
    Edited,
    /// It was offered or put in, and taken away again.
    Rejected,
}

/// Who says a message of a prompt, and what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromptMessage {
    /// `system`, `user` or `assistant`.
    pub role: String,
    /// The text.
    pub content: String,
}

/// A question with the SQL that was made for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Completion {
    /// The question as the person wrote it.
    pub question: String,
    /// The prompt as the model saw it.
    pub prompt: Vec<PromptMessage>,
    /// Names of the tables that the generated SQL reads.
    #[serde(default)]
    pub tables: Vec<String>,
    /// What the model wrote.
    pub generated: String,
    /// What stands in the file in the end; none where that is the generated SQL, or nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<String>,
    /// What became of it.
    pub outcome: Outcome,
    /// Who proved it; none where nobody did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proved_by: Option<String>,
    /// The model that wrote it.
    pub model: String,
    /// Its adapter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adapter: Option<String>,
    /// When it was asked for, in milliseconds since 1970.
    pub asked_at: i64,
}

/// A completion in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its number.
    pub id: i64,
    /// When its outcome was told last, in milliseconds since 1970.
    pub decided_at: Option<i64>,
    /// The completion.
    pub completion: Completion,
}

/// How many completions have which outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Stats {
    /// Offered only.
    pub shown: u64,
    /// Taken as they were.
    pub accepted: u64,
    /// Taken and changed.
    pub edited: u64,
    /// Taken away.
    pub rejected: u64,
    /// The oldest, in milliseconds since 1970.
    pub oldest: Option<i64>,
    /// The newest, in milliseconds since 1970.
    pub newest: Option<i64>,
}

/// Which completions to forget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Forget {
    /// These.
    Ids(Vec<i64>),
    /// Those asked for before this moment, in milliseconds since 1970.
    Before(i64),
    /// Those of SQL that names this table (`dataset.table` or `project.dataset.table`).
    Table(String),
    /// All.
    All,
}

impl Outcome {
    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Shown => "shown",
            Self::Accepted => "accepted",
            Self::Edited => "edited",
            Self::Rejected => "rejected",
        }
    }

    fn named(name: &str) -> Option<Self> {
        [Self::Shown, Self::Accepted, Self::Edited, Self::Rejected]
            .into_iter()
            .find(|outcome| outcome.as_str() == name)
    }
}

impl Completion {
    /// The SQL that was wanted: what stands in the end; none where the completion was not taken.
    #[must_use]
    pub fn wanted(&self) -> Option<&str> {
        match self.outcome {
            Outcome::Accepted => Some(&self.generated),
            Outcome::Edited => self.kept.as_deref(),
            Outcome::Shown | Outcome::Rejected => None,
        }
    }

    fn digest(&self) -> String {
        use sha2::{Digest, Sha256};
        let mut hasher = Sha256::new();
        for part in [&self.question, &self.generated, &self.model] {
            hasher.update(part.as_bytes());
            hasher.update([0]);
        }
        hasher.update(self.asked_at.to_le_bytes());
        hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl Corpus {
    /// The store in this folder, made where it is not there.
    ///
    /// # Errors
    /// Where the folder cannot be written, or the file is no store, or a newer one's.
    pub fn open(folder: &Path) -> Result<Self, CorpusError> {
        let path = folder.join("completions.sqlite");
        match connect(folder, &path) {
            Ok(connection) => Ok(Self {
                path,
                connection: Mutex::new(connection),
            }),
            Err(source) => Err(CorpusError { path, source }),
        }
    }

    /// The folder that `BIGQUILL_DATA` names, else the user's data folder; none without a home folder.
    #[must_use]
    pub fn user_folder() -> Option<PathBuf> {
        match std::env::var_os(DATA_VARIABLE).filter(|folder| !folder.is_empty()) {
            Some(folder) => Some(folder.into()),
            None => Some(directories::ProjectDirs::from("", "", "bigquill")?.data_local_dir().to_owned()),
        }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds a completion; returns its number. One that is there already keeps its number.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn add(&self, completion: &Completion) -> Result<i64, CorpusError> {
        self.with(|connection| {
            let text = |value: Result<String, serde_json::Error>| value.unwrap_or_default();
            let digest = completion.digest();
            connection.execute(
                "INSERT INTO completions (digest, question, prompt, tables, generated, kept, outcome, proved_by, model,
                     adapter, asked_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT (digest) DO NOTHING",
                params![
                    digest,
                    completion.question,
                    text(serde_json::to_string(&completion.prompt)),
                    text(serde_json::to_string(&completion.tables)),
                    completion.generated,
                    completion.kept,
                    completion.outcome.as_str(),
                    completion.proved_by,
                    completion.model,
                    completion.adapter,
                    completion.asked_at,
                ],
            )?;
            let id = "SELECT id FROM completions WHERE digest = ?1";
            connection.query_row(id, [digest], |row| row.get(0))
        })
    }

    /// Tells what became of a completion. Whether there is one of this number.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn decide(&self, id: i64, outcome: Outcome, kept: Option<&str>) -> Result<bool, CorpusError> {
        self.with(|connection| {
            let changed = connection.execute(
                "UPDATE completions SET outcome = ?2, kept = ?3, decided_at = ?4 WHERE id = ?1",
                params![id, outcome.as_str(), kept, now()],
            )?;
            Ok(changed > 0)
        })
    }

    /// The completions with one of these outcomes, oldest first; all where none is given.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn list(&self, outcomes: &[Outcome]) -> Result<Vec<Stored>, CorpusError> {
        self.with(|connection| {
            let mut rows = connection.prepare("SELECT * FROM completions ORDER BY asked_at, id")?;
            let all = rows.query_map([], stored)?.collect::<Result<Vec<_>, _>>()?;
            let wanted = |stored: &Stored| outcomes.is_empty() || outcomes.contains(&stored.completion.outcome);
            Ok(all.into_iter().filter(wanted).collect())
        })
    }

    /// The completion of this number.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn get(&self, id: i64) -> Result<Option<Stored>, CorpusError> {
        self.with(|connection| {
            let one = "SELECT * FROM completions WHERE id = ?1";
            connection.query_row(one, [id], stored).optional()
        })
    }

    /// Removes completions, and what was of them in the file; returns how many.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn forget(&self, which: &Forget) -> Result<usize, CorpusError> {
        let ids = match which {
            Forget::Ids(ids) => ids.clone(),
            Forget::Before(moment) => self.matching(|c| c.asked_at < *moment)?,
            Forget::Table(table) => self.matching(|c| c.tables.iter().any(|name| is_named(name, table)))?,
            Forget::All => self.matching(|_| true)?,
        };
        self.with(|connection| {
            let mut removed = 0;
            let transaction = connection.unchecked_transaction()?;
            for id in &ids {
                removed += transaction.execute("DELETE FROM completions WHERE id = ?1", [id])?;
            }
            transaction.commit()?;
            // Else the text stays in free pages and in the log.
            connection.execute_batch("VACUUM; PRAGMA wal_checkpoint(TRUNCATE);")?;
            Ok(removed)
        })
    }

    /// How many there are of each kind.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn stats(&self) -> Result<Stats, CorpusError> {
        self.with(|connection| {
            let mut stats = Stats::default();
            let mut rows = connection.prepare("SELECT outcome, COUNT(*) FROM completions GROUP BY outcome")?;
            for row in rows.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))? {
                let (outcome, count) = row?;
                let count = u64::try_from(count).unwrap_or_default();
                match Outcome::named(&outcome) {
                    Some(Outcome::Accepted) => stats.accepted = count,
                    Some(Outcome::Edited) => stats.edited = count,
                    Some(Outcome::Rejected) => stats.rejected = count,
                    Some(Outcome::Shown) | None => stats.shown += count,
                }
            }
            let ends = "SELECT MIN(asked_at), MAX(asked_at) FROM completions";
            (stats.oldest, stats.newest) = connection.query_row(ends, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(stats)
        })
    }

    fn matching(&self, is_it: impl Fn(&Completion) -> bool) -> Result<Vec<i64>, CorpusError> {
        let all = self.list(&[])?;
        Ok(all.into_iter().filter(|stored| is_it(&stored.completion)).map(|stored| stored.id).collect())
    }

    fn with<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, CorpusError> {
        let connection: MutexGuard<'_, Connection> = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        work(&connection).map_err(|error| CorpusError {
            path: self.path.clone(),
            source: error.into(),
        })
    }
}

/// Whether a table's full name is this one, of which the project may be left out.
fn is_named(full: &str, name: &str) -> bool {
    full.eq_ignore_ascii_case(name)
        || full
            .split_once('.')
            .is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(name))
}

/// Milliseconds since 1970.
#[must_use]
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn connect(folder: &Path, path: &Path) -> Result<Connection, CorpusFault> {
    make_private(folder, path)?;
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY)?;
    // Every acknowledged write is on the disk: FULL syncs the log at each commit.
    connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;")?;
    // In a transaction, for another editor may make the same file now.
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let version: i32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let made = match version {
        0 => connection.execute_batch(&format!("{SCHEMA} PRAGMA user_version = {VERSION};")),
        _ => Ok(()),
    };
    made.and_then(|()| connection.execute_batch("COMMIT"))?;
    if version > VERSION {
        return Err(CorpusFault::Newer(version));
    }
    Ok(connection)
}

/// The folder and the file are the owner's alone, before anything is in them.
fn make_private(folder: &Path, path: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut options = std::fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
        options.mode(0o600);
        options.open(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
    }
    #[cfg(not(unix))]
    options.open(path).map(|_| ())
}

fn stored(row: &Row<'_>) -> rusqlite::Result<Stored> {
    let json = |name: &str| -> rusqlite::Result<String> { row.get(name) };
    let spoiled = |error: serde_json::Error| rusqlite::Error::FromSqlConversionFailure(0, SqlType::Text, Box::new(error));
    let outcome: String = row.get("outcome")?;
    Ok(Stored {
        id: row.get("id")?,
        decided_at: row.get("decided_at")?,
        completion: Completion {
            question: row.get("question")?,
            prompt: serde_json::from_str(&json("prompt")?).map_err(spoiled)?,
            tables: serde_json::from_str(&json("tables")?).map_err(spoiled)?,
            generated: row.get("generated")?,
            kept: row.get("kept")?,
            outcome: Outcome::named(&outcome).unwrap_or(Outcome::Shown),
            proved_by: row.get("proved_by")?,
            model: row.get("model")?,
            adapter: row.get("adapter")?,
            asked_at: row.get("asked_at")?,
        },
    })
}

#[cfg(test)]
mod tests;
