//! Wire formats of the clients and the providers. Pure: bytes in, values out.

pub mod anthropic;
pub mod bedrock;
pub mod cohere;
pub mod edit;
pub mod eventstream;
pub mod failure;
pub mod gemini;
mod json;
mod mistake;
pub mod model_path;
pub mod models;
pub mod multipart;
pub mod ollama;
pub mod openai;
pub mod probe;
pub mod query;
pub mod skim;
pub mod sse;
pub mod stream;
pub mod usage;
pub mod wire;

use std::borrow::Cow;

pub use crate::error::Dialect;
use model_path::ModelPath;

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

/// Where a request goes in the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint<'a> {
    /// A call that names a model in its body, or in its path: see [`model_path::ModelPath`].
    Call(Operation),
    /// `GET /v1/models`, `GET /v1beta/models`
    Models,
    /// Ollama's `GET /api/tags`
    Tags,
    /// `GET /v1/models/{id}`, `GET /v1beta/models/{id}`, the id as it stands in the path: see [`decode_id`].
    Model(&'a str),
    /// No LLM call.
    Unmatched,
}

impl<'a> Endpoint<'a> {
    /// Decides by method and path; the query has no say. An odd spelling of a known path
    /// (`/v1//chat/completions`) is that path, as it is to servers. Anything else under `/v1/` that
    /// is posted and not known to be without a model is [`Operation::Other`].
    pub fn of(method: &[u8], path: &'a [u8]) -> Self {
        let path = without_query(path);
        match method {
            b"POST" => {
                let in_path = || ModelPath::of(path).map(|path| path.operation());
                let operation = known(path).or_else(in_path).or_else(|| match plain(path) {
                    Some(plain) => known(&plain).or_else(|| other(&plain)),
                    None => other(path),
                });
                operation.map_or(Self::Unmatched, Self::Call)
            }
            b"GET" => get(path),
            _ => Self::Unmatched,
        }
    }
}

/// The path without its query, as [`Endpoint::of`] and lenient servers read it.
pub fn read_path(path: &[u8]) -> Cow<'_, [u8]> {
    let path = without_query(path);
    plain(path).map_or(Cow::Borrowed(path), Cow::Owned)
}

fn without_query(path: &[u8]) -> &[u8] {
    let path = path.split(|byte| matches!(byte, b'?' | b'#')).next().unwrap_or_default();
    path.strip_suffix(b"/").unwrap_or(path)
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
    (named && !decoded.chars().any(char::is_control)).then_some(decoded)
}

fn known(path: &[u8]) -> Option<Operation> {
    Some(match path {
        b"/v1/chat/completions" => Operation::Chat,
        b"/v1/completions" => Operation::Completion,
        b"/v1/embeddings" => Operation::Embedding,
        b"/v1/responses" => Operation::Responses,
        b"/v1/messages" => Operation::Messages,
        b"/api/chat" => Operation::OllamaChat,
        b"/api/generate" => Operation::OllamaGenerate,
        b"/api/embed" => Operation::OllamaEmbed,
        _ => return None,
    })
}

fn other(path: &[u8]) -> Option<Operation> {
    let rest = path.strip_prefix(b"/v1/")?;
    let without_model = WITHOUT_MODEL.iter().any(|prefix| is_under(rest, prefix));
    (!without_model).then_some(Operation::Other)
}

/// The path as lenient servers read it: percent-decoded, without empty and dot segments. `None` if
/// that is how it is written.
fn plain(path: &[u8]) -> Option<Vec<u8>> {
    let odd = path.contains(&b'%') || path.windows(2).any(|pair| matches!(pair, b"//" | b"/."));
    if !odd {
        return None;
    }
    let decoded = percent_decode(path).unwrap_or_else(|| path.to_vec());
    let mut segments: Vec<&[u8]> = Vec::new();
    for segment in decoded.split(|byte| *byte == b'/') {
        match segment {
            b"" | b"." => {}
            b".." => drop(segments.pop()),
            segment => segments.push(segment),
        }
    }
    Some(segments.into_iter().flat_map(|segment| [b"/", segment].concat()).collect())
}

fn get(path: &[u8]) -> Endpoint<'_> {
    if path == b"/api/tags" {
        return Endpoint::Tags;
    }
    match path.strip_prefix(b"/v1/models").or_else(|| path.strip_prefix(b"/v1beta/models")) {
        Some(b"") => Endpoint::Models,
        Some([b'/', id @ ..]) => {
            std::str::from_utf8(id).map_or(Endpoint::Unmatched, Endpoint::Model)
        }
        _ => Endpoint::Unmatched,
    }
}

fn is_under(path: &[u8], prefix: &[u8]) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| matches!(rest.first(), None | Some(b'/')))
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

/// Under `/v1/`: what is posted there names no model, or belongs to one account of one provider.
/// It is not even buffered.
const WITHOUT_MODEL: [&[u8]; 8] = [
    b"batches",
    b"containers",
    b"conversations",
    b"files",
    b"messages/batches",
    b"organization",
    b"uploads",
    b"vector_stores",
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of<'a>(method: &str, path: &'a str) -> Endpoint<'a> {
        Endpoint::of(method.as_bytes(), path.as_bytes())
    }

    #[test]
    fn calls_are_told_by_method_and_path() {
        use Endpoint::{Call, Model, Models, Tags, Unmatched};
        let cases = [
            ("POST", "/v1/chat/completions", Call(Operation::Chat)),
            ("POST", "/v1/chat/completions?x=/v1/files", Call(Operation::Chat)),
            ("POST", "/v1/chat/completions/", Call(Operation::Chat)),
            ("POST", "/v1//chat/completions", Call(Operation::Chat)),
            ("POST", "/v1/files/../chat/./completions", Call(Operation::Chat)),
            ("POST", "/v1/files/%2e%2e/chat%2Fcompletions", Call(Operation::Chat)),
            ("POST", "/x/../../v1/messages//", Call(Operation::Messages)),
            ("POST", "/v1/%zz", Call(Operation::Other)),
            ("POST", "/v1/../v2", Unmatched),
            ("POST", "/v1/chat/completions/id", Call(Operation::Other)),
            ("POST", "/v1/completions", Call(Operation::Completion)),
            ("POST", "/v1/embeddings", Call(Operation::Embedding)),
            ("POST", "/v1/responses", Call(Operation::Responses)),
            ("POST", "/v1/messages?beta=true", Call(Operation::Messages)),
            ("POST", "/v1/messages/count_tokens", Call(Operation::Other)),
            ("POST", "/api/chat", Call(Operation::OllamaChat)),
            ("POST", "/api/generate", Call(Operation::OllamaGenerate)),
            ("POST", "/api/embed", Call(Operation::OllamaEmbed)),
            ("POST", "/v1beta/models/m:generateContent", Call(Operation::GeminiGenerate)),
            (
                "POST",
                "/v1beta/models/m:streamGenerateContent?alt=sse",
                Call(Operation::GeminiStream),
            ),
            ("POST", "/v1/models/m:embedContent", Call(Operation::GeminiEmbed)),
            ("POST", "/v1beta/models/m:batchEmbedContents/", Call(Operation::GeminiBatchEmbed)),
            ("POST", "//v1beta/./models/m%3AgenerateContent", Call(Operation::GeminiGenerate)),
            ("POST", "/v1beta/models/org/m:1b:generateContent", Call(Operation::GeminiGenerate)),
            ("POST", "/v1beta/models/m:countTokens", Call(Operation::Other)),
            ("POST", "/v1/models/m:countTokens", Call(Operation::Other)),
            ("POST", "/v1beta/models/m", Unmatched),
            ("POST", "/v1beta/models/m:1", Unmatched),
            ("POST", "/v1beta/cachedContents", Unmatched),
            ("POST", "/v1beta/models/../files:generateContent", Unmatched),
            ("GET", "/api/tags", Tags),
            ("POST", "/api/tags", Unmatched),
            ("GET", "/v1beta/models?pageSize=5", Models),
            ("GET", "/v1beta/models/gemini-2.5-flash", Model("gemini-2.5-flash")),
            ("POST", "/v1/audio/transcriptions", Call(Operation::Other)),
            ("POST", "/v1/files", Unmatched),
            ("POST", "/v1/files?purpose=batch", Unmatched),
            ("POST", "/v1/filesystem", Call(Operation::Other)),
            ("POST", "/v1/messages/batches", Unmatched),
            ("POST", "/v1", Unmatched),
            ("POST", "/v10/chat/completions", Unmatched),
            ("POST", "", Unmatched),
            ("post", "/v1/chat/completions", Unmatched),
            ("GET", "/v1/chat/completions", Unmatched),
            ("GET", "/v1/models", Models),
            ("GET", "/v1/models/?limit=20", Models),
            ("GET", "/v1/models/gpt-4o", Model("gpt-4o")),
            ("GET", "/v1/models/org/name%3A1b?x", Model("org/name%3A1b")),
            ("GET", "/v1/modelsx", Unmatched),
            ("DELETE", "/v1/models/gpt-4o", Unmatched),
        ];
        for (method, path, expected) in cases {
            assert_eq!(of(method, path), expected, "{method} {path}");
        }
        assert_eq!(Endpoint::of(b"GET", b"/v1/models/\xff"), Unmatched);
    }

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
            (long.as_str(), None),
        ];
        for (id, expected) in cases {
            assert_eq!(decode_id(id).as_deref(), expected, "{id}");
        }
    }

    proptest! {
        #[test]
        fn no_path_panics(method in "GET|POST", path in prop::collection::vec(any::<u8>(), 0..60)) {
            let path = [b"/v1/models/".as_slice(), &path].concat();
            if let Endpoint::Model(id) = Endpoint::of(method.as_bytes(), &path) {
                let _ = decode_id(id);
            }
        }
    }
}
