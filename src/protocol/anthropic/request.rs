//! `POST /v1/messages`

use std::borrow::Cow;

use super::{Block, TextBlock};
use crate::protocol::wire::{Number, Raw, TextOr, object, tagged, words};

object! {
    pub struct MessagesRequest<'a> {
        model: Option<Cow<'a, str>>,
        max_tokens: u64,
        system: Option<TextOr<'a, Vec<SystemBlock<'a>>>>,
        messages: Vec<Message<'a>>,
        stop_sequences: Option<Vec<Cow<'a, str>>>,
        stream: Option<bool>,
        temperature: Option<Number<'a>>,
        top_p: Option<Number<'a>>,
        top_k: Option<Number<'a>>,
        tools: Option<Vec<Tool<'a>>>,
        tool_choice: Option<ToolChoice<'a>>,
        thinking: Option<ThinkingConfig<'a>>,
        output_config: Option<OutputConfig<'a>>,
        metadata: Option<Metadata<'a>>,
    }
}

tagged! {
    pub enum SystemBlock<'a> by "type" {
        Text(TextBlock<'a>) = "text",
    }
}

object! {
    pub struct Message<'a> {
        role: Role,
        content: TextOr<'a, Vec<Block<'a>>>,
    }
}

words! {
    #[derive(Default)]
    pub enum Role {
        #[default]
        User = "user",
        Assistant = "assistant",
        /// In the midst of a conversation; newer models only.
        System = "system",
    }
}

object! {
    pub struct Tool<'a> {
        /// Absent or `custom` for a tool of the caller's; others run at the provider.
        kind as "type": Option<Cow<'a, str>>,
        name: Option<Cow<'a, str>>,
        description: Option<Cow<'a, str>>,
        /// A JSON schema.
        input_schema: Option<Raw<'a>>,
        strict: Option<bool>,
        cache_control: Option<Raw<'a>>,
    }
}

tagged! {
    pub enum ToolChoice<'a> by "type" {
        Auto(Choice<'a>) = "auto",
        Any(Choice<'a>) = "any",
        Tool(NamedChoice<'a>) = "tool",
        None(Choice<'a>) = "none",
    }
}

object! {
    pub struct Choice<'a> {
        disable_parallel_tool_use: Option<bool>,
    }
}

object! {
    pub struct NamedChoice<'a> {
        name: Cow<'a, str>,
        disable_parallel_tool_use: Option<bool>,
    }
}

tagged! {
    pub enum ThinkingConfig<'a> by "type" {
        Enabled(Budget<'a>) = "enabled",
        Adaptive(Adaptive<'a>) = "adaptive",
        Disabled(Plain<'a>) = "disabled",
    }
}

object! {
    pub struct Budget<'a> {
        budget_tokens: u64,
        display: Option<Cow<'a, str>>,
    }
}

object! {
    pub struct Adaptive<'a> {
        /// `summarized` or `omitted`.
        display: Option<Cow<'a, str>>,
    }
}

object! {
    /// Says nothing but its type.
    pub struct Plain<'a> {}
}

object! {
    pub struct OutputConfig<'a> {
        /// `low`, `medium`, `high`, `xhigh`, `max`
        effort: Option<Cow<'a, str>>,
        format: Option<OutputFormat<'a>>,
    }
}

tagged! {
    pub enum OutputFormat<'a> by "type" {
        JsonSchema(Schema<'a>) = "json_schema",
    }
}

object! {
    pub struct Schema<'a> {
        schema: Raw<'a>,
    }
}

object! {
    pub struct Metadata<'a> {
        user_id: Option<Cow<'a, str>>,
    }
}
