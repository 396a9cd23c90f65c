use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::*;

/// The bytes of a `google.protobuf.Struct`, as Envoy sends them.
fn structure(object: &serde_json::Map<String, Json>) -> Vec<u8> {
    let entry = |(key, value): (&String, &Json)| {
        bytes_field(1, &[bytes_field(1, key.as_bytes()), bytes_field(2, &value_of(value))].concat())
    };
    object.iter().map(entry).collect::<Vec<_>>().concat()
}

fn value_of(value: &Json) -> Vec<u8> {
    match value {
        Json::Null => vec![1 << 3, 0],
        Json::Bool(flag) => vec![4 << 3, u8::from(*flag)],
        Json::Number(number) => {
            let bits = number.as_f64().unwrap().to_le_bytes();
            [&[2 << 3 | 1][..], &bits].concat()
        }
        Json::String(text) => bytes_field(3, text.as_bytes()),
        Json::Object(object) => bytes_field(5, &structure(object)),
        Json::Array(items) => {
            let items: Vec<_> = items.iter().map(|item| bytes_field(1, &value_of(item))).collect();
            bytes_field(6, &items.concat())
        }
    }
}

fn bytes_field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    let mut length = bytes.len();
    while length > 0x7f {
        field.push(0x80 | length as u8);
        length >>= 7;
    }
    field.push(length as u8);
    [&field, bytes].concat()
}

/// Both ways to write the same, and what Envoy's YAML makes of fractions.
fn spellings(config: &Json) -> [Vec<u8>; 3] {
    let object = config.as_object().unwrap();
    let mut yaml = config.clone();
    as_envoy_reads_yaml(&mut yaml);
    [config.to_string().into(), structure(object), structure(yaml.as_object().unwrap())]
}

fn as_envoy_reads_yaml(value: &mut Json) {
    match value {
        Json::Number(number) if number.as_i64().is_none_or(|n| i32::try_from(n).is_err()) => {
            *value = number.to_string().into();
        }
        Json::String(text) if text == "on" => *value = true.into(),
        Json::String(text) if text == "off" => *value = false.into(),
        Json::Array(items) => items.iter_mut().for_each(as_envoy_reads_yaml),
        Json::Object(object) => object.values_mut().for_each(as_envoy_reads_yaml),
        _ => {}
    }
}

/// Every part, also what nothing acts upon yet.
fn gateway(config: &Json) -> Result<Gateway, Mistakes> {
    let [first, others @ ..] = spellings(config).map(|bytes| Gateway::read(&bytes, &[]));
    for other in others {
        assert_eq!(format!("{other:?}"), format!("{first:?}"), "{config}");
    }
    first
}

fn lines(result: Result<Gateway, Mistakes>) -> Vec<String> {
    result.err().iter().flat_map(|mistakes| mistakes.iter()).map(ToString::to_string).collect()
}

fn design() -> Json {
    json!({
        "providers": {
            "ollama": {"cluster": "ollama", "models": ["llama3.2:1b", "llama2"]},
            "openai": {
                "priority": 0,
                "models": [
                    {
                        "name": "gpt-4o",
                        "capabilities": ["chat", "vision", "tools"],
                        "context_window": 128_000,
                        "price": {"input": 2.50, "cached_input": 1.25, "output": 10.00}
                    },
                    "gpt-*"
                ]
            }
        },
        "models": {
            "fast": [
                {"provider": "openai", "model": "gpt-4o-mini", "weight": 3},
                {"provider": "ollama", "model": "llama3.2:1b", "weight": 1},
                {"provider": "openai", "model": "gpt-4o", "priority": 1}
            ]
        },
        "default_model": "fast",
        "attempts": {"per_try_timeout": "30s", "retry_on": ["connect", "reset", "5xx", 429]},
        "auth": {"mode": "required"},
        "consumers": [{
            "name": "web-app",
            "key_sha256": "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
            "models": ["gpt-4o*", "fast"]
        }],
        "limits": [
            {"name": "per-consumer", "key": ["consumer"], "requests": 60, "tokens": 100_000, "window": "1m"},
            {"name": "gpt4-total", "key": [], "tokens": 1_000_000, "window": "1h", "models": ["gpt-4*"], "mode": "shadow"},
            {"name": "daily-spend", "key": ["consumer"], "cost_usd": 25.0, "window": "1d"}
        ],
        "limiter": {"slots": 65536, "on_contention": "deny"},
        "cache": {"ttl": "5m", "max_entries": 1024, "max_entry_bytes": "256KiB", "scope": "consumer", "operations": ["chat", "embedding"], "mode": "on"},
        "client_ip": {"trusted_hops": 0},
        "max_request_bytes": "4MiB",
        "unmatched": "pass",
        "log": {"requests": "errors"}
    })
}

#[test]
fn the_documented_gateway_is_read_from_every_spelling() {
    let gateway = gateway(&design()).unwrap();
    let fast: Vec<_> = gateway.routing.mapping("fast").map(|e| (e.model, e.priority)).collect();
    assert_eq!(fast, [("gpt-4o-mini", 0), ("llama3.2:1b", 0), ("gpt-4o", 1)]);
    assert_eq!(gateway.hash.len(), 16);
}

#[test]
fn what_is_not_supported_yet_is_refused() {
    let bytes = design().to_string();
    assert_eq!(lines(Gateway::from_bytes(bytes.as_bytes())), ["cache: is not yet supported"]);
}

#[test]
fn the_documented_provider_is_read() {
    let config = json!({
        "provider": "anthropic",
        "api": "anthropic",
        "host": "api.anthropic.com",
        "base_path": "/v1",
        "auth": {"header": "x-api-key", "env": "ANTHROPIC_API_KEY"},
        "headers": {"anthropic-version": "2023-06-01"}
    });
    let env = BTreeMap::from([("ANTHROPIC_API_KEY", "sk-secret")]);
    let env = |name: &str| env.get(name).map(ToString::to_string);
    let provider = Provider::from_bytes(&spellings(&config)[1], &env).unwrap();
    assert_eq!(provider.credential.as_ref().map(|c| &*c.value), Some("sk-secret"));
    assert!(!format!("{provider:?}").contains("secret"));
}
