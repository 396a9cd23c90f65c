//! Cohere's API, version 2: chat and embeddings.

use std::borrow::Cow;

use super::openai::chat::{FunctionCall, ImagePart, TextPart};
use super::usage::Usage;
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
        usage: Option<Counts<'a>>,
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
    pub struct Counts<'a> {
        /// What is paid for: without what Cohere adds to a prompt.
        billed_units: Option<Tokens<'a>>,
        tokens: Option<Tokens<'a>>,
        cached_tokens: Option<Number<'a>>,
    }
}

object! {
    pub struct Tokens<'a> {
        input_tokens: Option<Number<'a>>,
        output_tokens: Option<Number<'a>>,
    }
}

impl From<&Counts<'_>> for Usage {
    fn from(counts: &Counts<'_>) -> Self {
        // The casts saturate.
        let count = |number: &Option<Number<'_>>| {
            number.as_ref().map_or(0, |number| number.as_f64().max(0.0) as u64)
        };
        let tokens = counts.tokens.as_ref().or(counts.billed_units.as_ref());
        Self {
            input: tokens.map_or(0, |tokens| count(&tokens.input_tokens)),
            cached_input: count(&counts.cached_tokens),
            output: tokens.map_or(0, |tokens| count(&tokens.output_tokens)),
            ..Self::default()
        }
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
        usage: Option<Counts<'a>>,
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
        meta: Option<Meta<'a>>,
    }
}

object! {
    pub struct Embeddings<'a> {
        float: Vec<Raw<'a>>,
    }
}

object! {
    pub struct Meta<'a> {
        billed_units: Option<Tokens<'a>>,
    }
}
