//! Google's Gemini API.

pub(crate) mod embed;
mod fields;
pub(crate) mod generate;
pub(crate) mod models;
mod request;

use serde_json::{Value, json};

use super::{
    call::{Call, Fault},
    frame::Event,
    shape::{Shape, Slip, What},
};

/// `{"error": ...}`; within a list where the request wants its stream as one.
pub(crate) fn error(fault: &Fault, call: &Call) -> Value {
    let error = problem(fault.status, &fault.message, fault.code);
    match generate::is_list(call) {
        true => json!([error]),
        false => error,
    }
}

pub(crate) fn error_event() -> Event {
    Event::new(problem(503, "The model is overloaded. Please try again later.", None))
}

fn problem(status: u16, message: &str, reason: Option<&str>) -> Value {
    let name = match status {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        409 => "ABORTED",
        429 => "RESOURCE_EXHAUSTED",
        499 => "CANCELLED",
        503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        500.. => "INTERNAL",
        _ => "INVALID_ARGUMENT",
    };
    let mut error = json!({"code": status, "message": message, "status": name});
    if let Some(reason) = reason {
        error["details"] = json!([{"@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": reason, "domain": "googleapis.com",
            "metadata": {"service": "generativelanguage.googleapis.com"}}]);
    }
    if status == 429 {
        error["details"] = json!([{"@type": "type.googleapis.com/google.rpc.RetryInfo",
            "retryDelay": "1s"}]);
    }
    json!({"error": error})
}

pub(crate) fn unknown_model(model: &str) -> Fault {
    let message = format!(
        "models/{model} is not found for API version v1beta, or is not supported for \
         generateContent. Call ListModels to see the list of available models and their supported \
         methods."
    );
    Fault::new(404, message)
}

/// A wrong key is a mistake of the request's here; only no key at all is forbidden.
pub(crate) fn unauthorized(call: &Call) -> Fault {
    if keys(call).next().is_none() {
        let message = "Method doesn't allow unregistered callers (callers without established \
            identity). Please use API Key or other form of API consumer identity to call this API.";
        return Fault::new(403, message);
    }
    Fault::new(400, "API key not valid. Please pass a valid API key.").code("API_KEY_INVALID")
}

/// What the request brings as a key.
pub(crate) fn keys(call: &Call) -> impl Iterator<Item = &str> {
    call.header("x-goog-api-key").into_iter().chain(call.parameter("key"))
}

pub(crate) fn invalid_json() -> Fault {
    Fault::new(400, "Invalid JSON payload received. Unexpected token.\n\n^")
}

/// The value with the names that are published; Google also reads `names_like_this`.
fn checked(shape: &Shape, value: &Value) -> Result<Value, Fault> {
    let mut value = value.clone();
    shape.camel(&mut value);
    shape.check(&value).map(|()| value).map_err(|Slip { at, what }| {
        let message = match what {
            What::Unknown(name) => {
                let place = if at.is_empty() { String::new() } else { format!(" at '{at}'") };
                format!(
                    "Invalid JSON payload received. Unknown name \"{name}\"{place}: Cannot find field."
                )
            }
            What::Missing(name) => format!("* {at}.{name}: {name} is not specified\n"),
            What::Not(expected) => format!("Invalid value at '{at}': expected {expected}"),
        };
        Fault::new(400, message)
    })
}

/// `gemini-2.5-flash`: (2, 5). Without a number it is a new one.
fn version(model: &str) -> (u32, u32) {
    let number = |text: &str| text.parse().ok();
    let mut parts = model.split('-').filter_map(|part| {
        let (major, minor) = part.split_once('.').unwrap_or((part, "0"));
        Some((number(major)?, number(minor)?))
    });
    parts.next().unwrap_or((u32::MAX, 0))
}
