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
