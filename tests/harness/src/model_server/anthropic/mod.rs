//! Anthropic's API.

mod check;
pub(crate) mod messages;
pub(crate) mod models;

use serde_json::{Value, json};

use super::{
    call::{Call, Fault},
    frame::Event,
};

pub(crate) fn headers(call: &Call) -> Vec<(&'static str, String)> {
    vec![("request-id", call.id("req_")), ("anthropic-organization-id", "sim".to_owned())]
}

pub(crate) fn error(fault: &Fault, call: &Call) -> Value {
    let kind = match fault.status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        529 => "overloaded_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    };
    json!({"type": "error", "error": {"type": kind, "message": fault.message},
        "request_id": call.id("req_")})
}

pub(crate) fn error_event() -> Event {
    let error = json!({"type": "overloaded_error", "message": "Overloaded"});
    Event::named("error", json!({"type": "error", "error": error}))
}

pub(crate) fn unknown_model(model: &str) -> Fault {
    Fault::new(404, format!("model: {model}"))
}

pub(crate) fn unauthorized() -> Fault {
    Fault::new(401, "invalid x-api-key")
}

pub(crate) fn invalid_json() -> Fault {
    Fault::new(400, "The request body is not valid JSON: expected value at line 1 column 1")
}
