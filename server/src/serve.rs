//! The server on a pair of streams: reads messages, calls the service, writes what comes back.
//!
//! tower-lsp routes the messages and keeps the protocol's states, but its own transport is not used, for three
//! reasons. It stops at the first malformed message, because its framed reader ends after an error. It never ends
//! on `exit` while the input stays open. And it polls all handlers in one task, at most four at a time, with cancel
//! notices waiting in the same line. Here a handler is polled once where its message is read, in the order of the
//! messages, and what is not done by then goes on in a task of its own: whatever a handler does before its first
//! await is therefore in order, and nothing waits for a slow handler.

use std::io;
use std::pin::Pin;
use std::process::ExitCode;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tower::Service;
use tower_lsp::ClientSocket;
use tower_lsp::jsonrpc::{Error, Id, Request, Response};

use crate::session::ServerOptions;

mod frames;
mod parent;
mod service;

use frames::{Frame, FrameReader};
pub use service::LanguageService;

/// How long the last messages may take to be written to a client that does not read.
const LAST_WRITES: Duration = Duration::from_secs(1);

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// `shutdown` came before the end.
    Orderly,
    /// The client went without `shutdown`.
    Abrupt,
}

impl From<Ending> for ExitCode {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::Orderly => Self::SUCCESS,
            Ending::Abrupt => Self::FAILURE,
        }
    }
}

/// Serves on stdin and stdout until the client ends the connection, on a runtime of its own.
///
/// # Errors
/// Where the runtime cannot be started or the streams fail.
pub fn serve_stdio(options: ServerOptions) -> io::Result<Ending> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ending = runtime.block_on(serve(tokio::io::stdin(), tokio::io::stdout(), options));
    // A thread that still waits in a read of stdin, or computes, does not keep the process.
    runtime.shutdown_background();
    ending
}

/// Serves on these streams until the client ends the connection: by `exit`, by the end of its stream, or because its
/// process is gone.
///
/// # Errors
/// Where reading fails. A client that no longer reads is no error.
pub async fn serve<R, W>(input: R, output: W, options: ServerOptions) -> io::Result<Ending>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin + Send + 'static,
{
    let (service, socket) = LanguageService::new(options);
    let (messages, outbox) = mpsc::unbounded_channel();
    let (requests, responses) = socket_halves(socket);
    let mut writer = tokio::spawn(write_all(output, outbox, requests));
    let connection = Connection {
        service,
        messages,
        responses,
        running: JoinSet::new(),
        ending: Ending::Abrupt,
    };
    let ending = connection.run(FrameReader::new(input)).await;
    if tokio::time::timeout(LAST_WRITES, &mut writer).await.is_err() {
        writer.abort();
    }
    ending
}

type Requests = <ClientSocket as tower_lsp::Loopback>::RequestStream;
type Responses = <ClientSocket as tower_lsp::Loopback>::ResponseSink;

fn socket_halves(socket: ClientSocket) -> (Requests, Responses) {
    socket.split()
}

struct Connection {
    service: LanguageService,
    messages: mpsc::UnboundedSender<Response>,
    responses: Responses,
    running: JoinSet<()>,
    ending: Ending,
}

impl Connection {
    async fn run<R: AsyncRead + Unpin>(mut self, mut input: FrameReader<R>) -> io::Result<Ending> {
        let parent = self.service.parent();
        let mut gone = std::pin::pin!(parent::gone(parent));
        loop {
            let frame = tokio::select! {
                frame = input.next() => frame?,
                () = &mut gone => {
                    tracing::info!("the client's process is gone");
                    break;
                }
            };
            match frame {
                None => break,
                Some(Frame::Malformed(why)) => {
                    tracing::warn!(why, "malformed message");
                    self.reply(Response::from_error(Id::Null, Error::parse_error()));
                }
                Some(Frame::Message(message)) if message.get("method").is_some() => {
                    if message["method"] == "exit" {
                        break;
                    }
                    self.request(message).await;
                }
                Some(Frame::Message(message)) => self.response(message).await,
            }
            while self.running.try_join_next().is_some() {}
        }
        self.running.shutdown().await;
        Ok(self.ending)
    }

    async fn request(&mut self, mut message: Value) {
        let id = message.get("id").cloned();
        // Some clients write "params": null where a method has none; tower-lsp takes that for a parameter.
        if let Some(object) = message.as_object_mut()
            && object.get("params").is_some_and(Value::is_null)
        {
            object.shift_remove("params");
        }
        let request: Request = match serde_json::from_value(message) {
            Ok(request) => request,
            Err(error) => {
                tracing::warn!(%error, "no valid request");
                let id = id
                    .and_then(|id| serde_json::from_value(id).ok())
                    .unwrap_or(Id::Null);
                self.reply(Response::from_error(id, Error::invalid_request()));
                return;
            }
        };
        if request.method() == "shutdown" {
            self.ending = Ending::Orderly;
        }
        let mut answer = self.service.call(request);
        match futures::poll!(&mut answer) {
            std::task::Poll::Ready(response) => {
                if let Ok(Some(response)) = response {
                    self.reply(response);
                }
            }
            std::task::Poll::Pending => {
                let messages = self.messages.clone();
                self.running.spawn(async move {
                    if let Ok(Some(response)) = answer.await {
                        // The writer is gone only when the connection is.
                        let _ = messages.send(response);
                    }
                });
            }
        }
    }

    async fn response(&mut self, mut message: Value) {
        if let Some(object) = message.as_object_mut() {
            // Exactly one of the two is wanted; some clients write both, or leave out a null result.
            if object.get("error").is_some_and(|error| !error.is_null()) {
                object.shift_remove("result");
            } else {
                object.shift_remove("error");
                object.entry("result").or_insert(Value::Null);
            }
        }
        match serde_json::from_value::<Response>(message) {
            Ok(response) => {
                if let Err(error) = self.responses.send(response).await {
                    tracing::warn!(%error, "response after the end");
                }
            }
            Err(error) => {
                tracing::warn!(%error, "neither request nor response");
                self.reply(Response::from_error(Id::Null, Error::invalid_request()));
            }
        }
    }

    fn reply(&self, response: Response) {
        // As above: without a writer there is nobody to tell.
        let _ = self.messages.send(response);
    }
}

/// Writes responses and the server's own requests, in the order in which they are made, until the connection drops
/// its end of the responses.
async fn write_all<W: AsyncWrite + Unpin>(
    mut output: W,
    mut responses: mpsc::UnboundedReceiver<Response>,
    mut requests: Requests,
) -> io::Result<()> {
    loop {
        let body = tokio::select! {
            response = responses.recv() => match response {
                Some(response) => serde_json::to_vec(&response)?,
                None => break,
            },
            Some(request) = requests.next() => serde_json::to_vec(&request)?,
        };
        frames::write(&mut output, &body).await?;
        output.flush().await?;
    }
    output.shutdown().await
}

/// What a service call returns.
pub(crate) type Answer =
    Pin<Box<dyn Future<Output = Result<Option<Response>, tower_lsp::ExitedError>> + Send>>;
