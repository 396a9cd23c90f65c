//! Wire formats of the clients and the providers. Pure: bytes in, values out.

pub mod anthropic;
pub mod edit;
pub mod models;
pub mod ollama;
pub mod openai;
pub mod probe;
pub mod sse;
pub mod usage;

/// Whose error and stream shapes the caller understands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Dialect {
    #[default]
    OpenAi,
    Anthropic,
    Ollama,
}

/// What a request asks for, decided by method and path alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// `POST /v1/chat/completions`
    Chat,
    /// `POST /v1/completions`
    Completion,
    /// `POST /v1/embeddings`
    Embedding,
    /// `POST /v1/responses`
    Responses,
    /// Anthropic's `POST /v1/messages`
    Messages,
    /// Ollama's `POST /api/chat`
    OllamaChat,
    /// Ollama's `POST /api/generate`
    OllamaGenerate,
    /// Ollama's `POST /api/embed`
    OllamaEmbed,
    /// Any other `POST /v1/...` that names a model: routed by model and passed through.
    Other,
}

impl Operation {
    pub const ALL: [Self; 9] = [
        Self::Chat,
        Self::Completion,
        Self::Embedding,
        Self::Responses,
        Self::Messages,
        Self::OllamaChat,
        Self::OllamaGenerate,
        Self::OllamaEmbed,
        Self::Other,
    ];

    /// The label of metrics and logs, in the words of OpenTelemetry's `gen_ai.operation.name` where
    /// it has one.
    pub fn label(self) -> &'static str {
        match self {
            Self::Chat | Self::OllamaChat => "chat",
            Self::Completion | Self::OllamaGenerate => "text_completion",
            Self::Embedding | Self::OllamaEmbed => "embeddings",
            Self::Responses => "responses",
            Self::Messages => "messages",
            Self::Other => "other",
        }
    }

    pub fn dialect(self) -> Dialect {
        match self {
            Self::Messages => Dialect::Anthropic,
            Self::OllamaChat | Self::OllamaGenerate | Self::OllamaEmbed => Dialect::Ollama,
            _ => Dialect::OpenAi,
        }
    }
}

/// Where a request goes in the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint<'a> {
    /// A call that names a model in its body.
    Call(Operation),
    /// `GET /v1/models`
    Models,
    /// `GET /v1/models/{id}`, the id as it stands in the path (percent-encoded).
    Model(&'a str),
    /// No LLM call.
    Unmatched,
}
