//! Events and how each streaming format writes them.

use serde_json::Value;

use super::control::{Controls, LineEnd};

/// One event of a streamed answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Event {
    /// The SSE `event` field.
    pub name: Option<&'static str>,
    pub data: Data,
    /// Whether the model needs time for it: it is preceded by the pause between tokens.
    pub token: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Data {
    Json(Value),
    Text(&'static str),
}

impl Event {
    pub(crate) fn new(data: Value) -> Self {
        Self { name: None, data: Data::Json(data), token: false }
    }

    pub(crate) fn named(name: &'static str, data: Value) -> Self {
        Self { name: Some(name), data: Data::Json(data), token: false }
    }

    pub(crate) fn text(text: &'static str) -> Self {
        Self { name: None, data: Data::Text(text), token: false }
    }

    #[must_use]
    pub(crate) fn token(self) -> Self {
        Self { token: true, ..self }
    }

    /// Adds a number to the data.
    pub(crate) fn number(&mut self, key: &str, number: usize) {
        if let Data::Json(data) = &mut self.data {
            data[key] = number.into();
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Sse,
    NdJson,
}

impl Framing {
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Sse => "text/event-stream; charset=utf-8",
            Self::NdJson => "application/x-ndjson",
        }
    }

    pub(super) fn write(self, event: &Event, controls: &Controls) -> Vec<u8> {
        let data = match &event.data {
            Data::Json(value) => value.to_string(),
            Data::Text(text) => (*text).to_owned(),
        };
        match self {
            Self::Sse => sse(event.name, &data, controls.line_end, controls.comments),
            Self::NdJson => (data + "\n").into_bytes(),
        }
    }
}

fn sse(name: Option<&str>, data: &str, line_end: LineEnd, comment: bool) -> Vec<u8> {
    let end = line_end.as_str();
    let mut out = String::new();
    if comment {
        out.extend([": keep-alive", end, end]);
    }
    if let Some(name) = name {
        out.extend(["event: ", name, end]);
    }
    out.extend(["data: ", data, end, end]);
    out.into_bytes()
}
