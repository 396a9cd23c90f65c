//! What the gateway answers itself: refusals and model lists.

use super::{Call, Ended, Problem, Service, State, limits};
use crate::error::{Error, Kind};
use crate::host::{Flow, Host, SafeValue};
use crate::limit::Standings;
use crate::limit::headers::RateHeaders;
use crate::protocol::models::{self, ModelInfo};
use crate::protocol::{Endpoint, Operation, decode_id};
use crate::routing::{Listed, Refusal};

/// Ends a call with an error in the caller's dialect.
pub(super) fn refuse(
    call: Call,
    asked: Option<Box<str>>,
    error: &Error,
    host: &impl Host,
) -> (State, Flow) {
    refuse_as(call, error.status(), asked, error, host)
}

/// The same with a status that is not the error's own.
pub(super) fn refuse_as(
    mut call: Call,
    status: u16,
    asked: Option<Box<str>>,
    error: &Error,
    host: &impl Host,
) -> (State, Flow) {
    call.caching.refused();
    send(&call, status, error, None, host);
    let error = Some(Problem::from(error));
    let ended = Ended { asked, status, error, ..Ended::of(call) };
    (State::Answered(Box::new(ended)), Flow::Pause)
}

/// The error as a reply of the gateway's own. `id` is the provider's name for the request.
pub(super) fn send(
    call: &Call,
    status: u16,
    error: &Error,
    id: Option<SafeValue<'_>>,
    host: &impl Host,
) {
    let details = format!("llm_{}", error.kind.row().label);
    let body = error.body(call.dialect, call.id.as_str());
    let mut retry = RateHeaders::default();
    retry.retry(error.retry);
    let id = id.map(|id| (PROVIDER_REQUEST_ID, id));
    let allow = (error.kind == Kind::MethodNotAllowed).then(|| match call.operation {
        Operation::Models => ("allow", SafeValue::literal("GET, HEAD")),
        _ => ("allow", SafeValue::literal("POST")),
    });
    let headers: Vec<_> = [JSON].into_iter().chain(allow).chain(id).chain(retry.iter()).collect();
    reply(call, status, &details, &headers, &body, host);
}

/// That the gateway is there, for whoever asks.
pub(super) fn health(host: &impl Host) -> (State, Flow) {
    if let Err(refused) = host.reply(200, "llm_health", &[JSON], br#"{"status":"ok"}"#) {
        host.log(log::Level::Error, &format!("reply: {refused}"));
    }
    (State::Passing, Flow::Pause)
}

/// The model list, or one model of it.
pub(super) fn models(
    call: Call,
    endpoint: Endpoint<'_>,
    service: &Service,
    host: &impl Host,
) -> (State, Flow) {
    let allow = service.config.auth.allow(call.consumer);
    let routing = &service.config.routing;
    let info = |listed: Listed<'_>| ModelInfo {
        id: listed.id.to_owned().into(),
        owned_by: listed.owned_by.to_owned().into(),
    };
    let body = match endpoint {
        Endpoint::Model(id) => {
            let id = decode_id(id).unwrap_or_default();
            match routing.model(&id, allow) {
                Some(listed) => info(listed).render(call.dialect),
                None => {
                    let unknown = Error::from(Refusal::Unknown { asked: &id });
                    return refuse(call, None, &unknown, host);
                }
            }
        }
        _ => models::render(call.dialect, routing.models(allow).map(info)),
    };
    reply(&call, 200, "llm_models", &[JSON], &body, host);
    let ended = Ended { status: 200, ..Ended::of(call) };
    (State::Answered(Box::new(ended)), Flow::Pause)
}

/// An answer of the gateway's own, with what every answer carries.
pub(super) fn reply(
    call: &Call,
    status: u16,
    details: &str,
    headers: &[(&'static str, SafeValue<'_>)],
    body: &[u8],
    host: &impl Host,
) {
    // Only what is limited asks for the time.
    let rate = match call.standings == Standings::default() {
        true => RateHeaders::default(),
        false => limits::rate_headers(call, host.now()),
    };
    let id = SafeValue::new(call.id.as_str().as_bytes()).map(|id| ("x-request-id", id));
    let cached = call.caching.status_text();
    let cached = SafeValue::new(cached.as_bytes()).filter(|_| !cached.is_empty());
    let cached = cached.map(|status| ("cache-status", status));
    let headers = headers.iter().copied().chain(id).chain(cached).chain(rate.iter());
    let headers: Vec<_> = headers.collect();
    if let Err(refused) = host.reply(status, details, &headers, body) {
        host.log(log::Level::Error, &format!("reply: {refused}"));
    }
}

/// The header with the provider's own name for the request.
pub(super) const PROVIDER_REQUEST_ID: &str = "x-llm-provider-request-id";

const JSON: (&str, SafeValue<'_>) = ("content-type", SafeValue::literal("application/json"));

impl From<&Error> for Problem {
    fn from(error: &Error) -> Self {
        Self {
            kind: error.kind,
            code: error.code.unwrap_or(error.kind.row().code),
            param: error.param.as_deref().map(Into::into),
        }
    }
}
