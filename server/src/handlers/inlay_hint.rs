//! `textDocument/inlayHint`: bytes and price behind a statement, by the last dry run of its text.

use tower_lsp::jsonrpc::Result;
use tower_lsp::lsp_types::*;

use crate::bigquery::{DryRun, cost};
use crate::session::{DocumentSnapshot, Session};

/// The hints of a range.
///
/// # Errors
/// Where the document is not open.
pub async fn inlay_hint(session: &Session, params: InlayHintParams) -> Result<Option<Vec<InlayHint>>> {
    let snapshot = super::snapshot(session, &params.text_document.uri).await?;
    super::compute(&snapshot, move |snapshot| Some(hints(snapshot, params.range))).await
}

fn hints(snapshot: &DocumentSnapshot, wanted: Range) -> Vec<InlayHint> {
    let document = &snapshot.document;
    let range = document.byte_range(wanted);
    let answers = snapshot.dry_runs.of(&document.text, &snapshot.settings);
    let here = answers
        .into_iter()
        .filter(|(unit, _)| range.contains(&unit.range.end) || range.end == unit.range.end);
    let hint = |(unit, answer): (crate::bigquery::unit::Unit, &DryRun)| {
        let DryRun::Estimate(estimate) = answer else {
            return None;
        };
        let terminated = document
            .text
            .get(unit.range.end..)
            .is_some_and(|rest| rest.starts_with(';'));
        let label = cost::text(estimate.bytes_processed, snapshot.settings.price_per_tib);
        Some(InlayHint {
            position: document.position(unit.range.end + usize::from(terminated)),
            label: InlayHintLabel::String(label),
            kind: None,
            text_edits: None,
            tooltip: Some(InlayHintTooltip::String(cost::summary(
                estimate,
                snapshot.settings.price_per_tib,
            ))),
            padding_left: Some(true),
            padding_right: None,
            data: None,
        })
    };
    here.filter_map(hint).collect()
}
