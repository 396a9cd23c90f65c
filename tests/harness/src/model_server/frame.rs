//! Events and how each streaming format writes them.

use bytes::BufMut as _;
use serde_json::Value;

use super::control::{Controls, LineEnd};

/// One event of a streamed answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Event {
    /// The SSE `event` field, the `:event-type` of an event stream.
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
    /// One list that grows by an item for each event.
    JsonList,
    /// AWS's binary messages.
    EventStream,
}

/// Where an event stands in its stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub first: bool,
    pub last: bool,
}

impl Framing {
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Sse => "text/event-stream; charset=utf-8",
            Self::NdJson => "application/x-ndjson",
            Self::JsonList => "application/json; charset=UTF-8",
            Self::EventStream => "application/vnd.amazon.eventstream",
        }
    }

    pub(super) fn write(self, event: &Event, place: Place, controls: &Controls) -> Vec<u8> {
        let data = match &event.data {
            Data::Json(value) => value.to_string(),
            Data::Text(text) => (*text).to_owned(),
        };
        match self {
            Self::Sse => sse(event.name, &data, controls.line_end, controls.comments),
            Self::NdJson => (data + "\n").into_bytes(),
            Self::JsonList => {
                let (before, after) =
                    (if place.first { "[" } else { ",\r\n" }, if place.last { "]" } else { "" });
                [before, &data, after].concat().into_bytes()
            }
            Self::EventStream => message(event.name.unwrap_or_default(), data.as_bytes()),
        }
    }
}

/// Lengths, their checksum, headers, payload, the checksum of all. What is named an exception is
/// one.
fn message(name: &str, payload: &[u8]) -> Vec<u8> {
    let is_exception = name.ends_with("Exception");
    let (kind, key) = match is_exception {
        true => ("exception", ":exception-type"),
        false => ("event", ":event-type"),
    };
    let mut headers = Vec::new();
    for (key, value) in
        [(key, name), (":content-type", "application/json"), (":message-type", kind)]
    {
        headers.put_u8(key.len() as u8);
        headers.put_slice(key.as_bytes());
        headers.put_u8(TEXT);
        headers.put_u16(value.len() as u16);
        headers.put_slice(value.as_bytes());
    }
    let mut out = Vec::new();
    out.put_u32((PRELUDE + headers.len() + payload.len() + CHECKSUM) as u32);
    out.put_u32(headers.len() as u32);
    out.put_u32(crc32fast::hash(&out));
    out.put_slice(&headers);
    out.put_slice(payload);
    out.put_u32(crc32fast::hash(&out));
    out
}

/// The type of a header's value.
const TEXT: u8 = 7;
const PRELUDE: usize = 12;
const CHECKSUM: usize = 4;

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
