//! Examples from files, and what a model is shown of them.
//!
//! The store of accepted completions is read (`accepted`, or its file, `.sqlite` or `.db`), and three forms of one JSON
//! object a line (`.jsonl`, `.jsonl.gz`):
//! - TRL's prompt and completion, as text or as messages, and TRL's `messages`, whose last one is the completion;
//! - TRL's preferences: prompt, chosen and rejected;
//! - questions: `question`, `catalog` (a name), `bigquery_sql` and perhaps `evidence`, beside files of catalogs. Their
//!   prompt is rendered by the function that serves.
//!
//! A line that cannot be read stops everything with its number: training on the rest would hide the mistake.

mod catalogs;
mod prepare;
mod read;
mod split;
mod stored;
mod write;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bigquill_analysis::schema::CatalogSnapshot;

use crate::generate::Prompt;

pub use catalogs::Catalogs;
pub use prepare::{Dropped, Preference, Preparation, Prepared, Preparer, refusal};
pub use read::read;
pub use split::hold_out;
pub use stored::read_store;
pub use write::trl;

/// Why data cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A file cannot be read.
    #[error("the data file {path} cannot be read: {source}; name a .jsonl or .jsonl.gz file")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The store of accepted completions cannot be read.
    #[error(transparent)]
    Store(#[from] crate::corpus::CorpusError),
    /// There is no store of accepted completions, or nothing to learn in it.
    #[error("{path}: {what}")]
    NothingStored {
        /// The file.
        path: PathBuf,
        /// What is missing.
        what: &'static str,
    },
    /// A line is no example.
    #[error("{place}: {what}; mend the line or take it out{more}")]
    Line {
        /// Where.
        place: Place,
        /// What is wrong.
        what: String,
        /// How many other lines are wrong, in words; empty where there is none.
        more: String,
    },
    /// A catalog is no catalog.
    #[error("{place}: {what}; mend the catalog")]
    Catalog {
        /// Where.
        place: Place,
        /// What is wrong.
        what: String,
    },
    /// A question names a catalog that no file has.
    #[error("{place}: there is no catalog {name}; name its file with --catalogs")]
    MissingCatalog {
        /// Where.
        place: Place,
        /// The name.
        name: String,
    },
    /// The files have no line.
    #[error("{0} has no example; name a file with at least one JSON object")]
    Empty(String),
    /// Completions are wanted and preferences given, or the other way round.
    #[error("{place}: {what}")]
    Kind {
        /// Where.
        place: Place,
        /// What is wanted.
        what: &'static str,
    },
    /// A text cannot be tokenized.
    #[error("{place}: {source}")]
    Tokenizer {
        /// Where.
        place: Place,
        /// Why.
        source: crate::tokenizer::TokenizerError,
    },
}

/// A line of a file, or a completion of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub path: Arc<Path>,
    /// The line, from 1; of the store the completion's number.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.path.display(), self.line)
    }
}

/// What stands before the answer.
#[derive(Debug, Clone)]
pub enum ExamplePrompt {
    /// A chat.
    Chat(Prompt),
    /// Rendered text, control tokens included, as TRL takes a prompt that is no chat.
    Text(String),
    /// A question over tables.
    Question {
        /// What is asked.
        question: String,
        /// Knowledge that the question needs.
        evidence: Option<String>,
        /// The tables.
        catalog: Arc<CatalogSnapshot>,
    },
}

/// What is learned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// To say this.
    Completion(String),
    /// To say this rather than that.
    Preference {
        /// The better answer.
        chosen: String,
        /// The worse one.
        rejected: String,
    },
}

/// One example as it was read.
#[derive(Debug, Clone)]
pub struct Example {
    /// Where it stands.
    pub place: Place,
    /// What stands before the answer.
    pub prompt: ExamplePrompt,
    /// What is learned.
    pub answer: Answer,
    /// Catalogs of which one has to take the answer, beside that of a question; none where it need not be SQL. An empty
    /// catalog asks for the grammar alone.
    pub against: Vec<Arc<CatalogSnapshot>>,
}

#[cfg(test)]
mod tests;
