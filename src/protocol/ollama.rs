//! Ollama's own API: chat and embeddings.

use std::borrow::Cow;

use super::openai::chat::FunctionTool;
use super::usage::Usage;
use super::wire::{Number, Raw, TextOr, object, tagged};

object! {
    /// `POST /api/chat`
    pub struct ChatRequest<'a> {
        model: Cow<'a, str>,
        messages: Vec<Message<'a>>,
        tools: Option<Vec<Tool<'a>>>,
        /// `"json"` or a JSON schema.
        format: Option<Raw<'a>>,
        options: Option<Options<'a>>,
        /// Absent means true.
        stream: Option<bool>,
        /// Whether to think, or `low`, `medium`, `high`.
        think: Option<TextOr<'a, bool>>,
    }
}

tagged! {
    /// The same as OpenAI's.
    pub enum Tool<'a> by "type" or "function" {
        Function(FunctionTool<'a>) = "function",
    }
}

object! {
    pub struct Message<'a> {
        /// `system`, `user`, `assistant`, `tool`
        role: Option<Cow<'a, str>>,
        content: Option<Cow<'a, str>>,
        thinking: Option<Cow<'a, str>>,
        /// In base64.
        images: Option<Vec<Cow<'a, str>>>,
        tool_calls: Option<Vec<ToolCall<'a>>>,
        /// Of a tool's result: the tool.
        tool_name: Option<Cow<'a, str>>,
        /// Of a tool's result: the call. Newer than `tool_name`.
        tool_call_id: Option<Cow<'a, str>>,
    }
}

object! {
    pub struct ToolCall<'a> {
        /// Newer versions only.
        id: Option<Cow<'a, str>>,
        function: Function<'a>,
    }
}

object! {
    pub struct Function<'a> {
        name: Cow<'a, str>,
        /// A JSON object.
        arguments: Option<Raw<'a>>,
    }
}

object! {
    pub struct Options<'a> {
        num_predict: Option<u64>,
        stop: Option<Vec<Cow<'a, str>>>,
        temperature: Option<Number<'a>>,
        top_p: Option<Number<'a>>,
        top_k: Option<Number<'a>>,
        seed: Option<Number<'a>>,
        presence_penalty: Option<Number<'a>>,
        frequency_penalty: Option<Number<'a>>,
    }
}

object! {
    /// The whole answer, and each line of a stream.
    pub struct ChatResponse<'a> {
        message: Option<Message<'a>>,
        done: Option<bool>,
        /// `stop`, `length`, `load`
        done_reason: Option<Cow<'a, str>>,
        /// Absent where Ollama still knew the prompt.
        prompt_eval_count: Option<u64>,
        eval_count: Option<u64>,
        /// Instead of all else.
        error: Option<Cow<'a, str>>,
    }
}

impl ChatResponse<'_> {
    /// `None` where nothing was counted.
    pub fn usage(&self) -> Option<Usage> {
        self.eval_count.or(self.prompt_eval_count).map(|_| Usage {
            input: self.prompt_eval_count.unwrap_or_default(),
            output: self.eval_count.unwrap_or_default(),
            ..Usage::default()
        })
    }
}

object! {
    /// `POST /api/embed`
    pub struct EmbedRequest<'a> {
        model: Cow<'a, str>,
        input: Vec<Cow<'a, str>>,
        dimensions: Option<u64>,
    }
}

object! {
    pub struct EmbedResponse<'a> {
        embeddings: Vec<Raw<'a>>,
        prompt_eval_count: Option<u64>,
    }
}
