//! Any events in any order, legal or not: no role panics, each exchange is settled once, and what
//! the limits took is in the end what was counted.

use llm_gateway::config::{Gateway, Provider};
use llm_gateway::host::fake::{Call, Fake};
use llm_gateway::host::{Buffer, CallId, Event, Map, MetricKind, Status};
use llm_gateway::{attempt, exchange};
use proptest::prelude::*;
use serde_json::json;

use crate::player::running_leases;

#[derive(Clone, Debug)]
enum Act {
    /// The worker's stream ends, if it has not, and another begins.
    Next,
    Request(usize, bool),
    Body(usize, bool),
    Trailers,
    /// An attempt of the provider role sees the request.
    Attempt(usize),
    Answer(usize, bool),
    Chunk(usize, bool),
    AnswerTrailers,
    Tick,
    Called(usize),
    Log(usize),
    Fail(usize),
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..Default::default() })]

    #[test]
    fn each_exchange_is_settled_once_and_limits_keep_what_was_counted(
        acts in prop::collection::vec((0..2usize, act()), 0..40),
        cache in any::<bool>(),
    ) {
        let host = Fake::new();
        let mut workers = [Runner::new(host.worker(), cache), Runner::new(host.worker(), cache)];
        for (worker, act) in &acts {
            workers[*worker].act(act)?;
        }
        for worker in &mut workers {
            worker.finish()?;
        }
        let counted = sum(&host, "llm_tokens_total.", &["type=input", "type=output"]);
        let requests = sum(&host, "llm_requests_total.operation=", &["provider=p;", "provider=q;"]);
        // Who leaves while it waits for the cache has counted, and no provider was asked.
        let left = workers.iter().map(|worker| worker.left_waiting).sum::<u64>();
        prop_assert_eq!(workers[0].debts(), (requests + left, counted));
        prop_assert_eq!(running_leases(&host), 0);
    }

    #[test]
    fn nothing_panics_whatever_the_host_refuses(
        acts in prop::collection::vec((0..2usize, prop_oneof![4 => act(), 1 => (0..FAILURES.len()).prop_map(Act::Fail)]), 0..40),
        cache in any::<bool>(),
    ) {
        let host = Fake::new();
        let mut workers = [Runner::new(host.worker(), cache), Runner::new(host.worker(), cache)];
        for (worker, act) in &acts {
            workers[*worker].act(act)?;
        }
        for worker in &mut workers {
            worker.finish()?;
        }
    }
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => Just(Act::Next),
        4 => (0..PATHS.len(), prop::bool::weighted(0.1)).prop_map(|(i, end)| Act::Request(i, end)),
        5 => (0..BODIES.len(), prop::bool::weighted(0.8)).prop_map(|(i, end)| Act::Body(i, end)),
        1 => Just(Act::Trailers),
        2 => (0..2usize).prop_map(Act::Attempt),
        4 => (0..ANSWERS.len(), prop::bool::weighted(0.1)).prop_map(|(i, end)| Act::Answer(i, end)),
        6 => (0..CHUNKS.len(), prop::bool::weighted(0.3)).prop_map(|(i, end)| Act::Chunk(i, end)),
        1 => Just(Act::AnswerTrailers),
        1 => Just(Act::Tick),
        1 => (0..CHUNKS.len()).prop_map(Act::Called),
        1 => (0..DETAILS.len()).prop_map(Act::Log),
    ]
}

/// One worker, whose stream sees what a test likes.
struct Runner {
    host: Fake,
    service: exchange::Service,
    providers: [attempt::Service; 2],
    state: exchange::State,
    attempt: attempt::State,
    logged: bool,
    /// Exchanges that ended while they waited for the cache.
    left_waiting: u64,
}

impl Runner {
    fn new(host: Fake, cache: bool) -> Self {
        let mut config = json!({
            "providers": {
                "p": {"models": [{"name": "m", "price": {"input": 1, "output": 2}}, "n"]},
                "q": {"models": ["m"], "priority": 1},
            },
            "limits": [
                {"name": "all", "key": [], "requests": 1_000_000, "tokens": LIMIT, "window": "1h"},
                {"name": "few", "key": [], "requests": 7, "tokens": 200, "window": "1h", "models": ["m"]},
            ],
            "unmatched": "reject",
            "max_request_bytes": "1KiB",
            "log": {"requests": "all"},
        });
        if cache {
            config["cache"] = json!({"ttl": "1m", "scope": "global"});
        }
        let config = Gateway::from_bytes(config.to_string().as_bytes()).unwrap();
        let service = exchange::Service::open(config, &host).unwrap();
        let provider = |text: &str| {
            let provider = Provider::from_bytes(text.as_bytes(), &|_| Some("key".into())).unwrap();
            attempt::Service::new(provider, service.ledger())
        };
        let providers = [
            provider(r#"{"provider":"p","base_path":"/x","auth":{"bearer_env":"K"}}"#),
            provider(r#"{"provider":"q","api":"anthropic"}"#),
        ];
        let (state, attempt) = Default::default();
        Self { host, service, providers, state, attempt, logged: false, left_waiting: 0 }
    }

    fn act(&mut self, act: &Act) -> Result<(), TestCaseError> {
        match act {
            Act::Next => {
                self.finish()?;
                self.host.start_stream();
                (self.state, self.attempt) = Default::default();
                self.logged = false;
            }
            Act::Request(path, end) => {
                let (method, path) = PATHS[*path];
                let headers = [
                    (":method", method),
                    (":path", path),
                    ("x-request-id", "r"),
                    ("content-type", "application/json"),
                ];
                self.host.give_headers(Map::RequestHeaders, headers);
                self.step(Event::RequestHeaders { end: *end });
            }
            Act::Body(body, end) => {
                let body = BODIES[*body];
                self.host.give_body(Buffer::RequestBody, body.as_bytes());
                self.step(Event::RequestBody { size: body.len(), end: *end });
            }
            Act::Trailers => self.step(Event::RequestTrailers),
            Act::Attempt(provider) => {
                self.host.give_property(&["upstream", "local_address"], b"127.0.0.1:80");
                let service = &self.providers[*provider];
                self.attempt = attempt::State::default();
                let body = Event::RequestBody { size: 1, end: true };
                for event in [Event::RequestHeaders { end: false }, body] {
                    let state = std::mem::take(&mut self.attempt);
                    self.attempt = state.step(service, event, &self.host).0;
                }
            }
            Act::Answer(answer, end) => {
                let (status, kind, details) = ANSWERS[*answer];
                self.host.give_headers(
                    Map::ResponseHeaders,
                    [(":status", status), ("content-type", kind), ("content-length", "9")],
                );
                self.host.give_property(&["response", "code_details"], details.as_bytes());
                self.step(Event::ResponseHeaders { end: *end });
            }
            Act::Chunk(chunk, end) => {
                let chunk = CHUNKS[*chunk];
                self.host.give_body(Buffer::ResponseBody, chunk.as_bytes());
                self.step(Event::ResponseBody { size: chunk.len(), end: *end });
            }
            Act::AnswerTrailers => self.step(Event::ResponseTrailers),
            Act::Tick => {
                self.step(Event::Tick);
                self.service.tick(&self.host);
            }
            Act::Called(chunk) => {
                self.host.give_headers(Map::CallHeaders, [(":status", "200")]);
                self.host.give_body(Buffer::CallBody, CHUNKS[*chunk].as_bytes());
                self.step(Event::Called(CallId(1)));
            }
            Act::Log(details) => {
                let details = DETAILS[*details].as_bytes();
                self.host.give_property(&["response", "code_details"], details);
                self.log()?;
            }
            Act::Fail(call) => self.host.fail_next(FAILURES[*call], Status::InternalFailure),
        }
        Ok(())
    }

    /// The provider role sees what comes back, and so does the gateway role.
    fn step(&mut self, event: Event) {
        if matches!(
            event,
            Event::ResponseHeaders { .. } | Event::ResponseBody { .. } | Event::ResponseTrailers
        ) {
            let state = std::mem::take(&mut self.attempt);
            self.attempt = state.step(&self.providers[0], event, &self.host).0;
        }
        let state = std::mem::take(&mut self.state);
        let is_over = matches!(event, Event::ResponseHeaders { .. } | Event::Log);
        self.left_waiting += u64::from(is_over && matches!(state, exchange::State::Joining(_)));
        self.state = state.step(&self.service, event, &self.host).0;
    }

    /// The first end of a call counts it, and nothing else does.
    fn log(&mut self) -> Result<(), TestCaseError> {
        let before = sum(&self.host, "llm_requests_total.", &[""]);
        use exchange::State::{Closed, Passing, Start};
        let is_call = !matches!(self.state, Start | Passing | Closed);
        prop_assert!(!(is_call && self.logged), "a call after its end");
        self.host.end_stream();
        self.step(Event::Log);
        let counted = sum(&self.host, "llm_requests_total.", &[""]) - before;
        prop_assert_eq!(counted, u64::from(is_call));
        prop_assert!(matches!(self.state, Closed));
        self.logged = true;
        Ok(())
    }

    fn finish(&mut self) -> Result<(), TestCaseError> {
        if self.logged { Ok(()) } else { self.log() }
    }

    /// Requests and tokens that the limits hold, told by one more request.
    fn debts(&mut self) -> (u64, u64) {
        self.host.start_stream();
        self.state = exchange::State::default();
        let body = r#"{"model":"n"}"#;
        let headers =
            [(":method", "POST"), (":path", "/v1/other"), ("content-type", "application/json")];
        self.host.give_headers(Map::RequestHeaders, headers);
        self.step(Event::RequestHeaders { end: false });
        self.host.give_body(Buffer::RequestBody, body.as_bytes());
        self.step(Event::RequestBody { size: body.len(), end: true });
        self.host.give_headers(Map::ResponseHeaders, [(":status", "204")]);
        self.step(Event::ResponseHeaders { end: true });
        let remaining = |unit: &str| -> u64 {
            let name = format!("x-ratelimit-remaining-{unit}");
            let values = self.host.header(Map::ResponseHeaders, &name);
            String::from_utf8(values[0].clone()).unwrap().parse().unwrap()
        };
        let asked = body.len().div_ceil(4) as u64;
        (1_000_000 - remaining("requests") - 1, LIMIT - remaining("tokens") - asked)
    }
}

/// All counters whose names begin so and hold one of `parts`.
fn sum(host: &Fake, prefix: &str, parts: &[&str]) -> u64 {
    let names = host.metric_names(MetricKind::Counter).into_iter();
    let names = names.filter(|name| name.starts_with(prefix));
    let names = names.filter(|name| parts.iter().any(|part| name.contains(part)));
    names.map(|name| crate::expect::count(host, &name)).sum()
}

const LIMIT: u64 = 1_000_000_000;

const PATHS: [(&str, &str); 11] = [
    ("POST", "/v1/chat/completions"),
    ("POST", "/v1/chat/completions"),
    ("POST", "/v1/messages"),
    ("POST", "/v1/responses"),
    ("POST", "/api/chat"),
    ("POST", "/v1beta/models/m:generateContent?key=k"),
    ("POST", "/v1beta/models/n:streamGenerateContent?alt=sse"),
    ("POST", "/v1/embeddings"),
    ("POST", "/v1/other"),
    ("GET", "/v1/models"),
    ("GET", "/other"),
];

const BODIES: [&str; 10] = [
    r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}"#,
    r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}"#,
    r#"{"model":"n","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"hi"}]}"#,
    r#"{"model":"n","input":"hi","messages":[]}"#,
    r#"{"model":"p/m","stream":false,"input":"hi","messages":[{"role":"user","content":"hi"}]}"#,
    r#"{"model":"x","messages":[{"role":"user","content":"hi"}]}"#,
    r#"{"input":"x"}"#,
    r#"{"contents":[{"parts":[{"text":"hi"}]}],"generationConfig":{"maxOutputTokens":9}}"#,
    "{",
    "",
];

const ANSWERS: [(&str, &str, &str); 10] = [
    ("200", "application/json", "via_upstream"),
    ("200", "application/json", "via_upstream"),
    ("200", "text/event-stream", "via_upstream"),
    ("200", "text/event-stream", "via_upstream"),
    ("200", "application/x-ndjson", "via_upstream"),
    ("200", "audio/mpeg", "via_upstream"),
    ("302", "", "via_upstream"),
    ("400", "application/json", "via_upstream"),
    ("503", "application/json", "via_upstream"),
    ("503", "text/plain", "no_healthy_upstream"),
];

const CHUNKS: [&str; 8] = [
    "data: {\"choices\":[{\"delta\":{\"content\":\"hello there\"}}]}\n\n",
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}\n\n",
    "data: [DONE]\n\n",
    "{\"choices\":[{\"message\":{\"content\":\"hello\"}}],",
    "\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":90,\"input_tokens\":5,\"output_tokens\":90}}",
    "{\"error\":{\"message\":\"no\"}}",
    "{\"done\":true,\"prompt_eval_count\":5,\"eval_count\":6}\n",
    "",
];

const DETAILS: [&str; 3] =
    ["via_upstream", "downstream_remote_disconnect", "upstream_reset_after_response_started{x}"];

const FAILURES: [Call; 11] = [
    Call::Headers,
    Call::SetHeader,
    Call::RemoveHeader,
    Call::Body,
    Call::SpliceBody,
    Call::Property,
    Call::SetFilterState,
    Call::Fill,
    Call::Load,
    Call::Save,
    Call::Reply,
];
