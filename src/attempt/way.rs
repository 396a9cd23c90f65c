//! Whether a provider understands a call as it is.

use crate::config::Api;
use crate::protocol::Operation;
use crate::translate::{Pair, Route};

/// How a call reaches a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// In the client's own words.
    AsItIs,
    Translated(Route),
    /// The provider's API has nothing like it.
    Unknown,
}

impl Way {
    pub fn of(operation: Operation, api: Api) -> Self {
        use Operation::{
            Chat, Completion, Embedding, GeminiBatchEmbed, GeminiEmbed, GeminiGenerate,
            GeminiStream, Messages, Models, OllamaChat, OllamaEmbed, OllamaGenerate, Other,
            Responses,
        };
        let route = match (api, operation) {
            (_, Other | Models) => return Self::AsItIs,
            (Api::OpenAi | Api::AzureOpenAi, Chat | Completion | Embedding | Responses) => {
                return Self::AsItIs;
            }
            // Servers that speak OpenAI's API and are Ollama have its own beside it.
            (Api::OpenAi | Api::Ollama, OllamaChat | OllamaEmbed | OllamaGenerate) => {
                return Self::AsItIs;
            }
            (Api::Gemini, GeminiGenerate | GeminiStream | GeminiEmbed | GeminiBatchEmbed) => {
                return Self::AsItIs;
            }
            (Api::Anthropic, Messages) => return Self::AsItIs,
            (Api::OpenAi | Api::AzureOpenAi, Messages) => Pair::AnthropicToOpenAi.into(),
            (_, Chat | Messages | Responses) => {
                let provider = match api {
                    Api::Anthropic => Pair::OpenAiToAnthropic,
                    Api::Bedrock => Pair::OpenAiToBedrock,
                    Api::Cohere => Pair::OpenAiToCohere,
                    Api::Gemini => Pair::OpenAiToGemini,
                    Api::Ollama => Pair::OpenAiToOllama,
                    Api::OpenAi | Api::AzureOpenAi => return Self::AsItIs,
                };
                match operation {
                    Messages => Route::through(Pair::AnthropicToOpenAi, provider),
                    Responses => Route::through(Pair::ResponsesToOpenAi, provider),
                    _ => provider.into(),
                }
            }
            (Api::Gemini, Embedding) => Pair::EmbeddingsToGemini.into(),
            (Api::Cohere, Embedding) => Pair::EmbeddingsToCohere.into(),
            (Api::Bedrock, Embedding) => Pair::EmbeddingsToBedrock.into(),
            (Api::Ollama, Embedding) => Pair::EmbeddingsToOllama.into(),
            (Api::Anthropic, Embedding)
            | (_, Completion | OllamaChat | OllamaEmbed | OllamaGenerate)
            | (_, GeminiGenerate | GeminiStream | GeminiEmbed | GeminiBatchEmbed) => {
                return Self::Unknown;
            }
        };
        Self::Translated(route)
    }
}
