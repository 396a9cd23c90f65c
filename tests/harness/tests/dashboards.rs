//! What is shipped to look at: Prometheus' rules by its own tool, and every metric's name in the
//! dashboard, the rules and the page by the table of metrics.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use harness::envoy::Bootstrap;
use harness::tools::debian;
use harness::{root, shell};
use llm_gateway::host::MetricKind;
use llm_gateway::metrics::table::{LABELS, METRICS};
use serde_json::Value;

fn path(file: &str) -> PathBuf {
    root().join("envoy/dashboard").join(file)
}

fn read(file: &str) -> String {
    fs::read_to_string(path(file)).unwrap()
}

fn grafana() -> Value {
    serde_json::from_str(&read("grafana.json")).unwrap()
}

fn panels() -> Vec<Value> {
    grafana()["panels"].as_array().unwrap().clone()
}

#[test]
fn promtool_accepts_the_rules_and_their_tests_pass() {
    for arguments in [
        &["check", "config", "prometheus.yml"][..],
        &["check", "rules", "rules.yml"],
        &["test", "rules", "rules_test.yml"],
    ] {
        let mut promtool = debian::prometheus("promtool").unwrap();
        promtool.current_dir(path("")).args(arguments);
        let said = shell::captured(promtool, Duration::from_secs(60)).unwrap();
        assert!(said.status.success(), "promtool {}: {said:?}", arguments.join(" "));
    }
}

#[test]
fn every_rule_has_a_test_and_every_alert_says_what_to_do() {
    let rules: Value = serde_norway::from_str(&read("rules.yml")).unwrap();
    let tests = read("rules_test.yml");
    for rule in
        rules["groups"].as_array().unwrap().iter().flat_map(|g| g["rules"].as_array().unwrap())
    {
        let name = rule["record"].as_str().or(rule["alert"].as_str()).unwrap();
        assert!(tests.contains(name), "{name} has no test");
        if rule["alert"].is_string() {
            assert!(rule["labels"]["severity"].is_string(), "{name}");
            for part in ["summary", "description"] {
                assert!(rule["annotations"][part].is_string(), "{name} has no {part}");
            }
        }
    }
}

/// Names as they are written somewhere: `llm_requests_total`, `llm_overhead_us_bucket`.
fn names(text: &str) -> BTreeSet<&str> {
    let word = |c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':');
    text.split(word).filter(|name| name.starts_with("llm_") && !name.contains(':')).collect()
}

#[test]
fn nothing_asks_for_a_metric_that_does_not_exist_and_nothing_is_left_unseen() {
    let exists = |name: &str| {
        METRICS.iter().any(|metric| match metric.kind {
            MetricKind::Histogram => name == format!("{}_bucket", metric.name),
            _ => name == metric.name,
        })
    };
    for file in ["grafana.json", "rules.yml", "rules_test.yml"] {
        for name in names(&read(file)) {
            assert!(exists(name), "{file}: {name}");
        }
    }
    let page = read("index.html");
    for name in names(&page).into_iter().filter(|name| *name != "llm_") {
        assert!(METRICS.iter().any(|metric| metric.name == name), "index.html: {name}");
    }
    let grafana = read("grafana.json");
    for metric in METRICS {
        assert!(grafana.contains(metric.name), "the dashboard does not show {}", metric.name);
        assert!(page.contains(metric.name), "the page does not show {}", metric.name);
    }
}

#[test]
fn queries_use_labels_that_exist() {
    let known: BTreeSet<_> = LABELS
        .iter()
        .map(|label| label.name)
        .chain(["le", "instance", "job", "envoy_http_conn_manager_prefix"])
        .collect();
    for panel in panels() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let query = target["expr"].as_str().unwrap();
            for matcher in query.split('{').skip(1).filter_map(|rest| rest.split('}').next()) {
                for label in matcher.split("\",").filter(|label| !label.is_empty()) {
                    let name = label.split(['=', '!']).next().unwrap();
                    assert!(known.contains(name), "{query}: {name}");
                }
            }
            for by in query.split("by (").skip(1).filter_map(|rest| rest.split(')').next()) {
                for name in by.split(", ") {
                    assert!(known.contains(name), "{query}: {name}");
                }
            }
        }
    }
}

#[test]
fn panels_have_places_of_their_own_and_say_what_they_show() {
    let mut ids = BTreeSet::new();
    let mut taken = BTreeSet::new();
    for panel in panels() {
        let title = panel["title"].as_str().unwrap();
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}");
        let place = |side: &str| panel["gridPos"][side].as_u64().unwrap();
        assert!(place("x") + place("w") <= 24, "{title}");
        for x in place("x")..place("x") + place("w") {
            for y in place("y")..place("y") + place("h") {
                assert!(taken.insert((x, y)), "{title} lies over another panel");
            }
        }
        if panel["type"] != "row" {
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
            assert!(!panel["targets"].as_array().unwrap().is_empty(), "{title}");
        }
    }
}

/// The page may ask Envoy one question only, and the listener must let that one through.
#[test]
fn the_listener_lets_the_pages_question_through() {
    let page = read("index.html");
    let question = page.split('"').find(|part| part.starts_with("/stats?")).unwrap();
    let shipped = fs::read_to_string(root().join("envoy/envoy.yaml")).unwrap();
    let bootstrap = Bootstrap::parse(&shipped).unwrap().0;
    let listeners = bootstrap["static_resources"]["listeners"].as_array().unwrap();
    let listener = listeners.iter().find(|listener| listener["name"] == "page").unwrap();
    let routes = "/filter_chains/0/filters/0/typed_config/route_config/virtual_hosts/0/routes";
    let routes = listener.pointer(routes).unwrap().as_array().unwrap();
    let forwarded: Vec<_> = routes.iter().filter(|route| !route["route"].is_null()).collect();
    assert_eq!(forwarded.len(), 1, "one route leads to the admin interface");
    let headers = forwarded[0]["match"]["headers"].as_array().unwrap();
    let exact = |name: &str| {
        let found = headers.iter().find(|header| header["name"] == name).unwrap();
        found["string_match"]["exact"].clone()
    };
    assert_eq!((exact(":path"), exact(":method")), (question.into(), "GET".into()));
    let redirected = routes.iter().find(|route| route["match"]["path"] == "/stats");
    assert!(redirected.is_some());
    assert!(page.len() < 131_072, "max_direct_response_body_size_bytes");
}

#[test]
fn the_page_takes_nothing_from_elsewhere_and_makes_no_markup_of_data() {
    let page = read("index.html");
    for word in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("] {
        assert!(!page.contains(word), "{word}");
    }
    // Names of XML namespaces are no addresses.
    let addresses = page.matches("://").count();
    assert_eq!(addresses, page.matches("http://www.w3.org/2000/svg").count());
    assert!(!page.contains("src="));
}

#[test]
fn compose_mounts_files_that_exist_and_pins_what_it_runs() {
    let text = fs::read_to_string(root().join("docker-compose.yml")).unwrap();
    let compose: Value = serde_norway::from_str(&text).unwrap();
    for (name, service) in compose["services"].as_object().unwrap() {
        let (_, tag) = service["image"].as_str().unwrap().rsplit_once(':').unwrap();
        assert!(tag.matches('.').count() == 2, "{name}: {tag} names no version");
        for volume in service["volumes"].as_array().into_iter().flatten() {
            let source = volume.as_str().unwrap().split(':').next().unwrap();
            if source.starts_with("./") && !source.contains("target/") {
                assert!(root().join(source).exists(), "{name}: {source}");
            }
        }
    }
    let datasource: Value = serde_norway::from_str(&read("grafana-datasource.yml")).unwrap();
    assert_eq!(datasource["datasources"][0]["url"], "http://127.0.0.1:9090");
    let scraped: Value = serde_norway::from_str(&read("prometheus.yml")).unwrap();
    assert_eq!(scraped["scrape_configs"][0]["static_configs"][0]["targets"][0], "127.0.0.1:9901");
}
