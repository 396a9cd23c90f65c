//! Answers that are errors: Envoy's own, other filters', and the providers'. Each reaches the caller
//! in the caller's dialect, with its meaning; what a provider says of its own failures does not.

use super::answer::PROVIDER_REQUEST_ID;
use super::response::{Ending, Relaying, provider_id};
use super::{Call, Ended, Failing, Problem, Routed, Service, State, answer, charge};
use crate::error::{Error, Kind, Retry};
use crate::handoff;
use crate::held;
use crate::host::{Buffer, Decimal, Flow, Host, Map, Pairs, SafeValue, Status};
use crate::protocol::failure::Told;
use crate::protocol::overflow;
use crate::protocol::usage::{Quality, Usage};

/// An answer with the status of an error, or of a redirect.
pub(super) fn headers(
    routed: Routed,
    service: &Service,
    status: u16,
    headers: &Pairs,
    end: bool,
    host: &impl Host,
) -> (State, Flow) {
    let details = host.property(&["response", "code_details"]).unwrap_or_default();
    if let Some(label) = details.strip_prefix(OWN_DETAILS) {
        // The provider role refused, in the caller's dialect.
        let told = Kind::ALL.into_iter().find(|kind| kind.row().label.as_bytes() == label);
        let error = match details == held::DETAILS.as_bytes() {
            true => held::overloaded(),
            false => Error::new(told.unwrap_or(kind(status)), NO_DETAILS),
        };
        return (ended(routed, status, &error, host), Flow::Continue);
    }
    let (retry, id) = (retry(headers), provider_id(headers));
    if status < 400 {
        // Envoy may send callers elsewhere. A provider may not, and who follows takes the key along.
        return match &*details {
            b"via_upstream" => {
                let error = Error::new(Kind::Provider, "The provider sent a redirect.");
                replace(routed, error.status(), &error, id, host)
            }
            _ => pass(routed, status),
        };
    }
    if details != b"via_upstream" {
        return match of_envoy(&details, status, retry) {
            Some(error) if NOT_TRIED_DETAILS.iter().any(|why| contains(&details, why)) => {
                let answer = replace(routed, error.status(), &error, id, host);
                coded(answer, NOT_TRIED)
            }
            Some(error) => {
                let usage = charge::of_timeout(&details, &routed, host);
                charged(replace(routed, error.status(), &error, id, host), usage)
            }
            None => pass(routed, status),
        };
    }
    if let Some(hidden) = hidden(status, retry, || is_not_the_callers(service, host)) {
        let answer = replace(routed, hidden.status(), &hidden, id, host);
        let refused = handoff::refuses_credential(status);
        return if refused { coded(answer, REFUSED) } else { answer };
    }
    if end {
        let error = Error::new(kind(status), NO_DETAILS).retry(retry);
        return replace(routed, status, &error, id, host);
    }
    (State::Failing(Box::new(Failing { routed, status, bytes: 0 })), Flow::Pause)
}

/// A part of an error's body came.
pub(super) fn more(mut failing: Box<Failing>, size: usize, host: &impl Host) -> (State, Flow) {
    if size <= MAX_ERROR_BYTES {
        failing.bytes = size;
        return (State::Failing(failing), Flow::Pause);
    }
    let Failing { routed, status, .. } = *failing;
    let headers = host.headers(Map::ResponseHeaders).unwrap_or_default();
    let error = Error::new(kind(status), NO_DETAILS).retry(retry(&headers));
    let id = headers.get(PROVIDER_REQUEST_ID).and_then(SafeValue::new);
    replace(routed, status, &error, id, host)
}

/// An error's body is whole: it stays if the caller's SDK can read it.
pub(super) fn body(failing: Failing, host: &impl Host) -> (State, Flow) {
    let Failing { routed, status, .. } = failing;
    let body = host.body(Buffer::ResponseBody, 0, MAX_ERROR_BYTES).unwrap_or_default();
    let told = Told::read(&body);
    let error = match &told {
        Some(told) => refused(kind(status), told.message.clone().into_owned()),
        None => Error::new(kind(status), NO_DETAILS),
    };
    let dialect = routed.call.dialect;
    if !told.is_some_and(|told| told.speaks(dialect)) {
        let told = error.body(dialect, routed.call.id.as_str());
        if let Err(refused) = rewrite(&told, host) {
            host.log(log::Level::Error, &format!("error body: {refused}"));
        }
    }
    (ended(routed, status, &error, host), Flow::Continue)
}

/// Agents look for the code of a prompt that is too long.
fn refused(kind: Kind, message: String) -> Error {
    let too_long = kind == Kind::InvalidRequest && overflow::is_meant(&message);
    let error = Error::new(kind, message);
    if too_long { error.code("context_length_exceeded").param("messages") } else { error }
}

/// Envoy answered before the request went on.
pub(super) fn unread(call: Call, asked: Option<Box<str>>, host: &impl Host) -> (State, Flow) {
    let headers = host.headers(Map::ResponseHeaders).unwrap_or_default();
    let status = headers.text(":status").and_then(|status| status.parse().ok()).unwrap_or(0);
    let details = host.property(&["response", "code_details"]).unwrap_or_default();
    let error = match status {
        408 => Some(Error::new(Kind::Timeout, "The request did not come in time.")),
        _ => of_envoy(&details, status, retry(&headers)),
    };
    match error {
        Some(error) => {
            let status = if status == 408 { status } else { error.status() };
            answer::refuse_as(call, status, asked, &error, host)
        }
        None => {
            let ended = Ended { asked, status, ..Ended::of(call) };
            (State::Answered(Box::new(ended)), Flow::Continue)
        }
    }
}

/// A stream that ends with its headers. There is no body that an error could be appended to, and a
/// caller would take nothing at all for an answer.
pub(super) fn silent(routed: Routed, headers: &Pairs, host: &impl Host) -> (State, Flow) {
    let error = Error::new(Kind::Provider, "The provider's stream ended before it began.");
    replace(routed, error.status(), &error, provider_id(headers), host)
}

/// The request could not be sent on.
pub(super) fn lost(routed: Routed, host: &impl Host) -> (State, Flow) {
    let error = Error::new(Kind::ServiceUnavailable, "The request could not be sent on.");
    replace(routed, error.status(), &error, None, host)
}

/// Answers with an error of the gateway's own in place of what came.
fn replace(
    routed: Routed,
    status: u16,
    error: &Error,
    id: Option<SafeValue<'_>>,
    host: &impl Host,
) -> (State, Flow) {
    answer::send(&routed.call, status, error, id, host);
    (ended(routed, status, error, host), Flow::Pause)
}

/// With a code for logs that says more than the caller is told.
fn coded((mut state, flow): (State, Flow), code: &'static str) -> (State, Flow) {
    if let State::Answered(ended) = &mut state
        && let Some(problem) = &mut ended.error
    {
        problem.code = code;
    }
    (state, flow)
}

/// What the provider may have done of it all the same.
fn charged((mut state, flow): (State, Flow), usage: Option<(Usage, Quality)>) -> (State, Flow) {
    if let State::Answered(ended) = &mut state {
        ended.usage = usage;
    }
    (state, flow)
}

pub(super) fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// An answer of another filter that is nobody's error: a redirect to log in, say.
fn pass(routed: Routed, status: u16) -> (State, Flow) {
    (State::Relaying(Box::new(Relaying::opaque(routed, status, Ending::Open))), Flow::Continue)
}

fn ended(routed: Routed, status: u16, error: &Error, host: &impl Host) -> State {
    let (call, asked, served) = routed.served(host);
    State::Answered(Box::new(Ended {
        asked: Some(asked),
        served: Some(served),
        status,
        error: Some(Problem::from(error)),
        ..Ended::of(call)
    }))
}

fn rewrite(body: &[u8], host: &impl Host) -> Result<(), Status> {
    host.splice_body(Buffer::ResponseBody, 0, usize::MAX, body)?;
    let json = SafeValue::literal("application/json");
    host.set_header(Map::ResponseHeaders, "content-type", json)?;
    host.remove_header(Map::ResponseHeaders, b"content-encoding")?;
    host.set_header(Map::ResponseHeaders, "content-length", Decimal::new(body.len()).value())
}

/// What Envoy, or a filter behind this one, means by an answer of its own.
fn of_envoy(details: &[u8], status: u16, retry: Retry) -> Option<Error> {
    let says = |part: &[u8]| contains(details, part);
    let error = |kind, message: &'static str| Some(Error::new(kind, message).retry(retry));
    let unavailable = |message: &'static str| {
        Some(Error::new(Kind::ServiceUnavailable, message).retry(in_a_moment(retry)))
    };
    if says(b"request_payload_too_large") {
        return error(Kind::RequestTooLarge, "The request is larger than this gateway takes.");
    }
    if says(b"response_payload_too_large") {
        return error(Kind::Provider, "The provider's answer is larger than this gateway takes.");
    }
    if says(b"cluster_not_found") || says(b"no_healthy_upstream") {
        return unavailable("No provider for this model is available now.");
    }
    if says(b"timeout") {
        return error(Kind::Timeout, "The provider did not answer in time.");
    }
    match status {
        401 => error(Kind::Authentication, "This request is not authenticated."),
        403 => error(Kind::PermissionDenied, "This request is not allowed."),
        408 | 504 => error(Kind::Timeout, "The provider did not answer in time."),
        413 => error(Kind::RequestTooLarge, "The request is larger than this gateway takes."),
        429 => error(Kind::RequestLimit, "Too many requests. Please try again later."),
        503 => unavailable("The provider could not be reached."),
        500.. => error(Kind::Provider, "The provider's answer could not be passed on."),
        _ => None,
    }
}

/// Failures of the provider's own, or of the operator's account there, of which the caller learns
/// the kind and nothing else.
fn hidden(status: u16, retry: Retry, is_not_the_callers: impl FnOnce() -> bool) -> Option<Error> {
    let (kind, message) = match status {
        _ if handoff::refuses_credential(status) && is_not_the_callers() => {
            (Kind::Provider, "The provider refused the gateway's own credentials.")
        }
        408 | 504 => (Kind::Timeout, "The provider did not answer in time."),
        503 | 529 => (Kind::ServiceUnavailable, "The provider is overloaded or unavailable."),
        500.. => (Kind::Provider, "The provider failed to answer."),
        _ => return None,
    };
    let retry = if kind == Kind::ServiceUnavailable { in_a_moment(retry) } else { retry };
    Some(Error::new(kind, message).retry(retry))
}

/// Whether the provider saw a credential of the operator's: callers have keys of the gateway's, or
/// the provider role put one in.
fn is_not_the_callers(service: &Service, host: &impl Host) -> bool {
    service.config.auth.hides_credentials()
        || host.property(&[handoff::CREDENTIAL]).is_ok_and(|whose| whose == handoff::PROVIDERS)
}

fn in_a_moment(retry: Retry) -> Retry {
    match retry {
        Retry::Unspecified => Retry::AfterMillis(RETRY_MILLIS),
        told => told,
    }
}

/// What is known of a provider's refusal by its status.
pub(super) fn problem(status: u16) -> Problem {
    Problem::from(&Error::new(kind(status), NO_DETAILS))
}

/// The kind of a provider's refusal, whose status stays.
fn kind(status: u16) -> Kind {
    match status {
        401 => Kind::Authentication,
        402 | 403 => Kind::PermissionDenied,
        404 => Kind::ModelNotFound,
        408 => Kind::Timeout,
        413 => Kind::RequestTooLarge,
        429 => Kind::RequestLimit,
        500.. => Kind::Provider,
        _ => Kind::InvalidRequest,
    }
}

/// What the provider said about trying again, in whole seconds or, as OpenAI does, milliseconds.
fn retry(headers: &Pairs) -> Retry {
    let number = |name| headers.text(name).and_then(|value| value.trim().parse::<u64>().ok());
    let millis = number("retry-after-ms");
    let seconds = || number("retry-after").map(|seconds| seconds.saturating_mul(1000));
    millis.or_else(seconds).map_or(Retry::Unspecified, Retry::AfterMillis)
}

/// The code for logs where a provider refused the gateway's credentials.
pub(super) const REFUSED: &str = "credential_refused";

/// The code for logs where Envoy made no attempt: the cluster has no healthy host, or as many
/// requests as its circuit breaker allows. Envoy tries no other cluster then.
pub(super) const NOT_TRIED: &str = "provider_not_tried";
const NOT_TRIED_DETAILS: [&[u8]; 2] = [b"no_healthy_upstream", b"overflow"];

/// What the response code details of this module's own answers begin with.
const OWN_DETAILS: &[u8] = b"llm_";

/// A longer error is no message for people.
const MAX_ERROR_BYTES: usize = 64 << 10;

/// A moment in which a provider may recover or another host be found.
const RETRY_MILLIS: u64 = 1000;

const NO_DETAILS: &str = "The provider refused the request without saying why.";
