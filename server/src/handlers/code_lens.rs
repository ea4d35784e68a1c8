//! `textDocument/codeLens`: what a statement would read and cost, by the last dry run of its text.

use tower_lsp::jsonrpc::Result;
use tower_lsp::lsp_types::*;

use super::execute_command::DRY_RUN;
use crate::bigquery::{DryRun, cost};
use crate::document::Document;
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
    let document = &snapshot.document;
    let price = snapshot.settings.price_per_tib;
    let answers = snapshot.dry_runs.of(&document.text);
    let lens = |(unit, answer): (crate::bigquery::unit::Unit, &DryRun)| match answer {
        DryRun::Estimate(estimate) => {
            let start = unit.range.start;
            Some(CodeLens {
                range: document.editor_range(&(start..start)),
                command: Some(command(document, cost::summary(estimate, price))),
                data: None,
            })
        }
        // It stands among the findings.
        DryRun::Refused(_) => None,
    };
    answers.into_iter().filter_map(lens).collect()
}

/// A click asks again.
fn command(document: &Document, title: String) -> Command {
    Command {
        title,
        command: DRY_RUN.to_owned(),
        arguments: Some(vec![serde_json::json!({ "uri": document.uri })]),
    }
}
