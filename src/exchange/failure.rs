//! Answers that are errors: Envoy's own, other filters', and the providers'. Each reaches the caller
//! in the caller's dialect, with its meaning; what a provider says of its own failures does not.

use std::borrow::Cow;

use super::answer::PROVIDER_REQUEST_ID;
use super::meaning::{
    NO_DETAILS, TIMEOUT, TOO_LARGE, contains, has_words, hidden, in_time, is_not_the_callers, kind,
    of_envoy, refusal, retry, write_retry,
};
use super::request::report;
use super::response::{Ending, Relaying, provider_id};
use super::{Call, Ended, Failing, Problem, Routed, Service, State, answer, charge, keeping};
use crate::error::{Dialect, Error, Kind, Retry};
use crate::handoff;
use crate::held;
use crate::host::{Buffer, Decimal, Flow, Host, Map, Pairs, SafeValue, Status, Timestamp};
use crate::protocol::failure::{Told, without_keys};
use crate::protocol::retry::add_to_details;
use crate::protocol::usage::{Quality, Usage};

/// An answer with the status of an error, or of a redirect.
pub(super) fn headers(
    routed: Routed,
    service: &Service,
    status: u16,
    headers: &Pairs,
    end: bool,
    now: Timestamp,
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
    let (retry, id) = (retry(headers, b"", now), provider_id(headers));
    if (300..400).contains(&status) {
        // Envoy may send callers elsewhere. A provider may not, and who follows takes the key along.
        return match &*details {
            VIA_UPSTREAM => {
                let error = Error::new(Kind::Provider, "The provider sent a redirect.");
                replace(routed, error.status(), &error, id, host)
            }
            _ => pass(routed, status),
        };
    }
    if details != VIA_UPSTREAM {
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
    if end || !has_words(headers) {
        let error = refusal(status, None, retry);
        return replace(routed, status, &error, id, host);
    }
    (State::Failing(Box::new(Failing { routed, status, bytes: 0, since: now })), Flow::Pause)
}

/// A part of an error's body came.
pub(super) fn more(
    mut failing: Box<Failing>,
    size: usize,
    now: Timestamp,
    host: &impl Host,
) -> (State, Flow) {
    if size <= MAX_ERROR_BYTES {
        failing.bytes = size;
        return (State::Failing(failing), Flow::Pause);
    }
    unread_body(*failing, None, now, host)
}

/// Time has passed and an error's body is not at its end: what there is of it has to do. To wait on
/// would end in an answer of Envoy's, past this filter.
pub(super) fn late(failing: Box<Failing>, now: Timestamp, host: &impl Host) -> (State, Flow) {
    if now.micros_since(failing.since) < PATIENCE_MICROS {
        return (State::Failing(failing), Flow::Pause);
    }
    let body = host.body(Buffer::ResponseBody, 0, MAX_ERROR_BYTES).unwrap_or_default();
    let told = Told::read(&body).map(|told| told.message);
    unread_body(*failing, told, now, host)
}

/// Answers in place of an error whose body did not come to its end.
fn unread_body(
    failing: Failing,
    told: Option<String>,
    now: Timestamp,
    host: &impl Host,
) -> (State, Flow) {
    let Failing { routed, status, .. } = failing;
    let headers = host.headers(Map::ResponseHeaders).unwrap_or_default();
    let told = told.map(|told| without_keys(&told).into_owned());
    let error = refusal(status, told, retry(&headers, b"", now));
    let id = headers.get(PROVIDER_REQUEST_ID).and_then(SafeValue::new);
    replace(routed, status, &error, id, host)
}

/// An error's body is whole: it stays if the caller's SDK can read it.
pub(super) fn body(
    failing: Failing,
    service: &Service,
    now: Timestamp,
    host: &impl Host,
) -> (State, Flow) {
    let Failing { routed, status, .. } = failing;
    let dialect = routed.call.dialect;
    let body = host.body(Buffer::ResponseBody, 0, MAX_ERROR_BYTES).unwrap_or_default();
    let headers = host.headers(Map::ResponseHeaders).unwrap_or_default();
    let retry = in_time(status, retry(&headers, &body, now));
    let told = Told::read(&body);
    let mut stays = told.as_ref().is_some_and(|told| told.speaks(dialect));
    let told = told.map(|told| match without_keys(&told.message) {
        Cow::Owned(masked) if is_not_the_callers(service, host) => {
            stays = false;
            masked
        }
        _ => told.message,
    });
    let error = refusal(status, told, retry);
    let changed = match retry {
        _ if !stays => Some(error.body(dialect, routed.call.id.as_str())),
        Retry::AfterMillis(millis) if dialect == Dialect::Gemini => add_to_details(&body, millis),
        _ => None,
    };
    if let Some(changed) = changed {
        report(rewrite(&changed, host), "error body", host);
    }
    report(write_retry(&headers, retry, host), "error headers", host);
    (ended(routed, status, &error, host), Flow::Continue)
}

/// The exchange is over, and the body of its error has not come to its end: what the caller got
/// instead.
pub(super) fn broken(status: u16, host: &impl Host) -> (u16, Problem) {
    match of_break(host) {
        Some((status, kind)) => (status, Problem { kind, code: ANSWER_CUT, param: None }),
        // The caller left.
        None => (status, Problem::from(&refusal(status, None, Retry::Unspecified))),
    }
}

/// What Envoy answered, past this filter, in place of an answer that was held back: the provider
/// broke off, or said nothing for too long.
pub(super) fn of_break(host: &impl Host) -> Option<(u16, Kind)> {
    let details = host.property(&["response", "code_details"]).unwrap_or_default();
    let kind = if contains(&details, TIMEOUT) {
        Kind::Timeout
    } else if is_reset(&details) || contains(&details, TOO_LARGE) {
        Kind::Provider
    } else {
        return None;
    };
    let code = host.property(&["response", "code"]).unwrap_or_default();
    let code = code.first_chunk().map(|code| u64::from_le_bytes(*code));
    let code = code.and_then(|code| u16::try_from(code).ok()).filter(|code| *code > 0);
    Some((code.unwrap_or(kind.row().status), kind))
}

/// Whether the provider's connection broke.
pub(super) fn is_reset(details: &[u8]) -> bool {
    details.starts_with(b"upstream_") && details != VIA_UPSTREAM
}

/// Envoy answered before the request went on.
pub(super) fn unread(call: Call, asked: Option<Box<str>>, host: &impl Host) -> (State, Flow) {
    let headers = host.headers(Map::ResponseHeaders).unwrap_or_default();
    let status = headers.text(":status").and_then(|status| status.parse().ok()).unwrap_or(0);
    let details = host.property(&["response", "code_details"]).unwrap_or_default();
    let error = match status {
        408 => Some(Error::new(Kind::Timeout, "The request did not come in time.")),
        _ => of_envoy(&details, status, retry(&headers, b"", host.now())),
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

/// An answer of 200 that is not what was asked for, of which nothing has gone on.
pub(super) fn unusable(
    mut relaying: Relaying,
    service: &Service,
    now: Timestamp,
    host: &impl Host,
) -> (State, Flow) {
    keeping::unusable(&mut relaying, service, now, host);
    let headers = host.headers(Map::ResponseHeaders).unwrap_or_default();
    let id = headers.get(PROVIDER_REQUEST_ID).and_then(SafeValue::new);
    let usage = relaying.usage();
    let error = Error::new(Kind::Provider, "The provider's answer is not what was asked for.");
    let answer = replace(relaying.routed, error.status(), &error, id, host);
    coded(charged(answer, usage), UNUSABLE)
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
    let error = error.clone().retry(in_time(status, error.retry));
    answer::send(&routed.call, status, &error, id, host);
    (ended(routed, status, &error, host), Flow::Pause)
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

/// The code for logs where a provider refused the gateway's credentials.
pub(super) const REFUSED: &str = "credential_refused";

/// The code for logs where Envoy made no attempt: the cluster has no healthy host, or as many
/// requests as its circuit breaker allows. Envoy tries no other cluster then.
pub(super) const NOT_TRIED: &str = "provider_not_tried";
const NOT_TRIED_DETAILS: [&[u8]; 2] = [b"no_healthy_upstream", b"overflow"];

/// What the response code details of this module's own answers begin with.
const OWN_DETAILS: &[u8] = b"llm_";

/// A longer error is no message for people.
pub(super) const MAX_ERROR_BYTES: usize = 64 << 10;

/// How long the rest of an error's body is waited for.
const PATIENCE_MICROS: u64 = 5_000_000;

/// The codes for logs of answers that are none, and of those that broke off.
pub(super) const UNUSABLE: &str = "unusable_answer";
pub(super) const ANSWER_CUT: &str = "answer_cut";

const VIA_UPSTREAM: &[u8] = b"via_upstream";
