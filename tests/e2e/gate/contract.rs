//! The contract, as far as a row needs it: who is calling, what is called, and what becomes of it.
//! Written from the documentation alone; it knows nothing of how the filter does it.

use super::rows::{Body, Door, Row};

/// What may be seen of a row.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Verdict {
    pub(super) statuses: &'static [u16],
    pub(super) upstream: Upstream,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Upstream {
    Nothing,
    /// One call to this provider, at this path.
    Call(&'static str, String),
    /// What is no call of a model, and may pass.
    Passed,
}

/// Any of these will do: most rows have one.
pub(super) fn verdicts(row: &Row) -> Vec<Verdict> {
    let known = |known: bool| if known { of_caller(row) } else { vec![refuse(&[401])] };
    let Some(in_query) = row.credential.in_query else { return known(row.credential.is_good) };
    // Google's callers put keys into the query; what others have there may be a key or nothing.
    let path = canonical(&row.path);
    match ["/v1/models/", "/v1beta/models/"].iter().any(|head| path.starts_with(head)) {
        true if row.method == "POST" => known(in_query),
        _ => [known(in_query), known(false)].concat(),
    }
}

/// Of somebody whose credential is good.
fn of_caller(row: &Row) -> Vec<Verdict> {
    match endpoint(row) {
        Endpoint::Nothing => vec![unmatched(row)],
        // One model may be none, or none of the caller's.
        Endpoint::List if row.method == "UPGRADE" => vec![refuse(&[200, 404, 405, 426, 429])],
        Endpoint::List if canonical(&row.path).contains("/models/") => {
            vec![refuse(&[200, 403, 404, 429])]
        }
        Endpoint::List if row.caller.name == "spent" => vec![refuse(&[200, 429])],
        Endpoint::List => vec![refuse(&[200])],
        Endpoint::Call(path) => {
            let is_form = row.body == Body::Form
                || row.body == Body::Pairs && row.content_types != ["text/plain"];
            // Forms are for what has files.
            let is_readable = row.body == Body::Json || is_form && path.is_none();
            match (is_readable, path) {
                (false, Some(_)) => vec![refuse(&[400, 415])],
                // It names no model, and so it may be no call of one.
                (false, None) => vec![refuse(&[400, 415]), unmatched(row)],
                (true, path) => vec![call(row, path)],
            }
        }
        Endpoint::CallOrNothing => vec![call(row, None), unmatched(row)],
    }
}

fn call(row: &Row, path: Option<String>) -> Verdict {
    if !row.caller.may_ask(&row.model) {
        return refuse(&[403]);
    }
    if row.caller.name == "spent" {
        return refuse(&[429]);
    }
    // A provider has one version for both.
    let path = path.unwrap_or_else(|| canonical(&row.path).replace("/v1beta/", "/v1/"));
    Verdict { statuses: &[200], upstream: Upstream::Call(row.provider, path) }
}

/// What is no call of a model.
fn unmatched(row: &Row) -> Verdict {
    match (row.door, row.method) {
        (Door::Open, "UPGRADE") => {
            Verdict { statuses: &[101, 403, 404, 426, 429], upstream: Upstream::Passed }
        }
        (Door::Open, _) if row.caller.name == "spent" => refuse(&[429]),
        (Door::Open, _) => Verdict { statuses: &[200], upstream: Upstream::Passed },
        // Also where another method is a call.
        _ => refuse(&[404, 405, 426]),
    }
}

/// Answered by the gateway alone.
fn refuse(statuses: &'static [u16]) -> Verdict {
    Verdict { statuses, upstream: Upstream::Nothing }
}

enum Endpoint {
    /// A call with a model, and where the provider has it; `None`: where it is called.
    Call(Option<String>),
    /// Answered by the gateway itself.
    List,
    Nothing,
    /// What it is depends on whether its form names a model.
    CallOrNothing,
}

fn endpoint(row: &Row) -> Endpoint {
    let path = canonical(&row.path);
    let known = [
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/embeddings",
        "/v1/responses",
        "/v1/messages",
        "/api/chat",
        "/api/generate",
        "/api/embed",
    ];
    let in_path =
        ["/v1/models/", "/v1beta/models/"].iter().find_map(|head| path.strip_prefix(head));
    let without = ["batches", "files", "messages/batches", "uploads", "vector_stores"];
    let of_no_model = |rest: &str| {
        without.iter().any(|name| rest == *name || rest.starts_with(&format!("{name}/")))
    };
    let lists = ["/v1/models", "/v1beta/models", "/api/tags"];
    match row.method {
        "POST" if known.contains(&&*path) => Endpoint::Call(Some(at_provider(row, &path))),
        "POST" if in_path.is_some_and(|rest| rest.contains(':')) => {
            Endpoint::Call(Some(at_provider(row, &path)))
        }
        "POST" if path.strip_prefix("/v1/").is_some_and(of_no_model) => match row.body {
            Body::Json => Endpoint::Call(None),
            _ => Endpoint::CallOrNothing,
        },
        "POST" if path.starts_with("/v1/") || path.starts_with("/v1beta/") => Endpoint::Call(None),
        "GET" | "HEAD" | "UPGRADE" if lists.contains(&&*path) || in_path.is_some() => {
            Endpoint::List
        }
        _ => Endpoint::Nothing,
    }
}

/// Where a provider has a call: in the caller's own words if it knows them, else in its own.
fn at_provider(row: &Row, path: &str) -> String {
    let embeds = path.contains("embed");
    let streams = path.contains(":stream");
    match row.provider {
        "fast" | "exp" if embeds => "/v1/embeddings".into(),
        "fast" | "exp" => match path {
            "/v1/completions" | "/v1/responses" => path.into(),
            _ => "/v1/chat/completions".into(),
        },
        "claude" => "/v1/messages".into(),
        "llama" if embeds => "/api/embed".into(),
        "llama" if path == "/api/generate" => path.into(),
        "llama" => "/api/chat".into(),
        "google" => {
            let method = path.rsplit(':').next().filter(|_| path.contains(':'));
            let method =
                method.unwrap_or(if embeds { "batchEmbedContents" } else { "generateContent" });
            let method = if streams || row.streams { "streamGenerateContent" } else { method };
            format!("/v1beta/models/{}:{method}", row.model)
        }
        other => panic!("no provider {other}"),
    }
}

/// As servers read a path: without query and parameters, escapes, empty and dot segments, in lower
/// case but for the name of a model.
pub(super) fn canonical(path: &str) -> String {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let path = decoded(path);
    let mut segments: Vec<String> = Vec::new();
    for segment in path.split('/') {
        match segment.split(';').next().unwrap_or_default() {
            "" | "." => {}
            ".." => drop(segments.pop()),
            name if segments.last().is_some_and(|last| last == "models") => {
                segments.push(name.into())
            }
            name => segments.push(name.to_ascii_lowercase()),
        }
    }
    format!("/{}", segments.join("/"))
}

fn decoded(path: &str) -> String {
    let mut out = Vec::new();
    let bytes = path.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let escape = bytes.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        let byte = escape
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        out.push(byte.unwrap_or(bytes[at]));
        at += if byte.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}
