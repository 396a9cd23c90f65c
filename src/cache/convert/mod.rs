//! The other form of a stored answer: a stream from JSON, JSON from a stream.
//!
//! A conversion is exact or it is refused. What a client collects from the stream is what the JSON
//! says, and the other way round: values are copied as they are written, never read and printed
//! again, and what nobody knows how to take apart or put together is an [`Obstacle`], so that the
//! request is a miss. How a provider would have cut its text into events cannot be known; the
//! pieces here are the tokens where the answer tells them, else a few kilobytes long.

mod chat;
mod gemini;
mod json;
mod merge;
mod messages;
mod ollama;
mod responses;
mod said;

use std::borrow::Cow;

use super::record::Form;
use crate::protocol::Operation;
use crate::protocol::sse::{self, Format};

/// Why an answer cannot be served in its other form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Obstacle {
    /// The operation has one form only.
    NoOtherForm,
    /// Not of the operation's format.
    Malformed,
    /// A member, an event or an item of which only one form is known.
    Unknown,
    /// Parts of a stream that tell different things of the whole.
    Conflict,
    /// The answer never ends.
    Unfinished,
    /// A stream whose usage was not asked for, which JSON always has.
    NoUsage,
    /// The other form would be larger than [`MAX_BYTES`].
    TooLarge,
}

/// The answer to `operation` in the form that `body` is not in. `usage` is whether the client of a
/// chat or text completion asked for the usage event of a stream; JSON always has its usage.
pub fn convert(
    operation: Operation,
    from: Form,
    body: &[u8],
    usage: bool,
) -> Result<Vec<u8>, Obstacle> {
    use Operation::{
        Chat, Completion, GeminiGenerate, GeminiStream, Messages, OllamaChat, OllamaGenerate,
        Responses,
    };
    let body = std::str::from_utf8(body).map_err(|_| Obstacle::Malformed)?;
    let body = match from {
        Form::Json => one_line(body),
        Form::Stream => body.into(),
    };
    let body = &*body;
    let converted = match (operation, from) {
        (Chat | Completion, Form::Json) => chat::to_stream(operation, body, usage),
        (Chat | Completion, Form::Stream) => chat::to_json(operation, body),
        (Responses, Form::Json) => responses::to_stream(body),
        (Responses, Form::Stream) => responses::to_json(body),
        (Messages, Form::Json) => messages::to_stream(body),
        (Messages, Form::Stream) => messages::to_json(body),
        (OllamaChat | OllamaGenerate, Form::Json) => ollama::to_stream(operation, body),
        (OllamaChat | OllamaGenerate, Form::Stream) => ollama::to_json(body),
        (GeminiGenerate | GeminiStream, Form::Json) => gemini::to_stream(body),
        (GeminiGenerate | GeminiStream, Form::Stream) => gemini::to_json(body),
        _ => Err(Obstacle::NoOtherForm),
    }?;
    if converted.len() > MAX_BYTES { Err(Obstacle::TooLarge) } else { Ok(converted.into_bytes()) }
}

/// JSON in a single line, as its values must be in the events of a stream. Line breaks stand
/// between its tokens only, for within a string they are escaped.
fn one_line(json: &str) -> Cow<'_, str> {
    match json.contains(['\n', '\r']) {
        true => json.replace(['\n', '\r'], " ").into(),
        false => json.into(),
    }
}

/// How an operation's answers in this form are labelled.
pub fn content_type(operation: Operation, form: Form) -> &'static str {
    match (operation, form) {
        (Operation::OllamaChat | Operation::OllamaGenerate, Form::Stream) => "application/x-ndjson",
        (_, Form::Stream) => "text/event-stream; charset=utf-8",
        (_, Form::Json) => "application/json",
    }
}

/// The names and data of the events of a whole stream. Data that is spread over lines, which no
/// provider sends, is malformed.
fn events(body: &str) -> impl Iterator<Item = Result<(&str, &str), Obstacle>> {
    sse::frames(Format::EventStream, body.as_bytes()).filter_map(|frame| {
        let event = sse::event(frame?)?;
        let std::borrow::Cow::Borrowed(data) = event.data else {
            return Some(Err(Obstacle::Malformed));
        };
        let text = |bytes| std::str::from_utf8(bytes).map_err(|_| Obstacle::Malformed);
        Some(text(event.name).and_then(|name| Ok((name, text(data)?))))
    })
}

/// The lines of a whole NDJSON body.
fn lines(body: &str) -> impl Iterator<Item = Result<&str, Obstacle>> {
    sse::frames(Format::JsonLines, body.as_bytes()).map(|frame| {
        let line = frame.and_then(|frame| std::str::from_utf8(frame).ok());
        line.map(str::trim).ok_or(Obstacle::Malformed)
    })
}

/// Bounds what one answer can grow to: parts of it are repeated in every event.
pub const MAX_BYTES: usize = 4 << 20;

#[cfg(test)]
mod tests;
