//! Cohere's API, version 2: chat and embeddings.

use std::borrow::Cow;

use super::openai::chat::{FunctionCall, ImagePart, TextPart};
use super::usage::{Count, Counts, Usage};
use super::wire::{Number, Raw, TextOr, object, tagged};

object! {
    /// `POST /v2/chat`
    pub struct ChatRequest<'a> {
        model: Cow<'a, str>,
        messages: Vec<Message<'a>>,
        stream: bool,
        tools: Option<Vec<Tool<'a>>>,
        strict_tools: Option<bool>,
        /// `REQUIRED` or `NONE`.
        tool_choice: Option<Cow<'a, str>>,
        response_format: Option<ResponseFormat<'a>>,
        max_tokens: Option<u64>,
        stop_sequences: Option<Vec<Cow<'a, str>>>,
        temperature: Option<Number<'a>>,
        /// What others call `top_p`.
        p: Option<Number<'a>>,
        /// What others call `top_k`.
        k: Option<Number<'a>>,
        seed: Option<Number<'a>>,
        /// 0 to 1.
        presence_penalty: Option<Number<'a>>,
        /// 0 to 1.
        frequency_penalty: Option<Number<'a>>,
        thinking: Option<Thinking<'a>>,
    }
}

object! {
    pub struct Message<'a> {
        /// `system`, `user`, `assistant`, `tool`
        role: Cow<'a, str>,
        content: Option<TextOr<'a, Vec<Part<'a>>>>,
        tool_calls: Option<Vec<ToolCall<'a>>>,
        /// What the model planned to do with its tools.
        tool_plan: Option<Cow<'a, str>>,
        tool_call_id: Option<Cow<'a, str>>,
    }
}

tagged! {
    /// The first two are the same as OpenAI's.
    pub enum Part<'a> by "type" {
        Text(TextPart<'a>) = "text",
        Image(ImagePart<'a>) = "image_url",
        Thinking(ThinkingPart<'a>) = "thinking",
    }
}

object! {
    pub struct ThinkingPart<'a> {
        thinking: Cow<'a, str>,
    }
}

object! {
    pub struct ToolCall<'a> {
        id: Option<Cow<'a, str>>,
        kind as "type": Option<Cow<'a, str>>,
        function: Option<FunctionCall<'a>>,
    }
}

object! {
    pub struct Tool<'a> {
        /// `function`
        kind as "type": Cow<'a, str>,
        function: Function<'a>,
    }
}

object! {
    pub struct Function<'a> {
        name: Cow<'a, str>,
        description: Option<Cow<'a, str>>,
        /// A JSON schema.
        parameters: Raw<'a>,
    }
}

object! {
    pub struct ResponseFormat<'a> {
        /// `json_object`
        kind as "type": Cow<'a, str>,
        json_schema: Option<Raw<'a>>,
    }
}

object! {
    pub struct Thinking<'a> {
        /// `enabled` or `disabled`
        kind as "type": Cow<'a, str>,
        token_budget: Option<u64>,
    }
}

object! {
    pub struct ChatResponse<'a> {
        id: Option<Cow<'a, str>>,
        /// `COMPLETE`, `STOP_SEQUENCE`, `MAX_TOKENS`, `TOOL_CALL`, `ERROR`, `TIMEOUT`
        finish_reason: Option<Cow<'a, str>>,
        message: AnswerMessage<'a>,
        usage: Option<Raw<'a>>,
    }
}

object! {
    pub struct AnswerMessage<'a> {
        content: Option<Vec<Part<'a>>>,
        tool_calls: Option<Vec<ToolCall<'a>>>,
        tool_plan: Option<Cow<'a, str>>,
    }
}

object! {
    pub struct Billing<'a> {
        /// What is paid for: without what Cohere adds to a prompt.
        billed_units: Option<Tokens<'a>>,
        tokens: Option<Tokens<'a>>,
        cached_tokens: Count,
    }
}

object! {
    pub struct Tokens<'a> {
        input_tokens: Count,
        output_tokens: Count,
    }
}

impl Billing<'_> {
    /// What `usage` says; `None` if nothing, or what cannot be.
    pub fn usage(json: &Raw<'_>) -> Option<Usage> {
        let billing = Billing::from_json(json.as_str().as_bytes()).ok()?;
        let tokens = billing.tokens.or(billing.billed_units)?;
        let all = [tokens.input_tokens, tokens.output_tokens, billing.cached_tokens];
        if all.contains(&Count::Absurd) {
            return None;
        }
        let [input, output, cached_input] = all.map(|count| count.get().unwrap_or_default());
        let usage = Usage { input, cached_input, output, ..Usage::default() };
        Counts { usage, total: None, least: 0 }.check().map(|counted| counted.usage)
    }
}

tagged! {
    /// Of a stream. Those that are not named add nothing that a client waits for.
    pub enum Event<'a> by "type" {
        MessageStart(MessageStart<'a>) = "message-start",
        ContentStart(ContentEvent<'a>) = "content-start",
        ContentDelta(ContentEvent<'a>) = "content-delta",
        ToolPlanDelta(PlanEvent<'a>) = "tool-plan-delta",
        ToolCallStart(CallEvent<'a>) = "tool-call-start",
        ToolCallDelta(CallEvent<'a>) = "tool-call-delta",
        ToolCallEnd(CallEnd<'a>) = "tool-call-end",
        MessageEnd(MessageEnd<'a>) = "message-end",
    }
}

object! {
    pub struct MessageStart<'a> {
        id: Option<Cow<'a, str>>,
    }
}

object! {
    pub struct ContentEvent<'a> {
        delta: ContentDelta<'a>,
    }
}

object! {
    pub struct ContentDelta<'a> {
        message: ContentMessage<'a>,
    }
}

object! {
    pub struct ContentMessage<'a> {
        content: PieceOfContent<'a>,
    }
}

object! {
    pub struct PieceOfContent<'a> {
        text: Option<Cow<'a, str>>,
        thinking: Option<Cow<'a, str>>,
    }
}

object! {
    pub struct PlanEvent<'a> {
        delta: PlanDelta<'a>,
    }
}

object! {
    pub struct PlanDelta<'a> {
        message: PlanMessage<'a>,
    }
}

object! {
    pub struct PlanMessage<'a> {
        tool_plan: Cow<'a, str>,
    }
}

object! {
    pub struct CallEvent<'a> {
        index: Option<u64>,
        delta: CallDelta<'a>,
    }
}

object! {
    pub struct CallEnd<'a> {}
}

object! {
    pub struct CallDelta<'a> {
        message: CallMessage<'a>,
    }
}

object! {
    pub struct CallMessage<'a> {
        tool_calls: PieceOfCall<'a>,
    }
}

object! {
    pub struct PieceOfCall<'a> {
        id: Option<Cow<'a, str>>,
        function: Option<PieceOfFunction<'a>>,
    }
}

object! {
    pub struct PieceOfFunction<'a> {
        name: Option<Cow<'a, str>>,
        arguments: Option<Cow<'a, str>>,
    }
}

object! {
    pub struct MessageEnd<'a> {
        delta: EndDelta<'a>,
    }
}

object! {
    pub struct EndDelta<'a> {
        finish_reason: Option<Cow<'a, str>>,
        error: Option<Cow<'a, str>>,
        usage: Option<Raw<'a>>,
    }
}

object! {
    pub struct Problem<'a> {
        message: Option<Cow<'a, str>>,
    }
}

object! {
    /// `POST /v2/embed`
    pub struct EmbedRequest<'a> {
        /// Absent where the path has it.
        model: Option<Cow<'a, str>>,
        texts: Vec<Cow<'a, str>>,
        /// `search_document`, `search_query`, `classification`, `clustering`
        input_type: Cow<'a, str>,
        embedding_types: Vec<Cow<'a, str>>,
        output_dimension: Option<u64>,
    }
}

object! {
    pub struct EmbedResponse<'a> {
        embeddings: Embeddings<'a>,
        meta: Option<Raw<'a>>,
    }
}

object! {
    pub struct Embeddings<'a> {
        float: Vec<Raw<'a>>,
    }
}
