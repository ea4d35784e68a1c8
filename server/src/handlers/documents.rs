//! `textDocument/didOpen`, `didChange`, `didClose`, and watched files.
//!
//! A document is changed before the first await: that keeps edits in the order in which they came.

use std::sync::Arc;

use tower_lsp::lsp_types::{
    DidChangeTextDocumentParams, DidChangeWatchedFilesParams, DidCloseTextDocumentParams,
    DidOpenTextDocumentParams, DidSaveTextDocumentParams,
};

use crate::document::Document;
use crate::session::{Session, WantedBy};
use crate::settings::CONFIG_FILE_NAME;

/// Takes a document and begins to watch for its findings.
pub fn did_open(session: &Arc<Session>, params: DidOpenTextDocumentParams) {
    let opened = params.text_document;
    let document = Document::new(
        opened.uri.clone(),
        opened.version,
        opened.text,
        session.encoding(),
    );
    let changed = session.open(document);
    if !session.abilities().pulls_diagnostics {
        changed.notify_one();
        super::spawn(session, |session| {
            super::diagnostics::keep_published(session, opened.uri, changed)
        });
    }
    // For clients that watch no files: a look at the files' times, nothing more.
    super::spawn(session, |session| async move { session.refresh_catalog().await });
}

/// Applies edits.
pub fn did_change(session: &Arc<Session>, params: DidChangeTextDocumentParams) {
    let uri = params.text_document.uri;
    session.change(&uri, |document| {
        document.changed(params.text_document.version, params.content_changes)
    });
    session.generations.document_changed(&uri);
}

/// Reads what became of completions, looks at catalog files, and has BigQuery plan the document's statements where that
/// is wanted.
pub async fn did_save(session: &Arc<Session>, params: &DidSaveTextDocumentParams) {
    session.read_kept(&params.text_document.uri);
    if session.settings().dry_runs() {
        session.dry_run(&params.text_document.uri, WantedBy::Save);
    }
    session.refresh_catalog().await;
}

/// Forgets a document.
pub fn did_close(session: &Arc<Session>, params: &DidCloseTextDocumentParams) {
    let uri = &params.text_document.uri;
    session.close(uri);
    session.generations.document_closed(uri);
}

/// Reads what changed.
pub async fn did_change_watched_files(session: &Arc<Session>, params: DidChangeWatchedFilesParams) {
    let configuration = params
        .changes
        .iter()
        .any(|change| change.uri.path().ends_with(CONFIG_FILE_NAME));
    session.files_changed(configuration).await;
}
