//! A language client over a pair of streams. A message of the server that no test has read by the end is a failure.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use bigquill::serve::{Ending, serve};
use bigquill::session::ServerOptions;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// A wait that takes longer is a failed test.
const PATIENCE: Duration = Duration::from_secs(60);

/// A client and the server that it talks to.
pub struct Client {
    output: Box<dyn AsyncWrite + Send + Unpin>,
    incoming: mpsc::UnboundedReceiver<Value>,
    /// Notifications and requests of the server that no one has read.
    unread: VecDeque<Value>,
    responses: HashMap<i64, Result<Value, Value>>,
    next_id: i64,
    server: Option<JoinHandle<std::io::Result<Ending>>>,
    finished: bool,
    /// Methods whose messages may stay unread.
    ignored: Vec<String>,
}

impl Client {
    /// A client of a server in this process, over a pipe in memory.
    #[must_use]
    pub fn in_memory(options: ServerOptions) -> Self {
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        let (read, write) = tokio::io::split(theirs);
        let server = tokio::spawn(serve(read, write, options));
        let (read, write) = tokio::io::split(ours);
        let mut client = Self::over(read, write);
        client.server = Some(server);
        client
    }

    /// A client of whatever server is at the other end of these streams.
    #[must_use]
    pub fn over(
        input: impl AsyncRead + Send + Unpin + 'static,
        output: impl AsyncWrite + Send + Unpin + 'static,
    ) -> Self {
        let (sender, incoming) = mpsc::unbounded_channel();
        tokio::spawn(read_messages(BufReader::new(input), sender));
        Self {
            output: Box::new(output),
            incoming,
            unread: VecDeque::new(),
            responses: HashMap::new(),
            next_id: 1,
            server: None,
            finished: false,
            ignored: Vec::new(),
        }
    }

    /// `initialize` with these parameters (`processId` null unless set) and `initialized`; returns the result.
    pub async fn initialize(&mut self, mut params: Value) -> Value {
        let object = params.as_object_mut().expect("parameters are an object");
        object.entry("processId").or_insert(Value::Null);
        object.entry("rootUri").or_insert(Value::Null);
        object.entry("capabilities").or_insert(json!({}));
        let result = self
            .request("initialize", params)
            .await
            .expect("initialize succeeds");
        self.notify("initialized", json!({})).await;
        result
    }

    /// Sends a request and waits for its response.
    pub async fn request(&mut self, method: &str, params: Value) -> Result<Value, Value> {
        let id = self.send(method, params).await;
        self.response(id).await
    }

    /// Sends a request; its response is to be fetched by [`response`](Self::response).
    pub async fn send(&mut self, method: &str, params: Value) -> i64 {
        let id = self.next_id;
        self.next_id += 1;
        self.write(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }))
            .await;
        id
    }

    /// Waits for a response: the result, or the error.
    pub async fn response(&mut self, id: i64) -> Result<Value, Value> {
        loop {
            if let Some(response) = self.responses.remove(&id) {
                return response;
            }
            self.receive(&format!("response {id}")).await;
        }
    }

    /// Sends a notification.
    pub async fn notify(&mut self, method: &str, params: Value) {
        self.write(&json!({ "jsonrpc": "2.0", "method": method, "params": params }))
            .await;
    }

    /// Waits for a notification; returns its parameters.
    pub async fn notification(&mut self, method: &str) -> Value {
        self.take(method).await["params"].take()
    }

    /// Waits for a request of the server; returns its id and parameters.
    pub async fn server_request(&mut self, method: &str) -> (Value, Value) {
        let mut message = self.take(method).await;
        (message["id"].take(), message["params"].take())
    }

    /// Answers a request of the server.
    pub async fn answer(&mut self, id: Value, result: Value) {
        self.write(&json!({ "jsonrpc": "2.0", "id": id, "result": result }))
            .await;
    }

    /// Refuses a request of the server.
    pub async fn refuse(&mut self, id: Value, message: &str) {
        self.write(&json!({ "jsonrpc": "2.0", "id": id, "error": { "code": -32601, "message": message } }))
            .await;
    }

    /// Sends bytes as they are.
    pub async fn raw(&mut self, bytes: &[u8]) {
        self.output.write_all(bytes).await.expect("the server reads");
        self.output.flush().await.expect("the server reads");
    }

    /// The error responses without an id, which answer what was no message.
    pub async fn nameless_error(&mut self) -> Value {
        loop {
            if let Some(at) = self
                .unread
                .iter()
                .position(|message| message.get("error").is_some())
            {
                return self.unread.remove(at).expect("it is there")["error"].take();
            }
            self.receive("an error without id").await;
        }
    }

    /// Everything unread; for tests that look at all messages themselves.
    pub fn drain(&mut self) -> Vec<Value> {
        while let Ok(message) = self.incoming.try_recv() {
            self.sort(message);
        }
        self.unread.drain(..).collect()
    }

    /// Messages of this method may stay unread.
    pub fn ignore(&mut self, method: &str) {
        self.ignored.push(method.to_owned());
    }

    /// As [`finish`](Self::finish), but messages of this method may stay unread.
    pub async fn finish_but_for(mut self, method: &str) {
        self.ignore(method);
        self.finish().await;
    }

    /// `shutdown`, `exit`, and the end of the server; fails where a message stayed unread.
    pub async fn finish(mut self) {
        self.request("shutdown", Value::Null)
            .await
            .expect("shutdown succeeds");
        self.notify("exit", Value::Null).await;
        let ending = self.ended().await;
        assert!(ending.is_none_or(|ending| ending == Ending::Orderly));
    }

    /// Waits until the server has ended the connection; fails where a message stayed unread.
    pub async fn ended(&mut self) -> Option<Ending> {
        let ending = match self.server.take() {
            Some(server) => {
                let ended = tokio::time::timeout(PATIENCE, server)
                    .await
                    .expect("the server ends");
                Some(ended.expect("no panic in the server").expect("no I/O error"))
            }
            None => None,
        };
        let closed = async {
            while let Some(message) = self.incoming.recv().await {
                self.unread.push_back(message);
            }
        };
        tokio::time::timeout(PATIENCE, closed)
            .await
            .expect("the server closes its output");
        let ignored = std::mem::take(&mut self.ignored);
        self.unread
            .retain(|message| !ignored.iter().any(|method| message["method"] == **method));
        assert!(self.unread.is_empty(), "unread messages: {:#?}", self.unread);
        assert!(
            self.responses.is_empty(),
            "unread responses: {:#?}",
            self.responses
        );
        self.finished = true;
        ending
    }

    /// Closes the client's end of the pipe.
    pub async fn hang_up(&mut self) {
        self.output.shutdown().await.expect("the pipe closes");
        self.output = Box::new(tokio::io::sink());
    }

    async fn take(&mut self, method: &str) -> Value {
        loop {
            if let Some(at) = self.unread.iter().position(|message| message["method"] == method) {
                return self.unread.remove(at).expect("it is there");
            }
            self.receive(method).await;
        }
    }

    async fn receive(&mut self, wanted: &str) {
        let message = match tokio::time::timeout(PATIENCE, self.incoming.recv()).await {
            Ok(Some(message)) => message,
            Ok(None) => panic!(
                "the server closed; waited for {wanted}; unread: {:#?}",
                self.unread
            ),
            Err(_) => panic!("nothing came; waited for {wanted}; unread: {:#?}", self.unread),
        };
        self.sort(message);
    }

    fn sort(&mut self, mut message: Value) {
        match message["id"].as_i64().filter(|_| message.get("method").is_none()) {
            Some(id) if message.get("error").is_some() => {
                self.responses.insert(id, Err(message["error"].take()));
            }
            Some(id) => {
                self.responses.insert(id, Ok(message["result"].take()));
            }
            None => self.unread.push_back(message),
        }
    }

    async fn write(&mut self, message: &Value) {
        let body = message.to_string();
        let text = format!("Content-Length: {}\r\n\r\n{body}", body.len());
        self.raw(text.as_bytes()).await;
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if !self.finished && !std::thread::panicking() {
            panic!("a client must be finished, or its end awaited");
        }
    }
}

async fn read_messages(mut input: BufReader<impl AsyncRead + Unpin>, sender: mpsc::UnboundedSender<Value>) {
    loop {
        let mut length = None;
        loop {
            let mut line = String::new();
            if input.read_line(&mut line).await.unwrap_or(0) == 0 {
                return;
            }
            let line = line.trim();
            if line.is_empty() {
                break;
            }
            let digits = line.strip_prefix("Content-Length: ").expect("the only header");
            length = Some(digits.parse().expect("a number"));
        }
        let mut body = vec![0; length.expect("a length")];
        if input.read_exact(&mut body).await.is_err() {
            return;
        }
        let message = serde_json::from_slice(&body).expect("the server writes JSON");
        if sender.send(message).is_err() {
            return;
        }
    }
}
