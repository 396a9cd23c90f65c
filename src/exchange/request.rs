//! The request's headers, until its body is whole: who calls, and what the headers alone refuse.

use super::caching::Caching;
use super::{Call, Reading, Service, Spent, State, answer, ask, gate, respell};
use crate::closed;
use crate::config::Unmatched;
use crate::error::{Error, Kind};
use crate::held::overloaded;
use crate::host::{Buffer, Flow, Host, Map, Pairs, SafeValue, Status, Timestamp};
use crate::identity::RequestId;
use crate::limit::Standings;
use crate::protocol::probe::{Shape, Source};
use crate::protocol::{Endpoint, Operation, Path, query};

/// The headers came.
pub(super) fn headers(
    service: &Service,
    end: bool,
    now: Timestamp,
    host: &impl Host,
) -> (State, Flow) {
    let came = match host.headers(Map::RequestHeaders) {
        Ok(headers) => headers,
        Err(status) => return unreadable(status, host),
    };
    remove_where(&came, |name| name.starts_with(b"x-llm-"), host);
    let respelled = respell::respell(&came, service, host);
    let headers = respelled.as_ref().unwrap_or(&came);
    let [method, path, id] = headers.first([":method", ":path", "x-request-id"]);
    let path = Path::read(path.unwrap_or_default());
    let endpoint = Endpoint::of(method.unwrap_or_default(), &path);
    if endpoint == Endpoint::Health {
        return answer::health(host);
    }
    let operation = match endpoint {
        Endpoint::Call(operation) => operation,
        Endpoint::Models | Endpoint::Model(_) | Endpoint::Tags | Endpoint::Health => {
            Operation::Models
        }
        Endpoint::Unmatched => path.methods().map_or(Operation::Other, |(operation, _)| operation),
    };
    let given = RequestId::accept(id);
    let mut call = Call {
        id: given.unwrap_or_else(|| RequestId::mint(now, host)),
        operation,
        dialect: gate::dialect(operation, &path, headers),
        consumer: None,
        client_ip: None,
        started: now,
        spent: Spent::default(),
        standings: Standings::default(),
        caching: Caching::default(),
    };
    if let Err(refusal) = gate::identify(&mut call, service, headers, host) {
        return answer::refuse(call, None, &refusal, host);
    }
    gate::remove_credentials(service, headers, host);
    match gate::next(&call, endpoint, &path, service, headers) {
        gate::Next::Pass => return gate::pass(call, service, now, host),
        gate::Next::Refuse(status, error) => {
            return answer::refuse_as(call, status, None, &error, host);
        }
        gate::Next::Answer => {}
    }
    let instructs = |name: &[u8]| name.starts_with(b"x-envoy-") && ROUTER_HEADERS.contains(&name);
    remove_where(headers, |name| instructs(name) || REDIRECTING.contains(&name), host);
    if let (None, Some(id)) = (given, SafeValue::new(call.id.as_str().as_bytes())) {
        report(host.set_header(Map::RequestHeaders, "x-request-id", id), "x-request-id", host);
    }
    if operation == Operation::Models {
        return answer::models(call, endpoint, service, host);
    }
    let source = Source::of(&path, headers.all("content-type"));
    let peek = operation == Operation::Other
        && (source.is_untold() || (source.is_form() && path.is_without_model()));
    match read(&call, &source, peek, end, service, headers) {
        Err(refusal) => answer::refuse(call, None, &refusal, host),
        Ok(false) => gate::empty(call, &path, service, now, host),
        Ok(true) if service.ledger.is_full() => answer::refuse(call, None, &overloaded(), host),
        Ok(true) => {
            drop(path);
            let headers = respelled.unwrap_or(came);
            let reading = Reading { call, source, headers, peek, bytes: 0 };
            (State::Reading(Box::new(reading)), Flow::Pause)
        }
    }
}

/// Whether the body is to be read, as far as the headers tell.
fn read(
    call: &Call,
    source: &Source,
    peek: bool,
    end: bool,
    service: &Service,
    headers: &Pairs,
) -> Result<bool, Error> {
    if call.operation == Operation::GeminiStream && !asks_for_events(headers) {
        let message = "Streams are server-sent events here: ask for them with `?alt=sse`.";
        return Err(Error::new(Kind::InvalidRequest, message).param("alt"));
    }
    if end {
        if call.operation == Operation::Other && !source.is_path() {
            return Ok(false);
        }
        let message = "We could not parse the JSON body of your request: it is empty.";
        return Err(Error::new(Kind::InvalidRequest, message).code("invalid_json"));
    }
    // It could hold any model.
    if headers.all("content-encoding").any(is_compressed) {
        let message = "Compressed requests are not read: send the body as it is, or put Envoy's \
                       decompressor filter in front of the gateway.";
        return Err(Error::new(Kind::UnsupportedMediaType, message).code("unsupported_encoding"));
    }
    if source.is_form() && peek && service.config.unmatched == Unmatched::Reject {
        return Ok(false);
    }
    if !peek && is_too_long(headers, service) {
        return Err(too_large(service));
    }
    Ok(true)
}

/// A part of the body came.
pub(super) fn more(
    mut reading: Box<Reading>,
    service: &Service,
    size: usize,
    host: &impl Host,
) -> (State, Flow) {
    if reading.peek && size > 0 {
        let head = host.body(Buffer::RequestBody, 0, MAX_PEEK).unwrap_or_default();
        match Shape::of(&head) {
            Shape::Other => {
                let Reading { call, headers, .. } = *reading;
                let path = Path::read(headers.get(":path").unwrap_or_default());
                return gate::unread(call, &path, service, host.now(), host);
            }
            // It may still begin.
            Shape::Empty if size < MAX_PEEK => {}
            Shape::Empty | Shape::Object | Shape::Wide => reading.peek = false,
        }
        if is_too_long(&reading.headers, service) {
            return answer::refuse(reading.call, None, &too_large(service), host);
        }
    }
    if size > service.config.max_request_bytes {
        return answer::refuse(reading.call, None, &too_large(service), host);
    }
    if !has_room(&reading, service, size) {
        return answer::refuse(reading.call, None, &overloaded(), host);
    }
    reading.bytes = size;
    (State::Reading(reading), Flow::Pause)
}

/// The body is whole. What it takes to be read is known before a byte of it is.
pub(super) fn whole(
    mut reading: Box<Reading>,
    service: &Service,
    size: usize,
    now: Timestamp,
    host: &impl Host,
) -> (State, Flow) {
    if !has_room(&reading, service, size) || !service.ledger.can_work_on(size) {
        return answer::refuse(reading.call, None, &overloaded(), host);
    }
    reading.bytes = size;
    ask::body(*reading, service, now, host)
}

/// Whether so much of a body may be kept.
fn has_room(reading: &Reading, service: &Service, size: usize) -> bool {
    service.ledger.has_room(size.saturating_sub(reading.bytes))
}

fn is_compressed(encoding: &[u8]) -> bool {
    let mut codings = encoding.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    codings.any(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity"))
}

fn is_too_long(headers: &Pairs, service: &Service) -> bool {
    let length = headers.text("content-length").and_then(|length| length.parse::<usize>().ok());
    length.is_some_and(|length| length > service.config.max_request_bytes)
}

/// Whether a stream is to come as server-sent events; Gemini's other form is one long array.
fn asks_for_events(headers: &Pairs) -> bool {
    let path = headers.get(":path").unwrap_or_default();
    ["alt", "$alt"].iter().any(|name| query::value(path, name).as_deref() == Some(b"sse"))
}

/// Removes what only the gateway may say, whoever claims it: its own headers on every request, and
/// on calls the instructions to Envoy's router.
fn remove_where(headers: &Pairs, claimed: impl Fn(&[u8]) -> bool, host: &impl Host) {
    for (name, _) in headers.iter().filter(|(name, _)| claimed(name)) {
        report(host.remove_header(Map::RequestHeaders, name), "claims", host);
    }
}

pub(super) fn too_large(service: &Service) -> Error {
    let limit = service.config.max_request_bytes;
    let message = format!("The request is larger than this gateway takes: {limit} bytes.");
    Error::new(Kind::RequestTooLarge, message)
}

/// Without its headers a request cannot be told apart, so it cannot pass either.
fn unreadable(status: Status, host: &impl Host) -> (State, Flow) {
    report(Err(status), "request headers", host);
    (State::Closed, closed::request(host))
}

pub(super) fn report(outcome: Result<(), Status>, what: &str, host: &impl Host) {
    if let Err(status) = outcome {
        host.log(log::Level::Error, &format!("{what}: {status}"));
    }
}

/// What Envoy's router reads as instructions.
const ROUTER_HEADERS: [&[u8]; 11] = [
    b"x-envoy-hedge-on-per-try-timeout",
    b"x-envoy-max-retries",
    b"x-envoy-retriable-header-names",
    b"x-envoy-retriable-status-codes",
    b"x-envoy-retry-grpc-on",
    b"x-envoy-retry-on",
    b"x-envoy-upstream-alt-stat-name",
    b"x-envoy-upstream-rq-per-try-timeout-ms",
    b"x-envoy-upstream-rq-timeout-alt-response",
    b"x-envoy-upstream-rq-timeout-ms",
    b"x-envoy-upstream-stream-duration-ms",
];

/// What some servers read as another method, or another path, than the request's own.
const REDIRECTING: [&[u8]; 6] = [
    b"x-http-method",
    b"x-http-method-override",
    b"x-method-override",
    b"x-original-method",
    b"x-original-url",
    b"x-rewrite-url",
];

/// How much of a body is looked at to see what it is.
const MAX_PEEK: usize = 4096;
