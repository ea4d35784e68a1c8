//! bigquill, a language server.

pub mod catalog;
pub mod pipeline;
pub mod settings;
