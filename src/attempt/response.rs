//! The way back: the provider's answer in the client's protocol.

use super::{State, Waiting, tell, write};
use crate::error::{Error, Kind};
use crate::handoff::{self, Refusal};
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
    /// Bytes of the provider's body that were read while nothing was let go.
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

/// The next bytes of the answer came, or its end.
pub(super) fn body(mut answering: Box<Answering>, end: bool, host: &impl Host) -> (State, Flow) {
    let bytes = host.body(Buffer::ResponseBody, answering.seen, usize::MAX).unwrap_or_default();
    let mut out = Vec::new();
    if let Some(answer) = &mut answering.answer {
        if answer.tells_time() {
            answer.clock().set(host.now());
        }
        answer.chunk(&bytes, &mut out);
    }
    match answering.held.take() {
        None => answering.pass(out, end, host),
        Some(Held::UntilEnd) if end => answering.document(host),
        Some(Held::UntilEnd) => {
            answering.seen = answering.seen.saturating_add(bytes.len());
            answering.held = Some(Held::UntilEnd);
            (State::Answering(answering), Flow::Pause)
        }
        Some(Held::UntilContent { mut relay, out: mut kept }) => {
            let translated = answering.answer.is_some();
            relay.chunk(if translated { &out } else { &bytes });
            kept.append(&mut out);
            answering.seen = answering.seen.saturating_add(bytes.len());
            match relay.phase() {
                Phase::Opening if !end => {
                    answering.held = Some(Held::UntilContent { relay, out: kept });
                    (State::Answering(answering), Flow::Pause)
                }
                Phase::Opening | Phase::Failed { after_content: false } => {
                    answering.waiting.fail(host)
                }
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
        if !end {
            self.answer = Some(answer);
        } else if let Err(error) = answer.end(&mut out) {
            // Streams tell their errors in themselves.
            host.log(log::Level::Error, error.kind.row().label);
        }
        tell(host.splice_body(Buffer::ResponseBody, 0, usize::MAX, &out), "answer body", host);
        let state = if end { State::Done } else { State::Answering(self) };
        (state, Flow::Continue)
    }

    /// Writes a whole answer, or the error that it is.
    fn document(self, host: &impl Host) -> (State, Flow) {
        let Some(answer) = self.answer else {
            self.waiting.doubt(host);
            return (State::Done, Flow::Continue);
        };
        let mut out = Vec::new();
        match answer.end(&mut out) {
            Ok(()) => tell(replace(&out, host), "answer body", host),
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
        (State::Done, Flow::Continue)
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
    fn doubt(&self, host: &impl Host) {
        let body = host.body(Buffer::ResponseBody, 0, MAX_ERROR).unwrap_or_default();
        let error = Pair::OpenAiToGemini.error(400, &body);
        if error.kind == Kind::Authentication {
            self.write_error(error.status(), &error, host);
            self.note(error.status(), host);
        }
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
