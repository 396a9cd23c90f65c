//! What of a request never reaches a provider.

use super::*;
use crate::host::fake::{Call, Fake};
use crate::host::{Buffer, Status};

fn service(configuration: &str) -> Service {
    let provider = config::Provider::from_bytes(configuration.as_bytes(), &|_: &str| None);
    Service::new(provider.unwrap(), &Rc::default())
}

fn step(state: &mut State, service: &Service, event: Event, host: &Fake) -> Flow {
    let (next, flow) = std::mem::take(state).step(service, event, host);
    *state = next;
    flow
}

const PARTS: [Event; 2] = [Event::RequestBody { size: 2, end: true }, Event::RequestTrailers];

#[test]
fn a_body_without_headers_does_not_pass() {
    let service = service(r#"{"provider": "local"}"#);
    for part in PARTS {
        let host = Fake::new();
        let mut state = State::default();
        assert_eq!(step(&mut state, &service, part, &host), Flow::Pause);
        assert_eq!(host.replies().len(), 1);
        for part in PARTS {
            assert_eq!(step(&mut state, &service, part, &host), Flow::Pause);
        }
    }
}

/// A half made request may carry this provider's credential, or the one of the attempt before.
#[test]
fn a_request_that_could_not_be_made_does_not_pass_even_if_that_cannot_be_said() {
    let service = service(r#"{"provider": "local", "host": "local.test"}"#);
    for (failing, what) in
        [(Call::SetHeader, "the host's name"), (Call::RemoveHeader, "what is between the roles")]
    {
        let host = Fake::new();
        let headers =
            [(":method", "POST"), (":path", "/v1/chat/completions"), ("x-llm-cluster", "local")];
        host.give_headers(Map::RequestHeaders, headers);
        host.give_body(Buffer::RequestBody, b"{}");
        host.fail_next(failing, Status::InternalFailure);
        host.fail_next(Call::Reply, Status::InternalFailure);
        let mut state = State::default();
        for event in [Event::RequestHeaders { end: false }].into_iter().chain(PARTS) {
            assert_eq!(step(&mut state, &service, event, &host), Flow::Pause, "{what}");
        }
    }
}

/// One attempt at a provider, and the headers that it gets.
fn attempt(service: &Service, host: &Fake) -> Vec<(String, String)> {
    let body = br#"{"model":"m","max_tokens":5,"messages":[{"role":"user","content":"x"}]}"#;
    host.give_body(Buffer::RequestBody, body);
    let mut state = State::default();
    let _ = step(&mut state, service, Event::RequestHeaders { end: false }, host);
    let end = Event::RequestBody { size: body.len(), end: true };
    let _ = step(&mut state, service, end, host);
    assert!(host.replies().is_empty(), "{:?}", host.replies());
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let all = host.all_headers(Map::RequestHeaders).into_iter();
    all.map(|(name, value)| (text(name), text(value))).collect()
}

/// A translated attempt between two others: what a filter behind the first one left, such as the
/// token of a signature, is none of the caller's headers; and what the first translation took away
/// of the caller's program, the second does too.
#[test]
fn a_translated_attempt_takes_nothing_for_the_callers_that_was_not() {
    let host = Fake::new();
    let providers =
        [r#"{"provider": "a", "api": "anthropic"}"#, r#"{"provider": "b", "api": "anthropic"}"#]
            .map(service);
    let last = service(r#"{"provider": "c"}"#);
    let steps = ["a", "b", "c"].map(|name| crate::handoff::Step {
        cluster: name,
        provider: name,
        model: "m",
    });
    crate::handoff::announce(&host, steps.into_iter()).unwrap();
    let sent = [
        (":method", "POST"),
        (":path", "/v1/chat/completions"),
        ("content-type", "application/json"),
        ("x-codex-window-id", "1"),
    ];
    host.give_headers(Map::RequestHeaders, sent);
    let has = |headers: &[(String, String)], name: &str| headers.iter().any(|(n, _)| n == name);
    for service in &providers {
        let seen = attempt(service, &host);
        assert!(!has(&seen, "x-codex-window-id"), "{seen:?}");
        assert!(!has(&seen, "x-amz-security-token"), "{seen:?}");
        let left = seen.into_iter().chain([("x-amz-security-token".into(), "s3cr3t".into())]);
        host.give_headers(Map::RequestHeaders, left.collect::<Vec<(String, String)>>());
    }
    let seen = attempt(&last, &host);
    assert!(has(&seen, "x-codex-window-id"), "the caller's own protocol: {seen:?}");
    assert!(!has(&seen, "x-amz-security-token"), "{seen:?}");
}
