//! Client libraries cannot tell an answer of the cache from a fresh one, in whichever form it was
//! stored.

use harness::sdk;
use serde_json::json;

use super::cached;

#[test]
fn python_clients_parse_the_same_objects() {
    let gateway = cached(json!({"ttl": "1h", "max_entry_bytes": "4MiB"}));
    let url = gateway.envoy.url("gateway").unwrap();
    let output = sdk::run_python(include_str!("../sdk/cache_sdk.py"), &[&url]).unwrap();
    let passed = ["passed: openai_answers", "passed: anthropic_answers"];
    assert!(output.lines().eq(passed), "{output}");
    gateway.assert_unharmed();
}

#[test]
fn node_clients_parse_the_same_objects() {
    let gateway = cached(json!({"ttl": "1h"}));
    let url = gateway.envoy.url("gateway").unwrap();
    let output = sdk::run_node(include_str!("../sdk/cache_sdks.mjs"), &[&url]).unwrap();
    assert!(output.lines().eq(["passed: openai", "passed: anthropic"]), "{output}");
    gateway.assert_unharmed();
}
