//! Amazon Bedrock: the Converse API and the models that embed.

pub(crate) mod converse;
mod fields;
pub(crate) mod invoke;
mod request;

use serde_json::{Value, json};

use super::{
    call::{Call, Fault},
    frame::Event,
    shape::{Shape, Slip, What},
};

pub(crate) fn headers(call: &Call) -> Vec<(&'static str, String)> {
    let id = format!("{:08x}-0000-4000-8000-{:012x}", call.created as u32, call.number);
    vec![("x-amzn-requestid", id)]
}

pub(crate) fn error(fault: &Fault) -> Value {
    json!({"message": fault.message})
}

/// The kind of a refusal, which stands in a header.
pub(crate) fn error_headers(fault: &Fault) -> Vec<(&'static str, String)> {
    let kind = fault.code.unwrap_or(match fault.status {
        403 => "AccessDeniedException",
        404 => "ResourceNotFoundException",
        408 => "ModelTimeoutException",
        424 => "ModelErrorException",
        429 => "ThrottlingException",
        503 => "ServiceUnavailableException",
        500.. => "InternalServerException",
        _ => "ValidationException",
    });
    vec![(
        "x-amzn-errortype",
        format!("{kind}:http://internal.amazon.com/coral/com.amazon.bedrock/"),
    )]
}

pub(crate) fn error_event() -> Event {
    let message = "The system encountered an unexpected error during processing. Try again your \
        request.";
    Event::named("internalServerException", json!({"message": message}))
}

pub(crate) fn unknown_model() -> Fault {
    Fault::new(400, "The provided model identifier is invalid.")
}

pub(crate) fn unauthorized() -> Fault {
    let message = "The security token included in the request is invalid.";
    Fault::new(403, message).code("UnrecognizedClientException")
}

pub(crate) fn invalid_json() -> Fault {
    Fault::new(400, "Unable to parse the request body.").code("SerializationException")
}

fn check(shape: &Shape, value: &Value) -> Result<(), Fault> {
    shape.check(value).map_err(|slip: Slip| {
        let field = slip.field();
        let message = match slip.what {
            What::Unknown(_) => {
                format!("Malformed input request: #: extraneous key [{field}] is not permitted")
            }
            What::Missing(_) => format!(
                "1 validation error detected: Value null at '{field}' failed to satisfy \
                 constraint: Member must not be null"
            ),
            What::Not(expected) => format!(
                "1 validation error detected: Value at '{field}' failed to satisfy constraint: \
                 Member must be {expected}"
            ),
        };
        Fault::new(400, message)
    })
}
