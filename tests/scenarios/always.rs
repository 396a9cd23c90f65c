//! What holds for every exchange, whatever a case expects:
//!
//! - a `content-length` that goes on is the length of what goes on;
//! - no header is edited in vain, and no line of level error is logged;
//! - no `x-llm-` header reaches a provider;
//! - an answer names the request as filter state does;
//! - when all is over, nobody waits for an answer that nobody brings (`Process::check_leases`);
//! - [`SECRET`], [`PROMPT`] and [`COMPLETION`] never turn up where they must not.

use crate::stream::{Stream, find};
use crate::worker::Worker;

/// Marks a credential, of a caller or a provider.
const SECRET: &str = "s3cr3t";
/// Marks what a caller says to a model.
const PROMPT: &str = "pr0mpt";
/// Marks what a model says.
const COMPLETION: &str = "c0mpl3t1on";

pub(crate) fn check(worker: &Worker) -> Result<(), String> {
    let Some(stream) = &worker.stream else { return Ok(()) };
    stream.sent.check_length().map_err(|why| format!("sent on: {why}"))?;
    stream.got.check_length().map_err(|why| format!("to the client: {why}"))?;
    if worker.host.late_edits() > 0 {
        return Err("headers were edited after they had gone on".to_owned());
    }
    if let (Some(id), Some(headers)) =
        (worker.host.filter_state("llm_request_id"), &stream.got.headers)
        && find(headers, "x-request-id").map(String::into_bytes) != Some(id)
    {
        return Err("the answer does not name the request".to_owned());
    }
    check_marks(worker, stream)
}

fn check_marks(worker: &Worker, stream: &Stream) -> Result<(), String> {
    let mut places: Vec<(String, Vec<u8>)> = Vec::new();
    for (_, line) in worker.host.log_lines_after(stream.seen.first_line) {
        places.push(("a log line".to_owned(), line.into_bytes()));
    }
    for (name, value) in worker.host.filter_states() {
        // What a failed attempt has to give back to the next one may be the caller's own key.
        if name != "llm_original" {
            places.push((format!("filter state {name}"), value));
        }
    }
    if stream.ended {
        let names = worker.host.all_metric_names();
        // Names are never taken back: those that were there are not looked at again.
        let seen = worker.names.replace(names.len());
        let names = names.into_iter().filter(|_| seen != worker.names.get());
        places.extend(names.map(|name| ("the name of a metric".to_owned(), name.into_bytes())));
        let keys = worker.host.shared_keys().into_iter();
        places.extend(keys.map(|key| ("a key of shared data".to_owned(), key)));
    }
    for reply in worker.host.replies() {
        places.push(("a reply".to_owned(), reply.body));
        places.extend(reply.headers.into_iter().map(|(_, v)| ("a reply".to_owned(), v)));
    }
    for (place, bytes) in &places {
        for mark in [SECRET, PROMPT, COMPLETION] {
            if contains(bytes, mark) {
                return Err(format!("{place} tells {mark}"));
            }
        }
    }
    match contains(&stream.got.body, SECRET) {
        true => Err("the answer tells a credential".to_owned()),
        false => Ok(()),
    }
}

fn contains(bytes: &[u8], mark: &str) -> bool {
    bytes.windows(mark.len()).any(|window| window == mark.as_bytes())
}
