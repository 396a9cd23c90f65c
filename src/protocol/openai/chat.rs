//! Chat completions: request, answer and the chunks of a stream.

use std::borrow::Cow;

use crate::protocol::usage::Usage;
use crate::protocol::wire::{Nullable, Number, Raw, TextOr, object, tagged, words};

object! {
    /// `POST /v1/chat/completions`
    pub struct ChatCompletionRequest<'a> {
        model: Option<Cow<'a, str>>,
        messages: Vec<Message<'a>>,
        stream: Option<bool>,
        stream_options: Option<StreamOptions<'a>>,
        max_tokens: Option<u64>,
        /// The newer name of `max_tokens`, which it precedes.
        max_completion_tokens: Option<u64>,
        n: Option<u64>,
        stop: Option<TextOr<'a, Vec<Cow<'a, str>>>>,
        temperature: Option<Number<'a>>,
        top_p: Option<Number<'a>>,
        /// No field of OpenAI's own; many servers know it.
        top_k: Option<Number<'a>>,
        presence_penalty: Option<Number<'a>>,
        frequency_penalty: Option<Number<'a>>,
        seed: Option<Number<'a>>,
        logit_bias: Option<Raw<'a>>,
        logprobs: Option<bool>,
        top_logprobs: Option<u64>,
        tools: Option<Vec<Tool<'a>>>,
        tool_choice: Option<TextOr<'a, ToolChoice<'a>>>,
        parallel_tool_calls: Option<bool>,
        /// What `tools` was called before.
        functions: Option<Vec<Function<'a>>>,
        function_call: Option<TextOr<'a, NamedFunction<'a>>>,
        response_format: Option<ResponseFormat<'a>>,
        reasoning_effort: Option<Cow<'a, str>>,
        /// No field of OpenAI's own: Anthropic's, which its models' users send.
        thinking: Option<Raw<'a>>,
        modalities: Option<Vec<Cow<'a, str>>>,
        audio: Option<Raw<'a>>,
        web_search_options: Option<Raw<'a>>,
        user: Option<Cow<'a, str>>,
        safety_identifier: Option<Cow<'a, str>>,
    }
}

object! {
    pub struct StreamOptions<'a> {
        include_usage: Option<bool>,
    }
}

object! {
    /// One turn of a conversation.
    pub struct Message<'a> {
        role: Role,
        content: Option<TextOr<'a, Vec<Part<'a>>>>,
        name: Option<Cow<'a, str>>,
        refusal: Option<Cow<'a, str>>,
        /// What the model thought, where the server tells. DeepSeek's name, which most took over.
        reasoning_content: Option<Cow<'a, str>>,
        /// Anthropic's thinking with its signatures, which must come back unchanged with the next
        /// request. LiteLLM's name.
        thinking_blocks: Option<Vec<Raw<'a>>>,
        tool_calls: Option<Vec<ToolCall<'a>>>,
        /// Of a tool's result: which call it answers.
        tool_call_id: Option<Cow<'a, str>>,
        /// What `tool_calls` was called before.
        function_call: Option<FunctionCall<'a>>,
        /// Anthropic's mark that the prompt up to here is to be cached, which its users send.
        cache_control: Option<Raw<'a>>,
    }
}

words! {
    #[derive(Default)]
    pub enum Role {
        System = "system",
        Developer = "developer",
        #[default]
        User = "user",
        Assistant = "assistant",
        Tool = "tool",
        Function = "function",
    }
}

tagged! {
    /// A part of a message's content.
    pub enum Part<'a> by "type" {
        Text(TextPart<'a>) = "text",
        Refusal(RefusalPart<'a>) = "refusal",
        Image(ImagePart<'a>) = "image_url",
        Audio(AudioPart<'a>) = "input_audio",
        File(FilePart<'a>) = "file",
    }
}

object! {
    pub struct TextPart<'a> {
        text: Cow<'a, str>,
        cache_control: Option<Raw<'a>>,
    }
}

object! {
    pub struct RefusalPart<'a> {
        refusal: Cow<'a, str>,
    }
}

object! {
    pub struct ImagePart<'a> {
        image_url: ImageUrl<'a>,
        cache_control: Option<Raw<'a>>,
    }
}

object! {
    pub struct ImageUrl<'a> {
        /// Also a `data:` URL.
        url: Cow<'a, str>,
        detail: Option<Cow<'a, str>>,
    }
}

object! {
    pub struct AudioPart<'a> {
        input_audio: InputAudio<'a>,
    }
}

object! {
    pub struct InputAudio<'a> {
        /// In base64.
        data: Cow<'a, str>,
        /// `wav` or `mp3`.
        format: Cow<'a, str>,
    }
}

object! {
    pub struct FilePart<'a> {
        file: File<'a>,
        cache_control: Option<Raw<'a>>,
    }
}

object! {
    pub struct File<'a> {
        /// A `data:` URL.
        file_data: Option<Cow<'a, str>>,
        file_id: Option<Cow<'a, str>>,
        filename: Option<Cow<'a, str>>,
    }
}

tagged! {
    pub enum Tool<'a> by "type" {
        Function(FunctionTool<'a>) = "function",
        Custom(CustomTool<'a>) = "custom",
    }
}

object! {
    /// A tool that takes a text instead of JSON.
    pub struct CustomTool<'a> {
        custom: Custom<'a>,
        cache_control: Option<Raw<'a>>,
    }
}

object! {
    pub struct Custom<'a> {
        name: Cow<'a, str>,
        description: Option<Cow<'a, str>>,
        format: Option<CustomFormat<'a>>,
    }
}

object! {
    pub struct CustomFormat<'a> {
        grammar: Option<Grammar<'a>>,
    }
}

object! {
    /// What the text of a custom tool has to look like.
    pub struct Grammar<'a> {
        /// `lark` or `regex`
        syntax: Option<Cow<'a, str>>,
        definition: Option<Cow<'a, str>>,
    }
}

object! {
    pub struct FunctionTool<'a> {
        function: Function<'a>,
        cache_control: Option<Raw<'a>>,
    }
}

object! {
    pub struct Function<'a> {
        name: Cow<'a, str>,
        description: Option<Cow<'a, str>>,
        /// A JSON schema.
        parameters: Option<Raw<'a>>,
        strict: Option<bool>,
    }
}

tagged! {
    /// The object form; the text form is `none`, `auto` or `required`.
    pub enum ToolChoice<'a> by "type" {
        Function(FunctionChoice<'a>) = "function",
        Custom(CustomChoice<'a>) = "custom",
        Allowed(AllowedChoice<'a>) = "allowed_tools",
    }
}

object! {
    pub struct FunctionChoice<'a> {
        function: NamedFunction<'a>,
    }
}

object! {
    pub struct CustomChoice<'a> {
        custom: NamedFunction<'a>,
    }
}

object! {
    pub struct NamedFunction<'a> {
        name: Cow<'a, str>,
    }
}

object! {
    pub struct AllowedChoice<'a> {
        allowed_tools: AllowedTools<'a>,
    }
}

object! {
    pub struct AllowedTools<'a> {
        /// `auto` or `required`.
        mode: Cow<'a, str>,
        tools: Vec<ToolChoice<'a>>,
    }
}

tagged! {
    /// The model's wish to call a tool.
    pub enum ToolCall<'a> by "type" or "function" {
        Function(FunctionToolCall<'a>) = "function",
        Custom(CustomToolCall<'a>) = "custom",
    }
}

object! {
    pub struct CustomToolCall<'a> {
        id: Cow<'a, str>,
        custom: CustomCall<'a>,
    }
}

object! {
    pub struct CustomCall<'a> {
        name: Cow<'a, str>,
        input: Cow<'a, str>,
    }
}

object! {
    pub struct FunctionToolCall<'a> {
        id: Cow<'a, str>,
        function: FunctionCall<'a>,
    }
}

object! {
    pub struct FunctionCall<'a> {
        name: Cow<'a, str>,
        /// A JSON object within a text.
        arguments: Cow<'a, str>,
    }
}

tagged! {
    pub enum ResponseFormat<'a> by "type" {
        Text(Plain<'a>) = "text",
        JsonObject(Plain<'a>) = "json_object",
        JsonSchema(SchemaFormat<'a>) = "json_schema",
    }
}

object! {
    /// Says nothing but its type.
    pub struct Plain<'a> {}
}

object! {
    pub struct SchemaFormat<'a> {
        json_schema: JsonSchema<'a>,
    }
}

object! {
    pub struct JsonSchema<'a> {
        name: Cow<'a, str>,
        description: Option<Cow<'a, str>>,
        schema: Option<Raw<'a>>,
        strict: Option<bool>,
    }
}

object! {
    /// The answer that is no stream.
    pub struct ChatCompletionResponse<'a> {
        id: Option<Cow<'a, str>>,
        object: Option<Cow<'a, str>>,
        /// Seconds since 1970.
        created: Option<u64>,
        model: Option<Cow<'a, str>>,
        choices: Vec<Choice<'a>>,
        usage: Option<Raw<'a>>,
    }
}

object! {
    pub struct Choice<'a> {
        index: Option<u64>,
        message: Answer<'a>,
        logprobs: Option<Raw<'a>>,
        /// `stop`, `length`, `tool_calls`, `content_filter`, `function_call`
        finish_reason: Option<Cow<'a, str>>,
    }
}

object! {
    /// What the model says: a [`Message`] whose content is a text or nothing. Mistral's models that
    /// think say it in parts.
    pub struct Answer<'a> {
        role: Option<Cow<'a, str>>,
        content: Nullable<TextOr<'a, Vec<AnswerPart<'a>>>>,
        refusal: Nullable<Cow<'a, str>>,
        reasoning_content: Option<Cow<'a, str>>,
        /// OpenRouter's and newer vLLM's name of `reasoning_content`.
        reasoning: Option<Cow<'a, str>>,
        thinking_blocks: Option<Vec<Raw<'a>>>,
        tool_calls: Option<Vec<ToolCall<'a>>>,
        function_call: Option<FunctionCall<'a>>,
    }
}

tagged! {
    pub enum AnswerPart<'a> by "type" {
        Text(TextPart<'a>) = "text",
        Refusal(RefusalPart<'a>) = "refusal",
        Thinking(ThinkingPart<'a>) = "thinking",
    }
}

object! {
    pub struct ThinkingPart<'a> {
        thinking: TextOr<'a, Vec<AnswerPart<'a>>>,
    }
}

object! {
    /// One event of a stream.
    pub struct ChatCompletionChunk<'a> {
        id: Option<Cow<'a, str>>,
        object: Option<Cow<'a, str>>,
        created: Option<u64>,
        model: Option<Cow<'a, str>>,
        choices: Option<Vec<ChunkChoice<'a>>>,
        usage: Option<Raw<'a>>,
        /// Instead of all else: the stream has failed.
        error: Option<Raw<'a>>,
    }
}

object! {
    pub struct ChunkChoice<'a> {
        index: Option<u64>,
        delta: Option<Delta<'a>>,
        logprobs: Option<Raw<'a>>,
        finish_reason: Nullable<Cow<'a, str>>,
    }
}

object! {
    /// What an event adds to the answer.
    pub struct Delta<'a> {
        role: Option<Cow<'a, str>>,
        content: Option<TextOr<'a, Vec<AnswerPart<'a>>>>,
        refusal: Option<Cow<'a, str>>,
        reasoning_content: Option<Cow<'a, str>>,
        reasoning: Option<Cow<'a, str>>,
        thinking_blocks: Option<Vec<Raw<'a>>>,
        tool_calls: Option<Vec<ToolCallDelta<'a>>>,
    }
}

object! {
    /// The first piece of a call has its id and name, the others more of its arguments.
    pub struct ToolCallDelta<'a> {
        index: Option<u64>,
        id: Option<Cow<'a, str>>,
        kind as "type": Option<Cow<'a, str>>,
        function: Option<FunctionDelta<'a>>,
        custom: Option<CustomDelta<'a>>,
    }
}

object! {
    pub struct CustomDelta<'a> {
        name: Option<Cow<'a, str>>,
        input: Option<Cow<'a, str>>,
    }
}

object! {
    pub struct FunctionDelta<'a> {
        name: Option<Cow<'a, str>>,
        arguments: Option<Cow<'a, str>>,
    }
}

object! {
    /// OpenAI's way to count. Read it with [`Report`](crate::protocol::usage::Report).
    pub struct CompletionUsage<'a> {
        prompt_tokens: u64,
        completion_tokens: u64,
        total_tokens: u64,
        prompt_tokens_details: Option<PromptTokensDetails<'a>>,
        completion_tokens_details: Option<CompletionTokensDetails<'a>>,
    }
}

object! {
    pub struct PromptTokensDetails<'a> {
        cached_tokens: Option<u64>,
        cache_write_tokens: Option<u64>,
    }
}

object! {
    pub struct CompletionTokensDetails<'a> {
        reasoning_tokens: Option<u64>,
    }
}

impl From<Usage> for CompletionUsage<'_> {
    fn from(usage: Usage) -> Self {
        let positive = |count: u64| (count > 0).then_some(count);
        Self {
            prompt_tokens: usage.input,
            completion_tokens: usage.output,
            total_tokens: usage.total(),
            prompt_tokens_details: (usage.cached_input > 0 || usage.cache_write > 0).then(|| {
                PromptTokensDetails {
                    cached_tokens: Some(usage.cached_input),
                    cache_write_tokens: positive(usage.cache_write),
                    ..Default::default()
                }
            }),
            completion_tokens_details: positive(usage.reasoning).map(|reasoning| {
                CompletionTokensDetails { reasoning_tokens: Some(reasoning), ..Default::default() }
            }),
            ..Default::default()
        }
    }
}

#[cfg(test)]
mod tests;
