//! From the answer's headers to its end: it passes as it comes, and is read on the way.

use super::answer::PROVIDER_REQUEST_ID;
use super::request::report;
use super::withheld::{Passing, Withheld};
use super::{Ended, Routed, Service, State, failure, keeping, limits};
use crate::error::Kind;
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
    /// Nothing of it has gone on.
    pub(super) withheld: Option<Withheld>,
    pub(super) first_token: Option<Timestamp>,
    pub(super) ending: Ending,
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
    /// It is not what was asked for.
    Unusable,
}

pub(super) enum Reader {
    Stream(Box<Relay>),
    /// A document, or a stream that only its client understands. The second is there for a document
    /// that is too long to be held back.
    Json(Box<Meter>, Option<Box<Passing>>),
    /// Nothing that could be read: sound, images, what is compressed.
    Opaque,
}

/// The answer's headers came.
pub(super) fn headers(
    routed: Routed,
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
    if !matches!(status, 200..300) {
        keeping::write_status(&routed.call.caching, host);
        return failure::headers(routed, service, status, &headers, end, now, host);
    }
    let length = length.and_then(|length| std::str::from_utf8(length).ok()?.parse().ok());
    let (reader, withheld) = Reader::new(&routed, kind.unwrap_or_default(), encoding, length);
    if end && matches!(reader, Reader::Stream(_)) {
        return failure::silent(routed, &headers, host);
    }
    let mut relaying =
        Relaying { routed, status, reader, withheld, first_token: None, ending: Ending::Open };
    if end && relaying.withheld.is_some() {
        return failure::unusable(relaying, service, now, host);
    }
    let holds = keeping::head(&mut relaying.routed, status, &headers, service, now, host);
    if let Some(withheld) = relaying.withheld.as_mut().filter(|_| holds) {
        withheld.widen(keeping::most_held(service));
    }
    // Once all of a document is here, the cache knows what became of it.
    if !end && relaying.withheld.as_ref().is_none_or(Withheld::is_opening) {
        keeping::write_status(&relaying.routed.call.caching, host);
    }
    if let (Reader::Stream(_), Some(_)) = (&relaying.reader, length) {
        report(host.remove_header(Map::ResponseHeaders, b"content-length"), "answer", host);
    }
    if let Some(right) = relaying.reader.retyped(&relaying.routed, kind.unwrap_or_default()) {
        report(host.set_header(Map::ResponseHeaders, "content-type", right), "answer", host);
    }
    if !end {
        let flow = if relaying.withheld.is_some() { Flow::Pause } else { Flow::Continue };
        return (State::Relaying(Box::new(relaying)), flow);
    }
    relaying.finish();
    keeping::finish(&mut relaying, service, now, host);
    keeping::write_status(&relaying.routed.call.caching, host);
    (State::Answered(Box::new(Ended::relayed(relaying, host))), Flow::Continue)
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
    let Some(withheld) = relaying.withheld.take() else {
        return relaying.pass(size, end, service, now, host);
    };
    let chunk = match size > withheld.seen {
        true => host.body(Buffer::ResponseBody, withheld.seen, usize::MAX).unwrap_or_default(),
        false => Vec::new(),
    };
    match withheld.is_opening() {
        true => relaying.open(withheld, &chunk, end, service, now, host),
        false => relaying.document(withheld, &chunk, end, service, now, host),
    }
}

/// The answer ended with trailers. Its last bytes are gone, so nothing can be appended to them.
pub(super) fn trailers(
    mut relaying: Box<Relaying>,
    service: &Service,
    now: Timestamp,
    host: &impl Host,
) -> (State, Flow) {
    match relaying.withheld.take() {
        None => {
            relaying.finish();
            passed(*relaying, service, now, host)
        }
        // All of it is still here.
        Some(held) if held.is_opening() => relaying.open(held, b"", true, service, now, host),
        Some(held) => relaying.document(held, b"", true, service, now, host),
    }
}

/// All of the answer has passed.
pub(super) fn passed(
    mut relaying: Relaying,
    service: &Service,
    now: Timestamp,
    host: &impl Host,
) -> (State, Flow) {
    keeping::finish(&mut relaying, service, now, host);
    (State::Answered(Box::new(Ended::relayed(relaying, host))), Flow::Continue)
}

impl Relaying {
    /// An answer that is not for this filter to read.
    pub(super) fn opaque(routed: Routed, status: u16, ending: Ending) -> Self {
        Self { routed, status, reader: Reader::Opaque, withheld: None, first_token: None, ending }
    }

    /// Nothing is held back: what came goes on.
    fn pass(
        mut self: Box<Self>,
        size: usize,
        end: bool,
        service: &Service,
        now: Timestamp,
        host: &impl Host,
    ) -> (State, Flow) {
        let wanted = !matches!(self.reader, Reader::Opaque) || keeping::keeps(&self.routed);
        // What is not changed is read piece by piece: the provider role hands over answers of many
        // MiB.
        let piece = if self.is_stream() { usize::MAX } else { PIECE };
        let mut left = if wanted { size } else { 0 };
        let mut at = 0usize;
        loop {
            let chunk = match left {
                1.. => host.body(Buffer::ResponseBody, at, piece).unwrap_or_default(),
                0 => Vec::new(),
            };
            left = if chunk.is_empty() { 0 } else { left.saturating_sub(chunk.len()) };
            at = at.saturating_add(chunk.len());
            if let Some(changed) = self.take(&chunk, end && left == 0, service, now, host) {
                report(
                    host.splice_body(Buffer::ResponseBody, 0, usize::MAX, &changed),
                    "answer",
                    host,
                );
            }
            if left == 0 {
                break;
            }
        }
        match self.ending {
            _ if !end => (State::Relaying(self), Flow::Continue),
            Ending::Unusable => failure::unusable(*self, service, now, host),
            _ => passed(*self, service, now, host),
        }
    }

    /// Reads a chunk, and keeps what there is room for; returns what to pass on in its place if that
    /// differs.
    pub(super) fn take(
        &mut self,
        chunk: &[u8],
        end: bool,
        service: &Service,
        now: Timestamp,
        host: &impl Host,
    ) -> Option<Vec<u8>> {
        let kept = self.kept();
        keeping::chunk(&mut self.routed, chunk, service, now, host);
        let changed = self.read(chunk, end, now);
        if self.must_give_up(kept, service) {
            keeping::give_up(&mut self.routed, service, now, host);
            if self.must_give_up(kept, service) {
                return Some(self.spilled(changed));
            }
        }
        changed
    }

    /// What is kept, here or by Envoy.
    pub(super) fn held(&self) -> held::Held {
        held::Held {
            here: self.kept(),
            there: self.withheld.as_ref().map_or(0, |withheld| withheld.seen),
        }
    }

    fn kept(&self) -> usize {
        let reader = match &self.reader {
            Reader::Stream(relay) => relay.kept(),
            Reader::Json(..) | Reader::Opaque => 0,
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
            Reader::Json(..) | Reader::Opaque => false,
        };
        if self.ending != Ending::Open || finished {
            return self.ending;
        }
        if failure::of_break(host).is_some() { Ending::Cut } else { Ending::Open }
    }

    /// What Envoy answered in its place, if it broke off while nothing of it had gone on.
    pub(super) fn replaced(&self, host: &impl Host) -> Option<(u16, Kind)> {
        self.withheld.as_ref().and_then(|_| failure::of_break(host))
    }

    pub(super) fn is_stream(&self) -> bool {
        matches!(self.reader, Reader::Stream(_))
    }

    /// Reads a chunk; returns what to pass on in its place if that differs.
    pub(super) fn read(&mut self, chunk: &[u8], end: bool, now: Timestamp) -> Option<Vec<u8>> {
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
            Reader::Json(meter, passing) => {
                meter.chunk(chunk);
                if let Some(passing) = passing {
                    passing.chunk(chunk);
                }
            }
            Reader::Opaque => {}
        }
        let is_over = matches!(&self.reader, Reader::Stream(relay) if relay.is_garbled());
        if (!end && !is_over) || self.ending != Ending::Open {
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
        let relay = match &mut self.reader {
            Reader::Stream(relay) => relay,
            Reader::Json(_, Some(passing)) if !passing.is_right() => {
                self.ending = Ending::Unusable;
                return Vec::new();
            }
            Reader::Json(..) | Reader::Opaque => {
                self.ending = Ending::Complete;
                return Vec::new();
            }
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
    /// How an answer is read, and whether it is held back at first.
    fn new(
        routed: &Routed,
        kind: &[u8],
        encoding: Option<&[u8]>,
        length: Option<usize>,
    ) -> (Self, Option<Withheld>) {
        let operation = routed.call.operation;
        if encoding.is_some_and(|coding| coding != b"identity") {
            return (Self::Opaque, None);
        }
        if operation == Operation::Other {
            let meter = if is_type(kind, b"application/json") {
                Some(Meter::new(operation))
            } else if is_type(kind, b"text/event-stream") {
                Some(Meter::of_events(operation))
            } else {
                None
            };
            return (meter.map_or(Self::Opaque, |meter| Self::Json(Box::new(meter), None)), None);
        }
        // What was asked for decides how an answer is read, whatever it claims to be.
        let relay = || Relay::new(operation, routed.asked_for_usage);
        if let Some(relay) = routed.stream.then(relay).flatten() {
            return (Self::Stream(Box::new(relay)), Some(Withheld::opening()));
        }
        let held = Withheld::document(length);
        let passing = held.is_none().then(|| Box::new(Passing::new(operation)));
        (Self::Json(Box::new(Meter::new(operation)), passing), held)
    }
}

impl Reader {
    /// The type of what was asked for, where an answer claims to be something else. If it is that,
    /// it is no answer.
    fn retyped(&self, routed: &Routed, kind: &[u8]) -> Option<SafeValue<'static>> {
        let lines = || LINES.iter().any(|lines| is_type(kind, lines));
        let is_ollamas = routed.call.dialect == Dialect::Ollama;
        match self {
            Self::Opaque => None,
            Self::Json(..) if routed.call.operation == Operation::Other => None,
            Self::Json(..) => (!is_type(kind, b"application/json")).then_some(JSON),
            Self::Stream(_) if is_ollamas => {
                (!lines() && !is_type(kind, b"application/json")).then_some(NDJSON)
            }
            Self::Stream(_) => (!is_type(kind, b"text/event-stream")).then_some(EVENTS),
        }
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

pub(super) fn is_type(header: &[u8], expected: &[u8]) -> bool {
    let kind = header.split(|byte| *byte == b';').next().unwrap_or_default();
    kind.trim_ascii().eq_ignore_ascii_case(expected)
}

const JSON: SafeValue<'_> = SafeValue::literal("application/json");
const NDJSON: SafeValue<'_> = SafeValue::literal("application/x-ndjson");
const EVENTS: SafeValue<'_> = SafeValue::literal("text/event-stream");

/// So much of an answer is read at once.
const PIECE: usize = 1 << 20;

const LINES: [&[u8]; 2] = [b"application/x-ndjson", b"application/stream+json"];

/// OpenAI's and most others', Anthropic's, AWS's and Azure's.
const PROVIDER_REQUEST_IDS: [&str; 4] =
    ["x-request-id", "request-id", "x-amzn-requestid", "apim-request-id"];
