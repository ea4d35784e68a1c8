//! `textDocument/definition`, `references`, `prepareRename` and `rename`: the names that a text defines itself.

use std::sync::Arc;

use bigquill_analysis::features::{definition as definitions, references as places};
use tower_lsp::jsonrpc::Result;
use tower_lsp::lsp_types::*;

use super::code_action::workspace_edit;
use crate::error::RequestError;
use crate::session::Session;

/// Where the name at a position is defined.
///
/// # Errors
/// Where the document is not open.
pub async fn definition(
    session: &Arc<Session>,
    params: GotoDefinitionParams,
) -> Result<Option<GotoDefinitionResponse>> {
    let (snapshot, offset) = super::snapshot_at(session, &params.text_document_position_params).await?;
    super::compute(&snapshot, move |snapshot| {
        let document = &snapshot.document;
        let range = definitions::definition(&document.text, offset, &snapshot.catalog)?;
        let location = Location::new(document.uri.clone(), document.editor_range(&range));
        Some(GotoDefinitionResponse::Scalar(location))
    })
    .await
}

/// Where the name at a position is used.
///
/// # Errors
/// Where the document is not open.
pub async fn references(session: &Arc<Session>, params: ReferenceParams) -> Result<Option<Vec<Location>>> {
    let (snapshot, offset) = super::snapshot_at(session, &params.text_document_position).await?;
    let with_definition = params.context.include_declaration;
    let locations = super::compute(&snapshot, move |snapshot| {
        let document = &snapshot.document;
        let found = places::references(&document.text, offset, &snapshot.catalog);
        // The definition comes first.
        let wanted = found.iter().skip(usize::from(!with_definition));
        let locations = wanted.map(|range| Location::new(document.uri.clone(), document.editor_range(range)));
        locations.collect()
    });
    locations.await.map(Some)
}

/// The name at a position, where it can be renamed.
///
/// # Errors
/// Where the document is not open.
pub async fn prepare_rename(
    session: &Arc<Session>,
    params: TextDocumentPositionParams,
) -> Result<Option<PrepareRenameResponse>> {
    let (snapshot, offset) = super::snapshot_at(session, &params).await?;
    super::compute(&snapshot, move |snapshot| {
        let document = &snapshot.document;
        let found = places::references(&document.text, offset, &snapshot.catalog);
        let here = found
            .iter()
            .find(|range| range.start <= offset && offset <= range.end)?;
        Some(PrepareRenameResponse::Range(document.editor_range(here)))
    })
    .await
}

/// Gives the name at a position another one, everywhere.
///
/// # Errors
/// Where the document is not open, or nothing stands there that can have this name.
pub async fn rename(session: &Arc<Session>, params: RenameParams) -> Result<Option<WorkspaceEdit>> {
    let (snapshot, offset) = super::snapshot_at(session, &params.text_document_position).await?;
    let abilities = session.abilities();
    let edit = super::compute(&snapshot, move |snapshot| {
        let document = &snapshot.document;
        let edits = places::rename(&document.text, offset, &params.new_name, &snapshot.catalog)?;
        let edits = edits.into_iter().map(|(range, new_text)| TextEdit {
            range: document.editor_range(&range),
            new_text,
        });
        Some(workspace_edit(document, edits.collect(), abilities))
    })
    .await?;
    let refused = "only CTEs and aliases can be renamed, to a name without backquotes";
    edit.map(Some)
        .ok_or_else(|| RequestError::Failed(refused.into()).into())
}
