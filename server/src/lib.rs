//! bigquill, a language server.

pub mod accepted;
pub mod backend;
pub mod bigquery;
pub mod catalog;
pub mod cli;
pub mod document;
pub mod error;
pub mod handlers;
pub mod judge;
pub mod models;
pub mod pipeline;
pub mod position;
pub mod results;
pub mod run;
pub mod serve;
pub mod session;
pub mod settings;
