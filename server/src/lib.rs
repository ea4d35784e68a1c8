//! bigquill, a language server.

pub mod catalog;
pub mod settings;
