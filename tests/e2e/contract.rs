//! The real host keeps the contract that the fake keeps.

use harness::envoy::{Envoy, Launch};
use harness::wire::{Answer, Request};
use llm_gateway::host::contract::{BODY, Phase, REPLY_PATH, REPLY_STATUS, REQUEST_HEADERS, run};
use llm_gateway::host::fake::Fake;
use serde_json::Value;

use crate::support::contract;

#[test]
fn every_check_passes_in_envoy() {
    let envoy = start();
    let answer = REQUEST_HEADERS
        .iter()
        .filter(|(name, _)| !name.starts_with(':'))
        .fold(Request::new("POST", "/contract"), |request, (name, value)| {
            request.header(name, value)
        })
        .body(BODY)
        .send(envoy.address("gateway").unwrap())
        .unwrap();
    let phases =
        [Phase::RequestHeaders, Phase::RequestBody, Phase::ResponseHeaders, Phase::ResponseBody];
    check(&answer, &phases);

    let last = *names(&[Phase::Log]).last().unwrap();
    envoy.wait_for_log(last).unwrap();
    let log = envoy.log();
    let lines = log.lines().filter_map(|line| Some(&line[line.find("{\"check\":")?..]));
    assert_eq!(reported(lines), passed(&[Phase::Log]));
}

#[test]
fn headers_that_went_on_at_once_are_as_on_the_fake() {
    let answer =
        Request::new("GET", "/contract").send(start().address("gateway").unwrap()).unwrap();
    check(&answer, &[Phase::Passed, Phase::ResponseBody]);
}

#[test]
fn a_reply_is_as_on_the_fake() {
    let envoy = start();
    let path = str::from_utf8(REPLY_PATH).unwrap();
    let answer = Request::get(path).send(envoy.address("gateway").unwrap()).unwrap();
    assert_eq!((answer.status, &answer.body[..]), (REPLY_STATUS, BODY));
    assert_eq!(answer.header("content-type"), Some("text/x-contract"));
    // Its own response callbacks saw it, and its reason has no spaces in the log.
    assert_eq!(answer.header("x-passed"), Some("1"));
    let entry = envoy.access_log_entry(|entry| entry["path"] == path).unwrap();
    assert_eq!(entry["details"], "contract_said_no");
}

fn start() -> Envoy {
    Launch::new(contract()).start().unwrap()
}

fn check(answer: &Answer, phases: &[Phase]) {
    assert_eq!(answer.status, 200);
    assert_eq!(reported(answer.text().lines()), passed(phases));
}

type Line = (String, Option<String>);

fn reported<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<Line> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    lines
        .map(|line| serde_json::from_str::<Value>(line).unwrap_or_else(|_| panic!("{line}")))
        .map(|line| (text(&line["check"]).unwrap_or_default(), text(&line["failure"])))
        .collect()
}

/// What the fake reports, as its own test says: every check, and no failure.
fn passed(phases: &[Phase]) -> Vec<Line> {
    names(phases).into_iter().map(|name| (name.to_owned(), None)).collect()
}

fn names(phases: &[Phase]) -> Vec<&'static str> {
    let fake = Fake::new();
    phases.iter().flat_map(|phase| run(&fake, *phase)).map(|check| check.name).collect()
}
