//! Amazon Bedrock: the Converse API and its stream, and the bodies of embedding models. The stream
//! is framed as [`eventstream`](super::eventstream) says.

use std::borrow::Cow;

use super::usage::{Count, Counts, Usage};
use super::wire::{Number, Raw, object};

object! {
    /// `POST /model/{id}/converse`
    pub struct ConverseRequest<'a> {
        system: Option<Vec<SystemBlock<'a>>>,
        messages: Vec<Message<'a>>,
        inference_config as "inferenceConfig": Option<InferenceConfig<'a>>,
        tool_config as "toolConfig": Option<ToolConfig<'a>>,
        output_config as "outputConfig": Option<OutputConfig<'a>>,
        /// In the words of the model's maker.
        additional as "additionalModelRequestFields": Option<AdditionalFields<'a>>,
    }
}

object! {
    /// One of the fields says what it is.
    pub struct SystemBlock<'a> {
        text: Option<Cow<'a, str>>,
        cache_point as "cachePoint": Option<CachePoint<'a>>,
    }
}

object! {
    pub struct CachePoint<'a> {
        /// `default`
        kind as "type": Cow<'a, str>,
        ttl: Option<Cow<'a, str>>,
    }
}

object! {
    pub struct Message<'a> {
        /// `user` or `assistant`
        role: Cow<'a, str>,
        content: Vec<Block<'a>>,
    }
}

object! {
    /// One of the fields says what it is.
    pub struct Block<'a> {
        text: Option<Cow<'a, str>>,
        image: Option<Media<'a>>,
        audio: Option<Media<'a>>,
        document: Option<Document<'a>>,
        tool_use as "toolUse": Option<ToolUse<'a>>,
        tool_result as "toolResult": Option<ToolResult<'a>>,
        reasoning_content as "reasoningContent": Option<Reasoning<'a>>,
        cache_point as "cachePoint": Option<CachePoint<'a>>,
    }
}

object! {
    pub struct Media<'a> {
        format: Cow<'a, str>,
        source: Bytes<'a>,
    }
}

object! {
    pub struct Document<'a> {
        format: Cow<'a, str>,
        /// Letters, digits, single spaces, `-`, `()`, `[]`.
        name: Cow<'a, str>,
        source: Bytes<'a>,
    }
}

object! {
    pub struct Bytes<'a> {
        /// In base64.
        bytes: Cow<'a, str>,
    }
}

object! {
    pub struct ToolUse<'a> {
        tool_use_id as "toolUseId": Cow<'a, str>,
        name: Cow<'a, str>,
        /// A JSON object.
        input: Option<Raw<'a>>,
    }
}

object! {
    pub struct ToolResult<'a> {
        tool_use_id as "toolUseId": Cow<'a, str>,
        content: Vec<Block<'a>>,
    }
}

object! {
    pub struct Reasoning<'a> {
        reasoning_text as "reasoningText": Option<ReasoningText<'a>>,
        /// In base64.
        redacted_content as "redactedContent": Option<Cow<'a, str>>,
    }
}

object! {
    pub struct ReasoningText<'a> {
        text: Cow<'a, str>,
        signature: Option<Cow<'a, str>>,
    }
}

object! {
    pub struct InferenceConfig<'a> {
        max_tokens as "maxTokens": Option<u64>,
        temperature: Option<Number<'a>>,
        top_p as "topP": Option<Number<'a>>,
        stop_sequences as "stopSequences": Option<Vec<Cow<'a, str>>>,
    }
}

object! {
    pub struct ToolConfig<'a> {
        tools: Vec<Tool<'a>>,
        tool_choice as "toolChoice": Option<ToolChoice<'a>>,
    }
}

object! {
    /// One of the fields says what it is.
    pub struct Tool<'a> {
        tool_spec as "toolSpec": Option<ToolSpec<'a>>,
        cache_point as "cachePoint": Option<CachePoint<'a>>,
    }
}

object! {
    pub struct ToolSpec<'a> {
        name: Cow<'a, str>,
        description: Option<Cow<'a, str>>,
        input_schema as "inputSchema": InputSchema<'a>,
        strict: Option<bool>,
    }
}

object! {
    pub struct InputSchema<'a> {
        json: Raw<'a>,
    }
}

object! {
    /// One of the fields says what it is.
    pub struct ToolChoice<'a> {
        auto: Option<Empty<'a>>,
        any: Option<Empty<'a>>,
        tool: Option<NamedTool<'a>>,
    }
}

object! {
    pub struct Empty<'a> {}
}

object! {
    pub struct NamedTool<'a> {
        name: Cow<'a, str>,
    }
}

object! {
    pub struct OutputConfig<'a> {
        text_format as "textFormat": Option<TextFormat<'a>>,
        effort: Option<Cow<'a, str>>,
    }
}

object! {
    pub struct TextFormat<'a> {
        /// `json_schema`
        kind as "type": Cow<'a, str>,
        structure: Structure<'a>,
    }
}

object! {
    pub struct Structure<'a> {
        json_schema as "jsonSchema": JsonSchema<'a>,
    }
}

object! {
    pub struct JsonSchema<'a> {
        /// JSON within a text.
        schema: Cow<'a, str>,
        name: Option<Cow<'a, str>>,
        description: Option<Cow<'a, str>>,
    }
}

object! {
    pub struct AdditionalFields<'a> {
        /// Claude's.
        thinking: Option<Raw<'a>>,
        top_k: Option<Number<'a>>,
        /// That of OpenAI's open models.
        reasoning_effort: Option<Cow<'a, str>>,
    }
}

object! {
    pub struct ConverseResponse<'a> {
        output: Output<'a>,
        stop_reason as "stopReason": Option<Cow<'a, str>>,
        usage: Option<Raw<'a>>,
    }
}

object! {
    pub struct Output<'a> {
        message: Option<Message<'a>>,
    }
}

object! {
    pub struct TokenUsage<'a> {
        /// What was neither read from a cache nor written to one.
        input_tokens as "inputTokens": Count,
        output_tokens as "outputTokens": Count,
        cache_read as "cacheReadInputTokens": Count,
        cache_write as "cacheWriteInputTokens": Count,
        total_tokens as "totalTokens": Count,
    }
}

impl TokenUsage<'_> {
    /// What `usage` says; `None` if that cannot be.
    pub fn usage(json: &Raw<'_>) -> Option<Usage> {
        let counts = TokenUsage::from_json(json.as_str().as_bytes()).ok()?;
        let all = [
            counts.input_tokens,
            counts.output_tokens,
            counts.cache_read,
            counts.cache_write,
            counts.total_tokens,
        ];
        if all.contains(&Count::Absurd) {
            return None;
        }
        let [fresh, output, cached_input, cache_write, total] = all.map(Count::get);
        let [fresh, output, cached_input, cache_write] =
            [fresh, output, cached_input, cache_write].map(Option::unwrap_or_default);
        let input = fresh.saturating_add(cached_input).saturating_add(cache_write);
        let usage = Usage { input, cached_input, cache_write, output, reasoning: 0 };
        let least = fresh.saturating_add(output);
        Counts { usage, total, least }.check().map(|counted| counted.usage)
    }
}

object! {
    /// The event `contentBlockStart`.
    pub struct BlockStart<'a> {
        start: Option<Start<'a>>,
    }
}

object! {
    pub struct Start<'a> {
        tool_use as "toolUse": Option<ToolUse<'a>>,
    }
}

object! {
    /// The event `contentBlockDelta`.
    pub struct BlockDelta<'a> {
        delta: Delta<'a>,
    }
}

object! {
    /// One of the fields says what it is.
    pub struct Delta<'a> {
        text: Option<Cow<'a, str>>,
        tool_use as "toolUse": Option<ToolUseDelta<'a>>,
        reasoning_content as "reasoningContent": Option<ReasoningDelta<'a>>,
    }
}

object! {
    pub struct ToolUseDelta<'a> {
        input: Cow<'a, str>,
    }
}

object! {
    pub struct ReasoningDelta<'a> {
        text: Option<Cow<'a, str>>,
        signature: Option<Cow<'a, str>>,
        redacted_content as "redactedContent": Option<Cow<'a, str>>,
    }
}

object! {
    /// The event `messageStop`.
    pub struct MessageStop<'a> {
        stop_reason as "stopReason": Option<Cow<'a, str>>,
    }
}

object! {
    /// The event `metadata`, the last one.
    pub struct Metadata<'a> {
        usage: Option<Raw<'a>>,
    }
}

object! {
    /// `POST /model/amazon.titan-embed-text-v2:0/invoke`
    pub struct TitanEmbedRequest<'a> {
        input_text as "inputText": Cow<'a, str>,
        dimensions: Option<u64>,
    }
}

object! {
    pub struct TitanEmbedResponse<'a> {
        embedding: Raw<'a>,
        input_text_token_count as "inputTextTokenCount": Count,
    }
}

object! {
    /// A refusal, and the payload of an exception within a stream.
    pub struct Problem<'a> {
        message: Option<Cow<'a, str>>,
        /// Some services write it so.
        capital as "Message": Option<Cow<'a, str>>,
    }
}
