//! The judge of a command: opened before the first statement, compiled where that was never done on this machine.

use std::io::IsTerminal;

use bigquill_judge::{Judge, JudgeOptions, Phase};
use bigquill_model::store::{self, JUDGE_MODULE};

use crate::judge::{self, OpenError, Readiness};
use crate::settings::Settings;

use super::generator::{describe, pull};
use super::output::message;
use super::progress::spinner;

/// The judge that the settings want. Without it a command goes on with the resolver alone, and says so.
pub(super) fn wanted(settings: &Settings) -> Option<Judge> {
    if !settings.judge {
        return None;
    }
    match open() {
        Ok(judge) => Some(judge),
        Err(error) => {
            message(&format!(
                "bigquill: {error}; until then the resolver alone checks"
            ));
            None
        }
    }
}

/// As [`wanted`], for commands that fetch the model, too, where it is not there yet.
pub(super) fn fetched(settings: &Settings) -> Option<Judge> {
    if settings.judge && matches!(judge::readiness(), Ok(Readiness::Missing)) {
        let fetched = store::known(JUDGE_MODULE)
            .map_err(Into::into)
            .and_then(|module| Ok(describe(module, &pull(module)?)));
        // Where it cannot be had, `wanted` says what that means.
        message(&fetched.unwrap_or_else(|error: anyhow::Error| format!("bigquill: {error:#}")));
    }
    wanted(settings)
}

/// Opens the judge, with progress on standard error where it is compiled first.
pub(super) fn open() -> Result<Judge, OpenError> {
    let bar = spinner();
    let opened = judge::open(JudgeOptions::default(), &|phase| {
        if phase == Phase::Compile {
            bar.set_message("compiling GoogleSQL for this machine, once");
            if !std::io::stderr().is_terminal() {
                message("compiling GoogleSQL for this machine, once (half a minute)");
            }
        }
    });
    bar.finish_and_clear();
    opened
}
