//! The `bigquill` binary: a language server without arguments, a command line with them.

use std::process::ExitCode;

fn main() -> ExitCode {
    bigquill::cli::main()
}
