//! Every refusal of the gateway: one table from what went wrong to what the caller sees, in the
//! caller's own dialect.

use std::borrow::Cow;

use serde_json::{Value, json};

/// Whose error and stream shapes the caller understands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Dialect {
    #[default]
    OpenAi,
    Anthropic,
    Ollama,
    Gemini,
}

/// What went wrong. [`Kind::row`] is the public table; the README repeats it, compared by a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    InvalidRequest,
    RequestTooLarge,
    UnsupportedMediaType,
    Authentication,
    PermissionDenied,
    ModelNotFound,
    UnknownUrl,
    MethodNotAllowed,
    UnsupportedCapability,
    RequestLimit,
    TokenLimit,
    QuotaExceeded,
    Provider,
    ServiceUnavailable,
    Timeout,
    NotCached,
}

/// How one [`Kind`] looks from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    pub status: u16,
    /// OpenAI's `error.type`.
    pub openai_type: &'static str,
    /// OpenAI's `error.code` unless the error names a narrower one.
    pub code: &'static str,
    /// Anthropic's `error.type`.
    pub anthropic_type: &'static str,
    /// Gemini's `error.status`.
    pub gemini_status: &'static str,
    /// The label of `llm_errors_total` and, behind `llm_`, the response code details.
    pub label: &'static str,
}

impl Kind {
    pub const ALL: [Self; 16] = [
        Self::InvalidRequest,
        Self::RequestTooLarge,
        Self::UnsupportedMediaType,
        Self::Authentication,
        Self::PermissionDenied,
        Self::ModelNotFound,
        Self::UnknownUrl,
        Self::MethodNotAllowed,
        Self::UnsupportedCapability,
        Self::RequestLimit,
        Self::TokenLimit,
        Self::QuotaExceeded,
        Self::Provider,
        Self::ServiceUnavailable,
        Self::Timeout,
        Self::NotCached,
    ];

    #[rustfmt::skip]
    pub const fn row(self) -> Row {
        let (status, openai_type, code, anthropic_type, gemini_status, label) = match self {
            Self::InvalidRequest        => (400, "invalid_request_error", "invalid_value",          "invalid_request_error", "INVALID_ARGUMENT",   "invalid_request"),
            Self::RequestTooLarge       => (413, "invalid_request_error", "request_too_large",      "request_too_large",     "INVALID_ARGUMENT",   "request_too_large"),
            Self::UnsupportedMediaType  => (415, "invalid_request_error", "unsupported_media_type", "invalid_request_error", "INVALID_ARGUMENT",   "unsupported_media_type"),
            Self::Authentication        => (401, "invalid_request_error", "invalid_api_key",        "authentication_error",  "UNAUTHENTICATED",    "authentication"),
            Self::PermissionDenied      => (403, "invalid_request_error", "model_not_allowed",      "permission_error",      "PERMISSION_DENIED",  "permission_denied"),
            Self::ModelNotFound         => (404, "invalid_request_error", "model_not_found",        "not_found_error",       "NOT_FOUND",          "model_not_found"),
            Self::UnknownUrl            => (404, "invalid_request_error", "unknown_url",            "not_found_error",       "NOT_FOUND",          "unknown_url"),
            Self::MethodNotAllowed      => (405, "invalid_request_error", "method_not_supported",   "invalid_request_error", "UNIMPLEMENTED",      "method_not_allowed"),
            Self::UnsupportedCapability => (400, "invalid_request_error", "unsupported_capability", "invalid_request_error", "INVALID_ARGUMENT",   "unsupported_capability"),
            Self::RequestLimit          => (429, "requests",              "rate_limit_exceeded",    "rate_limit_error",      "RESOURCE_EXHAUSTED", "rate_limit"),
            Self::TokenLimit            => (429, "tokens",                "rate_limit_exceeded",    "rate_limit_error",      "RESOURCE_EXHAUSTED", "rate_limit"),
            Self::QuotaExceeded         => (429, "insufficient_quota",    "insufficient_quota",     "rate_limit_error",      "RESOURCE_EXHAUSTED", "quota_exceeded"),
            Self::Provider              => (502, "server_error",          "provider_error",         "api_error",             "INTERNAL",           "provider"),
            Self::ServiceUnavailable    => (503, "server_error",          "service_unavailable",    "overloaded_error",      "UNAVAILABLE",        "service_unavailable"),
            Self::Timeout               => (504, "server_error",          "timeout",                "timeout_error",         "DEADLINE_EXCEEDED",  "timeout"),
            Self::NotCached             => (504, "invalid_request_error", "not_cached",             "not_found_error",       "NOT_FOUND",          "not_cached"),
        };
        Row { status, openai_type, code, anthropic_type, gemini_status, label }
    }
}

/// A refusal, born where the cause is known and turned into a reply in one place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    pub kind: Kind,
    /// Safe to show to the caller and to log: never a credential, never a part of a prompt.
    pub message: Cow<'static, str>,
    /// The request field at fault, as OpenAI writes it (`messages[0].role`).
    pub param: Option<Cow<'static, str>>,
    /// Narrower than the kind's own code, such as `missing_field`.
    pub code: Option<&'static str>,
    /// When the same request can pass.
    pub retry: Retry,
    /// A provider's own status, where it is narrower than the kind's.
    pub told: Option<u16>,
}

/// What a refusal says about trying again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Retry {
    /// Nothing; SDKs decide by the status.
    #[default]
    Unspecified,
    /// `retry-after` (whole seconds, rounded up) and `retry-after-ms`.
    AfterMillis(u64),
    /// `x-should-retry: false`: waiting does not help.
    Never,
}

impl Error {
    pub fn new(kind: Kind, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            message: message.into(),
            param: None,
            code: None,
            retry: Retry::Unspecified,
            told: None,
        }
    }

    #[must_use]
    pub fn param(self, param: impl Into<Cow<'static, str>>) -> Self {
        Self { param: Some(param.into()), ..self }
    }

    #[must_use]
    pub fn code(self, code: &'static str) -> Self {
        Self { code: Some(code), ..self }
    }

    #[must_use]
    pub fn retry(self, retry: Retry) -> Self {
        Self { retry, ..self }
    }

    /// The status of a provider's refusal stays.
    #[must_use]
    pub fn told_as(self, status: u16) -> Self {
        Self { told: Some(status), ..self }
    }

    pub fn status(&self) -> u16 {
        self.told.unwrap_or(self.kind.row().status)
    }

    /// The whole answer body as `dialect` writes it.
    pub fn body(&self, dialect: Dialect, request_id: &str) -> Vec<u8> {
        let value: Value = match dialect {
            Dialect::OpenAi => json!({ "error": self.openai() }),
            Dialect::Anthropic => json!({
                "type": "error",
                "error": { "type": self.kind.row().anthropic_type, "message": self.message },
                "request_id": request_id,
            }),
            Dialect::Ollama => json!({ "error": self.message }),
            Dialect::Gemini => json!({ "error": self.gemini() }),
        };
        value.to_string().into_bytes()
    }

    /// OpenAI's error object: all four keys, always.
    fn openai(&self) -> Value {
        let row = self.kind.row();
        json!({
            "message": self.message,
            "type": row.openai_type,
            "param": self.param,
            "code": self.code.unwrap_or(row.code),
        })
    }

    /// Gemini's error object, with the details that Google's clients know.
    fn gemini(&self) -> Value {
        let row = self.kind.row();
        let of = |kind: &str| format!("type.googleapis.com/google.rpc.{kind}");
        let mut details = vec![json!({
            "@type": of("ErrorInfo"),
            "reason": self.code.unwrap_or(row.code).to_ascii_uppercase(),
            "domain": "llm-gateway",
        })];
        if let Some(field) = &self.param {
            let violation = json!({ "field": field, "description": self.message });
            details.push(json!({ "@type": of("BadRequest"), "fieldViolations": [violation] }));
        }
        if let Retry::AfterMillis(millis) = self.retry {
            details.push(retry_info(millis));
        }
        json!({
            "code": self.status(),
            "message": self.message,
            "status": row.gemini_status,
            "details": details,
        })
    }
}

/// What Google's clients read of when to come back.
pub fn retry_info(millis: u64) -> Value {
    let delay = match (millis / 1000, millis % 1000) {
        (seconds, 0) => format!("{seconds}s"),
        (seconds, millis) => format!("{seconds}.{millis:03}s"),
    };
    json!({ "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openai_errors_have_all_four_keys() {
        let body = Error::new(Kind::ModelNotFound, "no \"x\"").body(Dialect::OpenAi, "id");
        let value: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            value,
            json!({"error": {"message": "no \"x\"", "type": "invalid_request_error", "param": null, "code": "model_not_found"}})
        );
    }

    #[test]
    fn gemini_errors_have_a_code_that_is_a_number_and_details_that_clients_read() {
        let error = Error::new(Kind::RequestLimit, "slow").param("model");
        let body = error.retry(Retry::AfterMillis(1_050)).body(Dialect::Gemini, "id");
        let value: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            value,
            json!({"error": {"code": 429, "message": "slow", "status": "RESOURCE_EXHAUSTED", "details": [
                {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "RATE_LIMIT_EXCEEDED", "domain": "llm-gateway"},
                {"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [{"field": "model", "description": "slow"}]},
                {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1.050s"},
            ]}})
        );
    }

    #[test]
    fn anthropic_errors_carry_the_request_id() {
        let body = Error::new(Kind::Authentication, "no key").body(Dialect::Anthropic, "req-1");
        let value: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            value,
            json!({"type": "error", "error": {"type": "authentication_error", "message": "no key"}, "request_id": "req-1"})
        );
    }
}
