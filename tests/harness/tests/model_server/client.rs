//! A client that sees the bytes: one request a connection, over plain TCP.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use serde_json::Value;

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// The body came to the end that its framing announces.
    pub(crate) complete: bool,
    pub(crate) reads: Vec<(Instant, usize)>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(key, _)| key == name)?;
        Some(value)
    }

    pub(crate) fn text(&self) -> &str {
        str::from_utf8(&self.body).expect("text")
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// The JSON values of the `data` fields, without `[DONE]`.
    pub(crate) fn events(&self) -> Vec<Value> {
        let data = self.text().lines().filter_map(|line| line.strip_prefix("data: "));
        let json = data.filter(|data| *data != "[DONE]");
        json.map(|data| serde_json::from_str(data).expect("JSON in data")).collect()
    }
}

pub(crate) fn post(server: SocketAddr, path: &str, body: &Value) -> Answer {
    post_with(server, path, &[], body)
}

pub(crate) fn post_with(
    server: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
    body: &Value,
) -> Answer {
    send(server, "POST", path, headers, body.to_string().as_bytes()).expect("an answer")
}

pub(crate) fn get(server: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Answer {
    send(server, "GET", path, headers, b"").expect("an answer")
}

/// `None`: the connection ended without a byte.
pub(crate) fn send(
    server: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Option<Answer> {
    let mut stream = start(server, method, path, headers, body);
    let (mut raw, mut reads, mut buffer) = (Vec::new(), Vec::new(), [0; 65536]);
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        reads.push((Instant::now(), count));
        raw.extend_from_slice(&buffer[..count]);
    }
    (!raw.is_empty()).then(|| parse(&raw, reads))
}

pub(crate) fn start(
    server: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> TcpStream {
    let mut stream = TcpStream::connect(server).expect("connects");
    stream.set_read_timeout(Some(Duration::from_millis(500))).expect("a socket");
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: sim\r\nconnection: close\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += &format!("content-length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).expect("sends");
    stream
}

fn parse(raw: &[u8], reads: Vec<(Instant, usize)>) -> Answer {
    let split = raw.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
    let head = str::from_utf8(&raw[..split]).expect("a text head");
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).expect("a status");
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let find = |name: &str| headers.iter().find(|(key, _)| key == name).map(|(_, v)| v.as_str());
    let rest = &raw[split + 4..];
    let (body, complete) = match find("content-length") {
        Some(length) => (rest.to_vec(), length.parse() == Ok(rest.len())),
        None => dechunk(rest),
    };
    Answer { status: status.parse().expect("a number"), body, complete, reads, headers }
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
