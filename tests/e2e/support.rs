//! What every topic needs: the shipped configuration with the built filter, in front of the model
//! server.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use bytes::Bytes;
use harness::envoy::{Bootstrap, Envoy, Launch};
use harness::model_server::{ModelServer, Options};
use harness::wasm::Toolchain;
use harness::wire::{Answer, Request};
use harness::{root, wasm};
use http_body_util::{BodyExt as _, Full};
use hyper::HeaderMap;
use hyper_util::rt::{TokioExecutor, TokioIo};
use llm_gateway::host::contract;
use serde_json::{Value, json};

pub(crate) const CHAT: &str = "/v1/chat/completions";
pub(crate) const MODEL: &str = "sim-model";

/// An Envoy with the gateway, and the model server behind it.
pub(crate) struct Gateway {
    pub(crate) envoy: Envoy,
    pub(crate) model: ModelServer,
    pub(crate) address: SocketAddr,
}

impl Gateway {
    /// As it is shipped, on free ports.
    pub(crate) fn start() -> Self {
        Self::adapted(|bootstrap| bootstrap)
    }

    /// With a change of the gateway's configuration.
    pub(crate) fn configured(edit: impl FnMut(&mut Value)) -> Self {
        Self::adapted(|bootstrap| bootstrap.configure("gateway", edit).unwrap())
    }

    /// With a change of Envoy's.
    pub(crate) fn adapted(adapt: impl FnOnce(Bootstrap) -> Bootstrap) -> Self {
        Self::launched(adapt, |launch| launch)
    }

    pub(crate) fn launched(
        adapt: impl FnOnce(Bootstrap) -> Bootstrap,
        launch: impl FnOnce(Launch) -> Launch,
    ) -> Self {
        let model = model_server();
        let bootstrap = adapt(shipped(model.address()));
        let envoy = launch(Launch::new(bootstrap)).start().unwrap();
        let address = envoy.address("gateway").unwrap();
        Self { envoy, model, address }
    }

    pub(crate) fn send(&self, request: &Request) -> Answer {
        request.send(self.address).unwrap()
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send(&Request::get(path))
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(&Request::post(path, body))
    }

    /// A request that tells the model server what to do.
    pub(crate) fn told(&self, controls: &str, path: &str, body: &Value) -> Answer {
        self.send(&Request::post(path, body).header("x-sim", controls))
    }

    /// No request has harmed a worker.
    pub(crate) fn assert_unharmed(&self) {
        let reloads = self.envoy.admin().stats("vm_reload").unwrap();
        assert!(!reloads.is_empty() && reloads.values().all(|count| *count == 0), "{reloads:?}");
    }

    /// How many requests went to a cluster.
    pub(crate) fn sent_to(&self, cluster: &str) -> u64 {
        self.envoy.admin().stat(&format!("cluster.{cluster}.upstream_rq_total")).unwrap()
    }

    /// The access log's entry of an answer.
    pub(crate) fn logged(&self, answer: &Answer) -> Value {
        let id = answer.header("x-request-id").expect("a request id");
        self.logged_as(id)
    }

    pub(crate) fn logged_as(&self, id: &str) -> Value {
        self.envoy.access_log_entry(|entry| entry["request_id"] == id).unwrap()
    }
}

pub(crate) fn model_server() -> ModelServer {
    ModelServer::start(Options::default()).unwrap()
}

/// The shipped bootstrap with the built filter in front of `model`.
pub(crate) fn shipped(model: SocketAddr) -> Bootstrap {
    let shipped = Bootstrap::read(&root().join("envoy/envoy.yaml")).unwrap();
    let shipped = shipped.any_ports().endpoint("local", model).unwrap();
    let models = |configuration: &mut Value| {
        configuration["providers"]["local"]["models"] = json!([MODEL, "sim-embedding"]);
    };
    shipped.module(wasm::module().unwrap()).configure("gateway", models).unwrap()
}

/// One more cluster that the gateway can choose; with the provider role if `role` configures it,
/// where `PROVIDER_KEY` is `key-of-NAME`.
pub(crate) fn cluster(
    mut bootstrap: Bootstrap,
    name: &str,
    server: SocketAddr,
    role: Option<Value>,
) -> Bootstrap {
    let mut action = at(&mut bootstrap, EXACT_MATCHES)["local"].clone();
    action["action"]["typed_config"]["cluster"] = json!(name);
    at(&mut bootstrap, EXACT_MATCHES)[name] = action;
    let mut filter = at(&mut bootstrap, GATEWAY_FILTER).clone();
    let clusters = at(&mut bootstrap, "/static_resources/clusters").as_array_mut().unwrap();
    let mut added = clusters[0].clone();
    added["name"] = json!(name);
    if let Some(mut role) = role {
        // What tells the model server what to do has to reach it, translated or not.
        if let Some(role) = role.as_object_mut() {
            role.entry("forward_headers").or_insert(json!(["x-sim", format!("x-sim-{name}")]));
        }
        let config = &mut filter["typed_config"]["config"];
        config["root_id"] = json!("provider");
        config["vm_config"]["environment_variables"] =
            json!({"key_values": {"PROVIDER_KEY": format!("key-of-{name}")}});
        config["configuration"]["value"] = role;
        added["typed_extension_protocol_options"] = json!({
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {"http_protocol_options": {}},
                "http_filters": [filter, {
                    "name": "envoy.filters.http.upstream_codec",
                    "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec"},
                }],
            },
        });
    }
    clusters.push(added);
    bootstrap.endpoint(name, server).unwrap()
}

/// A part of the shipped bootstrap that is there.
pub(crate) fn at<'a>(bootstrap: &'a mut Bootstrap, pointer: &str) -> &'a mut Value {
    bootstrap.0.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer}"))
}

/// The virtual host of the gateway's listener.
pub(crate) fn virtual_host(bootstrap: &mut Bootstrap) -> &mut Value {
    at(bootstrap, VIRTUAL_HOST)
}

pub(crate) const LISTENER: &str = "/static_resources/listeners/0";
pub(crate) const GATEWAY_FILTER: &str =
    "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters/0";
const VIRTUAL_HOST: &str = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/route_config/virtual_hosts/0";
pub(crate) const ROUTE: &str = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/route_config/virtual_hosts/0/routes/0/route";
const EXACT_MATCHES: &str = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/route_config/virtual_hosts/0/routes/0/route/inline_cluster_specifier_plugin/extension/typed_config/cluster_matcher/matcher_tree/exact_match_map/map";

/// An Envoy that answers what is no path of its own with [`contract::BODY`], behind the filter built
/// to prove the host's contract, as the shipped configuration loads it.
pub(crate) fn contract() -> Bootstrap {
    static BUILT: LazyLock<PathBuf> =
        LazyLock::new(|| wasm::build(Toolchain::Auto, &["contract"]).unwrap());
    let mut bootstrap = shipped(([127, 0, 0, 1], 1).into()).module(&BUILT);
    let config = &mut at(&mut bootstrap, GATEWAY_FILTER)["typed_config"]["config"];
    config["root_id"] = json!("contract");
    let body = str::from_utf8(contract::BODY).unwrap();
    virtual_host(&mut bootstrap)["routes"] = json!([{
        "match": {"prefix": "/"},
        "direct_response": {"status": 200, "body": {"inline_string": body}},
    }]);
    bootstrap
}

pub(crate) fn chat(text: &str) -> Value {
    json!({"model": MODEL, "messages": [{"role": "user", "content": text}]})
}

pub(crate) fn streamed(mut request: Value) -> Value {
    request["stream"] = json!(true);
    request
}

/// An answer over HTTP/2.
#[derive(Debug)]
pub(crate) struct Http2Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Posts over HTTP/2 without TLS. The trailers, if there are any, end the request.
pub(crate) fn post_http2(
    server: SocketAddr,
    path: &str,
    headers: &[(&'static str, &str)],
    body: impl Into<Bytes>,
    trailers: Option<HeaderMap>,
) -> Http2Answer {
    let mut request = hyper::Request::post(format!("http://{server}{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = Full::new(body.into()).with_trailers(async move { trailers.map(Ok) });
    let request = request.body(Box::pin(body)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let answered = async {
        let stream = tokio::net::TcpStream::connect(server).await.unwrap();
        let (mut client, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                .await
                .unwrap();
        tokio::spawn(connection);
        let (head, body) = client.send_request(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Http2Answer { status: head.status.as_u16(), headers: head.headers, body }
    };
    let limit = Duration::from_secs(120);
    let limited = runtime.block_on(async { tokio::time::timeout(limit, answered).await });
    limited.unwrap_or_else(|_| panic!("{path} was not answered within {limit:?}"))
}

/// An Envoy that answers every request with `fixed`, without the filter.
pub(crate) fn fixed_answer() -> Bootstrap {
    Bootstrap::parse(FIXED_ANSWER).unwrap().any_ports()
}

const FIXED_ANSWER: &str = r#"
static_resources:
  listeners:
  - name: gateway
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: gateway
          access_log:
          - name: envoy.access_loggers.stdout
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog
              log_format: {json_format: {path: "%REQ(:PATH)%", status: "%RESPONSE_CODE%"}}
          route_config:
            virtual_hosts:
            - {name: all, domains: ["*"], routes: [{match: {prefix: /}, direct_response: {status: 200, body: {inline_string: fixed}}}]}
          http_filters:
          - {name: envoy.filters.http.router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
"#;
