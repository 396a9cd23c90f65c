//! A new configuration takes over under traffic; a bad one does not.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use harness::envoy::Bootstrap;
use harness::wire::Request;
use harness::{target_dir, wait_for};
use serde_json::{Value, json};

use crate::support::{CHAT, GATEWAY_FILTER, Gateway, MODEL, at, chat, streamed};

/// A gateway whose filter comes from a file that Envoy watches.
pub(crate) struct Watched {
    pub(crate) gateway: Gateway,
    file: PathBuf,
    filter: Value,
}

impl Watched {
    fn start(name: &str, configuration: Value) -> Self {
        Self::start_with(2, name, configuration)
    }

    pub(crate) fn start_with(workers: u32, name: &str, configuration: Value) -> Self {
        let dir = target_dir().join("e2e").join(format!("reload-{name}-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let file = dir.join("filter.json");
        let mut filter = Value::Null;
        let gateway = Gateway::launched(
            |mut bootstrap| {
                filter = watch(&mut bootstrap, &file);
                write(&file, &filter, configuration);
                bootstrap
            },
            |launch| launch.concurrency(workers),
        );
        Self { gateway, file, filter }
    }

    pub(crate) fn configure(&self, configuration: Value) {
        write(&self.file, &self.filter, configuration);
    }

    fn ask(&self, model: &str) -> u16 {
        let mut body = chat("hello");
        body["model"] = json!(model);
        self.gateway.post(CHAT, &body).status
    }

    /// Waits until every worker has taken a configuration over.
    pub(crate) fn wait_for(&self, what: &str, is_it: impl Fn() -> bool) {
        let mut in_a_row = 0;
        wait_for(what, Duration::from_secs(60), || {
            in_a_row = if is_it() { in_a_row + 1 } else { 0 };
            Ok((in_a_row == 10).then_some(()))
        })
        .unwrap();
    }
}

/// Has Envoy take the gateway's filter from the file; returns the filter.
fn watch(bootstrap: &mut Bootstrap, file: &Path) -> Value {
    // Who asks for configuration has a name.
    bootstrap.0["node"] = json!({"id": "test", "cluster": "test"});
    let filter = at(bootstrap, GATEWAY_FILTER);
    let source = json!({
        "path_config_source": {"path": file, "watched_directory": {"path": file.parent()}},
    });
    let discovered = json!({
        "name": filter["name"],
        "config_discovery": {
            "config_source": source,
            "type_urls": [filter["typed_config"]["@type"]],
        },
    });
    std::mem::replace(filter, discovered)
}

/// Puts a new file in the place of the old one in one step, as a mounted ConfigMap does.
fn write(file: &Path, filter: &Value, configuration: Value) {
    let mut filter = filter.clone();
    filter["typed_config"]["config"]["configuration"]["value"] = configuration;
    let response = json!({"resources": [{
        "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
        "name": filter["name"],
        "typed_config": filter["typed_config"],
    }]});
    let new = file.with_extension("new");
    fs::write(&new, response.to_string()).unwrap();
    fs::rename(new, file).unwrap();
}

/// The model under one more name.
pub(crate) fn named(name: &str) -> Value {
    json!({
        "providers": {"local": {"models": [MODEL]}},
        "models": {name: [{"provider": "local", "model": MODEL}]},
    })
}

#[test]
fn no_request_is_lost_while_the_configuration_changes() {
    let watched = Watched::start("traffic", named("name-0"));
    let gateway = &watched.gateway;
    let (stop, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    let long = Request::post(CHAT, &streamed(chat("a stream that is older than the changes")))
        .header("x-sim", "pause=400");
    let mut long = long.open(gateway.address).unwrap();
    long.wait_for("You").unwrap();
    thread::scope(|scope| {
        for client in 0..4 {
            let (stop, answered) = (&stop, &answered);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let body = chat("under traffic");
                    let answer = match client {
                        0 => gateway.told("pause=5", CHAT, &streamed(body)),
                        _ => gateway.post(CHAT, &body),
                    };
                    assert!(answer.status == 200 && answer.complete, "{answer:?}");
                    assert!(client != 0 || answer.text().ends_with("[DONE]\n\n"));
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let changes = thread::scope(|inner| {
            let changes = inner.spawn(|| {
                for version in 1..=6 {
                    watched.configure(named(&format!("name-{version}")));
                    watched.wait_for("the new configuration", || {
                        watched.ask(&format!("name-{version}")) == 200
                    });
                    let old = format!("name-{}", version - 1);
                    assert_eq!(watched.ask(&old), 404);
                }
            });
            changes.join()
        });
        stop.store(true, Ordering::Relaxed);
        changes.unwrap();
    });
    assert!(long.rest().unwrap().text().ends_with("[DONE]\n\n"));
    assert!(answered.into_inner() > 50);
    gateway.assert_unharmed();
}

#[test]
fn a_bad_configuration_is_refused_by_name_and_the_old_one_goes_on() {
    let watched = Watched::start("bad", named("good"));
    assert_eq!(watched.ask("good"), 200);
    let mut bad = named("bad");
    bad["max_request_bytes"] = json!("4 elephants");
    bad["providers"]["local"]["modles"] = json!([]);
    watched.configure(bad);
    let envoy = &watched.gateway.envoy;
    envoy.wait_for_log("max_request_bytes: found \"4 elephants\"").unwrap();
    envoy.wait_for_log("modles").unwrap();
    for _ in 0..20 {
        assert_eq!((watched.ask("good"), watched.ask("bad")), (200, 404));
    }
    // And a good one after it is taken.
    watched.configure(named("better"));
    watched.wait_for("the next good one", || watched.ask("better") == 200);
    watched.gateway.assert_unharmed();
}

#[test]
fn limits_remember_across_a_change() {
    let limited = |name: &str, requests: u64, first: bool| {
        let mut configuration = named(name);
        let other = json!({"name": "other", "key": [], "requests": 1000, "window": "1h"});
        let limit = json!({"name": "all", "key": [], "requests": requests, "window": "1h"});
        configuration["limits"] = match first {
            true => json!([limit]),
            false => json!([other, limit]),
        };
        configuration
    };
    let watched = Watched::start("limits", limited("one", 5, true));
    for _ in 0..3 {
        assert_eq!(watched.ask(MODEL), 200);
    }
    watched.configure(limited("two", 6, false));
    // What no limit counts tells that the new one is there.
    let there = |name: &'static str| {
        let path = format!("/v1/models/{name}");
        watched.wait_for("the new limit", || watched.gateway.get(&path).status == 200);
    };
    there("two");
    let statuses: Vec<u16> = (0..5).map(|_| watched.ask(MODEL)).collect();
    assert_eq!(statuses, [200, 200, 200, 429, 429]);
    watched.configure(limited("three", 7, true));
    there("three");
    assert_eq!([watched.ask(MODEL), watched.ask(MODEL)], [200, 429]);
}
