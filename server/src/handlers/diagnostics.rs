//! Findings: published when something changed, or handed out when the client asks.

use std::sync::Arc;

use bigquill_analysis::check::{self, Severity};
use tokio::sync::Notify;
use tower_lsp::jsonrpc::Result;
use tower_lsp::lsp_types::notification::PublishDiagnostics;
use tower_lsp::lsp_types::*;

use crate::document::Document;
use crate::session::{DocumentSnapshot, Session};

/// What our diagnostics name as their source.
pub const SOURCE: &str = "bigquill";

/// `textDocument/diagnostic`.
///
/// # Errors
/// Where the document is not open.
pub async fn pull(
    session: &Session,
    params: DocumentDiagnosticParams,
) -> Result<DocumentDiagnosticReportResult> {
    let snapshot = super::snapshot(session, &params.text_document.uri).await?;
    let items = super::compute(&snapshot, find).await?;
    let full = FullDocumentDiagnosticReport {
        result_id: None,
        items,
    };
    let report = RelatedFullDocumentDiagnosticReport {
        related_documents: None,
        full_document_diagnostic_report: full,
    };
    Ok(DocumentDiagnosticReportResult::Report(
        DocumentDiagnosticReport::Full(report),
    ))
}

/// Publishes the findings of a document whenever `changed` rings, until the document is closed. Versions that come
/// while one is checked are skipped but for the last.
pub async fn keep_published(session: Arc<Session>, uri: Url, changed: Arc<Notify>) {
    let mut published = None;
    loop {
        changed.notified().await;
        if !session.is_open(&uri, &changed) {
            break;
        }
        let Some(snapshot) = session.snapshot(&uri).await else {
            break;
        };
        let state = (
            snapshot.document.version,
            snapshot.catalog_epoch,
            Arc::clone(&snapshot.settings),
        );
        if published.as_ref() == Some(&state) {
            continue;
        }
        let Ok(diagnostics) = super::compute(&snapshot, find).await else {
            continue;
        };
        let newest = session
            .document(&uri)
            .is_some_and(|newest| newest.version == snapshot.document.version);
        if newest && session.is_open(&uri, &changed) {
            publish(&session, &uri, diagnostics, Some(snapshot.document.version)).await;
            published = Some(state);
        }
    }
    // Closed, and not opened again: its findings go. (A new opening has a bell of its own.)
    if session.document(&uri).is_none() {
        publish(&session, &uri, Vec::new(), None).await;
    }
}

/// Findings of a snapshot, as the editor takes them; none where the settings say so.
fn find(snapshot: &DocumentSnapshot) -> Vec<Diagnostic> {
    if !snapshot.settings.diagnostics {
        return Vec::new();
    }
    let document = &snapshot.document;
    let findings = snapshot.findings();
    findings
        .iter()
        .map(|finding| to_editor(document, finding))
        .collect()
}

/// A finding as the editor takes it.
pub(super) fn to_editor(document: &Document, finding: &check::Diagnostic) -> Diagnostic {
    let mut message = finding.message.clone();
    for note in &finding.notes {
        message.push('\n');
        message.push_str(note);
    }
    Diagnostic {
        range: document.editor_range(&finding.range),
        severity: Some(match finding.severity {
            Severity::Error => DiagnosticSeverity::ERROR,
            Severity::Warning => DiagnosticSeverity::WARNING,
            Severity::Information => DiagnosticSeverity::INFORMATION,
            Severity::Hint => DiagnosticSeverity::HINT,
        }),
        code: Some(NumberOrString::String(finding.code.as_str().to_owned())),
        source: Some(SOURCE.to_owned()),
        message,
        ..Diagnostic::default()
    }
}

async fn publish(session: &Session, uri: &Url, diagnostics: Vec<Diagnostic>, version: Option<i32>) {
    let params = PublishDiagnosticsParams {
        uri: uri.clone(),
        diagnostics,
        version,
    };
    session.editor.tell::<PublishDiagnostics>(params).await;
}
