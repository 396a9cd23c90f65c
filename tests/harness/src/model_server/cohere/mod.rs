//! Cohere's API, version 2.

pub(crate) mod chat;
pub(crate) mod embed;
mod request;

use serde_json::{Value, json};

use super::{
    call::{Call, Fault},
    frame::Event,
    shape::{Shape, What},
};

pub(crate) fn headers(call: &Call) -> Vec<(&'static str, String)> {
    vec![("x-debug-trace-id", call.id(""))]
}

pub(crate) fn error(fault: &Fault, call: &Call) -> Value {
    json!({"id": id(call), "message": fault.message})
}

pub(crate) fn error_event() -> Event {
    let end = json!({"type": "message-end", "delta": {"finish_reason": "ERROR",
        "error": "an internal error has occurred while generating the response"}});
    Event::named("message-end", end)
}

pub(crate) fn unknown_model(model: &str) -> Fault {
    let message = format!(
        "model '{model}' not found, make sure the correct model ID was used and that you have \
         access to the model."
    );
    Fault::new(404, message)
}

pub(crate) fn unauthorized() -> Fault {
    Fault::new(401, "invalid api token")
}

pub(crate) fn invalid_json() -> Fault {
    Fault::new(400, "invalid json syntax: invalid character looking for beginning of value")
}

fn id(call: &Call) -> String {
    format!("{:08x}-0000-4000-8000-{:012x}", call.created as u32, call.number)
}

fn check(shape: &Shape, value: &Value) -> Result<(), Fault> {
    shape.check(value).map_err(|slip| {
        let field = slip.field();
        let message = match slip.what {
            What::Unknown(_) => {
                format!("unknown field: parameter '{field}' is not a valid field")
            }
            What::Missing(_) => format!("invalid request: {field} is a required field"),
            What::Not(expected) => format!("invalid request: {field} must be {expected}"),
        };
        Fault::new(400, message)
    })
}
