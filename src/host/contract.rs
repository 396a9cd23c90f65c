//! What every host must do. One suite for the fake and, in a `contract` build, for Envoy.
//!
//! A host shows different things in different callbacks, so the suite is cut into phases.
//! [`answer`] runs each in its callback: for a request with [`REQUEST_HEADERS`] and [`BODY`] whose
//! answer is 200 with [`BODY`], and for one without a body, whose headers go on at once.

use std::hash::{BuildHasher, RandomState};

use serde_json::json;

use super::{Buffer, Event, Flow, Host, Map, SafeValue};

mod checks;

/// The plugin of a `contract` build. The answer's body becomes the report, one JSON line a check;
/// what the log phase finds goes to the log. Three paths do something else: [`REPLY_PATH`] gets a
/// local reply, which the response callbacks mark, [`SEED_PATH`] shows how hash maps are seeded,
/// [`TRAP_PATH`] ends the worker's VM.
pub fn answer<H: Host>(event: Event, host: &H) -> Flow {
    let path = host.property(&["request", "path"]).unwrap_or_default();
    let reported = !report(host).is_empty();
    match event {
        Event::RequestHeaders { .. } if path == REPLY_PATH => {
            let _ = host.reply(REPLY_STATUS, "contract said no", &REPLY_HEADERS, BODY);
            Flow::Pause
        }
        Event::RequestHeaders { .. } if path == SEED_PATH => {
            let hash = RandomState::new().hash_one(42);
            let _ = host.reply(200, "contract seed", &[], hash.to_string().as_bytes());
            Flow::Pause
        }
        Event::RequestHeaders { .. } if path == TRAP_PATH => std::process::abort(),
        Event::RequestHeaders { end: true } => Flow::Continue,
        Event::RequestHeaders { end: false } => {
            add_to_report(host, Phase::RequestHeaders);
            Flow::Pause
        }
        Event::RequestBody { end: false, .. } => Flow::Pause,
        Event::RequestBody { end: true, .. } => {
            add_to_report(host, Phase::RequestBody);
            Flow::Continue
        }
        Event::ResponseHeaders { .. } if path == REPLY_PATH => {
            let _ = host.set_header(Map::ResponseHeaders, "x-passed", SafeValue::literal("1"));
            Flow::Continue
        }
        Event::ResponseHeaders { .. } => {
            add_to_report(host, if reported { Phase::ResponseHeaders } else { Phase::Passed });
            let _ = host.remove_header(Map::ResponseHeaders, b"content-length");
            Flow::Pause
        }
        Event::ResponseBody { end: false, .. } => Flow::Pause,
        Event::ResponseBody { end: true, .. } if reported => {
            add_to_report(host, Phase::ResponseBody);
            let _ = host.splice_body(Buffer::ResponseBody, 0, usize::MAX, &report(host));
            Flow::Continue
        }
        Event::Log if reported => {
            for check in run(host, Phase::Log) {
                host.log(log::Level::Warn, &check.line());
            }
            Flow::Continue
        }
        Event::ResponseBody { .. }
        | Event::RequestTrailers
        | Event::ResponseTrailers
        | Event::Called(_)
        | Event::Tick
        | Event::Log => Flow::Continue,
    }
}

/// Runs the checks of one phase.
pub fn run<H: Host>(host: &H, phase: Phase) -> Vec<Check> {
    checks::of(phase).iter().map(|(name, check)| Check { name, outcome: check(host) }).collect()
}

/// The callback in which a check runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    RequestHeaders,
    RequestBody,
    ResponseHeaders,
    /// The response headers of a request whose headers went on at once.
    Passed,
    ResponseBody,
    Log,
}

/// One thing that a host does or does not do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    pub name: &'static str,
    pub outcome: Outcome,
}

/// `Err` says what was seen instead.
pub type Outcome = Result<(), String>;

impl Check {
    fn line(&self) -> String {
        json!({ "check": self.name, "failure": self.outcome.as_ref().err() }).to_string()
    }
}

fn add_to_report<H: Host>(host: &H, phase: Phase) {
    let mut lines = report(host);
    for check in run(host, phase) {
        lines.extend(check.line().bytes());
        lines.push(b'\n');
    }
    let _ = host.set_filter_state(REPORT, &lines);
}

/// The report so far. Filter state keeps it: the plugin itself keeps nothing.
fn report<H: Host>(host: &H) -> Vec<u8> {
    host.property(&[REPORT]).unwrap_or_default()
}

/// What the client sends.
pub const REQUEST_HEADERS: [(&str, &[u8]); 6] = [
    (":method", b"POST"),
    (":path", b"/contract"),
    ("X-Upper", b"Kept As It Is"),
    ("x-twice", b"one"),
    ("x-twice", b"two"),
    ("x-bytes", b"\xff\xfe"),
];

/// Of the request, of the answer and of the local reply.
pub const BODY: &[u8] = b"0123456789";

pub const REPLY_PATH: &[u8] = b"/contract/reply";
pub const SEED_PATH: &[u8] = b"/contract/seed";
pub const TRAP_PATH: &[u8] = b"/contract/trap";
pub const REPLY_STATUS: u16 = 418;
const REPLY_HEADERS: [(&str, SafeValue<'static>); 2] =
    [("Content-Type", SafeValue::literal("text/x-contract")), ("x-made", SafeValue(b"\xff"))];

const REPORT: &str = "llm_contract_report";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::Fake;

    #[test]
    fn the_fake_keeps_the_contract() {
        let host = request(&REQUEST_HEADERS);
        assert_eq!(answer(Event::RequestHeaders { end: false }, &host), Flow::Pause);
        host.give_body(Buffer::RequestBody, BODY);
        assert_eq!(answer(Event::RequestBody { size: 10, end: true }, &host), Flow::Continue);
        host.release(Map::RequestHeaders);
        let report = response(&host);
        assert_eq!(failures(&report), [] as [&str; 0]);
        assert_eq!(report.lines().count(), 44);
    }

    #[test]
    fn the_fake_keeps_the_contract_for_headers_that_went_on_at_once() {
        let host = request(&[(":method", b"GET"), (":path", b"/contract")]);
        assert_eq!(answer(Event::RequestHeaders { end: true }, &host), Flow::Continue);
        host.send_on(Map::RequestHeaders);
        assert_eq!(failures(&response(&host)), [] as [&str; 0]);
    }

    #[test]
    fn the_fake_replies() {
        let host = Fake::new();
        host.give_property(&["request", "path"], REPLY_PATH);
        assert_eq!(answer(Event::RequestHeaders { end: true }, &host), Flow::Pause);
        let [reply] = host.replies().try_into().unwrap();
        assert_eq!(reply.status, REPLY_STATUS);
        assert_eq!(reply.header("content-type"), Some(&b"text/x-contract"[..]));
        assert_eq!(reply.header("x-made"), Some(&b"\xff"[..]));
        assert_eq!((reply.details.as_str(), reply.body.as_slice()), ("contract_said_no", BODY));
    }

    fn request(headers: &[(&str, &[u8])]) -> Fake {
        let host = Fake::new();
        host.give_headers(Map::RequestHeaders, headers.iter().copied());
        host.give_property(&["request", "path"], b"/contract");
        host
    }

    /// The answer comes and is logged; returns the report.
    fn response(host: &Fake) -> String {
        host.give_property(&["response", "code_details"], b"direct_response");
        host.give_headers(Map::ResponseHeaders, [(":status", "200")]);
        assert_eq!(answer(Event::ResponseHeaders { end: false }, host), Flow::Pause);
        host.give_body(Buffer::ResponseBody, BODY);
        assert_eq!(answer(Event::ResponseBody { size: 10, end: true }, host), Flow::Continue);
        let mut report = String::from_utf8(host.buffer(Buffer::ResponseBody).unwrap()).unwrap();
        host.release(Map::ResponseHeaders);
        host.end_stream();
        answer(Event::Log, host);
        for (_, line) in host.log_lines() {
            report.extend([line.as_str(), "\n"]);
        }
        report
    }

    fn failures(report: &str) -> Vec<&str> {
        report.lines().filter(|line| !line.ends_with("\"failure\":null}")).collect()
    }
}
