//! `ecds.yaml`: the gateway's configuration changes while requests are running.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use harness::envoy::{Envoy, Launch};
use harness::model_server::ModelServer;
use harness::wire::{Answer, Request};
use harness::{wait_for, wasm};

use super::{CHAT, chat, fresh_dir, model_server, recipe, replace_file, text};
use crate::support::streamed;

#[test]
fn a_new_configuration_takes_over_without_a_lost_request() {
    let running = Running::start();
    let request = streamed(chat("fast", "a slow answer"));
    let slow = Request::post(CHAT, &request).header("x-sim", "tokens=40; pause=50");
    let mut slow = slow.open(running.address).unwrap();
    slow.wait_for("data: ").unwrap();

    let done = AtomicBool::new(false);
    let statuses = thread::scope(|scope| {
        let ask = || {
            let mut statuses = Vec::new();
            while !done.load(Ordering::Relaxed) {
                statuses.push(running.ask("fast"));
            }
            statuses
        };
        let clients = [scope.spawn(ask), scope.spawn(ask)];
        // Also when something fails here.
        let end = Defer(|| done.store(true, Ordering::Relaxed));
        for name in ["second", "third"] {
            assert_eq!(running.ask(name), 404);
            running.write(&and_also(name));
            running.wait_for_model(name);
        }
        drop(end);
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect::<Vec<_>>()
    });
    assert!(statuses.len() > 10, "{statuses:?}");
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    assert_eq!(running.ask("second"), 404, "what is not in the file any more is gone");

    let answer = slow.rest().unwrap();
    assert!(answer.complete && answer.text().ends_with("data: [DONE]\n\n"), "{}", answer.text());
    assert_eq!(running.envoy.admin().stat("listener_manager.listener_modified").unwrap(), 0);
}

#[test]
fn a_bad_configuration_is_refused_with_its_mistake_and_the_old_one_goes_on() {
    let running = Running::start();
    assert_eq!(running.ask("fast"), 200);
    running.write(&text("ecds/gateway.yaml").replace("requests: 600", "requests: many"));
    running.envoy.wait_for_log("limits[0].requests").unwrap();
    assert_eq!(running.ask("fast"), 200);
    running.write("resources: [");
    running.write(&text("ecds/gateway.yaml").replace("fast:", "swift:"));
    running.wait_for_model("swift");
    assert_eq!(running.ask("fast"), 404);
}

#[test]
fn limits_remember_over_a_change() {
    let running = Running::start();
    // Without a refill that would count here.
    let daily = text("ecds/gateway.yaml").replace("window: 1m", "window: 1d");
    running.write(&daily.replace("fast:", "first:"));
    running.wait_for_model("first");
    let before = running.remaining("first");
    running.write(&daily.replace("fast:", "second:"));
    running.wait_for_model("second");
    let after = running.remaining("second");
    assert!(after < before, "{after} of {before}");
}

/// The recipe with its file in a folder of its own.
struct Running {
    envoy: Envoy,
    address: SocketAddr,
    file: PathBuf,
    _model: ModelServer,
}

impl Running {
    fn start() -> Self {
        let file = fresh_dir().join("gateway.yaml");
        write(&file, &text("ecds/gateway.yaml"));
        let bootstrap =
            text("ecds.yaml").replace("envoy/ecds/gateway.yaml", &file.display().to_string());
        let model = model_server();
        let bootstrap = recipe(&bootstrap).endpoint("local", model.address()).unwrap();
        let envoy = Launch::new(bootstrap).concurrency(2).start().unwrap();
        let address = envoy.address("gateway").unwrap();
        Self { envoy, address, file, _model: model }
    }

    fn write(&self, text: &str) {
        write(&self.file, text);
    }

    fn ask(&self, model: &str) -> u16 {
        self.send(model).status
    }

    fn remaining(&self, model: &str) -> u64 {
        let answer = self.send(model);
        answer.header("x-ratelimit-remaining-requests").unwrap().parse().unwrap()
    }

    fn send(&self, model: &str) -> Answer {
        Request::post(CHAT, &chat(model, "Hello")).send(self.address).unwrap()
    }

    /// Every worker has to know it: each connection may meet another one.
    fn wait_for_model(&self, model: &str) {
        let mut in_a_row = 0;
        wait_for("the new configuration", Duration::from_secs(60), || {
            in_a_row = if self.ask(model) == 200 { in_a_row + 1 } else { 0 };
            Ok((in_a_row == 20).then_some(()))
        })
        .unwrap();
    }
}

/// Runs when it is dropped.
struct Defer<F: Fn()>(F);

impl<F: Fn()> Drop for Defer<F> {
    fn drop(&mut self) {
        self.0();
    }
}

/// One more name for the same model.
fn and_also(name: &str) -> String {
    let entry = "fast:\n            - {provider: local, model: \"llama3.2:1b\"}\n";
    let text = text("ecds/gateway.yaml");
    assert!(text.contains(entry));
    text.replace(entry, &format!("{entry}            {}", entry.replace("fast", name)))
}

fn write(file: &Path, text: &str) {
    let module = wasm::module().unwrap().display().to_string();
    replace_file(file, &text.replace("target/wasm32-wasip1/release/llm_gateway.wasm", &module));
}
