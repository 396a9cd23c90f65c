//! `ratelimit.yaml`: two Envoys, one rate limit service, one Redis.

use std::time::Duration;

use harness::envoy::{Envoy, Launch};
use harness::model_server::ModelServer;
use harness::{http, wait_for};
use serde_json::Value;

use super::rls::{Limits, Service};
use super::{CHAT, chat, post, recipe, text};
use crate::support::{model_server, streamed};

const DEMO: (&str, &str) = ("authorization", "Bearer demo-key");
const MODEL: &str = "llama3.2:1b";
const TOKENS: &str = "llm:consumer=demo,model=llama3.2:1b";

#[test]
fn two_envoys_share_one_budget_of_tokens() {
    let fleet = Fleet::start(&[("consumer/model", 15)]);
    // Each takes 2 tokens to ask and 4 to answer, whatever name the model has, streamed or not.
    let asks =
        [chat(MODEL, "two words"), chat("fast", "two words"), streamed(chat(MODEL, "two words"))];
    for (number, ask) in asks.iter().enumerate() {
        let answer = fleet.ask(number % 2, ask);
        assert_eq!(answer.status, 200, "{}", answer.text());
        fleet.wait_for_tokens((number as u64 + 1) * 6);
    }
    for envoy in [0, 1] {
        let answer = fleet.ask(envoy, &asks[0]);
        assert_eq!(answer.status, 429, "{}", answer.text());
        let error = &answer.json().unwrap()["error"];
        assert_eq!(error["code"], "rate_limit_exceeded", "{error}");
    }
    assert_eq!(fleet.model.total(), 3);
    assert_eq!(fleet.service.redis.get(TOKENS), 18, "what was refused costs nothing");
}

#[test]
fn two_envoys_share_one_budget_of_requests() {
    let fleet = Fleet::start(&[("caller", 3)]);
    let statuses: Vec<_> =
        (0..5).map(|number| fleet.ask(number % 2, &chat(MODEL, "Hello")).status).collect();
    assert_eq!(statuses, [200, 200, 200, 429, 429]);
    assert_eq!(fleet.service.redis.keys(), ["llm:caller=demo"]);
}

#[test]
fn what_fails_costs_no_tokens() {
    let fleet = Fleet::start(&[("consumer/model", 15)]);
    let failing = [DEMO, ("x-sim", "status=500")];
    let answer = post(&fleet.envoys[0], CHAT, &failing, &chat(MODEL, "two words"));
    assert_eq!(answer.status, 502, "{}", answer.text());
    // Nobody who is not known gets as far as the service.
    assert_eq!(post(&fleet.envoys[0], CHAT, &[], &chat(MODEL, "two words")).status, 401);
    assert_eq!(fleet.ask(0, &chat(MODEL, "two words")).status, 200);
    fleet.wait_for_tokens(6);
    assert_eq!(fleet.service.redis.keys(), [TOKENS]);
    let log = fleet.envoys[0].log();
    assert!(!log.contains("[error]"), "{log}");
}

#[test]
fn without_the_service_requests_pass() {
    let Fleet { envoys, model, service } = Fleet::start(&[("caller", 0)]);
    assert_eq!(post(&envoys[0], CHAT, &[DEMO], &chat(MODEL, "Hello")).status, 429);
    drop(service);
    assert_eq!(post(&envoys[0], CHAT, &[DEMO], &chat(MODEL, "Hello")).status, 200);
    assert_eq!(model.total(), 1);
}

struct Fleet {
    envoys: [Envoy; 2],
    model: ModelServer,
    service: Service,
}

impl Fleet {
    fn start(limits: Limits) -> Self {
        let (model, service) = (model_server(), Service::start(limits));
        let forward = |role: &mut Value| role["forward_headers"] = serde_json::json!(["x-sim"]);
        let envoy = || {
            let bootstrap = recipe(&text("ratelimit.yaml"))
                .endpoint("local", model.address())
                .and_then(|recipe| recipe.endpoint("ratelimit", service.server.address))
                // What tells the model server to fail.
                .and_then(|recipe| recipe.configure("provider", forward))
                .unwrap();
            Launch::new(bootstrap).start().unwrap()
        };
        Self { envoys: [envoy(), envoy()], model, service }
    }

    fn ask(&self, envoy: usize, request: &Value) -> http::Answer {
        post(&self.envoys[envoy], CHAT, &[DEMO], request)
    }

    /// They are counted a moment after the answer.
    fn wait_for_tokens(&self, expected: u64) {
        wait_for("the tokens to be counted", Duration::from_secs(20), || {
            let used = self.service.redis.get(TOKENS);
            assert!(used <= expected, "{used} of {expected}");
            Ok((used == expected).then_some(()))
        })
        .unwrap();
    }
}
