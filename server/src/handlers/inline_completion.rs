//! `textDocument/inlineCompletion` (LSP 3.18): the answer of a comment as ghost text, at the end of the comment and on
//! the empty line below it.

use std::sync::Arc;

use bigquill_analysis::syntax::question::{Question, question_at};
use serde::{Deserialize, Serialize};
use tower_lsp::jsonrpc::Result;
use tower_lsp::lsp_types::{Command, Range, TextDocumentPositionParams};

use super::execute_command::accepted_command;
use super::generate::{Wish, answer};
use crate::document::Document;
use crate::error::RequestError;
use crate::pipeline::Answer;
use crate::session::{DocumentSnapshot, Lane, Session};

/// Parameters of the request.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InlineCompletionParams {
    /// Document and position.
    #[serde(flatten)]
    pub at: TextDocumentPositionParams,
    /// How it came to the request.
    pub context: InlineCompletionContext,
}

/// How it came to the request.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InlineCompletionContext {
    /// 1: the person asked; 2: the editor did, while typing.
    pub trigger_kind: u32,
}

/// `InlineCompletionTriggerKind.Automatic`.
const AUTOMATIC: u32 = 2;

/// One ghost text.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InlineCompletionItem {
    /// The text.
    pub insert_text: String,
    /// What it replaces; holds the position and stays on its line.
    pub range: Range,
    /// What the client runs once it is accepted; none where nothing is to be kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<Command>,
}

/// The answer of the comment at the position. Nothing where there is no comment that asks, or it has its answer.
///
/// # Errors
/// `ContentModified` where the document changed meanwhile or a newer request came.
pub async fn inline_completion(
    session: &Arc<Session>,
    params: InlineCompletionParams,
) -> Result<Option<Vec<InlineCompletionItem>>> {
    let automatic = params.context.trigger_kind == AUTOMATIC;
    let (snapshot, offset) = super::snapshot_at(session, &params.at).await?;
    let settings = &snapshot.settings;
    if !settings.ghost_text || (automatic && !settings.ghost_text_automatic) {
        return Ok(None);
    }
    let found = super::compute(&snapshot, move |snapshot| question_for_ghost(snapshot, offset)).await?;
    let Some(question) = found.filter(|question| question.automatic || !automatic) else {
        return Ok(None);
    };
    let lane = if automatic { Lane::Automatic } else { Lane::Invoked };
    let wish = Wish {
        lane,
        progress: None,
        reuse: true,
    };
    let Some(answer) = answer(session, &snapshot, &question, wish).await? else {
        return Ok(None);
    };
    let document = &snapshot.document;
    if session
        .document(&document.uri)
        .is_none_or(|newest| newest.version != document.version)
    {
        return Err(RequestError::ContentModified.into());
    }
    let item = item(document, &question, offset, &answer);
    Ok(item.map(|item| {
        let offer = session.offered(&question.text, &answer);
        let command = offer.map(|offer| accepted_command(&document.uri, offer));
        vec![InlineCompletionItem { command, ..item }]
    }))
}

/// The open question whose comment ends at this offset, or stands just above its empty line.
fn question_for_ghost(snapshot: &DocumentSnapshot, offset: usize) -> Option<Question> {
    let document = &snapshot.document;
    let question = question_at(&document.text, offset).filter(|question| question.answer.is_none())?;
    let line = document.lines().line_of(offset);
    let range = document.lines().line_range(&document.text, line);
    let last_line = document.lines().line_of(question.comment.end);
    let at_end = line == last_line && offset >= question.comment.end;
    let rest = if at_end { offset..range.end } else { range };
    ((at_end || line == last_line + 1) && document.slice(rest).trim().is_empty()).then_some(question)
}

fn item(
    document: &Document,
    question: &Question,
    offset: usize,
    answer: &Answer,
) -> Option<InlineCompletionItem> {
    let text = &document.text;
    // In ghost text a plain line feed is enough: the editor writes the file's own line end.
    let mut block = answer.text(&question.indent)?;
    if question.separator_missing {
        // An item is one edit, so the semicolon that the statement before lacks goes first.
        block = format!(";\n{block}");
    }
    let line = document.lines().line_of(offset);
    let range = document.lines().line_range(text, line);
    if line == document.lines().line_of(question.comment.end) {
        return Some(InlineCompletionItem {
            insert_text: format!("\n{block}"),
            range: document.editor_range(&(offset..range.end)),
            command: None,
        });
    }
    Some(InlineCompletionItem {
        insert_text: block,
        range: document.editor_range(&range),
        command: None,
    })
}
