//! What a provider's refusal means to the caller.

use std::borrow::Cow;

use serde_json::Value;

use crate::error::{Error, Kind};
use crate::protocol::overflow;

/// A message of a provider is passed on up to this many bytes.
pub(super) const MAX_MESSAGE: usize = 1_000;

/// By the status alone.
pub(super) fn kind(status: u16) -> Kind {
    match status {
        401 => Kind::Authentication,
        402 => Kind::QuotaExceeded,
        403 => Kind::PermissionDenied,
        404 => Kind::ModelNotFound,
        408 | 504 => Kind::Timeout,
        413 => Kind::RequestTooLarge,
        429 => Kind::RequestLimit,
        400..=499 => Kind::InvalidRequest,
        503 | 529 => Kind::ServiceUnavailable,
        _ => Kind::Provider,
    }
}

/// A server that speaks OpenAI's protocol, or nearly.
pub(super) fn openai(status: u16, body: &[u8]) -> Error {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let problem = body.get("error").unwrap_or(&body);
    let text = |key: &str| problem.get(key).and_then(Value::as_str);
    let message = text("message").or(text("detail")).or(problem.as_str()).unwrap_or_default();
    let code = text("code").or(text("type")).unwrap_or_default();
    let kind = match (code, text("type").unwrap_or_default()) {
        ("insufficient_quota", _) => Kind::QuotaExceeded,
        ("model_not_found", _) => Kind::ModelNotFound,
        ("context_length_exceeded", _) => Kind::InvalidRequest,
        (_, "tokens") if status == 429 => Kind::TokenLimit,
        // An error within a stream has no status of its own.
        (_, "invalid_request_error") if status >= 500 => Kind::InvalidRequest,
        _ => kind(status),
    };
    let mut error = refusal(kind, message);
    if let Some(known) = CODES.iter().find(|known| **known == code) {
        error = error.code(known);
    }
    match text("param") {
        Some(param) if kind == Kind::InvalidRequest => error.param(shorten(param)),
        _ => error,
    }
}

/// The refusal in the provider's own words, as far as they are the caller's business: not what it
/// says about its keys or its inside.
pub(super) fn refusal(kind: Kind, message: &str) -> Error {
    let own = match kind {
        Kind::InvalidRequest
        | Kind::RequestTooLarge
        | Kind::ModelNotFound
        | Kind::UnsupportedCapability
        | Kind::RequestLimit
        | Kind::TokenLimit => None,
        Kind::Authentication => Some("The provider did not accept the credentials."),
        Kind::PermissionDenied => Some("The provider did not permit the request."),
        Kind::QuotaExceeded => Some("The quota at the provider is used up."),
        Kind::ServiceUnavailable => Some("The provider is overloaded."),
        Kind::Timeout => Some("The provider did not answer in time."),
        Kind::Provider
        | Kind::UnknownUrl
        | Kind::MethodNotAllowed
        | Kind::UnsupportedMediaType
        | Kind::NotCached => Some("The provider failed."),
    };
    let message = match own {
        Some(own) => Cow::Borrowed(own),
        None if message.trim().is_empty() => Cow::Borrowed("The provider refused the request."),
        None => Cow::Owned(shorten(message)),
    };
    let error = Error::new(kind, message);
    if kind == Kind::InvalidRequest && overflow::is_meant(&error.message) {
        return error.code("context_length_exceeded").param("messages");
    }
    error
}

/// A provider's answer that is not what its protocol says. The reader's words are about a request,
/// so they are not repeated; a refusal of the provider's own stays what it is.
pub(super) fn not_understood(error: Error) -> Error {
    if error.code.is_some_and(|code| READING.contains(&code)) {
        return garbled();
    }
    error
}

pub(super) fn garbled() -> Error {
    Error::new(Kind::Provider, NOT_UNDERSTOOD)
}

pub(super) fn too_large() -> Error {
    Error::new(Kind::Provider, "The provider's answer is too large to be translated.")
}

fn shorten(message: &str) -> String {
    let fits = |(at, c): &(usize, char)| at.saturating_add(c.len_utf8()) <= MAX_MESSAGE;
    message.char_indices().take_while(fits).map(|(_, c)| c).collect()
}

/// The codes of OpenAI that clients look for.
const CODES: [&str; 6] = [
    "context_length_exceeded",
    "content_policy_violation",
    "invalid_image",
    "insufficient_quota",
    "string_above_max_length",
    "unsupported_parameter",
];

const NOT_UNDERSTOOD: &str = "The provider's answer could not be understood.";

/// The codes of the reader's errors.
const READING: [&str; 5] =
    ["invalid_json", "missing_field", "invalid_type", "invalid_value", "duplicate_field"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_kept_where_they_are_the_callers_business() {
        let long = "é".repeat(MAX_MESSAGE);
        let error = refusal(Kind::InvalidRequest, &long);
        assert_eq!(error.message.len(), MAX_MESSAGE);
        assert_eq!(refusal(Kind::InvalidRequest, " ").message, "The provider refused the request.");
        for kind in [Kind::Provider, Kind::Authentication, Kind::ServiceUnavailable] {
            assert!(!refusal(kind, "sesame").message.contains("sesame"));
        }
    }

    #[test]
    fn a_prompt_that_is_too_long_has_the_code_that_clients_look_for() {
        for message in [
            "prompt is too long: 208310 tokens > 200000 maximum",
            "Input is too long for requested model.",
            "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
            "too many tokens: total number of tokens in the prompt cannot exceed 4081",
        ] {
            let error = refusal(Kind::InvalidRequest, message);
            assert_eq!(error.code, Some("context_length_exceeded"), "{message}");
        }
        assert_eq!(refusal(Kind::InvalidRequest, "no").code, None);
    }
}
