//! `cargo xtask check-config`: what it says, and its exit code.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{env, fs};

use harness::commands::check_config::check;
use harness::root;
use harness::shell::{self, Said};

/// The lines about `text`, where these variables are set.
fn lines(text: &str, variables: &[(&str, &str)]) -> Vec<String> {
    let variables: BTreeMap<_, _> = variables.iter().copied().collect();
    let report = check(text, &|name| variables.get(name).map(ToString::to_string)).unwrap();
    report.to_string().lines().map(str::to_owned).collect()
}

fn run(file: &Path) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.arg("check-config").arg(file);
    shell::captured(command, Duration::from_secs(60)).unwrap()
}

fn write(name: &str, text: &str) -> PathBuf {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&file, text).unwrap();
    file
}

#[test]
fn the_shipped_demo_is_fine() {
    let output = run(&root().join("envoy/envoy.yaml"));
    let said = output.stdout;
    let (place, outcome) = said.lines().next().unwrap().split_once(": ").unwrap();
    assert!(place.starts_with("static_resources.listeners[0].") && place.ends_with("(gateway)"));
    assert!(outcome.starts_with("fine, providers: 1, models: 1, hash: "), "{said}");
    assert!(!said.contains("warning"), "{said}");
    assert!(output.status.success());
}

#[test]
fn a_broken_file_gives_the_filters_lines_and_exit_code_1() {
    let broken = BOOTSTRAP.replace("gpt-4o-mini\"]", "gpt 4\"]").replace("4MiB", "4MB");
    let output = run(&write("broken.yaml", &broken));
    let said = output.stdout;
    let expected = [
        "static_resources.clusters[0].http_filters[0].typed_config.config (provider): fine, openai at openai",
        "  warning: the environment variable LLM_GATEWAY_TEST_KEY is not set here: Envoy needs it",
        "static_resources.listeners[0].http_filters[0].typed_config.config (gateway): refused",
        "  providers.openai.models[1]: found \"gpt 4\", expected a model name: 1 to 256 visible ASCII characters without ; and =, no two * in a row",
        "  max_request_bytes: found \"4MB\", expected a size of 1KiB to 128MiB, like \"64KiB\" or \"8MiB\"",
    ];
    assert_eq!(said.lines().collect::<Vec<_>>(), expected);
    assert_eq!(output.status.code(), Some(1));
    let error = output.stderr;
    assert!(error.starts_with("error: 2 mistakes in "), "{error}");
}

#[test]
fn both_roles_are_found_in_both_forms() {
    let found = lines(BOOTSTRAP, &[("LLM_GATEWAY_TEST_KEY", "sk-secret")]);
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(found[1].contains("(gateway): fine, providers: 1, models: 2, hash: "), "{found:#?}");
    assert!(found[0].ends_with("(provider): fine, openai at openai"), "{found:#?}");

    let json = serde_norway::from_str::<serde_json::Value>(BOOTSTRAP).unwrap().to_string();
    assert_eq!(lines(&json, &[("LLM_GATEWAY_TEST_KEY", "sk-secret")]), found);
}

#[test]
fn the_configuration_of_one_plugin_can_stand_alone() {
    let gateway = "providers: {openai: {models: [a]}}";
    assert!(lines(gateway, &[])[0].starts_with("gateway: fine, "));
    assert!(
        lines(r#"{"providers": {"openai": {"models": ["a"]}}}"#, &[])[0]
            .starts_with("gateway: fine")
    );
    let both = format!(
        "---\n{gateway}\nunmatchd: pass\n---\nprovider: openai\nauth: {{bearer_env: KEY}}\n"
    );
    assert_eq!(
        lines(&both, &[]),
        [
            "gateway: refused",
            "  unmatchd: unknown key, expected unmatched",
            "provider: fine, openai at openai",
            "  warning: the environment variable KEY is not set here: Envoy needs it",
        ]
    );
    assert_eq!(
        lines("provider: a\nauth: {bearer_env: KEY}", &[("KEY", "k")]),
        ["provider: fine, openai at a"]
    );
}

#[test]
fn yaml_is_read_as_envoy_reads_it() {
    let consumer = |name: &str| {
        format!(
            "providers: {{a: {{models: [{{name: m, price: {{input: 2.50, output: 10}}}}]}}}}\nconsumer_header: x-consumer\nconsumers: [{{name: {name}}}]\n"
        )
    };
    assert!(lines(&consumer("'no'"), &[])[0].starts_with("gateway: fine"));
    assert!(lines(&consumer("4.1"), &[])[0].starts_with("gateway: fine"));
    let refused = lines(&consumer("no"), &[]);
    assert_eq!(
        refused[1],
        "  consumers[0].name: found false without quotes, expected a name: 1 to 64 visible ASCII characters without ; and ="
    );
    assert!(lines(&consumer("41"), &[])[1].contains("found 41 without quotes"));
}

#[test]
fn a_variable_that_the_vm_does_not_get_is_a_mistake() {
    let forgotten = BOOTSTRAP.replace("host_env_keys", "other_keys");
    let found = lines(&forgotten, &[("LLM_GATEWAY_TEST_KEY", "sk-secret")]);
    assert_eq!(
        found[1],
        "  auth.bearer_env: found no environment variable LLM_GATEWAY_TEST_KEY, expected one with a value, that vm_config.environment_variables passes on"
    );
}

#[test]
fn a_cluster_that_is_not_there_is_a_warning() {
    let renamed = BOOTSTRAP.replace("- name: openai\n", "- name: other\n");
    let found = lines(&renamed, &[]);
    assert_eq!(found[3], "  warning: providers.openai: no cluster \"openai\" in this file");
}

#[test]
fn a_role_that_does_not_exist_is_a_mistake() {
    let found = lines(&BOOTSTRAP.replace("root_id: gateway", "root_id: gatway"), &[]);
    assert_eq!(found[3], "  root_id: \"gatway\" is no role: expected gateway or provider");
}

#[test]
fn what_holds_no_plugin_is_an_error() {
    for (text, why) in [
        ("static_resources: {listeners: []}", "no plugin of the filter"),
        ("apiVersion: v1\nkind: Service", "no plugin of the filter"),
        ("[1, 2]", "no object"),
        ("a: [", "neither YAML nor JSON"),
        ("", "no plugin of the filter"),
    ] {
        let error = check(text, &|_| None).unwrap_err();
        assert!(format!("{error:#}").contains(why), "{text:?}: {error:#}");
    }
    let output = run(Path::new("no such file"));
    assert_eq!(output.status.code(), Some(1));
}

/// The lines of warning of a bootstrap in which `from` is `to`.
fn warnings(from: &str, to: &str) -> Vec<String> {
    assert!(BOOTSTRAP.contains(from), "{from}");
    let found = lines(&BOOTSTRAP.replace(from, to), &[("LLM_GATEWAY_TEST_KEY", "sk-secret")]);
    let warnings = found.iter().filter_map(|line| line.strip_prefix("  warning: "));
    warnings.map(str::to_owned).collect()
}

#[test]
fn what_is_legal_but_open_is_a_warning() {
    const CALLERS: &str = "auth: {mode: required}\n              consumers: [{name: a, key_sha256: c48a01f49fd0f2cc404bc3cbbc80e91457a3d41bb429a695243de4c61794155c}]";
    let with = |more: &str| format!("{CALLERS}\n              {more}");
    let limit = "limits: [{name: a, key: [], requests: 1, window: 1m}, {name: b, key: [], cost_usd: 1, window: 1m}]";
    for (from, to, expected) in [
        ("max_request_bytes: 4MiB", with("unmatched: pass"), "unmatched: \"pass\" beside auth: "),
        (
            "max_request_bytes: 4MiB",
            "consumer_header: x-who\n              consumers: [{name: a}]\n              unmatched: pass".into(),
            "unmatched: \"pass\" beside consumer_header: ",
        ),
        (
            "max_request_bytes: 4MiB",
            format!("{limit}\n              limiter: {{unpriced: free}}"),
            "limiter.unpriced: \"free\" beside limits[1].cost_usd: ",
        ),
        // The provider role of another cluster does not help.
        (
            "- name: openai\n",
            "- name: other\n".to_owned(),
            "providers.openai: no cluster \"openai\" in this file",
        ),
        ("cluster: openai", "cluster: other".into(), "static_resources.listeners[0].route_config.virtual_hosts[0].routes[0].route.cluster: \"other\" whatever the model is: "),
        ("cluster: openai", "cluster_header: x-mine".into(), "static_resources.listeners[0].route_config.virtual_hosts[0].routes[0].route.cluster_header: \"x-mine\" is not the gateway's: "),
        ("cluster: openai", "weighted_clusters: {clusters: [{name: openai, weight: 1}]}".into(), "static_resources.listeners[0].route_config.virtual_hosts[0].routes[0].route.weighted_clusters: "),
    ] {
        let found = warnings(from, &to);
        assert!(found.len() == 1 && found[0].starts_with(expected), "{to}: {found:#?}");
    }
}

#[test]
fn a_cluster_without_the_provider_role_is_a_warning_where_callers_are_known() {
    let bare = BOOTSTRAP.replace("root_id: provider", "root_id: other").replace(
        "target/llm_gateway.wasm}}\n            environment",
        "other.wasm}}\n            environment",
    );
    let known = "consumer_header: x-who\n              consumers: [{name: a}]";
    let found = lines(&bare.replace("max_request_bytes: 4MiB", known), &[]);
    let expected = "  warning: providers.openai: the cluster \"openai\" has no provider role: ";
    assert!(found.len() == 2 && found[1].starts_with(expected), "{found:#?}");
    assert_eq!(lines(&bare, &[]).len(), 1);
}

#[test]
fn routes_by_the_gateways_own_choice_are_no_warning() {
    let demo = fs::read_to_string(root().join("envoy/envoy.yaml")).unwrap();
    assert!(!lines(&demo, &[]).iter().any(|line| line.contains("warning")));
    // A provider that no route leads to, and one that leads elsewhere.
    let more = demo.replace(
        "models: [\"llama3.2:1b\"]",
        "models: [\"llama3.2:1b\"]\n                      admin: {models: [b]}",
    );
    let found = lines(&more, &[]);
    assert!(found[1].ends_with("no entry of \"admin\" that goes to that cluster"), "{found:#?}");
    let other = demo.replace("cluster: local\n", "cluster: admin\n");
    assert!(lines(&other, &[])[1].ends_with("no entry of \"local\" that goes to that cluster"));
    let key = demo.replace("key: wasm.llm_cluster", "key: wasm.other");
    assert!(lines(&key, &[])[1].contains("reads something else than the gateway says"));
}

const BOOTSTRAP: &str = r#"
static_resources:
  listeners:
  - name: gateway
    http_filters:
    - name: llm_gateway
      typed_config:
        config:
          root_id: gateway
          vm_config: {code: {local: {filename: target/llm_gateway.wasm}}}
          configuration:
            "@type": type.googleapis.com/google.protobuf.Struct
            value:
              providers: {openai: {models: ["gpt-4o", "gpt-4o-mini"]}}
              max_request_bytes: 4MiB
    - name: of_somebody_else
      typed_config:
        config:
          root_id: other
          vm_config: {code: {local: {filename: other.wasm}}}
    route_config:
      virtual_hosts:
      - name: all
        routes:
        - match: {prefix: /}
          route: {cluster: openai}
        - match: {path: /healthz}
          route: {cluster: somewhere}
  clusters:
  - name: openai
    http_filters:
    - name: llm_provider
      typed_config:
        config:
          root_id: provider
          vm_config:
            code: {local: {filename: target/llm_gateway.wasm}}
            environment_variables: {host_env_keys: [LLM_GATEWAY_TEST_KEY]}
          configuration:
            "@type": type.googleapis.com/google.protobuf.StringValue
            value: '{"provider": "openai", "auth": {"bearer_env": "LLM_GATEWAY_TEST_KEY"}}'
"#;
