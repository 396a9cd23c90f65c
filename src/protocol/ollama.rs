//! Ollama's own API: chat, generate and embeddings.

use std::borrow::Cow;

use super::openai::chat::FunctionTool;
use super::usage::{Count, Usage};
use super::wire::{Number, Raw, TextOr, object, tagged};

object! {
    /// `POST /api/chat`
    pub struct ChatRequest<'a> {
        model: Option<Cow<'a, str>>,
        messages: Vec<Message<'a>>,
        tools: Option<Vec<Tool<'a>>>,
        /// `"json"` or a JSON schema.
        format: Option<Raw<'a>>,
        options: Option<Options<'a>>,
        /// Absent means true.
        stream: Option<bool>,
        /// Whether to think, or `low`, `medium`, `high`.
        think: Option<TextOr<'a, bool>>,
        logprobs: Option<bool>,
    }
}

object! {
    /// `POST /api/generate`
    pub struct GenerateRequest<'a> {
        model: Option<Cow<'a, str>>,
        prompt: Option<Cow<'a, str>>,
        /// What is to come after the answer.
        suffix: Option<Cow<'a, str>>,
        system: Option<Cow<'a, str>>,
        /// Of the prompt, in Go's template language.
        template: Option<Cow<'a, str>>,
        /// The tokens of an earlier answer.
        context: Option<Raw<'a>>,
        /// The prompt is not to be put into a template.
        raw: Option<bool>,
        /// In base64.
        images: Option<Vec<Cow<'a, str>>>,
        format: Option<Raw<'a>>,
        options: Option<Options<'a>>,
        stream: Option<bool>,
        think: Option<TextOr<'a, bool>>,
        logprobs: Option<bool>,
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
        /// Negative: no bound.
        num_predict: Option<Number<'a>>,
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
        model: Option<Cow<'a, str>>,
        created_at: Option<Cow<'a, str>>,
        message: Option<Message<'a>>,
        /// What generate says, in place of a message.
        response: Option<Cow<'a, str>>,
        thinking: Option<Cow<'a, str>>,
        done: Option<bool>,
        /// `stop`, `length`, `load`
        done_reason: Option<Cow<'a, str>>,
        /// Absent where Ollama still knew the prompt.
        prompt_eval_count: Count,
        eval_count: Count,
        /// In nanoseconds, as the next three.
        total_duration: Option<u64>,
        load_duration: Option<u64>,
        prompt_eval_duration: Option<u64>,
        eval_duration: Option<u64>,
        /// Instead of all else.
        error: Option<Cow<'a, str>>,
    }
}

impl ChatResponse<'_> {
    /// `None` where nothing was counted, or what cannot be.
    pub fn usage(&self) -> Option<Usage> {
        let all = [self.prompt_eval_count, self.eval_count];
        if all.contains(&Count::Absurd) || all == [Count::Absent; 2] {
            return None;
        }
        let [input, output] = all.map(|count| count.get().unwrap_or_default());
        Some(Usage { input, output, ..Usage::default() })
    }
}

object! {
    /// `POST /api/embed`
    pub struct EmbedRequest<'a> {
        model: Option<Cow<'a, str>>,
        input: TextOr<'a, Vec<Cow<'a, str>>>,
        dimensions: Option<u64>,
        truncate: Option<bool>,
        options: Option<Raw<'a>>,
    }
}

object! {
    pub struct EmbedResponse<'a> {
        model: Option<Cow<'a, str>>,
        embeddings: Vec<Raw<'a>>,
        total_duration: Option<u64>,
        load_duration: Option<u64>,
        prompt_eval_count: Count,
    }
}
