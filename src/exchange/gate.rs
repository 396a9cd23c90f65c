//! Who may come in, and what becomes of what is no call of a model. Every request passes here,
//! whatever its method, its path, its type and its upgrade.

use super::request::report;
use super::{Call, Service, State, answer, limits};
use crate::config::Unmatched;
use crate::error::{Dialect, Error, Kind};
use crate::host::{Flow, Host, Map, Pairs, Timestamp};
use crate::identity::{CREDENTIAL_HEADERS, client_ip};
use crate::protocol::probe;
use crate::protocol::{Endpoint, Operation, Path};
use crate::routing::Allow;

/// What follows for a request whose caller is known.
pub(super) enum Next {
    /// The gateway has something to say to it, or to ask a provider.
    Answer,
    Pass,
    Refuse(u16, Error),
}

/// Who calls, or why not.
pub(super) fn identify(
    call: &mut Call,
    service: &Service,
    headers: &Pairs,
    host: &impl Host,
) -> Result<(), Error> {
    let config = &service.config;
    call.consumer = config.auth.identify(headers)?;
    if service.by_client_ip {
        let forwarded = headers.iter().filter(|(name, _)| *name == b"x-forwarded-for");
        let source = host.property(&["source", "address"]).unwrap_or_default();
        call.client_ip = client_ip(forwarded.map(|(_, value)| value), &source, config.trusted_hops);
    }
    Ok(())
}

/// A key that is for this gateway is for nobody behind it, and neither is the word of the filter
/// that says who is calling.
pub(super) fn remove_credentials(service: &Service, headers: &Pairs, host: &impl Host) {
    let auth = &service.config.auth;
    let credentials = CREDENTIAL_HEADERS.iter().copied().filter(|_| auth.hides_credentials());
    for name in credentials.chain(auth.consumer_header.as_deref()) {
        if headers.get(name).is_some() {
            report(host.remove_header(Map::RequestHeaders, name.as_bytes()), "credentials", host);
        }
    }
}

pub(super) fn next(
    call: &Call,
    endpoint: Endpoint<'_>,
    path: &Path<'_>,
    service: &Service,
    headers: &Pairs,
) -> Next {
    let config = &service.config;
    match endpoint {
        // An Ollama knows better than a configuration of wildcards.
        Endpoint::Tags
            if config.routing.models(&Allow::Everything).next().is_none()
                && *config.auth.allow(call.consumer) == Allow::Everything =>
        {
            Next::Pass
        }
        // What follows an upgrade is no request that could be read.
        Endpoint::Call(_) if is_upgrade(headers) => Next::Refuse(UPGRADE_REQUIRED, no_upgrade()),
        Endpoint::Unmatched if is_upgrade(headers) && call.operation == Operation::Responses => {
            Next::Refuse(UPGRADE_REQUIRED, no_upgrade())
        }
        Endpoint::Unmatched if config.unmatched == Unmatched::Pass => Next::Pass,
        Endpoint::Unmatched => {
            let error = unmatched(path, headers);
            Next::Refuse(error.status(), error)
        }
        _ => Next::Answer,
    }
}

/// Lets a request go on untouched. It is one request of every limit that is for all models.
pub(super) fn pass(
    mut call: Call,
    service: &Service,
    now: Timestamp,
    host: &impl Host,
) -> (State, Flow) {
    match limits::pass(&mut call, service, now, host) {
        Ok(()) => (State::Passing, Flow::Continue),
        Err(refusal) => answer::refuse(call, None, &refusal, host),
    }
}

/// A call without a body, which says nothing at all.
pub(super) fn empty(
    call: Call,
    path: &Path<'_>,
    service: &Service,
    now: Timestamp,
    host: &impl Host,
) -> (State, Flow) {
    match service.config.unmatched {
        Unmatched::Pass => pass(call, service, now, host),
        Unmatched::Reject => answer::refuse(call, None, &unknown_url("POST", path), host),
    }
}

/// A call that names no model.
pub(super) fn nameless(
    call: Call,
    path: &Path<'_>,
    service: &Service,
    now: Timestamp,
    host: &impl Host,
) -> (State, Flow) {
    match service.config.unmatched {
        // The default model is for the calls that are known: it writes text.
        Unmatched::Reject if !path.is_without_model() => {
            answer::refuse(call, None, &probe::missing("model"), host)
        }
        _ => empty(call, path, service, now, host),
    }
}

/// A call whose body is nothing in which a model could be named.
pub(super) fn unread(
    call: Call,
    path: &Path<'_>,
    service: &Service,
    now: Timestamp,
    host: &impl Host,
) -> (State, Flow) {
    match service.config.unmatched {
        Unmatched::Reject if !path.is_without_model() => {
            answer::refuse(call, None, &probe::unsupported(), host)
        }
        _ => nameless(call, path, service, now, host),
    }
}

/// Whose errors the caller understands. Where the path does not tell, a header does.
pub(super) fn dialect(operation: Operation, path: &Path<'_>, headers: &Pairs) -> Dialect {
    match operation {
        Operation::Other | Operation::Models if path.is_ollamas() => Dialect::Ollama,
        Operation::Other | Operation::Models if headers.get("anthropic-version").is_some() => {
            Dialect::Anthropic
        }
        Operation::Other if path.is_googles() => Dialect::Gemini,
        Operation::Models if path.as_bytes().starts_with(b"/v1beta/") => Dialect::Gemini,
        Operation::Other | Operation::Models if headers.get("x-goog-api-key").is_some() => {
            Dialect::Gemini
        }
        operation => operation.dialect(),
    }
}

fn is_upgrade(headers: &Pairs) -> bool {
    headers.get("upgrade").is_some()
}

fn no_upgrade() -> Error {
    let message = "Websockets are not served here: send a POST, over HTTP.";
    Error::new(Kind::MethodNotAllowed, message).code("websocket_not_supported")
}

fn unmatched(path: &Path<'_>, headers: &Pairs) -> Error {
    let method = headers.text(":method").unwrap_or_default();
    let Some((_, methods)) = path.methods() else { return unknown_url(method, path) };
    let message = format!("Not allowed to {method} on {}: use {methods}.", shown(path));
    Error::new(Kind::MethodNotAllowed, message)
}

fn unknown_url(method: &str, path: &Path<'_>) -> Error {
    Error::new(Kind::UnknownUrl, format!("Unknown request URL: {method} {}.", shown(path)))
}

fn shown(path: &Path<'_>) -> String {
    let path = std::str::from_utf8(path.without_query()).unwrap_or_default();
    path.chars().take(MAX_SHOWN_PATH).collect()
}

/// Clients that try a websocket first go on over HTTP when they see it.
const UPGRADE_REQUIRED: u16 = 426;
const MAX_SHOWN_PATH: usize = 128;
