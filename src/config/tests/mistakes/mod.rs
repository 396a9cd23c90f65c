//! What is refused, and in which words.

mod callers;
mod limits;
mod models;

use super::*;

/// The lines about a configuration. Envoy's YAML makes other values of some texts, so only the two
/// spellings that keep them are compared.
fn mistakes(config: &Json) -> Vec<String> {
    let [json, structure, _] = spellings(config).map(|bytes| lines(Gateway::from_bytes(&bytes)));
    assert_eq!(json, structure);
    json
}

/// Each change of the minimal configuration with its only line.
fn check(table: &[(Json, &str)]) {
    let found = table.iter().map(|(change, _)| mistakes(&changed(&minimal(), change)));
    let found: Vec<_> = found.collect();
    let expected: Vec<_> = table.iter().map(|(_, line)| vec![(*line).to_owned()]).collect();
    for ((found, expected), (change, _)) in found.iter().zip(&expected).zip(table) {
        if found != expected {
            println!("{change}\n  is {found:#?}\n  not {expected:#?}");
        }
    }
    assert!(found == expected, "see above");
}

fn served(model: Json) -> Json {
    json!({"providers": {"openai": {"models": [model]}}})
}

#[test]
fn shapes() {
    check(&[
        (json!({"providers": null}), "providers: found nothing, expected an object of providers"),
        (json!({"providers": []}), "providers: found a list, expected an object of providers"),
        (
            json!({"providers": {}}),
            "providers: found nothing in it, expected at least one of providers",
        ),
        (
            json!({"providers": {"a": "b"}}),
            "providers.a: found a string, expected an object with cluster, priority or models",
        ),
        (
            json!({"providers": {"a": {}}}),
            "providers.a.models: found nothing, expected a list of model names",
        ),
        (
            json!({"providers": {"a": {"models": "b"}}}),
            "providers.a.models: found a string, expected a list of model names",
        ),
        (
            json!({"providers": {"a": {"models": []}}}),
            "providers.a.models: found nothing in it, expected at least one of model names",
        ),
        (json!({"log": null, "unmatched": 1}), "unmatched: found 1, expected pass or reject"),
        (
            json!({"log": {"requests": "some"}}),
            "log.requests: found \"some\", expected none, errors or all",
        ),
        (json!({"client_ip": 1}), "client_ip: found 1, expected an object with trusted_hops"),
        (
            json!({"client_ip": {"trusted_hops": 17}}),
            "client_ip.trusted_hops: found 17, expected a whole number of 0 to 16",
        ),
    ]);
}

#[test]
fn unknown_keys() {
    check(&[
        (json!({"limts": []}), "limts: unknown key, expected limits"),
        (
            json!({"colour": 1}),
            "colour: unknown key, expected providers, models, default_model, attempts, breaker, auth, consumers, consumer_header, limits, limiter, cache, client_ip, max_request_bytes, max_held_bytes, unmatched or log",
        ),
        (
            json!({"providers": {"a": {"models": ["b"], "modells": 1}}}),
            "providers.a.modells: unknown key, expected models",
        ),
        (
            served(json!({"name": "b", "price": {"input": 1, "output": 1, "ouput": 1}})),
            "providers.openai.models[0].price.ouput: unknown key, expected output",
        ),
        (json!({"log": {"bodies": true}}), "log.bodies: unknown key, expected requests"),
        (
            json!({"evil\nkey ;": 1}),
            "[\"evil\\nkey ;\"]: unknown key, expected providers, models, default_model, attempts, breaker, auth, consumers, consumer_header, limits, limiter, cache, client_ip, max_request_bytes, max_held_bytes, unmatched or log",
        ),
    ]);
    let twice =
        r#"{"providers": {"a": {"models": ["b"]}}, "unmatched": "pass", "unmatched": "reject"}"#;
    assert_eq!(
        lines(Gateway::from_bytes(twice.as_bytes())),
        ["unmatched: found 2 of this key, expected one"]
    );
}

#[test]
fn units() {
    let size = "a size of 1KiB to 128MiB, like \"64KiB\" or \"8MiB\"";
    let duration = "a duration of 1ms to 1d, like \"30s\" or \"5m\"";
    for (change, path, found, expected) in [
        (json!({"max_request_bytes": 4_194_304}), "max_request_bytes", "4194304", size),
        (json!({"max_request_bytes": "4MB"}), "max_request_bytes", "\"4MB\"", size),
        (json!({"max_request_bytes": "1GiB"}), "max_request_bytes", "\"1GiB\"", size),
        (
            json!({"attempts": {"per_try_timeout": "30"}}),
            "attempts.per_try_timeout",
            "\"30\"",
            duration,
        ),
        (
            json!({"attempts": {"per_try_timeout": "0s"}}),
            "attempts.per_try_timeout",
            "\"0s\"",
            duration,
        ),
        (json!({"attempts": {"per_try_timeout": 30}}), "attempts.per_try_timeout", "30", duration),
        (
            json!({"attempts": {"per_try_timeout": "1.5s"}}),
            "attempts.per_try_timeout",
            "\"1.5s\"",
            duration,
        ),
        (
            json!({"attempts": {"per_try_timeout": ["1s"]}}),
            "attempts.per_try_timeout",
            "a list",
            duration,
        ),
    ] {
        check(&[(change, &format!("{path}: found {found}, expected {expected}"))]);
    }
    check(&[
        (
            json!({"client_ip": {"trusted_hops": 1.5}}),
            "client_ip.trusted_hops: found 1.5, expected a whole number of 0 to 16",
        ),
        (
            json!({"client_ip": {"trusted_hops": "one"}}),
            "client_ip.trusted_hops: found \"one\", expected a whole number of 0 to 16",
        ),
        (
            json!({"client_ip": {"trusted_hops": -1}}),
            "client_ip.trusted_hops: found -1, expected a whole number of 0 to 16",
        ),
    ]);
}

#[test]
fn all_mistakes_are_named_at_once_in_the_order_of_the_sections() {
    let config = json!({
        "providers": {"openai": {"models": ["gpt 4", "gpt-4o"]}},
        "models": {"fast": [{"provider": "opnai", "model": "gpt-4o"}]},
        "default_model": "fast",
        "limits": [{"name": "x", "key": [], "window": "1m"}],
        "cache": {"ttl": "0s"},
        "unmatchd": "pass"
    });
    let found: Vec<_> = mistakes(&config);
    let paths: Vec<_> = found.iter().map(|line| line.split(": ").next().unwrap()).collect();
    assert_eq!(
        paths,
        [
            "unmatchd",
            "providers.openai.models[0]",
            "models.fast[0].provider",
            "limits[0]",
            "cache.ttl"
        ]
    );
}

#[test]
fn one_wrong_section_brings_no_mistakes_of_others() {
    let config = json!({
        "providers": {},
        "models": {"fast": [{"provider": "openai", "model": "gpt-4o"}]},
        "default_model": "gpt-4o",
        "auth": {"mode": "required"},
        "consumers": [{"name": "a", "key_sha256": KEY, "models": ["gpt-*"]}]
    });
    assert_eq!(
        mistakes(&config),
        ["providers: found nothing in it, expected at least one of providers"]
    );
}

#[test]
fn what_cannot_be_read_is_one_line() {
    for (bytes, line) in [
        (
            "providers: {}",
            "configuration: found neither a google.protobuf.Struct (YAML) nor the text of a JSON object",
        ),
        (
            "{\"providers\": }",
            "configuration: found what is no JSON: expected value at line 1 column 15",
        ),
        ("", "providers: found nothing, expected an object of providers"),
    ] {
        assert_eq!(lines(Gateway::from_bytes(bytes.as_bytes())), [line]);
    }
}

#[test]
fn the_number_and_the_length_of_lines_are_bounded() {
    let long = "k".repeat(10_000);
    let models: Vec<_> = (0..1000).map(|_| json!({long.clone(): "v".repeat(10)})).collect();
    let found = mistakes(&json!({"providers": {long: {"models": models[..90]}}}));
    assert_eq!(found.len(), 101);
    assert_eq!(found[100], "configuration: has more mistakes");
    assert!(found.iter().all(|line| line.len() < 600), "{found:#?}");
}
