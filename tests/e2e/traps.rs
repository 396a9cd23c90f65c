//! The ten traps of the host, each with a test that fails without its cure.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::thread;
use std::time::Duration;

use harness::envoy::Launch;
use harness::wait_for;
use harness::wire::Request;
use hyper::HeaderMap;
use llm_gateway::host::contract::{SEED_PATH, TRAP_PATH};
use serde_json::{Value, json};

use crate::support::{
    CHAT, Gateway, MODEL, ROUTE, at, chat, cluster, contract, model_server, post_http2, streamed,
};

/// 1: who reads headers as text ends the VM here, and with it every stream of the worker.
#[test]
fn headers_that_are_no_text_harm_nobody() {
    let gateway = Gateway::start();
    let mut other = Request::post(CHAT, &streamed(chat("the stream of somebody else")))
        .header("x-sim", "pause=100")
        .open(gateway.address)
        .unwrap();
    other.wait_for("You").unwrap();
    for name in ["x-mode", "x-request-id", "authorization", "anthropic-version", "accept-encoding"]
    {
        for path in [CHAT, "/unmatched"] {
            let request = Request::post(path, &chat("bytes")).header(name, b"\xff\xfe");
            assert_ne!(gateway.send(&request).status, 503, "{name}");
        }
    }
    assert!(other.rest().unwrap().text().ends_with("[DONE]\n\n"));
    gateway.assert_unharmed();
}

#[test]
fn a_providers_headers_that_are_no_text_harm_nobody() {
    let provider = always(
        b"HTTP/1.1 200 OK\r\ncontent-type: \xff\xfe\r\nx-request-id: \xff\r\ncontent-length: 16\r\n\r\n{\"choices\":[{}]}",
    );
    let gateway = Gateway::adapted(|bootstrap| bootstrap.endpoint("local", provider).unwrap());
    let request = Request::post(CHAT, &chat("bytes"));
    let mut exchange = request.open(gateway.address).unwrap();
    exchange.wait_for("\r\n\r\n{\"choices\":[{}]}").unwrap();
    assert!(exchange.text().starts_with("HTTP/1.1 200 OK"), "{}", exchange.text());
    gateway.assert_unharmed();
}

/// A server with one answer, for as long as the test runs.
fn always(answer: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            thread::spawn(move || {
                let mut request = [0; 65536];
                while stream.read(&mut request).is_ok_and(|count| count > 0) {
                    if stream.write_all(answer).is_err() {
                        break;
                    }
                }
            });
        }
    });
    address
}

/// 2: the host refuses what comes too late, and a wrapper that does not expect that ends the VM.
#[test]
fn a_refusal_of_the_host_is_an_answer() {
    let envoy = Launch::new(contract()).start().unwrap();
    let ask = || Request::get("/contract").send(envoy.address("gateway").unwrap()).unwrap();
    for _ in 0..3 {
        let late = "headers that went on at once are neither read nor set";
        let answer = ask();
        assert!(answer.text().contains(&json!({"check": late, "failure": null}).to_string()));
    }
    let reloads = envoy.admin().stats("vm_reload").unwrap();
    assert!(reloads.values().all(|count| *count == 0), "{reloads:?}");
}

/// 3: the host writes line ends in a header's value as they are.
#[test]
fn nothing_that_a_caller_says_becomes_a_header() {
    let gateway = Gateway::configured(|configuration| {
        configuration["providers"]["local"]["models"] = json!(["*"]);
    });
    for end in ["\r\n", "\n", "\r", "\u{85}", "\t", "\0"] {
        let name = format!("sim-model{end}x-evil: 1");
        let mut body = chat("injected");
        body["model"] = json!(name);
        let answer = gateway.post(CHAT, &body);
        assert_eq!((answer.status, answer.header("x-evil")), (400, None), "{end:?}");
        let escaped: String = name.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let answer = gateway.get(&format!("/v1/models/{escaped}"));
        assert_eq!(answer.header("x-evil"), None, "{end:?}: {}", answer.text());
    }
    assert_eq!(gateway.model.total(), 0);
    gateway.assert_unharmed();
}

/// 4: a body that trailers end never comes with the end of the stream.
#[test]
fn trailers_end_a_body() {
    let gateway = Gateway::configured(|configuration| {
        configuration["models"] = json!({"fast": [{"provider": "local", "model": MODEL}]});
    });
    let post = |model: &str| {
        let mut body = chat("with trailers");
        body["model"] = json!(model);
        let mut trailers = HeaderMap::new();
        trailers.insert("x-late", "1".parse().unwrap());
        let kind = [("content-type", "application/json")];
        post_http2(gateway.address, CHAT, &kind, body.to_string(), Some(trailers))
    };
    let refused = post("no-such-model");
    let error: Value = serde_json::from_slice(&refused.body).unwrap();
    assert_eq!((refused.status, &error["error"]["code"]), (404, &json!("model_not_found")));
    assert_eq!(gateway.sent_to("local"), 0);

    let answer = post("fast");
    assert_eq!(answer.status, 200);
    let received = gateway.model.requests().pop().unwrap();
    assert_eq!(received.json()["model"], MODEL);
    assert_eq!(received.json()["messages"], chat("with trailers")["messages"]);
}

/// 5: to go on from a body callback lets the headers go, whoever still waits for something.
#[test]
fn nothing_goes_on_before_the_body_was_read() {
    let gateway = Gateway::start();
    let body = chat("the first half, and then").to_string();
    let (half, rest) = body.split_at(body.len() / 2);
    let request = Request::new("POST", CHAT).header("content-type", "application/json");
    for (rest, status) in [("!".repeat(rest.len()), 400), (rest.to_owned(), 200)] {
        let received =
            || gateway.envoy.admin().stat("http.gateway.downstream_cx_rx_bytes_total").unwrap();
        let before = received();
        let sent_before = gateway.sent_to("local");
        let request = request.clone().body(half).unfinished(rest.len());
        let mut exchange = request.open(gateway.address).unwrap();
        wait_for("the first half", PATIENCE, || {
            Ok((received() >= before + half.len() as u64).then_some(()))
        })
        .unwrap();
        assert_eq!(gateway.sent_to("local"), sent_before);
        exchange.write(rest.as_bytes()).unwrap();
        assert_eq!(exchange.rest().unwrap().status, status);
    }
    assert_eq!(gateway.sent_to("local"), 1);
}

/// 6: a fault ends the VM of a worker, which by default answers 503 ever after.
#[test]
fn a_worker_survives_a_fault() {
    let envoy = Launch::new(contract()).start().unwrap();
    let ask = |path: &[u8]| {
        let request = Request::get(str::from_utf8(path).unwrap());
        request.send(envoy.address("gateway").unwrap()).unwrap()
    };
    for _ in 0..2 {
        assert_eq!(ask(SEED_PATH).status, 200);
        assert_eq!(ask(TRAP_PATH).status, 503);
        wait_for("a new VM", PATIENCE, || Ok((ask(SEED_PATH).status == 200).then_some(())))
            .unwrap();
    }
    assert!(envoy.admin().stats("vm_reload_success").unwrap().values().any(|count| *count == 2));
}

/// 7: what an attempt writes into the request is still there in the next one.
#[test]
fn an_attempt_leaves_nothing_to_the_next_one() {
    let first = model_server();
    let gateway = Gateway::adapted(|bootstrap| {
        let second = bootstrap.0.pointer("/static_resources/clusters/0").unwrap().clone();
        assert_eq!(second["name"], "local");
        let role = json!({
            "provider": "first", "host": "first.example", "base_path": "/of/first",
            "auth": {"header": "x-api-key", "env": "PROVIDER_KEY"},
            "headers": {"x-sim": "status=503", "x-only-first": "1", "x-both": "first"},
        });
        let role_of_second = json!({"provider": "second", "headers": {"x-both": "second"}});
        let bootstrap = cluster(bootstrap, "first", first.address(), Some(role));
        let model = address_of(&second);
        let bootstrap = cluster(bootstrap, "second", model, Some(role_of_second));
        bootstrap
            .configure("gateway", |configuration| {
                configuration["providers"] = json!({
                    "first": {"models": ["what-the-first-one-calls-it"]},
                    "second": {"models": [MODEL]},
                });
                configuration["models"] = json!({"fast": [
                    {"provider": "first", "model": "what-the-first-one-calls-it"},
                    {"provider": "second", "model": MODEL, "priority": 1},
                ]});
            })
            .unwrap()
    });
    let mut body = chat("try both");
    body["model"] = json!("fast");
    let request = Request::post(CHAT, &body)
        .header("authorization", "Bearer the-callers")
        .header("x-both", "the-callers");
    let answer = gateway.send(&request);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(gateway.logged(&answer)["attempts"], "2");

    let at_first = first.requests().pop().unwrap();
    assert_eq!(at_first.path, "/of/first/chat/completions");
    assert_eq!(at_first.json()["model"], "what-the-first-one-calls-it");
    for (name, value) in [
        ("host", Some("first.example")),
        ("x-api-key", Some("key-of-first")),
        ("authorization", None),
        ("x-only-first", Some("1")),
        ("x-both", Some("first")),
    ] {
        assert_eq!(at_first.header(name), value, "{name} at the first");
    }
    let at_second = gateway.model.requests().pop().unwrap();
    assert_eq!(at_second.path, CHAT);
    for (name, value) in [
        ("host", Some("test")),
        ("x-api-key", None),
        ("authorization", Some("Bearer the-callers")),
        ("x-only-first", None),
        ("x-both", Some("second")),
    ] {
        assert_eq!(at_second.header(name), value, "{name} at the second");
    }
    assert_eq!(at_second.json()["model"], MODEL);
    for received in [at_first, at_second] {
        let internal = |(name, _): &&(String, Vec<u8>)| name.starts_with("x-llm-");
        assert_eq!(received.headers.iter().find(internal), None);
        let length = received.header("content-length").unwrap();
        assert_eq!(length, received.body.len().to_string());
    }
}

fn address_of(cluster: &Value) -> SocketAddr {
    let endpoint = "/load_assignment/endpoints/0/lb_endpoints/0/endpoint/address/socket_address";
    let socket = cluster.pointer(endpoint).unwrap();
    let port = socket["port_value"].as_u64().unwrap();
    SocketAddr::new(socket["address"].as_str().unwrap().parse().unwrap(), port as u16)
}

/// 8: a route by `cluster_header` believes whoever sets the header.
#[test]
fn a_caller_does_not_choose_the_cluster() {
    let secret = model_server();
    let called = [CHAT, "/v1/moderations", "/v1/files"];
    let gateway = Gateway::adapted(|bootstrap| {
        let mut bootstrap = cluster(bootstrap, "secret", secret.address(), None);
        *at(&mut bootstrap, ROUTE) = json!({"cluster_header": "x-llm-cluster", "timeout": "0s"});
        let pass = |configuration: &mut Value| configuration["unmatched"] = json!("pass");
        bootstrap.configure("gateway", pass).unwrap()
    });
    for path in [CHAT, "/v1/moderations", "/v1/files", "/tokenize", "/elsewhere"] {
        for name in ["x-llm-cluster", "X-LLM-Cluster"] {
            let request = Request::post(path, &chat("let me in"))
                .header(name, "secret")
                .header("x-llm-chain", "secret\tsecret\tsim-model");
            let status = gateway.send(&request).status;
            assert_eq!(status == 503, !called.contains(&path), "{path}");
        }
    }
    assert_eq!((secret.total(), gateway.model.total()), (0, 2 * called.len()));
}

/// 9: a stat that was once defined is never freed.
#[test]
fn callers_cannot_add_series() {
    let gateway = Gateway::configured(|configuration| {
        configuration["providers"]["local"]["models"] = json!(["*"]);
    });
    let series = || -> BTreeSet<String> {
        gateway.envoy.admin().stats("wasmcustom").unwrap().into_keys().collect()
    };
    let ask = |number: usize| {
        let mut body = chat("hello");
        body["model"] = json!(format!("model-{number}"));
        let request = Request::post(CHAT, &body)
            .header("authorization", format!("Bearer key-{number}"))
            .header("x-consumer", format!("consumer-{number}"));
        assert_eq!(gateway.send(&request).status, 200);
        gateway.post(&format!("/v1/of-{number}"), &body);
    };
    ask(0);
    let before = series();
    (1..200).for_each(ask);
    assert_eq!(series(), before);
}

/// 10: on other targets every VM seeds its hash maps alike, so that a caller can make keys collide.
#[test]
fn hash_maps_are_seeded_anew_in_every_vm() {
    let seed = || {
        let envoy = Launch::new(contract()).start().unwrap();
        let request = Request::get(str::from_utf8(SEED_PATH).unwrap());
        request.send(envoy.address("gateway").unwrap()).unwrap().text().to_owned()
    };
    let (one, two) = (seed(), seed());
    assert!(!one.is_empty() && one != two, "{one} {two}");
}

const PATIENCE: Duration = Duration::from_secs(10);
