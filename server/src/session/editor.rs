//! The way to the client: messages, requests, progress.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use tower_lsp::Client;
use tower_lsp::jsonrpc;
use tower_lsp::lsp_types::notification::{Notification, Progress as ProgressNotification};
use tower_lsp::lsp_types::request::{Request, ShowMessageRequest, WorkDoneProgressCreate};
use tower_lsp::lsp_types::{
    MessageActionItem, MessageType, NumberOrString, ProgressParams, ProgressParamsValue, ProgressToken,
    ShowMessageRequestParams, WorkDoneProgress, WorkDoneProgressBegin, WorkDoneProgressCreateParams,
    WorkDoneProgressEnd, WorkDoneProgressReport,
};

/// Speaks to the client.
pub struct Editor {
    client: Client,
    tokens: AtomicU64,
    shown: Mutex<HashSet<String>>,
}

/// A progress display. Without the client's support it does nothing.
#[derive(Debug)]
pub struct Progress {
    client: Client,
    token: Option<ProgressToken>,
}

impl Editor {
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            tokens: AtomicU64::new(0),
            shown: Mutex::default(),
        }
    }

    /// Sends a request and waits for its answer.
    ///
    /// # Errors
    /// The client's error.
    pub async fn ask<R>(&self, params: R::Params) -> jsonrpc::Result<R::Result>
    where
        R: Request,
        R::Params: Send + 'static,
        R::Result: Send + 'static,
    {
        let client = self.client.clone();
        // In a task of its own: tower-lsp panics where an answer comes for a request whose future was dropped.
        tokio::spawn(async move { client.send_request::<R>(params).await })
            .await
            .unwrap_or_else(|_| Err(jsonrpc::Error::internal_error()))
    }

    /// Sends a notification.
    pub async fn tell<N: Notification>(&self, params: N::Params) {
        self.client.send_notification::<N>(params).await;
    }

    /// Shows a message, and writes it to the log.
    pub async fn show(&self, kind: MessageType, message: &str) {
        tracing::info!(message, "shown to the user");
        self.client.show_message(kind, message).await;
    }

    /// Writes a message to the log, the editor's and ours.
    pub async fn log(&self, kind: MessageType, message: &str) {
        tracing::info!(message, "logged");
        self.client.log_message(kind, message).await;
    }

    /// Shows a message that was not shown before in this session.
    pub async fn show_once(&self, kind: MessageType, message: &str) {
        let new = self
            .shown
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(message.to_owned());
        if new {
            self.show(kind, message).await;
        }
    }

    /// Asks the person to choose; none where no choice was made.
    pub async fn choose(&self, kind: MessageType, message: String, choices: &[String]) -> Option<String> {
        let action = |title: &String| MessageActionItem {
            title: title.clone(),
            properties: Default::default(),
        };
        let params = ShowMessageRequestParams {
            typ: kind,
            message,
            actions: Some(choices.iter().map(action).collect()),
        };
        self.ask::<ShowMessageRequest>(params)
            .await
            .ok()
            .flatten()
            .map(|choice| choice.title)
    }

    /// Begins a progress display, where the client has one (`supported`).
    pub async fn begin(
        &self,
        supported: bool,
        title: &str,
        message: Option<String>,
        cancellable: bool,
    ) -> Progress {
        let token = if supported {
            self.create_token().await
        } else {
            None
        };
        let progress = Progress {
            client: self.client.clone(),
            token,
        };
        progress
            .send(WorkDoneProgress::Begin(WorkDoneProgressBegin {
                title: title.to_owned(),
                cancellable: Some(cancellable),
                message,
                percentage: None,
            }))
            .await;
        progress
    }

    async fn create_token(&self) -> Option<ProgressToken> {
        let number = self.tokens.fetch_add(1, Ordering::Relaxed);
        let token = NumberOrString::String(format!("bigquill/{number}"));
        let params = WorkDoneProgressCreateParams { token: token.clone() };
        self.ask::<WorkDoneProgressCreate>(params)
            .await
            .ok()
            .map(|()| token)
    }
}

impl Progress {
    /// The token by which the client names it.
    #[must_use]
    pub fn token(&self) -> Option<&ProgressToken> {
        self.token.as_ref()
    }

    /// Shows how far the work is.
    pub async fn report(&self, message: String, percentage: Option<u32>) {
        self.send(WorkDoneProgress::Report(WorkDoneProgressReport {
            cancellable: Some(true),
            message: Some(message),
            percentage,
        }))
        .await;
    }

    /// Ends the display.
    pub async fn end(self, message: Option<String>) {
        self.send(WorkDoneProgress::End(WorkDoneProgressEnd { message }))
            .await;
    }

    async fn send(&self, value: WorkDoneProgress) {
        if let Some(token) = &self.token {
            let params = ProgressParams {
                token: token.clone(),
                value: ProgressParamsValue::WorkDone(value),
            };
            self.client
                .send_notification::<ProgressNotification>(params)
                .await;
        }
    }
}
