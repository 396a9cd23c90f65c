//! The responses API: request, answer and the items that both are made of.

use std::borrow::Cow;

use crate::error::Error;
use crate::protocol::json::Scanner;
use crate::protocol::usage::Usage;
use crate::protocol::wire::{
    Nullable, Number, Path, Raw, TextOr, Wire, object, tag, tagged, words,
};

object! {
    /// `POST /v1/responses`
    pub struct ResponsesRequest<'a> {
        model: Option<Cow<'a, str>>,
        input: Option<TextOr<'a, Vec<InputItem<'a>>>>,
        instructions: Option<Cow<'a, str>>,
        stream: Option<bool>,
        max_output_tokens: Option<u64>,
        temperature: Option<Number<'a>>,
        top_p: Option<Number<'a>>,
        top_logprobs: Option<u64>,
        tools: Option<Vec<Tool<'a>>>,
        tool_choice: Option<TextOr<'a, ToolChoice<'a>>>,
        parallel_tool_calls: Option<bool>,
        text: Option<TextConfig<'a>>,
        reasoning: Option<Reasoning<'a>>,
        previous_response_id: Option<Cow<'a, str>>,
        conversation: Option<Raw<'a>>,
        prompt: Option<Raw<'a>>,
        background: Option<bool>,
        metadata: Option<Raw<'a>>,
        user: Option<Cow<'a, str>>,
        safety_identifier: Option<Cow<'a, str>>,
    }
}

/// A part of the input. Messages need not say that they are.
#[derive(Clone, Debug, PartialEq)]
pub enum InputItem<'a> {
    Message(InputMessage<'a>),
    Item(Item<'a>),
}

impl<'a> Wire<'a> for InputItem<'a> {
    fn read(scanner: &mut Scanner<'a>, at: &Path<'_>) -> Result<Self, Error> {
        match tag(scanner, "type", at)?.as_deref() {
            None => Wire::read(scanner, at).map(Self::Message),
            Some(_) => Wire::read(scanner, at).map(Self::Item),
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Message(message) => message.write(out),
            Self::Item(item) => item.write(out),
        }
    }
}

tagged! {
    pub enum Item<'a> by "type" {
        Message(InputMessage<'a>) = "message",
        FunctionCall(FunctionCall<'a>) = "function_call",
        FunctionCallOutput(FunctionCallOutput<'a>) = "function_call_output",
        CustomToolCall(CustomToolCall<'a>) = "custom_tool_call",
        CustomToolCallOutput(FunctionCallOutput<'a>) = "custom_tool_call_output",
        Reasoning(ReasoningItem<'a>) = "reasoning",
    }
}

object! {
    pub struct InputMessage<'a> {
        role: Role,
        content: TextOr<'a, Vec<Part<'a>>>,
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
    }
}

tagged! {
    pub enum Part<'a> by "type" {
        InputText(TextPart<'a>) = "input_text",
        OutputText(OutputText<'a>) = "output_text",
        Refusal(Refusal<'a>) = "refusal",
        Image(ImagePart<'a>) = "input_image",
        File(FilePart<'a>) = "input_file",
    }
}

object! {
    pub struct TextPart<'a> {
        text: Cow<'a, str>,
    }
}

object! {
    pub struct ImagePart<'a> {
        image_url: Option<Cow<'a, str>>,
        file_id: Option<Cow<'a, str>>,
        detail: Option<Cow<'a, str>>,
    }
}

object! {
    pub struct FilePart<'a> {
        file_data: Option<Cow<'a, str>>,
        file_url: Option<Cow<'a, str>>,
        file_id: Option<Cow<'a, str>>,
        filename: Option<Cow<'a, str>>,
    }
}

object! {
    pub struct FunctionCallOutput<'a> {
        call_id: Cow<'a, str>,
        output: TextOr<'a, Vec<Part<'a>>>,
    }
}

tagged! {
    /// Others run at OpenAI, or are known to its models only.
    pub enum Tool<'a> by "type" {
        Function(FunctionTool<'a>) = "function",
        Custom(CustomTool<'a>) = "custom",
        Namespace(Namespace<'a>) = "namespace",
    }
}

object! {
    /// A tool that takes a text instead of JSON.
    pub struct CustomTool<'a> {
        name: Cow<'a, str>,
        description: Option<Cow<'a, str>>,
        format: Option<InputFormat<'a>>,
    }
}

object! {
    /// What the text of a custom tool has to look like.
    pub struct InputFormat<'a> {
        /// `lark` or `regex`
        syntax: Option<Cow<'a, str>>,
        definition: Option<Cow<'a, str>>,
    }
}

object! {
    /// Tools under a name of their own: two of them may hold tools of one name.
    pub struct Namespace<'a> {
        name: Cow<'a, str>,
        tools: Vec<Tool<'a>>,
    }
}

object! {
    pub struct FunctionTool<'a> {
        name: Cow<'a, str>,
        description: Option<Cow<'a, str>>,
        parameters: Option<Raw<'a>>,
        strict: Option<bool>,
    }
}

tagged! {
    /// The object form; the text form is `none`, `auto` or `required`.
    pub enum ToolChoice<'a> by "type" {
        Function(NamedFunction<'a>) = "function",
        Custom(NamedFunction<'a>) = "custom",
        Allowed(AllowedTools<'a>) = "allowed_tools",
    }
}

object! {
    pub struct NamedFunction<'a> {
        name: Cow<'a, str>,
        namespace: Option<Cow<'a, str>>,
    }
}

object! {
    pub struct AllowedTools<'a> {
        mode: Cow<'a, str>,
        tools: Vec<ToolChoice<'a>>,
    }
}

object! {
    pub struct TextConfig<'a> {
        format: Option<Format<'a>>,
        verbosity: Option<Cow<'a, str>>,
    }
}

tagged! {
    pub enum Format<'a> by "type" {
        Text(Plain<'a>) = "text",
        JsonObject(Plain<'a>) = "json_object",
        JsonSchema(JsonSchema<'a>) = "json_schema",
    }
}

object! {
    /// Says nothing but its type.
    pub struct Plain<'a> {}
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
    pub struct Reasoning<'a> {
        effort: Option<Cow<'a, str>>,
        summary: Option<Cow<'a, str>>,
    }
}

object! {
    /// The answer that is no stream, also within the events of a stream.
    pub struct ResponsesResponse<'a> {
        id: Cow<'a, str>,
        object: Option<Cow<'a, str>>,
        /// Seconds since 1970.
        created_at: Option<Number<'a>>,
        /// `completed`, `incomplete`, `failed`, `in_progress`
        status: Option<Cow<'a, str>>,
        error: Nullable<Raw<'a>>,
        incomplete_details: Nullable<IncompleteDetails<'a>>,
        model: Option<Cow<'a, str>>,
        output: Vec<OutputItem<'a>>,
        usage: Nullable<Raw<'a>>,
    }
}

object! {
    pub struct IncompleteDetails<'a> {
        /// `max_output_tokens` or `content_filter`
        reason: Option<Cow<'a, str>>,
    }
}

tagged! {
    pub enum OutputItem<'a> by "type" {
        Message(OutputMessage<'a>) = "message",
        FunctionCall(FunctionCall<'a>) = "function_call",
        CustomToolCall(CustomToolCall<'a>) = "custom_tool_call",
        Reasoning(ReasoningItem<'a>) = "reasoning",
    }
}

object! {
    pub struct OutputMessage<'a> {
        id: Option<Cow<'a, str>>,
        status: Option<Cow<'a, str>>,
        role: Option<Cow<'a, str>>,
        content: Vec<OutputPart<'a>>,
    }
}

tagged! {
    pub enum OutputPart<'a> by "type" {
        Text(OutputText<'a>) = "output_text",
        Refusal(Refusal<'a>) = "refusal",
    }
}

object! {
    pub struct OutputText<'a> {
        text: Cow<'a, str>,
        annotations: Option<Raw<'a>>,
        logprobs: Option<Raw<'a>>,
    }
}

object! {
    pub struct Refusal<'a> {
        refusal: Cow<'a, str>,
    }
}

object! {
    pub struct FunctionCall<'a> {
        id: Option<Cow<'a, str>>,
        call_id: Cow<'a, str>,
        namespace: Option<Cow<'a, str>>,
        name: Cow<'a, str>,
        /// A JSON object within a text.
        arguments: Cow<'a, str>,
        status: Option<Cow<'a, str>>,
    }
}

object! {
    pub struct CustomToolCall<'a> {
        id: Option<Cow<'a, str>>,
        call_id: Cow<'a, str>,
        namespace: Option<Cow<'a, str>>,
        name: Cow<'a, str>,
        input: Cow<'a, str>,
        status: Option<Cow<'a, str>>,
    }
}

object! {
    pub struct ReasoningItem<'a> {
        id: Option<Cow<'a, str>>,
        summary: Vec<ReasoningPart<'a>>,
        content: Option<Vec<ReasoningPart<'a>>>,
        status: Option<Cow<'a, str>>,
    }
}

tagged! {
    pub enum ReasoningPart<'a> by "type" {
        Summary(TextPart<'a>) = "summary_text",
        Text(TextPart<'a>) = "reasoning_text",
    }
}

object! {
    /// An event of a stream; which fields it has depends on what it is.
    pub struct StreamEvent<'a> {
        /// `response.created`, `response.output_text.delta` and many more.
        kind as "type": Cow<'a, str>,
        sequence_number: u64,
        response: Option<ResponsesResponse<'a>>,
        output_index: Option<u64>,
        item: Option<OutputItem<'a>>,
        item_id: Option<Cow<'a, str>>,
        content_index: Option<u64>,
        summary_index: Option<u64>,
        part: Option<Raw<'a>>,
        delta: Option<Cow<'a, str>>,
        text: Option<Cow<'a, str>>,
        refusal: Option<Cow<'a, str>>,
        name: Option<Cow<'a, str>>,
        arguments: Option<Cow<'a, str>>,
        input: Option<Cow<'a, str>>,
        logprobs: Option<Raw<'a>>,
    }
}

object! {
    pub struct ResponseUsage<'a> {
        input_tokens: u64,
        input_tokens_details: InputTokensDetails<'a>,
        output_tokens: u64,
        output_tokens_details: OutputTokensDetails<'a>,
        total_tokens: u64,
    }
}

object! {
    pub struct InputTokensDetails<'a> {
        cached_tokens: u64,
        cache_write_tokens: u64,
    }
}

object! {
    pub struct OutputTokensDetails<'a> {
        reasoning_tokens: u64,
    }
}

impl From<Usage> for ResponseUsage<'_> {
    fn from(usage: Usage) -> Self {
        Self {
            input_tokens: usage.input,
            input_tokens_details: InputTokensDetails {
                cached_tokens: usage.cached_input,
                cache_write_tokens: usage.cache_write,
                ..Default::default()
            },
            output_tokens: usage.output,
            output_tokens_details: OutputTokensDetails {
                reasoning_tokens: usage.reasoning,
                ..Default::default()
            },
            total_tokens: usage.total(),
            ..Default::default()
        }
    }
}
