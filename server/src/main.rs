//! The `bigquill` binary.
fn main() {}
