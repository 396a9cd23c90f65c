//! The shipped configuration: calls, streams, models, errors in the caller's dialect, names of
//! requests, and what operators see of it.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::LazyLock;

use harness::wire::{Answer, Request};
use serde_json::{Value, json};

use crate::support::{
    CHAT, Gateway, LISTENER, MODEL, at, chat, post_http2, streamed, virtual_host,
};

/// One for all tests that change nothing in it.
static SHIPPED: LazyLock<Gateway> = LazyLock::new(Gateway::start);

#[test]
fn a_chat_is_answered_logged_and_counted() {
    let gateway = Gateway::start();
    let answer = gateway.post(CHAT, &chat("two words"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let body = answer.json();
    assert_eq!(body["choices"][0]["message"]["content"], "You said: two words");
    assert_eq!(body["usage"]["total_tokens"], 6);

    let entry = gateway.logged(&answer);
    let expected = json!({
        "method": "POST", "path": CHAT, "status": 200, "details": "via_upstream",
        "operation": "chat", "model": MODEL, "provider": "local", "upstream_model": MODEL,
        "input_tokens": "2", "output_tokens": "4", "tokens": "6", "usage_quality": "exact",
        "attempts": "1", "error": null, "client": "127.0.0.1",
    });
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(entry[key], *value, "{key} in {entry}");
    }
    let overhead: u64 = entry["overhead_us"].as_str().unwrap().parse().unwrap();
    assert!(overhead < 1_000_000, "{entry}");

    let labels = format!(r#"provider="local",model="{MODEL}""#);
    for (series, value) in [
        (format!(r#"llm_requests_total{{operation="chat",{labels},code="200"}}"#), 1.0),
        (format!(r#"llm_tokens_total{{{labels},type="input"}}"#), 2.0),
        (format!(r#"llm_tokens_total{{{labels},type="output"}}"#), 4.0),
        (r#"llm_usage_total{provider="local",quality="exact"}"#.to_owned(), 1.0),
    ] {
        assert_eq!(gateway.envoy.admin().sample(&series).unwrap(), Some(value), "{series}");
    }
}

#[test]
fn a_stream_reaches_the_client_as_the_provider_would_send_it() {
    let gateway = &*SHIPPED;
    let request = streamed(chat("one stream"));
    let answer = gateway.post(CHAT, &request);
    assert_eq!((answer.status, answer.complete), (200, true));
    assert!(answer.header("content-type").unwrap().starts_with("text/event-stream"));
    let direct = Request::post(CHAT, &request).send(gateway.model.address()).unwrap();
    assert_eq!(shape(&answer), shape(&direct));
    assert!(answer.text().ends_with("data: [DONE]\n\n"));
    let entry = gateway.logged(&answer);
    assert_eq!((&entry["tokens"], &entry["usage_quality"]), (&json!("6"), &json!("exact")));
    assert!(entry["ttft_ms"].is_string(), "{entry}");
}

/// The events without what differs from call to call.
fn shape(answer: &Answer) -> Vec<Value> {
    let mut events = answer.events();
    for event in &mut events {
        for key in ["id", "created"] {
            event.as_object_mut().unwrap().remove(key);
        }
        if let Some(event) = event.as_object_mut() {
            event.remove("obfuscation");
        }
    }
    events
}

#[test]
fn models_are_listed_and_found_in_both_shapes() {
    let gateway = &*SHIPPED;
    let ids = |body: &Value| -> Vec<Value> {
        body["data"].as_array().unwrap().iter().map(|model| model["id"].clone()).collect()
    };
    let list = gateway.get("/v1/models");
    assert_eq!((list.status, list.json()["object"].clone()), (200, json!("list")));
    assert!(ids(&list.json()).contains(&json!(MODEL)), "{}", list.text());
    let one = gateway.get(&format!("/v1/models/{MODEL}")).json();
    assert_eq!((&one["id"], &one["object"]), (&json!(MODEL), &json!("model")));

    let anthropic =
        |path: &str| gateway.send(&Request::get(path).header("anthropic-version", "2023-06-01"));
    let list = anthropic("/v1/models").json();
    assert!(ids(&list).contains(&json!(MODEL)) && list["has_more"] == json!(false), "{list}");
    assert_eq!(anthropic(&format!("/v1/models/{MODEL}")).json()["type"], "model");
    assert_eq!(gateway.get("/v1/models/no-such-model").status, 404);
    assert_eq!(gateway.model.requests().iter().filter(|r| r.path.contains("models")).count(), 0);
}

/// A dialect's path, a header that only it has, and its error's type where one is written.
type Speaker = (&'static str, fn(Value) -> Value, fn(&Value) -> Option<Mistake>);

/// What each dialect tells of an error.
#[derive(Debug, PartialEq)]
struct Mistake {
    kind: Option<String>,
    code: Option<String>,
    message: String,
}

const SPEAKERS: [Speaker; 3] = [
    (CHAT, |request| request, openai_error),
    (
        "/v1/messages",
        |mut request| {
            request["max_tokens"] = json!(50);
            request
        },
        anthropic_error,
    ),
    ("/api/chat", |request| request, ollama_error),
];

fn openai_error(body: &Value) -> Option<Mistake> {
    let error = body["error"].as_object()?;
    let text = |key: &str| error[key].as_str().map(str::to_owned);
    error.contains_key("param").then_some(())?;
    Some(Mistake { kind: text("type"), code: text("code"), message: text("message")? })
}

fn anthropic_error(body: &Value) -> Option<Mistake> {
    let error = body["error"].as_object().filter(|_| body["type"] == "error")?;
    body["request_id"].as_str()?;
    let text = |key: &str| error[key].as_str().map(str::to_owned);
    Some(Mistake { kind: text("type"), code: None, message: text("message")? })
}

fn ollama_error(body: &Value) -> Option<Mistake> {
    Some(Mistake { kind: None, code: None, message: body["error"].as_str()?.to_owned() })
}

/// Sends a request in each dialect and checks status and error of each answer.
fn refused(
    gateway: &Gateway,
    status: u16,
    kinds: [&str; 2],
    code: &str,
    send: impl Fn(&str, Value) -> Answer,
) {
    for (path, request, read) in SPEAKERS {
        let answer = send(path, request(chat("hello")));
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        assert_eq!(answer.header("content-type"), Some("application/json"), "{path}");
        let error = read(&answer.json()).unwrap_or_else(|| panic!("{path}: {}", answer.text()));
        assert!(!error.message.is_empty());
        match path {
            CHAT => assert_eq!(
                (error.kind.as_deref(), error.code.as_deref()),
                (Some(kinds[0]), Some(code))
            ),
            "/v1/messages" => assert_eq!(error.kind.as_deref(), Some(kinds[1])),
            _ => {}
        }
        let entry = gateway.logged(&answer);
        assert_eq!(entry["status"], status, "{entry}");
        assert!(entry["error"].is_string(), "{entry}");
    }
}

#[test]
fn an_unknown_model_is_refused_in_every_dialect() {
    let gateway = &*SHIPPED;
    refused(
        gateway,
        404,
        ["invalid_request_error", "not_found_error"],
        "model_not_found",
        |path, mut body| {
            body["model"] = json!("no-such-model");
            gateway.post(path, &body)
        },
    );
}

#[test]
fn a_body_that_is_no_json_is_refused_in_every_dialect() {
    let gateway = &*SHIPPED;
    let kinds = ["invalid_request_error", "invalid_request_error"];
    refused(gateway, 400, kinds, "invalid_json", |path, body| {
        let text = body.to_string();
        gateway.send(&Request::post(path, &body).body(&text.as_bytes()[..text.len() - 1]))
    });
}

#[test]
fn a_missing_field_is_named() {
    let answer = SHIPPED.post(CHAT, &json!({"model": MODEL}));
    assert_eq!((answer.status, &answer.json()["error"]["param"]), (400, &json!("messages")));
}

#[test]
fn a_provider_error_keeps_its_meaning_in_every_dialect() {
    let gateway = &*SHIPPED;
    for (status, told, kinds, code) in [
        (429, 429, ["requests", "rate_limit_error"], "rate_limit_exceeded"),
        (500, 502, ["server_error", "api_error"], "provider_error"),
        (503, 503, ["server_error", "overloaded_error"], "service_unavailable"),
    ] {
        for body in ["html", "empty", "plain"] {
            let controls = format!("status={status}; body={body}");
            refused(gateway, told, kinds, code, |path, body| gateway.told(&controls, path, &body));
        }
    }
}

/// What is too long for people is not passed on: its status is.
#[test]
fn an_error_without_end_keeps_its_status() {
    let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = server.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in server.incoming().map_while(Result::ok) {
            let mut stream = stream;
            let _ = stream.read(&mut [0; 65536]);
            let _ =
                write!(stream, "HTTP/1.1 422 No\r\nconnection: close\r\nretry-after: 7\r\n\r\n");
            let _ = stream.write_all(&[b'x'; 500_000]);
        }
    });
    let gateway = Gateway::adapted(|bootstrap| bootstrap.endpoint("local", address).unwrap());
    let kinds = ["invalid_request_error", "invalid_request_error"];
    refused(&gateway, 422, kinds, "invalid_value", |path, body| {
        let answer = gateway.post(path, &body);
        assert_eq!(answer.header("retry-after"), Some("7"));
        answer
    });
}

#[test]
fn a_request_is_named_by_its_caller_if_the_name_is_a_good_one() {
    let gateway = &*SHIPPED;
    let named = |id: &str, path: &str| {
        let answer = gateway.send(&Request::post(path, &chat("hi")).header("x-request-id", id));
        let ids: Vec<_> =
            answer.headers.iter().filter(|(name, _)| name == "x-request-id").collect();
        assert_eq!(ids.len(), 1, "{ids:?}");
        ids[0].1.clone()
    };
    for path in [CHAT, "/api/chat"] {
        assert_eq!(named("my-request/1", path), "my-request/1");
        let at_most = "x".repeat(128);
        assert_eq!(named(&at_most, path), at_most);
        for bad in ["x".repeat(129), "two words".to_owned(), "ü".to_owned()] {
            let minted = named(&bad, path);
            assert!(minted != bad && minted.len() == 36, "{minted}");
        }
    }
    let mut unknown = chat("hi");
    unknown["model"] = json!("no-such-model");
    let refused = gateway.send(&Request::post(CHAT, &unknown).header("x-request-id", "e"));
    assert_eq!((refused.status, refused.header("x-request-id")), (404, Some("e")));
    let provided =
        gateway.told("header=x-request-id:theirs", CHAT, &chat("whose id is the provider's"));
    assert_eq!(provided.header("x-llm-provider-request-id"), Some("theirs"));
    assert_ne!(provided.header("x-request-id"), Some("theirs"));
}

#[test]
fn a_request_that_is_too_large_is_refused_in_every_dialect() {
    let small = |configuration: &mut Value| configuration["max_request_bytes"] = json!("64KiB");
    let by_the_gateway = Gateway::configured(small);
    let by_envoy = Gateway::adapted(|mut bootstrap| {
        virtual_host(&mut bootstrap)["request_body_buffer_limit"].take();
        at(&mut bootstrap, LISTENER)["per_connection_buffer_limit_bytes"] = json!(65536);
        bootstrap
    });
    for gateway in [by_the_gateway, by_envoy] {
        let kinds = ["invalid_request_error", "request_too_large"];
        let large = |path: &str, mut body: Value| {
            body["messages"][0]["content"] = "word ".repeat(40_000).into();
            Request::post(path, &body)
        };
        let code = "request_too_large";
        refused(&gateway, 413, kinds, code, |path, body| gateway.send(&large(path, body)));
        let chunked = |path: &str, body| gateway.send(&large(path, body).chunked());
        refused(&gateway, 413, kinds, code, chunked);
        assert_eq!(gateway.model.total(), 0);
        assert_eq!(gateway.post(CHAT, &chat("a small one")).status, 200);
    }
}

#[test]
fn a_provider_that_is_down_is_told_in_every_dialect() {
    let gateway = Gateway::adapted(|bootstrap| bootstrap.endpoint("local", nobody()).unwrap());
    refused(
        &gateway,
        503,
        ["server_error", "overloaded_error"],
        "service_unavailable",
        |path, body| {
            let answer = gateway.post(path, &body);
            let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
            assert!(seconds >= 1);
            answer
        },
    );
}

/// An address where nobody listens.
fn nobody() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

#[test]
fn a_provider_that_is_silent_is_given_up_after_the_configured_time() {
    let gateway = Gateway::configured(|configuration| {
        configuration["attempts"] = json!({"per_try_timeout": "300ms"});
    });
    refused(&gateway, 504, ["server_error", "timeout_error"], "timeout", |path, body| {
        gateway.told("stall=headers", path, &body)
    });
    // The time is for the first byte: a long stream is not cut.
    let slow = gateway.told("pause=200", CHAT, &streamed(chat("one two three four")));
    assert!(slow.complete && slow.text().ends_with("[DONE]\n\n"));
}

#[test]
fn http2_callers_get_the_same() {
    let gateway = &*SHIPPED;
    let json = [("content-type", "application/json")];
    let post =
        |path: &str, body: &Value| post_http2(gateway.address, path, &json, body.to_string(), None);
    let answer = post(CHAT, &chat("over http2"));
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(
        (answer.status, &body["choices"][0]["message"]["content"]),
        (200, &json!("You said: over http2"))
    );
    let id = answer.headers["x-request-id"].to_str().unwrap();
    assert_eq!(gateway.logged_as(id)["tokens"], "6");
    let stream = post(CHAT, &streamed(chat("over http2")));
    assert!(stream.body.ends_with(b"data: [DONE]\n\n"));
    let mut unknown = chat("over http2");
    unknown["model"] = json!("no-such-model");
    assert_eq!(post(CHAT, &unknown).status, 404);
    let large = post_http2(gateway.address, CHAT, &json, vec![b' '; 5 << 20], None);
    let body: Value = serde_json::from_slice(&large.body).unwrap();
    assert_eq!((large.status, &body["error"]["code"]), (413, &json!("request_too_large")));
}

#[test]
fn what_is_no_call_passes_untouched() {
    let gateway = Gateway::configured(|configuration| configuration["unmatched"] = json!("pass"));
    let direct = Request::get("/openai/v1/models").send(gateway.model.address()).unwrap();
    assert_eq!(direct.status, 200);
    assert_eq!(gateway.get("/openai/v1/models").body, direct.body);
}
