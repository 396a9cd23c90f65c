//! The shipped Envoy after a known workload that leaves a trace in every metric: what dashboards
//! have to show.

use std::time::Duration;

use anyhow::{Context, Result};
use harness::envoy::{Bootstrap, Envoy};
use harness::model_server::ModelServer;
use harness::{http, wait_for};
use serde_json::{Value, json};

use crate::support::{CHAT, Gateway, virtual_host};

pub(crate) struct Observed {
    pub(crate) envoy: Envoy,
    _model: ModelServer,
}

impl Observed {
    /// Nothing has been asked yet.
    pub(crate) fn start() -> Self {
        let adapt = |bootstrap: Bootstrap| {
            let mut bootstrap =
                bootstrap.configure("gateway", |value| *value = configuration()).unwrap();
            // Histograms show what was recorded at the next flush.
            bootstrap.0["stats_flush_interval"] = json!("0.2s");
            add_unreachable(&mut bootstrap);
            bootstrap
        };
        let Gateway { envoy, model, .. } = Gateway::launched(adapt, |launch| launch.concurrency(2));
        Self { envoy, _model: model }
    }

    /// Sends every request of the workload and waits until the stats have all of it. A second
    /// round has other limits to run into.
    pub(crate) fn work(&self, round: Round) {
        let url = self.envoy.url("gateway").unwrap();
        let requests = workload(round);
        let before = self.recorded().unwrap();
        for (index, Request { path, headers, body, status }) in requests.iter().enumerate() {
            let url = format!("{url}{path}");
            let answer = match body {
                Some(body) => http::post(&url, headers, body.as_bytes()).unwrap(),
                None => http::get(&url).unwrap(),
            };
            assert_eq!(answer.status, *status, "request {index}: {}", answer.text());
        }
        let all = before + requests.len() as u64;
        wait_for("the stats of the workload", Duration::from_secs(10), || {
            Ok((self.recorded()? == all).then_some(()))
        })
        .unwrap();
    }

    /// Counters and gauges of the gateway by name, without Envoy's prefix.
    pub(crate) fn stats(&self) -> Vec<(String, u64)> {
        let stats = self.envoy.admin().stats("^wasmcustom\\.llm_").unwrap();
        let own = |name: &str| name.trim_start_matches("wasmcustom.").to_owned();
        stats.into_iter().map(|(name, value)| (own(&name), value)).collect()
    }

    /// The sum of all series of a metric whose name has all of `labels`.
    pub(crate) fn sum(&self, metric: &str, labels: &[&str]) -> u64 {
        let of = |name: &str| {
            let (own, rest) = name.split_once('.').unwrap_or((name, ""));
            own == metric && labels.iter().all(|label| rest.split(';').any(|l| l == *label))
        };
        self.stats().iter().filter(|(name, _)| of(name)).map(|(_, value)| value).sum()
    }

    /// Envoy's own percentile of a histogram with one series.
    pub(crate) fn percentile(&self, histogram: &str, percent: f64) -> Result<f64> {
        let histograms = self.histograms("")?;
        let supported = histograms["supported_quantiles"].as_array().context("no quantiles")?;
        let at = supported.iter().position(|p| p.as_f64() == Some(percent)).context("unknown")?;
        let computed = histograms["computed_quantiles"].as_array().context("none")?;
        let name = format!("wasmcustom.{histogram}");
        let found = computed.iter().find(|of| of["name"] == name.as_str()).context(name.clone())?;
        found["values"][at]["cumulative"].as_f64().context("no value")
    }

    /// How many durations Envoy shows: one for each request that ended.
    fn recorded(&self) -> Result<u64> {
        let histograms = self.histograms("&histogram_buckets=detailed")?;
        let details = histograms["details"].as_array().context("no histograms")?;
        let durations = details.iter().filter(|histogram| {
            let name = histogram["name"].as_str().unwrap_or_default();
            name.starts_with("wasmcustom.llm_request_duration_ms")
        });
        let bins = durations.filter_map(|histogram| histogram["totals"].as_array()).flatten();
        Ok(bins.filter_map(|bin| bin["count"].as_u64()).sum())
    }

    fn histograms(&self, query: &str) -> Result<Value> {
        let path = format!("/stats?format=json&filter=wasmcustom.llm_{query}");
        let json = self.envoy.admin().get(&path)?.json()?;
        let stats = json["stats"].as_array().context("no stats")?;
        let found = stats.iter().find_map(|stat| stat.get("histograms"));
        found.cloned().context("no histograms")
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Round {
    First,
    Second,
}

struct Request {
    path: &'static str,
    headers: &'static [(&'static str, &'static str)],
    body: Option<String>,
    status: u16,
}

/// In order: limits count.
fn workload(round: Round) -> Vec<Request> {
    let limited: &[_] = match round {
        Round::First => &[("x-consumer", "ci")],
        Round::Second => &[("x-consumer", "nightly")],
    };
    // No answer of the first round is one for the second.
    let chat = |model: &str, text: &str, stream: bool| {
        let messages = json!([{"role": "user", "content": format!("{text} {round:?}")}]);
        Some(json!({"model": model, "stream": stream, "messages": messages}).to_string())
    };
    let request = |headers, body, status| Request { path: CHAT, headers, body, status };
    let mut all: Vec<_> = (0..6)
        .map(|n| request(&[], chat("sim-model", &format!("question {n}"), n % 2 == 0), 200))
        .collect();
    all.extend([
        request(&[("x-sim", "tokens=40; pause=2")], chat("sim-model", "long", true), 200),
        request(&[("x-sim", "cached=3")], chat("sim-model", "a b c d e", false), 200),
        request(&[("x-sim", "usage=none")], chat("sim-small", "no usage", false), 200),
        request(&[("x-sim", "end-early=3")], chat("sim-model", "one two three four", true), 200),
        request(&[], chat("sim-model", "question 1", false), 200),
        request(&[("cache-control", "no-store")], chat("sim-model", "question 1", false), 200),
        request(&[("x-sim", "status=500")], chat("sim-model", "fails", false), 502),
        request(&[], chat(MARKUP, "looks like markup", false), 200),
        request(&[], chat("steady", "the first provider is gone", false), 200),
        request(&[], chat("no-such-model", "hello", false), 404),
        request(&[], Some("{".into()), 400),
        request(&[("x-consumer", "web-app")], chat("sim-model", "who pays", false), 200),
        request(limited, chat("sim-model", "once", false), 200),
        request(limited, chat("sim-model", "twice", false), 429),
        Request { path: "/v1/models", headers: &[], body: None, status: 200 },
    ]);
    let embedding = json!({"model": "sim-embedding", "input": "some text"}).to_string();
    all.push(Request { path: "/v1/embeddings", headers: &[], body: Some(embedding), status: 200 });
    all
}

fn configuration() -> Value {
    let price = json!({"input": 100.0, "output": 400.0});
    json!({
        "providers": {
            "local": {"models": [
                {"name": "sim-model", "price": price}, "sim-small", "sim-embedding", "open-*", MARKUP
            ]},
            "gone": {"models": ["sim-large"]},
        },
        "models": {"steady": [
            {"provider": "gone", "model": "sim-large"},
            {"provider": "local", "model": "sim-model", "priority": 1},
        ]},
        "auth": {"mode": "optional"},
        "consumer_header": "x-consumer",
        "consumers": [{"name": "web-app"}, {"name": "ci"}, {"name": "nightly"}],
        "cache": {"ttl": "5m", "scope": "global"},
        "limits": [
            {"name": "one-each", "key": ["consumer"], "consumers": ["ci", "nightly"], "requests": 1, "window": "1h"},
            {"name": "watched", "key": [], "tokens": 20, "window": "1h", "mode": "shadow"},
        ],
    })
}

/// A second provider, which cannot be reached, and the filter's other role in both clusters: it
/// leads from one attempt to the next.
fn add_unreachable(bootstrap: &mut Bootstrap) {
    let plugin =
        "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters/0";
    let plugin = bootstrap.0.pointer(plugin).unwrap().clone();
    let clusters = bootstrap.0["static_resources"]["clusters"].as_array_mut().unwrap();
    clusters.push(json!({
        "name": "gone",
        "type": "STATIC",
        "load_assignment": {"cluster_name": "gone", "endpoints": [{"lb_endpoints": [
            {"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 1}}}},
        ]}]},
    }));
    for cluster in clusters.iter_mut().filter(|cluster| cluster["name"] != "admin") {
        let mut plugin = plugin.clone();
        let config = &mut plugin["typed_config"]["config"];
        config["root_id"] = "provider".into();
        config["configuration"]["value"] = json!({"provider": cluster["name"]});
        cluster["typed_extension_protocol_options"] = json!({
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {"http_protocol_options": {}},
                "http_filters": [plugin, {
                    "name": "envoy.filters.http.upstream_codec",
                    "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec"},
                }],
            },
        });
    }
    let map = "/routes/0/route/inline_cluster_specifier_plugin/extension/typed_config/cluster_matcher/matcher_tree/exact_match_map/map";
    let map = virtual_host(bootstrap).pointer_mut(map).unwrap();
    let mut gone = map["local"].clone();
    gone["action"]["typed_config"]["cluster"] = "gone".into();
    map["gone"] = gone;
}

/// A model's name that a page must not take for markup.
pub(crate) const MARKUP: &str = "<script>alert(1)</script>\"&amp";
