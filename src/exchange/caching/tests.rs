//! What an answer from the cache costs, in calls of the host.

use super::super::{Service, State};
use crate::config;
use crate::host::fake::{Call, Fake};
use crate::host::{Buffer, Event, Flow, Map, Timestamp};

fn service(host: &Fake) -> Service {
    let configuration = br#"{"providers": {"local": {"models": ["m"]}}, "cache": {"ttl": "1h"}}"#;
    Service::open(config::Gateway::from_bytes(configuration).unwrap(), host).unwrap()
}

/// A chat from its headers to its log: whether the cache had the answer.
fn chat(service: &Service, host: &Fake) -> bool {
    host.start_stream();
    host.reset_calls();
    host.give_headers(
        Map::RequestHeaders,
        [
            (":method", "POST"),
            (":path", "/v1/chat/completions"),
            ("content-type", "application/json"),
            ("x-request-id", "one"),
        ],
    );
    let question = br#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
    let mut state = State::default();
    let mut step = |event| {
        let (next, flow) = std::mem::take(&mut state).step(service, event, host);
        state = next;
        flow
    };
    assert_eq!(step(Event::RequestHeaders { end: false }), Flow::Pause);
    host.give_body(Buffer::RequestBody, question);
    let hit = step(Event::RequestBody { size: question.len(), end: true }) == Flow::Pause;
    let answer = match host.replies().last() {
        Some(reply) if hit => reply.body.clone(),
        _ => br#"{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}"#.to_vec(),
    };
    // A reply of the filter's own comes by as any other answer does.
    let headers = [(":status", "200"), ("content-type", "application/json")];
    host.give_headers(Map::ResponseHeaders, headers);
    // What will be stored is held back until that is done.
    let held = step(Event::ResponseHeaders { end: false }) == Flow::Pause;
    assert_ne!(held, hit);
    host.give_body(Buffer::ResponseBody, &answer);
    step(Event::ResponseBody { size: answer.len(), end: true });
    host.end_stream();
    step(Event::Log);
    hit
}

/// Each of those that return data costs some two microseconds inside Envoy, the others a quarter to
/// half of one.
#[test]
fn a_hit_makes_few_calls_of_the_host() {
    let host = Fake::new();
    host.set_time(Timestamp(1_800_000_000_000_000_000));
    let service = service(&host);
    assert!(!chat(&service, &host));
    assert!(chat(&service, &host));
    assert_eq!(host.calls(Call::Load), 2, "an index and a body");
    assert!(chat(&service, &host));
    // The property tells where the route leads.
    for call in [Call::Headers, Call::Body, Call::Load, Call::Reply, Call::Property] {
        assert_eq!(host.calls(call), 1, "{call:?}");
    }
    for call in [Call::Save, Call::Fill, Call::SetHeader, Call::Value] {
        assert_eq!(host.calls(call), 0, "{call:?}");
    }
    assert!(host.all_calls() <= 23, "{}", host.all_calls());
}
