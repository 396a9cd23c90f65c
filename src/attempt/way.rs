//! Whether a provider understands a call as it is.

use crate::config::{Api, Provider};
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
    pub fn at(operation: Operation, provider: &Provider) -> Self {
        match (operation, &provider.api_version) {
            (Operation::Responses, Some(version)) if !version.has_responses() => {
                Self::Translated(Pair::ResponsesToOpenAi.into())
            }
            _ => Self::of(operation, provider.api),
        }
    }

    /// As far as the API alone tells.
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
            (Api::Ollama, OllamaChat | OllamaEmbed | OllamaGenerate) => return Self::AsItIs,
            (Api::Gemini, GeminiGenerate | GeminiStream | GeminiEmbed | GeminiBatchEmbed) => {
                return Self::AsItIs;
            }
            (Api::Anthropic, Messages) => return Self::AsItIs,
            (_, Completion) => return Self::Unknown,
            (_, Chat) => match chat(api) {
                Some(provider) => provider.into(),
                None => return Self::AsItIs,
            },
            (_, Messages) => through(Pair::AnthropicToOpenAi, chat(api)),
            (_, Responses) => through(Pair::ResponsesToOpenAi, chat(api)),
            (_, OllamaChat) => through(Pair::OllamaToOpenAi, chat(api)),
            (_, OllamaGenerate) => through(Pair::OllamaGenerateToOpenAi, chat(api)),
            (_, GeminiGenerate | GeminiStream) => through(Pair::GeminiToOpenAi, chat(api)),
            (Api::Anthropic, Embedding | OllamaEmbed | GeminiEmbed | GeminiBatchEmbed) => {
                return Self::Unknown;
            }
            (_, Embedding) => match embeddings(api) {
                Some(provider) => provider.into(),
                None => return Self::AsItIs,
            },
            (_, OllamaEmbed) => through(Pair::OllamaEmbedToOpenAi, embeddings(api)),
            (_, GeminiEmbed | GeminiBatchEmbed) => {
                through(Pair::GeminiEmbedToOpenAi, embeddings(api))
            }
        };
        Self::Translated(route)
    }
}

/// `None`: the provider reads what the client's pair writes.
fn through(client: Pair, provider: Option<Pair>) -> Route {
    provider.map_or(client.into(), |provider| Route::through(client, provider))
}

/// From OpenAI's chat completions; `None` for who speaks them.
fn chat(api: Api) -> Option<Pair> {
    match api {
        Api::OpenAi | Api::AzureOpenAi => None,
        Api::Anthropic => Some(Pair::OpenAiToAnthropic),
        Api::Bedrock => Some(Pair::OpenAiToBedrock),
        Api::Cohere => Some(Pair::OpenAiToCohere),
        Api::Gemini => Some(Pair::OpenAiToGemini),
        Api::Ollama => Some(Pair::OpenAiToOllama),
    }
}

/// From OpenAI's embeddings; `None` for who speaks them, or has none.
fn embeddings(api: Api) -> Option<Pair> {
    match api {
        Api::OpenAi | Api::AzureOpenAi | Api::Anthropic => None,
        Api::Bedrock => Some(Pair::EmbeddingsToBedrock),
        Api::Cohere => Some(Pair::EmbeddingsToCohere),
        Api::Gemini => Some(Pair::EmbeddingsToGemini),
        Api::Ollama => Some(Pair::EmbeddingsToOllama),
    }
}
