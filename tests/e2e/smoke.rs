//! Envoy itself: it starts on free ports, tells what happened, and leaves nothing behind.

use harness::envoy::{Bootstrap, Launch};
use harness::http;
use serde_json::json;

use crate::support::fixed_answer;

#[test]
fn envoy_answers_and_logs_the_request() {
    let envoy = Launch::new(fixed_answer()).start().unwrap();
    let answer = http::get(&format!("{}/hello", envoy.url("gateway").unwrap())).unwrap();
    assert_eq!((answer.status, answer.text().as_str()), (200, "fixed"));
    let entry = envoy.access_log_entry(|entry| entry["path"] == "/hello").unwrap();
    assert_eq!(entry["status"], json!(200));
    assert_eq!(envoy.admin().stat("http.gateway.downstream_rq_2xx").unwrap(), 1);
    assert!(envoy.stop().unwrap().success());
}

#[test]
fn several_envoys_run_side_by_side() {
    let first = Launch::new(fixed_answer()).start().unwrap();
    let second = Launch::new(fixed_answer()).concurrency(2).start().unwrap();
    assert_ne!(first.address("gateway").unwrap(), second.address("gateway").unwrap());
}

#[test]
fn a_refused_configuration_comes_with_what_envoy_said() {
    let bootstrap = Bootstrap::parse("no_such_field: 1").unwrap();
    let error = Launch::new(bootstrap.clone()).start().unwrap_err();
    assert!(format!("{error:#}").contains("no_such_field"), "{error:#}");
    assert!(Launch::new(bootstrap).start_refused().unwrap().contains("no_such_field"));
}
