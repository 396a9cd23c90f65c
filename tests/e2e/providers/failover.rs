//! Chains of three providers that speak three protocols: which failures go on to the next one, and
//! what the caller sees of it, in every dialect, streamed and not.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use harness::wire::{Answer, Request};
use serde_json::{Value, json};

use super::fleet::{CALLERS_KEY, Fleet, NOBODY, NOBODYS_MODEL, PROVIDERS};

/// Every provider is once the first.
const CHAINS: [[&str; 3]; 7] = [
    ["anthropic", "gemini", "ollama"],
    ["gemini", "openai", "bedrock"],
    ["bedrock", "cohere", "azure"],
    ["cohere", "bedrock", "openai"],
    ["ollama", "anthropic", "cohere"],
    ["openai", "ollama", "gemini"],
    ["azure", "gemini", "anthropic"],
];

/// Nobody answers at its first provider.
const BEHIND_NOBODY: [&str; 3] = [NOBODY, "cohere", "bedrock"];

#[test]
fn after_503_and_429_the_third_answers() {
    for chain in CHAINS {
        let [first, second, third] = chain;
        for call in calls(&chain.join("-"), &[(first, "status=503"), (second, "status=429")]) {
            call.answered_by(third, 3);
            for provider in chain {
                assert_eq!(call.seen_by(provider), 1, "{provider}: {call:?}");
            }
        }
    }
    FLEET.assert_keys_stay_apart();
}

#[test]
fn a_reset_before_the_first_byte_goes_on() {
    for chain in CHAINS {
        let [first, second, _] = chain;
        for call in calls(&chain.join("-"), &[(first, "reset=headers")]) {
            call.answered_by(second, 2);
        }
    }
}

#[test]
fn a_refused_connection_goes_on() {
    let [_, second, third] = BEHIND_NOBODY;
    for call in calls(&BEHIND_NOBODY.join("-"), &[]) {
        call.answered_by(second, 2);
    }
    for call in calls(&BEHIND_NOBODY.join("-"), &[(second, "status=500; body=html")]) {
        call.answered_by(third, 3);
    }
    FLEET.assert_keys_stay_apart();
}

#[test]
fn a_provider_that_does_not_answer_in_time_is_left() {
    for chain in &CHAINS[..2] {
        let [first, second, _] = *chain;
        for call in calls(&format!("{}-in-time", chain.join("-")), &[(first, "stall=headers")]) {
            call.answered_by(second, 2);
        }
    }
}

/// Gemini says of a wrong key that the request is wrong, Bedrock that it is forbidden.
#[test]
fn a_wrong_key_goes_on() {
    for chain in CHAINS {
        let [first, second, _] = chain;
        for call in calls(&chain.join("-"), &[(first, "key=another")]) {
            call.answered_by(second, 2);
            let refused = FLEET.server(first).requests();
            let refused = refused.iter().rfind(|it| is_about(&it.body, &call.text)).unwrap();
            assert!(refused.status.is_some_and(|status| (400..=403).contains(&status)));
        }
    }
    FLEET.assert_keys_stay_apart();
}

#[test]
fn a_stream_that_fails_before_it_says_anything_goes_on() {
    for chain in CHAINS {
        let [first, second, third] = chain;
        for (controls, of_second) in
            [("error-event=0", ""), ("end-early=0", "error-event=0"), ("end-early=1", "")]
        {
            // The first event of these says something already.
            if controls == "end-early=1" && matches!(first, "gemini" | "ollama") {
                continue;
            }
            let told = [(first, controls), (second, of_second)];
            for call in calls(&chain.join("-"), &told).into_iter().filter(|call| call.stream) {
                match of_second {
                    "" => call.answered_by(second, 2),
                    _ => call.answered_by(third, 3),
                }
            }
        }
    }
}

#[test]
fn a_stream_that_fails_later_ends_with_an_error_and_nobody_takes_over() {
    for chain in CHAINS {
        let [first, second, third] = chain;
        for controls in ["error-event=6", "end-early=6"] {
            let calls = calls(&chain.join("-"), &[(first, controls)]);
            for call in calls.into_iter().filter(|call| call.stream) {
                assert_eq!(call.answer.status, 200, "{call:?}");
                let text = call.said();
                assert!(text.starts_with("You said:") && !text.ends_with("end"), "{call:?}");
                assert!(call.error().is_some(), "{call:?}");
                assert!(!call.ended_well(), "{call:?}");
                assert_eq!(call.logged()["attempts"], "1");
                assert_eq!([second, third].map(|provider| call.seen_by(provider)), [0, 0]);
            }
        }
    }
}

#[test]
fn an_exhausted_chain_tells_what_the_last_provider_said() {
    for chain in CHAINS {
        let [first, second, third] = chain;
        for (controls, status, kinds, words) in [
            (
                "status=429",
                429,
                ["requests", "rate_limit_error", "RESOURCE_EXHAUSTED"],
                "Rate limit reached",
            ),
            (
                "status=400",
                400,
                ["invalid_request_error", "invalid_request_error", "INVALID_ARGUMENT"],
                "as it asked",
            ),
            ("status=503", 503, ["server_error", "overloaded_error", "UNAVAILABLE"], ""),
        ] {
            let told = [(first, "status=503"), (second, "status=500"), (third, controls)];
            for call in calls(&chain.join("-"), &told) {
                assert_eq!(call.answer.status, status, "{call:?}");
                let error = call.error().unwrap_or_else(|| panic!("{call:?}"));
                let kind = match call.dialect {
                    // What Azure's own gateway says has no type, which its clients know.
                    Dialect::OpenAi if third == "azure" && status == 429 => None,
                    Dialect::OpenAi => Some((&error["type"], kinds[0])),
                    Dialect::Anthropic => Some((&error["type"], kinds[1])),
                    Dialect::Gemini => Some((&error["status"], kinds[2])),
                    Dialect::Ollama => None,
                };
                assert!(kind.is_none_or(|(found, expected)| found == expected), "{call:?}");
                let message = error.as_str().or(error["message"].as_str()).unwrap();
                assert!(message.contains(words), "{call:?}");
                assert_eq!(call.logged()["attempts"], "3");
                assert_eq!(chain.map(|provider| call.seen_by(provider)), [1, 1, 1]);
            }
        }
    }
}

#[test]
fn a_mistake_of_the_callers_goes_no_further() {
    for chain in CHAINS {
        let [first, second, third] = chain;
        for call in calls(&chain.join("-"), &[(first, "status=400")]) {
            assert_eq!(call.answer.status, 400, "{call:?}");
            assert_eq!([second, third].map(|provider| call.seen_by(provider)), [0, 0]);
        }
    }
    // What the first provider's protocol cannot say is one, too.
    let parts = json!([{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]);
    let body =
        json!({"model": "bedrock-cohere-azure", "messages": [{"role": "user", "content": parts}]});
    let answer = Request::post("/v1/chat/completions", &body).send(address()).unwrap();
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert_eq!(answer.json()["error"]["param"], "messages[0].content[0].image_url.url");
}

/// What the caller speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    OpenAi,
    Anthropic,
    Gemini,
    Ollama,
}

/// One call and its answer.
#[derive(Debug)]
struct Call {
    dialect: Dialect,
    stream: bool,
    /// The prompt, which no other call has.
    text: String,
    answer: Answer,
}

/// The same in every dialect, streamed and not, at the same time. `told`: what each provider is to
/// do.
fn calls(model: &str, told: &[(&str, &str)]) -> Vec<Call> {
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
    fn answered_by(&self, provider: &str, attempts: u32) {
        assert_eq!(self.answer.status, 200, "{provider}: {self:?}");
        assert_eq!(self.said(), format!("You said: {}", self.text), "{self:?}");
        assert!(self.ended_well() && self.error().is_none(), "{self:?}");
        let entry = self.logged();
        assert_eq!(entry["provider"], provider, "{entry}");
        assert_eq!(entry["attempts"], attempts.to_string(), "{entry}");
    }

    fn said(&self) -> String {
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
    fn error(&self) -> Option<Value> {
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

    fn ended_well(&self) -> bool {
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

    fn logged(&self) -> Value {
        let id = self.answer.header("x-request-id").expect("a request id");
        FLEET.envoy.access_log_entry(|entry| entry["request_id"] == id).unwrap()
    }

    /// How many attempts came to this provider.
    fn seen_by(&self, provider: &str) -> usize {
        let requests = FLEET.server(provider).requests();
        requests.iter().filter(|it| is_about(&it.body, &self.text)).count()
    }
}

fn is_about(body: &[u8], text: &str) -> bool {
    String::from_utf8_lossy(body).contains(text)
}

fn address() -> std::net::SocketAddr {
    FLEET.envoy.address("gateway").unwrap()
}

static FLEET: LazyLock<Fleet> = LazyLock::new(|| {
    Fleet::start(|name, value| {
        if name != "gateway" {
            return;
        }
        value["attempts"] = json!({"retry_on": ["401", "402", "403"]});
        value["models"] = json!({});
        for chain in CHAINS.iter().chain([&BEHIND_NOBODY]) {
            let model = |name: &str| match PROVIDERS.iter().find(|it| it.name == name) {
                Some(provider) => provider.chat,
                None => NOBODYS_MODEL,
            };
            let entries = chain.iter().enumerate().map(|(priority, name)| {
                json!({"provider": name, "model": model(name), "priority": priority})
            });
            let mut entries: Vec<Value> = entries.collect();
            value["models"][chain.join("-")] = json!(entries);
            entries[0]["attempts"] = json!({"per_try_timeout": "3s"});
            value["models"][format!("{}-in-time", chain.join("-"))] = json!(entries);
        }
    })
});
