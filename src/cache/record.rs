//! One stored answer as bytes: framed, so that whatever else lies under a key is a miss.
//!
//! # Why bodies are not compressed
//! The host offers deflate. Measured in Envoy's V8 on answers in English, in microseconds; to copy a
//! body from shared data is what every hit does anyway:
//!
//! | body | shrinks | compress | uncompress | copy |
//! |---|---|---|---|---|
//! | JSON of 1, 16, 200 KiB | 1.8, 2.7, 3.9 times | 9, 86, 5900 | 4, 39, 340 | 0.5, 0.9, 4 |
//! | stream of 1, 16, 200 KiB | 4.9, 26, 47 times | 7, 21, 250 | 7, 23, 160 | 0.5, 0.8, 4 |
//!
//! A hit of 16 KiB would cost twice what it does, and to store one long document would stop a worker
//! for milliseconds. No answer more would fit: places are counted, and their memory is bounded as if
//! each were full.

use std::time::Duration;

use super::key::Key;
use crate::host::Timestamp;
use crate::protocol::usage::Usage;

/// In which form an answer came from the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    Json,
    Stream,
}

impl Form {
    /// By the content type: JSON for anything that is no stream.
    pub fn of(content_type: &[u8]) -> Self {
        let is = |name| is_media_type(content_type, name);
        if is(b"text/event-stream") || is(b"application/x-ndjson") {
            Self::Stream
        } else {
            Self::Json
        }
    }
}

/// Whether a content type, without its parameters, is `expected`.
pub(super) fn is_media_type(value: &[u8], expected: &[u8]) -> bool {
    let essence = value.split(|b| *b == b';').next().unwrap_or_default();
    essence.trim_ascii().eq_ignore_ascii_case(expected)
}

/// What a hit reports in place of the usage that it saved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    pub input: u32,
    pub cached_input: u32,
    pub output: u32,
    pub reasoning: u32,
}

impl From<Usage> for Tokens {
    fn from(usage: Usage) -> Self {
        let count = |n| u32::try_from(n).unwrap_or(u32::MAX);
        Self {
            input: count(usage.input),
            cached_input: count(usage.cached_input),
            output: count(usage.output),
            reasoning: count(usage.reasoning),
        }
    }
}

/// How long an answer may be served. Never 0, which elsewhere means "for ever".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ttl(Duration);

impl Ttl {
    /// `None` for less than a millisecond.
    pub fn new(ttl: Duration) -> Option<Self> {
        (ttl >= Duration::from_millis(1)).then_some(Self(ttl))
    }

    pub fn get(self) -> Duration {
        self.0
    }

    pub(super) fn millis(self) -> u64 {
        u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX)
    }
}

/// An answer on its way into the cache.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    pub key: &'a Key,
    pub form: Form,
    /// A stream whose usage can be taken out by searching for it.
    pub strips: bool,
    pub status: u16,
    pub content_type: &'a [u8],
    pub tokens: Tokens,
    pub created: Timestamp,
    pub ttl: Ttl,
    pub body: &'a [u8],
}

impl Entry<'_> {
    /// The record's bytes; `None` if a length does not fit its field.
    pub fn encode(&self) -> Option<Vec<u8>> {
        let content_type = u8::try_from(self.content_type.len()).ok()?;
        let body = u32::try_from(self.body.len()).ok()?;
        let mut out = Vec::with_capacity(HEAD_BYTES + self.content_type.len() + self.body.len());
        out.extend_from_slice(MAGIC);
        out.push(match (self.form, self.strips) {
            (Form::Json, _) => JSON,
            (Form::Stream, false) => STREAM,
            (Form::Stream, true) => STREAM_THAT_STRIPS,
        });
        out.extend_from_slice(&self.status.to_le_bytes());
        out.extend_from_slice(&self.created.millis().to_le_bytes());
        out.extend_from_slice(&self.expires_ms().to_le_bytes());
        let Tokens { input, cached_input, output, reasoning } = self.tokens;
        for count in [input, cached_input, output, reasoning] {
            out.extend_from_slice(&count.to_le_bytes());
        }
        out.extend_from_slice(self.key.as_bytes());
        out.push(content_type);
        out.extend_from_slice(&body.to_le_bytes());
        out.extend_from_slice(self.content_type);
        out.extend_from_slice(self.body);
        Some(out)
    }

    pub(super) fn expires_ms(&self) -> u64 {
        self.created.millis().saturating_add(self.ttl.millis())
    }
}

/// A stored answer. Its body stays where the host put it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub key: Key,
    pub form: Form,
    pub strips: bool,
    pub status: u16,
    pub tokens: Tokens,
    created_ms: u64,
    expires_ms: u64,
    bytes: Vec<u8>,
    content_type_end: usize,
}

impl Record {
    /// `None` for anything that [`Entry::encode`] did not write whole.
    pub fn parse(bytes: Vec<u8>) -> Option<Self> {
        let mut fields = Fields(bytes.strip_prefix(MAGIC)?);
        let (form, strips) = match fields.take()? {
            [JSON] => (Form::Json, false),
            [STREAM] => (Form::Stream, false),
            [STREAM_THAT_STRIPS] => (Form::Stream, true),
            _ => return None,
        };
        let status = u16::from_le_bytes(fields.take()?);
        let created_ms = u64::from_le_bytes(fields.take()?);
        let expires_ms = u64::from_le_bytes(fields.take()?);
        let tokens = Tokens {
            input: u32::from_le_bytes(fields.take()?),
            cached_input: u32::from_le_bytes(fields.take()?),
            output: u32::from_le_bytes(fields.take()?),
            reasoning: u32::from_le_bytes(fields.take()?),
        };
        let key = Key::from_bytes(fields.take()?);
        let content_type = usize::from(u8::from_le_bytes(fields.take()?));
        let body = usize::try_from(u32::from_le_bytes(fields.take()?)).ok()?;
        if fields.0.len() != content_type.checked_add(body)? {
            return None;
        }
        let content_type_end = HEAD_BYTES + content_type;
        Some(Self {
            key,
            form,
            strips,
            status,
            tokens,
            created_ms,
            expires_ms,
            bytes,
            content_type_end,
        })
    }

    pub fn content_type(&self) -> &[u8] {
        self.bytes.get(HEAD_BYTES..self.content_type_end).unwrap_or_default()
    }

    pub fn body(&self) -> &[u8] {
        self.bytes.get(self.content_type_end..).unwrap_or_default()
    }

    pub fn is_fresh(&self, now: Timestamp) -> bool {
        now.millis() < self.expires_ms
    }

    /// Written by a clock that is ahead of this one by more than clocks differ.
    pub(super) fn is_of_the_future(&self, now: Timestamp) -> bool {
        is_of_the_future(self.created_ms, now)
    }

    /// The value of the `age` header.
    pub fn age_seconds(&self, now: Timestamp) -> u64 {
        self.age(now).as_secs()
    }

    pub(super) fn age(&self, now: Timestamp) -> Duration {
        Duration::from_millis(now.millis().saturating_sub(self.created_ms))
    }

    /// Of all of it, as it lies in the store.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// How long it may still be served, as `cache-status` says it.
    pub fn ttl_seconds(&self, now: Timestamp) -> u64 {
        self.expires_ms.saturating_sub(now.millis()) / 1000
    }

    /// What is left of its life, for a copy in another place; `None` if nothing is.
    pub fn entry(&self, now: Timestamp) -> Option<Entry<'_>> {
        let ttl = Ttl::new(Duration::from_millis(self.expires_ms.checked_sub(self.created_ms)?))?;
        self.is_fresh(now).then_some(Entry {
            key: &self.key,
            form: self.form,
            strips: self.strips,
            status: self.status,
            content_type: self.content_type(),
            tokens: self.tokens,
            created: Timestamp(self.created_ms.saturating_mul(1_000_000)),
            ttl,
            body: self.body(),
        })
    }
}

pub(super) fn is_of_the_future(created_ms: u64, now: Timestamp) -> bool {
    created_ms > now.millis().saturating_add(MAX_SKEW_MS)
}

/// Marks a record that leaves the process, where bytes can be lost or changed.
pub fn seal(mut record: Vec<u8>) -> Vec<u8> {
    let mark = mark(&record);
    record.extend_from_slice(&mark);
    record
}

/// The record that [`seal`] was given; `None` if a byte of it is not the same.
pub fn unseal(mut sealed: Vec<u8>) -> Option<Record> {
    let (record, expected) = sealed.split_last_chunk()?;
    if mark(record) != *expected {
        return None;
    }
    sealed.truncate(record.len());
    Record::parse(sealed)
}

fn mark(record: &[u8]) -> [u8; MARK_BYTES] {
    let mut mark = [0; MARK_BYTES];
    blake3::Hasher::new_derive_key("llm-cache record v1")
        .update(record)
        .finalize_xof()
        .fill(&mut mark);
    mark
}

/// What has not been read yet.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*field)
    }
}

/// The last byte is the version of the layout.
const MAGIC: &[u8] = b"LLMC\x01";
const JSON: u8 = 0;
const STREAM: u8 = 1;
const STREAM_THAT_STRIPS: u8 = 2;
/// Magic, form, status, two times, four counts, key, two lengths.
pub(super) const HEAD_BYTES: usize = 5 + 1 + 2 + 2 * 8 + 4 * 4 + 32 + 1 + 4;
const MARK_BYTES: usize = 16;
/// The most that a sealed record has beside its body: the type of its content has one byte of length.
pub(super) const AROUND_A_BODY: usize = HEAD_BYTES + 255 + MARK_BYTES;
const MAX_SKEW_MS: u64 = 60_000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: Key = Key::from_bytes([7; 32]);
    const CREATED: Timestamp = Timestamp(1_800_000_000_123_000_000);

    fn entry(body: &[u8]) -> Entry<'_> {
        Entry {
            key: &KEY,
            form: Form::Stream,
            strips: true,
            status: 200,
            content_type: b"text/event-stream",
            tokens: Tokens { input: 1, cached_input: 2, output: 3, reasoning: 4 },
            created: CREATED,
            ttl: Ttl::new(Duration::from_secs(300)).unwrap(),
            body,
        }
    }

    fn after(millis: u64) -> Timestamp {
        Timestamp(CREATED.0 + millis * 1_000_000)
    }

    #[test]
    fn a_record_is_what_was_written() {
        let record = Record::parse(entry(b"data: {}\n\n").encode().unwrap()).unwrap();
        assert_eq!((record.key, record.form, record.status), (KEY, Form::Stream, 200));
        assert!(record.strips);
        assert_eq!(record.content_type(), b"text/event-stream");
        assert_eq!(record.body(), b"data: {}\n\n");
        assert_eq!(record.tokens, Tokens { input: 1, cached_input: 2, output: 3, reasoning: 4 });
    }

    #[test]
    fn age_and_ttl_follow_the_clock_whichever_way_it_goes() {
        let record = Record::parse(entry(b"x").encode().unwrap()).unwrap();
        for (now, fresh, age, ttl) in [
            (after(0), true, 0, 300),
            (after(17_500), true, 17, 282),
            (after(299_999), true, 299, 0),
            (after(300_000), false, 300, 0),
            (Timestamp(0), true, 0, 1_800_000_300),
        ] {
            assert_eq!(
                (record.is_fresh(now), record.age_seconds(now), record.ttl_seconds(now)),
                (fresh, age, ttl)
            );
        }
    }

    #[test]
    fn a_copy_lives_no_longer_than_its_original() {
        let bytes = entry(b"x").encode().unwrap();
        let record = Record::parse(bytes.clone()).unwrap();
        assert_eq!(record.entry(after(200_000)).unwrap().encode().unwrap(), bytes);
        assert!(record.entry(after(300_000)).is_none());
    }

    #[test]
    fn a_ttl_of_nothing_does_not_exist() {
        assert_eq!(Ttl::new(Duration::ZERO), None);
        assert_eq!(Ttl::new(Duration::from_micros(999)), None);
        assert!(Ttl::new(Duration::from_millis(1)).is_some());
    }

    #[test]
    fn no_part_of_a_record_is_a_record() {
        let whole = entry(b"some body").encode().unwrap();
        for cut in 0..whole.len() {
            assert_eq!(Record::parse(whole[..cut].to_vec()), None, "cut at {cut}");
        }
        let mut longer = whole.clone();
        longer.push(0);
        assert_eq!(Record::parse(longer), None);
        for at in 0..6 {
            let mut other = whole.clone();
            other[at] ^= 0x80;
            assert_eq!(Record::parse(other), None, "byte {at}");
        }
    }

    #[test]
    fn a_content_type_that_is_no_content_type_is_not_stored() {
        assert_eq!(Entry { content_type: &[b'x'; 256], ..entry(b"") }.encode(), None);
    }

    #[test]
    fn a_changed_byte_breaks_the_seal() {
        let sealed = seal(entry(b"body").encode().unwrap());
        assert_eq!(unseal(sealed.clone()).unwrap().body(), b"body");
        for at in 0..sealed.len() {
            let mut other = sealed.clone();
            other[at] ^= 1;
            assert_eq!(unseal(other), None, "byte {at}");
            assert_eq!(unseal(sealed[..at].to_vec()), None, "cut at {at}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_record_or_none(tail: Vec<u8>, magic: bool) {
            let mut bytes = if magic { MAGIC.to_vec() } else { Vec::new() };
            bytes.extend(tail);
            let _ = unseal(bytes.clone());
            if let Some(record) = Record::parse(bytes) {
                prop_assert!(record.body().len() <= record.bytes.len());
            }
        }
    }
}
