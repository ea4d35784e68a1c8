//! `textDocument/hover` and `textDocument/signatureHelp`.

use std::ops::Range;
use std::sync::Arc;

use bigquill_analysis::features::hover::escape;
use bigquill_analysis::features::{hover as names, signature_help as calls};
use bigquill_analysis::schema::TableReference;
use bigquill_analysis::syntax::lexer::tokens;
use bigquill_analysis::syntax::split::statements;
use tower_lsp::jsonrpc::Result;
use tower_lsp::lsp_types::*;

use super::diagnostics::patience;
use crate::catalog::{Contact, ago};
use crate::session::{DocumentSnapshot, Session};

/// What the name at a position is.
///
/// # Errors
/// Where the document is not open.
pub async fn hover(session: &Arc<Session>, params: HoverParams) -> Result<Option<Hover>> {
    let (snapshot, offset) = super::snapshot_at(session, &params.text_document_position_params).await?;
    let kind = if session.abilities().markdown_hover {
        MarkupKind::Markdown
    } else {
        MarkupKind::PlainText
    };
    super::compute(&snapshot, move |snapshot| {
        let document = &snapshot.document;
        let (range, value) = match names::hover(&document.text, offset, &snapshot.catalog) {
            Some(found) => {
                let age = found.table.and_then(|table| age(snapshot, &table));
                (found.range, found.markdown + &age.unwrap_or_default())
            }
            None => output_columns(snapshot, offset)?,
        };
        Some(Hover {
            contents: HoverContents::Markup(MarkupContent { kind, value }),
            range: Some(document.editor_range(&range)),
        })
    })
    .await
}

/// When BigQuery gave a table's schema, and whether it answers now; none of a table that a catalog file tells of.
fn age(snapshot: &DocumentSnapshot, table: &TableReference) -> Option<String> {
    let live = snapshot.live.as_ref()?;
    let read = live.known.read.get(table)?;
    let age = read.read_at.elapsed().unwrap_or_default();
    let offline = match &live.contact {
        Contact::Offline { .. } => "; BigQuery is not reached now",
        Contact::Connecting | Contact::Online => "",
    };
    Some(format!("\n\nRead from BigQuery {}{offline}", ago(age)))
}

/// On the SELECT of a statement: the columns of its result, by GoogleSQL.
fn output_columns(snapshot: &DocumentSnapshot, offset: usize) -> Option<(Range<usize>, String)> {
    let text = &snapshot.document.text;
    let within = |range: &Range<usize>| range.start <= offset && offset <= range.end;
    let statement = statements(text).into_iter().find(|s| within(&s.range))?.range;
    let source = text.get(statement.clone())?;
    let mut depth = 0_usize;
    let select = tokens(source).into_iter().find_map(|token| {
        match token.text(source) {
            "(" => depth += 1,
            ")" => depth = depth.saturating_sub(1),
            _ => {}
        }
        let range = token.start + statement.start..token.end + statement.start;
        (depth == 0 && token.is_word(source, "SELECT") && within(&range)).then_some(range)
    })?;
    let (_, verdict) = snapshot
        .verdicts(&patience())
        .into_iter()
        .find(|(range, _)| within(range))?;
    let columns = &verdict.accepted()?.columns;
    if columns.is_empty() {
        return None;
    }
    let mut markdown = "| column | type |\n|---|---|\n".to_owned();
    for column in columns {
        let name = column.name.as_deref().map_or("(no name)".to_owned(), escape);
        markdown.push_str(&format!("| {name} | {} |\n", escape(&column.sql_type)));
    }
    Some((select, markdown))
}

/// The signatures of the call around a position.
///
/// # Errors
/// Where the document is not open.
pub async fn signature_help(
    session: &Arc<Session>,
    params: SignatureHelpParams,
) -> Result<Option<SignatureHelp>> {
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
