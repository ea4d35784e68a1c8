//! What tests of bigquill share: a language client that forgets nothing, and a generator that the test releases.

pub mod client;
pub mod generator;
pub mod judge;
pub mod workspace;
