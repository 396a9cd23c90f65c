//! A call in each dialect, and what its answer says.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use harness::wire::{Answer, Request};
use serde_json::{Value, json};

use super::super::fleet::CALLERS_KEY;
use super::{FLEET, address, is_about};

/// What the caller speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    OpenAi,
    Anthropic,
    Gemini,
    Ollama,
}

/// One call and its answer.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) dialect: Dialect,
    pub(super) stream: bool,
    /// The prompt, which no other call has.
    pub(super) text: String,
    pub(super) answer: Answer,
}

/// The same in every dialect, streamed and not, at the same time. `told`: what each provider is to
/// do.
pub(super) fn calls(model: &str, told: &[(&str, &str)]) -> Vec<Call> {
    let call = |dialect: Dialect, stream: bool| {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let text = format!("call-{number}- and some more words until the end");
        let mut request = dialect.request(model, &text, stream);
        for (provider, controls) in told {
            request = request.header(&format!("x-sim-{provider}"), controls);
        }
        let answer = request.send(address()).unwrap();
        Call { dialect, stream, text, answer }
    };
    let dialects = [Dialect::OpenAi, Dialect::Anthropic, Dialect::Gemini, Dialect::Ollama];
    thread::scope(|scope| {
        let kinds = dialects.into_iter().flat_map(|dialect| [(dialect, false), (dialect, true)]);
        let started: Vec<_> =
            kinds.map(|(dialect, stream)| scope.spawn(move || call(dialect, stream))).collect();
        started.into_iter().map(|call| call.join().unwrap()).collect()
    })
}

impl Dialect {
    /// With the caller's key where callers of that protocol have theirs.
    fn request(self, model: &str, text: &str, stream: bool) -> Request {
        let messages = json!([{"role": "user", "content": text}]);
        let body =
            json!({"model": model, "max_tokens": 100, "stream": stream, "messages": messages});
        match self {
            Self::OpenAi => Request::post("/v1/chat/completions", &body)
                .header("authorization", format!("Bearer {CALLERS_KEY}")),
            Self::Anthropic => Request::post("/v1/messages", &body)
                .header("x-api-key", CALLERS_KEY)
                .header("anthropic-version", "2023-06-01"),
            Self::Gemini => {
                let method =
                    if stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
                let body = json!({"contents": [{"role": "user", "parts": [{"text": text}]}]});
                Request::post(&format!("/v1beta/models/{model}:{method}"), &body)
                    .header("x-goog-api-key", CALLERS_KEY)
            }
            Self::Ollama => {
                let body = json!({"model": model, "stream": stream, "messages": messages});
                Request::post("/api/chat", &body)
                    .header("authorization", format!("Bearer {CALLERS_KEY}"))
            }
        }
    }

    /// Where a whole answer has its text, and where an event of a stream has a piece of it.
    fn text(self) -> [&'static str; 2] {
        match self {
            Self::OpenAi => ["/choices/0/message/content", "/choices/0/delta/content"],
            Self::Anthropic => ["/content/0/text", "/delta/text"],
            Self::Gemini => ["/candidates/0/content/parts/0/text"; 2],
            Self::Ollama => ["/message/content"; 2],
        }
    }
}

impl Call {
    /// The whole answer, by this provider, which is the last of so many attempts.
    pub(super) fn answered_by(&self, provider: &str, attempts: u32) {
        assert_eq!(self.answer.status, 200, "{provider}: {self:?}");
        assert_eq!(self.said(), format!("You said: {}", self.text), "{self:?}");
        assert!(self.ended_well() && self.error().is_none(), "{self:?}");
        let entry = self.logged();
        assert_eq!(entry["provider"], provider, "{entry}");
        assert_eq!(entry["attempts"], attempts.to_string(), "{entry}");
    }

    pub(super) fn said(&self) -> String {
        let pointer = self.dialect.text()[usize::from(self.stream)];
        let text =
            |value: &Value| value.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        self.values().iter().filter_map(text).collect()
    }

    /// The events of a stream, or the whole answer.
    fn values(&self) -> Vec<Value> {
        let kind = self.answer.header("content-type").unwrap_or_default();
        match kind.split(';').next() {
            Some("text/event-stream") => self.answer.events(),
            Some("application/x-ndjson") => {
                let lines = self.answer.text().lines();
                lines.map(|line| serde_json::from_str(line).expect("JSON a line")).collect()
            }
            _ => vec![self.answer.json()],
        }
    }

    /// The error in the caller's dialect: of the whole answer, or the last event.
    pub(super) fn error(&self) -> Option<Value> {
        let last = self.values().pop()?;
        let error = last.get("error").cloned()?;
        let is_known = match self.dialect {
            Dialect::OpenAi => error.is_object(),
            Dialect::Anthropic => last["type"] == "error" && error["type"].is_string(),
            Dialect::Gemini => error["code"].is_u64() && error["status"].is_string(),
            Dialect::Ollama => error.is_string(),
        };
        assert!(is_known, "no error of this dialect: {self:?}");
        Some(error)
    }

    pub(super) fn ended_well(&self) -> bool {
        let last = self.values().pop().unwrap_or_default();
        let reason = last.pointer("/candidates/0/finishReason").is_some();
        match (self.dialect, self.stream) {
            (_, false) => self.answer.complete,
            (Dialect::OpenAi, true) => self.answer.text().ends_with("data: [DONE]\n\n"),
            (Dialect::Anthropic, true) => last["type"] == "message_stop",
            (Dialect::Gemini, true) => reason,
            (Dialect::Ollama, true) => last["done"] == true,
        }
    }

    pub(super) fn logged(&self) -> Value {
        let id = self.answer.header("x-request-id").expect("a request id");
        FLEET.envoy.access_log_entry(|entry| entry["request_id"] == id).unwrap()
    }

    /// How many attempts came to this provider.
    pub(super) fn seen_by(&self, provider: &str) -> usize {
        let requests = FLEET.server(provider).requests();
        requests.iter().filter(|it| is_about(&it.body, &self.text)).count()
    }
}
