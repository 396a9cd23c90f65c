use super::*;

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
            "limits[0].cost_usd: found a limit of money, expected a price (0 is one) at \"openai/gpt-4o\", \"openai/o1-*\", or limiter.unpriced: free",
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
            json!({"limiter": {"unpriced": "ignore"}}),
            "limiter.unpriced: found \"ignore\", expected refuse or free",
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

/// Where a caller could go on without a price, a limit of money would not bind.
#[test]
fn a_limit_of_money_needs_a_price_wherever_it_applies() {
    let price = json!({"input": 1, "output": 1});
    let config = json!({
        "providers": {
            "openai": {"models": [{"name": "gpt-4o", "price": price}, "gpt-*"]},
            "azure": {"models": [{"name": "gpt-4o", "price": price}], "priority": 1},
            "local": {"models": [{"name": "llama", "price": {"input": 0, "output": 0}}, "phi", "Qwen:latest"]},
        },
        "models": {
            "fast": [{"provider": "local", "model": "llama"}, {"provider": "openai", "model": "gpt-4o", "priority": 1}],
            "cheap": [{"provider": "openai", "model": "gpt-4o"}, {"provider": "local", "model": "phi", "priority": 1}],
        },
    });
    let lacks = |models: Json, unpriced: &str| {
        let limit = json!({"name": "l", "key": [], "window": "1d", "cost_usd": 1});
        let limit = changed(&limit, &json!({"models": models}));
        let more = json!({"limits": [limit], "limiter": {"unpriced": unpriced}});
        mistakes(&changed(&config, &more))
    };
    let refused = |names: &str| {
        [format!(
            "limits[0].cost_usd: found a limit of money, expected a price (0 is one) at {names}, or limiter.unpriced: free"
        )]
    };
    let all = r#""local/phi", "local/Qwen:latest", "openai/gpt-*""#;
    for (models, names) in [
        (json!(null), all),
        (json!(["*"]), all),
        (json!(["gpt-4o-mini"]), r#""openai/gpt-*""#),
        // Any model of a chain may answer.
        (json!(["openai/*"]), r#""local/phi", "openai/gpt-*""#),
        (json!(["cheap"]), r#""local/phi""#),
        (json!(["azure/gpt-4o", "local/phi"]), r#""local/phi""#),
        (json!(["Qwen:latest"]), r#""local/Qwen:latest""#),
    ] {
        assert_eq!(lacks(models.clone(), "refuse"), refused(names), "{models}");
    }
    for models in [json!(["azure/gpt-4o"]), json!(["llama"])] {
        assert_eq!(lacks(models.clone(), "refuse"), [""; 0], "{models}");
    }
    assert_eq!(lacks(json!(null), "free"), [""; 0]);
    assert_eq!(
        lacks(json!(["local/Qwen:latest"]), "free"),
        [
            "limits[0].cost_usd: found a limit of money, expected a price at one of the models that it is about"
        ]
    );
    // No more names than fit on a line.
    let many: Vec<_> = (0..12).map(|n| format!("m{n}")).collect();
    let config = changed(&served(json!("a")), &json!({"providers": {"openai": {"models": many}}}));
    let limit = json!({"limits": [{"name": "l", "key": [], "window": "1d", "cost_usd": 1}]});
    let said = mistakes(&changed(&config, &limit));
    assert!(said[0].contains("\"openai/m7\" and 4 more, or"), "{said:?}");
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
            of(json!({"vary": ["X-Region"]})),
            "cache.vary[0]: found \"X-Region\", expected the name of a header, in lower case",
        ),
        (
            of(json!({"vary": [":authority"]})),
            "cache.vary[0]: found \":authority\", expected the name of a header, in lower case",
        ),
        (of(json!({"vary": ["a", "a"]})), "cache.vary[1]: found \"a\", expected each name once"),
        (
            of(json!({"vary": (0..17).map(|n| format!("x-{n}")).collect::<Vec<_>>()})),
            "cache.vary: found 17 entries, expected at most 16",
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
