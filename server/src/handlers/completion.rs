//! `textDocument/completion` and `completionItem/resolve`.
//!
//! For clients without ghost text the list holds one item that answers the comment. Accepting it runs the command;
//! what it would write is shown only where the client asks for the item's documentation, so that typing never waits.

use std::sync::Arc;

use bigquill_analysis::features::completion::{self as features, CompletionKind};
use bigquill_analysis::syntax::question::question_at;
use serde::{Deserialize, Serialize};
use tower_lsp::jsonrpc::Result;
use tower_lsp::lsp_types::*;

use super::execute_command::{GenerateArguments, generate_command};
use super::generate::{Wish, answer};
use crate::document::Document;
use crate::session::{Lane, Session};

/// A list of so many names may have been cut.
const MANY: usize = 300;

/// What an item carries to its resolution.
#[derive(Debug, Serialize, Deserialize)]
struct GenerateItem {
    generate: GenerateArguments,
}

/// Names and keywords at a position, and the item that answers a comment.
///
/// # Errors
/// Where the document is not open.
pub async fn completion(
    session: &Arc<Session>,
    params: CompletionParams,
) -> Result<Option<CompletionResponse>> {
    let (snapshot, offset) = super::snapshot_at(session, &params.text_document_position).await?;
    let offer = snapshot.settings.ghost_text && !session.abilities().inline_completion;
    let list = super::compute(&snapshot, move |snapshot| {
        let document = &snapshot.document;
        let names = features::complete(&document.text, offset, &snapshot.catalog);
        let generate = offer.then(|| generate_item(document, offset)).flatten();
        CompletionList {
            // Of many tables only the first are here: more letters bring others.
            is_incomplete: names.len() >= MANY,
            items: names
                .into_iter()
                .map(|name| name_item(document, name))
                .chain(generate)
                .collect(),
        }
    });
    list.await.map(|list| Some(CompletionResponse::List(list)))
}

/// The documentation of the item that answers a comment: what it would write.
///
/// # Errors
/// Where the answer cannot be made.
pub async fn resolve(session: &Arc<Session>, mut item: CompletionItem) -> Result<CompletionItem> {
    let data = item.data.clone().unwrap_or_default();
    let Ok(GenerateItem { generate }) = serde_json::from_value(data) else {
        return Ok(item);
    };
    let Some(snapshot) = session.snapshot(&generate.uri).await else {
        return Ok(item);
    };
    let found = super::compute(&snapshot, move |snapshot| {
        super::generate::locate(&snapshot.document, &generate)
    })
    .await?;
    let Some(question) = found else { return Ok(item) };
    let wish = Wish {
        lane: Lane::Automatic,
        progress: None,
        reuse: true,
    };
    if let Some(answer) = answer(session, &snapshot, &question, wish).await? {
        session.offered(&question.text, &answer);
        let sql = answer
            .text("")
            .unwrap_or_else(|| answer.reason().unwrap_or_default());
        item.documentation = Some(Documentation::MarkupContent(MarkupContent {
            kind: MarkupKind::Markdown,
            value: format!("```sql\n{sql}\n```\n{}", answer.proof()),
        }));
    }
    Ok(item)
}

fn name_item(document: &Document, name: features::CompletionItem) -> CompletionItem {
    CompletionItem {
        kind: Some(match name.kind {
            CompletionKind::Column | CompletionKind::Field => CompletionItemKind::FIELD,
            CompletionKind::Alias | CompletionKind::Cte => CompletionItemKind::VARIABLE,
            CompletionKind::Table => CompletionItemKind::STRUCT,
            CompletionKind::Dataset => CompletionItemKind::MODULE,
            CompletionKind::Function => CompletionItemKind::FUNCTION,
            CompletionKind::Keyword => CompletionItemKind::KEYWORD,
        }),
        sort_text: Some(format!("{:02} {}", name.rank, name.label.to_lowercase())),
        filter_text: filter_text(document, &name),
        text_edit: Some(CompletionTextEdit::Edit(TextEdit {
            range: document.editor_range(&name.replace),
            new_text: name.insert,
        })),
        detail: Some(name.detail).filter(|detail| !detail.is_empty()),
        // Plain text: what a catalog says is data, not markup.
        documentation: Some(name.documentation)
            .filter(|text| !text.is_empty())
            .map(Documentation::String),
        label: name.label,
        ..CompletionItem::default()
    }
}

/// What the client compares with the text that the item replaces: with an open backquote where there is one.
fn filter_text(document: &Document, name: &features::CompletionItem) -> Option<String> {
    document
        .slice(name.replace.clone())
        .starts_with('`')
        .then(|| format!("`{}", name.label))
}

fn generate_item(document: &Document, offset: usize) -> Option<CompletionItem> {
    let question =
        question_at(&document.text, offset).filter(|q| q.automatic && offset >= q.comment.start)?;
    let title = question.text.lines().next().unwrap_or_default();
    let arguments = GenerateArguments {
        uri: document.uri.clone(),
        position: document.position(question.comment.start),
        version: Some(document.version),
        comment: Some(document.slice(question.comment.clone()).to_owned()),
    };
    // The word before the cursor is replaced by itself: accepting the item changes nothing but by its command.
    let word = word_before(document, offset);
    Some(CompletionItem {
        label: format!("Generate SQL: {title}"),
        kind: Some(CompletionItemKind::EVENT),
        detail: Some("bigquill writes a query for this comment".to_owned()),
        sort_text: Some("~".to_owned()),
        filter_text: Some(word.to_owned()),
        text_edit: Some(CompletionTextEdit::Edit(TextEdit {
            range: document.editor_range(&(offset - word.len()..offset)),
            new_text: word.to_owned(),
        })),
        command: Some(generate_command("Generate SQL from comment", &arguments)),
        data: serde_json::to_value(GenerateItem { generate: arguments }).ok(),
        ..CompletionItem::default()
    })
}

fn word_before(document: &Document, offset: usize) -> &str {
    let before = document.slice(0..offset);
    let start = before
        .rfind(|c: char| !c.is_alphanumeric() && c != '_')
        .map_or(0, |at| at + before[at..].chars().next().map_or(0, char::len_utf8));
    &before[start..]
}
