//! Messages on a byte stream: headers, then a JSON body
//! (<https://microsoft.github.io/language-server-protocol/specifications/lsp/3.17/specification/#baseProtocol>).
//!
//! The reader outlives garbage: it reports it once and goes on at the next `Content-Length`. (tower-lsp's own codec
//! ends the connection at the first message that it cannot read.)

use std::io;

use serde_json::Value;
use tokio::io::{
    AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader,
};

/// Longest body that is believed; a larger length is taken for garbage.
const MAX_BODY: u64 = 1 << 30;
/// Longest header line that is kept; the rest of a longer one is dropped.
const MAX_HEADER: usize = 8 << 10;
const LENGTH: &str = "content-length:";

/// What came in.
#[derive(Debug, PartialEq)]
pub(super) enum Frame {
    /// A JSON value.
    Message(Value),
    /// Bytes that are no message; the text says what is wrong with them.
    Malformed(String),
}

/// Reads messages.
pub(super) struct FrameReader<R> {
    input: BufReader<R>,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            input: BufReader::with_capacity(64 << 10, input),
        }
    }

    /// The next message; none at the end of the input, also where it ends in the middle of a message.
    pub(super) async fn next(&mut self) -> io::Result<Option<Frame>> {
        let mut length = None;
        let mut garbage = false;
        loop {
            let Some(line) = header_line(&mut self.input).await? else {
                return Ok(None);
            };
            let line = line.trim();
            if line.is_empty() {
                match length {
                    Some(length) => return self.body(length).await,
                    None if garbage => return Ok(Some(Frame::Malformed("no Content-Length header".into()))),
                    None => {}
                }
            } else if let Some(at) = line.to_ascii_lowercase().find(LENGTH) {
                // What stands before it on the line is the rest of a body that was longer than its header said.
                let digits = line[at + LENGTH.len()..].trim();
                match digits.parse::<u64>().ok().filter(|&n| n <= MAX_BODY) {
                    Some(value) => length = Some(value),
                    None => {
                        return Ok(Some(Frame::Malformed(
                            "Content-Length is no sensible number".into(),
                        )));
                    }
                }
            } else {
                garbage = true;
            }
        }
    }

    async fn body(&mut self, length: u64) -> io::Result<Option<Frame>> {
        let mut body = Vec::new();
        (&mut self.input).take(length).read_to_end(&mut body).await?;
        if (body.len() as u64) < length {
            return Ok(None);
        }
        Ok(Some(match serde_json::from_slice(&body) {
            Ok(value) => Frame::Message(value),
            // The error names line and column only, none of the text.
            Err(error) => Frame::Malformed(format!("no JSON: {error}")),
        }))
    }
}

async fn header_line(input: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    loop {
        let available = input.fill_buf().await?;
        if available.is_empty() {
            return Ok(None);
        }
        let end = available.iter().position(|&b| b == b'\n');
        let taken = end.map_or(available.len(), |end| end + 1);
        line.extend_from_slice(&available[..taken]);
        input.consume(taken);
        // Keep the tail: a header after garbage stands at the end of its line.
        if line.len() > MAX_HEADER {
            line.drain(..line.len() - MAX_HEADER / 2);
        }
        if end.is_some() {
            return Ok(Some(String::from_utf8_lossy(&line).into_owned()));
        }
    }
}

/// Writes one message, without flushing.
pub(super) async fn write<W: AsyncWrite + Unpin>(output: &mut W, body: &[u8]) -> io::Result<()> {
    let header = format!("Content-Length: {}\r\n\r\n", body.len());
    output.write_all(header.as_bytes()).await?;
    output.write_all(body).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    async fn frames(input: &str) -> Vec<Frame> {
        let mut reader = FrameReader::new(input.as_bytes());
        let mut frames = Vec::new();
        while let Some(frame) = reader.next().await.expect("memory does not fail") {
            frames.push(frame);
        }
        frames
    }

    fn message(body: &str) -> String {
        format!("Content-Length: {}\r\n\r\n{body}", body.len())
    }

    #[tokio::test]
    async fn headers_in_any_case_and_order() {
        let input = "content-type: application/vscode-jsonrpc; charset=utf8\r\nCONTENT-LENGTH:2 \r\n\r\n{}"
            .to_owned()
            + &message("{\"a\":\"😀\"}");
        assert_eq!(
            frames(&input).await,
            [Frame::Message(json!({})), Frame::Message(json!({"a": "😀"}))]
        );
    }

    #[tokio::test]
    async fn garbage_is_reported_and_outlived() {
        for garbage in [
            message("{\"jsonrpc\":"),
            "Content-Length: 4\r\n\r\n{\"a\":1}".into(),
            "Content-Length: many\r\n\r\n".into(),
            "Content-Length: 99999999999999999999\r\n\r\n".into(),
            "Host: x\r\n\r\n".into(),
            format!("{}\r\n\r\n", "x".repeat(3 * MAX_HEADER)),
        ] {
            let seen = frames(&(garbage.clone() + &message("{}"))).await;
            assert!(matches!(seen[0], Frame::Malformed(_)), "{garbage}");
            assert_eq!(seen.last(), Some(&Frame::Message(json!({}))), "{garbage}");
        }
    }

    #[tokio::test]
    async fn a_cut_message_is_the_end() {
        assert_eq!(frames("Content-Length: 9\r\n\r\n{}").await, []);
        assert_eq!(frames("Content-Le").await, []);
    }
}
