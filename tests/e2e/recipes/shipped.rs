//! What holds for every file in `envoy/`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use harness::commands::check_config::check;
use harness::envoy::{Bootstrap, Launch};
use harness::{root, wasm};
use serde_json::Value;

use super::{documents, fresh_dir, replace_file, text};

#[test]
fn every_bootstrap_loads_in_envoy_with_the_filter() {
    for file in files().iter().filter(|file| file.kind() == Kind::Bootstrap) {
        // The text itself: Envoy has a reader of YAML of its own.
        Launch::new(Bootstrap::parse("{}").unwrap())
            .arg("--config-yaml")
            .arg(&with_dummies(&file.text))
            .validate()
            .unwrap_or_else(|error| panic!("{}: {error:#}", file.name));
    }
}

#[test]
fn every_plugin_waits_for_bodies_comes_back_after_a_fault_and_shares_one_vm() {
    for file in files() {
        let mut ids = BTreeSet::new();
        each_object(&file.yaml, &mut |object| {
            let Some(vm) = object.get("vm_config") else { return };
            let name = object["name"].as_str().unwrap_or_default();
            let told = format!("{}: {name:?}", file.name);
            assert!(!name.is_empty(), "{told}: messages of Envoy need a name");
            assert_eq!(object["allow_on_headers_stop_iteration"], true, "{told}");
            assert_eq!(object["failure_policy"], "FAIL_RELOAD", "{told}");
            assert_eq!(vm["runtime"], "envoy.wasm.runtime.v8", "{told}");
            ids.insert(vm["vm_id"].as_str().unwrap_or_default().to_owned());
        });
        let expected = if ids.is_empty() { "" } else { "llm-gateway" };
        assert_eq!(ids.into_iter().collect::<Vec<_>>().join(" "), expected, "{}", file.name);
    }
}

#[test]
fn every_configuration_of_the_filter_is_valid() {
    let mut checked = 0;
    for file in files().iter().filter(|file| file.text.contains("configuration:")) {
        let report = check(&file.text, &|_| None).unwrap();
        let told = report.to_string();
        assert_eq!(report.mistakes(), 0, "{}: {told}", file.name);
        // Those of the part of a configuration have no cluster in their own file.
        assert!(!told.contains("warning"), "{}: {told}", file.name);
        checked += told.lines().count();
    }
    assert!(checked > 5, "only {checked}");
}

#[test]
fn no_route_to_a_model_has_a_total_timeout() {
    for file in files() {
        each_object(&file.yaml, &mut |object| {
            let filters = object.get("http_filters").map(Value::to_string).unwrap_or_default();
            if object.contains_key("route_config") && filters.contains("llm_gateway") {
                assert_untimed(&object["route_config"], &file.name);
            }
        });
    }
}

/// Where a failed attempt goes to another provider, or to an address that it has not met.
#[test]
fn every_provider_that_can_be_retried_is_rested_and_has_enough_retries() {
    let mut checked = 0;
    for file in files() {
        let retries = file.text.contains("refresh_cluster_on_retry: true");
        if file.text.contains("priority: 1}") {
            // A whole provider, which Envoy cannot rest.
            assert!(file.text.contains("breaker: {failures: 5, rest: 10s}"), "{}", file.name);
        }
        each_object(&file.yaml, &mut |object| {
            let has_role = object.get("typed_extension_protocol_options");
            if !retries || has_role.is_none_or(|has| !has.to_string().contains("llm_provider")) {
                return;
            }
            checked += 1;
            let told = format!("{}: {}", file.name, object["name"]);
            let outliers = &object["outlier_detection"];
            for key in ["consecutive_5xx", "base_ejection_time", "max_ejection_percent"] {
                assert!(outliers.get(key).is_some(), "{told}: {key}");
            }
            let budget = &object["circuit_breakers"]["thresholds"][0]["retry_budget"];
            assert!(budget["min_retry_concurrency"].as_u64().unwrap() >= 100, "{told}");
            // With 0, a cluster whose only address rests would answer 503.
            assert!(object.get("common_lb_config").is_none(), "{told}");
        });
    }
    assert!(checked >= 8, "only {checked}");
}

#[test]
fn every_recipe_says_how_to_start_it_and_what_to_change() {
    for file in files().iter().filter(|file| file.kind() != Kind::Part) {
        let comment: Vec<&str> =
            file.text.lines().take_while(|line| line.starts_with('#')).collect();
        for part in ["Start:", "Change:"] {
            let says = comment.iter().any(|line| line.contains(part));
            assert!(says || file.name == "envoy.yaml", "{}: no {part}", file.name);
        }
    }
}

#[test]
fn a_recipe_that_names_metrics_labels_names_all_of_them() {
    let shipped: Value = serde_norway::from_str(&text("envoy.yaml")).unwrap();
    for file in files() {
        each_object(&file.yaml, &mut |object| {
            if let Some(stats) = object.get("stats_config") {
                assert_eq!(stats, &shipped["stats_config"], "{}", file.name);
            }
        });
    }
}

struct File {
    /// Below `envoy/`.
    name: String,
    text: String,
    /// A list of its documents.
    yaml: Value,
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Bootstrap,
    /// Resources of Kubernetes.
    Kubernetes,
    /// What a bootstrap reads.
    Part,
}

impl File {
    fn kind(&self) -> Kind {
        let has = |key: &str| self.yaml[0].get(key).is_some();
        match (has("static_resources"), has("resources"), has("apiVersion")) {
            (true, ..) => Kind::Bootstrap,
            (_, true, _) => Kind::Part,
            (_, _, true) => Kind::Kubernetes,
            _ => panic!("what is {}?", self.name),
        }
    }
}

/// All of them, but the dashboard's, which are for other programs, and keys that somebody put there.
fn files() -> Vec<File> {
    let mut found = Vec::new();
    collect(&root().join("envoy"), "", &mut found);
    assert!(found.len() >= 3);
    found
}

fn collect(dir: &Path, prefix: &str, found: &mut Vec<File>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = format!("{prefix}{}", path.file_name().unwrap().display());
        if path.is_dir() && name != "dashboard" {
            collect(&path, &format!("{name}/"), found);
        } else if path.extension().is_some_and(|end| end == "yaml") && !is_key(&name) {
            let text = fs::read_to_string(&path).unwrap();
            found.push(File { yaml: documents(&text).into(), text, name });
        }
    }
}

fn is_key(name: &str) -> bool {
    name.starts_with("keys/") && name != "keys/example.yaml"
}

/// The built filter, and keys that are none.
fn with_dummies(text: &str) -> String {
    let dir = fresh_dir();
    for name in ["openai", "anthropic", "gemini", "azure", "cohere"] {
        replace_file(&dir.join(format!("{name}.yaml")), &super::key_file(name, "none"));
    }
    let module = wasm::module().unwrap().display().to_string();
    text.replace("envoy/keys/", &format!("{}/", dir.display()))
        .replace("target/wasm32-wasip1/release/llm_gateway.wasm", &module)
}

fn assert_untimed(routes: &Value, file: &str) {
    let mut counted = 0;
    each_object(routes, &mut |object| {
        let Some(route) = object.get("route") else { return };
        counted += 1;
        assert_eq!(route["timeout"], "0s", "{file}: {route:#}");
        for key in ["max_stream_duration", "max_grpc_timeout"] {
            assert!(route.get(key).is_none(), "{file}: {route:#}");
        }
    });
    assert!(counted > 0, "{file}");
}

fn each_object(value: &Value, visit: &mut impl FnMut(&serde_json::Map<String, Value>)) {
    match value {
        Value::Object(object) => {
            visit(object);
            object.values().for_each(|inner| each_object(inner, visit));
        }
        Value::Array(items) => items.iter().for_each(|inner| each_object(inner, visit)),
        _ => {}
    }
}
