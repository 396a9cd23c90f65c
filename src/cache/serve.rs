//! A stored answer as one client gets it.

use memchr::memmem;

use super::Wants;
use super::convert::{self, Obstacle};
use super::policy::{CacheStatus, Skip};
use super::record::{Form, Record, Tokens};
use crate::host::Timestamp;
use crate::protocol::Operation;
use crate::protocol::stream::{End, Phase, Relay, Relayed};

/// An answer to serve.
#[derive(Debug, PartialEq, Eq)]
pub struct Hit {
    record: Record,
    /// What is served in place of the stored body.
    made: Option<Made>,
    pub age_seconds: u64,
    /// How long the stored answer will still be served.
    pub ttl_seconds: u64,
}

#[derive(Debug, PartialEq, Eq)]
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
    if record.form == Form::Json || wants.usage || !has_usage(operation) {
        return Ok(None);
    }
    let body = if record.strips {
        strip(record.body())
    } else {
        relay(operation, record.body()).ok_or(Obstacle::Unfinished)?
    };
    Ok(Some(Made { body, content_type: None }))
}

/// Judges a whole answer that is to be stored: a stream must end as its protocol says. Whether
/// [`strip`] does for it what the relay does.
pub(super) fn strips(operation: Operation, form: Form, body: &[u8]) -> Result<bool, Skip> {
    if form == Form::Json {
        return Ok(false);
    }
    let relayed = relay(operation, body).ok_or(Skip::Incomplete)?;
    Ok(has_usage(operation) && relayed == strip(body))
}

/// Whether a stream's usage is there for who asked for it only. It is stored in any case.
fn has_usage(operation: Operation) -> bool {
    matches!(operation, Operation::Chat | Operation::Completion)
}

/// The stream that a client sees that did not ask for usage; `None` if it does not end well.
fn relay(operation: Operation, body: &[u8]) -> Option<Vec<u8>> {
    let mut relay = Relay::new(operation, false)?;
    let mut relayed = match relay.chunk(body) {
        Relayed::Unchanged => body.to_vec(),
        Relayed::Replaced(body) => body.to_vec(),
    };
    let End::Complete { append } = relay.end("") else { return None };
    // A stream that only said why it ends may still have been cut.
    if relay.phase() != Phase::Finished {
        return None;
    }
    relayed.extend(append);
    Some(relayed)
}

/// Takes the usage out of a stream that is written as most providers write it, by searching for
/// bytes: some ten times as fast as to understand every event. Whether that is right for a stream
/// is found out when it is stored.
fn strip(stream: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(stream.len());
    let mut kept = 0;
    for at in memmem::find_iter(stream, USAGE) {
        let value = at.saturating_add(USAGE.len());
        let after = stream.get(value..).unwrap_or_default();
        let (start, end) = if after.starts_with(b"null") {
            (at, value.saturating_add(4))
        } else {
            let before = stream.get(kept..at).unwrap_or_default();
            let start = memmem::rfind(before, BLANK).map_or(kept, |blank| kept + blank + 2);
            let end = memmem::find(after, BLANK).map_or(stream.len(), |blank| value + blank + 2);
            let event = stream.get(start..end).unwrap_or_default();
            if memmem::find(event, NO_CHOICES).is_none() {
                continue;
            }
            (start, end)
        };
        if start >= kept {
            out.extend_from_slice(stream.get(kept..start).unwrap_or_default());
            kept = end;
        }
    }
    out.extend_from_slice(stream.get(kept..).unwrap_or_default());
    out
}

const USAGE: &[u8] = b",\"usage\":";
const NO_CHOICES: &[u8] = b"\"choices\":[]";
const BLANK: &[u8] = b"\n\n";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OPERATION: Operation = Operation::Chat;
    const COMMON: &str = concat!(
        "data: {\"id\":\"1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\",\\\"usage\\\":null\"}}],",
        "\"usage\":null,\"obfuscation\":\"x\"}\n\n",
        "data: {\"id\":\"1\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],",
        "\"usage\":null}\n\n",
        "data: {\"id\":\"1\",\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\ndata: [DONE]\n\n",
    );

    #[test]
    fn most_streams_are_stripped_by_searching() {
        assert_eq!(strips(OPERATION, Form::Stream, COMMON.as_bytes()), Ok(true));
        assert!(!String::from_utf8(strip(COMMON.as_bytes())).unwrap().contains("tokens"));
        let bare = "data: {\"id\":\"1\",\"choices\":[]}\n\ndata: [DONE]\n\n";
        assert_eq!(strips(OPERATION, Form::Stream, bare.as_bytes()), Ok(true));
    }

    #[test]
    fn what_searching_would_spoil_is_left_to_the_relay() {
        for (from, to) in [
            ("\"usage\":null", "\"usage\" : null"),
            ("\"choices\":[],", "\"choices\": [],"),
            ("\"finish_reason\":\"stop\"", "\"finish_reason\":{\"x\":1,\"usage\":null}"),
        ] {
            let stream = COMMON.replace(from, to);
            assert_eq!(strips(OPERATION, Form::Stream, stream.as_bytes()), Ok(false), "{to}");
        }
    }

    #[test]
    fn a_stream_that_does_not_end_well_is_not_stored() {
        let cut = COMMON.strip_suffix("data: [DONE]\n\n").unwrap();
        let failed = format!("data: {{\"error\":{{}}}}\n\n{COMMON}");
        for stream in [cut, &failed, ""] {
            let refused = strips(OPERATION, Form::Stream, stream.as_bytes());
            assert_eq!(refused, Err(Skip::Incomplete));
        }
        assert_eq!(strips(Operation::Embedding, Form::Stream, b"x"), Err(Skip::Incomplete));
        assert_eq!(strips(OPERATION, Form::Json, b"{}"), Ok(false));
    }

    proptest! {
        #[test]
        fn any_stream_is_stripped_without_a_panic(
            parts in prop::collection::vec(prop_oneof![
                Just(",\"usage\":"), Just("null"), Just("{"), Just("\n\n"),
                Just("\"choices\":[]"), Just("data: "), Just("x"),
            ], 0..20),
        ) {
            let stream = parts.concat();
            prop_assert!(strip(stream.as_bytes()).len() <= stream.len());
        }
    }
}
