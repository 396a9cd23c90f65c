//! What stands where nobody can judge: nothing passes.
//!
//! A filter that lost the state of a stream does not know who calls, what was refused, or whose
//! credentials the request carries. It answers 503 and keeps the request.

use crate::error::{Dialect, Error, Kind, Retry};
use crate::host::{Event, Flow, Logger, Properties, Reply, SafeValue};

/// Ends a request that cannot be judged. Whose errors the caller understands is not known either.
pub fn request(host: &(impl Reply + Logger)) -> Flow {
    let error = Error::new(Kind::ServiceUnavailable, MESSAGE).retry(Retry::AfterMillis(1000));
    let headers = [
        ("content-type", SafeValue::literal("application/json")),
        ("retry-after", SafeValue::literal("1")),
        ("retry-after-ms", SafeValue::literal("1000")),
    ];
    let body = error.body(Dialect::OpenAi, "");
    if let Err(status) = host.reply(error.status(), DETAILS, &headers, &body) {
        host.log(log::Level::Error, &format!("reply: {status}"));
    }
    Flow::Pause
}

/// An answer to a request that was never judged. One of Envoy's or of another filter's ends the
/// request, and may well be the reply above; one of a provider must not be there at all.
pub fn answer(host: &(impl Properties + Reply + Logger)) -> Flow {
    match host.property(&["response", "code_details"]) {
        Ok(details) if details == b"via_upstream" => request(host),
        _ => Flow::Continue,
    }
}

/// Whatever comes to a stream that is not known.
pub fn event(event: Event, host: &(impl Properties + Reply + Logger)) -> Flow {
    match event {
        Event::RequestHeaders { .. } | Event::RequestBody { .. } | Event::RequestTrailers => {
            request(host)
        }
        Event::ResponseHeaders { .. } | Event::ResponseBody { .. } | Event::ResponseTrailers => {
            answer(host)
        }
        Event::Called(_) | Event::Tick | Event::Log => Flow::Pause,
    }
}

const MESSAGE: &str = "The request could not be checked, so it does not pass. Please try again.";
const DETAILS: &str = "llm_service_unavailable";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::Fake;

    const REQUEST: [Event; 3] = [
        Event::RequestHeaders { end: true },
        Event::RequestBody { size: 1, end: true },
        Event::RequestTrailers,
    ];
    const ANSWER: [Event; 3] = [
        Event::ResponseHeaders { end: false },
        Event::ResponseBody { size: 1, end: false },
        Event::ResponseTrailers,
    ];

    #[test]
    fn a_request_that_cannot_be_judged_is_answered_and_kept() {
        for came in REQUEST {
            let host = Fake::new();
            assert_eq!(event(came, &host), Flow::Pause);
            let [reply] = host.replies().try_into().unwrap();
            assert_eq!((reply.status, &*reply.details), (503, DETAILS));
            assert_eq!(reply.header("retry-after"), Some(&b"1"[..]));
            let body: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
            assert_eq!(body["error"]["code"], "service_unavailable");
        }
    }

    #[test]
    fn only_a_providers_answer_to_it_is_stopped() {
        for came in ANSWER {
            for (details, flow) in [("via_upstream", Flow::Pause), (DETAILS, Flow::Continue)] {
                let host = Fake::new();
                host.give_property(&["response", "code_details"], details.as_bytes());
                assert_eq!(event(came, &host), flow);
                assert_eq!(host.replies().len(), usize::from(flow == Flow::Pause));
            }
        }
    }
}
