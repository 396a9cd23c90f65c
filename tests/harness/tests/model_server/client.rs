//! A client that sees the bytes.

use std::{net::SocketAddr, time::Duration};

use harness::wire::{Exchange, Request};
use serde_json::Value;

pub(crate) use harness::wire::Answer;

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

/// `None`: the connection ended without a byte, or nothing came for half a second.
pub(crate) fn send(
    server: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Option<Answer> {
    start(server, method, path, headers, body).rest().ok()
}

pub(crate) fn start(
    server: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Exchange {
    let request = Request::new(method, path).body(body).patience(Duration::from_millis(500));
    let named = |request: Request, (name, value): &(&str, &str)| request.header(name, value);
    headers.iter().fold(request, named).open(server).expect("connects")
}
