//! The events that a file's words stand for.

use llm_gateway::host::fake::{Call, LocalReply};

use crate::file::{Answer, Body, Headers, Request};
use crate::pipe::{Pairs, Part};

/// How an answer's body comes that asks for cuts.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cut {
    AsWritten,
    At(usize),
    EachByte,
}

pub(crate) fn request_headers(request: &Request) -> Pairs {
    let (method, path) = match (&request.get, &request.post, &request.method, &request.path) {
        (Some(path), ..) => ("GET", path.as_str()),
        (_, Some(path), ..) => ("POST", path.as_str()),
        (.., Some(method), path) => (method.as_str(), path.as_deref().unwrap_or("/")),
        _ => panic!("a request has get, post or method"),
    };
    let mut headers: Vec<(String, String)> = vec![
        (":method".into(), method.into()),
        (":path".into(), path.into()),
        (":scheme".into(), "http".into()),
        (":authority".into(), "gateway.example".into()),
        ("x-request-id".into(), "req-1".into()),
    ];
    if request.body.is_some() || request.chunks.is_some() {
        headers.push(("content-type".into(), "application/json".into()));
    }
    if let Some(body) = &request.body {
        headers.push(("content-length".into(), body.bytes().len().to_string()));
    }
    with(headers, &request.headers)
}

/// The usual headers with the given ones in place of those of the same name.
pub(crate) fn with(mut headers: Vec<(String, String)>, given: &Headers) -> Pairs {
    headers.retain(|(name, _)| !given.contains_key(name));
    for (name, header) in given {
        headers.extend(header.values().into_iter().map(|value| (name.clone(), value)));
    }
    headers.into_iter().map(|(n, v)| (n.into_bytes(), v.into_bytes())).collect()
}

pub(crate) fn pairs(headers: &Headers) -> Pairs {
    with(Vec::new(), headers)
}

pub(crate) fn body(whole: &Option<Body>, chunks: &Option<Vec<Body>>) -> Vec<Vec<u8>> {
    let chunks = whole.iter().chain(chunks.iter().flatten());
    chunks.map(|chunk| chunk.bytes().to_vec()).collect()
}

pub(crate) fn bodies(chunks: Vec<Vec<u8>>, open: bool, end_apart: bool) -> Vec<Part> {
    let count = chunks.len();
    let parts = chunks.into_iter().enumerate();
    let mut parts: Vec<_> =
        parts.map(|(i, c)| Part::Body(c, i + 1 == count && !open && !end_apart)).collect();
    if end_apart && !open {
        parts.push(Part::Body(Vec::new(), true));
    }
    parts
}

pub(crate) fn answer_parts(answer: &Answer, cut: Cut) -> Vec<Part> {
    let mut chunks = body(&answer.body, &answer.chunks);
    chunks = std::iter::repeat_n(chunks, answer.repeat.unwrap_or(1)).flatten().collect();
    if answer.cut_everywhere {
        let whole = chunks.concat();
        chunks = match cut {
            Cut::AsWritten => chunks,
            Cut::At(at) => vec![whole[..at].to_vec(), whole[at..].to_vec()],
            Cut::EachByte => whole.chunks(1).map(<[u8]>::to_vec).collect(),
        };
    }
    let whole = answer.trailers.is_none();
    let mut parts = Vec::new();
    if let Some(status) = answer.status {
        let mut headers = vec![(":status".to_owned(), status.to_string())];
        if let Some(body) = &answer.body {
            if !matches!(body, Body::Text(text) if text.starts_with("data:")) {
                headers.push(("content-type".into(), "application/json".into()));
            }
            if !answer.open && whole {
                headers.push(("content-length".into(), body.bytes().len().to_string()));
            }
        }
        let end = chunks.is_empty() && whole && !answer.open;
        parts.push(Part::Headers(with(headers, &answer.headers), end));
    }
    if !chunks.is_empty() || answer.status.is_none() && whole && !answer.open {
        if chunks.is_empty() {
            chunks.push(Vec::new());
        }
        parts.extend(bodies(chunks, answer.open || !whole, answer.end_apart));
    }
    parts.extend(answer.trailers.as_ref().map(|trailers| Part::Trailers(pairs(trailers))));
    parts
}

/// A role's own reply, as Envoy sends it.
pub(crate) fn reply_parts(reply: &LocalReply) -> Vec<Part> {
    let length = reply.body.len().to_string();
    let mut headers = vec![
        (b":status".to_vec(), reply.status.to_string().into_bytes()),
        (b"content-length".to_vec(), length.into_bytes()),
    ];
    headers.extend(reply.headers.iter().map(|(n, v)| (n.clone().into_bytes(), v.clone())));
    vec![Part::Headers(headers, false), Part::Body(reply.body.clone(), true)]
}

pub(crate) fn call(name: &str) -> Result<Call, String> {
    let all = [
        Call::Headers,
        Call::SetHeader,
        Call::RemoveHeader,
        Call::Body,
        Call::SpliceBody,
        Call::Property,
        Call::SetFilterState,
        Call::Fill,
        Call::Load,
        Call::Save,
        Call::Reply,
        Call::Call,
    ];
    let found = all.into_iter().find(|call| format!("{call:?}") == name);
    found.ok_or_else(|| format!("{name} is no host call that can fail here"))
}
