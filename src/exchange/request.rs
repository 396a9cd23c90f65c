//! The request's headers, until its body is whole: who calls, and what the headers alone refuse.

use super::caching::Caching;
use super::{Call, Reading, Service, Spent, State, answer, query_keys};
use crate::closed;
use crate::config::Unmatched;
use crate::error::{Dialect, Error, Kind};
use crate::host::{Flow, Host, Map, Pairs, SafeValue, Status, Timestamp};
use crate::identity::{CREDENTIAL_HEADERS, RequestId, client_ip};
use crate::limit::Standings;
use crate::protocol::probe::Source;
use crate::protocol::{Endpoint, Operation, multipart, query};
use crate::routing::Allow;

/// The headers came.
pub(super) fn headers(
    service: &Service,
    end: bool,
    now: Timestamp,
    host: &impl Host,
) -> (State, Flow) {
    let headers = match host.headers(Map::RequestHeaders) {
        Ok(headers) => headers,
        Err(status) => return unreadable(status, host),
    };
    remove_where(&headers, |name| name.starts_with(b"x-llm-"), host);
    let [method, path, id, encoding, length] =
        headers.first([":method", ":path", "x-request-id", "content-encoding", "content-length"]);
    let endpoint = Endpoint::of(method.unwrap_or_default(), path.unwrap_or_default());
    // An Ollama knows better than a configuration of wildcards.
    let wild = || service.config.routing.models(&Allow::Everything).next().is_none();
    let endpoint = match endpoint {
        Endpoint::Tags if wild() => Endpoint::Unmatched,
        endpoint => endpoint,
    };
    let operation = match endpoint {
        Endpoint::Call(operation) => operation,
        Endpoint::Models | Endpoint::Model(_) | Endpoint::Tags => Operation::Models,
        Endpoint::Unmatched if service.config.unmatched == Unmatched::Pass => {
            return (State::Passing, Flow::Continue);
        }
        Endpoint::Unmatched => Operation::Other,
    };
    let instructs = |name: &[u8]| name.starts_with(b"x-envoy-") && ROUTER_HEADERS.contains(&name);
    remove_where(&headers, instructs, host);
    let given = RequestId::accept(id);
    let id = given.unwrap_or_else(|| RequestId::mint(now, host));
    if let (None, Some(id)) = (given, SafeValue::new(id.as_str().as_bytes())) {
        report(host.set_header(Map::RequestHeaders, "x-request-id", id), "x-request-id", host);
    }
    let mut call = Call {
        id,
        operation,
        dialect: dialect(operation, &headers),
        consumer: None,
        client_ip: None,
        started: now,
        spent: Spent::default(),
        standings: Standings::default(),
        caching: Caching::default(),
    };
    let body = Body { end, encoding, length };
    let lifted = query_keys::lift(call.dialect, &headers, host);
    let seen = lifted.as_ref().unwrap_or(&headers);
    match identify(&mut call, endpoint, &body, service, seen, host) {
        Err(refusal) => answer::refuse(call, None, &refusal, host),
        Ok(Next::Models) => answer::models(call, endpoint, service, host),
        Ok(Next::Pass) => {
            remove_credentials(service, seen, host);
            (State::Passing, Flow::Continue)
        }
        Ok(Next::Read) => {
            remove_credentials(service, seen, host);
            let path = seen.get(":path").unwrap_or_default();
            let source = Source::of(operation, path, seen.get("content-type"));
            let reading = Reading { call, source, headers: lifted.unwrap_or(headers) };
            (State::Reading(Box::new(reading)), Flow::Pause)
        }
    }
}

/// A part of the body came.
pub(super) fn more(
    reading: Box<Reading>,
    service: &Service,
    size: usize,
    host: &impl Host,
) -> (State, Flow) {
    if size > service.config.max_request_bytes {
        return answer::refuse(reading.call, None, &too_large(service), host);
    }
    (State::Reading(reading), Flow::Pause)
}

/// What the headers say of the body.
struct Body<'a> {
    /// There is none.
    end: bool,
    encoding: Option<&'a [u8]>,
    length: Option<&'a [u8]>,
}

enum Next {
    Read,
    Models,
    Pass,
}

/// Who calls, and whether the headers alone already refuse the call.
fn identify(
    call: &mut Call,
    endpoint: Endpoint<'_>,
    body: &Body<'_>,
    service: &Service,
    headers: &Pairs,
    host: &impl Host,
) -> Result<Next, Error> {
    let config = &service.config;
    call.consumer = config.auth.identify(headers)?;
    if service.by_client_ip {
        let forwarded = headers.iter().filter(|(name, _)| *name == b"x-forwarded-for");
        let source = host.property(&["source", "address"]).unwrap_or_default();
        call.client_ip = client_ip(forwarded.map(|(_, value)| value), &source, config.trusted_hops);
    }
    match endpoint {
        Endpoint::Call(_) => {}
        Endpoint::Models | Endpoint::Model(_) | Endpoint::Tags => return Ok(Next::Models),
        Endpoint::Unmatched => return Err(unknown_url(headers)),
    }
    if call.operation == Operation::GeminiStream && !asks_for_events(headers) {
        let message = "Streams are server-sent events here: ask for them with `?alt=sse`.";
        return Err(Error::new(Kind::InvalidRequest, message).param("alt"));
    }
    if body.end {
        return match call.operation {
            Operation::Other => Ok(Next::Pass),
            _ => Err(Error::new(
                Kind::InvalidRequest,
                "We could not parse the JSON body of your request: it is empty.",
            )
            .code("invalid_json")),
        };
    }
    if call.operation == Operation::Other && !names_a_model(headers) {
        return Ok(Next::Pass);
    }
    if body.encoding.is_some_and(|encoding| !encoding.eq_ignore_ascii_case(b"identity")) {
        let message = "Compressed requests are not supported: send the body as it is.";
        return Err(Error::new(Kind::InvalidRequest, message).code("unsupported_encoding"));
    }
    let length = body.length.and_then(|length| std::str::from_utf8(length).ok());
    let length = length.and_then(|length| length.parse::<usize>().ok());
    if length.is_some_and(|length| length > config.max_request_bytes) {
        return Err(too_large(service));
    }
    Ok(Next::Read)
}

/// A key that is for this gateway is for nobody behind it.
fn remove_credentials(service: &Service, headers: &Pairs, host: &impl Host) {
    if !service.config.auth.hides_credentials() {
        return;
    }
    for name in CREDENTIAL_HEADERS.iter().filter(|name| headers.get(name).is_some()) {
        report(host.remove_header(Map::RequestHeaders, name.as_bytes()), "credentials", host);
    }
}

/// Whether a stream is to come as server-sent events; Gemini's other form is one long array.
fn asks_for_events(headers: &Pairs) -> bool {
    let path = headers.get(":path").unwrap_or_default();
    ["alt", "$alt"].iter().any(|name| query::value(path, name).as_deref() == Some(b"sse"))
}

/// Whether a body of this type could name a model at all.
fn names_a_model(headers: &Pairs) -> bool {
    let kind = headers.get("content-type").unwrap_or_default();
    let kind = kind.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    let json = kind.eq_ignore_ascii_case(b"application/json")
        || kind.to_ascii_lowercase().ends_with(b"+json");
    json || headers.get("content-type").is_some_and(|kind| multipart::boundary(kind).is_some())
}

/// Removes what only the gateway may say, whoever claims it: its own headers on every request, and
/// on calls the instructions to Envoy's router.
fn remove_where(headers: &Pairs, claimed: impl Fn(&[u8]) -> bool, host: &impl Host) {
    for (name, _) in headers.iter().filter(|(name, _)| claimed(name)) {
        report(host.remove_header(Map::RequestHeaders, name), "claims", host);
    }
}

/// Whose errors the caller understands. Where the path does not tell, a header does.
fn dialect(operation: Operation, headers: &Pairs) -> Dialect {
    let anthropic = || headers.get("anthropic-version").is_some();
    let gemini = || {
        let path = headers.get(":path").unwrap_or_default();
        path.starts_with(b"/v1beta/") || headers.get("x-goog-api-key").is_some()
    };
    match operation {
        Operation::Models if headers.get(":path").unwrap_or_default().starts_with(b"/api/") => {
            Dialect::Ollama
        }
        Operation::Other | Operation::Models if anthropic() => Dialect::Anthropic,
        Operation::Other | Operation::Models if gemini() => Dialect::Gemini,
        operation => operation.dialect(),
    }
}

pub(super) fn too_large(service: &Service) -> Error {
    let limit = service.config.max_request_bytes;
    let message = format!("The request is larger than this gateway takes: {limit} bytes.");
    Error::new(Kind::RequestTooLarge, message)
}

fn unknown_url(headers: &Pairs) -> Error {
    let method = headers.text(":method").unwrap_or_default();
    let path = headers.text(":path").unwrap_or_default();
    let path: String = path.chars().take_while(|c| *c != '?').take(MAX_SHOWN_PATH).collect();
    Error::new(Kind::UnknownUrl, format!("Unknown request URL: {method} {path}."))
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

const MAX_SHOWN_PATH: usize = 128;
