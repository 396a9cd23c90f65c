//! A stored answer as one client gets it.

use super::Wants;
use super::convert::{self, Obstacle};
use super::policy::{CacheStatus, Skip};
use super::record::{Form, Record, Tokens};
use crate::host::Timestamp;
use crate::protocol::Operation;
use crate::protocol::stream::{End, Relay, Relayed};

/// An answer to serve.
#[derive(Debug)]
pub struct Hit {
    record: Record,
    /// What is served in place of the stored body.
    made: Option<Made>,
    pub age_seconds: u64,
    /// How long the stored answer will still be served.
    pub ttl_seconds: u64,
}

#[derive(Debug)]
struct Made {
    body: Vec<u8>,
    /// Of another type than the stored one.
    content_type: Option<&'static str>,
}

impl Hit {
    pub(super) fn new(
        record: Record,
        operation: Operation,
        wants: Wants,
        now: Timestamp,
    ) -> Result<Self, Skip> {
        let made = made(&record, operation, wants)?;
        let (age_seconds, ttl_seconds) = (record.age_seconds(now), record.ttl_seconds(now));
        Ok(Self { record, made, age_seconds, ttl_seconds })
    }

    pub fn status(&self) -> u16 {
        self.record.status
    }

    pub fn content_type(&self) -> &[u8] {
        let made = self.made.as_ref().and_then(|made| made.content_type);
        made.map_or(self.record.content_type(), str::as_bytes)
    }

    pub fn body(&self) -> &[u8] {
        self.made.as_ref().map_or(self.record.body(), |made| &made.body)
    }

    /// What the answer cost when it was made.
    pub fn tokens(&self) -> Tokens {
        self.record.tokens
    }

    /// Served in the other form than it was stored in.
    pub fn is_converted(&self) -> bool {
        self.made.as_ref().is_some_and(|made| made.content_type.is_some())
    }

    pub fn cache_status(&self) -> CacheStatus {
        CacheStatus::Hit { ttl_seconds: self.ttl_seconds }
    }

    /// In which form the answer is stored, and its stored bytes.
    pub(super) fn stored(&self) -> (Form, &[u8]) {
        (self.record.form, self.record.body())
    }
}

/// What is to be served if not the stored bytes.
fn made(record: &Record, operation: Operation, wants: Wants) -> Result<Option<Made>, Obstacle> {
    if record.form != wants.form {
        let body = convert::convert(operation, record.form, record.body(), wants.usage)?;
        let content_type = Some(convert::content_type(operation, wants.form));
        return Ok(Some(Made { body, content_type }));
    }
    // Streams are stored with their usage, whoever asked for it.
    let strip = matches!(operation, Operation::Chat | Operation::Completion) && !wants.usage;
    if record.form == Form::Json || !strip {
        return Ok(None);
    }
    let Some(mut relay) = Relay::new(operation, false) else { return Ok(None) };
    let mut body = match relay.chunk(record.body()) {
        Relayed::Unchanged => None,
        Relayed::Replaced(body) => Some(body.to_vec()),
    };
    let End::Complete { append } = relay.end("") else { return Err(Obstacle::Unfinished) };
    if !append.is_empty() {
        body.get_or_insert_with(|| record.body().to_vec()).extend(append);
    }
    Ok(body.map(|body| Made { body, content_type: None }))
}
