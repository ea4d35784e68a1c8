//! `initialize` and `initialized`.

use std::path::PathBuf;
use std::sync::Arc;

use tower_lsp::jsonrpc::Result;
use tower_lsp::lsp_types::*;

use super::execute_command;
use crate::position::Encoding;
use crate::session::{Abilities, Session};

/// Agrees on the position encoding, takes the workspace and the options, says what the server can do.
///
/// # Errors
/// None.
pub async fn initialize(session: &Arc<Session>, params: InitializeParams) -> Result<InitializeResult> {
    let offered = params
        .capabilities
        .general
        .as_ref()
        .and_then(|general| general.position_encodings.as_deref());
    let encoding = Encoding::negotiate(offered);
    session.agree_encoding(encoding);
    let workspace = workspace(&params);
    session.configure(workspace, params.initialization_options);
    Ok(InitializeResult {
        capabilities: capabilities(session.abilities(), encoding),
        // clangd's word from before LSP 3.17.
        offset_encoding: None,
        server_info: Some(ServerInfo {
            name: "bigquill".into(),
            version: Some(env!("CARGO_PKG_VERSION").into()),
        }),
    })
}

/// Reads the rest of the configuration and the catalog in the background.
pub fn initialized(session: &Arc<Session>) {
    super::spawn(session, |session| async move {
        session.start().await;
        super::spawn(&session, |session| async move { session.open_judge().await });
        if session.settings().ghost_text {
            session.warm_up();
        }
    });
}

fn workspace(params: &InitializeParams) -> Option<PathBuf> {
    let folders = params
        .workspace_folders
        .iter()
        .flatten()
        .map(|folder| &folder.uri);
    let root = params.root_uri.iter();
    folders.chain(root).find_map(|uri| uri.to_file_path().ok())
}

fn capabilities(abilities: Abilities, encoding: Encoding) -> ServerCapabilities {
    ServerCapabilities {
        position_encoding: Some(encoding.kind()),
        text_document_sync: Some(TextDocumentSyncCapability::Options(TextDocumentSyncOptions {
            open_close: Some(true),
            change: Some(TextDocumentSyncKind::INCREMENTAL),
            save: Some(TextDocumentSyncSaveOptions::Supported(true)),
            ..TextDocumentSyncOptions::default()
        })),
        code_action_provider: Some(if abilities.code_action_literals {
            CodeActionProviderCapability::Options(CodeActionOptions {
                code_action_kinds: Some(super::code_action::kinds()),
                ..CodeActionOptions::default()
            })
        } else {
            CodeActionProviderCapability::Simple(true)
        }),
        execute_command_provider: Some(ExecuteCommandOptions {
            commands: execute_command::ALL.map(str::to_owned).to_vec(),
            ..ExecuteCommandOptions::default()
        }),
        code_lens_provider: Some(CodeLensOptions {
            resolve_provider: Some(false),
        }),
        inlay_hint_provider: Some(OneOf::Left(true)),
        completion_provider: Some(CompletionOptions {
            resolve_provider: Some(true),
            trigger_characters: Some([".", "`", "@"].map(str::to_owned).to_vec()),
            ..CompletionOptions::default()
        }),
        hover_provider: Some(HoverProviderCapability::Simple(true)),
        signature_help_provider: Some(SignatureHelpOptions {
            trigger_characters: Some(["(", ","].map(str::to_owned).to_vec()),
            ..SignatureHelpOptions::default()
        }),
        document_symbol_provider: Some(OneOf::Left(true)),
        folding_range_provider: Some(FoldingRangeProviderCapability::Simple(true)),
        definition_provider: Some(OneOf::Left(true)),
        references_provider: Some(OneOf::Left(true)),
        rename_provider: Some(OneOf::Right(RenameOptions {
            prepare_provider: Some(true),
            work_done_progress_options: WorkDoneProgressOptions::default(),
        })),
        diagnostic_provider: abilities.pulls_diagnostics.then(|| {
            DiagnosticServerCapabilities::Options(DiagnosticOptions {
                identifier: Some("bigquill".into()),
                ..DiagnosticOptions::default()
            })
        }),
        ..ServerCapabilities::default()
    }
}
