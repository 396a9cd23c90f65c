//! The body is whole: what it asks for, who may serve that, and whether anyone has to.

use super::caching::{self, Consulted};
use super::request::{report, too_large};
use super::{Call, Hop, Joining, Reading, Routed, Service, State, answer, gate, limits, send};
use crate::error::{Error, Kind};
use crate::held;
use crate::host::{Buffer, Decimal, Flow, Host, Map, SafeValue, Status, Timestamp};
use crate::protocol::probe::{self, BOM, Probe, Shape, Source};
use crate::protocol::usage::Usage;
use crate::protocol::{Operation, Path, query};
use crate::routing::{Capabilities, Chain, Entry, Spelled};

/// The body came whole.
pub(super) fn body(
    reading: Reading,
    service: &Service,
    now: Timestamp,
    host: &impl Host,
) -> (State, Flow) {
    let Reading { call, source, headers, .. } = reading;
    let body = match host.body(Buffer::RequestBody, 0, usize::MAX).and_then(|it| bare(it, host)) {
        Ok(body) => body,
        Err(status) => return answer::refuse(call, None, &unreadable(status, host), host),
    };
    let shape = Shape::of(&body);
    if call.operation == Operation::Other && names_nothing(shape, &source) {
        let path = Path::read(headers.get(":path").unwrap_or_default());
        return match shape {
            Shape::Empty => gate::empty(call, &path, service, now, host),
            _ => gate::unread(call, &path, service, now, host),
        };
    }
    if body.len() > service.config.max_request_bytes {
        return answer::refuse(call, None, &too_large(service), host);
    }
    let probe = match source.read(&body, call.operation) {
        Ok(probe) => probe,
        Err(mistake) => return answer::refuse(call, None, &mistake, host),
    };
    let Some(asked) = model(&probe, call.operation, service) else {
        if call.operation == Operation::Other {
            let path = Path::read(headers.get(":path").unwrap_or_default());
            return gate::nameless(call, &path, service, now, host);
        }
        return answer::refuse(call, None, &probe::missing("model"), host);
    };
    if call.operation == Operation::Other && probe.path.is_none() {
        let path = headers.get(":path").unwrap_or_default();
        if let Err(mistake) = name_once(path, asked, host) {
            return answer::refuse(call, None, &mistake, host);
        }
    }
    // A compressed answer could not be read on its way.
    if headers.get("accept-encoding").is_some() {
        let name = b"accept-encoding";
        report(host.remove_header(Map::RequestHeaders, name), "accept-encoding", host);
    }
    let chain = match route(&call, &probe, asked, service, host) {
        Ok(chain) => chain,
        Err(refusal) => return answer::refuse(call, Some(asked.into()), &refusal, host),
    };
    let path = headers.get(":path").unwrap_or_default();
    let estimate = limits::estimate(call.operation, path, &body, &probe, service);
    let mut routed = Routed::new(call, asked, estimate, &probe, &chain, service, now);
    routed.bytes = body.len();
    let ticket = match limits::admit(&mut routed, service, now, host) {
        Ok(ticket) => ticket,
        Err(refusal) => return answer::refuse(routed.call, Some(routed.asked), &refusal, host),
    };
    match caching::consult(&mut routed, &headers, &body, service, now, host) {
        Consulted::Serve(hit) => {
            limits::keep(ticket);
            caching::serve(routed, &hit, host)
        }
        Consulted::Wait(wait) => {
            let joining = Joining { routed, ticket, source, wait };
            (State::Joining(Box::new(joining)), Flow::Pause)
        }
        Consulted::Refuse(error) => {
            limits::keep(ticket);
            answer::refuse(routed.call, Some(routed.asked), &error, host)
        }
        Consulted::Go => send::send(routed, ticket, &probe, &body, service, now, host),
    }
}

/// Of two names, a server could take the other one: what is in the query goes, and an old path that
/// names a model has to name this one.
fn name_once(path: &[u8], asked: &str, host: &impl Host) -> Result<(), Error> {
    if let Some(without) = query::without(path, &["model"])
        && let Some(without) = SafeValue::new(&without)
    {
        report(host.set_header(Map::RequestHeaders, ":path", without), "path", host);
    }
    match Path::read(path).engine() {
        Some(named) if named != asked.as_bytes() => {
            let message = "The path and the body name different models.";
            Err(Error::new(Kind::InvalidRequest, message).param("model"))
        }
        _ => Ok(()),
    }
}

/// Whether there is nothing in which a model could be named.
fn names_nothing(shape: Shape, source: &Source) -> bool {
    match shape {
        Shape::Empty => !source.is_path(),
        Shape::Other => source.is_untold(),
        Shape::Object | Shape::Wide => false,
    }
}

/// The body without the mark that some programs begin a text with: not every server takes it.
fn bare(mut body: Vec<u8>, host: &impl Host) -> Result<Vec<u8>, Status> {
    if body.starts_with(BOM) {
        body.drain(..BOM.len());
        host.splice_body(Buffer::RequestBody, 0, BOM.len(), b"")?;
        let length = Decimal::new(body.len());
        host.set_header(Map::RequestHeaders, "content-length", length.value())?;
    }
    Ok(body)
}

/// A request that waited for the cache goes on after all.
pub(super) fn go_on(
    joining: Joining,
    service: &Service,
    now: Timestamp,
    host: &impl Host,
) -> (State, Flow) {
    let Joining { routed, ticket, source, .. } = joining;
    if !service.ledger.can_work_on(routed.bytes) {
        limits::keep(ticket);
        return answer::refuse(routed.call, Some(routed.asked), &held::overloaded(), host);
    }
    let body = match host.body(Buffer::RequestBody, 0, usize::MAX) {
        Ok(body) => body,
        Err(status) => {
            limits::keep(ticket);
            let lost = unreadable(status, host);
            return answer::refuse(routed.call, Some(routed.asked), &lost, host);
        }
    };
    match source.read(&body, routed.call.operation) {
        Ok(probe) => send::send(routed, ticket, &probe, &body, service, now, host),
        Err(mistake) => {
            limits::keep(ticket);
            answer::refuse(routed.call, Some(routed.asked), &mistake, host)
        }
    }
}

impl Routed {
    fn new(
        call: Call,
        asked: &str,
        estimate: Usage,
        probe: &Probe<'_>,
        chain: &Chain<'_>,
        service: &Service,
        now: Timestamp,
    ) -> Self {
        let mut entries: Vec<_> = chain.iter().collect();
        service.breaker.order(&mut entries, now);
        let first = entries.first().copied().unwrap_or(chain.first());
        let targets = service.config.routing.targets();
        let hop = |entry: Entry<'_>| {
            let target = targets.get(entry.target.index)?.clone();
            Some(Hop { target, model: entry.model.into() })
        };
        Self {
            asked: asked.into(),
            attempts: first.attempts.clone(),
            hops: entries.into_iter().filter_map(hop).collect(),
            stream: probe.stream,
            asked_for_usage: probe.asked_for_usage(),
            bytes: 0,
            estimate,
            background: probe.background,
            names: Spelled::none(),
            reservation: None,
            call,
        }
    }
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

fn unreadable(status: Status, host: &impl Host) -> Error {
    report(Err(status), "request body", host);
    Error::new(Kind::ServiceUnavailable, "The request could not be read.")
}
