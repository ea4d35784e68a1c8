//! bigquill, a language server.
