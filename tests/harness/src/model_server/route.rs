//! Which protocol and handler a path belongs to.

use hyper::{HeaderMap, Method};

use super::{
    anthropic, bedrock,
    call::{Handler, Protocol},
    cohere, gemini, ollama, openai,
    openai::azure,
};

pub(super) struct Route {
    pub protocol: Protocol,
    pub handler: Handler,
    /// The model, where the path names it and not the body.
    pub model: Option<String>,
}

/// `None`: there is no such path. OpenAI, Anthropic and Google share the path of their model lists:
/// the headers of their clients differ.
pub(super) fn find(method: &Method, path: &str, headers: &HeaderMap) -> Option<Route> {
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    let found = match *method {
        Method::POST => post(&segments),
        Method::GET => get(&segments, headers),
        _ => None,
    };
    let (protocol, handler, model) = found?;
    Some(Route { protocol, handler, model: model.map(|model| decoded(&model)) })
}

/// The model is not decoded yet.
type Found = Option<(Protocol, Handler, Option<String>)>;

fn post(segments: &[&str]) -> Found {
    let of = |protocol: Protocol, handler: Handler| Some((protocol, handler, None));
    let named = |protocol: Protocol, handler: Handler, model: &str| {
        Some((protocol, handler, Some(model.to_owned())))
    };
    let openai = |handler: Handler| of(Protocol::OpenAi, handler);
    let azure = |handler: Handler| of(Protocol::Azure, handler);
    let anthropic = |handler: Handler| of(Protocol::Anthropic, handler);
    let cohere = |handler: Handler| of(Protocol::Cohere, handler);
    let ollama = |handler: Handler| of(Protocol::Ollama, handler);
    match segments {
        ["v1", "chat", "completions"] => openai(openai::chat::answer),
        ["v1", "completions"] => openai(openai::completions::answer),
        ["v1", "responses"] => openai(openai::responses::answer),
        ["v1", "embeddings"] => openai(openai::embeddings::answer),
        ["v1", "images", "generations" | "edits"] => openai(openai::others::image),
        ["v1", "audio", "transcriptions"] => openai(openai::others::transcription),
        ["v1", "audio", "speech"] => openai(openai::others::speech),
        ["v1", "moderations"] => openai(openai::others::moderation),
        ["v1", "rerank"] => openai(openai::others::rerank),
        ["v1", "messages"] => anthropic(anthropic::messages::answer),
        ["v1", "messages", "count_tokens"] => anthropic(anthropic::messages::count_tokens),
        ["openai", "deployments", model, rest @ ..] => {
            named(Protocol::Azure, azure::deployment(rest)?, model)
        }
        ["openai", "responses"] => azure(azure::responses),
        ["openai", "v1", "chat", "completions"] => azure(azure::filtered_chat),
        ["openai", "v1", "completions"] => azure(openai::completions::answer),
        ["openai", "v1", "embeddings"] => azure(openai::embeddings::answer),
        ["openai", "v1", "responses"] => azure(openai::responses::answer),
        ["v1" | "v1beta", "models", method] => {
            let (model, method) = method.rsplit_once(':')?;
            let handler: Handler = match method {
                "generateContent" => gemini::generate::answer,
                "streamGenerateContent" => gemini::generate::stream,
                "countTokens" => gemini::generate::count_tokens,
                "embedContent" => gemini::embed::one,
                "batchEmbedContents" => gemini::embed::batch,
                _ => return None,
            };
            named(Protocol::Gemini, handler, model)
        }
        ["model", model, "converse"] => named(Protocol::Bedrock, bedrock::converse::answer, model),
        ["model", model, "converse-stream"] => {
            named(Protocol::Bedrock, bedrock::converse::stream, model)
        }
        ["model", model, "invoke"] => named(Protocol::Bedrock, bedrock::invoke::answer, model),
        ["v2", "chat"] => cohere(cohere::chat::answer),
        ["v2", "embed"] => cohere(cohere::embed::answer),
        ["api", "chat"] => ollama(ollama::chat),
        ["api", "generate"] => ollama(ollama::generate),
        ["api", "embed"] => ollama(ollama::embed),
        _ => None,
    }
}

fn get(segments: &[&str], headers: &HeaderMap) -> Found {
    let of = |protocol: Protocol, handler: Handler, id: &[&str]| {
        Some((protocol, handler, (!id.is_empty()).then(|| id.join("/"))))
    };
    let is_anthropic = headers.contains_key("anthropic-version");
    let is_google = headers.contains_key("x-goog-api-key");
    match segments {
        ["v1", "models"] if is_google => of(Protocol::Gemini, gemini::models::list, &[]),
        ["v1", "models", id @ ..] if is_google => of(Protocol::Gemini, gemini::models::one, id),
        ["v1", "models"] if is_anthropic => of(Protocol::Anthropic, anthropic::models::list, &[]),
        ["v1", "models", id @ ..] if is_anthropic => {
            of(Protocol::Anthropic, anthropic::models::one, id)
        }
        ["v1", "models"] => of(Protocol::OpenAi, openai::models::list, &[]),
        ["v1", "models", id @ ..] => of(Protocol::OpenAi, openai::models::one, id),
        ["openai", "v1", "models"] => of(Protocol::Azure, openai::models::list, &[]),
        ["openai", "v1", "models", id @ ..] => of(Protocol::Azure, openai::models::one, id),
        ["v1beta", "models"] => of(Protocol::Gemini, gemini::models::list, &[]),
        ["v1beta", "models", id @ ..] => of(Protocol::Gemini, gemini::models::one, id),
        ["api", "tags"] => of(Protocol::Ollama, ollama::tags, &[]),
        _ => None,
    }
}

/// Percent-decoded.
fn decoded(text: &str) -> String {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let escaped = tail.get(..2).and_then(|hex| str::from_utf8(hex).ok());
        match escaped.and_then(|hex| u8::from_str_radix(hex, 16).ok()).filter(|_| first == b'%') {
            Some(byte) => {
                out.push(byte);
                rest = &tail[2..];
            }
            None => {
                out.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_in_paths_are_decoded() {
        let model =
            |path: &str| find(&Method::POST, path, &HeaderMap::new()).and_then(|route| route.model);
        for (path, expected) in [
            ("/model/us.anthropic%2Fclaude%3A0/converse", "us.anthropic/claude:0"),
            ("/v1beta/models/a%3AcountTokens:generateContent", "a:countTokens"),
            ("/openai/deployments/my%20own/chat/completions", "my own"),
            ("/model/%zz%/invoke", "%zz%"),
        ] {
            assert_eq!(model(path).as_deref(), Some(expected), "{path}");
        }
        assert!(find(&Method::POST, "/v1beta/models/m:predict", &HeaderMap::new()).is_none());
    }
}
