//! Mistakes in a request, named by their field and in OpenAI's manner. No value is ever repeated.

use std::borrow::Cow;

use crate::error::{Error, Kind as ErrorKind};
use crate::protocol::json::Kind;

/// The error for a body that lacks a required field.
pub fn missing(field: &'static str) -> Error {
    missing_at(field.into())
}

pub(crate) fn not_an_object(kind: Kind) -> Error {
    let message = format!(
        "We could not parse the JSON body of your request: it must be an object, but is {}.",
        kind.words()
    );
    Error::new(ErrorKind::InvalidRequest, message).code("invalid_json")
}

pub(crate) fn missing_at(field: Cow<'static, str>) -> Error {
    Error::new(ErrorKind::InvalidRequest, format!("Missing required parameter: '{field}'."))
        .param(field)
        .code("missing_field")
}

pub(crate) fn invalid_type(
    field: impl Into<Cow<'static, str>>,
    expected: &str,
    kind: Kind,
) -> Error {
    let field = field.into();
    let got = kind.words();
    Error::new(
        ErrorKind::InvalidRequest,
        format!("Invalid type for '{field}': expected {expected}, but got {got} instead."),
    )
    .param(field)
    .code("invalid_type")
}

pub(crate) fn invalid_value(field: impl Into<Cow<'static, str>>, rule: &str) -> Error {
    let field = field.into();
    Error::new(ErrorKind::InvalidRequest, format!("Invalid value for '{field}': {rule}."))
        .param(field)
        .code("invalid_value")
}

pub(crate) fn twice(field: impl Into<Cow<'static, str>>) -> Error {
    let field = field.into();
    Error::new(ErrorKind::InvalidRequest, format!("Duplicate parameter: '{field}'."))
        .param(field)
        .code("duplicate_field")
}
