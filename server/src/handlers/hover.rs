//! `textDocument/hover` and `textDocument/signatureHelp`.

use bigquill_analysis::features::{hover as names, signature_help as calls};
use tower_lsp::jsonrpc::Result;
use tower_lsp::lsp_types::*;

use crate::session::Session;

/// What the name at a position is.
///
/// # Errors
/// Where the document is not open.
pub async fn hover(session: &Session, params: HoverParams) -> Result<Option<Hover>> {
    let (snapshot, offset) = super::snapshot_at(session, &params.text_document_position_params).await?;
    let kind = if session.abilities().markdown_hover {
        MarkupKind::Markdown
    } else {
        MarkupKind::PlainText
    };
    super::compute(&snapshot, move |snapshot| {
        let document = &snapshot.document;
        let found = names::hover(&document.text, offset, &snapshot.catalog)?;
        Some(Hover {
            contents: HoverContents::Markup(MarkupContent {
                kind,
                value: found.markdown,
            }),
            range: Some(document.editor_range(&found.range)),
        })
    })
    .await
}

/// The signatures of the call around a position.
///
/// # Errors
/// Where the document is not open.
pub async fn signature_help(session: &Session, params: SignatureHelpParams) -> Result<Option<SignatureHelp>> {
    let (snapshot, offset) = super::snapshot_at(session, &params.text_document_position_params).await?;
    super::compute(&snapshot, move |snapshot| {
        let found = calls::signature_help(&snapshot.document.text, offset, &snapshot.catalog)?;
        Some(SignatureHelp {
            signatures: found.signatures.into_iter().map(signature).collect(),
            active_signature: u32::try_from(found.active).ok(),
            active_parameter: u32::try_from(found.argument).ok(),
        })
    })
    .await
}

fn signature(line: calls::SignatureLine) -> SignatureInformation {
    let parameters = line.parameters.into_iter().map(|label| ParameterInformation {
        label: ParameterLabel::Simple(label),
        documentation: None,
    });
    SignatureInformation {
        label: line.label,
        documentation: None,
        parameters: Some(parameters.collect()),
        active_parameter: None,
    }
}
