//! What a provider protocol is given and gives back.

use bytes::Bytes;
use hyper::{HeaderMap, Method};
use serde_json::Value;

use super::{
    anthropic,
    control::Controls,
    frame::{Event, Framing},
    ollama, openai,
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
    Anthropic,
    Ollama,
}

impl Protocol {
    pub(crate) fn error(self, fault: &Fault, call: &Call) -> Value {
        match self {
            Self::OpenAi => openai::error(fault),
            Self::Anthropic => anthropic::error(fault, call),
            Self::Ollama => ollama::error(fault),
        }
    }

    /// The event by which the provider reports a failure inside a stream.
    pub(crate) fn error_event(self, call: &Call) -> Event {
        match self {
            Self::OpenAi => openai::error_event(call),
            Self::Anthropic => anthropic::error_event(),
            Self::Ollama => ollama::error_event(),
        }
    }

    /// What the provider says when it does not find the model.
    pub(crate) fn unknown_model(self, model: &str) -> Fault {
        match self {
            Self::OpenAi => openai::unknown_model(model),
            Self::Anthropic => anthropic::unknown_model(model),
            Self::Ollama => ollama::unknown_model(model),
        }
    }

    /// What the provider says when the body is no JSON.
    pub(crate) fn invalid_json(self) -> Fault {
        match self {
            Self::OpenAi => openai::invalid_json(),
            Self::Anthropic => anthropic::invalid_json(),
            Self::Ollama => ollama::invalid_json(),
        }
    }

    pub(crate) fn unauthorized(self) -> Fault {
        match self {
            Self::OpenAi => openai::unauthorized(),
            Self::Anthropic => anthropic::unauthorized(),
            Self::Ollama => ollama::unauthorized(),
        }
    }

    /// The response headers that the provider always sends.
    pub(crate) fn headers(self, call: &Call) -> Vec<(&'static str, String)> {
        match self {
            Self::OpenAi => openai::headers(call),
            Self::Anthropic => anthropic::headers(call),
            Self::Ollama => Vec::new(),
        }
    }
}
