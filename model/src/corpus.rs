//! The store of accepted completions: what was asked, what the model saw and wrote, and what became of it.
//!
//! One SQLite file on this machine, for its owner alone. It holds questions, SQL and the prompt, which has schemas and
//! never rows. Several editors may write at once (write-ahead log), and what a call has returned from survives a crash:
//! each is a transaction of its own that is synced to the disk. All functions block.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rusqlite::types::Type as SqlType;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, Transaction, TransactionBehavior, params};
use serde::{Deserialize, Serialize};

use crate::store::hexadecimal;

mod lines;
mod redact;

pub use lines::{LineError, TrainingAnswer, TrainingLine, export, import};

/// The environment variable that names another file for the store.
pub const STORE_VARIABLE: &str = "BIGQUILL_STORE_FILE";

/// What SQLite's header calls a file of ours: `bqul`.
const APPLICATION: i64 = 0x6271_756c;
/// How long another program that writes is waited for.
const BUSY: Duration = Duration::from_secs(10);

/// What makes each form of the file out of the one before; the first makes it out of nothing. Steps are only ever added:
/// the number of those taken is the file's `user_version`, and a file of more steps than these is left alone.
const STEPS: [&str; 1] = ["
    CREATE TABLE completions (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        -- The same completion imported twice is one.
        digest TEXT NOT NULL UNIQUE,
        question TEXT NOT NULL,
        -- JSON: a list of {role, content}.
        prompt TEXT NOT NULL,
        -- JSON: a list of the tables that the prompt shows.
        tables TEXT NOT NULL,
        generated TEXT NOT NULL,
        kept TEXT,
        outcome TEXT NOT NULL,
        proved_by TEXT,
        model TEXT NOT NULL,
        adapter TEXT,
        -- Milliseconds since 1970.
        offered_at INTEGER NOT NULL,
        decided_at INTEGER
    );
"];

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
    #[error("it is of a newer bigquill (form {0}); use that one, or name another file by `store_file`")]
    Newer(usize),
    #[error("it is another program's database; name another file")]
    Foreign,
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Completion {
    /// The question as the person wrote it.
    pub question: String,
    /// The prompt as the model saw it.
    pub prompt: Vec<PromptMessage>,
    /// The tables that the prompt shows, as it names them.
    pub tables: Vec<String>,
    /// What was offered.
    pub generated: String,
    /// What stands in the file in the end; none where that is what was offered, or nothing.
    pub kept: Option<String>,
    /// What became of it.
    pub outcome: Outcome,
    /// Who proved it; none where nobody did.
    pub proved_by: Option<String>,
    /// The model that wrote it.
    pub model: String,
    /// Its adapter.
    pub adapter: Option<String>,
    /// When it was offered, in milliseconds since 1970.
    pub offered_at: i64,
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
    /// Those offered before this moment, in milliseconds since 1970.
    Before(i64),
    /// Those whose prompt shows this table (`dataset.table` or `project.dataset.table`).
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

impl Stats {
    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.shown + self.accepted + self.edited + self.rejected
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

    /// Empties the literals of its SQL and takes the same values out of its question: for a store that must not hold what
    /// people look for.
    pub fn redact(&mut self) {
        redact::redact(self);
    }

    /// Whether the prompt shows this table; the project may be left out of either name.
    fn shows(&self, table: &str) -> bool {
        let end_of = |long: &str, short: &str| {
            long.strip_suffix(short)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        let wanted = table.replace('`', "").to_lowercase();
        let shown = self
            .tables
            .iter()
            .map(|shown| shown.replace('`', "").to_lowercase());
        shown
            .into_iter()
            .any(|shown| end_of(&shown, &wanted) || end_of(&wanted, &shown))
    }

    fn digest(&self) -> String {
        use sha2::{Digest, Sha256};
        let mut hasher = Sha256::new();
        for part in [&self.question, &self.generated, &self.model] {
            hasher.update(part.as_bytes());
            hasher.update([0]);
        }
        hasher.update(self.offered_at.to_le_bytes());
        hexadecimal(hasher)
    }
}

impl Corpus {
    /// The store in this file, made with its folder where they are not there.
    ///
    /// # Errors
    /// Where the folder cannot be written, or the file is no store, or a newer one's.
    pub fn open(path: &Path) -> Result<Self, CorpusError> {
        let path = path.to_owned();
        match make_private(&path)
            .map_err(CorpusFault::from)
            .and_then(|()| connect(&path))
        {
            Ok(connection) => Ok(Self {
                path,
                connection: Mutex::new(connection),
            }),
            Err(source) => Err(CorpusError { path, source }),
        }
    }

    /// The file that `BIGQUILL_STORE_FILE` names, else one in the user's data folder; none without a home folder.
    #[must_use]
    pub fn user_file() -> Option<PathBuf> {
        match std::env::var_os(STORE_VARIABLE).filter(|path| !path.is_empty()) {
            Some(path) => Some(path.into()),
            None => {
                let folders = directories::ProjectDirs::from("", "", "bigquill")?;
                Some(folders.data_local_dir().join("accepted.sqlite"))
            }
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
            let digest = completion.digest();
            connection.execute(
                "INSERT INTO completions (digest, question, prompt, tables, generated, kept, outcome, proved_by, model,
                     adapter, offered_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT (digest) DO NOTHING",
                params![
                    digest,
                    completion.question,
                    json(&completion.prompt)?,
                    json(&completion.tables)?,
                    completion.generated,
                    completion.kept,
                    completion.outcome.as_str(),
                    completion.proved_by,
                    completion.model,
                    completion.adapter,
                    completion.offered_at,
                ],
            )?;
            let id = "SELECT id FROM completions WHERE digest = ?1";
            connection.query_row(id, [digest], |row| row.get(0))
        })
    }

    /// Puts what is known now in the place of the completion of this number: its texts and its outcome. Whether
    /// there is one.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn update(&self, id: i64, completion: &Completion) -> Result<bool, CorpusError> {
        self.with(|connection| {
            let changed = connection.execute(
                "UPDATE completions SET question = ?2, prompt = ?3, generated = ?4, kept = ?5, outcome = ?6, decided_at = ?7
                 WHERE id = ?1",
                params![
                    id,
                    completion.question,
                    json(&completion.prompt)?,
                    completion.generated,
                    completion.kept,
                    completion.outcome.as_str(),
                    now(),
                ],
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
            let mut rows = connection.prepare("SELECT * FROM completions ORDER BY offered_at, id")?;
            let all = rows.query_map([], stored)?.collect::<Result<Vec<_>, _>>()?;
            let wanted =
                |stored: &Stored| outcomes.is_empty() || outcomes.contains(&stored.completion.outcome);
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
            Forget::Before(moment) => self.matching(|c| c.offered_at < *moment)?,
            Forget::Table(table) => self.matching(|c| c.shows(table))?,
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
            let mut rows =
                connection.prepare("SELECT outcome, COUNT(*) FROM completions GROUP BY outcome")?;
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
            let ends = "SELECT MIN(offered_at), MAX(offered_at) FROM completions";
            (stats.oldest, stats.newest) =
                connection.query_row(ends, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(stats)
        })
    }

    fn matching(&self, is_it: impl Fn(&Completion) -> bool) -> Result<Vec<i64>, CorpusError> {
        let all = self.list(&[])?;
        Ok(all
            .into_iter()
            .filter(|stored| is_it(&stored.completion))
            .map(|stored| stored.id)
            .collect())
    }

    fn with<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, CorpusError> {
        let connection: MutexGuard<'_, Connection> =
            self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        work(&connection).map_err(|error| CorpusError {
            path: self.path.clone(),
            source: error.into(),
        })
    }
}

/// Milliseconds since 1970.
#[must_use]
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn connect(path: &Path) -> Result<Connection, CorpusFault> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY)?;
    steps_taken(&connection, STEPS.len())?;
    write_ahead(&connection)?;
    // Every acknowledged write is on the disk: FULL syncs the log at each commit.
    connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;")?;
    bring_up(&connection, &STEPS)?;
    Ok(connection)
}

/// Turns the write-ahead log on. Two that do so in a new file at the same time would wait for each other: SQLite then
/// fails at once, whatever the timeout (<https://www.sqlite.org/c3ref/busy_handler.html>), and one of them tries again.
fn write_ahead(connection: &Connection) -> Result<(), CorpusFault> {
    let start = Instant::now();
    loop {
        match connection.execute_batch("PRAGMA journal_mode = WAL;") {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && start.elapsed() < BUSY =>
            {
                std::thread::sleep(Duration::from_millis(5));
            }
            done => return Ok(done?),
        }
    }
}

/// Takes the steps that were not taken yet, all or none.
fn bring_up(connection: &Connection, steps: &[&str]) -> Result<(), CorpusFault> {
    // In a transaction, for another editor may do the same now; one that is not committed ends with the connection.
    let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    let taken = steps_taken(&transaction, steps.len())?;
    for step in &steps[taken..] {
        transaction.execute_batch(step)?;
    }
    if taken < steps.len() {
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", steps.len())?;
    }
    Ok(transaction.commit()?)
}

/// How many of the steps a file has; none where it is empty.
fn steps_taken(connection: &Connection, all: usize) -> Result<usize, CorpusFault> {
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    if number("PRAGMA application_id")? != APPLICATION {
        // To add our table to another program's would be no kindness.
        return match number("SELECT count(*) FROM sqlite_schema")? {
            0 => Ok(0),
            _ => Err(CorpusFault::Foreign),
        };
    }
    let taken = usize::try_from(number("PRAGMA user_version")?).unwrap_or(usize::MAX);
    if taken > all {
        return Err(CorpusFault::Newer(taken));
    }
    Ok(taken)
}

/// The file is its owner's alone before anything is in it, and so is its folder, where they are made here. What is there
/// already keeps its permissions: it may be no store.
fn make_private(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut folders = std::fs::DirBuilder::new();
    folders.recursive(true);
    let mut options = std::fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
        folders.mode(0o700);
        options.mode(0o600);
    }
    if let Some(folder) = folder {
        folders.create(folder)?;
    }
    options.open(path).map(drop)
}

fn json(value: &impl Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

fn stored(row: &Row<'_>) -> rusqlite::Result<Stored> {
    let text = |name: &str| -> rusqlite::Result<String> { row.get(name) };
    let spoiled =
        |error: serde_json::Error| rusqlite::Error::FromSqlConversionFailure(0, SqlType::Text, error.into());
    let outcome: String = row.get("outcome")?;
    Ok(Stored {
        id: row.get("id")?,
        decided_at: row.get("decided_at")?,
        completion: Completion {
            question: row.get("question")?,
            prompt: serde_json::from_str(&text("prompt")?).map_err(spoiled)?,
            tables: serde_json::from_str(&text("tables")?).map_err(spoiled)?,
            generated: row.get("generated")?,
            kept: row.get("kept")?,
            outcome: Outcome::named(&outcome).unwrap_or(Outcome::Shown),
            proved_by: row.get("proved_by")?,
            model: row.get("model")?,
            adapter: row.get("adapter")?,
            offered_at: row.get("offered_at")?,
        },
    })
}

#[cfg(test)]
mod tests;
