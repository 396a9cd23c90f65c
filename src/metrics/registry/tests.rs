use std::collections::BTreeSet;
use std::sync::Arc;

use super::*;
use crate::host::fake::{Call, Fake, Metric as Value};
use crate::host::{MetricKind, Pairs};
use crate::identity::{Auth, Consumer};
use crate::metrics::table::{LABELS, METRICS};
use crate::routing::{Attempts, Capabilities, Model, Pattern, Provider, ProviderModels};

fn provider(name: &str, models: &[&str]) -> ProviderModels {
    let model = |name: &&str| Model {
        name: Pattern::new(*name),
        capabilities: Capabilities::UNCHECKED,
        context_window: None,
        price: None,
    };
    ProviderModels {
        provider: Arc::new(Provider { name: name.into(), cluster: name.into() }),
        priority: 0,
        models: models.iter().map(model).collect(),
    }
}

fn table() -> Table {
    let providers =
        vec![provider("openai", &["gpt-4.1", "gpt-*"]), provider("local", &["llama3.2:1b"])];
    Table::new(providers, vec![], &Attempts::default(), None)
}

fn define(host: &Fake, table: &Table) -> Registry {
    let limits = vec![
        LimitLabels { name: "per-consumer", unit: "requests", mode: "enforce" },
        LimitLabels { name: "daily", unit: "cost", mode: "shadow" },
    ];
    let shape = Shape {
        table,
        consumers: vec!["web-app", "ci"],
        limits,
        cache_skips: &["off", "no_store"],
    };
    Registry::define(host, &shape).unwrap()
}

/// Counts each thing once, with 3 where it takes a number.
fn count_everything(host: &Fake, registry: &Registry, table: &Table) {
    let usage = Usage { input: 3, cached_input: 3, cache_write: 3, output: 3, reasoning: 3 };
    for target in table.targets() {
        for operation in Operation::ALL {
            registry.request(host, Some(operation), Some(target), 200);
        }
        registry.tokens(host, target, &usage);
        registry.cost(host, target, 3);
        registry.duration_ms(host, Some(target), 3);
        registry.ttft_ms(host, target, 3);
        registry.time_per_output_token_us(host, target, 3);
        registry.auth_failure(host, target);
        registry.rested(host, target);
        registry.stream_cut(host, target);
        for quality in Quality::ALL {
            registry.usage(host, target, quality);
        }
        for to in table.targets() {
            registry.failover(host, target, to);
        }
    }
    registry.request(host, None, None, 404);
    registry.duration_ms(host, None, 3);
    for kind in Kind::ALL {
        registry.error(host, kind);
    }
    for result in CacheResult::ALL {
        registry.cache(host, result);
    }
    for phase in Phase::ALL {
        registry.overhead_us(host, phase, 3);
    }
    for index in 0..2 {
        registry.cache_skip(host, index);
        registry.rate_limited(host, index);
        registry.consumer_tokens(host, consumer(index), 3);
    }
    registry.cache_holds(host, 3, 3);
    registry.evictions(host, 3);
}

/// The id of a consumer, which only an [`Auth`] gives.
fn consumer(index: usize) -> ConsumerId {
    let named = |name: &str| Consumer { name: name.into(), ..Consumer::default() };
    let auth = Auth {
        consumers: vec![named("0"), named("1")].into(),
        consumer_header: Some("x-consumer".into()),
        ..Auth::default()
    };
    let host = Fake::new();
    host.give_headers(crate::host::Map::RequestHeaders, [("x-consumer", index.to_string())]);
    let headers: Pairs =
        crate::host::Headers::headers(&host, crate::host::Map::RequestHeaders).unwrap();
    auth.identify(&headers).unwrap().unwrap()
}

fn series(host: &Fake) -> Vec<String> {
    let kinds = [MetricKind::Counter, MetricKind::Gauge, MetricKind::Histogram];
    kinds.iter().flat_map(|kind| host.metric_names(*kind)).collect()
}

fn counter(host: &Fake, name: &str) -> u64 {
    match host.metric(MetricKind::Counter, name) {
        Some(Value::Counter(value)) => value,
        other => panic!("{name}: {other:?}"),
    }
}

fn histogram(host: &Fake, name: &str) -> Vec<u64> {
    match host.metric(MetricKind::Histogram, name) {
        Some(Value::Histogram(values)) => values,
        other => panic!("{name}: {other:?}"),
    }
}

#[test]
fn every_metric_of_the_table_is_counted_under_its_public_name() {
    let (host, table) = (Fake::new(), table());
    let registry = define(&host, &table);
    count_everything(&host, &registry, &table);
    Registry::announce(&host, "c0ffee").unwrap();
    let counters = [
        ("llm_requests_total.operation=chat;provider=openai;model=gpt-4.1;code=200", 2),
        ("llm_requests_total.operation=models;provider=local;model=llama3.2:1b;code=200", 1),
        ("llm_requests_total.operation=other;provider=other;model=other;code=404", 1),
        ("llm_errors_total.kind=rate_limit", 2),
        ("llm_tokens_total.provider=openai;model=gpt-*;type=input", 3),
        ("llm_tokens_total.provider=openai;model=gpt-*;type=cached_input", 3),
        ("llm_tokens_total.provider=openai;model=gpt-*;type=output", 3),
        ("llm_tokens_total.provider=openai;model=gpt-*;type=reasoning", 3),
        ("llm_usage_total.provider=openai;quality=exact", 2),
        ("llm_usage_total.provider=local;quality=missing", 1),
        ("llm_cost_microusd_total.provider=local;model=llama3.2:1b", 3),
        ("llm_consumer_tokens_total.consumer=web-app", 3),
        ("llm_cache_total.result=shadow_hit", 1),
        ("llm_cache_skip_total.reason=no_store", 1),
        ("llm_rate_limited_total.limit=daily;unit=cost;mode=shadow", 1),
        ("llm_limiter_evictions_total", 3),
        ("llm_failovers_total.from=openai;to=local", 2),
        ("llm_failovers_total.from=local;to=openai", 2),
        ("llm_provider_auth_failures_total.provider=local", 1),
        ("llm_provider_rests_total.provider=local", 1),
        ("llm_streams_cut_total.provider=local", 1),
    ];
    for (name, value) in counters {
        assert_eq!(counter(&host, name), value, "{name}");
    }
    for name in ["llm_cache_entries", "llm_cache_bytes"] {
        assert_eq!(host.metric(MetricKind::Gauge, name), Some(Value::Gauge(3)), "{name}");
    }
    for name in [
        "llm_request_duration_ms.provider=other;model=other",
        "llm_request_duration_ms.provider=openai;model=gpt-4.1",
        "llm_time_to_first_token_ms.provider=openai;model=gpt-4.1",
        "llm_time_per_output_token_us.provider=openai;model=gpt-4.1",
        "llm_overhead_us.phase=request",
        "llm_overhead_us.phase=response",
    ] {
        assert_eq!(histogram(&host, name), [3], "{name}");
    }
}

/// Nothing is counted that the table does not have, and nothing in the table is never counted.
#[test]
fn the_table_has_exactly_what_is_counted() {
    let (host, table) = (Fake::new(), table());
    let registry = define(&host, &table);
    count_everything(&host, &registry, &table);
    Registry::announce(&host, "c0ffee").unwrap();
    let mut labels_seen = BTreeSet::new();
    let mut seen = BTreeSet::new();
    for kind in [MetricKind::Counter, MetricKind::Gauge, MetricKind::Histogram] {
        for series in host.metric_names(kind) {
            let (name, labels) = series.split_once('.').unwrap_or((&series, ""));
            let metric = METRICS.iter().find(|metric| metric.name == name).unwrap();
            let labels = labels.split(';').filter(|label| !label.is_empty());
            let labels: Vec<_> = labels.map(|label| label.split_once('=').unwrap().0).collect();
            assert_eq!((metric.kind, metric.labels), (kind, &*labels), "{series}");
            labels_seen.extend(metric.labels);
            seen.insert(metric.name);
        }
    }
    assert_eq!(seen, METRICS.iter().map(|metric| metric.name).collect());
    assert_eq!(labels_seen, LABELS.iter().map(|label| label.name).collect());
}

#[test]
fn what_clients_ask_for_adds_no_series() {
    let (host, table) = (Fake::new(), table());
    let registry = define(&host, &table);
    let asked = |model: &str| {
        let mut zero = || 0;
        let chain = table.resolve(model, Capabilities::NONE, &mut zero);
        let target = chain.ok().map(|chain| chain.first().target);
        for status in [200, 404, 503] {
            registry.request(&host, Some(Operation::Chat), target, status);
        }
        registry.duration_ms(&host, target, 1);
    };
    asked("gpt-0");
    asked("0");
    let before = series(&host);
    for index in 0..10_000 {
        asked(&format!("gpt-{index}"));
        asked(&format!("{index}"));
    }
    assert_eq!(series(&host), before);
}

#[test]
fn statuses_are_bounded() {
    let (host, table) = (Fake::new(), table());
    let registry = define(&host, &table);
    for status in 0..=u16::MAX {
        registry.request(&host, Some(Operation::Chat), Some(&table.targets()[0]), status);
    }
    let requests: Vec<_> =
        series(&host).into_iter().filter(|name| name.starts_with("llm_requests_total")).collect();
    assert_eq!(requests.len(), CODE_CELLS);
    let own = |class: u16| CODES.iter().filter(|(code, _)| code / 100 == class).count() as u64;
    for (label, count) in [
        ("0", 1),
        ("200", 1),
        ("1xx", 100),
        ("4xx", 100 - own(4)),
        ("5xx", 100 - own(5)),
        ("other", 65_536 - 500 - 1),
    ] {
        let labels = "operation=chat;provider=openai;model=gpt-4.1";
        assert_eq!(counter(&host, &format!("llm_requests_total.{labels};code={label}")), count);
    }
}

#[test]
fn the_stated_bound_of_series_holds() {
    let (host, table) = (Fake::new(), table());
    let registry = define(&host, &table);
    let (targets, providers, consumers, rules, skips) = (3, 2, 2, 2, 2);
    assert_eq!(series(&host).len(), 8 * targets + 6 * providers + consumers + rules + skips + 27);
    for target in table.targets().iter().map(|t| Some(&**t)).chain([None]) {
        for operation in Operation::ALL.map(Some).into_iter().chain([None]) {
            (0..700).for_each(|status| registry.request(&host, operation, target, status));
        }
    }
    let requests =
        series(&host).iter().filter(|name| name.starts_with("llm_requests_total")).count();
    assert_eq!(requests, 8 * 34 * (targets + 1));
}

#[test]
fn a_series_is_defined_once_and_every_call_is_taken() {
    let (host, table) = (Fake::new(), table());
    let registry = define(&host, &table);
    count_everything(&host, &registry, &table);
    host.reset_calls();
    count_everything(&host, &registry, &table);
    assert_eq!(host.calls(Call::Define), 0);
    assert!(host.calls(Call::Add) > 0);
}

#[test]
fn zero_is_never_added() {
    let (host, table) = (Fake::new(), table());
    let registry = define(&host, &table);
    let target = &table.targets()[0];
    host.reset_calls();
    registry.tokens(&host, target, &Usage { input: 5, ..Usage::default() });
    assert_eq!(host.calls(Call::Add), 1);
    registry.cost(&host, target, 0);
    registry.consumer_tokens(&host, consumer(0), 0);
    registry.evictions(&host, 0);
    assert_eq!(host.calls(Call::Add), 1);
    registry.cost(&host, target, u64::MAX);
    let cost = counter(&host, "llm_cost_microusd_total.provider=openai;model=gpt-4.1");
    assert_eq!(cost, i64::MAX as u64);
}

#[test]
fn a_metric_that_the_host_refuses_is_tried_again() {
    let (host, table) = (Fake::new(), table());
    let registry = define(&host, &table);
    host.fail_next(Call::Define, Status::InternalFailure);
    for _ in 0..2 {
        registry.request(&host, None, None, 200);
    }
    let name = "llm_requests_total.operation=other;provider=other;model=other;code=200";
    assert_eq!(counter(&host, name), 1);
    let shape = Shape { table: &table, consumers: vec![], limits: vec![], cache_skips: &[] };
    host.fail_next(Call::Define, Status::InternalFailure);
    assert_eq!(Registry::define(&host, &shape).unwrap_err(), Status::InternalFailure);
}

#[test]
fn one_configuration_is_in_force_whichever_worker_says_so() {
    let one = Fake::new();
    let two = one.worker();
    for (host, hash) in [(&one, "a"), (&two, "a"), (&one, "b"), (&two, "b"), (&one, "a")] {
        Registry::announce(host, hash).unwrap();
        let in_force = |hash: &str| {
            let name = format!("llm_config_info.hash={hash}");
            one.metric(MetricKind::Gauge, &name) == Some(Value::Gauge(1))
        };
        assert_eq!((in_force("a"), in_force("b")), (hash == "a", hash == "b"));
    }
}

#[test]
fn workers_and_configurations_count_into_the_same_series() {
    let one = Fake::new();
    let two = one.worker();
    for host in [&one, &two, &one] {
        let table = table();
        define(host, &table).error(host, Kind::Timeout);
    }
    assert_eq!(counter(&one, "llm_errors_total.kind=timeout"), 3);
}

#[test]
fn positions_are_those_of_the_enums() {
    let in_order = |indices: &[usize]| indices.iter().enumerate().all(|(at, index)| at == *index);
    assert!(in_order(&Kind::ALL.map(|kind| kind as usize)));
    assert!(in_order(&Operation::ALL.map(|operation| operation as usize)));
    assert!(in_order(&Quality::ALL.map(|quality| quality as usize)));
    assert!(in_order(&CacheResult::ALL.map(|result| result as usize)));
    assert!(in_order(&Phase::ALL.map(|phase| phase as usize)));
}
