//! Whether a provider understands a call as it is.

use crate::config::Api;
use crate::protocol::Operation;
use crate::translate::Pair;

/// How a call reaches a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// In the client's own words.
    AsItIs,
    Translated(Pair),
    /// The provider's API has nothing like it.
    Unknown,
}

impl Way {
    pub fn of(operation: Operation, api: Api) -> Self {
        use Operation::{
            Chat, Completion, Embedding, Messages, Models, OllamaChat, OllamaEmbed, OllamaGenerate,
            Other, Responses,
        };
        match (api, operation) {
            (_, Other | Models) => Self::AsItIs,
            (Api::OpenAi, Chat | Completion | Embedding | Responses) => Self::AsItIs,
            // Servers that speak OpenAI's API and are Ollama have its own beside it.
            (Api::OpenAi, OllamaChat | OllamaEmbed | OllamaGenerate) => Self::AsItIs,
            (Api::OpenAi, Messages) => Self::Translated(Pair::AnthropicToOpenAi),
            (Api::Anthropic, Messages) => Self::AsItIs,
            (Api::Anthropic, Chat) => Self::Translated(Pair::OpenAiToAnthropic),
            (Api::Cohere, Chat) => Self::Translated(Pair::OpenAiToCohere),
            (Api::Bedrock, Chat) => Self::Translated(Pair::OpenAiToBedrock),
            (Api::Gemini, Chat) => Self::Translated(Pair::OpenAiToGemini),
            (Api::Ollama, Chat) => Self::Translated(Pair::OpenAiToOllama),
            (Api::Gemini, Embedding) => Self::Translated(Pair::EmbeddingsToGemini),
            (Api::Cohere, Embedding) => Self::Translated(Pair::EmbeddingsToCohere),
            (Api::Bedrock, Embedding) => Self::Translated(Pair::EmbeddingsToBedrock),
            (Api::Ollama, Embedding) => Self::Translated(Pair::EmbeddingsToOllama),
            (Api::Ollama, OllamaChat | OllamaEmbed | OllamaGenerate) => Self::AsItIs,
            _ => Self::Unknown,
        }
    }
}
