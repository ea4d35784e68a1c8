//! One request each: take a snapshot, convert in, call a pure function, convert out.

use std::sync::Arc;

use tower_lsp::jsonrpc::Result;
use tower_lsp::lsp_types::{TextDocumentPositionParams, Url};

use crate::error::RequestError;
use crate::session::{DocumentSnapshot, Session};

pub mod code_action;
pub mod code_lens;
pub mod completion;
pub mod diagnostics;
pub mod documents;
pub mod execute_command;
pub mod generate;
pub mod hover;
pub mod inlay_hint;
pub mod inline_completion;
pub mod lifecycle;
pub mod navigation;
pub mod outline;
pub mod run;

/// The newest version of a document. The document is taken before the first await, the catalog may be waited for.
async fn snapshot(session: &Session, uri: &Url) -> Result<DocumentSnapshot> {
    Ok(session.snapshot(uri).await.ok_or(RequestError::NotOpen)?)
}

/// The newest version of a document, with the schemas of what it names, and the byte offset of a position in it.
async fn snapshot_at(
    session: &Arc<Session>,
    at: &TextDocumentPositionParams,
) -> Result<(DocumentSnapshot, usize)> {
    let document = session
        .document(&at.text_document.uri)
        .ok_or(RequestError::NotOpen)?;
    let snapshot = session.with_tables(document).await;
    let offset = snapshot.document.offset(at.position);
    Ok((snapshot, offset))
}

/// Calls a function of a snapshot away from the threads that serve messages.
async fn compute<T, F>(snapshot: &DocumentSnapshot, function: F) -> Result<T>
where
    T: Send + 'static,
    F: FnOnce(&DocumentSnapshot) -> T + Send + 'static,
{
    let snapshot = snapshot.clone();
    let result = tokio::task::spawn_blocking(move || function(&snapshot)).await;
    Ok(result.map_err(|_| RequestError::Internal)?)
}

/// Starts work that outlives the request.
fn spawn<F>(session: &Arc<Session>, work: impl FnOnce(Arc<Session>) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    tokio::spawn(work(Arc::clone(session)));
}
