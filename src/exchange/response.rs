//! From the answer's headers to its end: it passes as it comes, and is read on the way.

use super::answer::PROVIDER_REQUEST_ID;
use super::request::report;
use super::{Ended, Routed, Service, State, failure, keeping, limits};
use crate::handoff;
use crate::held;
use crate::host::{Buffer, Flow, Host, Map, Pairs, SafeValue, Timestamp};
use crate::protocol::stream::{End, Phase, Relay, Relayed};
use crate::protocol::usage::Meter;
use crate::protocol::{Dialect, Operation};

/// An answer on its way.
pub struct Relaying {
    pub(super) routed: Routed,
    pub(super) status: u16,
    pub(super) reader: Reader,
    pub(super) first_token: Option<Timestamp>,
    pub(super) ending: Ending,
    /// Bytes that are held back with the headers, which are to say at the end what became of them.
    held: Option<usize>,
}

/// How far an answer has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// It goes on.
    Open,
    Complete,
    /// The provider said in the middle of it that it failed.
    Failed,
    /// The provider's stream stopped before its end.
    Cut,
}

pub(super) enum Reader {
    Stream(Box<Relay>),
    /// A document, or a stream that only its client understands.
    Json(Box<Meter>),
    /// Nothing that could be read: sound, images, what is compressed.
    Opaque,
}

/// The answer's headers came.
pub(super) fn headers(
    mut routed: Routed,
    service: &Service,
    end: bool,
    now: Timestamp,
    host: &impl Host,
) -> (State, Flow) {
    let headers = host.headers(Map::ResponseHeaders).unwrap_or_default();
    let [status, kind, encoding, length] =
        headers.first([":status", "content-type", "content-encoding", "content-length"]);
    let status = status.and_then(|status| std::str::from_utf8(status).ok()?.parse().ok());
    let status = status.unwrap_or(0);
    // A redirect goes nowhere if it is a provider's, and is whole if it is Envoy's own.
    if !(300..400).contains(&status) {
        let cleaned = handoff::clean_answer(&headers, || handoff::forwarded(host), host);
        report(cleaned, "answer headers", host);
    }
    name_ids(&routed, &headers, host);
    limits::write_rate_headers(&routed.call, &headers, now, host);
    if status >= 300 {
        keeping::write_status(&routed.call.caching, host);
        return failure::headers(routed, service, status, &headers, end, host);
    }
    let reader = Reader::new(&routed, kind.unwrap_or_default(), encoding);
    if end && matches!(reader, Reader::Stream(_)) {
        return failure::silent(routed, &headers, host);
    }
    let holds = keeping::head(&mut routed, status, &headers, service, now, host);
    let held = (holds || end).then_some(0);
    if held.is_none() {
        keeping::write_status(&routed.call.caching, host);
    }
    if let (Reader::Stream(_), Some(_)) = (&reader, length) {
        report(host.remove_header(Map::ResponseHeaders, b"content-length"), "answer", host);
    }
    let ending = Ending::Open;
    let mut relaying = Relaying { routed, status, reader, first_token: None, ending, held };
    if !end {
        let flow = if holds { Flow::Pause } else { Flow::Continue };
        return (State::Relaying(Box::new(relaying)), flow);
    }
    relaying.finish();
    passed(relaying, service, now, host)
}

/// The next bytes of the answer came.
pub(super) fn body(
    mut relaying: Box<Relaying>,
    service: &Service,
    size: usize,
    end: bool,
    now: Timestamp,
    host: &impl Host,
) -> (State, Flow) {
    let kept = relaying.kept();
    let wanted = !matches!(relaying.reader, Reader::Opaque) || keeping::keeps(&relaying.routed);
    let seen = relaying.held.unwrap_or(0);
    // What is not changed is read piece by piece: the provider role hands over answers of many MiB.
    let piece = if relaying.is_stream() { usize::MAX } else { PIECE };
    let mut left = if wanted { size.saturating_sub(seen) } else { 0 };
    let mut at = seen;
    let chunk = loop {
        let chunk = match left {
            1.. => host.body(Buffer::ResponseBody, at, piece).unwrap_or_default(),
            0 => Vec::new(),
        };
        left = if chunk.is_empty() { 0 } else { left.saturating_sub(chunk.len()) };
        at = at.saturating_add(chunk.len());
        keeping::chunk(&mut relaying.routed, &chunk, service, now, host);
        let mut changed = relaying.read(&chunk, end && left == 0, now);
        if relaying.must_give_up(kept, service) {
            keeping::give_up(&mut relaying.routed, service, now, host);
            if relaying.must_give_up(kept, service) {
                changed = Some(relaying.spilled(changed));
            }
        }
        if let Some(changed) = changed {
            report(host.splice_body(Buffer::ResponseBody, 0, usize::MAX, &changed), "answer", host);
        }
        if left == 0 {
            break chunk;
        }
    };
    if end {
        return passed(*relaying, service, now, host);
    }
    if relaying.held.is_none() {
        return (State::Relaying(relaying), Flow::Continue);
    }
    let before = at.saturating_sub(chunk.len());
    if service.ledger.has_room(at.saturating_sub(seen))
        && keeping::holds_on(&relaying.routed, before, &chunk, service)
    {
        relaying.held = Some(at);
        return (State::Relaying(relaying), Flow::Pause);
    }
    relaying.held = None;
    keeping::write_status(&relaying.routed.call.caching, host);
    (State::Relaying(relaying), Flow::Continue)
}

/// The answer ended with trailers. Its last bytes are gone, so nothing can be appended to them.
pub(super) fn trailers(
    mut relaying: Box<Relaying>,
    service: &Service,
    now: Timestamp,
    host: &impl Host,
) -> (State, Flow) {
    relaying.finish();
    passed(*relaying, service, now, host)
}

/// All of the answer has passed.
fn passed(
    mut relaying: Relaying,
    service: &Service,
    now: Timestamp,
    host: &impl Host,
) -> (State, Flow) {
    keeping::finish(&mut relaying, service, now, host);
    if relaying.held.is_some() {
        keeping::write_status(&relaying.routed.call.caching, host);
    }
    (State::Answered(Box::new(Ended::relayed(relaying, host))), Flow::Continue)
}

impl Relaying {
    /// An answer that is not for this filter to read.
    pub(super) fn opaque(routed: Routed, status: u16, ending: Ending) -> Self {
        Self { routed, status, reader: Reader::Opaque, first_token: None, ending, held: None }
    }

    /// What is kept, here or by Envoy.
    pub(super) fn held(&self) -> held::Held {
        held::Held { here: self.kept(), there: self.held.unwrap_or(0) }
    }

    fn kept(&self) -> usize {
        let reader = match &self.reader {
            Reader::Stream(relay) => relay.kept(),
            Reader::Json(_) | Reader::Opaque => 0,
        };
        reader.saturating_add(keeping::kept(&self.routed))
    }

    /// Whether more is kept than before, and there is no room for it.
    fn must_give_up(&self, before: usize, service: &Service) -> bool {
        let kept = self.kept();
        kept > before.max(held::SMALL) && !service.ledger.has_room(kept.saturating_sub(before))
    }

    /// What passes, with the event that is not whole yet and for which there is no room.
    fn spilled(&mut self, passes: Option<Vec<u8>>) -> Vec<u8> {
        let mut passes = passes.unwrap_or_default();
        if let Reader::Stream(relay) = &mut self.reader {
            passes.extend(relay.spill());
        }
        passes
    }

    /// How it ended, now that the exchange is over: Envoy tells no filter when a provider resets.
    pub(super) fn ended(&self, host: &impl Host) -> Ending {
        let finished = match &self.reader {
            Reader::Stream(relay) => relay.phase() == Phase::Finished,
            Reader::Json(_) | Reader::Opaque => false,
        };
        if self.ending != Ending::Open || finished {
            return self.ending;
        }
        let details = host.property(&["response", "code_details"]).unwrap_or_default();
        let reset = details.starts_with(b"upstream_") && details != b"via_upstream";
        if reset || failure::contains(&details, TIMEOUT) { Ending::Cut } else { Ending::Open }
    }

    pub(super) fn is_stream(&self) -> bool {
        matches!(self.reader, Reader::Stream(_))
    }

    /// Reads a chunk; returns what to pass on in its place if that differs.
    fn read(&mut self, chunk: &[u8], end: bool, now: Timestamp) -> Option<Vec<u8>> {
        let mut changed = None;
        match &mut self.reader {
            Reader::Stream(relay) => {
                if let Relayed::Replaced(bytes) = relay.chunk(chunk) {
                    changed = Some(bytes.to_vec());
                }
                if self.first_token.is_none() && relay.content_events() > 0 {
                    self.first_token = Some(now);
                }
            }
            Reader::Json(meter) => meter.chunk(chunk),
            Reader::Opaque => {}
        }
        if !end {
            return changed;
        }
        match self.finish() {
            append if append.is_empty() => changed,
            append => {
                let mut all = changed.unwrap_or_else(|| chunk.to_vec());
                all.extend(append);
                Some(all)
            }
        }
    }

    /// Notes how the answer ended; returns what must be appended to it.
    fn finish(&mut self) -> Vec<u8> {
        let Reader::Stream(relay) = &mut self.reader else {
            self.ending = Ending::Complete;
            return Vec::new();
        };
        let (ending, append) = match relay.end(self.routed.call.id.as_str()) {
            End::Complete { append } => (Ending::Complete, append),
            End::Failed { append } => (Ending::Failed, append),
            End::Cut { append } => (Ending::Cut, append),
        };
        self.ending = ending;
        append
    }
}

impl Reader {
    fn new(routed: &Routed, kind: &[u8], encoding: Option<&[u8]>) -> Self {
        let operation = routed.call.operation;
        if encoding.is_some_and(|coding| coding != b"identity") {
            return Self::Opaque;
        }
        let is_lines = LINES.iter().any(|lines| is_type(kind, lines));
        let is_stream = is_type(kind, b"text/event-stream");
        if operation == Operation::Other && is_stream {
            return Self::Json(Box::new(Meter::of_events(operation)));
        }
        if is_lines || is_stream {
            // What is not framed as the protocol has it would only be garbled.
            let as_expected = is_lines == (operation.dialect() == Dialect::Ollama);
            let relay = Relay::new(operation, routed.asked_for_usage).filter(|_| as_expected);
            return relay.map_or(Self::Opaque, |relay| Self::Stream(Box::new(relay)));
        }
        if operation == Operation::Other && !is_type(kind, b"application/json") {
            return Self::Opaque;
        }
        Self::Json(Box::new(Meter::new(operation)))
    }
}

/// Every answer names the request, and the provider's own name for it where there is one.
fn name_ids(routed: &Routed, headers: &Pairs, host: &impl Host) {
    if let Some(id) = provider_id(headers) {
        report(host.set_header(Map::ResponseHeaders, PROVIDER_REQUEST_ID, id), "answer", host);
    }
    if let Some(id) = SafeValue::new(routed.call.id.as_str().as_bytes()) {
        report(host.set_header(Map::ResponseHeaders, "x-request-id", id), "answer", host);
    }
}

/// The provider's own name for the request, in its answer as it came.
pub(super) fn provider_id(headers: &Pairs) -> Option<SafeValue<'_>> {
    let id = headers.first(PROVIDER_REQUEST_IDS).into_iter().flatten().next();
    id.and_then(SafeValue::new)
}

fn is_type(header: &[u8], expected: &[u8]) -> bool {
    let kind = header.split(|byte| *byte == b';').next().unwrap_or_default();
    kind.trim_ascii().eq_ignore_ascii_case(expected)
}

/// So much of an answer is read at once.
const PIECE: usize = 1 << 20;

const TIMEOUT: &[u8] = b"timeout";
const LINES: [&[u8]; 2] = [b"application/x-ndjson", b"application/stream+json"];

/// OpenAI's and most others', Anthropic's, AWS's and Azure's.
const PROVIDER_REQUEST_IDS: [&str; 4] =
    ["x-request-id", "request-id", "x-amzn-requestid", "apim-request-id"];
