//! Anthropic's messages API: request, answer and the events of a stream. Counts are in
//! [`usage`](super::usage).

pub mod answer;
pub mod request;

pub use answer::{Event, MessageResponse};
pub use request::MessagesRequest;

use std::borrow::Cow;

use crate::protocol::wire::{Raw, TextOr, object, tagged};

tagged! {
    /// A part of a message, asked or answered.
    pub enum Block<'a> by "type" {
        Text(TextBlock<'a>) = "text",
        Image(ImageBlock<'a>) = "image",
        Document(DocumentBlock<'a>) = "document",
        ToolUse(ToolUse<'a>) = "tool_use",
        ToolResult(ToolResult<'a>) = "tool_result",
        Thinking(Thinking<'a>) = "thinking",
        RedactedThinking(RedactedThinking<'a>) = "redacted_thinking",
    }
}

object! {
    pub struct TextBlock<'a> {
        text: Cow<'a, str>,
        cache_control: Option<Raw<'a>>,
    }
}

object! {
    pub struct ImageBlock<'a> {
        source: Source<'a>,
        cache_control: Option<Raw<'a>>,
    }
}

object! {
    pub struct DocumentBlock<'a> {
        source: Source<'a>,
        title: Option<Cow<'a, str>>,
        context: Option<Cow<'a, str>>,
        cache_control: Option<Raw<'a>>,
    }
}

tagged! {
    /// Where an image or a document comes from.
    pub enum Source<'a> by "type" {
        Base64(DataSource<'a>) = "base64",
        Text(DataSource<'a>) = "text",
        Url(UrlSource<'a>) = "url",
    }
}

impl Default for Source<'_> {
    fn default() -> Self {
        Self::Other(Raw::NULL)
    }
}

object! {
    pub struct DataSource<'a> {
        media_type: Cow<'a, str>,
        data: Cow<'a, str>,
    }
}

object! {
    pub struct UrlSource<'a> {
        url: Cow<'a, str>,
    }
}

object! {
    /// The model's wish to call a tool.
    pub struct ToolUse<'a> {
        id: Cow<'a, str>,
        name: Cow<'a, str>,
        /// A JSON object.
        input: Raw<'a>,
        cache_control: Option<Raw<'a>>,
    }
}

object! {
    pub struct ToolResult<'a> {
        tool_use_id: Cow<'a, str>,
        content: Option<TextOr<'a, Vec<Block<'a>>>>,
        is_error: Option<bool>,
        cache_control: Option<Raw<'a>>,
    }
}

object! {
    pub struct Thinking<'a> {
        thinking: Cow<'a, str>,
        /// By which the provider knows its own thinking again.
        signature: Option<Cow<'a, str>>,
    }
}

object! {
    pub struct RedactedThinking<'a> {
        data: Cow<'a, str>,
    }
}

#[cfg(test)]
mod tests;
