//! Which protocol and handler a path belongs to.

use hyper::Method;

use super::{
    anthropic,
    call::{Handler, Protocol},
    ollama, openai,
};

pub(super) struct Route {
    pub protocol: Protocol,
    pub handler: Handler,
    /// The model, where the path names it and not the body.
    pub model: Option<String>,
}

/// `None`: there is no such path. OpenAI and Anthropic share the path of their model lists.
pub(super) fn find(method: &Method, path: &str, is_anthropic: bool) -> Option<Route> {
    let post = method == Method::POST;
    let get = method == Method::GET;
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    let openai = |handler: Handler| (Protocol::OpenAi, handler, None);
    let anthropic = |handler: Handler| (Protocol::Anthropic, handler, None);
    let ollama = |handler: Handler| (Protocol::Ollama, handler, None);
    let (protocol, handler, model) = match segments.as_slice() {
        ["v1", "models"] if get && is_anthropic => anthropic(anthropic::models::list),
        ["v1", "models", id @ ..] if get && is_anthropic => {
            (Protocol::Anthropic, anthropic::models::one as Handler, Some(decoded(&id.join("/"))))
        }
        ["v1", "models"] if get => openai(openai::models::list),
        ["v1", "models", id @ ..] if get => {
            (Protocol::OpenAi, openai::models::one as Handler, Some(decoded(&id.join("/"))))
        }
        ["v1", "chat", "completions"] if post => openai(openai::chat::answer),
        ["v1", "completions"] if post => openai(openai::completions::answer),
        ["v1", "responses"] if post => openai(openai::responses::answer),
        ["v1", "embeddings"] if post => openai(openai::embeddings::answer),
        ["v1", "images", "generations" | "edits"] if post => openai(openai::others::image),
        ["v1", "audio", "transcriptions"] if post => openai(openai::others::transcription),
        ["v1", "audio", "speech"] if post => openai(openai::others::speech),
        ["v1", "moderations"] if post => openai(openai::others::moderation),
        ["v1", "rerank"] if post => openai(openai::others::rerank),
        ["v1", "messages"] if post => anthropic(anthropic::messages::answer),
        ["v1", "messages", "count_tokens"] if post => anthropic(anthropic::messages::count_tokens),
        ["api", "chat"] if post => ollama(ollama::chat),
        ["api", "generate"] if post => ollama(ollama::generate),
        ["api", "embed"] if post => ollama(ollama::embed),
        ["api", "tags"] if get => ollama(ollama::tags),
        _ => return None,
    };
    Some(Route { protocol, handler, model })
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
        assert_eq!(decoded("us.anthropic%2Fclaude%3A0%zz%"), "us.anthropic/claude:0%zz%");
    }
}
