//! What of a request never passes.

use super::*;
use crate::config;
use crate::host::fake::{Call, Fake};
use crate::host::{Buffer, Map, Status};

fn service(host: &Fake) -> Service {
    let configuration = br#"{"providers": {"local": {"models": ["m"]}}}"#;
    Service::open(config::Gateway::from_bytes(configuration).unwrap(), host).unwrap()
}

fn step(state: &mut State, service: &Service, event: Event, host: &Fake) -> Flow {
    let (next, flow) = std::mem::take(state).step(service, event, host);
    *state = next;
    flow
}

const PARTS: [Event; 2] = [Event::RequestBody { size: 2, end: true }, Event::RequestTrailers];

#[test]
fn a_body_without_headers_does_not_pass() {
    for part in PARTS {
        let host = Fake::new();
        let service = service(&host);
        let mut state = State::default();
        assert_eq!(step(&mut state, &service, part, &host), Flow::Pause);
        assert_eq!(host.replies().len(), 1);
        // Nor does what follows it.
        for part in PARTS {
            assert_eq!(step(&mut state, &service, part, &host), Flow::Pause);
        }
        assert_eq!(host.replies().len(), 1);
    }
}

#[test]
fn a_refused_request_does_not_pass_even_if_the_refusal_cannot_be_said() {
    let host = Fake::new();
    let service = service(&host);
    let mut state = State::default();
    let headers = [(":method", "POST"), (":path", "/v1/chat/completions")];
    host.give_headers(Map::RequestHeaders, headers);
    host.give_body(Buffer::RequestBody, b"{}");
    host.fail_next(Call::Reply, Status::InternalFailure);
    for event in [Event::RequestHeaders { end: false }].into_iter().chain(PARTS) {
        assert_eq!(step(&mut state, &service, event, &host), Flow::Pause);
    }
    assert_eq!(host.replies().len(), 0);
}

#[test]
fn a_provider_cannot_answer_a_request_that_was_never_seen() {
    for (details, flow) in [("via_upstream", Flow::Pause), ("ext_authz_denied", Flow::Continue)] {
        let host = Fake::new();
        let service = service(&host);
        host.give_property(&["response", "code_details"], details.as_bytes());
        let mut state = State::default();
        let headers = Event::ResponseHeaders { end: false };
        assert_eq!(step(&mut state, &service, headers, &host), flow);
        assert_eq!(host.replies().len(), usize::from(flow == Flow::Pause));
        assert_eq!(step(&mut state, &service, PARTS[0], &host), Flow::Pause);
    }
}

#[test]
fn nothing_passes_after_the_log() {
    let host = Fake::new();
    let service = service(&host);
    let mut state = State::default();
    let _ = step(&mut state, &service, Event::Log, &host);
    assert_eq!(step(&mut state, &service, PARTS[0], &host), Flow::Pause);
}
