use super::*;

fn alias(entry: Json) -> Json {
    json!({"models": {"fast": [entry]}})
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
