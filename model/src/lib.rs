//! The generator: a GGUF decoder, its tokenizer, adapters, prompts and the engine thread.
//!
//! Knows SQL only through `bigquill-analysis`, and nothing of editors or of BigQuery's API.

pub mod generate;
