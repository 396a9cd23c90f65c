//! What several files say must be the same everywhere.

use std::fs;
use std::path::Path;

use harness::envoy::Bootstrap;
use harness::{root, tools};
use llm_gateway::host::MetricKind;
use llm_gateway::metrics::table::{self, LABELS, METRICS};
use serde_json::Value;

fn compose() -> Value {
    let text = fs::read_to_string(root().join("docker-compose.yml")).unwrap();
    serde_norway::from_str(&text).unwrap()
}

fn shipped() -> String {
    fs::read_to_string(root().join("envoy/envoy.yaml")).unwrap()
}

#[test]
fn compose_runs_the_versions_that_the_code_names() {
    let compose = compose();
    let image = |service: &str| compose["services"][service]["image"].as_str().unwrap().to_owned();
    assert_eq!(image("envoy"), format!("envoyproxy/envoy:v{}", tools::ENVOY.version));
    assert_eq!(image("ollama"), format!("ollama/ollama:{}", tools::OLLAMA));
    assert_eq!(image("pull"), image("ollama"));
}

#[test]
fn compose_pulls_the_model_that_the_shipped_configuration_serves() {
    let pulled = compose()["services"]["pull"]["entrypoint"][2].clone();
    assert_eq!(pulled, tools::OLLAMA_MODEL);
    let plugins = Bootstrap::parse(&shipped()).unwrap().plugins().unwrap();
    assert_eq!(plugins[0].configuration["providers"]["local"]["models"][0], pulled);
}

#[test]
fn compose_opens_the_gateway_and_its_page_and_nothing_else() {
    let compose = compose();
    let command = compose["services"]["envoy"]["command"][0].as_str().unwrap();
    let (_, edit) = command.split_once("sed 's/").unwrap();
    let mut parts = edit.split('/');
    let (from, to) = (parts.next().unwrap(), parts.next().unwrap());
    let shipped = shipped();
    assert_eq!(shipped.matches(from).count(), 2, "{from}");
    let opened = Bootstrap::parse(&shipped.replace(from, to)).unwrap().0;
    let address = |value: &Value| value["socket_address"]["address"].as_str().unwrap().to_owned();
    for (listener, port) in [("gateway", 10000), ("page", 10001)] {
        let listeners = opened["static_resources"]["listeners"].as_array().unwrap();
        let found = listeners.iter().find(|found| found["name"] == listener).unwrap();
        assert_eq!(address(&found["address"]), "0.0.0.0");
        assert_eq!(found["address"]["socket_address"]["port_value"], port);
    }
    assert_eq!(address(&opened["admin"]["address"]), "127.0.0.1");
}

#[test]
fn compose_mounts_the_files_that_the_shipped_configuration_loads() {
    let compose = compose();
    let volumes = compose["services"]["envoy"]["volumes"].as_array().unwrap();
    let mounted = |path: &str| {
        let volume = format!("./{path}:/gateway/{path}:ro");
        volumes.iter().any(|mount| mount == &Value::from(volume.as_str()))
    };
    assert!(mounted("envoy"));
    assert!(mounted("target/wasm32-wasip1/release"));
    assert!(shipped().contains("filename: target/wasm32-wasip1/release/llm_gateway.wasm"));
}

#[test]
fn stats_tags_are_the_labels_of_the_metrics() {
    let bootstrap = Bootstrap::parse(&shipped()).unwrap().0;
    let tags: Vec<_> = bootstrap["stats_config"]["stats_tags"].as_array().unwrap().to_vec();
    let tag = |name| serde_json::json!({"tag_name": name, "regex": table::tag_regex(name)});
    assert_eq!(tags, LABELS.map(|label| tag(label.name)));
}

#[test]
fn every_histogram_has_buckets_and_nothing_else_has() {
    let bootstrap = Bootstrap::parse(&shipped()).unwrap().0;
    let settings = bootstrap["stats_config"]["histogram_bucket_settings"].as_array().unwrap();
    let prefixes: Vec<_> =
        settings.iter().map(|setting| setting["match"]["prefix"].as_str().unwrap()).collect();
    let histograms = METRICS.iter().filter(|metric| metric.kind == MetricKind::Histogram);
    let expected: Vec<_> = histograms.map(|metric| format!("wasmcustom.{}", metric.name)).collect();
    assert_eq!(prefixes, expected);
    for setting in settings {
        let buckets: Vec<_> = setting["buckets"].as_array().unwrap().to_vec();
        let buckets: Vec<_> = buckets.iter().map(|bound| bound.as_u64().unwrap()).collect();
        assert!(buckets.is_sorted_by(|a, b| a < b) && buckets[0] > 0, "{buckets:?}");
    }
}

/// The packages declare their test targets, so a new file that nobody declares would never run.
#[test]
fn every_test_file_belongs_to_a_declared_target() {
    let manifests = [root().join("Cargo.toml"), root().join("tests/harness/Cargo.toml")];
    let declared: String = manifests.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    for entry in fs::read_dir(root().join("tests")).unwrap() {
        let path = entry.unwrap().path();
        let target = if path.is_dir() { path.join("main.rs") } else { path };
        if target.is_file() && target.extension().is_some_and(|end| end == "rs") {
            let target = target.strip_prefix(root().join("tests")).unwrap_or(Path::new(""));
            let ending = format!("/{}\"", target.display());
            assert!(declared.contains(&ending), "{} is no [[test]]", target.display());
        }
    }
}

/// A file that no other names is not compiled, and its tests never run.
#[test]
fn every_source_file_belongs_to_a_module() {
    let mut files = Vec::new();
    for folder in ["src", "tests"] {
        rust_files(&root().join(folder), &mut files);
    }
    let manifests = ["Cargo.toml", "tests/harness/Cargo.toml", "tests/fuzz/Cargo.toml"];
    let declared: String =
        manifests.iter().map(|path| fs::read_to_string(root().join(path)).unwrap()).collect();
    let mut orphans = Vec::new();
    for file in &files {
        let stem = file.file_stem().unwrap().to_str().unwrap();
        let folder = file.parent().unwrap();
        // `mod.rs` stands for its folder.
        let (name, above) = match stem {
            "mod" => (folder.file_name().unwrap().to_str().unwrap(), folder.parent().unwrap()),
            _ => (stem, folder),
        };
        let beside = format!("{}.rs", above.file_name().unwrap().to_str().unwrap());
        let parents = ["mod.rs", "main.rs", "lib.rs"].map(|parent| above.join(parent));
        let parents = parents.into_iter().chain([above.parent().unwrap().join(beside)]);
        let mut parents = parents.filter_map(|parent| fs::read_to_string(parent).ok());
        let is_module = parents.any(|text| {
            let named = format!("mod {name};");
            text.lines().any(|line| line == named || line.ends_with(&format!(" {named}")))
        });
        let target = format!("/{}\"", file.file_name().unwrap().to_str().unwrap());
        // Where cargo looks for test targets by itself.
        let found = ["tests/harness/tests", "tests/preflight/tests"];
        let is_target = ["main", "lib"].contains(&stem)
            || found.iter().any(|tests| folder.ends_with(tests))
            || declared.contains(&target);
        if !is_module && !is_target {
            orphans.push(file.display().to_string());
        }
    }
    assert!(orphans.is_empty() && files.len() > 200, "in no module: {orphans:#?}");
}

fn rust_files(under: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(under).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
}
