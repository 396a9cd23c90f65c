//! The way back: the provider's answer in the client's protocol.

use super::{Service, State, Waiting, tell, write};
use crate::error::{Error, Kind};
use crate::handoff::{self, Refusal};
use crate::held;
use crate::host::{Buffer, Decimal, Flow, Host, Map, Status};
use crate::protocol::stream::{Phase, Relay};
use crate::translate::{Answer, MAX_ERROR, Pair};

/// An answer on its way back.
pub struct Answering {
    waiting: Waiting,
    /// `None`: it is in the client's protocol already.
    answer: Option<Box<Answer>>,
    /// The provider's.
    status: u16,
    held: Option<Held>,
    /// Bytes of the provider's body that came while nothing was let go: Envoy keeps them.
    seen: usize,
}

/// What is kept back, and until when.
enum Held {
    /// A stream, until it says something: if it fails before that, the next attempt can take over.
    UntilContent { relay: Box<Relay>, out: Vec<u8> },
    /// A document, whose status is known at its end.
    UntilEnd,
}

/// The answer's headers came.
pub(super) fn headers(
    mut waiting: Waiting,
    end: bool,
    forwarded: &[Box<str>],
    host: &impl Host,
) -> (State, Flow) {
    let headers = host.headers(Map::ResponseHeaders).unwrap_or_default();
    let cleaned = handoff::clean_answer(&headers, || forwarded.join("\n").into_bytes(), host);
    tell(cleaned, "answer headers", host);
    if !waiting.is_read() {
        return (State::Done, Flow::Continue);
    }
    let status = headers.text(":status").and_then(|status| status.parse().ok()).unwrap_or(0);
    let kind = headers.get("content-type").unwrap_or_default();
    warn(&waiting, host);
    let answer = waiting.call.take().map(|call| Box::new(call.answer(status, kind)));
    if end || answer.is_none() {
        waiting.note(status, host);
    }
    let is_stream = match &answer {
        Some(answer) => answer.is_stream(),
        None => status == 200 && STREAMS.iter().any(|stream| kind.starts_with(stream)),
    };
    if end {
        // A success that says nothing is none, and Envoy shall not take it for one.
        if (answer.is_some() || is_stream) && (200..300).contains(&status) {
            let status = Decimal::new(Kind::Provider.row().status);
            let told = host.set_header(Map::ResponseHeaders, ":status", status.value());
            tell(told, "answer headers", host);
        }
        return (State::Done, Flow::Continue);
    }
    if let Some(answer) = answer.as_ref().filter(|_| is_stream) {
        let kind = answer.content_type().as_bytes();
        let told = write(Map::ResponseHeaders, "content-type", Some(kind), host)
            .and_then(|()| host.remove_header(Map::ResponseHeaders, b"content-length"));
        tell(told, "answer headers", host);
    }
    let relay = || Relay::new(waiting.operation, true).map(Box::new);
    let held = match is_stream {
        true if waiting.can_fail_over() => {
            relay().map(|relay| Held::UntilContent { relay, out: Vec::new() })
        }
        true => None,
        false => {
            let doubted = waiting.doubts_refusals && status == 400;
            (answer.is_some() || doubted).then_some(Held::UntilEnd)
        }
    };
    if answer.is_none() && held.is_none() {
        return (State::Done, Flow::Continue);
    }
    let flow = if held.is_some() { Flow::Pause } else { Flow::Continue };
    (State::Answering(Box::new(Answering { waiting, answer, status, held, seen: 0 })), flow)
}

/// The next bytes of the answer came, or its end. `size`: all that Envoy keeps while nothing was let
/// go, else this chunk; `None` where trailers end it.
pub(super) fn body(
    mut answering: Box<Answering>,
    service: &Service,
    size: Option<usize>,
    end: bool,
    host: &impl Host,
) -> (State, Flow) {
    if matches!(answering.held, Some(Held::UntilEnd)) {
        return answering.gather(service, size, end, host);
    }
    let before = answering.held();
    let bytes = host.body(Buffer::ResponseBody, answering.seen, usize::MAX).unwrap_or_default();
    let mut out = Vec::new();
    if let Some(answer) = &mut answering.answer {
        if answer.tells_time() {
            answer.clock().set(host.now());
        }
        answer.chunk(&bytes, &mut out);
        let more = answer.kept();
        if more > held::SMALL && !service.ledger.has_room(more.saturating_sub(before.here)) {
            answer.fail(&held::overloaded(), &mut out);
        }
    }
    match answering.held.take() {
        None | Some(Held::UntilEnd) => answering.pass(out, end, host),
        Some(Held::UntilContent { mut relay, out: mut kept }) => {
            let translated = answering.answer.is_some();
            relay.chunk(if translated { &out } else { &bytes });
            kept.append(&mut out);
            answering.seen = answering.seen.saturating_add(bytes.len());
            let has_room = service.ledger.has_room(
                bytes
                    .len()
                    .saturating_add(relay.kept())
                    .saturating_add(kept.capacity())
                    .saturating_sub(before.here),
            );
            match relay.phase() {
                // Without room to hold it back it passes, and no other attempt can take over.
                Phase::Opening if !end && has_room => {
                    answering.held = Some(Held::UntilContent { relay, out: kept });
                    (State::Answering(answering), Flow::Pause)
                }
                Phase::Failed { after_content: false } => answering.waiting.fail(host),
                Phase::Opening if end => answering.waiting.fail(host),
                _ => {
                    answering.seen = 0;
                    answering.pass(kept, end, host)
                }
            }
        }
    }
}

/// Drops a piece of an answer that was replaced.
pub(super) fn mute(host: &impl Host) {
    tell(host.splice_body(Buffer::ResponseBody, 0, usize::MAX, b""), "answer body", host);
}

impl Answering {
    /// Lets a part of a stream go.
    fn pass(mut self: Box<Self>, mut out: Vec<u8>, end: bool, host: &impl Host) -> (State, Flow) {
        let Some(answer) = self.answer.take() else { return (State::Done, Flow::Continue) };
        if end {
            answer.end(&mut out);
        } else {
            self.answer = Some(answer);
        }
        tell(host.splice_body(Buffer::ResponseBody, 0, usize::MAX, &out), "answer body", host);
        let state = if end { State::Done } else { State::Answering(self) };
        (state, Flow::Continue)
    }

    /// What is kept of it, here or by the host.
    pub(super) fn held(&self) -> held::Held {
        let answer = self.answer.as_ref().map_or(0, |answer| answer.kept());
        let held = match &self.held {
            Some(Held::UntilContent { relay, out }) => relay.kept().saturating_add(out.capacity()),
            Some(Held::UntilEnd) | None => 0,
        };
        held::Held { here: answer.saturating_add(held), there: self.seen }
    }

    /// A part of a document came, or all of it. Envoy keeps it: a copy is made when it is whole.
    fn gather(
        mut self: Box<Self>,
        service: &Service,
        size: Option<usize>,
        end: bool,
        host: &impl Host,
    ) -> (State, Flow) {
        let size = size.unwrap_or(self.seen);
        let ledger = &service.ledger;
        let limit = self.answer.as_ref().map_or(MAX_ERROR, |answer| answer.limit());
        // Of a longer one is read what shows that it is.
        let whole = end || size > limit;
        let has_room = ledger.has_room(size.saturating_sub(self.seen));
        if !has_room || (whole && !ledger.can_work_on(size.min(limit))) {
            // An answer of this role's own is final: the next attempt would only take more.
            let (_, flow) = self.waiting.refuse(&held::overloaded(), host);
            return (State::Muted, flow);
        }
        self.seen = size;
        if !whole {
            return (State::Answering(self), Flow::Pause);
        }
        let replaced = self.document(limit, host);
        (if replaced && !end { State::Muted } else { State::Done }, Flow::Continue)
    }

    /// Writes a whole answer, or the error that it is. Whether it took the place of what came.
    fn document(self, limit: usize, host: &impl Host) -> bool {
        let Some(answer) = self.answer else { return self.waiting.doubt(host) };
        let enough = limit.saturating_add(1);
        let body = host.body(Buffer::ResponseBody, 0, enough).unwrap_or_default();
        match answer.whole(&body) {
            Ok(out) => tell(replace(&out, host), "answer body", host),
            Err(error) => {
                let status = match self.status {
                    // No caller's quota is used up where a provider wants to be paid.
                    PAYMENT_REQUIRED => PAYMENT_REQUIRED,
                    _ => error.status(),
                };
                self.waiting.write_error(status, &error, host);
                self.waiting.note(status, host);
            }
        }
        true
    }
}

impl Waiting {
    /// A stream failed before it said anything: it becomes an answer that Envoy retries.
    fn fail(&self, host: &impl Host) -> (State, Flow) {
        let message = "The provider failed before it answered.";
        let error = Error::new(Kind::ServiceUnavailable, message);
        self.write_error(error.status(), &error, host);
        (State::Muted, Flow::Continue)
    }

    /// Tells the gateway role of a refused credential, if another attempt may hide it.
    fn note(&self, status: u16, host: &impl Host) {
        if self.can_fail_over() && handoff::refuses_credential(status) {
            let refusal = Refusal { left: self.left, is_providers: self.is_ours };
            tell(refusal.note(host), "refusal", host);
        }
    }

    /// Google says of a wrong key that the request is wrong. It is the key, and another provider
    /// has another.
    fn doubt(&self, host: &impl Host) -> bool {
        let body = host.body(Buffer::ResponseBody, 0, MAX_ERROR).unwrap_or_default();
        let error = Pair::OpenAiToGemini.error(400, &body);
        let is_the_key = error.kind == Kind::Authentication;
        if is_the_key {
            self.write_error(error.status(), &error, host);
            self.note(error.status(), host);
        }
        is_the_key
    }

    fn write_error(&self, status: u16, error: &Error, host: &impl Host) {
        let status = Decimal::new(status);
        let written = host
            .set_header(Map::ResponseHeaders, ":status", status.value())
            .and_then(|()| replace(&error.body(self.dialect(), &self.request_id), host));
        tell(written, "error", host);
    }
}

fn replace(body: &[u8], host: &impl Host) -> Result<(), Status> {
    host.splice_body(Buffer::ResponseBody, 0, usize::MAX, body)?;
    write(Map::ResponseHeaders, "content-type", Some(b"application/json"), host)?;
    host.set_header(Map::ResponseHeaders, "content-length", Decimal::new(body.len()).value())
}

/// Tells the caller what its request lost on the way (RFC 9111's miscellaneous persistent warning).
fn warn(waiting: &Waiting, host: &impl Host) {
    if waiting.warnings.is_empty() {
        return;
    }
    let text =
        format!("299 llm-gateway \"not sent to the provider: {}\"", waiting.warnings.join(", "));
    tell(write(Map::ResponseHeaders, "warning", Some(text.as_bytes()), host), "warning", host);
}

const PAYMENT_REQUIRED: u16 = 402;
const STREAMS: [&[u8]; 3] =
    [b"text/event-stream", b"application/x-ndjson", b"application/stream+json"];
