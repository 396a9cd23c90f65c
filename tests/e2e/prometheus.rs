//! A real Prometheus scrapes the real Envoy: every metric arrives under its public name, and every
//! query of the dashboard and of the rules finds what it asks for.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use harness::process::{Lifetime, Process};
use harness::tools::debian;
use harness::{http, root, target_dir, wait_for};
use llm_gateway::host::MetricKind;
use llm_gateway::metrics::table::METRICS;
use serde_json::{Value, json};

use crate::observed::{Observed, Round};
use crate::support::CHAT;

#[test]
fn every_query_of_dashboard_and_rules_returns_data() {
    let observed = Observed::start();
    let prometheus = Prometheus::start(observed.envoy.admin().address()).unwrap();
    // A rate needs to have seen a counter before it grew, and some come with their first count.
    prometheus.wait_until_it_has(&observed, 0);
    observed.work(Round::First);
    let first = observed.sum("llm_requests_total", &[]);
    prometheus.wait_until_it_has(&observed, first);
    observed.work(Round::Second);
    let all = observed.sum("llm_requests_total", &[]);
    assert!(all > first);
    prometheus.wait_until_it_has(&observed, all);

    every_metric_has_its_labels(&prometheus);
    values_are_those_of_envoy(&prometheus, &observed);

    let mut empty = Vec::new();
    for (place, query) in dashboard_queries().into_iter().chain(rule_queries()) {
        match prometheus.has_data(&query) {
            Ok(true) => assert!(!expected_empty(&place), "{place} has data: take it off the list"),
            Ok(false) if expected_empty(&place) => {}
            Ok(false) => empty.push(format!("{place}: {query}")),
            Err(error) => panic!("{place}: {error:#}\n{query}"),
        }
    }
    assert!(empty.is_empty(), "no data for\n{}", empty.join("\n"));
    prometheus.rules_are_well().unwrap();
}

/// Panels and rules about parts of the gateway that do not run yet.
fn expected_empty(place: &str) -> bool {
    EXPECTED_EMPTY.contains(&place)
}

const EXPECTED_EMPTY: [&str; 0] = [];

fn every_metric_has_its_labels(prometheus: &Prometheus) {
    for metric in METRICS {
        let name = match metric.kind {
            MetricKind::Histogram => format!("{}_bucket", metric.name),
            _ => metric.name.into(),
        };
        let all = prometheus.get("series", &[("match[]", &name)]).unwrap();
        let all = all.as_array().unwrap();
        assert!(!all.is_empty(), "{name} did not arrive");
        for series in all {
            let own = ["__name__", "instance", "job", "le"];
            let mut labels: Vec<_> =
                series.as_object().unwrap().keys().map(String::as_str).collect();
            labels.retain(|label| !own.contains(label));
            let mut expected = metric.labels.to_vec();
            expected.sort_unstable();
            assert_eq!(labels, expected, "{series}");
        }
    }
}

fn values_are_those_of_envoy(prometheus: &Prometheus, observed: &Observed) {
    for metric in METRICS.iter().filter(|metric| metric.kind == MetricKind::Counter) {
        let found =
            prometheus.get("query", &[("query", &format!("sum({})", metric.name))]).unwrap();
        let value: f64 = found["result"][0]["value"][1].as_str().unwrap().parse().unwrap();
        assert_eq!(value as u64, observed.sum(metric.name, &[]), "{}", metric.name);
    }
}

/// Every query of the dashboard with its place, its variables replaced as Grafana does.
fn dashboard_queries() -> Vec<(String, String)> {
    let text = fs::read_to_string(root().join("envoy/dashboard/grafana.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let replace = |query: &str| {
        let query = query.replace("$__rate_interval", "1m").replace("$__range", "5m");
        let query = query.replace("$provider", ".*").replace("$model", ".*");
        assert!(!query.contains('$'), "{query}");
        query
    };
    let mut queries = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let place = format!("{} {}", panel["title"].as_str().unwrap(), target["refId"]);
            queries.push((place, replace(target["expr"].as_str().unwrap())));
        }
    }
    for variable in dashboard["templating"]["list"].as_array().unwrap() {
        let Some(query) = variable["query"]["query"].as_str() else { continue };
        let inner = query.strip_prefix("label_values(").unwrap().strip_suffix(')').unwrap();
        let (series, label) = inner.rsplit_once(", ").unwrap();
        let place = format!("variable {}", variable["name"]);
        queries.push((place, format!("count by ({label}) ({})", replace(series))));
    }
    queries
}

/// Every expression of the rules with its name, without thresholds: alerts must be able to fire.
fn rule_queries() -> Vec<(String, String)> {
    let text = fs::read_to_string(root().join("envoy/dashboard/rules.yml")).unwrap();
    let rules: Value = serde_norway::from_str(&text).unwrap();
    let groups = rules["groups"].as_array().unwrap().iter();
    let rules = groups.flat_map(|group| group["rules"].as_array().unwrap());
    rules
        .map(|rule| {
            let name = rule["record"].as_str().or(rule["alert"].as_str()).unwrap();
            (name.to_owned(), without_thresholds(rule["expr"].as_str().unwrap()))
        })
        .collect()
}

/// `a > 0.05 and b == 1` as `a and b`.
fn without_thresholds(query: &str) -> String {
    let mut kept = String::new();
    let mut words = query.split_whitespace().peekable();
    while let Some(word) = words.next() {
        if matches!(word, ">" | "==") {
            // A bracket that closes behind the number stays.
            let number = words.next().unwrap_or_default();
            kept.push_str(number.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.'));
        } else {
            kept.push(' ');
            kept.push_str(word);
        }
    }
    kept
}

/// A running Prometheus with the shipped configuration, but in a hurry.
struct Prometheus {
    _process: Process,
    address: SocketAddr,
}

impl Prometheus {
    fn start(scraped: SocketAddr) -> Result<Self> {
        let dir = target_dir().join("e2e").join(format!("prometheus-{}", scraped.port()));
        if dir.exists() {
            fs::remove_dir_all(&dir)?;
        }
        fs::create_dir_all(&dir)?;
        let shipped = root().join("envoy/dashboard/prometheus.yml");
        let mut config: Value = serde_norway::from_str(&fs::read_to_string(shipped)?)?;
        for interval in ["scrape_interval", "evaluation_interval"] {
            config["global"][interval] = json!("500ms");
        }
        config["scrape_configs"][0]["static_configs"][0]["targets"] = json!([scraped.to_string()]);
        config["rule_files"] = json!([root().join("envoy/dashboard/rules.yml")]);
        // JSON is YAML.
        let file = dir.join("prometheus.yml");
        fs::write(&file, config.to_string())?;
        let log = dir.join("prometheus.log");
        let mut command = debian::prometheus("prometheus")?;
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", dir.join("data").display()))
            .arg("--web.listen-address=127.0.0.1:0")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?);
        let mut process = Process::spawn("Prometheus", command, Lifetime::Owner)?;
        let address = wait_for("Prometheus", PATIENCE, || {
            if let Some(status) = process.exited()? {
                bail!("Prometheus ended ({status}): {}", fs::read_to_string(&log)?);
            }
            announced(&log)
        })?;
        let ready = format!("http://{address}/-/ready");
        let is_ready = || Ok(http::get(&ready).ok().filter(|answer| answer.status == 200));
        wait_for("Prometheus", PATIENCE, is_ready)?;
        Ok(Self { _process: process, address })
    }

    /// Waits for a scrape that has so many requests, and for the next one.
    fn wait_until_it_has(&self, observed: &Observed, requests: u64) {
        let scraped = "scalar(sum(llm_requests_total) or vector(0))";
        let complete = || {
            let up = self.get("query", &[("query", "sum(up)")])?;
            let found = self.get("query", &[("query", scraped)])?;
            let value: f64 = found["result"][1].as_str().context("no scalar")?.parse()?;
            Ok((up["result"][0]["value"][1] == "1" && value as u64 == requests).then_some(()))
        };
        wait_for("a scrape of Envoy", PATIENCE, complete).unwrap();
        let scrapes = || -> Result<f64> {
            let query = "scalar(sum(count_over_time(up[10m])))";
            let found = self.get("query", &[("query", query)])?;
            Ok(found["result"][1].as_str().context("no scalar")?.parse()?)
        };
        let before = scrapes().unwrap();
        let enough = || Ok((scrapes()? >= before + 2.0).then_some(()));
        wait_for("the next scrape", PATIENCE, enough).unwrap();
        assert_eq!(observed.sum("llm_requests_total", &[]), requests);
    }

    /// Whether a query gives at least one number.
    fn has_data(&self, query: &str) -> Result<bool> {
        let found = self.get("query", &[("query", query)])?;
        let results = found["result"].as_array().context("no vector")?;
        Ok(results.iter().any(|result| result["value"][1] != "NaN"))
    }

    fn rules_are_well(&self) -> Result<()> {
        let found = self.get("rules", &[])?;
        let groups = found["groups"].as_array().context("no groups")?;
        for rule in groups.iter().flat_map(|group| group["rules"].as_array()).flatten() {
            if rule["health"] != "ok" {
                bail!("{}: {}", rule["name"], rule["lastError"]);
            }
        }
        Ok(())
    }

    /// The data of an answer of Prometheus' HTTP API.
    fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Value> {
        let query: Vec<_> =
            query.iter().map(|(key, value)| format!("{key}={}", escape(value))).collect();
        let url = format!("http://{}/api/v1/{path}?{}", self.address, query.join("&"));
        let mut answer = http::get(&url)?.json()?;
        if answer["status"] != "success" {
            bail!("{}", answer["error"]);
        }
        Ok(answer["data"].take())
    }
}

/// The address in the line with which Prometheus says where it listens.
fn announced(log: &Path) -> Result<Option<SocketAddr>> {
    let text = fs::read_to_string(log)?;
    let said = text.lines().find_map(|line| line.split_once("\"Listening on\" address="));
    Ok(said.and_then(|(_, address)| address.split_whitespace().next()?.parse().ok()))
}

fn escape(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

const PATIENCE: Duration = Duration::from_secs(30);

/// Envoy never forgets a stat.
#[test]
fn what_callers_name_adds_no_series() {
    let observed = Observed::start();
    let url = format!("{}{CHAT}", observed.envoy.url("gateway").unwrap());
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .proxy(None)
        .timeout_global(Some(PATIENCE))
        .build()
        .into();
    let ask = |n: u32| {
        // Half of the models exist, by a wildcard; a quarter of the callers do not.
        let model = if n.is_multiple_of(2) { format!("open-{n}") } else { format!("closed-{n}") };
        let body = json!({"model": model, "messages": [{"role": "user", "content": "hi"}]});
        let mut request = agent.post(&url).header("authorization", format!("Bearer key-{n}"));
        if n.is_multiple_of(4) {
            request = request.header("x-consumer", format!("caller-{n}"));
        }
        let mut answer = request.send(body.to_string().as_bytes()).unwrap();
        answer.body_mut().read_to_vec().unwrap();
        answer.status().as_u16()
    };
    let statuses = |range: std::ops::Range<u32>| {
        let mut counts = std::collections::BTreeMap::new();
        range.for_each(|n| *counts.entry(ask(n)).or_insert(0) += 1);
        counts
    };
    statuses(0..4);
    let names = || observed.stats().into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    let before = names();
    let counts = statuses(4..10_004);
    assert_eq!(counts, [(200, 2500), (401, 2500), (404, 5000)].into());
    assert_eq!(names(), before);
}

#[test]
fn thresholds_are_cut_out_of_alerts() {
    assert_eq!(without_thresholds("a > 0.05 and b == 1"), " a and b");
    assert_eq!(without_thresholds("count(x == 1) / (y > 20) > 0.1"), " count(x) / (y)");
}
