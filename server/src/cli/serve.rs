//! `bigquill` alone: the language server on standard input and output.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;

use super::Common;
use crate::catalog::LiveOptions;
use crate::serve::serve_stdio;
use crate::session::{JudgeSource, LocalModels, ServerOptions};

pub(super) fn run(common: &Common) -> anyhow::Result<ExitCode> {
    let options = ServerOptions {
        // The client's workspace takes the place of the current folder.
        sources: common.sources(std::env::current_dir().unwrap_or_default(), &[]),
        models: Arc::new(LocalModels::default()),
        judge: JudgeSource::Local,
        live: LiveOptions::default(),
    };
    let ending = serve_stdio(options).context("the connection to the editor failed")?;
    Ok(ending.into())
}
