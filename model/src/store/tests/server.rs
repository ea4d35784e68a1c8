//! A loopback server that serves ranges, and misbehaves as told.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What the server does with a request instead of serving it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Closes the connection after so many bytes of the body.
    CutAfter(usize),
    /// Sends nothing after so many bytes of the body, and holds the connection.
    StallAfter(usize),
    /// Answers with this status and no body.
    Status(u16),
    /// Serves the whole file, whatever range is asked for.
    NoRanges,
    /// Serves another range than the one asked for.
    OtherRange,
}

/// Files, faults to come (one a request), and what was asked.
pub(super) struct Server {
    pub(super) address: String,
    state: Arc<State>,
}

struct State {
    files: Mutex<HashMap<String, Arc<Vec<u8>>>>,
    faults: Mutex<VecDeque<Fault>>,
    requests: Mutex<Vec<(String, Option<String>)>>,
}

impl Server {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(State {
            files: Mutex::default(),
            faults: Mutex::default(),
            requests: Mutex::default(),
        });
        let served = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&served)));
            }
        });
        Self { address, state }
    }

    /// Serves these bytes; gives the address.
    pub(super) fn file(&self, name: &str, bytes: &[u8]) -> String {
        self.state
            .files
            .lock()
            .unwrap()
            .insert(format!("/{name}"), Arc::new(bytes.to_vec()));
        format!("{}/{name}", self.address)
    }

    pub(super) fn fault(&self, fault: Fault) {
        self.state.faults.lock().unwrap().push_back(fault);
    }

    /// Paths and ranges asked for since the last call.
    pub(super) fn requests(&self) -> Vec<(String, Option<String>)> {
        std::mem::take(&mut self.state.requests.lock().unwrap())
    }
}

async fn serve(mut stream: TcpStream, state: Arc<State>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let head = String::from_utf8(head).unwrap();
    let path = head.split(' ').nth(1).unwrap().to_owned();
    let range = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("range").then(|| value.to_owned())
    });
    // The hub's library asks for one byte to read the headers, where a hub tells hash and commit.
    let probe = range.as_deref() == Some("bytes=0-0");
    let fault = if probe {
        None
    } else {
        state.requests.lock().unwrap().push((path.clone(), range.clone()));
        state.faults.lock().unwrap().pop_front()
    };
    let body = state.files.lock().unwrap().get(&path).cloned();
    if let Some(body) = body.as_ref().filter(|_| probe) {
        let (hash, size) = (super::sha256(body), body.len());
        let head = format!(
            "HTTP/1.1 206 x\r\nETag: \"{hash}\"\r\nX-Repo-Commit: c0ffee\r\nContent-Range: bytes 0-0/{size}\r\n\
             Content-Length: 1\r\nConnection: close\r\n\r\n"
        );
        let _ = stream.write_all(&[head.as_bytes(), &body[..1]].concat()).await;
        return;
    }
    // A client that hangs up is what some tests are about.
    let _ = answer(&mut stream, range.as_deref(), fault, body).await;
}

async fn answer(
    stream: &mut TcpStream,
    range: Option<&str>,
    fault: Option<Fault>,
    body: Option<Arc<Vec<u8>>>,
) -> std::io::Result<()> {
    let status = match (fault, &body) {
        (Some(Fault::Status(status)), _) => Some(status),
        (_, None) => Some(404),
        _ => None,
    };
    let (None, Some(body)) = (status, body) else {
        let status = status.unwrap_or(404);
        let head = format!("HTTP/1.1 {status} x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        return stream.write_all(head.as_bytes()).await;
    };
    let asked: Option<usize> = range.map(|r| r["bytes=".len()..].trim_end_matches('-').parse().unwrap());
    let start = match (asked, fault) {
        (Some(_), Some(Fault::NoRanges)) | (None, _) => 0,
        (Some(asked), Some(Fault::OtherRange)) => asked - 1,
        (Some(asked), _) => asked,
    };
    let whole = body.len();
    let head = if asked.is_none() || fault == Some(Fault::NoRanges) {
        "HTTP/1.1 200 OK".to_owned()
    } else if start >= whole {
        let head = format!("HTTP/1.1 416 x\r\nContent-Range: bytes */{whole}\r\nContent-Length: 0\r\n\r\n");
        return stream.write_all(head.as_bytes()).await;
    } else {
        format!(
            "HTTP/1.1 206 x\r\nContent-Range: bytes {start}-{}/{whole}",
            whole - 1
        )
    };
    let length = whole - start;
    let head = format!("{head}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    match fault {
        Some(Fault::CutAfter(bytes)) => stream.write_all(&body[start..start + bytes]).await,
        Some(Fault::StallAfter(bytes)) => {
            stream.write_all(&body[start..start + bytes]).await?;
            // Until the client hangs up.
            stream.read_u8().await.map(|_| ())
        }
        _ => stream.write_all(&body[start..]).await,
    }
}
