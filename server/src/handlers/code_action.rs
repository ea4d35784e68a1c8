//! `textDocument/codeAction`: generate SQL from a comment, the fixes of findings, rows of a table.

use std::collections::HashMap;
use std::ops::Range;

use bigquill_analysis::check::{self, Fix};
use bigquill_analysis::schema::TableReference;
use bigquill_analysis::syntax::question::{Question, question_at};
use serde_json::json;
use tower_lsp::jsonrpc::Result;
use tower_lsp::lsp_types::*;

use super::diagnostics::{patience, to_editor};
use super::execute_command::{GenerateArguments, PREVIEW_TABLE, generate_command};
use super::run::{RunArguments, table_at};
use crate::document::Document;
use crate::session::{Abilities, DocumentSnapshot, Session};

/// The kinds that are offered.
#[must_use]
pub fn kinds() -> Vec<CodeActionKind> {
    vec![CodeActionKind::QUICKFIX, CodeActionKind::REFACTOR_REWRITE]
}

/// What can be done at a range: the comment's action first, then fixes.
///
/// # Errors
/// Where the document is not open.
pub async fn code_action(session: &Session, params: CodeActionParams) -> Result<Option<CodeActionResponse>> {
    let snapshot = super::snapshot(session, &params.text_document.uri).await?;
    let abilities = session.abilities();
    let actions = super::compute(&snapshot, move |snapshot| actions(snapshot, &params, abilities)).await?;
    Ok(Some(actions))
}

fn actions(
    snapshot: &DocumentSnapshot,
    params: &CodeActionParams,
    abilities: Abilities,
) -> CodeActionResponse {
    let document = &snapshot.document;
    let range = document.byte_range(params.range);
    let wanted = |kind: &CodeActionKind| {
        let only = params.context.only.as_ref();
        only.is_none_or(|only| {
            only.iter()
                .any(|wanted| kind.as_str().starts_with(wanted.as_str()))
        })
    };
    let mut actions = Vec::new();
    if wanted(&CodeActionKind::REFACTOR_REWRITE)
        && let Some(question) = question_at(&document.text, range.start)
    {
        actions.push(generate(document, &question, abilities));
    }
    // A fix is an edit; a client that takes only commands gets none.
    if wanted(&CodeActionKind::QUICKFIX) && abilities.code_action_literals {
        let findings = snapshot.judged(&patience()).diagnostics;
        let here = findings.iter().filter(|finding| touch(&finding.range, &range));
        for finding in here {
            actions.extend(
                finding
                    .fixes
                    .iter()
                    .map(|fix| fixed(document, finding, fix, abilities)),
            );
        }
    }
    if params.context.only.is_none()
        && snapshot.settings.is_connected()
        && let Some(table) = table_at(snapshot, range.start)
    {
        actions.push(preview(snapshot, &table, params.range.start));
    }
    actions
}

/// A command, not a code action: it changes nothing.
fn preview(snapshot: &DocumentSnapshot, table: &TableReference, position: Position) -> CodeActionOrCommand {
    let arguments = RunArguments {
        uri: snapshot.document.uri.clone(),
        position,
        version: None,
    };
    let name = snapshot.catalog.display_name(table);
    CodeActionOrCommand::Command(Command {
        title: format!("Preview rows of `{name}`, for nothing"),
        command: PREVIEW_TABLE.to_owned(),
        arguments: Some(vec![json!(arguments)]),
    })
}

fn generate(document: &Document, question: &Question, abilities: Abilities) -> CodeActionOrCommand {
    let title = if question.answer.is_some() {
        "Regenerate SQL from comment"
    } else {
        "Generate SQL from comment"
    };
    let command = generate_command(
        title,
        &GenerateArguments {
            uri: document.uri.clone(),
            position: document.position(question.comment.start),
            version: Some(document.version),
            comment: Some(document.slice(question.comment.clone()).to_owned()),
        },
    );
    if !abilities.code_action_literals {
        return CodeActionOrCommand::Command(command);
    }
    CodeActionOrCommand::CodeAction(CodeAction {
        title: title.to_owned(),
        kind: Some(CodeActionKind::REFACTOR_REWRITE),
        command: Some(command),
        ..CodeAction::default()
    })
}

fn fixed(
    document: &Document,
    finding: &check::Diagnostic,
    fix: &Fix,
    abilities: Abilities,
) -> CodeActionOrCommand {
    let edits = fix.edits.iter().map(|(range, text)| TextEdit {
        range: document.editor_range(range),
        new_text: text.clone(),
    });
    CodeActionOrCommand::CodeAction(CodeAction {
        title: fix.title.clone(),
        kind: Some(CodeActionKind::QUICKFIX),
        diagnostics: Some(vec![to_editor(document, finding)]),
        edit: Some(workspace_edit(document, edits.collect(), abilities)),
        is_preferred: Some(fix.preferred),
        ..CodeAction::default()
    })
}

/// Edits of one version of a document; the version goes along where the client takes it.
pub(super) fn workspace_edit(
    document: &Document,
    edits: Vec<TextEdit>,
    abilities: Abilities,
) -> WorkspaceEdit {
    if !abilities.versioned_edits {
        return WorkspaceEdit {
            changes: Some(HashMap::from([(document.uri.clone(), edits)])),
            ..WorkspaceEdit::default()
        };
    }
    let edit = TextDocumentEdit {
        text_document: OptionalVersionedTextDocumentIdentifier {
            uri: document.uri.clone(),
            version: Some(document.version),
        },
        edits: edits.into_iter().map(OneOf::Left).collect(),
    };
    WorkspaceEdit {
        document_changes: Some(DocumentChanges::Edits(vec![edit])),
        ..WorkspaceEdit::default()
    }
}

fn touch(a: &Range<usize>, b: &Range<usize>) -> bool {
    a.start <= b.end && b.start <= a.end
}
