//! bigquill, a language server.

pub mod catalog;
pub mod cli;
pub mod models;
pub mod pipeline;
pub mod position;
pub mod settings;
