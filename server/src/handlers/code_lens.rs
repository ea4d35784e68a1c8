//! `textDocument/codeLens`: a statement can be run, and what it would read and cost by the last dry run of its text.

use std::collections::HashMap;

use serde_json::json;
use tower_lsp::jsonrpc::Result;
use tower_lsp::lsp_types::*;

use super::execute_command::{DRY_RUN, RUN};
use super::run::RunArguments;
use crate::bigquery::unit::{Unit, has_template, units};
use crate::bigquery::{DryRun, Estimate, cost};
use crate::run::CostLimit;
use crate::session::{DocumentSnapshot, Session};

/// The lenses of a document.
///
/// # Errors
/// Where the document is not open.
pub async fn code_lens(session: &Session, params: CodeLensParams) -> Result<Option<Vec<CodeLens>>> {
    let snapshot = super::snapshot(session, &params.text_document.uri).await?;
    super::compute(&snapshot, |snapshot| Some(lenses(snapshot))).await
}

fn lenses(snapshot: &DocumentSnapshot) -> Vec<CodeLens> {
    let text = &snapshot.document.text;
    let answers = snapshot.dry_runs.of(text, &snapshot.settings);
    let answers: HashMap<usize, &DryRun> = answers
        .iter()
        .map(|(u, answer)| (u.range.start, *answer))
        .collect();
    let mut lenses = Vec::new();
    for unit in units(text) {
        let estimate = match answers.get(&unit.range.start) {
            // It stands among the findings.
            Some(DryRun::Refused(_)) => continue,
            Some(DryRun::Estimate(estimate)) => Some(estimate),
            None => None,
        };
        if snapshot.settings.is_connected() && !has_template(&text[unit.range.clone()]) {
            lenses.push(lens(snapshot, &unit, run(snapshot, &unit, estimate)));
        }
        if let Some(estimate) = estimate {
            lenses.push(lens(snapshot, &unit, plan(snapshot, estimate)));
        }
    }
    lenses
}

fn lens(snapshot: &DocumentSnapshot, unit: &Unit, command: Command) -> CodeLens {
    let start = unit.range.start;
    CodeLens {
        range: snapshot.document.editor_range(&(start..start)),
        command: Some(command),
        data: None,
    }
}

/// *Run · 1.2 GiB*.
fn run(snapshot: &DocumentSnapshot, unit: &Unit, estimate: Option<&Estimate>) -> Command {
    let document = &snapshot.document;
    let arguments = RunArguments {
        uri: document.uri.clone(),
        position: document.position(unit.range.start),
        version: Some(document.version),
    };
    let title = match estimate.map(|estimate| estimate.bytes_processed) {
        None => "Run".to_owned(),
        Some(bytes) if CostLimit::of(&snapshot.settings).check(bytes).is_err() => {
            let limit = &snapshot.settings.maximum_bytes_billed;
            format!("Run · {}, over the limit of {limit}", cost::size(bytes))
        }
        Some(bytes) => format!("Run · {}", cost::size(bytes)),
    };
    Command {
        title,
        command: RUN.to_owned(),
        arguments: Some(vec![json!(arguments)]),
    }
}

/// What the dry run said; a click asks again.
fn plan(snapshot: &DocumentSnapshot, estimate: &Estimate) -> Command {
    Command {
        title: cost::summary(estimate, snapshot.settings.price_per_tib),
        command: DRY_RUN.to_owned(),
        arguments: Some(vec![json!({ "uri": snapshot.document.uri })]),
    }
}
