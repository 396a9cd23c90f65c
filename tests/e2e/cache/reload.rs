//! What is stored belongs to the process: it outlives the configuration under which it was stored.

use std::fs;
use std::path::Path;
use std::time::Duration;

use harness::envoy::{Bootstrap, Envoy};
use harness::wire::{Answer, Request};
use harness::{target_dir, wait_for};
use serde_json::{Value, json};

use super::{PATIENCE, STORED, WORKERS, is_hit};
use crate::reload::{Watched, named};
use crate::support::{CHAT, Gateway, LISTENER, MODEL, at, chat, streamed};

fn named_with(name: &str, cache: &Value) -> Value {
    let mut configuration = named(name);
    configuration["cache"] = cache.clone();
    configuration
}

/// Both forms, and a long one.
fn requests() -> [Request; 3] {
    [
        Request::post(CHAT, &chat("kept")),
        Request::post(CHAT, &streamed(chat("kept as a stream"))),
        Request::post(CHAT, &chat("kept and long")).header("x-sim", "size=100000"),
    ]
}

fn stored(gateway: &Gateway) -> Vec<Answer> {
    let stored = |request: &Request| {
        let (status, answer) = gateway.asked(request);
        assert!(["fwd=miss", STORED].contains(&status.as_str()), "{status}");
        answer
    };
    requests().iter().map(stored).collect()
}

/// Whichever worker serves them.
fn assert_kept(gateway: &Gateway, stored: &[Answer]) {
    for (request, stored) in requests().iter().zip(stored) {
        for _ in 0..10 {
            let (status, hit) = gateway.asked(request);
            assert!(is_hit(&status), "{status}");
            assert_eq!(hit.body, stored.body);
        }
    }
    assert_eq!(gateway.model.total(), stored.len());
    gateway.assert_unharmed();
}

#[test]
fn entries_survive_a_new_configuration_of_the_filter() {
    let cache = json!({"ttl": "1h"});
    let watched = Watched::start_with(WORKERS, "cache", named_with("first", &cache));
    let gateway = &watched.gateway;
    let answers = stored(gateway);
    for (old, name) in [("first", "second"), ("second", "third")] {
        // Everything about it is new but the places of the table.
        let mut next = named_with(name, &json!({"ttl": "30m", "single_flight_wait": "1s"}));
        next["limits"] =
            json!([{"name": name, "key": ["model"], "requests": 100_000, "window": "1h"}]);
        next["providers"]["other"] = json!({"cluster": "local", "models": ["another"]});
        watched.configure(next);
        watched.wait_for("the next configuration", || {
            let there = |name: &str| gateway.get(&format!("/v1/models/{name}")).status;
            (there(name), there(old)) == (200, 404)
        });
        assert_kept(gateway, &answers);
    }
    // One that is stricter holds for what is there already.
    watched.configure(named_with("strict", &json!({"ttl": "1ms"})));
    watched.wait_for("the strict one", || gateway.get("/v1/models/strict").status == 200);
    assert!(!is_hit(&gateway.asked(&requests()[0]).0));
}

#[test]
fn entries_survive_a_new_listener() {
    let dir = target_dir().join("e2e").join(format!("lds-{}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    let file = dir.join("listeners.json");
    let mut listener = Value::Null;
    let gateway = Gateway::launched(
        |bootstrap| {
            let cache = |configuration: &mut Value| configuration["cache"] = json!({"ttl": "1h"});
            let mut bootstrap = bootstrap.configure("gateway", cache).unwrap();
            listener = take_listener(&mut bootstrap, &file);
            write(&file, &listener);
            bootstrap
        },
        |launch| launch.concurrency(WORKERS),
    );
    let answers = stored(&gateway);
    let modified = |envoy: &Envoy| {
        let manager = envoy.admin().stats("listener_manager.listener_(modified|in_place)").unwrap();
        manager.values().sum::<u64>()
    };
    for version in 1..=2 {
        let mut next = Bootstrap(json!({"static_resources": {"listeners": [listener]}}));
        let name = format!("version-{version}");
        next = next
            .configure("gateway", |configuration| {
                configuration["models"] = json!({&name: [{"provider": "local", "model": MODEL}]});
            })
            .unwrap();
        write(&file, at(&mut next, LISTENER));
        let path = format!("/v1/models/{name}");
        let mut in_a_row = 0;
        wait_for("the new listener", PATIENCE, || {
            let there = Request::get(&path).patience(Duration::from_secs(5)).send(gateway.address);
            let there = there.is_ok_and(|answer| answer.status == 200);
            in_a_row = if there { in_a_row + 1 } else { 0 };
            Ok((in_a_row == 20).then_some(()))
        })
        .unwrap();
        assert!(modified(&gateway.envoy) >= version);
        assert_kept(&gateway, &answers);
    }
}

/// Has Envoy take the gateway's listener from the file; returns the listener.
fn take_listener(bootstrap: &mut Bootstrap, file: &Path) -> Value {
    let listeners = at(bootstrap, "/static_resources/listeners").as_array_mut().unwrap();
    let listener = listeners.remove(0);
    bootstrap.0["node"] = json!({"id": "test", "cluster": "test"});
    bootstrap.0["dynamic_resources"] = json!({"lds_config": {
        "path_config_source": {"path": file, "watched_directory": {"path": file.parent()}},
    }});
    listener
}

/// Puts a new file in the place of the old one in one step.
fn write(file: &Path, listener: &Value) {
    let mut listener = listener.clone();
    listener["@type"] = json!("type.googleapis.com/envoy.config.listener.v3.Listener");
    let new = file.with_extension("new");
    fs::write(&new, json!({"resources": [listener]}).to_string()).unwrap();
    fs::rename(new, file).unwrap();
}
