//! The official client libraries, used as their users use them: each script runs every kind of call
//! and every class of error, over HTTP/1.1 and HTTP/2 (Node: HTTP/1.1), against an Envoy with one
//! worker and one with four.

use std::fs;
use std::sync::LazyLock;

use harness::{root, sdk};
use serde_json::{Map, Value, json};
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

/// As they are printed, but for the address.
#[test]
fn the_readmes_snippets() {
    let served = |name: &str| (name.to_owned(), json!([{"provider": "local", "model": MODEL}]));
    let names: Map<_, _> = ["smollm2", "claude-haiku-4-5"].into_iter().map(served).collect();
    let gateway = Gateway::configured(|value| {
        *value = json!({"providers": {"local": {"models": [MODEL]}}, "models": names});
    });
    let url = gateway.envoy.url("gateway").unwrap();
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let snippets = readme.split("```python\n").skip(1).filter_map(|part| part.split("```").next());
    let mut run = 0;
    for snippet in snippets {
        let printed = "http://127.0.0.1:10000";
        assert!(snippet.contains(printed), "{snippet}");
        let output = sdk::run_python(&snippet.replace(printed, &url), &[]).unwrap();
        assert!(output.contains("role='assistant'"), "{snippet}{output}");
        run += 1;
    }
    assert_eq!(run, 2);
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
            consumer("soon", json!(["*"])),
        ],
        "limits": [
            {"name": "once", "key": ["consumer"], "consumers": ["limited"], "requests": 1, "window": "1h"},
            {"name": "soon", "key": ["consumer"], "consumers": ["soon"], "requests": 1, "window": "1s"},
        ],
        "max_request_bytes": "128KiB",
        "unmatched": "pass",
    })
}
