//! tower-lsp's service with what LSP 3.18 knows and tower-lsp 0.20 does not.

use std::sync::Arc;
use std::task::{Context, Poll};

use serde_json::json;
use tokio::sync::watch;
use tower::Service;
use tower_lsp::jsonrpc::{Request, Response};
use tower_lsp::{ClientSocket, ExitedError, LspService};

use super::{Answer, parent};
use crate::backend::Backend;
use crate::session::{RESULTS_SCHEME, ServerOptions, Session};

/// The language server as a service: requests and notifications in, responses out.
pub struct LanguageService {
    inner: LspService<Backend>,
    session: Arc<Session>,
    parent: watch::Sender<Option<u32>>,
}

impl LanguageService {
    /// A server for one client, and the socket by which it speaks to that client.
    #[must_use]
    pub fn new(options: ServerOptions) -> (Self, ClientSocket) {
        let (inner, socket) = LspService::build(|client| Backend::new(client, options))
            .custom_method("textDocument/inlineCompletion", Backend::inline_completion)
            .custom_method("workspace/textDocumentContent", Backend::text_document_content)
            .custom_method("window/workDoneProgress/cancel", Backend::cancel_progress)
            .custom_method("bigquill/viewFileText", Backend::view_file_text)
            .custom_method("$/setTrace", Backend::set_trace)
            .finish();
        let session = inner.inner().session();
        let service = Self {
            inner,
            session,
            parent: watch::Sender::new(None),
        };
        (service, socket)
    }

    /// The client's process, once `initialize` named it.
    pub(super) fn parent(&self) -> watch::Receiver<Option<u32>> {
        self.parent.subscribe()
    }

    fn initialize(&mut self, request: Request) -> Answer {
        if let Some(params) = request.params() {
            // lsp-types 0.94 drops what it does not know of the client's capabilities.
            self.session.offer_raw_capabilities(params);
            let process = params["processId"].as_u64().and_then(|id| u32::try_from(id).ok());
            // Looked at before the reply: a client that is gone right after it was there.
            self.parent
                .send_replace(process.filter(|process| parent::runs(*process)));
        }
        let response = self.inner.call(request);
        Box::pin(async move { Ok(response.await?.map(announce)) })
    }
}

impl Service<Request> for LanguageService {
    type Response = Option<Response>;
    type Error = ExitedError;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        if request.method() == "initialize" {
            self.initialize(request)
        } else {
            self.inner.call(request)
        }
    }
}

/// What lsp-types 0.94 has no members for.
fn announce(response: Response) -> Response {
    let (id, mut result) = response.into_parts();
    if let Ok(result) = &mut result {
        let capabilities = &mut result["capabilities"];
        capabilities["inlineCompletionProvider"] = json!({});
        if !capabilities["workspace"].is_object() {
            capabilities["workspace"] = json!({});
        }
        capabilities["workspace"]["textDocumentContent"] = json!({ "schemes": [RESULTS_SCHEME] });
    }
    Response::from_parts(id, result)
}
