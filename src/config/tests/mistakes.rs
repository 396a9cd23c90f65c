//! What is refused, and in which words.

use super::*;

/// The lines about a configuration. Envoy's YAML makes other values of some texts, so only the two
/// spellings that keep them are compared.
fn mistakes(config: &Json) -> Vec<String> {
    let [json, structure, _] = spellings(config).map(|bytes| lines(Gateway::read(&bytes, &[])));
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

fn alias(entry: Json) -> Json {
    json!({"models": {"fast": [entry]}})
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
            "colour: unknown key, expected providers, models, default_model, attempts, auth, consumers, consumer_header, limits, limiter, cache, client_ip, max_request_bytes, unmatched or log",
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
            "[\"evil\\nkey ;\"]: unknown key, expected providers, models, default_model, attempts, auth, consumers, consumer_header, limits, limiter, cache, client_ip, max_request_bytes, unmatched or log",
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
fn models() {
    let name = "a model name: 1 to 256 visible ASCII characters without ; and =, no two * in a row";
    let first = "providers.openai.models[0]";
    for (model, found) in [
        (json!(""), "\"\"".to_owned()),
        (json!("a b"), "\"a b\"".to_owned()),
        (json!("a;b"), "\"a;b\"".to_owned()),
        (json!("a=b"), "\"a=b\"".to_owned()),
        (json!("a**"), "\"a**\"".to_owned()),
        (json!("a\r\nx: y"), "\"a\\r\\nx: y\"".to_owned()),
        (json!("\u{e9}"), "\"\u{e9}\"".to_owned()),
        (json!(4), "4 without quotes".to_owned()),
        (json!(true), "true without quotes".to_owned()),
        (json!(["a"]), "a list".to_owned()),
        (json!("x".repeat(257)), format!("\"{}\"...", "x".repeat(64))),
    ] {
        check(&[(served(model), &format!("{first}: found {found}, expected {name}"))]);
    }
    let rate = "expected USD per million tokens, 0 to 1000000 with at most six decimals";
    for (price, path) in [
        (json!({"input": "2,50", "output": 1}), "input: found \"2,50\""),
        (json!({"input": -1, "output": 1}), "input: found -1"),
        (json!({"input": 1, "output": 1e9}), "output: found 1000000000"),
        (
            json!({"input": 1, "output": 1, "cached_input": 0.1234567}),
            "cached_input: found 0.1234567",
        ),
        (json!({"output": 1}), "input: found nothing"),
        (json!({"input": 1}), "output: found nothing"),
    ] {
        let line = format!("{first}.price.{path}, {rate}");
        check(&[(served(json!({"name": "a", "price": price})), &line)]);
    }
    let all =
        "chat, completion, embedding, responses, image, audio, rerank, vision, tools or reasoning";
    check(&[
        (
            served(json!({"capabilities": ["chat"]})),
            &format!("{first}.name: found nothing, expected {name}"),
        ),
        (
            served(json!({"name": "a", "capabilities": ["chats"]})),
            &format!("{first}.capabilities[0]: found \"chats\", expected {all}"),
        ),
        (
            served(json!({"name": "a", "capabilities": ["chat", "chat"]})),
            &format!("{first}.capabilities[1]: found \"chat\", expected each word once"),
        ),
        (
            served(json!({"name": "a", "capabilities": []})),
            &format!("{first}.capabilities: found nothing in it, expected at least one of {all}"),
        ),
        (
            served(json!({"name": "a", "context_window": 0})),
            &format!("{first}.context_window: found 0, expected a whole number of 1 to 100000000"),
        ),
        (
            json!({"providers": {"a": {"models": ["b", "c", {"name": "b"}]}}}),
            "providers.a.models[2]: found \"b\", expected each model once",
        ),
        (
            json!({"providers": {"a/b": {"models": ["c"]}}}),
            "providers[\"a/b\"]: found \"a/b\", expected a name: 1 to 64 visible ASCII characters without ; = / and *",
        ),
        (
            json!({"providers": {"a": {"cluster": "b c", "models": ["c"]}}}),
            "providers.a.cluster: found \"b c\", expected a cluster name: 1 to 256 visible ASCII characters",
        ),
        (
            json!({"providers": {"a": {"priority": -1, "models": ["c"]}}}),
            "providers.a.priority: found -1, expected a whole number of 0 to 1000",
        ),
    ]);
    // What only embeds has no output to pay for.
    let embeds = json!({"name": "a", "capabilities": ["embedding"], "price": {"input": 1}});
    assert_eq!(mistakes(&served(embeds)), [""; 0]);
}

#[test]
fn aliases() {
    check(&[
        (
            json!({"models": {"fast": []}}),
            "models.fast: found nothing in it, expected at least one of entries with provider and model",
        ),
        (
            alias(json!("gpt-4o")),
            "models.fast[0]: found a string, expected an object with provider, model, priority, weight or attempts",
        ),
        (
            alias(json!({"model": "gpt-4o"})),
            "models.fast[0].provider: found nothing, expected the name of a provider",
        ),
        (
            alias(json!({"provider": "opnai", "model": "gpt-4o"})),
            "models.fast[0].provider: found \"opnai\", expected a provider, perhaps openai",
        ),
        (
            alias(json!({"provider": "azure", "model": "gpt-4o"})),
            "models.fast[0].provider: found \"azure\", expected a provider: openai",
        ),
        (
            alias(json!({"provider": "openai", "model": "gpt-5"})),
            "models.fast[0].model: found \"gpt-5\", expected a model that openai serves",
        ),
        (
            alias(json!({"provider": "openai", "model": "o1-*"})),
            "models.fast[0].model: found \"o1-*\", expected one model, or \"fast\" as in the name",
        ),
        (
            alias(json!({"provider": "openai", "model": "gpt-4o", "weight": 0})),
            "models.fast[0].weight: found 0, expected a whole number of 1 to 1000000",
        ),
        (
            alias(json!({"provider": "openai", "model": "gpt-4o", "attempts": {"retry_on": []}})),
            "models.fast[0].attempts.retry_on: found nothing in it, expected at least one of connect, refused, reset, reset-before-request, gateway-error, 5xx or a status of 400 to 599",
        ),
        (
            json!({"models": {"fast": [{"provider": "openai", "model": "gpt-4o"}, {"provider": "openai", "model": "gpt-4o", "priority": 1}]}}),
            "models.fast[1]: found the same as models.fast[0], expected each provider and model once",
        ),
        (
            json!({"models": {"a b": [{"provider": "openai", "model": "gpt-4o"}]}}),
            "models[\"a b\"]: found \"a b\", expected a model name: 1 to 256 visible ASCII characters without ; and =, no two * in a row",
        ),
        (
            json!({"models": {"openai/o1-m*": [{"provider": "openai", "model": "gpt-4o"}]}}),
            "models[\"openai/o1-m*\"]: found \"openai/o1-m*\", expected a name that openai does not answer before",
        ),
        (
            json!({"default_model": "gpt-4"}),
            "default_model: found \"gpt-4\", expected a name that clients can ask for",
        ),
        (
            json!({"default_model": "o1-*"}),
            "default_model: found \"o1-*\", expected the name of one model, without *",
        ),
        (
            json!({"attempts": {"retry_on": ["connect", 200]}}),
            "attempts.retry_on[1]: found 200, expected connect, refused, reset, reset-before-request, gateway-error, 5xx or a status of 400 to 599",
        ),
        (
            json!({"attempts": {"retry_on": ["connect", 429, "429"]}}),
            "attempts.retry_on[2]: found \"429\", expected each condition once",
        ),
        (
            json!({"attempts": {"retry_on": "connect"}}),
            "attempts.retry_on: found a string, expected a list of connect, refused, reset, reset-before-request, gateway-error, 5xx or a status of 400 to 599",
        ),
    ]);
    let entry = |i| json!({"provider": "openai", "model": format!("o1-{i}")});
    let many: Vec<_> = (0..65).map(entry).collect();
    check(&[(
        json!({"models": {"fast": many}}),
        "models.fast: found 65 entries, expected at most 64",
    )]);
    // In reach: another provider, a model that the provider does not serve, an exact name.
    for name in ["other/o1-*", "openai/o2-*", "openai/o1-mini"] {
        let change = json!({"models": {name: [{"provider": "openai", "model": "gpt-4o"}]}});
        assert_eq!(mistakes(&changed(&minimal(), &change)), [""; 0], "{name}");
    }
}

#[test]
fn callers() {
    let by_key = |consumers: Json| json!({"auth": {"mode": "required"}, "consumers": consumers});
    let key = "expected the SHA-256 of a key, 64 hexadecimal digits";
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let other = KEY.replace('2', "3");
    check(&[
        (
            json!({"auth": {"mode": "on"}}),
            "auth.mode: found \"on\", expected off, optional or required",
        ),
        (
            json!({"auth": {"mode": "required"}}),
            "consumers: found nothing, expected those that auth.mode is about",
        ),
        (
            json!({"consumer_header": "x-consumer"}),
            "consumers: found nothing, expected those that consumer_header names",
        ),
        (
            json!({"consumers": [{"name": "a", "key_sha256": KEY}]}),
            "auth: found nothing, expected a mode that is optional or required, or a consumer_header: else nobody is a consumer",
        ),
        (
            json!({"auth": {"mode": "off"}, "consumers": [{"name": "a", "key_sha256": KEY}]}),
            "auth.mode: found \"off\", expected optional or required, or a consumer_header: else nobody is a consumer",
        ),
        (by_key(json!([])), "consumers: found nothing in it, expected at least one of consumers"),
        (
            by_key(json!({"web": "sk-secret"})),
            "consumers: found an object, expected a list of consumers",
        ),
        (
            by_key(json!(["sk-secret"])),
            "consumers[0]: found a string, expected an object with name, key_sha256 or models",
        ),
        (
            by_key(json!([{"key_sha256": KEY}])),
            "consumers[0].name: found nothing, expected a name: 1 to 64 visible ASCII characters without ; and =",
        ),
        (
            by_key(json!([{"name": "a;b", "key_sha256": KEY}])),
            "consumers[0].name: found \"a;b\", expected a name: 1 to 64 visible ASCII characters without ; and =",
        ),
        (
            by_key(json!([{"name": true, "key_sha256": KEY}])),
            "consumers[0].name: found true without quotes, expected a name: 1 to 64 visible ASCII characters without ; and =",
        ),
        (by_key(json!([{"name": "a"}])), &format!("consumers[0].key_sha256: found nothing, {key}")),
        (
            by_key(json!([{"name": "a", "key_sha256": "sk-secret"}])),
            &format!("consumers[0].key_sha256: found a string of 9 characters, {key}"),
        ),
        (
            by_key(json!([{"name": "a", "key_sha256": [KEY, 17]}])),
            &format!("consumers[0].key_sha256[1]: found a number without quotes, {key}"),
        ),
        (
            by_key(json!([{"name": "a", "key_sha256": empty}])),
            &format!("consumers[0].key_sha256: found the digest of an empty key, {key}"),
        ),
        (
            by_key(
                json!([{"name": "a", "key_sha256": KEY}, {"name": "b", "key_sha256": [KEY.to_uppercase()]}]),
            ),
            "consumers[1].key_sha256[0]: found a key, expected another one than consumers[0].key_sha256",
        ),
        (
            by_key(json!([{"name": "a", "key_sha256": KEY}, {"name": "a", "key_sha256": other}])),
            "consumers[1].name: found \"a\", expected another name than consumers[0].name",
        ),
        (
            by_key(json!([{"name": "a", "key_sha256": KEY, "models": ["gpt-5"]}])),
            "consumers[0].models[0]: found \"gpt-5\", expected a name that clients can ask for",
        ),
        (
            by_key(json!([{"name": "a", "key_sha256": KEY, "models": ["claude-*"]}])),
            "consumers[0].models[0]: found \"claude-*\", expected a name that clients can ask for",
        ),
        (
            by_key(json!([{"name": "a", "key_sha256": KEY, "models": ["*", "*"]}])),
            "consumers[0].models[1]: found \"*\", expected each name once",
        ),
        (
            json!({"consumer_header": "x-consumer", "consumers": [{"name": "a", "key_sha256": KEY}]}),
            "consumers[0].key_sha256: found a key, expected none, as consumer_header is looked at instead of keys",
        ),
    ]);
    for header in ["X-Consumer", "x consumer", "x-llm-consumer", "authorization", ":path", ""] {
        let line = format!(
            "consumer_header: found {header:?}, expected a header name in lower case, none of credentials and none that begins with x-llm-"
        );
        check(&[(json!({"consumer_header": header, "consumers": [{"name": "a"}]}), &line)]);
    }
    for pattern in ["openai/gpt-4o", "*4o", "o1-preview", "openai/*", "o*-mini", "x*/*"] {
        let models = [pattern];
        let found = mistakes(&changed(
            &minimal(),
            &by_key(json!([{"name": "a", "key_sha256": KEY, "models": models}])),
        ));
        assert_eq!(found.is_empty(), pattern != "x*/*", "{pattern} {found:?}");
    }
}

#[test]
fn limits() {
    let limit = |change: Json| {
        let limit = json!({"name": "r", "key": [], "requests": 1, "window": "1m"});
        json!({"limits": [changed(&limit, &change)]})
    };
    let whole = "expected a whole number of 1 to 9007199254740992";
    let usd = "expected an amount in USD above 0, at most six decimals";
    check(&[
        (json!({"limits": []}), "limits: found nothing in it, expected at least one of limits"),
        (
            limit(json!({"name": null})),
            "limits[0].name: found nothing, expected a name: 1 to 64 visible ASCII characters without ; and =",
        ),
        (
            limit(json!({"key": null})),
            "limits[0].key: found nothing, expected a list: [] for one debt that all share",
        ),
        (
            limit(json!({"key": ["ip"]})),
            "limits[0].key[0]: found \"ip\", expected consumer, client_ip, model or provider",
        ),
        (
            limit(json!({"key": ["model", "model"]})),
            "limits[0].key[1]: found \"model\", expected each word once",
        ),
        (
            limit(json!({"key": ["consumer"]})),
            "limits[0].key: found consumer, expected consumers in this configuration: else nobody is one",
        ),
        (limit(json!({"window": null})), "limits[0].window: found nothing, expected a duration"),
        (
            limit(json!({"window": "999ms"})),
            "limits[0].window: found \"999ms\", expected a duration of 1s to 31d, like \"30s\" or \"5m\"",
        ),
        (
            limit(json!({"window": "32d"})),
            "limits[0].window: found \"32d\", expected a duration of 1s to 31d, like \"30s\" or \"5m\"",
        ),
        (
            limit(json!({"requests": null})),
            "limits[0]: found none, expected requests, tokens or cost_usd",
        ),
        (limit(json!({"requests": 0})), &format!("limits[0].requests: found 0, {whole}")),
        (limit(json!({"tokens": 0.5})), &format!("limits[0].tokens: found 0.5, {whole}")),
        (
            limit(json!({"tokens": {"burst": 5}})),
            "limits[0].tokens.limit: found nothing, expected an amount",
        ),
        (
            limit(json!({"tokens": {"limit": 5, "burst": 0}})),
            &format!("limits[0].tokens.burst: found 0, {whole}"),
        ),
        (
            limit(json!({"tokens": {"limit": 5, "burst": 5121}})),
            "limits[0].tokens.burst: found 5121, expected at most 1024 times the limit",
        ),
        (
            limit(json!({"models": ["claude-*"]})),
            "limits[0].models[0]: found \"claude-*\", expected a name that clients can ask for",
        ),
        (
            limit(json!({"consumers": ["web"]})),
            "limits[0].consumers[0]: found \"web\", expected the name of a consumer",
        ),
        (
            limit(json!({"mode": "off"})),
            "limits[0].mode: found \"off\", expected enforce or shadow",
        ),
        (
            limit(json!({"cost_usd": 25})),
            "limits[0].cost_usd: found a limit of money, expected a price at one of the models that it is about",
        ),
        (
            json!({"limits": [limit(json!({}))["limits"][0], limit(json!({}))["limits"][0]]}),
            "limits[1].name: found \"r\", expected another name than limits[0].name",
        ),
        (
            json!({"limiter": {"slots": 1}}),
            "limiter.slots: found 1, expected a whole number of 64 to 1048576",
        ),
        (
            json!({"limiter": {"on_contention": "wait"}}),
            "limiter.on_contention: found \"wait\", expected deny or allow",
        ),
        (
            json!({"limiter": {"default_output_tokens": 0}}),
            "limiter.default_output_tokens: found 0, expected a whole number of 1 to 10000000",
        ),
    ]);
    let priced = served(json!({"name": "a", "price": {"input": 1, "output": 1}}));
    for cost in [json!(0), json!(-1), json!(0.5000005), json!("25 USD")] {
        let config = changed(&priced, &limit(json!({"cost_usd": cost})));
        assert_eq!(mistakes(&config), [format!("limits[0].cost_usd: found {cost}, {usd}")]);
    }
    let of = |models: Json| changed(&priced, &limit(json!({"cost_usd": 1, "models": models})));
    assert_eq!(mistakes(&of(json!(["a"]))), [""; 0]);
}

#[test]
fn cache() {
    let of = |change: Json| json!({"cache": changed(&json!({"ttl": "5m"}), &change)});
    let ttl = "expected a duration of 1ms to 31d, like \"30s\" or \"5m\"";
    check(&[
        (of(json!({"ttl": null})), "cache.ttl: found nothing, expected a duration"),
        (of(json!({"ttl": "0s"})), &format!("cache.ttl: found \"0s\", {ttl}")),
        (of(json!({"ttl": 300})), &format!("cache.ttl: found 300, {ttl}")),
        (
            of(json!({"max_entries": 0})),
            "cache.max_entries: found 0, expected a whole number of 1 to 1048576",
        ),
        (
            of(json!({"max_entry_bytes": "17MiB"})),
            "cache.max_entry_bytes: found \"17MiB\", expected a size of 1KiB to 16MiB, like \"64KiB\" or \"8MiB\"",
        ),
        (
            of(json!({"max_entries": 65536, "max_entry_bytes": "1MiB"})),
            "cache: found max_entries x max_entry_bytes of 64GiB, expected at most 16GiB",
        ),
        (of(json!({"scope": "user"})), "cache.scope: found \"user\", expected consumer or global"),
        (
            of(json!({"operations": ["images"]})),
            "cache.operations[0]: found \"images\", expected chat, completion, embedding or responses",
        ),
        (of(json!({"mode": "dry"})), "cache.mode: found \"dry\", expected on, off or shadow"),
        (
            of(json!({"models": ["claude-*"]})),
            "cache.models[0]: found \"claude-*\", expected a name that clients can ask for",
        ),
        (
            of(json!({"single_flight_wait": "2m"})),
            "cache.single_flight_wait: found \"2m\", expected a duration of 0ms to 1m, like \"30s\" or \"5m\"",
        ),
        (
            of(json!({"backend": {}})),
            "cache.backend.cluster: found nothing, expected the name of a cluster",
        ),
        (
            of(json!({"backend": {"cluster": "a", "protocol": "redis"}})),
            "cache.backend.protocol: found \"redis\", expected webdis",
        ),
        (
            of(json!({"backend": {"cluster": "a", "timeout": "0ms"}})),
            "cache.backend.timeout: found \"0ms\", expected a duration of 1ms to 10s, like \"30s\" or \"5m\"",
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
