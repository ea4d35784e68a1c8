//! GoogleSQL's own verdict on a BigQuery statement.
//!
//! BigQuery's parser and analyzer are open source; compiled to WebAssembly they run inside this process, offline
//! and sandboxed. A [`Judge`] asks them whether a statement holds against a
//! [`CatalogSnapshot`](bigquill_analysis::schema::CatalogSnapshot), and answers with a [`Verdict`]: accepted with
//! output columns and tables, refused with message, place and suggestion, or no verdict with the reason.
//!
//! The crate does no I/O but for the module's file and its compiled form in a cache folder, both named by the
//! caller. It fetches nothing and runs nothing.

mod analyze;
mod catalog;
mod dialect;
mod error;
mod findings;
mod information_schema;
mod judge;
mod memo;
mod messages;
mod module;
pub mod position;
mod probe;
mod references;
mod refusal;
mod resolved;
mod script;
mod session;
mod types;
mod verdict;
mod wire;

pub use error::JudgeError;
pub use findings::{Disagreement, Merged, merge};
pub use judge::{Context, Judge, JudgeOptions, Unlisted};
pub use module::{
    CacheFolder, CompiledModule, MODULE_FILE, MODULE_LENGTH, MODULE_SHA256, ModuleSource, Phase, Sha256Digest,
};
pub use verdict::{Accepted, NoVerdict, OutputColumn, Refusal, RefusalKind, Verdict};
