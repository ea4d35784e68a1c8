//! Findings: published when something changed, or handed out when the client asks.
//!
//! The resolver's come at once, with the verdicts of GoogleSQL that are known; those on what changed follow.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bigquill_analysis::check::{self, Severity};
use tokio::sync::Notify;
use tower_lsp::jsonrpc::Result;
use tower_lsp::lsp_types::notification::PublishDiagnostics;
use tower_lsp::lsp_types::*;

use crate::bigquery::DryRun;
use crate::bigquery::unit::Unit;
use crate::document::Document;
use crate::session::{DocumentSnapshot, Judged, Session};

/// How long a client that asks for findings waits for verdicts: several statements' worth. It asks again for the rest.
const VERDICTS_WAIT: Duration = Duration::from_millis(100);

/// The source of findings that a dry run brought.
const BIGQUERY: &str = "BigQuery";

/// `textDocument/diagnostic`.
///
/// # Errors
/// Where the document is not open.
pub async fn pull(
    session: &Arc<Session>,
    params: DocumentDiagnosticParams,
) -> Result<DocumentDiagnosticReportResult> {
    let snapshot = super::snapshot(session, &params.text_document.uri).await?;
    drop(session.read_tables(&snapshot).await);
    let judged = super::compute(&snapshot, |snapshot| find(snapshot, &patience())).await?;
    if !judged.complete {
        super::spawn(session, |session| judge_the_rest(session, snapshot.clone()));
    }
    let full = FullDocumentDiagnosticReport {
        result_id: None,
        items: to_editor_list(&snapshot, &judged),
    };
    let report = RelatedFullDocumentDiagnosticReport {
        related_documents: None,
        full_document_diagnostic_report: full,
    };
    Ok(DocumentDiagnosticReportResult::Report(
        DocumentDiagnosticReport::Full(report),
    ))
}

/// Gets the verdicts that a pull did not wait for, then has the client pull again.
async fn judge_the_rest(session: Arc<Session>, snapshot: DocumentSnapshot) {
    let judged = judge_newest(&session, &snapshot).await;
    if judged.is_ok_and(|judged| judged.complete) {
        session.refresh_pulled();
    }
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
        // Schemas that come later ring again.
        drop(session.read_tables(&snapshot).await);
        let state = (
            snapshot.document.version,
            snapshot.catalog_epoch,
            Arc::clone(&snapshot.settings),
            snapshot.judge.is_some(),
            Arc::clone(&snapshot.dry_runs),
        );
        if published.as_ref() == Some(&state) {
            continue;
        }
        let Ok(judged) = super::compute(&snapshot, |snapshot| find(snapshot, &|| false)).await else {
            continue;
        };
        if is_newest(&session, &snapshot.document) && session.is_open(&uri, &changed) {
            publish(&session, &snapshot, &judged).await;
            published = Some(state);
        }
        if !judged.complete
            && let Ok(all) = judge_newest(&session, &snapshot).await
            && all.complete
            && is_newest(&session, &snapshot.document)
            && session.is_open(&uri, &changed)
            && all.diagnostics != judged.diagnostics
        {
            publish(&session, &snapshot, &all).await;
        }
    }
    // Closed, and not opened again: its findings go. (A new opening has a bell of its own.)
    if session.document(&uri).is_none() {
        let params = PublishDiagnosticsParams {
            uri,
            diagnostics: Vec::new(),
            version: None,
        };
        session.editor.tell::<PublishDiagnostics>(params).await;
    }
}

fn is_newest(session: &Session, document: &Document) -> bool {
    session
        .document(&document.uri)
        .is_some_and(|newest| newest.version == document.version)
}

/// All findings of a snapshot, as long as it is the newest.
async fn judge_newest(session: &Arc<Session>, snapshot: &DocumentSnapshot) -> Result<Judged> {
    let session = Arc::clone(session);
    super::compute(snapshot, move |snapshot| {
        find(snapshot, &|| is_newest(&session, &snapshot.document))
    })
    .await
}

/// Says for how long a person who waits for findings may wait for verdicts.
pub(super) fn patience() -> impl Fn() -> bool {
    let begin = Instant::now();
    move || begin.elapsed() < VERDICTS_WAIT
}

/// Findings of a snapshot; none where the settings say so.
fn find(snapshot: &DocumentSnapshot, go_on: &dyn Fn() -> bool) -> Judged {
    if snapshot.settings.diagnostics {
        return snapshot.judged(go_on);
    }
    Judged {
        diagnostics: Vec::new(),
        complete: true,
    }
}

fn to_editor_list(snapshot: &DocumentSnapshot, judged: &Judged) -> Vec<Diagnostic> {
    let document = &snapshot.document;
    let findings = judged
        .diagnostics
        .iter()
        .map(|finding| to_editor(document, finding));
    findings.chain(refusals(snapshot)).collect()
}

/// What BigQuery refused in dry runs, where it stands now.
fn refusals(snapshot: &DocumentSnapshot) -> Vec<Diagnostic> {
    if !snapshot.settings.diagnostics {
        return Vec::new();
    }
    let document = &snapshot.document;
    let refusal = |(unit, answer): (Unit, &DryRun)| match answer {
        DryRun::Refused(refusal) => Some(Diagnostic {
            range: document.editor_range(&unit.place(&document.text, refusal.place)),
            severity: Some(DiagnosticSeverity::ERROR),
            code: Some(NumberOrString::String(refusal.reason.clone())).filter(|_| !refusal.reason.is_empty()),
            source: Some(BIGQUERY.to_owned()),
            message: refusal.message.clone(),
            ..Diagnostic::default()
        }),
        DryRun::Estimate(_) => None,
    };
    let answers = snapshot.dry_runs.of(&document.text, &snapshot.settings);
    answers.into_iter().filter_map(refusal).collect()
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
        source: Some(finding.code.source().as_str().to_owned()),
        message,
        ..Diagnostic::default()
    }
}

async fn publish(session: &Session, snapshot: &DocumentSnapshot, judged: &Judged) {
    let document = &snapshot.document;
    let params = PublishDiagnosticsParams {
        uri: document.uri.clone(),
        diagnostics: to_editor_list(snapshot, judged),
        version: Some(document.version),
    };
    session.editor.tell::<PublishDiagnostics>(params).await;
}
