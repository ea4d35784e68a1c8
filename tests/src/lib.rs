//! What tests of bigquill share: a language client that forgets nothing, a generator that the test releases, a
//! BigQuery emulator, and a server that goes wrong.

pub mod binary;
pub mod client;
pub mod emulator;
pub mod fault_server;
pub mod generator;
pub mod judge;
pub mod workspace;
