//! Real clients run their own flows against every provider.

use std::sync::LazyLock;

use harness::sdk;
use serde_json::{Map, Value, json};

use super::fleet::{CALLERS_KEY, Fleet, PROVIDERS, Provider};
use crate::support::model_server;

#[test]
fn openai_for_python() {
    passed(sdk::run_python(include_str!("openai_flows.py"), &arguments()));
}

#[test]
fn anthropic_for_python() {
    passed(sdk::run_python(include_str!("anthropic_flows.py"), &arguments()));
}

#[test]
fn openai_and_anthropic_for_node() {
    passed(sdk::run_node(include_str!("node_flows.mjs"), &arguments()));
}

#[test]
fn vercels_ai_sdk() {
    passed(sdk::run_node(include_str!("ai_flows.mjs"), &arguments()));
}

/// What the server says as a provider, that provider's own client has to understand: else all that
/// is tested against it would prove little.
#[test]
fn the_providers_own_clients_at_the_model_server() {
    let server = model_server();
    let url = format!("http://{}", server.address());
    let output = sdk::run_python(include_str!("own_clients.py"), &[&url]).unwrap();
    let passed: Vec<_> = output.lines().filter_map(|line| line.strip_prefix("passed: ")).collect();
    assert_eq!(passed, ["cohere_v2", "bedrock", "gemini", "azure"], "{output}");
}

/// Runs a client against all providers at once: its script prints a line for each.
fn passed(output: anyhow::Result<String>) {
    let output = output.unwrap();
    for provider in PROVIDERS {
        let line = format!("passed: {}", provider.name);
        assert!(output.lines().any(|printed| printed == line), "{}: {output}", provider.name);
    }
    FLEET.assert_keys_stay_apart();
}

/// The gateway's URL, the caller's key, and what the script has to know of each provider.
fn arguments() -> [&'static str; 3] {
    static ARGUMENTS: LazyLock<[String; 2]> = LazyLock::new(|| {
        let known: Vec<Value> = PROVIDERS.iter().map(known).collect();
        [FLEET.envoy.url("gateway").unwrap(), json!(known).to_string()]
    });
    [&ARGUMENTS[0], CALLERS_KEY, &ARGUMENTS[1]]
}

fn known(provider: &Provider) -> Value {
    let cannot: Map<_, _> = provider
        .cannot
        .iter()
        .map(|(feature, words)| ((*feature).to_owned(), json!(words)))
        .collect();
    let gone = provider.others.iter().find(|model| model.contains("gone"));
    json!({
        "name": provider.name,
        "chat": provider.chat,
        "embedding": provider.embedding.unwrap_or(provider.chat),
        "gone": gone,
        "cannot": cannot,
        "thinking": provider.thinking,
    })
}

static FLEET: LazyLock<Fleet> = LazyLock::new(|| Fleet::start(|_, _| ()));
