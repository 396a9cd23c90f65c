//! Wire formats of the clients and the providers. Pure: bytes in, values out.

pub mod anthropic;
pub mod bedrock;
pub mod cohere;
pub mod content_type;
pub mod edit;
pub mod eventstream;
pub mod failure;
pub mod fields;
pub mod gemini;
pub mod hygiene;
pub(crate) mod json;
mod mistake;
pub mod model_path;
pub mod models;
pub mod multipart;
pub mod ollama;
pub mod openai;
pub mod overflow;
pub mod path;
pub mod probe;
pub mod promise;
pub mod query;
pub mod retry;
pub mod shape;
pub mod skim;
pub mod sse;
pub mod stream;
pub mod text;
pub mod usage;
pub mod wire;

use std::borrow::Cow;

pub use crate::error::Dialect;
pub use path::{Endpoint, Path};

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
    /// Gemini's `POST /v1beta/models/{model}:generateContent`
    GeminiGenerate,
    /// Gemini's `POST /v1beta/models/{model}:streamGenerateContent`
    GeminiStream,
    /// Gemini's `POST /v1beta/models/{model}:embedContent`
    GeminiEmbed,
    /// Gemini's `POST /v1beta/models/{model}:batchEmbedContents`
    GeminiBatchEmbed,
    /// Any other `POST /v1/...` or `POST /v1beta/models/{model}:...`: routed by the model it names,
    /// in JSON, in a form or in the path, and passed through. One that names none passes untouched:
    /// the default model is for text.
    Other,
    /// `GET /v1/models` and `GET /v1/models/{id}`, also under `/v1beta`, which the gateway answers
    /// itself.
    Models,
}

impl Operation {
    pub const ALL: [Self; 14] = [
        Self::Chat,
        Self::Completion,
        Self::Embedding,
        Self::Responses,
        Self::Messages,
        Self::OllamaChat,
        Self::OllamaGenerate,
        Self::OllamaEmbed,
        Self::GeminiGenerate,
        Self::GeminiStream,
        Self::GeminiEmbed,
        Self::GeminiBatchEmbed,
        Self::Other,
        Self::Models,
    ];

    /// The label of metrics and logs, in the words of OpenTelemetry's `gen_ai.operation.name` where
    /// it has one.
    pub fn label(self) -> &'static str {
        match self {
            Self::Chat | Self::OllamaChat => "chat",
            Self::Completion | Self::OllamaGenerate => "text_completion",
            Self::Embedding | Self::OllamaEmbed | Self::GeminiEmbed | Self::GeminiBatchEmbed => {
                "embeddings"
            }
            Self::GeminiGenerate | Self::GeminiStream => "generate_content",
            Self::Responses => "responses",
            Self::Messages => "messages",
            Self::Other => "other",
            Self::Models => "models",
        }
    }

    pub fn dialect(self) -> Dialect {
        match self {
            Self::Messages => Dialect::Anthropic,
            Self::OllamaChat | Self::OllamaGenerate | Self::OllamaEmbed => Dialect::Ollama,
            Self::GeminiGenerate
            | Self::GeminiStream
            | Self::GeminiEmbed
            | Self::GeminiBatchEmbed => Dialect::Gemini,
            _ => Dialect::OpenAi,
        }
    }
}

/// The model id in a path: percent-decoded, `/` and all. `None` where no model can have that name.
pub fn decode_id(id: &str) -> Option<Cow<'_, str>> {
    if id.len() > 3 * probe::MAX_MODEL_BYTES {
        return None;
    }
    let decoded = if id.contains('%') {
        Cow::Owned(String::from_utf8(percent_decode(id.as_bytes())?).ok()?)
    } else {
        Cow::Borrowed(id)
    };
    let named = !decoded.is_empty() && decoded.len() <= probe::MAX_MODEL_BYTES;
    (named && decoded.chars().all(text::is_shown)).then_some(decoded)
}

pub(crate) fn percent_decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let (&[high, low], tail) = tail.split_first_chunk()?;
        rest = tail;
        let digit =
            |hex: u8| char::from(hex).to_digit(16).and_then(|value| u8::try_from(value).ok());
        decoded.push((digit(high)? << 4) | digit(low)?);
    }
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_in_paths_are_percent_decoded() {
        let long = "a".repeat(257);
        let cases = [
            ("gpt-4o", Some("gpt-4o")),
            ("org/name%3a1b", Some("org/name:1b")),
            ("a%2Fb%20c", Some("a/b c")),
            ("%C3%A9", Some("é")),
            ("a+b", Some("a+b")),
            ("", None),
            ("%", None),
            ("%4", None),
            ("%+1", None),
            ("%zz", None),
            ("%ff", None),
            ("a%0d%0ab", None),
            ("a%E2%80%A8b", None),
            (long.as_str(), None),
        ];
        for (id, expected) in cases {
            assert_eq!(decode_id(id).as_deref(), expected, "{id}");
        }
    }
}
