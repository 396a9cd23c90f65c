//! The cache behind a real Envoy with four workers: what is served, to whom, and for how long.

mod fleet;
mod flight;
mod memory;
mod reload;
mod sdk;

use std::time::{Duration, Instant};

use harness::model_server::ModelServer;
use harness::wait_for;
use harness::wire::{Answer, Request};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::{CHAT, Gateway, MODEL, at, chat, cluster, streamed, virtual_host};

const WORKERS: u32 = 4;

/// The shipped gateway with this cache.
fn cached(cache: Value) -> Gateway {
    configured(|configuration| configuration["cache"] = cache.clone())
}

fn configured(edit: impl FnMut(&mut Value)) -> Gateway {
    Gateway::launched(
        |bootstrap| bootstrap.configure("gateway", edit).unwrap(),
        |launch| launch.concurrency(WORKERS),
    )
}

impl Gateway {
    /// `cache-status` without the gateway's name in front.
    fn asked(&self, request: &Request) -> (String, Answer) {
        let answer = self.send(request);
        let status = answer.header("cache-status").unwrap_or("none");
        (status.trim_start_matches("llm-gateway; ").to_owned(), answer)
    }

    /// The status of a chat, which must be answered.
    fn status(&self, body: &Value) -> String {
        let (status, answer) = self.asked(&Request::post(CHAT, body));
        assert_eq!((answer.status, answer.complete), (200, true), "{}", answer.text());
        status
    }

    fn cache_total(&self, result: &str) -> u64 {
        let name = format!("wasmcustom.llm_cache_total.result={result}");
        self.envoy.admin().stat(&name).unwrap()
    }

    fn skipped(&self, reason: &str) -> u64 {
        let name = format!("wasmcustom.llm_cache_skip_total.reason={reason}");
        self.envoy.admin().stat(&name).unwrap()
    }

    fn held(&self) -> (u64, u64) {
        let stat = |name: &str| self.envoy.admin().stat(name).unwrap();
        (stat("wasmcustom.llm_cache_entries"), stat("wasmcustom.llm_cache_bytes"))
    }

    fn wait_for_entries(&self, entries: u64) -> (u64, u64) {
        let held = || Ok(Some(self.held()).filter(|held| held.0 == entries));
        wait_for(&format!("{entries} entries"), PATIENCE, held)
            .unwrap_or_else(|error| panic!("{error}: {:?}", self.held()))
    }
}

fn is_hit(status: &str) -> bool {
    status.starts_with("hit; ttl=")
}

#[test]
fn a_hit_is_the_first_answer_whichever_worker_serves_it() {
    let gateway = cached(json!({"ttl": "1h"}));
    let request = Request::post(CHAT, &chat("twice"));
    let (status, first) = gateway.asked(&request);
    assert_eq!((status.as_str(), first.status), (STORED, 200));
    let first_id = first.header("x-request-id").unwrap();
    for _ in 0..40 {
        let (status, hit) = gateway.asked(&request);
        assert!(status.starts_with("hit; ttl=35"), "{status}");
        assert_eq!((hit.status, &hit.body), (200, &first.body));
        assert_eq!(hit.header("content-type"), first.header("content-type"));
        assert!(hit.header("age").unwrap().parse::<u64>().unwrap() < 60);
        assert!(hit.header("x-request-id").is_some_and(|id| id != first_id));
        assert_eq!(hit.header("x-llm-provider-request-id"), None);
    }
    assert_eq!(gateway.model.total(), 1);
    let workers = gateway.envoy.admin().stats("worker_.*downstream_cx_total").unwrap();
    let served = workers.iter().filter(|(name, count)| !name.contains("admin") && **count > 0);
    assert!(served.count() > 1, "{workers:?}");
    assert_eq!((gateway.cache_total("miss"), gateway.cache_total("hit")), (1, 40));
    assert_eq!(gateway.wait_for_entries(1).0, 1);

    let (_, hit) = gateway.asked(&request);
    let entry = gateway.logged(&hit);
    let expected = json!({
        "status": 200, "details": "llm_cache_hit", "cache": "hit", "model": MODEL,
        "provider": "local", "upstream_model": MODEL, "tokens": null, "attempts": null,
    });
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(entry[key], *value, "{key} in {entry}");
    }
    gateway.assert_unharmed();
}

#[test]
fn another_spelling_is_the_same_request_and_another_meaning_is_not() {
    let gateway = cached(json!({"ttl": "1h"}));
    let mut body = chat("spelled");
    body["temperature"] = json!(1);
    gateway.status(&body);
    let respelled = format!(
        r#"{{ "messages":[{{"content":"sp\u0065lled","role":"user"}}], "user":"u", "temperature":1.0, "model":"{MODEL}" }}"#
    );
    let request = Request::new("POST", CHAT).header("content-type", "application/json");
    assert!(is_hit(&gateway.asked(&request.body(respelled)).0));
    body["temperature"] = json!(1.5);
    assert_eq!(gateway.status(&body), STORED);
}

#[test]
fn an_answer_is_served_until_its_time_is_over() {
    let gateway = cached(json!({"ttl": "1500ms"}));
    let (request, asked) = (Request::post(CHAT, &chat("short")), Instant::now());
    let (_, first) = gateway.asked(&request);
    let stored = Instant::now();
    // A machine may be so slow that the time is over before the second question.
    let (status, _) = gateway.asked(&request);
    assert!(is_hit(&status) || asked.elapsed() > Duration::from_millis(1500), "{status}");
    let fresh = wait_for("the end of its time", PATIENCE, || {
        let asked = Instant::now();
        let (status, answer) = gateway.asked(&request);
        let late = asked.duration_since(stored) > Duration::from_millis(1600);
        assert!(!(late && answer.body == first.body), "{status}: too old");
        // It is stale, or was swept away.
        let forwarded = ["fwd=stale; stored", STORED].contains(&status.as_str());
        assert!(forwarded || is_hit(&status), "{status}");
        Ok(forwarded.then_some(answer))
    });
    assert_ne!(fresh.unwrap().body, first.body);
    assert!(asked.elapsed() > Duration::from_millis(1500));
    gateway.wait_for_entries(0);
}

#[test]
fn a_request_can_pass_the_cache_by_or_refresh_it() {
    let gateway = cached(json!({"ttl": "1h", "operations": ["chat"], "models": [MODEL]}));
    let request = Request::post(CHAT, &chat("fresh"));
    let with = |control: &str| gateway.asked(&request.clone().header("cache-control", control));
    let (_, first) = gateway.asked(&request);
    let (status, other) = with("no-store");
    assert_eq!(status, "fwd=bypass; detail=no_store");
    assert_ne!(other.body, first.body);
    assert_eq!(gateway.asked(&request).1.body, first.body);
    let (status, refreshed) = with("no-cache");
    assert_eq!(status, "fwd=request; stored");
    assert_ne!(refreshed.body, first.body);
    assert_eq!(gateway.asked(&request).1.body, refreshed.body);
    assert!(is_hit(&with("max-age=3600").0));
    assert!(is_hit(&with("only-if-cached").0));

    let embedding = json!({"model": "sim-embedding", "input": "fresh"});
    for _ in 0..2 {
        let (status, _) = gateway.asked(&Request::post("/v1/embeddings", &embedding));
        assert_eq!(status, "fwd=bypass; detail=operation");
    }
    assert_eq!((gateway.model.total(), gateway.cache_total("bypass")), (5, 3));
}

#[test]
fn who_wants_only_what_is_cached_gets_504_in_their_dialect() {
    let gateway = cached(json!({"ttl": "1h"}));
    let only = |path: &str, body: &Value| {
        let request = Request::post(path, body).header("cache-control", "only-if-cached");
        let (status, answer) = gateway.asked(&request);
        assert_eq!((status.as_str(), answer.status), ("detail=only_if_cached", 504), "{path}");
        assert_eq!(answer.header("x-should-retry"), Some("false"));
        answer.json()
    };
    assert_eq!(only(CHAT, &chat("nobody"))["error"]["code"], "not_cached");
    let mut message = chat("nobody");
    message["max_tokens"] = json!(9);
    assert_eq!(only("/v1/messages", &message)["type"], "error");
    assert!(only("/api/chat", &chat("nobody"))["error"].is_string());
    assert_eq!(gateway.model.total(), 0);
}

#[test]
fn consumers_are_apart() {
    let gateway = configured(|configuration| {
        let consumer = |name: &str| {
            let digest = Sha256::digest(format!("key-of-{name}"));
            let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            json!({"name": name, "key_sha256": digest})
        };
        configuration["auth"] = json!({"mode": "optional"});
        configuration["consumers"] = json!([consumer("one"), consumer("two")]);
        configuration["cache"] = json!({"ttl": "1h"});
    });
    let request = Request::post(CHAT, &chat("whose"));
    let mut bodies = Vec::new();
    let keys = [("authorization", "Bearer key-of-one"), ("x-api-key", "key-of-two")];
    for key in keys.map(Some).into_iter().chain([None]) {
        let request = match key {
            Some((name, value)) => request.clone().header(name, value),
            None => request.clone(),
        };
        let (status, answer) = gateway.asked(&request);
        assert_eq!(status, STORED, "{key:?}");
        assert!(is_hit(&gateway.asked(&request).0));
        bodies.push(answer.body);
    }
    // However a consumer brings its key.
    let (status, answer) = gateway.asked(&request.header("api-key", "key-of-one"));
    assert!(is_hit(&status), "{status}");
    assert_eq!(answer.body, bodies[0]);
    assert_eq!(gateway.model.total(), 3);
}

#[test]
fn callers_with_keys_of_their_own_are_apart() {
    let gateway = cached(json!({"ttl": "1h"}));
    let request = Request::post(CHAT, &chat("whose"));
    let same = ("authorization", "Bearer same");
    let callers: [&[(&str, &str)]; 5] = [
        &[],
        &[same],
        &[("authorization", "Bearer other")],
        &[same, ("x-api-key", "one")],
        &[same, ("x-api-key", "two")],
    ];
    for expected in [STORED, "hit; ttl=3"] {
        for caller in callers {
            let with = |request: Request, (name, value): &(&str, &str)| request.header(name, value);
            let (status, _) = gateway.asked(&caller.iter().fold(request.clone(), with));
            assert!(status.starts_with(expected), "{caller:?}: {status}");
        }
    }
    assert_eq!(gateway.model.total(), callers.len());
}

/// As many of Envoy's ways to send the same request elsewhere as there are.
#[test]
fn hosts_and_routes_that_lead_elsewhere_share_nothing() {
    let other = ModelServer::start(Default::default()).unwrap();
    let gateway = Gateway::launched(
        |bootstrap| {
            let mut bootstrap = cluster(bootstrap, "other", other.address(), None)
                .configure("gateway", |configuration| {
                    configuration["cache"] = json!({"ttl": "1h"});
                })
                .unwrap();
            virtual_host(&mut bootstrap)["domains"] = json!(["a.example", "c.example"]);
            let route = |cluster: &str, more: Value| {
                let mut route = json!({"match": {"prefix": "/"}, "route": {"cluster": cluster}});
                if !more.is_null() {
                    route["match"]["headers"] = more;
                }
                route
            };
            let gold = json!([{"name": "x-tier", "string_match": {"exact": "gold"}}]);
            at(&mut bootstrap, VIRTUAL_HOSTS).as_array_mut().unwrap().extend([
                json!({"name": "b", "domains": ["b.example"], "routes": [route("other", Value::Null)]}),
                json!({"name": "tiers", "domains": ["*"], "routes": [
                    route("other", gold), route("local", Value::Null),
                ]}),
            ]);
            bootstrap
        },
        |launch| launch.concurrency(WORKERS),
    );
    let body = chat("where");
    let port = gateway.address.port();
    let asks: [(&str, &str, &ModelServer); 6] = [
        ("a.example", "none", &gateway.model),
        ("b.example", "none", &other),
        ("c.example", "none", &gateway.model),
        ("d.example", "none", &gateway.model),
        ("d.example", "gold", &other),
        ("d.example:8080", "gold", &other),
    ];
    let mut said = Vec::new();
    for (host, tier, model) in asks {
        let asked = model.total();
        let request = Request::post(CHAT, &body).host(host).header("x-tier", tier);
        let (status, first) = gateway.asked(&request);
        assert_eq!((status.as_str(), model.total()), (STORED, asked + 1), "{host} {tier}");
        said.push(first.body);
    }
    for ((host, tier, _), said) in asks.iter().zip(&said) {
        let mut spellings = vec![(*host).to_owned(), host.to_uppercase()];
        // To Envoy a host with a port is another one, which only matters where it has a route.
        if *host == "d.example" {
            spellings.push(format!("{host}:{port}"));
        }
        for host in spellings {
            let request = Request::post(CHAT, &body).host(&host).header("x-tier", tier);
            let (status, hit) = gateway.asked(&request);
            assert!(is_hit(&status), "{host} {tier}: {status}");
            assert_eq!(hit.body, *said, "{host} {tier}");
        }
    }
    assert_eq!((gateway.model.total(), other.total()), (3, 3));
    gateway.assert_unharmed();
}

/// Every header by which something in front of the gateway says who calls, crossed with callers.
#[test]
fn nobody_reads_what_another_asked_whoever_says_who_calls() {
    let gateway = cached(json!({"ttl": "1h"}));
    let request = Request::post(CHAT, &chat("whose"));
    let (_, nobody) = gateway.asked(&request);
    let mut bodies = vec![nobody.body.clone()];
    let headers = [
        "ocp-apim-subscription-key",
        "apikey",
        "x-litellm-api-key",
        "x-portkey-api-key",
        "helicone-auth",
        "x-forwarded-user",
        "x-forwarded-email",
        "x-auth-request-email",
        "x-goog-iap-jwt-assertion",
        "x-goog-authenticated-user-email",
        "x-amzn-oidc-data",
        "x-ms-client-principal",
        "cf-access-authenticated-user-email",
        "x-consumer-username",
        "remote-user",
        "x-tenant-id",
        "x-vault-token",
        "tailscale-user-login",
        "x-authentik-username",
        "x-pomerium-jwt-assertion",
        "cookie",
        "authorization",
    ];
    for name in headers {
        for caller in ["alice", "bob"] {
            let request = request.clone().header(name, caller);
            let (status, answer) = gateway.asked(&request);
            assert_eq!(status, STORED, "{name}: {caller}");
            assert!(!bodies.contains(&answer.body), "{name}: {caller}");
            let (status, again) = gateway.asked(&request.header("user-agent", "other"));
            assert!(is_hit(&status), "{name}: {caller}: {status}");
            assert_eq!(again.body, answer.body);
            bodies.push(answer.body);
        }
    }
    let (status, hit) = gateway.asked(&request.header("traceparent", "00-1-2-01"));
    assert!(is_hit(&status), "{status}");
    assert_eq!(hit.body, nobody.body);
    assert_eq!(gateway.model.total(), 1 + 2 * headers.len());
}

#[test]
fn models_are_apart_and_so_are_providers_with_a_model_of_the_same_name() {
    let other = ModelServer::start(Default::default()).unwrap();
    let gateway = Gateway::launched(
        |bootstrap| {
            let edit = |configuration: &mut Value| {
                configuration["providers"]["other"] = json!({"models": [MODEL], "priority": 1});
                configuration["providers"]["local"]["models"] = json!([MODEL, "sim-small"]);
                configuration["models"] = json!({"alias": [{"provider": "local", "model": MODEL}]});
                configuration["cache"] = json!({"ttl": "1h"});
            };
            cluster(bootstrap, "other", other.address(), None).configure("gateway", edit).unwrap()
        },
        |launch| launch.concurrency(WORKERS),
    );
    let ask = |model: &str| {
        let mut body = chat("which");
        body["model"] = json!(model);
        gateway.status(&body)
    };
    assert_eq!(ask(MODEL), STORED);
    assert_eq!(ask("sim-small"), STORED);
    assert_eq!(ask(&format!("other/{MODEL}")), STORED);
    for same in [MODEL, "alias", &format!("local/{MODEL}")] {
        assert!(is_hit(&ask(same)), "{same}");
    }
    assert_eq!((gateway.model.total(), other.total()), (2, 1));
}

#[test]
fn what_is_not_whole_is_not_stored() {
    let gateway = cached(json!({"ttl": "1h", "max_entry_bytes": "16KiB"}));
    let stream = streamed(chat("half"));
    for control in ["cut=2", "end-early=2", "error-event=2", "cut=0"] {
        let answer = gateway.told(control, CHAT, &stream);
        // What breaks off before its first event is no answer.
        let expected = if control == "cut=0" { 502 } else { 200 };
        assert_eq!(answer.status, expected, "{control}");
    }
    // A client sees that such an answer is broken; what it says does not matter here.
    for control in ["cut=20", "end-early=20"] {
        Request::post(CHAT, &chat("half")).header("x-sim", control).send(gateway.address).ok();
    }
    // Of a stream it is not known when its headers are sent.
    assert_eq!(gateway.status(&stream), "fwd=miss");
    assert!(is_hit(&gateway.status(&stream)) && is_hit(&gateway.status(&chat("half"))));
    assert!(gateway.skipped("incomplete") >= 5, "{}", gateway.skipped("incomplete"));

    // Whole, but too long: of known length it is not even begun.
    let long = gateway.told("size=1000000", CHAT, &chat("long"));
    assert_eq!((long.header("cache-status"), long.complete), (Some("llm-gateway; fwd=miss"), true));
    let long = gateway.told("size=1000000", CHAT, &streamed(chat("long")));
    assert!(long.text().ends_with("data: [DONE]\n\n"));
    assert_eq!(gateway.skipped("too_large"), 2);
    assert_eq!(gateway.status(&chat("long")), STORED);
    gateway.assert_unharmed();
}

#[test]
fn a_client_that_leaves_spoils_nothing() {
    let gateway = cached(json!({"ttl": "1h", "single_flight_wait": "10s"}));
    for (text, body) in [("leave", chat("leave")), ("stream", streamed(chat("stream")))] {
        let request = Request::post(CHAT, &body).header("x-sim", "split=20; gap=50");
        let received = || gateway.envoy.admin().stat("cluster.local.upstream_cx_rx_bytes_total");
        let before = received().unwrap();
        let mut exchange = request.open(gateway.address).unwrap();
        if text == "stream" {
            exchange.wait_for("\"id\"").unwrap();
        } else {
            // JSON is held back until it is whole.
            let begun = || Ok((received()? > before).then_some(()));
            wait_for("the beginning of the answer", PATIENCE, begun).unwrap();
        }
        exchange.abort();
        // If it has not been noticed yet, this one waits for it.
        let status = gateway.status(&body);
        assert_eq!(status, if text == "stream" { "fwd=miss" } else { STORED }, "{text}");
        assert!(is_hit(&gateway.status(&body)), "{text}");
    }
    assert_eq!(gateway.skipped("incomplete"), 2);
    gateway.assert_unharmed();
}

#[test]
fn a_shadow_serves_nothing_and_tells_what_it_would_have() {
    let gateway = cached(json!({"ttl": "1h", "mode": "shadow"}));
    let body = chat("shadow");
    let (status, first) = gateway.asked(&Request::post(CHAT, &body));
    assert_eq!(status, STORED);
    for body in [&body, &streamed(body.clone()), &body] {
        let (status, answer) = gateway.asked(&Request::post(CHAT, body));
        assert_eq!(status, "fwd=bypass; detail=shadow");
        assert_ne!(answer.body, first.body);
    }
    // Without its control the model would have said something else.
    gateway.told("tokens=9", CHAT, &body);
    assert_eq!((gateway.model.total(), gateway.cache_total("shadow_hit")), (5, 4));
    assert_eq!((gateway.skipped("shadow_same"), gateway.skipped("shadow_different")), (3, 1));
    assert_eq!(gateway.cache_total("hit"), 0);
}

const VIRTUAL_HOSTS: &str = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/route_config/virtual_hosts";

/// Of JSON.
const STORED: &str = "fwd=miss; stored";

/// On a machine with more to do than it can.
const PATIENCE: Duration = Duration::from_secs(30);
