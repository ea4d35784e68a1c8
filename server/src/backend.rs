//! The language server: each request and notification goes to its handler.

use std::sync::Arc;

use serde_json::{Value, json};
use tower_lsp::jsonrpc::Result;
use tower_lsp::lsp_types::*;
use tower_lsp::{Client, LanguageServer};

use crate::error::RequestError;
use crate::handlers;
use crate::handlers::inline_completion::{InlineCompletionItem, InlineCompletionParams};
use crate::session::{ServerOptions, Session};

/// The server of one connection.
pub struct Backend {
    session: Arc<Session>,
}

impl Backend {
    /// A server that speaks to this client.
    #[must_use]
    pub fn new(client: Client, options: ServerOptions) -> Self {
        Self {
            session: Arc::new(Session::new(client, options)),
        }
    }

    /// The state of the connection.
    #[must_use]
    pub fn session(&self) -> Arc<Session> {
        Arc::clone(&self.session)
    }

    /// `textDocument/inlineCompletion` (LSP 3.18).
    ///
    /// # Errors
    /// As the protocol has them.
    pub async fn inline_completion(
        &self,
        params: InlineCompletionParams,
    ) -> Result<Option<Vec<InlineCompletionItem>>> {
        handlers::inline_completion::inline_completion(&self.session, params).await
    }

    /// `window/workDoneProgress/cancel`.
    pub async fn cancel_progress(&self, params: WorkDoneProgressCancelParams) {
        self.session.generations.cancel(&params.token);
        self.session.generator.cancel(&params.token);
        self.session.runs.cancel(&params.token);
    }

    /// `workspace/textDocumentContent` (LSP 3.18): a page of results.
    ///
    /// # Errors
    /// Where the results are gone, or BigQuery does not give the rows.
    pub async fn text_document_content(&self, params: TextDocumentIdentifier) -> Result<Value> {
        let text = handlers::run::page_text(&self.session, &params.uri).await?;
        Ok(json!({ "text": text }))
    }

    /// `bigquill/viewFileText`: version and text of an open document as the server has them, to look for the cause
    /// where editor and server seem to differ.
    ///
    /// # Errors
    /// Where the document is not open.
    pub async fn view_file_text(&self, params: TextDocumentIdentifier) -> Result<Value> {
        let document = self.session.document(&params.uri).ok_or(RequestError::NotOpen)?;
        Ok(json!({ "version": document.version, "text": document.text }))
    }

    /// `$/setTrace`: there is no trace; the log goes to stderr.
    pub async fn set_trace(&self, _: Value) {}
}

#[tower_lsp::async_trait]
impl LanguageServer for Backend {
    async fn initialize(&self, params: InitializeParams) -> Result<InitializeResult> {
        handlers::lifecycle::initialize(&self.session, params).await
    }

    async fn initialized(&self, _: InitializedParams) {
        handlers::lifecycle::initialized(&self.session);
    }

    async fn shutdown(&self) -> Result<()> {
        self.session.runs.end();
        self.session.finish_accepted().await;
        Ok(())
    }

    async fn did_open(&self, params: DidOpenTextDocumentParams) {
        handlers::documents::did_open(&self.session, params);
    }

    async fn did_change(&self, params: DidChangeTextDocumentParams) {
        handlers::documents::did_change(&self.session, params);
    }

    async fn did_save(&self, params: DidSaveTextDocumentParams) {
        handlers::documents::did_save(&self.session, &params).await;
    }

    async fn did_close(&self, params: DidCloseTextDocumentParams) {
        handlers::documents::did_close(&self.session, &params);
    }

    async fn did_change_configuration(&self, params: DidChangeConfigurationParams) {
        self.session.configuration_changed(params.settings).await;
    }

    async fn did_change_watched_files(&self, params: DidChangeWatchedFilesParams) {
        handlers::documents::did_change_watched_files(&self.session, params).await;
    }

    async fn diagnostic(&self, params: DocumentDiagnosticParams) -> Result<DocumentDiagnosticReportResult> {
        handlers::diagnostics::pull(&self.session, params).await
    }

    async fn code_action(&self, params: CodeActionParams) -> Result<Option<CodeActionResponse>> {
        handlers::code_action::code_action(&self.session, params).await
    }

    async fn code_lens(&self, params: CodeLensParams) -> Result<Option<Vec<CodeLens>>> {
        handlers::code_lens::code_lens(&self.session, params).await
    }

    async fn inlay_hint(&self, params: InlayHintParams) -> Result<Option<Vec<InlayHint>>> {
        handlers::inlay_hint::inlay_hint(&self.session, params).await
    }

    async fn execute_command(&self, params: ExecuteCommandParams) -> Result<Option<Value>> {
        handlers::execute_command::execute_command(&self.session, params).await
    }

    async fn completion(&self, params: CompletionParams) -> Result<Option<CompletionResponse>> {
        handlers::completion::completion(&self.session, params).await
    }

    async fn completion_resolve(&self, item: CompletionItem) -> Result<CompletionItem> {
        handlers::completion::resolve(&self.session, item).await
    }

    async fn hover(&self, params: HoverParams) -> Result<Option<Hover>> {
        handlers::hover::hover(&self.session, params).await
    }

    async fn signature_help(&self, params: SignatureHelpParams) -> Result<Option<SignatureHelp>> {
        handlers::hover::signature_help(&self.session, params).await
    }

    async fn document_symbol(&self, params: DocumentSymbolParams) -> Result<Option<DocumentSymbolResponse>> {
        handlers::outline::document_symbol(&self.session, params).await
    }

    async fn folding_range(&self, params: FoldingRangeParams) -> Result<Option<Vec<FoldingRange>>> {
        handlers::outline::folding_range(&self.session, params).await
    }

    async fn goto_definition(&self, params: GotoDefinitionParams) -> Result<Option<GotoDefinitionResponse>> {
        handlers::navigation::definition(&self.session, params).await
    }

    async fn references(&self, params: ReferenceParams) -> Result<Option<Vec<Location>>> {
        handlers::navigation::references(&self.session, params).await
    }

    async fn prepare_rename(
        &self,
        params: TextDocumentPositionParams,
    ) -> Result<Option<PrepareRenameResponse>> {
        handlers::navigation::prepare_rename(&self.session, params).await
    }

    async fn rename(&self, params: RenameParams) -> Result<Option<WorkspaceEdit>> {
        handlers::navigation::rename(&self.session, params).await
    }
}
