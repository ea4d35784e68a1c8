//! BigQuery SQL analysis: statements, questions, names, findings, schema linking.
//!
//! Pure: no files, no environment, no clock, no async. Everything is a function of a text and a
//! [`CatalogSnapshot`](schema::CatalogSnapshot), and a finding is a value, never an error.

pub mod check;
pub mod features;
pub mod functions;
pub mod linking;
pub mod resolve;
pub mod schema;
pub mod suggest;
pub mod syntax;
pub mod types;
pub mod unread;
