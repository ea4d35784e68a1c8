//! The judge from outside: hand-made cases, a sample of real statements, scripts, faults.
#![expect(clippy::unwrap_used, reason = "a test may stop at what it does not expect")]

mod corpus;
mod faults;
mod memory;
mod module;
mod scripts;
mod statements;
mod support;
