//! The generator: a GGUF decoder, its tokenizer, adapters, prompts and the engine thread.
//!
//! Knows SQL only through `bigquill-analysis`, and nothing of editors or of BigQuery's API.

mod cpu;

pub mod chat;
pub mod corpus;
pub mod decoder;
pub mod engine;
pub mod generate;
pub mod gguf;
pub mod judge;
pub mod kv_cache;
pub mod linear;
pub mod lora;
pub mod ops;
pub mod prefix_cache;
pub mod prompt;
mod random;
pub mod sampler;
pub mod store;
pub mod synthesize;
pub mod testing;
pub mod tokenizer;
pub mod train;
