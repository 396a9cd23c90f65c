//! HTTP/1.1 byte by byte, one request a connection: for what no client library sends, and for what
//! came when.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// A request as it is written. Nothing in it is checked.
#[derive(Clone, Debug)]
pub struct Request {
    head: Vec<u8>,
    body: Vec<u8>,
    chunked: bool,
    rest: usize,
    patience: Duration,
}

impl Request {
    pub fn new(method: &str, path: &str) -> Self {
        let head = format!("{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n");
        Self { head: head.into(), body: Vec::new(), chunked: false, rest: 0, patience: PATIENCE }
    }

    pub fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    /// JSON with its length.
    pub fn post(path: &str, body: &Value) -> Self {
        Self::new("POST", path).header("content-type", "application/json").body(body.to_string())
    }

    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.head.extend([name.as_bytes(), b": ", value.as_ref(), b"\r\n"].concat());
        self
    }

    /// Another host than `test`.
    #[must_use]
    pub fn host(mut self, host: &str) -> Self {
        let head = String::from_utf8_lossy(&self.head);
        self.head = head.replacen("\r\nhost: test\r\n", &format!("\r\nhost: {host}\r\n"), 1).into();
        self
    }

    #[must_use]
    pub fn body(self, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..self }
    }

    /// The body goes out in chunks, without a length.
    #[must_use]
    pub fn chunked(self) -> Self {
        Self { chunked: true, ..self }
    }

    /// Announces a longer body than it has: [`Exchange::write`] sends the rest.
    #[must_use]
    pub fn unfinished(self, rest: usize) -> Self {
        Self { rest, ..self }
    }

    /// How long a silence ends the answer; else 20 s.
    #[must_use]
    pub fn patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Sends it and waits for the whole answer.
    pub fn send(&self, server: SocketAddr) -> Result<Answer> {
        self.open(server)?.rest()
    }

    /// Sends it. A server that answers before it has read everything may close the connection, which
    /// is no error.
    pub fn open(&self, server: SocketAddr) -> Result<Exchange> {
        let stream = TcpStream::connect(server).with_context(|| format!("no {server}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(self.patience))?;
        stream.set_write_timeout(Some(self.patience))?;
        let mut exchange = Exchange { stream, raw: Vec::new(), reads: Vec::new() };
        let _ = exchange.stream.write_all(&self.bytes());
        Ok(exchange)
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.head.clone();
        if !self.chunked {
            let length = self.body.len() + self.rest;
            bytes.extend(format!("content-length: {length}\r\n\r\n").bytes());
            bytes.extend(&self.body);
            return bytes;
        }
        bytes.extend(b"transfer-encoding: chunked\r\n\r\n");
        for part in self.body.chunks(CHUNK) {
            bytes.extend(format!("{:x}\r\n", part.len()).bytes());
            bytes.extend([part, b"\r\n"].concat());
        }
        bytes.extend(b"0\r\n\r\n");
        bytes
    }
}

/// A request that was sent, and its answer as far as it was read.
#[derive(Debug)]
pub struct Exchange {
    stream: TcpStream,
    raw: Vec<u8>,
    reads: Vec<(Instant, usize)>,
}

impl Exchange {
    /// Sends more of the request's body.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(bytes)?)
    }

    /// Reads until the answer holds `text`.
    pub fn wait_for(&mut self, text: &str) -> Result<()> {
        self.wait_until(|answer| answer.contains(text)).with_context(|| format!("no {text:?}"))
    }

    /// Reads until the answer, head and framing included, is as it shall be.
    pub fn wait_until(&mut self, is_it: impl Fn(&str) -> bool) -> Result<()> {
        let deadline = Instant::now() + LIMIT;
        while !is_it(&self.text()) {
            ensure!(Instant::now() < deadline, "not within {LIMIT:?}: {}", self.text());
            ensure!(self.read()?, "the answer ended: {}", self.text());
        }
        Ok(())
    }

    /// Reads until the answer is complete, the connection ends, or nothing comes for as long as
    /// patience lasts.
    pub fn rest(mut self) -> Result<Answer> {
        let deadline = Instant::now() + LIMIT;
        while !self.is_complete() && self.read().unwrap_or(false) {
            ensure!(Instant::now() < deadline, "an answer without an end: {}", self.text());
        }
        Answer::parse(&self.raw, self.reads)
    }

    /// Goes away, as a client that is no longer interested.
    pub fn abort(self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// Head and body so far, as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.raw).into_owned()
    }

    /// Whether the framing says so. Trailers are not looked for: the end of the connection tells.
    fn is_complete(&self) -> bool {
        let Some(head) = end_of_head(&self.raw) else { return false };
        match content_length(&self.raw[..head]) {
            Some(length) => self.raw.len() >= head + length,
            None => self.raw.ends_with(LAST_CHUNK),
        }
    }

    fn read(&mut self) -> Result<bool> {
        let mut buffer = [0; 65536];
        let count = self.stream.read(&mut buffer)?;
        self.reads.push((Instant::now(), count));
        self.raw.extend(&buffer[..count]);
        Ok(count > 0)
    }
}

#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// Without its framing.
    pub body: Vec<u8>,
    /// The body came to the end that its framing announces.
    pub complete: bool,
    /// When how many bytes came.
    pub reads: Vec<(Instant, usize)>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(key, _)| key == name)?;
        Some(value)
    }

    /// The body, which has to be UTF-8.
    pub fn text(&self) -> &str {
        str::from_utf8(&self.body).expect("text")
    }

    /// The body, which has to be JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    /// The JSON values of the `data` fields, without `[DONE]`.
    pub fn events(&self) -> Vec<Value> {
        let data = self.text().lines().filter_map(|line| line.strip_prefix("data: "));
        let json = data.filter(|data| *data != "[DONE]");
        json.map(|data| serde_json::from_str(data).expect("JSON in data")).collect()
    }

    fn parse(raw: &[u8], reads: Vec<(Instant, usize)>) -> Result<Self> {
        let Some(split) = end_of_head(raw) else {
            bail!("the connection ended without an answer: {:?}", String::from_utf8_lossy(raw));
        };
        let head = String::from_utf8_lossy(&raw[..split]).into_owned();
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).context("no status")?;
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let rest = &raw[split..];
        let (body, complete) = match content_length(&raw[..split]) {
            Some(length) => (rest.to_vec(), length == rest.len()),
            None => dechunk(rest),
        };
        Ok(Self { status: status.parse()?, body, complete, reads, headers })
    }
}

/// Behind the empty line.
fn end_of_head(raw: &[u8]) -> Option<usize> {
    raw.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
}

fn content_length(head: &[u8]) -> Option<usize> {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok())
}

/// The content of the chunks, and whether the last chunk came.
fn dechunk(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    while let Some(at) = rest.windows(2).position(|window| window == b"\r\n") {
        let size = str::from_utf8(&rest[..at]).expect("a size");
        let size = usize::from_str_radix(size, 16).expect("a size in hex");
        if size == 0 {
            return (body, true);
        }
        let data = &rest[at + 2..];
        body.extend_from_slice(&data[..size.min(data.len())]);
        rest = data.get(size + 2..).unwrap_or_default();
    }
    (body, false)
}

const PATIENCE: Duration = Duration::from_secs(20);
/// No answer of a test takes longer, however it trickles.
const LIMIT: Duration = Duration::from_secs(300);
const CHUNK: usize = 16 << 10;
const LAST_CHUNK: &[u8] = b"\r\n0\r\n\r\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_complete_when_its_framing_says_so() {
        for (raw, body, complete) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "ok", true),
            ("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok", "ok", false),
            ("HTTP/1.1 200 OK\r\n\r\n2\r\nok\r\n0\r\n\r\n", "ok", true),
            ("HTTP/1.1 200 OK\r\n\r\n2\r\nok\r\n3\r\nno", "okno", false),
        ] {
            let answer = Answer::parse(raw.as_bytes(), Vec::new()).unwrap();
            assert_eq!((answer.text(), answer.complete), (body, complete), "{raw}");
        }
        assert!(Answer::parse(b"HTTP/1.1 200", Vec::new()).is_err());
    }

    #[test]
    fn a_chunked_request_carries_its_body() {
        let request = Request::new("POST", "/").body("hello").chunked();
        let text = String::from_utf8(request.bytes()).unwrap();
        assert!(text.ends_with("chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"), "{text}");
    }
}
