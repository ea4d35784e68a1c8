//! `bigquill` alone: the language server on standard input and output.

use std::process::ExitCode;

use super::Common;

pub(super) fn run(common: &Common) -> anyhow::Result<ExitCode> {
    let _ = common.sources(std::env::current_dir().unwrap_or_default(), &[]);
    anyhow::bail!("this build has no language server; `bigquill --help` names the commands")
}
