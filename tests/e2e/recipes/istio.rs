//! `istio.yaml`: its patches, applied as Istio applies them to what it makes for an ingress gateway,
//! in a real Envoy. There is no cluster here, and no Istio.

use std::time::Duration;

use harness::envoy::{Bootstrap, Launch};
use harness::wasm;
use harness::wire::Request;
use serde_json::Value;

use super::providers::{ANTHROPIC_KEY, DEMO, OPENAI_KEY, Setup, only_request};
use super::{CHAT, chat, post, text};
use crate::support::model_server;

#[test]
fn the_resources_are_of_kinds_that_istio_knows() {
    let kinds: Vec<_> = documents().iter().map(kind).collect();
    let expected = [
        "networking.istio.io/v1 Gateway",
        "networking.istio.io/v1 VirtualService",
        "networking.istio.io/v1alpha3 EnvoyFilter",
    ];
    assert_eq!(kinds, expected);
    for document in documents() {
        assert_eq!(document["metadata"]["namespace"], "istio-ingress", "{document:#}");
        let fields: Vec<_> = document.as_object().unwrap().keys().collect();
        assert_eq!(fields, ["apiVersion", "kind", "metadata", "spec"]);
    }
    let [gateway, service, filter] = documents().try_into().unwrap();
    let label = &gateway["spec"]["selector"];
    assert_eq!(&filter["spec"]["workloadSelector"]["labels"], label);
    assert_eq!(service["spec"]["gateways"][0], gateway["metadata"]["name"]);
    assert_eq!(service["spec"]["hosts"], gateway["spec"]["servers"][0]["hosts"]);
}

#[test]
fn the_patched_gateway_serves_models_and_leaves_other_hosts_alone() {
    let setup = Setup::failing("openai", "status=503");
    let envoy = Launch::new(patched(&setup)).start().unwrap();
    let host = ("host", "llm.example.com");
    let answer = post(&envoy, CHAT, &[DEMO, host], &chat("fast", "Hello"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(only_request(&setup.openai).header("authorization"), Some(&*bearer(OPENAI_KEY)));
    assert_eq!(only_request(&setup.anthropic).header("x-api-key"), Some(ANTHROPIC_KEY));
    setup.assert_keys_stay_apart();

    assert_eq!(post(&envoy, CHAT, &[host], &chat("fast", "Hello")).status, 401);
    assert_eq!(post(&envoy, "/other", &[DEMO, host], &chat("fast", "Hello")).status, 404);
    let other = post(&envoy, CHAT, &[("host", "other.example.com")], &chat("fast", "Hello"));
    assert_eq!((other.status, other.text().as_str()), (200, "another host"));

    let failovers = r#"llm_failovers_total{from="openai",to="anthropic"}"#;
    assert_eq!(envoy.admin().sample(failovers).unwrap(), Some(1.0));
}

/// Why the recipe has no `WasmPlugin`. If this fails, Istio's own way may have become possible.
#[test]
fn without_the_option_that_a_wasm_plugin_cannot_set_a_call_waits_for_ever() {
    let model = model_server();
    let mut bootstrap =
        super::recipe(&text("ollama.yaml")).endpoint("ollama", model.address()).unwrap();
    let filters =
        "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters";
    let plugin = &mut bootstrap.0.pointer_mut(filters).unwrap()[0]["typed_config"]["config"];
    assert!(plugin.as_object_mut().unwrap().remove("allow_on_headers_stop_iteration").is_some());
    let envoy = Launch::new(bootstrap).start().unwrap();
    let request = Request::post(CHAT, &chat("any", "Hello")).patience(Duration::from_secs(1));
    let answer = request.send(envoy.address("gateway").unwrap());
    assert!(answer.is_err() && model.total() == 0, "{answer:?}");
}

fn documents() -> Vec<Value> {
    super::documents(&text("istio.yaml"))
}

fn kind(document: &Value) -> String {
    let part = |key: &str| document[key].as_str().unwrap_or_default().to_owned();
    format!("{} {}", part("apiVersion"), part("kind"))
}

fn bearer(key: &str) -> String {
    format!("Bearer {key}")
}

/// With the files of this test in the place of those in the pods.
fn patched(setup: &Setup) -> Bootstrap {
    let module = wasm::module().unwrap().display().to_string();
    let keys = setup.dir.display().to_string();
    let authority = setup.authority.write(&setup.dir).display().to_string();
    let mut istio: Value = serde_norway::from_str(OF_ISTIO).unwrap();
    for patch in documents()[2]["spec"]["configPatches"].as_array().unwrap() {
        let patch = patch
            .to_string()
            .replace("/etc/llm-gateway/llm_gateway.wasm", &module)
            .replace("/etc/llm-gateway/keys", &keys)
            .replace("/etc/ssl/certs/ca-certificates.crt", &authority);
        apply(&serde_json::from_str(&patch).unwrap(), &mut istio);
    }
    Bootstrap(istio)
        .any_ports()
        .endpoint("openai", setup.openai_front.address)
        .and_then(|patched| patched.endpoint("anthropic", setup.anthropic_front.address))
        .unwrap()
}

/// One patch of an `EnvoyFilter`. What the recipe does not use is not known here either.
fn apply(patch: &Value, istio: &mut Value) {
    let (found, change) = (&patch["match"], &patch["patch"]);
    assert_eq!(found["context"], "GATEWAY", "{found}");
    let (operation, value) = (change["operation"].as_str().unwrap(), &change["value"]);
    match (patch["applyTo"].as_str().unwrap(), operation) {
        ("BOOTSTRAP", "MERGE") => merge(istio, value),
        ("CLUSTER", "ADD") => push(&mut istio["static_resources"]["clusters"], None, value),
        ("HTTP_FILTER", "INSERT_BEFORE") => {
            let manager = manager(istio);
            let filter = &found["listener"]["filterChain"]["filter"];
            assert_eq!(filter["name"], "envoy.filters.network.http_connection_manager");
            let filters = &mut manager["http_filters"];
            let names: Vec<_> = filters.as_array().unwrap().iter().map(|f| &f["name"]).collect();
            let before = names.iter().position(|name| **name == filter["subFilter"]["name"]);
            push(filters, Some(before.expect("the filter that is matched")), value);
        }
        ("VIRTUAL_HOST", "MERGE") => merge(virtual_host(istio, found), value),
        ("HTTP_ROUTE", "INSERT_FIRST") => {
            push(&mut virtual_host(istio, found)["routes"], Some(0), value);
        }
        other => panic!("no such patch is known here: {other:?}"),
    }
}

fn manager(istio: &mut Value) -> &mut Value {
    let manager = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";
    istio.pointer_mut(manager).unwrap()
}

fn virtual_host<'a>(istio: &'a mut Value, found: &Value) -> &'a mut Value {
    let name = &found["routeConfiguration"]["vhost"]["name"];
    let hosts = manager(istio)["route_config"]["virtual_hosts"].as_array_mut().unwrap();
    hosts.iter_mut().find(|host| host["name"] == *name).expect("the host that is matched")
}

fn push(list: &mut Value, at: Option<usize>, value: &Value) {
    let list = list.as_array_mut().unwrap();
    list.insert(at.unwrap_or(list.len()), value.clone());
}

/// As messages of protobuf are merged: lists grow, other values are replaced.
fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (Value::Array(into), Value::Array(from)) => into.extend(from.iter().cloned()),
        (into, from) => *into = from.clone(),
    }
}

/// The parts of an ingress gateway's configuration that the patches meet. The routes come by RDS
/// there, the clusters by CDS.
const OF_ISTIO: &str = r#"
node: {id: router~10.0.0.1~gateway.istio-ingress~istio-ingress.svc.cluster.local, cluster: gateway.istio-ingress}
stats_config:
  use_all_default_tags: false
  stats_tags:
  - {tag_name: reporter, regex: '(reporter=\.=(.*?);\.;)'}
static_resources:
  listeners:
  - name: gateway
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: outbound_0.0.0.0_80
          use_remote_address: true
          http_filters:
          - {name: envoy.filters.http.cors, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors}}
          - {name: envoy.filters.http.router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
          route_config:
            name: http.80
            virtual_hosts:
            - name: "llm.example.com:80"
              domains: [llm.example.com, "llm.example.com:*"]
              routes:
              - {name: no-gateway, match: {prefix: /}, direct_response: {status: 503}}
            - name: "other.example.com:80"
              domains: [other.example.com, "other.example.com:*"]
              routes:
              - {match: {prefix: /}, direct_response: {status: 200, body: {inline_string: another host}}}
  clusters: []
"#;
