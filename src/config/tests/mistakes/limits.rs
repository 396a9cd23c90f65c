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
