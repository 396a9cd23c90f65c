use std::num::NonZeroU32;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::*;
use crate::cache::policy;
use crate::identity;
use crate::limit::{self, OnContention, Unit};
use crate::protocol::Operation;
use crate::routing::{Allow, BreakerSettings, Capabilities, Pattern};

fn read(config: &Json) -> Result<Gateway, Mistakes> {
    read_all(config, Gateway::from_bytes)
}

fn design() -> Json {
    json!({
        "providers": {
            "ollama": {"cluster": "local-ollama", "models": ["llama3.2:1b", "llama2"]},
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
        "consumers": [{"name": "web-app", "key_sha256": KEY, "models": ["gpt-4o*", "fast"]}],
        "limits": [
            {"name": "per-consumer", "key": ["consumer"], "requests": 60, "tokens": 100_000, "window": "1m"},
            {"name": "gpt4-total", "key": [], "tokens": 10_000_000_000_u64, "window": "1h", "models": ["gpt-4*"], "mode": "shadow"},
            {"name": "daily-spend", "key": ["consumer"], "cost_usd": 25.5, "window": "1d"}
        ],
        "limiter": {"slots": 65536, "on_contention": "deny", "unpriced": "free"},
        "cache": {"ttl": "5m", "max_entries": 1024, "max_entry_bytes": "256KiB", "scope": "consumer", "operations": ["chat", "embedding"], "mode": "on"},
        "client_ip": {"trusted_hops": 2},
        "max_request_bytes": "8MiB",
        "unmatched": "reject",
        "log": {"requests": "all"}
    })
}

#[test]
fn the_documented_configuration_is_read_from_every_spelling() {
    let gateway = read(&design()).unwrap();
    let fast: Vec<_> = gateway.routing.mapping("fast").collect();
    let tried = fast.iter().map(|e| (&*e.target.provider.cluster, e.model, e.priority));
    assert_eq!(
        tried.collect::<Vec<_>>(),
        [("openai", "gpt-4o-mini", 0), ("local-ollama", "llama3.2:1b", 0), ("openai", "gpt-4o", 1)]
    );
    let target = fast[2].target;
    assert_eq!(target.capabilities.to_string(), "chat, vision, tools");
    assert_eq!(target.context_window, Some(128_000));
    let price = target.price.unwrap();
    assert_eq!(
        (price.input, price.cached_input, price.cache_write),
        (2_500_000, 1_250_000, 2_500_000)
    );
    assert_eq!((price.output, price.reasoning), (10_000_000, 10_000_000));
    let attempts = fast[0].attempts;
    assert_eq!(attempts.per_try_timeout, Some(Duration::from_secs(30)));
    let retry_on = attempts.retry_on.as_ref().unwrap();
    assert_eq!(&*retry_on.conditions, "connect-failure,reset,5xx,retriable-status-codes");
    assert_eq!(&*retry_on.status_codes, "429");
    assert_eq!(gateway.routing.default_model(), Some("fast"));

    assert_eq!(gateway.auth.mode, identity::Mode::Required);
    let allow = Allow::Only([Pattern::new("gpt-4o*"), Pattern::new("fast")].into());
    let keys = [Sha256::digest("foo").into()].into();
    let web = identity::Consumer { name: "web-app".into(), keys, allow };
    assert_eq!(*gateway.auth.consumers, [web]);

    let rules: Vec<_> = gateway.limits.iter().map(|r| (&*r.name, r.unit, r.mode)).collect();
    let (enforce, shadow) = (limit::Mode::Enforce, limit::Mode::Shadow);
    assert_eq!(
        rules,
        [
            ("per-consumer", Unit::Requests, enforce),
            ("per-consumer", Unit::Tokens, enforce),
            ("gpt4-total", Unit::Tokens, shadow),
            ("daily-spend", Unit::Cost, enforce),
        ]
    );
    let limiter = LimiterSettings { unpriced: Unpriced::Free, ..LimiterSettings::default() };
    assert_eq!(gateway.limiter, limiter);

    let cache = gateway.cache.unwrap();
    assert_eq!(cache.policy.mode, policy::Mode::On);
    assert_eq!(cache.policy.ttl.get(), Duration::from_secs(300));
    assert_eq!(cache.policy.max_entry_bytes, 256 << 10);
    assert_eq!(cache.policy.scope, policy::Scope::Consumer);
    assert!(cache.policy.operations.contains(&Operation::Messages));
    assert!(!cache.policy.operations.contains(&Operation::Responses));
    assert_eq!(cache.max_entries.get(), 1024);

    assert_eq!((gateway.trusted_hops, gateway.max_request_bytes), (2, 8 << 20));
    assert_eq!((gateway.unmatched, gateway.log_requests), (Unmatched::Reject, LogRequests::All));
}

#[test]
fn what_is_not_written_has_defaults() {
    let gateway = read(&minimal()).unwrap();
    let entry = gateway.routing.mapping("gpt-4o").next().unwrap();
    assert_eq!(&*entry.target.provider.cluster, "openai");
    assert_eq!(entry.target.capabilities, Capabilities::UNCHECKED);
    assert_eq!((entry.target.price, entry.target.context_window), (None, None));
    assert_eq!((entry.attempts.per_try_timeout, &entry.attempts.retry_on), (None, &None));
    assert_eq!(gateway.routing.default_model(), None);
    assert_eq!(gateway.auth.mode, identity::Mode::Off);
    assert!(gateway.limits.is_empty() && gateway.cache.is_none());
    assert_eq!((gateway.trusted_hops, gateway.max_request_bytes), (0, 4 << 20));
    assert_eq!((gateway.unmatched, gateway.log_requests), (Unmatched::Pass, LogRequests::Errors));

    let cache =
        read(&changed(&minimal(), &json!({"cache": {"ttl": "1m"}}))).unwrap().cache.unwrap();
    assert_eq!((cache.policy.mode, cache.policy.max_entry_bytes), (policy::Mode::On, 256 << 10));
    assert_eq!((cache.max_entries.get(), cache.models), (1024, Allow::Everything));
    assert_eq!(cache.single_flight_wait, Duration::from_millis(250));
    assert_eq!((cache.policy.operations.len(), cache.backend), (12, None));
    assert!(cache.vary.is_empty());
}

#[test]
fn every_option_is_read() {
    let config = changed(
        &design(),
        &json!({
            "models": {
                "o1-*": [{"provider": "openai", "model": "gpt-4o", "attempts": {"retry_on": ["refused", "408", 503]}}],
                "gpt-*": [{"provider": "openai", "model": "gpt-*", "priority": 3}]
            },
            "default_model": "openai/gpt-5",
            "auth": {"mode": "off"},
            "consumer_header": "x-consumer",
            "consumers": [{"name": "a"}, {"name": "b", "models": ["*"]}],
            "limits": [{
                "name": "all", "key": ["client_ip", "model", "provider"], "window": "31d",
                "requests": {"limit": 10, "burst": 20}, "cost_usd": {"limit": 0.5, "burst": 0.25},
                "consumers": ["b"]
            }],
            "limiter": {"slots": 1024, "on_contention": "allow", "default_output_tokens": 256, "unpriced": "free"},
            "cache": {
                "ttl": "250ms", "mode": "off", "scope": "global", "models": ["o1-mini"],
                "single_flight_wait": "0ms", "vary": ["x-region", "accept-language"], "backend": {"cluster": "redis", "timeout": "5ms"}
            }
        }),
    );
    let gateway = read(&config).unwrap();
    let attempts = gateway.routing.mapping("o1-mini").next().unwrap().attempts;
    assert_eq!(attempts.per_try_timeout, Some(Duration::from_secs(30)));
    let retry_on = attempts.retry_on.as_ref().unwrap();
    assert_eq!(&*retry_on.conditions, "refused-stream,retriable-status-codes");
    assert_eq!(&*retry_on.status_codes, "408,503");
    let any = gateway.routing.mapping("gpt-9").next().unwrap();
    assert_eq!((any.model, any.priority), ("gpt-9", 3));
    assert_eq!(gateway.auth.consumer_header.as_deref(), Some("x-consumer"));
    assert_eq!(gateway.auth.consumers.len(), 2);
    assert_eq!(gateway.limits.len(), 2);
    let limiter = LimiterSettings {
        slots: NonZeroU32::new(1024).unwrap(),
        on_contention: OnContention::Allow,
        default_output_tokens: 256,
        unpriced: Unpriced::Free,
    };
    assert_eq!(gateway.limiter, limiter);
    let cache = gateway.cache.unwrap();
    assert_eq!((cache.policy.mode, cache.policy.scope), (policy::Mode::Off, policy::Scope::Global));
    assert_eq!(cache.single_flight_wait, Duration::ZERO);
    assert_eq!(*cache.vary, [Box::from("accept-language"), Box::from("x-region")]);
    let backend = cache.backend.unwrap();
    assert_eq!((&*backend.cluster, backend.timeout), ("redis", Duration::from_millis(5)));
    assert_eq!(backend.protocol, BackendProtocol::Webdis);
}

#[test]
fn a_breaker_has_defaults_and_bounds() {
    let of = |change: &Json| read(&changed(&minimal(), change)).map(|config| config.breaker);
    let expected = |failures, rest| BreakerSettings { failures, rest };
    assert_eq!(of(&json!({})), Ok(expected(5, Duration::ZERO)), "nobody rests unasked");
    assert_eq!(of(&json!({"breaker": {}})), Ok(expected(5, Duration::from_secs(10))));
    let own = json!({"breaker": {"failures": 1, "rest": "0s"}});
    assert_eq!(of(&own), Ok(expected(1, Duration::ZERO)));
    let wrong = json!({"breaker": {"failures": 0, "rest": "2h", "open": "1s"}});
    assert_eq!(
        lines(of(&wrong)),
        [
            "breaker.open: unknown key, expected failures or rest",
            "breaker.failures: found 0, expected a whole number of 1 to 1000",
            r#"breaker.rest: found "2h", expected a duration of 0ms to 1h, like "30s" or "5m""#,
        ]
    );
}

#[test]
fn the_hash_tells_configurations_apart_and_not_spellings() {
    let hash = |config: &Json| read(config).unwrap().hash;
    let design = design();
    assert_eq!(hash(&design), hash(&design));
    assert!(hash(&design).len() == 16 && hash(&design).bytes().all(|b| b.is_ascii_hexdigit()));
    let mut others = vec![hash(&design), hash(&minimal())];
    let long = "m".repeat(200);
    for change in [
        json!({"unmatched": null}),
        json!({"max_request_bytes": "9MiB"}),
        json!({"default_model": "gpt-4o"}),
        json!({"limiter": {"unpriced": "free"}}),
        json!({"providers": {"openai": {"models": ["gpt-4o", "gpt-4o-mini", "b"]}, "ollama": {"models": ["llama3.2:1b"]}}, "limits": null}),
        json!({"providers": {"openai": {"models": ["gpt-4o", "gpt-4o-mini"]}, "ollama": {"models": ["llama3.2:1b", "b"]}}, "limits": null}),
        json!({"models": {"fast": [{"provider": "openai", "model": "gpt-4o"}], format!("{long}1"): [{"provider": "openai", "model": "gpt-4o"}]}}),
        json!({"models": {"fast": [{"provider": "openai", "model": "gpt-4o"}], format!("{long}2"): [{"provider": "openai", "model": "gpt-4o"}]}}),
    ] {
        others.push(hash(&changed(&design, &change)));
    }
    let count = others.len();
    others.sort();
    others.dedup();
    assert_eq!(others.len(), count);
}
