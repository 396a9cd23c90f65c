//! What an error answer means: which kind of error it is, what of it the caller learns, and when to
//! come back.

use super::Service;
use super::failure::MAX_ERROR_BYTES;
use super::response::is_type;
use crate::error::{Error, Kind, Retry};
use crate::handoff;
use crate::host::{Decimal, Host, Map, Pairs, Status, Timestamp};
use crate::protocol::{overflow, retry};

/// What Envoy, or a filter behind this one, means by an answer of its own.
pub(super) fn of_envoy(details: &[u8], status: u16, retry: Retry) -> Option<Error> {
    let says = |part: &[u8]| contains(details, part);
    let error = |kind, message: &'static str| Some(Error::new(kind, message).retry(retry));
    let unavailable = |message: &'static str| {
        Some(Error::new(Kind::ServiceUnavailable, message).retry(in_a_moment(retry)))
    };
    if says(b"request_payload_too_large") {
        return error(Kind::RequestTooLarge, "The request is larger than this gateway takes.");
    }
    if says(TOO_LARGE) {
        return error(Kind::Provider, "The provider's answer is larger than this gateway takes.");
    }
    if says(b"cluster_not_found") || says(b"no_healthy_upstream") {
        return unavailable("No provider for this model is available now.");
    }
    if says(TIMEOUT) {
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
pub(super) fn hidden(
    status: u16,
    retry: Retry,
    is_not_the_callers: impl FnOnce() -> bool,
) -> Option<Error> {
    let (kind, message) = match status {
        _ if handoff::refuses_credential(status) && is_not_the_callers() => {
            (Kind::Provider, "The provider refused the gateway's own credentials.")
        }
        408 | 504 => (Kind::Timeout, "The provider did not answer in time."),
        503 | 529 => (Kind::ServiceUnavailable, "The provider is overloaded or unavailable."),
        // A redirect is no answer, and its goal nobody's business.
        ..=399 | 500.. => (Kind::Provider, "The provider failed to answer."),
        _ => return None,
    };
    let retry = if kind == Kind::ServiceUnavailable { in_a_moment(retry) } else { retry };
    Some(Error::new(kind, message).retry(retry))
}

/// Whether the provider saw a credential of the operator's: callers have keys of the gateway's, or
/// the provider role put one in.
pub(super) fn is_not_the_callers(service: &Service, host: &impl Host) -> bool {
    service.config.auth.hides_credentials()
        || host.property(&[handoff::CREDENTIAL]).is_ok_and(|whose| whose == handoff::PROVIDERS)
}

fn in_a_moment(retry: Retry) -> Retry {
    match retry {
        Retry::Unspecified => Retry::AfterMillis(RETRY_MILLIS),
        told => told,
    }
}

/// A caller that is told to slow down is told until when.
pub(super) fn in_time(status: u16, retry: Retry) -> Retry {
    if status == 429 { in_a_moment(retry) } else { retry }
}

/// A provider's refusal, whose status stays.
pub(super) fn refusal(status: u16, told: Option<String>, retry: Retry) -> Error {
    let kind = kind(status);
    // Agents look for the code of a prompt that is too long.
    let too_long = kind == Kind::InvalidRequest && told.as_deref().is_some_and(overflow::is_meant);
    let mut error = match told {
        Some(told) => Error::new(kind, told),
        None => Error::new(kind, NO_DETAILS),
    };
    if too_long {
        error = error.code("context_length_exceeded").param("messages");
    }
    error.told_as(status).retry(in_time(status, retry))
}

/// Whether an error's body can be read, and is worth being waited for.
pub(super) fn has_words(headers: &Pairs) -> bool {
    let [kind, encoding, length] =
        headers.first(["content-type", "content-encoding", "content-length"]);
    let length = length.and_then(|length| std::str::from_utf8(length).ok()?.parse().ok());
    !kind.is_some_and(|kind| is_type(kind, b"text/html"))
        && encoding.is_none_or(|coding| coding.eq_ignore_ascii_case(b"identity"))
        && length.is_none_or(|length| (1..=MAX_ERROR_BYTES).contains(&length))
}

/// Says when to come back, or, where the provider's word for it makes no sense, nothing.
pub(super) fn write_retry(headers: &Pairs, retry: Retry, host: &impl Host) -> Result<(), Status> {
    if let Retry::AfterMillis(millis) = retry {
        let set = |name, number| {
            host.set_header(Map::ResponseHeaders, name, Decimal::new(number).value())
        };
        set("retry-after", millis.div_ceil(1000))?;
        return set("retry-after-ms", millis);
    }
    for name in ["retry-after", "retry-after-ms"] {
        if headers.get(name).is_some() {
            host.remove_header(Map::ResponseHeaders, name.as_bytes())?;
        }
    }
    Ok(())
}

/// The kind of a provider's refusal, whose status stays.
pub(super) fn kind(status: u16) -> Kind {
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

/// What the provider said about trying again.
pub(super) fn retry(headers: &Pairs, body: &[u8], now: Timestamp) -> Retry {
    retry::after(headers, body, now).map_or(Retry::Unspecified, Retry::AfterMillis)
}

pub(super) fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// A moment in which a provider may recover or another host be found.
const RETRY_MILLIS: u64 = 1000;

pub(super) const TIMEOUT: &[u8] = b"timeout";
pub(super) const TOO_LARGE: &[u8] = b"response_payload_too_large";

pub(super) const NO_DETAILS: &str = "The provider refused the request without saying why.";
