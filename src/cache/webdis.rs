//! A second level that a fleet shares: Redis over HTTP through webdis (0.1.9 tried).
//!
//! A key has one entry there, whatever its form: the last one written. A value is a sealed
//! [`Record`], so that what is cut, changed, of another key or of another version is no answer.
//! webdis reports Redis's own errors with status 200 and a body: the seal tells those too.
//!
//! The host sends a [`Call`] with `:method`, `:path`, `:authority` and the timeout of the
//! configuration over a kept connection, and brings back an [`Answer`]. With `connection: close`
//! webdis waits for ever if the body comes in a read of its own.

use super::key::Key;
use super::record::{Entry, Record, seal, unseal};
use crate::host::Timestamp;

/// An HTTP request to webdis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub method: &'static str,
    pub path: String,
    pub body: Vec<u8>,
}

/// What webdis answered, or the host in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

/// Why the second level is of no help: a miss, and a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    Absent,
    /// webdis or Redis is down or slow.
    Unavailable,
    /// webdis does not let the gateway do this.
    Forbidden,
    /// Not what was stored there, or Redis's own refusal.
    Corrupt,
    Expired,
    /// Larger than this configuration allows.
    TooLarge,
    /// As much is asked, or told, at once as may be.
    Busy,
}

/// Reads a key.
pub fn fetch(key: &Key) -> Call {
    // The extension asks for the bare bytes, and makes an absent key a 404.
    Call { method: "GET", path: format!("/GET/{key}.bin"), body: Vec::new() }
}

/// Writes an entry, which Redis forgets when its time is over. `None` if a length does not fit.
pub fn store(entry: &Entry<'_>) -> Option<Call> {
    let ttl = entry.ttl.millis();
    let body = seal(entry.encode()?);
    // Redis refuses what overflows when the time is added.
    let path = format!("/PSETEX/{}/{}", entry.key, ttl.min(MAX_TTL_MS));
    Some(Call { method: "PUT", path, body })
}

impl Answer {
    /// The record that a fetch brought.
    pub fn record(self, key: &Key, now: Timestamp) -> Result<Record, Fault> {
        self.check()?;
        let record = unseal(self.body).filter(|record| record.key == *key);
        let record = record.ok_or(Fault::Corrupt)?;
        // A clock that is ahead would make an entry live longer than its ttl.
        if !record.is_fresh(now) || record.is_of_the_future(now) {
            return Err(Fault::Expired);
        }
        Ok(record)
    }

    /// Whether a store was done.
    pub fn stored(&self) -> Result<(), Fault> {
        self.check()?;
        match self.body.as_slice() {
            br#"{"PSETEX":[true,"OK"]}"# => Ok(()),
            _ => Err(Fault::Corrupt),
        }
    }

    fn check(&self) -> Result<(), Fault> {
        match self.status {
            200 => Ok(()),
            404 => Err(Fault::Absent),
            401 | 403 => Err(Fault::Forbidden),
            _ => Err(Fault::Unavailable),
        }
    }
}

impl Fault {
    pub const ALL: [Self; 7] = [
        Self::Absent,
        Self::Unavailable,
        Self::Forbidden,
        Self::Corrupt,
        Self::Expired,
        Self::TooLarge,
        Self::Busy,
    ];

    pub fn label(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Unavailable => "unavailable",
            Self::Forbidden => "forbidden",
            Self::Corrupt => "corrupt",
            Self::Expired => "expired",
            Self::TooLarge => "too_large",
            Self::Busy => "busy",
        }
    }
}

/// A thousand years.
const MAX_TTL_MS: u64 = 1000 * 365 * 24 * 3600 * 1000;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::cache::record::{Form, Tokens, Ttl};

    const KEY: Key = Key::from_bytes([0xab; 32]);
    const NOW: Timestamp = Timestamp(1_800_000_000_000_000_000);

    fn entry(body: &[u8]) -> Entry<'_> {
        Entry {
            key: &KEY,
            form: Form::Json,
            strips: false,
            status: 200,
            content_type: b"application/json",
            tokens: Tokens::default(),
            created: NOW,
            ttl: Ttl::new(Duration::from_millis(1500)).unwrap(),
            body,
        }
    }

    fn later(millis: u64) -> Timestamp {
        Timestamp(NOW.0 + millis * 1_000_000)
    }

    fn answer(status: u16, body: &[u8]) -> Answer {
        Answer { status, body: body.to_vec() }
    }

    /// As webdis 0.1.9 takes them.
    #[test]
    fn calls_are_as_webdis_takes_them() {
        let name = format!("llm-cache:v1:{}", "ab".repeat(32));
        let read = fetch(&KEY);
        assert_eq!((read.method, read.path), ("GET", format!("/GET/{name}.bin")));
        let write = store(&entry(b"{}")).unwrap();
        assert_eq!((write.method, write.path), ("PUT", format!("/PSETEX/{name}/1500")));
    }

    #[test]
    fn what_was_stored_comes_back() {
        let body = store(&entry(b"\x00\xff{}")).unwrap().body;
        let record = answer(200, &body).record(&KEY, later(1499)).unwrap();
        assert_eq!(record.body(), b"\x00\xff{}");
    }

    #[test]
    fn anything_else_is_a_miss() {
        let good = store(&entry(b"{}")).unwrap().body;
        let other = Key::from_bytes([1; 32]);
        let read = |answer: Answer, now| answer.record(&KEY, now).unwrap_err();
        for (answer, fault) in [
            (answer(404, b""), Fault::Absent),
            (answer(503, b""), Fault::Unavailable),
            (answer(504, b"upstream request timeout"), Fault::Unavailable),
            (answer(0, b""), Fault::Unavailable),
            (answer(403, b""), Fault::Forbidden),
            (answer(200, b""), Fault::Corrupt),
            (answer(200, b"-WRONGTYPE Operation against a key holding"), Fault::Corrupt),
            (answer(200, &good[..good.len() - 1]), Fault::Corrupt),
        ] {
            assert_eq!(read(answer, NOW), fault);
        }
        assert_eq!(read(answer(200, &good), later(1500)), Fault::Expired);
        assert_eq!(read(answer(200, &good), Timestamp(NOW.0 - 61_000_000_000)), Fault::Expired);
        assert_eq!(answer(200, &good).record(&other, NOW).unwrap_err(), Fault::Corrupt);
    }

    #[test]
    fn a_store_that_was_not_done_is_told() {
        assert_eq!(answer(200, br#"{"PSETEX":[true,"OK"]}"#).stored(), Ok(()));
        let full =
            br#"{"PSETEX":[false,"OOM command not allowed when used memory > 'maxmemory'."]}"#;
        assert_eq!(answer(200, full).stored(), Err(Fault::Corrupt));
        assert_eq!(answer(503, b"").stored(), Err(Fault::Unavailable));
    }
}
