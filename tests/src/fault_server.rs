//! A server on this machine that goes wrong as it is told: what the BigQuery emulator cannot do.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// One answer.
#[derive(Debug, Clone)]
pub enum Reply {
    /// This status, with these headers and this body.
    Answer {
        /// HTTP status.
        status: u16,
        /// Headers beside `Content-Length`.
        headers: Vec<(&'static str, String)>,
        /// The body as it is.
        body: String,
    },
    /// Headers and half a body; the rest never comes.
    Stalled,
    /// Headers and half a body; then the connection is closed.
    Cut,
}

impl Reply {
    /// Success with this body.
    #[must_use]
    pub fn json(body: &Value) -> Self {
        Self::text(200, "application/json", &body.to_string())
    }

    /// An error as BigQuery writes it.
    #[must_use]
    pub fn error(status: u16, reason: &str, message: &str) -> Self {
        let body = json!({"error": {"code": status, "message": message, "errors": [{"reason": reason, "message": message}]}});
        Self::text(status, "application/json", &body.to_string())
    }

    /// A body of another kind.
    #[must_use]
    pub fn text(status: u16, kind: &str, body: &str) -> Self {
        Self::Answer {
            status,
            headers: vec![("Content-Type", kind.to_owned())],
            body: body.to_owned(),
        }
    }

    /// The same with one more header.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: &str) -> Self {
        if let Self::Answer { headers, .. } = &mut self {
            headers.push((name, value.to_owned()));
        }
        self
    }
}

/// A request that came.
#[derive(Debug, Clone)]
pub struct Received {
    /// `GET`, `POST`, …
    pub method: String,
    /// Path without the query.
    pub path: String,
    /// What follows `?`.
    pub query: String,
    /// Headers by their name in small letters.
    pub headers: HashMap<String, String>,
    /// The body as text.
    pub body: String,
}

#[derive(Default)]
struct Script {
    /// By the end or a part of a path; the last reply stays.
    replies: Vec<(String, Vec<Reply>)>,
    received: Vec<Received>,
}

/// The server; it ends with the value.
pub struct FaultServer {
    address: SocketAddr,
    script: Arc<Mutex<Script>>,
    task: JoinHandle<()>,
}

impl FaultServer {
    /// A server that knows no path yet.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let script = Arc::new(Mutex::new(Script::default()));
        let shared = Arc::clone(&script);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self {
            address,
            script,
            task,
        }
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers requests whose path ends so with these replies, one after the other; the last one stays. A path that
    /// begins with `*` may be followed by anything. What was said first wins.
    pub fn on(&self, path_end: &str, replies: impl IntoIterator<Item = Reply>) {
        let replies = replies.into_iter().collect();
        self.lock().replies.push((path_end.to_owned(), replies));
    }

    /// Forgets all replies: the server is another one now.
    pub fn forget(&self) {
        self.lock().replies.clear();
    }

    /// What came, in order.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.lock().received.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for FaultServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One request a connection: what is said of closing is then simple.
async fn serve(mut stream: TcpStream, script: Arc<Mutex<Script>>) {
    let Some(request) = read_request(&mut stream).await else {
        return;
    };
    let reply = {
        let mut script = script.lock().unwrap_or_else(PoisonError::into_inner);
        let reply = script.next(&request.path);
        script.received.push(request);
        reply
    };
    // A client that has gone, because it gave up, is no fault of the server.
    let _ = answer(&mut stream, reply).await;
}

impl Script {
    fn next(&mut self, path: &str) -> Reply {
        let found = self
            .replies
            .iter_mut()
            .find(|(end, _)| match end.strip_prefix('*') {
                Some(part) => path.contains(part),
                None => path.ends_with(end.as_str()),
            });
        match found {
            Some((_, replies)) if replies.len() > 1 => replies.remove(0),
            Some((_, replies)) => replies[0].clone(),
            None => Reply::error(404, "notFound", &format!("the test has no reply for {path}")),
        }
    }
}

async fn read_request(stream: &mut TcpStream) -> Option<Received> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).await.ok()?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let (path, query) = (path.to_owned(), query.to_owned());
    let mut headers = HashMap::new();
    loop {
        line.clear();
        reader.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers
        .get("content-length")
        .and_then(|n| n.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).await.ok()?;
    let body = String::from_utf8_lossy(&body).into_owned();
    Some(Received {
        method,
        path,
        query,
        headers,
        body,
    })
}

async fn answer(stream: &mut TcpStream, reply: Reply) -> std::io::Result<()> {
    match reply {
        Reply::Answer {
            status,
            headers,
            body,
        } => {
            let headers: String = headers
                .iter()
                .map(|(name, value)| format!("{name}: {value}\r\n"))
                .collect();
            let head = format!(
                "HTTP/1.1 {status} Reply\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(body.as_bytes()).await?;
            stream.shutdown().await
        }
        Reply::Stalled => {
            half(stream).await?;
            std::future::pending().await
        }
        Reply::Cut => {
            half(stream).await?;
            stream.shutdown().await
        }
    }
}

async fn half(stream: &mut TcpStream) -> std::io::Result<()> {
    let head =
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{\"datasets\": [";
    stream.write_all(head.as_bytes()).await?;
    stream.flush().await
}
