//! What the server saw and sent, kept within a bound, for tests to look at.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use bytes::Bytes;
use hyper::{HeaderMap, header::HeaderValue};

/// Bytes of request bodies that are kept; the oldest requests are forgotten first.
pub const MAX_RECORDED_BYTES: usize = 64 << 20;
/// Requests that are kept.
pub const MAX_RECORDED: usize = 4096;
/// Sent chunks that are kept of one answer.
pub const MAX_RECORDED_CHUNKS: usize = 4096;

/// One request and what became of it.
#[derive(Clone, Debug)]
pub struct Recorded {
    pub method: String,
    pub path: String,
    pub query: Option<String>,
    /// `:authority`, or the header `host`.
    pub authority: String,
    /// As received: the values as bytes, names in lower case, repeated names side by side.
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Bytes,
    pub trailers: Vec<(String, Vec<u8>)>,
    pub version: hyper::Version,
    pub arrived: Instant,
    pub status: Option<u16>,
    /// Each chunk of the answer's body at the time it was handed to the connection.
    pub sent: Vec<Sent>,
    pub outcome: Outcome,
}

impl Recorded {
    /// The first value of the header `name`, as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(key, _)| key == name)?;
        str::from_utf8(value).ok()
    }

    /// The body as JSON; `Null` if it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// One chunk of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    pub at: Instant,
    pub bytes: usize,
    /// Which event of the stream it belongs to, from 0; 0 for an answer that is no stream.
    pub event: usize,
}

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Not yet.
    Pending,
    /// Sent to its end, be it an early one.
    Complete,
    /// The server cut it, as it was told to.
    Cut,
    /// The peer went away first.
    Aborted,
}

/// The shared list. Clones are handles of the same list.
#[derive(Clone, Debug, Default)]
pub(super) struct Recorder(Arc<Mutex<Log>>);

#[derive(Debug, Default)]
struct Log {
    kept: VecDeque<Recorded>,
    /// How many were forgotten or cleared before `kept[0]`.
    dropped: usize,
    bytes: usize,
}

impl Recorder {
    pub(super) fn all(&self) -> Vec<Recorded> {
        self.with(|log| log.kept.iter().cloned().collect())
    }

    pub(super) fn total(&self) -> usize {
        self.with(|log| log.dropped + log.kept.len())
    }

    pub(super) fn clear(&self) {
        self.with(|log| {
            log.dropped += log.kept.len();
            log.kept.clear();
            log.bytes = 0;
        });
    }

    pub(super) fn add(&self, recorded: Recorded) -> Entry {
        let number = self.with(|log| {
            log.bytes += recorded.body.len();
            log.kept.push_back(recorded);
            while log.kept.len() > MAX_RECORDED || log.bytes > MAX_RECORDED_BYTES {
                let Some(oldest) = log.kept.pop_front() else { break };
                log.bytes -= oldest.body.len();
                log.dropped += 1;
            }
            log.dropped + log.kept.len() - 1
        });
        Entry { recorder: self.clone(), number }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Log) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The record of one request while it is being answered. Dropped without an outcome: aborted.
#[derive(Debug)]
pub(super) struct Entry {
    recorder: Recorder,
    number: usize,
}

impl Entry {
    pub(super) fn status(&self, status: u16) {
        self.update(|recorded| recorded.status = Some(status));
    }

    pub(super) fn sent(&self, event: usize, bytes: usize) {
        self.update(|recorded| {
            if recorded.sent.len() < MAX_RECORDED_CHUNKS {
                recorded.sent.push(Sent { at: Instant::now(), bytes, event });
            }
        });
    }

    pub(super) fn ended(&self, outcome: Outcome) {
        self.update(|recorded| {
            if recorded.outcome == Outcome::Pending {
                recorded.outcome = outcome;
            }
        });
    }

    fn update(&self, act: impl FnOnce(&mut Recorded)) {
        self.recorder.with(|log| {
            let index = self.number.checked_sub(log.dropped);
            if let Some(recorded) = index.and_then(|index| log.kept.get_mut(index)) {
                act(recorded);
            }
        });
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.ended(Outcome::Aborted);
    }
}

pub(super) fn pairs(headers: &HeaderMap<HeaderValue>) -> Vec<(String, Vec<u8>)> {
    headers.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_requests_are_forgotten_first() {
        let recorder = Recorder::default();
        let entries: Vec<Entry> =
            (0..MAX_RECORDED + 2).map(|n| recorder.add(request(n.to_string().into()))).collect();
        entries[0].status(500);
        entries[2].status(503);

        let kept = recorder.all();
        assert_eq!((kept.len(), recorder.total()), (MAX_RECORDED, MAX_RECORDED + 2));
        assert_eq!((&kept[0].body[..], kept[0].status), (&b"2"[..], Some(503)));
    }

    #[test]
    fn bodies_are_kept_within_their_bound() {
        let recorder = Recorder::default();
        let body = Bytes::from(vec![0; MAX_RECORDED_BYTES / 2]);
        for _ in 0..3 {
            recorder.add(request(body.clone()));
        }
        assert_eq!(recorder.all().len(), 2);
    }

    #[test]
    fn an_entry_dropped_without_an_end_was_aborted() {
        let recorder = Recorder::default();
        drop(recorder.add(request(Bytes::new())));
        assert_eq!(recorder.all()[0].outcome, Outcome::Aborted);
    }

    fn request(body: Bytes) -> Recorded {
        Recorded {
            method: "POST".to_owned(),
            path: "/".to_owned(),
            query: None,
            authority: String::new(),
            headers: Vec::new(),
            body,
            trailers: Vec::new(),
            version: hyper::Version::HTTP_11,
            arrived: Instant::now(),
            status: None,
            sent: Vec::new(),
            outcome: Outcome::Pending,
        }
    }
}
