//! The answer, whole and as the events of a stream.

use std::borrow::Cow;

use super::Block;
use crate::protocol::usage::Usage;
use crate::protocol::wire::{Nullable, Raw, object, tagged};

object! {
    pub struct MessageResponse<'a> {
        id: Cow<'a, str>,
        kind as "type": Option<Cow<'a, str>>,
        role: Option<Cow<'a, str>>,
        model: Option<Cow<'a, str>>,
        content: Vec<Block<'a>>,
        /// `end_turn`, `max_tokens`, `stop_sequence`, `tool_use`, `pause_turn`, `refusal`,
        /// `model_context_window_exceeded`
        stop_reason: Nullable<Cow<'a, str>>,
        stop_sequence: Nullable<Cow<'a, str>>,
        stop_details: Option<StopDetails<'a>>,
        usage: Option<Raw<'a>>,
    }
}

object! {
    /// Why the model refused.
    pub struct StopDetails<'a> {
        category: Option<Cow<'a, str>>,
        explanation: Option<Cow<'a, str>>,
    }
}

tagged! {
    /// Of a stream.
    pub enum Event<'a> by "type" {
        MessageStart(MessageStart<'a>) = "message_start",
        BlockStart(BlockStart<'a>) = "content_block_start",
        BlockDelta(BlockDelta<'a>) = "content_block_delta",
        BlockStop(BlockStop<'a>) = "content_block_stop",
        MessageDelta(MessageDelta<'a>) = "message_delta",
        MessageStop(MessageStop<'a>) = "message_stop",
        Error(ErrorEvent<'a>) = "error",
    }
}

object! {
    pub struct MessageStart<'a> {
        message: MessageResponse<'a>,
    }
}

object! {
    pub struct BlockStart<'a> {
        index: u64,
        content_block: Block<'a>,
    }
}

object! {
    pub struct BlockDelta<'a> {
        index: u64,
        delta: Delta<'a>,
    }
}

tagged! {
    /// What an event adds to a block.
    pub enum Delta<'a> by "type" {
        Text(TextDelta<'a>) = "text_delta",
        InputJson(InputJsonDelta<'a>) = "input_json_delta",
        Thinking(ThinkingDelta<'a>) = "thinking_delta",
        Signature(SignatureDelta<'a>) = "signature_delta",
    }
}

object! {
    pub struct TextDelta<'a> {
        text: Cow<'a, str>,
    }
}

object! {
    pub struct InputJsonDelta<'a> {
        partial_json: Cow<'a, str>,
    }
}

object! {
    pub struct ThinkingDelta<'a> {
        thinking: Cow<'a, str>,
    }
}

object! {
    pub struct SignatureDelta<'a> {
        signature: Cow<'a, str>,
    }
}

object! {
    pub struct BlockStop<'a> {
        index: u64,
    }
}

object! {
    pub struct MessageDelta<'a> {
        delta: End<'a>,
        /// Counts for the whole message so far.
        usage: Option<Raw<'a>>,
    }
}

object! {
    /// How a message ended.
    pub struct End<'a> {
        stop_reason: Nullable<Cow<'a, str>>,
        stop_sequence: Nullable<Cow<'a, str>>,
        stop_details: Option<StopDetails<'a>>,
    }
}

object! {
    pub struct MessageStop<'a> {}
}

object! {
    /// The body of a refusal, and the event that ends a stream instead of `message_stop`.
    pub struct ErrorEvent<'a> {
        error: Problem<'a>,
    }
}

object! {
    pub struct Problem<'a> {
        kind as "type": Option<Cow<'a, str>>,
        message: Option<Cow<'a, str>>,
    }
}

object! {
    /// Anthropic's way to count. Read it with [`Report`](crate::protocol::usage::Report).
    pub struct MessageUsage<'a> {
        /// What was neither read from a cache nor written to one.
        input_tokens: u64,
        cache_creation_input_tokens: Option<u64>,
        cache_read_input_tokens: Option<u64>,
        output_tokens: u64,
    }
}

impl From<Usage> for MessageUsage<'_> {
    fn from(usage: Usage) -> Self {
        let cached = usage.cached_input.saturating_add(usage.cache_write);
        let positive = |count: u64| (count > 0).then_some(count);
        Self {
            input_tokens: usage.input.saturating_sub(cached),
            cache_creation_input_tokens: positive(usage.cache_write),
            cache_read_input_tokens: positive(usage.cached_input),
            output_tokens: usage.output,
            ..Default::default()
        }
    }
}

impl Default for Block<'_> {
    fn default() -> Self {
        Self::Other(Raw::NULL)
    }
}

impl Default for Delta<'_> {
    fn default() -> Self {
        Self::Other(Raw::NULL)
    }
}
