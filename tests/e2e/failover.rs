//! Failover between three providers with three protocols, each with its own key from the
//! environment: a row of the README's table for each test or line of one.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use harness::envoy::{Bootstrap, Envoy, Launch};
use harness::model_server::{ModelServer, Options};
use harness::wait_for;
use harness::wire::{Answer, Request};
use serde_json::{Value, json};

use crate::support::{CHAT, chat, cluster, shipped, streamed};

/// The providers in the order in which they are tried, with what each is asked.
const PROVIDERS: [Provider; 3] = [
    Provider { name: "one", api: "openai", header: "authorization", path: "/v1/chat/completions" },
    Provider { name: "two", api: "gemini", header: "x-goog-api-key", path: "/v1beta/models/m:" },
    Provider { name: "three", api: "anthropic", header: "x-api-key", path: "/v1/messages" },
];

struct Provider {
    name: &'static str,
    api: &'static str,
    /// Where its key is.
    header: &'static str,
    /// Begins so.
    path: &'static str,
}

#[test]
fn what_fails_goes_to_the_next_provider_and_the_caller_learns_nothing_of_it() {
    let setup = Setup::shared();
    for status in [500, 502, 503, 504, 529, 429, 408, 401, 402, 403] {
        setup.made_up_for(&[&format!("status={status}")], 2, false);
    }
    for failure in ["status=503", "reset=headers", "stall=headers"] {
        for stream in [false, true] {
            setup.made_up_for(&[failure], 2, stream);
        }
    }
    setup.made_up_for(&["status=503", "status=429"], 3, false);
    setup.made_up_for(&["status=503", "status=429"], 3, true);
    setup.made_up_for(&["stall=headers", "reset=headers"], 3, true);
}

#[test]
fn a_stream_that_fails_before_it_says_anything_goes_to_the_next_provider() {
    let setup = Setup::shared();
    for failure in ["error-event=0", "end-early=0", "cut=0"] {
        setup.made_up_for(&[failure], 2, true);
        setup.made_up_for(&["status=503", failure], 3, true);
    }
    // The first event of OpenAI's says only who speaks.
    for failure in ["error-event=1", "end-early=1", "cut=1"] {
        setup.made_up_for(&[failure], 2, true);
    }
}

#[test]
fn nobody_at_the_address_goes_to_the_next_provider() {
    let setup = Setup::shared();
    let answer = setup.ask("nobody-first", &[], false);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(setup.asked(), [0, 0, 1]);
}

#[test]
fn what_the_caller_did_wrong_stays_with_the_first_provider() {
    let setup = Setup::shared();
    for status in [400, 404, 413, 422] {
        let answer = setup.ask("all", &[&format!("status={status}")], false);
        assert_eq!((answer.status, setup.asked()), (status, [1, 0, 0]), "{}", answer.text());
        assert!(answer.json()["error"]["message"].is_string(), "{}", answer.text());
    }
    // Also what this protocol cannot say; the next one could.
    let mut request = chat("Hello");
    request["model"] = json!("two-first");
    request["logit_bias"] = json!({"1": 1});
    let answer = setup.send(&request, &[]);
    assert_eq!((answer.status, setup.asked()), (400, [0, 0, 0]), "{}", answer.text());
    assert_eq!(answer.json()["error"]["param"], "logit_bias", "{}", answer.text());
}

#[test]
fn a_stream_that_fails_after_its_first_content_has_an_error_event_and_no_second_beginning() {
    let setup = Setup::shared();
    for model in ["all", "two-first", "three-first"] {
        for failure in ["error-event=4", "end-early=4"] {
            let name = model.split('-').next().unwrap();
            let sim = (format!("x-sim-{}", if model == "all" { "one" } else { name }), failure);
            let mut request = streamed(chat("one two three four five six seven"));
            request["model"] = json!(model);
            let answer = setup.send(&request, &[(&sim.0, sim.1)]);
            let events = answer.events();
            let last = events.last().unwrap();
            assert!(last["error"]["message"].is_string(), "{model} {failure}: {}", answer.text());
            let said = |event: &&Value| event["choices"][0]["delta"]["content"].is_string();
            assert!(events.iter().filter(said).count() > 1, "{model} {failure}: {}", answer.text());
            assert!(!answer.text().contains("[DONE]"), "{model} {failure}");
            assert_eq!(setup.asked().iter().sum::<usize>(), 1, "{model} {failure}");
        }
    }
}

/// Envoy tells the caller of a broken connection by breaking the caller's.
#[test]
fn a_stream_that_breaks_after_its_first_content_breaks_for_the_caller_too() {
    let setup = Setup::shared();
    for (model, name) in [("all", "one"), ("two-first", "two"), ("three-first", "three")] {
        let mut request = streamed(chat("one two three four five six seven"));
        request["model"] = json!(model);
        let answer = setup.send(&request, &[(&format!("x-sim-{name}"), "cut=4")]);
        assert!(!answer.complete && !answer.text().contains("[DONE]"), "{}", answer.text());
        assert_eq!(setup.asked().iter().sum::<usize>(), 1, "{model}");
    }
}

#[test]
fn at_the_end_of_a_chain_the_last_providers_answer_is_told_in_the_callers_words() {
    let setup = Setup::shared();
    for (last, told, kind) in [
        ("status=429", 429, "requests"),
        ("status=400", 400, "invalid_request_error"),
        ("status=500", 502, "server_error"),
        ("status=529", 503, "server_error"),
        ("status=401", 502, "server_error"),
    ] {
        for stream in [false, true] {
            let answer = setup.ask("all", &["status=503", "status=503", last], stream);
            assert_eq!((answer.status, setup.asked()), (told, [1, 1, 1]), "{}", answer.text());
            let error = &answer.json()["error"];
            assert_eq!(error["type"], kind, "{error}");
            assert!(error["message"].is_string() && error.get("code").is_some(), "{error}");
        }
    }
}

#[test]
fn a_caller_that_has_left_is_asked_for_nobody_else() {
    let setup = Setup::shared();
    let mut request = chat("Hello");
    request["model"] = json!("patient");
    let request = Request::post(CHAT, &request).header("x-sim-one", "stall=headers");
    let request = request.header("x-request-id", "who-has-left");
    let exchange = request.open(setup.envoy.address("gateway").unwrap()).unwrap();
    wait_for("the request to arrive", PATIENCE, || Ok((setup.asked()[0] == 1).then_some(())))
        .unwrap();
    drop(exchange);
    let entry = setup.envoy.access_log_entry(|entry| entry["request_id"] == "who-has-left");
    assert_eq!(entry.unwrap()["attempts"], "1");
    assert_eq!(setup.asked(), [1, 0, 0]);
}

#[test]
fn keys_from_the_environment_are_shown_nowhere() {
    let setup = Setup::shared();
    setup.made_up_for(&["status=401", "status=503"], 3, false);
    let envoy = &setup.envoy;
    let admin = envoy.admin();
    let mut said = vec![envoy.log(), fs::read_to_string(envoy.access_log_path()).unwrap()];
    for path in ["/config_dump?include_eds", "/stats", "/clusters?format=json", "/listeners"] {
        said.push(admin.get(path).unwrap().text());
    }
    assert!(said[2].contains("KEY_OF_ONE"), "the configuration is there");
    for text in said {
        for provider in &PROVIDERS {
            assert!(!text.contains(&provider.key()), "{} in {text}", provider.key());
        }
    }
    let refused = "wasmcustom.llm_provider_auth_failures_total.provider=one";
    assert!(admin.stat(refused).unwrap() > 0);
}

impl Provider {
    fn key(&self) -> String {
        format!("sk-secret-of-{}", self.name)
    }

    fn variable(&self) -> String {
        format!("KEY_OF_{}", self.name.to_uppercase())
    }

    fn role(&self) -> Value {
        let auth = match self.header {
            "authorization" => json!({"bearer_env": self.variable()}),
            header => json!({"header": header, "env": self.variable()}),
        };
        json!({"provider": self.name, "api": self.api, "auth": auth})
    }
}

/// One Envoy for all; each test has it for itself.
struct Setup {
    envoy: Envoy,
    servers: [ModelServer; 3],
}

impl Setup {
    fn shared() -> std::sync::MutexGuard<'static, Self> {
        static SHARED: LazyLock<Mutex<Setup>> = LazyLock::new(|| Mutex::new(Setup::start()));
        let setup = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        setup.servers.iter().for_each(ModelServer::clear);
        setup
    }

    fn start() -> Self {
        let servers = PROVIDERS.each_ref().map(|provider| {
            let (name, key) = (Some(provider.name.to_owned()), Some(provider.key()));
            ModelServer::start(Options { name, key, ..Options::default() }).unwrap()
        });
        let nobody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
        let mut bootstrap = shipped(servers[0].address());
        for (provider, server) in PROVIDERS.iter().zip(&servers) {
            bootstrap = cluster(bootstrap, provider.name, server.address(), Some(provider.role()));
        }
        bootstrap = cluster(bootstrap, "nobody", nobody, Some(json!({"provider": "nobody"})));
        let mut bootstrap = bootstrap.configure("gateway", |value| *value = gateway()).unwrap();
        share_environment(&mut bootstrap);
        let mut launch = Launch::new(bootstrap);
        for provider in &PROVIDERS {
            launch = launch.env(&provider.variable(), &provider.key());
        }
        Self { envoy: launch.start().unwrap(), servers }
    }

    /// Each failure is one provider's, in their order.
    fn ask(&self, model: &str, failures: &[&str], stream: bool) -> Answer {
        let headers: Vec<_> = (PROVIDERS.iter().zip(failures))
            .map(|(provider, failure)| (format!("x-sim-{}", provider.name), *failure))
            .collect();
        let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        let mut request = chat("Hello");
        request["model"] = json!(model);
        self.send(&if stream { streamed(request) } else { request }, &headers)
    }

    fn send(&self, request: &Value, headers: &[(&str, &str)]) -> Answer {
        self.servers.iter().for_each(ModelServer::clear);
        let mut request = Request::post(CHAT, request).header("authorization", "Bearer theirs");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let answer = request.send(self.envoy.address("gateway").unwrap()).unwrap();
        self.assert_keys_stay_apart();
        answer
    }

    /// The answer is the one of the provider after those that fail.
    fn made_up_for(&self, failures: &[&str], attempts: usize, stream: bool) {
        let answer = self.ask("all", failures, stream);
        assert_eq!(answer.status, 200, "{failures:?}: {}", answer.text());
        assert!(
            answer.complete && answer.text().contains("Hello"),
            "{failures:?}: {}",
            answer.text()
        );
        assert_eq!(stream, answer.text().ends_with("data: [DONE]\n\n"), "{failures:?}");
        let expected: Vec<_> = (0..3).map(|index| usize::from(index < attempts)).collect();
        assert_eq!(self.asked().to_vec(), expected, "{failures:?}");
    }

    /// How many requests each provider got.
    fn asked(&self) -> [usize; 3] {
        self.servers.each_ref().map(|server| server.requests().len())
    }

    /// Each request has its provider's path and key, and nobody else's.
    fn assert_keys_stay_apart(&self) {
        for (provider, server) in PROVIDERS.iter().zip(&self.servers) {
            for request in server.requests() {
                assert!(request.path.starts_with(provider.path), "{}", request.path);
                for (name, value) in &request.headers {
                    let value = String::from_utf8_lossy(value);
                    let others = PROVIDERS.iter().filter(|other| other.name != provider.name);
                    let keys = others.map(Provider::key).chain(["Bearer theirs".to_owned()]);
                    assert!(!keys.into_iter().any(|key| value.contains(&key)), "{name}: {value}");
                    assert!(!name.starts_with("x-llm-"), "{name}: {value}");
                    let is_key = value.contains(&provider.key());
                    assert!(!is_key || name == provider.header, "{name}: {value}");
                }
            }
        }
    }
}

fn gateway() -> Value {
    let names = PROVIDERS.iter().map(|provider| provider.name).chain(["nobody"]);
    let providers: serde_json::Map<_, _> =
        names.map(|name| (name.to_owned(), json!({"models": ["m"]}))).collect();
    let chain = |names: &[&str], attempts: Value| -> Value {
        let entry = |(priority, name): (usize, &&str)| json!({"provider": name, "model": "m", "priority": priority, "attempts": attempts});
        names.iter().enumerate().map(entry).collect()
    };
    let quick = || json!({"per_try_timeout": "1s"});
    json!({
        "providers": providers,
        "models": {
            "all": chain(&["one", "two", "three"], quick()),
            "two-first": chain(&["two", "one"], quick()),
            "three-first": chain(&["three", "one"], quick()),
            "nobody-first": chain(&["nobody", "three"], quick()),
            "patient": chain(&["one", "two"], json!({})),
        },
        "attempts": {"retry_on": ["connect", "reset", "5xx", 401, 402, 403, 408, 429]},
    })
}

/// With the same variables everywhere, all plugins run in one VM.
fn share_environment(bootstrap: &mut Bootstrap) {
    let names: Vec<_> = PROVIDERS.iter().map(Provider::variable).collect();
    let environment = json!({"host_env_keys": names});
    fn set(value: &mut Value, environment: &Value) {
        match value {
            Value::Object(object) => {
                if let Some(vm) = object.get_mut("vm_config") {
                    vm["environment_variables"] = environment.clone();
                }
                object.values_mut().for_each(|inner| set(inner, environment));
            }
            Value::Array(items) => items.iter_mut().for_each(|inner| set(inner, environment)),
            _ => {}
        }
    }
    set(&mut bootstrap.0, &environment);
}

const PATIENCE: Duration = Duration::from_secs(20);
