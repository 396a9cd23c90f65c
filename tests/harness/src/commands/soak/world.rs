//! Two Envoys in front of the same two model servers, of which one dies and comes back.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::envoy::{Bootstrap, Envoy, Launch, free_port};
use crate::model_server::{ModelServer, Options};
use crate::{target_dir, wait_for, wasm};

pub(super) struct World {
    gateway: Envoy,
    bare: Envoy,
    addresses: [SocketAddr; 2],
    _steady: ModelServer,
    dying: Mutex<Option<ModelServer>>,
    dying_port: u16,
    /// Odd while the server that dies is away; another number after each change.
    epoch: AtomicU64,
    filter: PathBuf,
}

/// What was done to them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Events {
    pub(super) configurations: u32,
    pub(super) deaths: u32,
}

impl World {
    pub(super) fn start() -> Result<Self> {
        let steady = ModelServer::start(options(0))?;
        let dying_port = free_port();
        let dying = ModelServer::start(options(dying_port))?;
        let dir = target_dir().join("soak").join(std::process::id().to_string());
        fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
        let filter = dir.join("filter.json");
        write(&filter, &configuration(0))?;
        let servers = [steady.address(), dying.address()];
        let launch = |name: &str, text: String| {
            let bootstrap = Bootstrap::parse(&text)?.any_ports().module(wasm::module()?);
            let bootstrap =
                bootstrap.endpoint("steady", servers[0])?.endpoint("dying", servers[1])?;
            Launch::new(bootstrap).concurrency(2).log_level("error").dir(dir.join(name)).start()
        };
        let gateway = launch("gateway", with_gateway(&filter))?;
        let bare = launch("bare", without_gateway())?;
        let addresses = [gateway.address("gateway")?, bare.address("gateway")?];
        let dying = Mutex::new(Some(dying));
        let epoch = AtomicU64::new(0);
        Ok(Self { gateway, bare, addresses, _steady: steady, dying, dying_port, epoch, filter })
    }

    /// Of the gateway and of the bare Envoy.
    pub(super) fn addresses(&self) -> [SocketAddr; 2] {
        self.addresses
    }

    /// Odd: the server that dies is away.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::SeqCst)
    }

    /// New configurations, and deaths, until `stop`.
    pub(super) fn disturb(&self, stop: &AtomicBool) -> Result<Events> {
        let mut events = Events::default();
        let begun = Instant::now();
        let is_time = |times: u32, every: Duration| begun.elapsed() > every * (times + 1);
        while !stop.load(Ordering::Relaxed) {
            if is_time(events.configurations, RELOAD) {
                events.configurations += 1;
                write(&self.filter, &configuration(events.configurations))?;
            }
            if is_time(events.deaths, DEATH) {
                events.deaths += 1;
                self.kill(stop)?;
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(events)
    }

    /// Its connections break; for a while nobody listens there.
    fn kill(&self, stop: &AtomicBool) -> Result<()> {
        let mut place = self.dying.lock().unwrap_or_else(|broken| broken.into_inner());
        self.epoch.fetch_add(1, Ordering::SeqCst);
        drop(place.take());
        let away = Instant::now();
        while away.elapsed() < AWAY && !stop.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(20));
        }
        // The port is free again when its last connection is gone.
        let back = wait_for("the server's port", Duration::from_secs(60), || {
            Ok(ModelServer::start(options(self.dying_port)).ok())
        })?;
        *place = Some(back);
        // Connections that Envoy still takes for good are found out by their next use.
        thread::sleep(Duration::from_millis(500));
        self.epoch.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    /// Resident MiB of the gateway's Envoy and of the bare one.
    pub(super) fn memory(&self) -> Result<[f64; 2]> {
        let of = |envoy: &Envoy| -> Result<f64> {
            Ok(envoy.usage()?.resident_bytes as f64 / f64::from(1 << 20))
        };
        Ok([of(&self.gateway)?, of(&self.bare)?])
    }

    pub(super) fn vm_reloads(&self) -> Result<u64> {
        Ok(self.gateway.admin().stats("vm_reload")?.values().sum())
    }

    pub(super) fn logs(&self) -> String {
        self.gateway.log_path().display().to_string()
    }
}

fn options(port: u16) -> Options {
    Options { port, ..Options::default() }
}

/// Each is another one; every third is refused, and the one before stays in force.
fn configuration(number: u32) -> Value {
    let mut configuration = json!({
        "providers": {"steady": {"models": ["sim-*"]}, "dying": {"models": ["sim-*"]}},
        "models": {"both": [
            {"provider": "dying", "model": "sim-model"},
            {"provider": "steady", "model": "sim-model", "priority": 1},
        ]},
        "limits": [{"name": "wide", "key": ["client_ip"], "requests": 1_000_000_000, "tokens": 1_000_000_000_000_u64, "window": "1d"}],
        "cache": {"ttl": format!("{}s", 20 + number % 7), "max_entries": 256},
    });
    if number % 3 == 2 {
        configuration["limits"][0]["window"] = json!("3 elephants");
    }
    configuration
}

/// In one step, as a mounted ConfigMap is changed.
fn write(file: &Path, configuration: &Value) -> Result<()> {
    let mut filter = plugin("gateway", "gateway");
    filter["config"]["configuration"]["value"] = configuration.clone();
    let response = json!({"resources": [{
        "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
        "name": "llm_gateway",
        "typed_config": filter,
    }]});
    let new = file.with_extension("new");
    fs::write(&new, response.to_string())?;
    fs::rename(new, file).with_context(|| format!("cannot write {}", file.display()))
}

fn plugin(name: &str, root_id: &str) -> Value {
    let module = wasm::module().map(|path| path.display().to_string()).unwrap_or_default();
    json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
        "config": {
            "name": name,
            "root_id": root_id,
            "allow_on_headers_stop_iteration": true,
            "failure_policy": "FAIL_RELOAD",
            "reload_config": {"backoff": {"base_interval": "0.1s", "max_interval": "1s"}},
            "vm_config": {"vm_id": "llm-gateway", "runtime": "envoy.wasm.runtime.v8", "code": {"local": {"filename": module}}},
            "configuration": {"@type": "type.googleapis.com/google.protobuf.Struct", "value": {}},
        },
    })
}

fn without_gateway() -> String {
    ENVOY
        .replace("FILTER", "")
        .replace("SPECIFIER", "cluster_header: x-to")
        .replace("ROLE-steady", "")
        .replace("ROLE-dying", "")
}

fn with_gateway(filter: &Path) -> String {
    let folder = filter.parent().unwrap_or(filter).display();
    let discovered = format!(
        "- {{name: llm_gateway, config_discovery: {{config_source: {{path_config_source: {{path: {}, watched_directory: {{path: {folder}}}}}}}, type_urls: [type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm]}}}}",
        filter.display(),
    );
    let role = |provider: &str| {
        let mut filter = plugin("provider", "provider");
        filter["config"]["configuration"]["value"] = json!({"provider": provider, "api": "openai"});
        let filters = json!([
            {"name": "llm_provider", "typed_config": filter},
            {"name": "envoy.filters.http.upstream_codec", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec"}},
        ]);
        format!("http_filters: {filters}")
    };
    let names = ["steady", "dying"].map(|name| format!("{name}: {{action: {{name: {name}, typed_config: {{\"@type\": type.googleapis.com/envoy.extensions.router.cluster_specifiers.matcher.v3.ClusterAction, cluster: {name}}}}}}}"));
    ENVOY
        .replace("FILTER", &discovered)
        .replace("SPECIFIER", &MATCHER.replace("NAMES", &names.join(", ")))
        .replace("ROLE-steady", &role("steady"))
        .replace("ROLE-dying", &role("dying"))
}

const MATCHER: &str = "inline_cluster_specifier_plugin: {extension: {name: envoy.router.cluster_specifier_plugin.matcher, typed_config: {\"@type\": type.googleapis.com/envoy.extensions.router.cluster_specifiers.matcher.v3.MatcherClusterSpecifier, cluster_matcher: {matcher_tree: {input: {name: llm_cluster, typed_config: {\"@type\": type.googleapis.com/envoy.extensions.matching.common_inputs.network.v3.FilterStateInput, key: wasm.llm_cluster}}, exact_match_map: {map: {NAMES}}}}}}}";

/// Both retry what never reached a server.
const ENVOY: &str = r#"
node: {id: soak, cluster: soak}
admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}
static_resources:
  listeners:
  - name: gateway
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: gateway
          use_remote_address: true
          preserve_external_request_id: true
          stream_idle_timeout: 60s
          http_filters:
          FILTER
          - {name: envoy.filters.http.router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              request_body_buffer_limit: 8388608
              routes:
              - match: {prefix: /}
                route:
                  timeout: 0s
                  SPECIFIER
                  retry_policy: {retry_on: "connect-failure,refused-stream,reset-before-request", num_retries: 1, refresh_cluster_on_retry: true}
  clusters:
  - name: steady
    connect_timeout: 2s
    circuit_breakers: {thresholds: [{retry_budget: {budget_percent: {value: 50}, min_retry_concurrency: 100}}]}
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {http_protocol_options: {}}
        ROLE-steady
  - name: dying
    connect_timeout: 2s
    circuit_breakers: {thresholds: [{retry_budget: {budget_percent: {value: 50}, min_retry_concurrency: 100}}]}
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {http_protocol_options: {}}
        ROLE-dying
"#;

const RELOAD: Duration = Duration::from_secs(10);
const DEATH: Duration = Duration::from_secs(17);
const AWAY: Duration = Duration::from_secs(3);
