//! What a provider protocol is given and gives back.

use bytes::Bytes;
use hyper::{HeaderMap, Method};
use serde_json::Value;

use super::{
    anthropic, bedrock, cohere,
    control::Controls,
    frame::{Event, Framing},
    gemini, ollama, openai,
    openai::azure,
};

/// A request that has been read and may be answered.
#[derive(Debug)]
pub(crate) struct Call {
    /// The bare model name: without controls.
    pub(crate) model: String,
    /// `Null` if the body is no JSON.
    pub json: Value,
    pub body: Bytes,
    pub headers: HeaderMap,
    pub method: Method,
    pub path: String,
    pub query: String,
    pub controls: Controls,
    /// The models that listings name.
    pub listed: Vec<String>,
    /// Different for every request of a server.
    pub number: u64,
    /// Seconds since 1970.
    pub created: u64,
}

impl Call {
    /// An identifier as providers make them: a prefix and 24 letters and digits.
    pub(crate) fn id(&self, prefix: &str) -> String {
        format!("{prefix}{:08x}{:016x}", self.created as u32, self.number)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// A parameter of the query, as it was sent.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        let mut pairs = self.query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// A member of the body that is a string.
    pub(crate) fn str(&self, key: &str) -> Option<&str> {
        self.json.get(key).and_then(Value::as_str)
    }

    pub(crate) fn u64(&self, key: &str) -> Option<u64> {
        self.json.get(key).and_then(Value::as_u64)
    }

    pub(crate) fn flag(&self, key: &str) -> Option<bool> {
        self.json.get(key).and_then(Value::as_bool)
    }

    pub(crate) fn array(&self, key: &str) -> Option<&Vec<Value>> {
        self.json.get(key).and_then(Value::as_array)
    }
}

#[derive(Debug)]
pub(crate) enum Answer {
    Json(Value),
    Stream(Framing, Vec<Event>),
    Document { content_type: &'static str, body: Vec<u8> },
}

/// A refusal, to be written as the provider writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub status: u16,
    pub message: String,
    pub param: Option<String>,
    pub code: Option<&'static str>,
}

impl Fault {
    pub(crate) fn new(status: u16, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), param: None, code: None }
    }

    #[must_use]
    pub(crate) fn param(self, param: impl Into<String>) -> Self {
        Self { param: Some(param.into()), ..self }
    }

    #[must_use]
    pub(crate) fn code(self, code: &'static str) -> Self {
        Self { code: Some(code), ..self }
    }
}

pub(crate) type Handler = fn(&Call) -> Result<Answer, Fault>;

/// Whose error shapes, stream errors and response headers an answer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    OpenAi,
    Azure,
    Anthropic,
    Gemini,
    Bedrock,
    Cohere,
    Ollama,
}

impl Protocol {
    pub(crate) fn error(self, fault: &Fault, call: &Call) -> Value {
        match self {
            Self::OpenAi => openai::error(fault),
            Self::Azure => azure::error(fault),
            Self::Anthropic => anthropic::error(fault, call),
            Self::Gemini => gemini::error(fault, call),
            Self::Bedrock => bedrock::error(fault),
            Self::Cohere => cohere::error(fault, call),
            Self::Ollama => ollama::error(fault),
        }
    }

    /// The event by which the provider reports a failure inside a stream.
    pub(crate) fn error_event(self, call: &Call) -> Event {
        match self {
            Self::OpenAi | Self::Azure => openai::error_event(call),
            Self::Anthropic => anthropic::error_event(),
            Self::Gemini => gemini::error_event(),
            Self::Bedrock => bedrock::error_event(),
            Self::Cohere => cohere::error_event(),
            Self::Ollama => ollama::error_event(),
        }
    }

    /// What the provider says when it does not find the model.
    pub(crate) fn unknown_model(self, model: &str) -> Fault {
        match self {
            Self::OpenAi => openai::unknown_model(model),
            Self::Azure => azure::unknown_deployment(),
            Self::Anthropic => anthropic::unknown_model(model),
            Self::Gemini => gemini::unknown_model(model),
            Self::Bedrock => bedrock::unknown_model(),
            Self::Cohere => cohere::unknown_model(model),
            Self::Ollama => ollama::unknown_model(model),
        }
    }

    /// What the provider says when the body is no JSON.
    pub(crate) fn invalid_json(self) -> Fault {
        match self {
            Self::OpenAi | Self::Azure => openai::invalid_json(),
            Self::Anthropic => anthropic::invalid_json(),
            Self::Gemini => gemini::invalid_json(),
            Self::Bedrock => bedrock::invalid_json(),
            Self::Cohere => cohere::invalid_json(),
            Self::Ollama => ollama::invalid_json(),
        }
    }

    pub(crate) fn unauthorized(self, call: &Call) -> Fault {
        match self {
            Self::OpenAi => openai::unauthorized(),
            Self::Azure => azure::unauthorized(),
            Self::Anthropic => anthropic::unauthorized(),
            Self::Gemini => gemini::unauthorized(call),
            Self::Bedrock => bedrock::unauthorized(),
            Self::Cohere => cohere::unauthorized(),
            Self::Ollama => ollama::unauthorized(),
        }
    }

    /// Whether the request brings this key, where the provider looks for one.
    pub(crate) fn has_key(self, call: &Call, key: &str) -> bool {
        let bearer =
            || call.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        match self {
            Self::OpenAi | Self::Cohere | Self::Ollama => bearer() == Some(key),
            Self::Azure => call.header("api-key").or_else(bearer) == Some(key),
            Self::Anthropic => call.header("x-api-key").or_else(bearer) == Some(key),
            Self::Gemini => gemini::keys(call).any(|found| found == key),
            // Its own keys, or the access key id of a signature.
            Self::Bedrock => {
                let signed = format!("Credential={key}/");
                bearer() == Some(key)
                    || call.header("authorization").is_some_and(|value| value.contains(&signed))
            }
        }
    }

    /// The response headers that the provider always sends.
    pub(crate) fn headers(self, call: &Call) -> Vec<(&'static str, String)> {
        match self {
            Self::OpenAi => openai::headers(call),
            Self::Azure => azure::headers(call),
            Self::Anthropic => anthropic::headers(call),
            Self::Bedrock => bedrock::headers(call),
            Self::Cohere => cohere::headers(call),
            Self::Gemini | Self::Ollama => Vec::new(),
        }
    }

    /// Those of a refusal.
    pub(crate) fn error_headers(self, fault: &Fault) -> Vec<(&'static str, String)> {
        match self {
            Self::Bedrock => bedrock::error_headers(fault),
            _ => Vec::new(),
        }
    }
}
