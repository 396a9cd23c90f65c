//! Chains of three providers that speak three protocols: which failures go on to the next one, and
//! what the caller sees of it, in both dialects, streamed and not.

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
        let before = [(first, "status=503"), (second, "status=500")];
        for (controls, status, kinds, words) in [
            ("status=429", 429, ["requests", "rate_limit_error"], "Rate limit reached"),
            ("status=400", 400, ["invalid_request_error", "invalid_request_error"], "as it asked"),
            ("status=503", 503, ["server_error", "overloaded_error"], ""),
        ] {
            let told = [before[0], before[1], (third, controls)];
            for call in calls(&chain.join("-"), &told) {
                assert_eq!(call.answer.status, status, "{call:?}");
                let error = call.error().unwrap_or_else(|| panic!("{call:?}"));
                // Azure's own errors have no type, which its clients know.
                let kind = kinds[usize::from(call.anthropic)];
                let own = third == "azure" && !call.anthropic && status == 429;
                assert!(error["type"] == kind || own, "{call:?}");
                let message = error["message"].as_str().unwrap();
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

/// One call and its answer.
#[derive(Debug)]
struct Call {
    anthropic: bool,
    stream: bool,
    /// The prompt, which no other call has.
    text: String,
    answer: Answer,
}

/// The same in both dialects, streamed and not, at the same time. `told`: what each provider is to
/// do.
fn calls(model: &str, told: &[(&str, &str)]) -> Vec<Call> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let call = |anthropic: bool, stream: bool| {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let text = format!("call-{number}- and some more words until the end");
        let body = json!({"model": model, "max_tokens": 100, "stream": stream,
            "messages": [{"role": "user", "content": text}]});
        let path = if anthropic { "/v1/messages" } else { "/v1/chat/completions" };
        let mut request = Request::post(path, &body)
            .header("authorization", format!("Bearer {CALLERS_KEY}"))
            .header("x-api-key", CALLERS_KEY)
            .header("anthropic-version", "2023-06-01");
        for (provider, controls) in told {
            request = request.header(&format!("x-sim-{provider}"), controls);
        }
        let answer = request.send(address()).unwrap();
        Call { anthropic, stream, text, answer }
    };
    thread::scope(|scope| {
        let kinds = [(false, false), (false, true), (true, false), (true, true)];
        let calls = kinds.map(|(anthropic, stream)| scope.spawn(move || call(anthropic, stream)));
        calls.into_iter().map(|call| call.join().unwrap()).collect()
    })
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
        let text = |value: &Value, pointer: &str| {
            value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        match (self.anthropic, self.stream) {
            (false, false) => text(&self.answer.json(), "/choices/0/message/content"),
            (true, false) => text(&self.answer.json(), "/content/0/text"),
            (false, true) => {
                self.answer.events().iter().map(|it| text(it, "/choices/0/delta/content")).collect()
            }
            (true, true) => self.answer.events().iter().map(|it| text(it, "/delta/text")).collect(),
        }
    }

    /// The error in the caller's dialect: of the whole answer, or the last event.
    fn error(&self) -> Option<Value> {
        let is_stream = self
            .answer
            .header("content-type")
            .is_some_and(|it| it.starts_with("text/event-stream"));
        let last = match is_stream {
            true => self.answer.events().pop()?,
            false => self.answer.json(),
        };
        if self.anthropic && last["type"] != "error" {
            return None;
        }
        last.get("error").filter(|error| error.is_object()).cloned()
    }

    fn ended_well(&self) -> bool {
        match (self.anthropic, self.stream) {
            (_, false) => self.answer.complete,
            (false, true) => self.answer.text().ends_with("data: [DONE]\n\n"),
            (true, true) => {
                self.answer.events().pop().is_some_and(|it| it["type"] == "message_stop")
            }
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
