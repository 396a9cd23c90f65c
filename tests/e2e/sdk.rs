//! The official client libraries, used as their users use them: each script runs every kind of call
//! and every class of error, over HTTP/1.1 and HTTP/2 (Node: HTTP/1.1), against an Envoy with one
//! worker and one with four.

use std::sync::LazyLock;

use harness::sdk;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::{Gateway, MODEL};

#[test]
fn openai_for_python() {
    passed(4, python(include_str!("sdk/openai_sdk.py")));
}

#[test]
fn anthropic_for_python() {
    passed(4, python(include_str!("sdk/anthropic_sdk.py")));
}

#[test]
fn ollama_for_python() {
    passed(4, python(include_str!("sdk/ollama_sdk.py")));
}

#[test]
fn openai_and_anthropic_for_node() {
    let urls = urls();
    let args: Vec<_> = urls.iter().map(String::as_str).collect();
    passed(2, sdk::run_node(include_str!("sdk/node_sdks.mjs"), &args).unwrap());
}

fn python(script: &str) -> String {
    let urls = urls();
    let args: Vec<_> = urls.iter().map(String::as_str).collect();
    sdk::run_python(script, &args).unwrap()
}

/// A script prints a line for each gateway and protocol.
fn passed(lines: usize, output: String) {
    let found = output.lines().filter(|line| line.starts_with("passed: ")).count();
    assert_eq!(found, lines, "{output}");
}

fn urls() -> [String; 2] {
    static GATEWAYS: LazyLock<[Gateway; 2]> = LazyLock::new(|| [1, 4].map(gateway));
    GATEWAYS.each_ref().map(|gateway| gateway.envoy.url("gateway").unwrap())
}

fn gateway(workers: u32) -> Gateway {
    let adapt = |bootstrap: harness::envoy::Bootstrap| {
        bootstrap.configure("gateway", |value| *value = configuration()).unwrap()
    };
    Gateway::launched(adapt, |launch| launch.concurrency(workers))
}

fn configuration() -> Value {
    let consumer = |name: &str, models: Value| {
        let digest = Sha256::digest(format!("key-of-{name}"));
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        json!({"name": name, "key_sha256": digest, "models": models})
    };
    json!({
        "providers": {"local": {"models": [MODEL, "sim-embedding"]}},
        "models": {"swift": [{"provider": "local", "model": MODEL}]},
        "auth": {"mode": "required"},
        "consumers": [
            consumer("app", json!(["*"])),
            consumer("narrow", json!(["sim-embedding"])),
            consumer("limited", json!(["*"])),
        ],
        "limits": [
            {"name": "once", "key": ["consumer"], "consumers": ["limited"], "requests": 1, "window": "1h"},
        ],
        "max_request_bytes": "128KiB",
        "unmatched": "pass",
    })
}
