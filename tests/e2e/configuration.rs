//! The configuration as users write it: YAML that Envoy itself reads.

use harness::commands::check_config::check;
use harness::envoy::{Bootstrap, Launch};
use harness::{root, wasm};

/// The shipped configuration on free ports, with this one for the plugin.
fn yaml(plugin: &str) -> String {
    let shipped = std::fs::read_to_string(root().join("envoy/envoy.yaml")).unwrap();
    let module = wasm::module().unwrap().display().to_string();
    let shipped = shipped
        .replace("port_value: 9901", "port_value: 0")
        .replace("port_value: 10000", "port_value: 0")
        .replace("target/wasm32-wasip1/release/llm_gateway.wasm", &module);
    let start = shipped.find("                    providers:\n").unwrap();
    let last = "unmatched: reject\n";
    let end = start + shipped[start..].find(last).unwrap() + last.len();
    let indented = plugin.lines().map(|line| format!("                    {line}\n"));
    format!("{}{}{}", &shipped[..start], indented.collect::<String>(), &shipped[end..])
}

/// Envoy reads `--config-yaml` with the same reader as a file.
fn launch(yaml: &str) -> Launch {
    Launch::new(Bootstrap::parse("{}").unwrap()).arg("--config-yaml").arg(yaml)
}

/// What Envoy makes of fractions, large numbers, plain words and a key that stands twice.
#[test]
fn yaml_means_the_same_inside_envoy_and_natively() {
    let yaml = yaml(
        r#"
providers:
  local:
    models:
    - {name: "llama3.2:1b", price: {input: 2.50, cached_input: 0.1, output: 10}}
    - 4.1
auth: {mode: off}
consumer_header: x-consumer
consumers: [{name: web}]
limits: [{name: all, key: [consumer], tokens: 10000000000, cost_usd: 0.5, window: 1d}]
limiter: {unpriced: free}
attempts: {retry_on: [5xx, 429]}
unmatched: reject
"#,
    );
    let said = check(&yaml, &|_| None).unwrap();
    assert_eq!(said.mistakes(), 0, "{said}");
    // Warnings follow.
    let (_, said) = said.to_string().split_once("hash: ").map(owned).unwrap();
    let hash = said.lines().next().unwrap();
    let envoy = launch(&yaml).start().unwrap();
    let name = format!("wasmcustom.llm_config_info.hash={hash}");
    assert_eq!(envoy.admin().stat(&name).unwrap(), 1, "{name}");
}

#[test]
fn a_refused_configuration_is_named_in_the_log_as_check_config_names_it() {
    let yaml = yaml(
        r#"
providers:
  local:
    models: [{name: a, price: {input: 2.1234567, output: yes}}, on, 41]
  remote: {models: ["b*"], weight: 1}
models: {fast: [{provider: remote, model: c}]}
limits: [{name: all, key: [], tokens: 0, window: 999ms}]
max_request_bytes: 4MB
unmatched: off
"#,
    );
    let said = check(&yaml, &|_| None).unwrap().to_string();
    let expected: Vec<_> =
        said.lines().skip(1).filter_map(|line| line.strip_prefix("  ")).collect();
    let log = launch(&yaml).start_refused().unwrap();
    let lines = log.lines().filter_map(|line| line.split_once("wasm log gateway llm-gateway: "));
    let logged: Vec<_> = lines.map(|(_, line)| line).collect();
    assert_eq!(logged.len(), 10, "{logged:#?}");
    let warned = |line: &&str| !line.starts_with("warning");
    assert_eq!(logged, expected.into_iter().filter(warned).collect::<Vec<_>>());
}

fn owned((a, b): (&str, &str)) -> (String, String) {
    (a.to_owned(), b.to_owned())
}
