//! From the request's headers to a provider: who calls, what is asked, where it goes.

use super::limits::Ask;
use super::{Call, Hop, Reading, Routed, Service, Spent, State, answer, failure, limits, settle};
use crate::config::Unmatched;
use crate::error::{Dialect, Error, Kind};
use crate::handoff::{self, CLUSTER_HEADER, Step};
use crate::host::{Buffer, Flow, Host, Map, Pairs, SafeValue, Status, Timestamp};
use crate::identity::{CREDENTIAL_HEADERS, RequestId, client_ip};
use crate::limit::{Reservation, Standings};
use crate::protocol::edit::Edits;
use crate::protocol::probe::{self, Probe};
use crate::protocol::usage::estimate;
use crate::protocol::{Endpoint, Operation, multipart};
use crate::routing::{Attempts, Capabilities, Chain, Entry};

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
    remove_claims(&headers, host);
    let endpoint = Endpoint::of(
        headers.get(":method").unwrap_or_default(),
        headers.get(":path").unwrap_or_default(),
    );
    let operation = match endpoint {
        Endpoint::Call(operation) => operation,
        Endpoint::Models | Endpoint::Model(_) => Operation::Models,
        Endpoint::Unmatched if service.config.unmatched == Unmatched::Pass => {
            return (State::Passing, Flow::Continue);
        }
        Endpoint::Unmatched => Operation::Other,
    };
    let given = RequestId::accept(headers.get("x-request-id"));
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
    };
    match identify(&mut call, endpoint, end, service, &headers, host) {
        Err(refusal) => answer::refuse(call, None, &refusal, host),
        Ok(Next::Models) => answer::models(call, endpoint, service, host),
        Ok(Next::Pass) => {
            remove_credentials(service, &headers, host);
            (State::Passing, Flow::Continue)
        }
        Ok(Next::Read) => {
            remove_credentials(service, &headers, host);
            let form = headers.get("content-type").filter(|_| operation == Operation::Other);
            let form = form.and_then(multipart::boundary).map(Into::into);
            (State::Reading(Box::new(Reading { call, form })), Flow::Pause)
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

/// The body is whole.
pub(super) fn body(
    reading: Reading,
    service: &Service,
    now: Timestamp,
    host: &impl Host,
) -> (State, Flow) {
    let Reading { mut call, form } = reading;
    let body = match host.body(Buffer::RequestBody, 0, usize::MAX) {
        Ok(body) => body,
        Err(status) => {
            let lost = Error::new(Kind::ServiceUnavailable, "The request could not be read.");
            report(Err(status), "request body", host);
            return answer::refuse(call, None, &lost, host);
        }
    };
    if body.len() > service.config.max_request_bytes {
        return answer::refuse(call, None, &too_large(service), host);
    }
    let probe = match (&form, call.operation) {
        (Some(boundary), _) => Probe::read_form(&body, boundary),
        (None, operation) => Probe::read(&body, operation),
    };
    let probe = match probe {
        Ok(probe) => probe,
        Err(mistake) => return answer::refuse(call, None, &mistake, host),
    };
    let Some(asked) = model(&probe, call.operation, service) else {
        if call.operation == Operation::Other {
            return (State::Passing, Flow::Continue);
        }
        return answer::refuse(call, None, &probe::missing("model"), host);
    };
    let estimated_input = estimate(text_bytes(body.len(), &probe));
    let admitted = route(&call, &probe, asked, service, host).and_then(|chain| {
        let estimate = limits::estimate(&call, &probe, estimated_input, service);
        let ask = Ask { model: asked, first: chain.first(), estimate };
        let reservation = admit(&mut call, &ask, service, now, host)?;
        Ok((chain, reservation))
    });
    let (chain, reservation) = match admitted {
        Ok(admitted) => admitted,
        Err(refusal) => return answer::refuse(call, Some(asked.into()), &refusal, host),
    };
    let targets = service.config.routing.targets();
    let hop = |entry: Entry<'_>| {
        let target = targets.get(entry.target.index)?.clone();
        Some(Hop { target, model: entry.model.into() })
    };
    let routed = Routed {
        asked: asked.into(),
        hops: chain.iter().filter_map(hop).collect(),
        stream: probe.stream,
        asked_for_usage: probe.asked_for_usage(),
        estimated_input,
        reservation,
        call,
    };
    send(routed, &probe, &body, &chain, service, host)
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
    end: bool,
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
        Endpoint::Models | Endpoint::Model(_) => return Ok(Next::Models),
        Endpoint::Unmatched => return Err(unknown_url(headers)),
    }
    if end {
        return match call.operation {
            Operation::Other => Ok(Next::Pass),
            _ => Err(Error::new(
                Kind::InvalidRequest,
                "We could not parse the JSON body of your request: it is empty.",
            )
            .code("invalid_json")),
        };
    }
    let encoding = headers.get("content-encoding").unwrap_or(b"identity");
    if !encoding.eq_ignore_ascii_case(b"identity") {
        let message = "Compressed requests are not supported: send the body as it is.";
        return Err(Error::new(Kind::InvalidRequest, message).code("unsupported_encoding"));
    }
    let length = headers.text("content-length").and_then(|length| length.parse::<usize>().ok());
    if length.is_some_and(|length| length > config.max_request_bytes) {
        return Err(too_large(service));
    }
    if call.operation == Operation::Other && !names_a_model(headers) {
        return Ok(Next::Pass);
    }
    // A compressed answer could not be read on its way.
    if headers.get("accept-encoding").is_some() {
        let name = b"accept-encoding";
        report(host.remove_header(Map::RequestHeaders, name), "accept-encoding", host);
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

/// Whether a body of this type could name a model at all.
fn names_a_model(headers: &Pairs) -> bool {
    let kind = headers.get("content-type").unwrap_or_default();
    let kind = kind.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    let json = kind.eq_ignore_ascii_case(b"application/json")
        || kind.to_ascii_lowercase().ends_with(b"+json");
    json || headers.get("content-type").is_some_and(|kind| multipart::boundary(kind).is_some())
}

fn model<'a>(probe: &'a Probe<'_>, operation: Operation, service: &'a Service) -> Option<&'a str> {
    let default = || {
        let routing = &service.config.routing;
        routing.default_model().filter(|_| operation != Operation::Other)
    };
    probe.model.as_ref().map(|model| &*model.name).or_else(default)
}

fn route<'a>(
    call: &Call,
    probe: &Probe<'_>,
    asked: &'a str,
    service: &'a Service,
    host: &impl Host,
) -> Result<Chain<'a>, Error> {
    let config = &service.config;
    if !config.auth.allow(call.consumer).allows(asked) {
        let message = "This key is not allowed to use the model that was asked for.";
        return Err(Error::new(Kind::PermissionDenied, message).param("model"));
    }
    let mut need = Capabilities::of(call.operation);
    for (needed, capability) in [
        (probe.needs.vision, Capabilities::VISION),
        (probe.needs.tools, Capabilities::TOOLS),
        (probe.needs.reasoning, Capabilities::REASONING),
    ] {
        if needed {
            need = need.and(capability);
        }
    }
    let mut pick = || {
        let mut random = [0; 8];
        match host.fill(&mut random) {
            Ok(()) => u64::from_le_bytes(random),
            Err(_) => host.now().micros(),
        }
    };
    Ok(config.routing.resolve(asked, need, &mut pick)?)
}

/// The limits have their say: the request counts, and then what it may spend.
fn admit(
    call: &mut Call,
    ask: &Ask<'_>,
    service: &Service,
    now: Timestamp,
    host: &impl Host,
) -> Result<Option<Reservation>, Error> {
    match limits::admit(call, ask, service, now, host)? {
        Some(ticket) => limits::reserve(call, ticket, ask, service, now, host),
        None => Ok(None),
    }
}

/// Writes what the request becomes, and lets it go.
fn send(
    routed: Routed,
    probe: &Probe<'_>,
    body: &[u8],
    chain: &Chain<'_>,
    service: &Service,
    host: &impl Host,
) -> (State, Flow) {
    let first = chain.first();
    let mut edits = Edits::default();
    edits.set_model(probe, first.model);
    if probe.stream && matches!(routed.call.operation, Operation::Chat | Operation::Completion) {
        edits.ask_for_usage(probe);
    }
    let written =
        write_body(body, &edits, host).and_then(|()| announce(chain, first.attempts, host));
    if let Err(status) = written {
        report(Err(status), "request", host);
        return failure::lost(routed, host);
    }
    settle::publish_request(&routed, service, host);
    settle::log_request(&routed, service, body.len(), host);
    (State::Waiting(Box::new(routed)), Flow::Continue)
}

fn write_body(body: &[u8], edits: &Edits<'_>, host: &impl Host) -> Result<(), Status> {
    if edits.is_empty() {
        return Ok(());
    }
    let edited = edits.apply(body);
    host.splice_body(Buffer::RequestBody, 0, usize::MAX, &edited)?;
    if edited.len() == body.len() {
        return Ok(());
    }
    set(host, "content-length", edited.len().to_string().as_bytes())
}

/// Tells Envoy, and the provider role, where the request goes.
fn announce(chain: &Chain<'_>, attempts: &Attempts, host: &impl Host) -> Result<(), Status> {
    handoff::announce(
        host,
        chain.iter().map(|entry| Step {
            cluster: &entry.target.provider.cluster,
            provider: &entry.target.provider.name,
            model: entry.model,
        }),
    )?;
    // Setting a header also makes Envoy choose the route anew, so the filter state comes before it.
    set(host, CLUSTER_HEADER, chain.first().target.provider.cluster.as_bytes())?;
    let retries = chain.len().saturating_sub(1).to_string();
    set(host, "x-envoy-max-retries", retries.as_bytes())?;
    if let Some(timeout) = attempts.per_try_timeout {
        let millis = timeout.as_millis().to_string();
        set(host, "x-envoy-upstream-rq-per-try-timeout-ms", millis.as_bytes())?;
    }
    if let Some(retry_on) = &attempts.retry_on {
        set(host, "x-envoy-retry-on", retry_on.conditions.as_bytes())?;
        if !retry_on.status_codes.is_empty() {
            set(host, "x-envoy-retriable-status-codes", retry_on.status_codes.as_bytes())?;
        }
    }
    Ok(())
}

/// What only the gateway may say, whoever claims it: its own headers, and Envoy's retry rules.
fn remove_claims(headers: &Pairs, host: &impl Host) {
    for (name, _) in headers.iter() {
        let ours = name.starts_with(b"x-llm-");
        if ours || name.starts_with(b"x-envoy-") && ROUTER_HEADERS.contains(&name) {
            report(host.remove_header(Map::RequestHeaders, name), "claims", host);
        }
    }
}

fn set(host: &impl Host, name: &str, value: &[u8]) -> Result<(), Status> {
    let value = SafeValue::new(value).ok_or(Status::BadArgument)?;
    host.set_header(Map::RequestHeaders, name, value)
}

/// Whose errors the caller understands. Where the path does not tell, a header does.
fn dialect(operation: Operation, headers: &Pairs) -> Dialect {
    let anthropic = || headers.get("anthropic-version").is_some();
    match operation {
        Operation::Other | Operation::Models if anthropic() => Dialect::Anthropic,
        operation => operation.dialect(),
    }
}

/// The bytes of a body that an estimate counts.
fn text_bytes(length: usize, probe: &Probe<'_>) -> u64 {
    u64::try_from(length.saturating_sub(probe.media.bytes)).unwrap_or(u64::MAX)
}

fn too_large(service: &Service) -> Error {
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
    report(host.reply(503, "llm_service_unavailable", &[], b""), "reply", host);
    (State::Passing, Flow::Pause)
}

fn report(outcome: Result<(), Status>, what: &str, host: &impl Host) {
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
