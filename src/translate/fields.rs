//! Fields that a provider has no word for: refused by name, or left out with a warning.

use std::borrow::Cow;

use crate::error::{Error, Kind};
use crate::protocol::wire::Rest;

/// Of more fields than this nothing is said.
pub(super) const MAX_WARNINGS: usize = 16;

/// The names of fields that were left out.
#[derive(Debug, Default)]
pub(super) struct Warnings(Vec<Cow<'static, str>>);

impl Warnings {
    pub(super) fn add(&mut self, field: impl Into<Cow<'static, str>>) {
        let field = field.into();
        if self.0.len() < MAX_WARNINGS && !self.0.contains(&field) {
            self.0.push(field);
        }
    }

    pub(super) fn add_if(&mut self, left_out: bool, field: &'static str) {
        if left_out {
            self.add(field);
        }
    }

    /// All members that have no field, unless they say nothing. The names are the caller's, so only
    /// plain ones are repeated.
    pub(super) fn rest(&mut self, rest: &Rest<'_>) {
        self.rest_of("", rest);
    }

    /// The same of an object within the request.
    pub(super) fn rest_of(&mut self, within: &str, rest: &Rest<'_>) {
        let dot = if within.is_empty() { "" } else { "." };
        for (name, value) in rest.iter() {
            let says_nothing = matches!(value.as_str(), "null" | "false" | "{}" | "[]");
            if !says_nothing && is_plain(&name) {
                self.add(format!("{within}{dot}{name}"));
            }
        }
    }

    /// A part of a list, whose kind is the caller's word. Each kind is named once.
    pub(super) fn add_kind(&mut self, field: String, kind: &str) {
        if !is_plain(kind) {
            return self.add(field);
        }
        let told = format!(" ({kind})");
        if !self.0.iter().any(|field| field.ends_with(&told)) {
            self.add(field + &told);
        }
    }

    pub(super) fn into_inner(self) -> Vec<Cow<'static, str>> {
        self.0
    }
}

/// The refusal of a field that would change the answer's meaning if it were left out.
pub(super) fn unsupported(field: impl Into<Cow<'static, str>>) -> Error {
    let field = field.into();
    let message = format!("Unsupported parameter: '{field}' is not supported with this model.");
    Error::new(Kind::InvalidRequest, message).param(field).code("unsupported_parameter")
}

/// The same of a part that is of a kind which the provider does not know.
pub(super) fn unsupported_type(field: impl Into<Cow<'static, str>>, kind: &str) -> Error {
    let error = unsupported(field);
    if !is_plain(kind) {
        return error;
    }
    let field = error.param.clone().unwrap_or_default();
    let message = format!(
        "Unsupported parameter: '{field}' is '{kind}', which is not supported with this model."
    );
    Error { message: message.into(), ..error }
}

/// The refusal of a value that the provider has no word for.
pub(super) fn invalid(field: impl Into<Cow<'static, str>>, rule: &str) -> Error {
    let field = field.into();
    let message = format!("Invalid value for '{field}': {rule}.");
    // Not one of the reader's codes: this is about the request, also where a stream says it.
    Error::new(Kind::InvalidRequest, message).param(field).code("unsupported_value")
}

/// The refusal of a request that lacks what the provider needs.
pub(super) fn missing(field: String) -> Error {
    Error::new(Kind::InvalidRequest, format!("Missing required parameter: '{field}'."))
        .param(field)
        .code("missing_required_parameter")
}

/// A word of the caller's that may be repeated.
fn is_plain(word: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    (1..=64).contains(&word.len()) && word.bytes().all(plain)
}

/// Refuses `field` if it asks for something.
pub(super) fn refuse(asks: bool, field: &'static str) -> Result<(), Error> {
    if asks { Err(unsupported(field)) } else { Ok(()) }
}
