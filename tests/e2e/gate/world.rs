//! One Envoy with a listener for each way to know callers, and behind it a FastAPI and an Express,
//! which tell what they saw.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use harness::envoy::{Bootstrap, Envoy, Launch, free_port};
use harness::process::{Lifetime, Process};
use harness::tools::{NODE_SERVERS, PYTHON_SERVERS};
use harness::{http, sdk, target_dir, wait_for};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::rows::Door;
use super::values::{FULL, NARROW, SPENT};
use crate::support::{GATEWAY_FILTER, LISTENER, ROUTE, at, cluster, shipped};

pub(super) struct World {
    pub(super) envoy: Envoy,
    doors: [(Door, SocketAddr); 3],
    servers: [Server; 2],
}

struct Server {
    address: SocketAddr,
    _process: Process,
}

/// A request as a server saw it.
#[derive(Debug)]
pub(super) struct Seen {
    /// Of the row that it belongs to.
    pub(super) number: Option<usize>,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) headers: Vec<(String, String)>,
    /// What a model was asked for.
    pub(super) served: Option<String>,
    /// All of it, to look for what must not be there.
    pub(super) text: String,
}

impl World {
    pub(super) fn start() -> Self {
        let fastapi = Server::start("fastapi", |file, port| {
            let mut python = sdk::python_with(&PYTHON_SERVERS).unwrap();
            python.arg(file).arg(port);
            python
        });
        let express = Server::start("express", |file, port| {
            let mut node = sdk::node_with(&NODE_SERVERS).unwrap();
            // Modules are found from the file's own folder upwards.
            let script = node.get_current_dir().unwrap().join("express_server.mjs");
            fs::copy(file, &script).unwrap();
            node.arg(script).arg(port);
            node
        });
        let bootstrap = bootstrap(fastapi.address, express.address);
        let envoy = Launch::new(bootstrap).concurrency(2).start().unwrap();
        let door = |door: Door| (door, envoy.address(listener(door)).unwrap());
        let doors = [Door::Closed, Door::Open, Door::Trusted].map(door);
        Self { envoy, doors, servers: [fastapi, express] }
    }

    pub(super) fn address(&self, door: Door) -> SocketAddr {
        self.doors.iter().find(|(known, _)| *known == door).unwrap().1
    }

    /// What the servers saw since they were last asked, by rows.
    pub(super) fn seen(&self) -> (BTreeMap<usize, Vec<Seen>>, Vec<Seen>) {
        let mut of_rows: BTreeMap<usize, Vec<Seen>> = BTreeMap::new();
        let mut of_nobody = Vec::new();
        for server in &self.servers {
            let all = http::get(&format!("http://{}/__seen", server.address)).unwrap();
            for record in all.json().unwrap().as_array().unwrap() {
                let seen = Seen::read(record);
                match seen.number {
                    Some(number) => of_rows.entry(number).or_default().push(seen),
                    None => of_nobody.push(seen),
                }
            }
        }
        (of_rows, of_nobody)
    }
}

impl Seen {
    fn read(record: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let headers = record["headers"].as_array().unwrap();
        let headers: Vec<_> = headers.iter().map(|pair| (text(&pair[0]), text(&pair[1]))).collect();
        let by_header = headers.iter().find(|(name, _)| name == ROW);
        let by_header = by_header.and_then(|(_, value)| value.parse().ok());
        // Of a call that was translated only what is in its body.
        let by_body = || {
            let (_, rest) = record["body"].as_str()?.split_once("row-")?;
            rest.split('-').next()?.parse().ok()
        };
        let number = by_header.or_else(by_body);
        Self {
            number,
            method: text(&record["method"]),
            path: text(&record["path"]),
            headers,
            served: record["served"].as_str().map(str::to_owned),
            text: record.to_string(),
        }
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

impl Server {
    fn start(name: &str, command: impl FnOnce(&str, &str) -> Command) -> Self {
        let (script, ending) = match name {
            "fastapi" => (include_str!("fastapi_server.py"), "py"),
            _ => (include_str!("express_server.mjs"), "mjs"),
        };
        let folder = target_dir().join("tmp");
        fs::create_dir_all(&folder).unwrap();
        let port = free_port();
        let file = folder.join(format!("{name}-{port}.{ending}"));
        fs::write(&file, script).unwrap();
        let log = fs::File::create(file.with_extension("log")).unwrap();
        let mut command = command(file.to_str().unwrap(), &port.to_string());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let mut process = Process::spawn(name, command, Lifetime::Owner).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        wait_for(name, Duration::from_secs(60), || {
            if let Some(status) = process.exited()? {
                let said = fs::read_to_string(file.with_extension("log")).unwrap_or_default();
                anyhow::bail!("{name} ended ({status}): {said}");
            }
            Ok(http::get(&format!("http://{address}/__seen")).ok())
        })
        .unwrap();
        let _ = fs::remove_file(file);
        Self { address, _process: process }
    }
}

fn listener(door: Door) -> &'static str {
    match door {
        Door::Closed => "gateway",
        Door::Open => "open",
        Door::Trusted => "trusted",
    }
}

/// As it is shipped, with five providers, each with a key of its operator's; what is no call and may
/// pass goes to the first.
fn bootstrap(fastapi: SocketAddr, express: SocketAddr) -> Bootstrap {
    let mut bootstrap = shipped(fastapi);
    for (name, api, _) in PROVIDERS {
        let server = if ["exp", "llama"].contains(&name) { express } else { fastapi };
        let auth = match api {
            "anthropic" => json!({"header": "x-api-key", "env": "PROVIDER_KEY"}),
            "gemini" => json!({"header": "x-goog-api-key", "env": "PROVIDER_KEY"}),
            _ => json!({"bearer_env": "PROVIDER_KEY"}),
        };
        let role = json!({"provider": name, "api": api, "auth": auth});
        bootstrap = cluster(bootstrap, name, server, Some(role));
    }
    let route = at(&mut bootstrap, ROUTE);
    let matcher = &mut route["inline_cluster_specifier_plugin"]["extension"]["typed_config"]["cluster_matcher"];
    matcher["on_no_match"]["action"]["typed_config"]["cluster"] = json!("fast");
    let mut doors = Vec::new();
    for door in [Door::Closed, Door::Open, Door::Trusted] {
        let mut filter = at(&mut bootstrap, GATEWAY_FILTER).clone();
        filter["typed_config"]["config"]["configuration"]["value"] = configuration(door);
        let mut copy = at(&mut bootstrap, LISTENER).clone();
        copy["name"] = json!(listener(door));
        let manager = &mut copy["filter_chains"][0]["filters"][0]["typed_config"];
        manager["http_filters"][0] = filter;
        manager["upgrade_configs"] = json!([{"upgrade_type": "websocket"}]);
        doors.push(copy);
    }
    let listeners = at(&mut bootstrap, "/static_resources/listeners").as_array_mut().unwrap();
    listeners.splice(0..1, doors);
    bootstrap
}

fn configuration(door: Door) -> Value {
    let digest = |key: &str| {
        Sha256::digest(key).iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let consumer = |caller: super::rows::Caller| {
        let mut consumer = json!({"name": caller.name});
        if door != Door::Trusted {
            consumer["key_sha256"] = json!(digest(caller.key));
        }
        if caller.name == NARROW.name {
            consumer["models"] = json!(["*-cheap"]);
        }
        consumer
    };
    let models = |name: &str| json!({"models": [format!("{name}-cheap"), format!("{name}-dear")]});
    let providers: BTreeMap<_, _> = PROVIDERS.map(|(name, ..)| (name, models(name))).into();
    let mut configuration = json!({
        "providers": providers,
        "consumers": [consumer(FULL), consumer(NARROW), consumer(SPENT)],
        "limits": [{"name": "once", "key": ["consumer"], "consumers": ["spent"], "requests": 1, "window": "31d"}],
        "log": {"requests": "all"},
    });
    match door {
        Door::Closed => configuration["auth"] = json!({"mode": "required"}),
        Door::Open => {
            configuration["auth"] = json!({"mode": "required"});
            configuration["unmatched"] = json!("pass");
        }
        Door::Trusted => configuration["consumer_header"] = json!("x-consumer"),
    }
    configuration
}

/// Providers, their protocols, and the header of their keys.
pub(super) const PROVIDERS: [(&str, &str, &str); 5] = [
    ("fast", "openai", "authorization"),
    ("exp", "openai", "authorization"),
    ("claude", "anthropic", "x-api-key"),
    ("google", "gemini", "x-goog-api-key"),
    ("llama", "ollama", "authorization"),
];

/// By which a server's records are known.
pub(super) const ROW: &str = "x-row";
