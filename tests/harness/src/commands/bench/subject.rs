//! What is measured: the shipped Envoy configuration with another filter in the gateway's place.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::upstream::{self, MODEL, ORDER, Order};
use crate::envoy::{Bootstrap, Envoy, Launch};
use crate::{process, root, target_dir, wasm};

/// One configuration of Envoy.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    pub(super) name: String,
    filter: Filter,
    /// The provider role for a server that speaks this.
    pub(super) api: Option<&'static str>,
}

#[derive(Clone, Debug)]
enum Filter {
    /// A proxy and no more.
    Nothing,
    /// A wasm filter that does nothing.
    NoOp,
    /// What Envoy itself has for LLM traffic, in C++: it parses the request, and reads the usage.
    AiProtocolManager,
    /// The gateway with this configuration.
    Gateway(Value),
    /// No proxy either: Envoy reads the request and answers itself what upstream would.
    DirectResponse { sizes: Vec<usize>, noop: bool },
}

impl Subject {
    pub(super) fn bare() -> Self {
        Self { name: "bare Envoy".into(), filter: Filter::Nothing, api: None }
    }

    pub(super) fn noop() -> Self {
        Self { name: "no-op wasm filter".into(), filter: Filter::NoOp, api: None }
    }

    pub(super) fn ai_protocol_manager() -> Self {
        Self { name: "ai_protocol_manager".into(), filter: Filter::AiProtocolManager, api: None }
    }

    /// Answers itself what was ordered in one of these sizes.
    pub(super) fn direct_response(sizes: &[usize]) -> Self {
        let filter = Filter::DirectResponse { sizes: sizes.to_vec(), noop: false };
        Self { name: "bare Envoy, direct_response".into(), filter, api: None }
    }

    /// The same behind a wasm filter that does nothing.
    pub(super) fn noop_direct_response(sizes: &[usize]) -> Self {
        let filter = Filter::DirectResponse { sizes: sizes.to_vec(), noop: true };
        Self { name: "no-op wasm filter, direct_response".into(), filter, api: None }
    }

    pub(super) fn gateway() -> Self {
        Self::gateway_with("gateway", json!({}))
    }

    /// The gateway with further keys in its configuration.
    pub(super) fn gateway_with(name: &str, extra: Value) -> Self {
        let mut configuration = json!({
            "providers": { CLUSTER: { "models": [MODEL] } },
            "max_request_bytes": "4MiB",
        });
        if let (Some(all), Value::Object(extra)) = (configuration.as_object_mut(), extra) {
            all.extend(extra);
        }
        Self { name: name.into(), filter: Filter::Gateway(configuration), api: None }
    }

    /// The gateway in both of its roles.
    pub(super) fn provider(name: &str, api: &'static str) -> Self {
        Self { api: Some(api), ..Self::gateway_with(name, json!({})) }
    }

    /// The gateway's, where it is one.
    pub(super) fn configuration(&self) -> Option<&Value> {
        match &self.filter {
            Filter::Gateway(configuration) => Some(configuration),
            _ => None,
        }
    }

    pub(super) fn is_gateway(&self) -> bool {
        self.configuration().is_some()
    }

    /// An Envoy with one worker, on a processor of its own where there are several.
    pub(super) fn start(&self, upstream: SocketAddr) -> Result<Running> {
        let envoy = Launch::new(self.bootstrap(upstream)?)
            .log_level("warning")
            .start()
            .with_context(|| format!("{} does not start", self.name))?;
        process::pin(envoy.pid(), ENVOY_CPU)?;
        let address = envoy.address(LISTENER)?;
        Ok(Running { subject: self.clone(), envoy, address })
    }

    fn bootstrap(&self, upstream: SocketAddr) -> Result<Bootstrap> {
        let mut bootstrap = Bootstrap::read(&root().join("envoy/envoy.yaml"))?
            .any_ports()
            .endpoint(CLUSTER, upstream)?;
        if let Some(configuration) = self.configuration() {
            bootstrap = bootstrap
                .module(wasm::module()?)
                .configure("gateway", |value| *value = configuration.clone())?;
        } else {
            for cluster in items(&mut bootstrap.0, "/static_resources/clusters")? {
                cluster
                    .as_object_mut()
                    .context("a cluster")?
                    .remove("typed_extension_protocol_options");
            }
        }
        if let Some(api) = self.api {
            add_provider_role(&mut bootstrap.0, api)?;
        }
        let listeners = items(&mut bootstrap.0, "/static_resources/listeners")?;
        listeners.retain(|listener| listener["name"] == LISTENER);
        let manager = listeners
            .first_mut()
            .and_then(|listener| listener.pointer_mut("/filter_chains/0/filters/0/typed_config"))
            .context("no connection manager in envoy/envoy.yaml")?;
        // What a line of the access log costs depends on its format, not on the filter.
        manager.as_object_mut().context("no object")?.remove("access_log");
        let filters = items(manager, "/http_filters")?;
        let gateway = filters.iter().position(|filter| filter["name"] == "llm_gateway");
        let place = gateway.context("no llm_gateway in envoy/envoy.yaml")?;
        match &self.filter {
            Filter::Gateway(_) => {}
            Filter::Nothing => drop(filters.remove(place)),
            Filter::NoOp => filters[place] = noop()?,
            Filter::DirectResponse { sizes, noop: with_noop } => {
                // Without it Envoy would answer before it has the request, and then hang up.
                filters[place] = json!({
                    "name": "envoy.filters.http.buffer",
                    "typed_config": { "@type": BUFFER_TYPE, "max_request_bytes": 4 << 20 },
                });
                if *with_noop {
                    filters.insert(place, noop()?);
                }
                let config = manager.pointer_mut("/route_config").context("no route_config")?;
                config["max_direct_response_body_size_bytes"] = sizes.iter().max().copied().into();
                let routes: Vec<Value> = sizes.iter().map(|size| direct_response(*size)).collect();
                config["virtual_hosts"][0]["routes"] = routes.into();
            }
            Filter::AiProtocolManager => {
                filters[place] = ai_protocol_manager();
                let routes = items(manager, "/route_config/virtual_hosts/0/routes")?;
                for route in routes {
                    route["typed_per_filter_config"] = json!({ AI_PROTOCOL_MANAGER: {
                        "@type": format!("{AI_PROTOCOL_MANAGER_TYPE}PerRoute"),
                        "request": { "llm_protocol": "OPENAI_CHAT_COMPLETIONS" },
                    }});
                }
            }
        }
        Ok(bootstrap)
    }
}

/// Puts the filter, as the listener has it, into the cluster.
fn add_provider_role(bootstrap: &mut Value, api: &str) -> Result<()> {
    let pointer =
        "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters/0";
    let mut filter = bootstrap.pointer(pointer).context("no filter in envoy/envoy.yaml")?.clone();
    let config = &mut filter["typed_config"]["config"];
    config["name"] = "llm_provider".into();
    config["root_id"] = "provider".into();
    config["configuration"]["value"] = json!({"provider": CLUSTER, "api": api});
    let clusters = items(bootstrap, "/static_resources/clusters")?;
    let cluster = clusters.iter_mut().find(|cluster| cluster["name"] == CLUSTER);
    cluster.context("no cluster in envoy/envoy.yaml")?["typed_extension_protocol_options"] = json!({
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": {"http_protocol_options": {}},
            "http_filters": [filter, {
                "name": "envoy.filters.http.upstream_codec",
                "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec"},
            }],
        },
    });
    Ok(())
}

/// A [`Subject`] that answers.
pub(super) struct Running {
    pub(super) subject: Subject,
    pub(super) envoy: Envoy,
    pub(super) address: SocketAddr,
}

impl Running {
    /// Processor time used so far.
    pub(super) fn cpu(&self) -> Result<Duration> {
        process::cpu_time(self.envoy.pid())
    }
}

/// Puts this process, which is load and upstream, where it does not disturb Envoy.
pub(super) fn pin_load() -> Result<()> {
    process::pin(std::process::id(), LOAD_CPU)
}

fn direct_response(size: usize) -> Value {
    let order = Order::Sized(size).header(0);
    let json = json!({"key": "content-type", "value": "application/json"});
    json!({
        "match": {
            "prefix": "/",
            "headers": [{"name": ORDER, "string_match": {"exact": order}}],
        },
        "direct_response": {
            "status": 200,
            "body": {"inline_string": String::from_utf8_lossy(&upstream::sized(size))},
        },
        "response_headers_to_add": [
            {"header": json, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"},
        ],
    })
}

fn noop() -> Result<Value> {
    let file = noop_module()?;
    Ok(json!({
        "name": "noop",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
            "config": {
                "name": "noop",
                "root_id": "noop",
                "vm_config": {
                    "vm_id": "noop",
                    "runtime": "envoy.wasm.runtime.v8",
                    "code": { "local": { "filename": file } },
                },
            },
        },
    }))
}

fn noop_module() -> Result<PathBuf> {
    let module = wat::parse_str(include_str!("noop.wat"))?;
    let dir = target_dir().join("bench");
    fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let file = dir.join("noop.wasm");
    fs::write(&file, module).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(file)
}

fn ai_protocol_manager() -> Value {
    json!({
        "name": AI_PROTOCOL_MANAGER,
        "typed_config": {
            "@type": AI_PROTOCOL_MANAGER_TYPE,
            "request_handling": {},
            "response_handling": { "token_usage": {
                "include_unconfigured_routes": true,
                "default_llm_protocol": "OPENAI_CHAT_COMPLETIONS",
            }},
        },
    })
}

fn items<'a>(value: &'a mut Value, pointer: &str) -> Result<&'a mut Vec<Value>> {
    let found = value.pointer_mut(pointer).and_then(Value::as_array_mut);
    found.with_context(|| format!("no list {pointer} in envoy/envoy.yaml"))
}

const LISTENER: &str = "gateway";
const CLUSTER: &str = "local";
const ENVOY_CPU: usize = 0;
const LOAD_CPU: usize = 1;
const AI_PROTOCOL_MANAGER: &str = "envoy.filters.http.ai_protocol_manager";
const BUFFER_TYPE: &str = "type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer";
const AI_PROTOCOL_MANAGER_TYPE: &str =
    "type.googleapis.com/envoy.extensions.filters.http.ai_protocol_manager.v3.AiProtocolManager";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_noop_module_is_valid_wasm() {
        assert!(wat::parse_str(include_str!("noop.wat")).unwrap().starts_with(b"\0asm"));
    }

    #[test]
    fn every_subject_differs_from_the_shipped_configuration_by_one_filter() {
        let upstream = ([127, 0, 0, 1], 1).into();
        let filters = |subject: &Subject| {
            let mut bootstrap = subject.bootstrap(upstream).unwrap().0;
            let pointer =
                "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters";
            items(&mut bootstrap, pointer)
                .unwrap()
                .iter()
                .map(|filter| filter["name"].clone())
                .collect::<Vec<_>>()
        };
        let bare = filters(&Subject::bare());
        for (subject, name) in
            [(Subject::noop(), "noop"), (Subject::ai_protocol_manager(), AI_PROTOCOL_MANAGER)]
        {
            let mut found = filters(&subject);
            assert_eq!(found.remove(found.len() - bare.len() - 1), name);
            assert_eq!(found, bare);
        }
    }
}
