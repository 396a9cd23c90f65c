//! What is legal but open: a configuration that Envoy loads and that lets through what its author
//! may not expect.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::find::walk;

/// Of the gateway role's own configuration.
pub(super) fn in_gateway(configuration: &Value) -> Vec<String> {
    let mut warnings = Vec::new();
    if identifies(configuration) && configuration["unmatched"] == "pass" {
        warnings.push(format!(
            "unmatched: \"pass\" beside {}: what is no LLM call goes to a provider, past allow-lists and limits of models, tokens and money",
            if configuration.get("consumer_header").is_some() { "consumer_header" } else { "auth" }
        ));
    }
    if configuration["limiter"]["unpriced"] == "free" {
        for (index, _) in costs(configuration) {
            warnings.push(format!(
                "limiter.unpriced: \"free\" beside limits[{index}].cost_usd: what has no price is not counted there"
            ));
        }
    }
    warnings
}

/// Of what stands around it: `path` is where the plugin stands in an Envoy's whole configuration.
pub(super) fn around(path: &str, configuration: &Value, bootstrap: &Value) -> Vec<String> {
    let mut warnings = Vec::new();
    let providers = clusters_of_providers(configuration);
    if let Some(clusters) =
        bootstrap.pointer("/static_resources/clusters").and_then(Value::as_array)
    {
        for (provider, cluster) in providers.iter().filter(|_| has_consumers(configuration)) {
            let found = clusters.iter().find(|found| found["name"] == *cluster);
            if found.is_some_and(|found| !has_provider_role(found)) {
                warnings.push(format!(
                    "providers.{provider}: the cluster {cluster:?} has no provider role: cookies and forwarding headers of consumers reach it"
                ));
            }
        }
    }
    walk(bootstrap, "", &mut |at, manager| {
        let filters =
            if at.is_empty() { "http_filters".into() } else { format!("{at}.http_filters") };
        if path.starts_with(&filters) {
            routes(at, manager, &providers, &mut warnings);
        }
    });
    warnings
}

/// The routes of the connection manager that the plugin is in.
fn routes(
    at: &str,
    manager: &Map<String, Value>,
    providers: &BTreeMap<String, String>,
    warnings: &mut Vec<String>,
) {
    let hosts = manager.get("route_config").and_then(|config| config["virtual_hosts"].as_array());
    for (host, found) in hosts.into_iter().flatten().enumerate() {
        let routes = found["routes"].as_array().into_iter().flatten();
        for (route, found) in routes.enumerate().filter(|(_, found)| may_be_a_call(&found["match"]))
        {
            let at = format!("{at}.route_config.virtual_hosts[{host}].routes[{route}].route");
            let Some(action) = found["route"].as_object() else { continue };
            warnings.extend(elsewhere(action, providers).map(|why| format!("{at}{why}")));
        }
    }
}

/// Why a call on this route may go elsewhere than the gateway says.
fn elsewhere(action: &Map<String, Value>, providers: &BTreeMap<String, String>) -> Option<String> {
    if let Some(cluster) = action.get("cluster").and_then(Value::as_str) {
        let only = providers.values().all(|known| known == cluster) && !providers.is_empty();
        return (!only).then(|| format!(".cluster: {cluster:?} whatever the model is: {BY_MODEL}"));
    }
    if action.contains_key("weighted_clusters") {
        return Some(format!(".weighted_clusters: drawn whatever the model is: {BY_MODEL}"));
    }
    if let Some(header) = action.get("cluster_header").and_then(Value::as_str) {
        let theirs = !header.eq_ignore_ascii_case("x-llm-cluster");
        return theirs
            .then(|| format!(".cluster_header: {header:?} is not the gateway's: {BY_MODEL}"));
    }
    let plugin = action.get("inline_cluster_specifier_plugin")?;
    let matcher = &plugin["extension"]["typed_config"]["cluster_matcher"]["matcher_tree"];
    if matcher["input"]["typed_config"]["key"] != "wasm.llm_cluster" {
        let at = ".inline_cluster_specifier_plugin";
        return Some(format!("{at}: reads something else than the gateway says: {BY_MODEL}"));
    }
    let map = matcher["exact_match_map"]["map"].as_object()?;
    let goes =
        |cluster: &str| map.get(cluster).map(|one| &one["action"]["typed_config"]["cluster"]);
    let wrong = providers.values().find(|cluster| goes(cluster).is_none_or(|to| to != *cluster))?;
    let at = ".inline_cluster_specifier_plugin";
    Some(format!("{at}: no entry of {wrong:?} that goes to that cluster"))
}

/// Whether an LLM call can take a route. Whoever is in doubt is warned.
fn may_be_a_call(condition: &Value) -> bool {
    let begins = |prefix: &str| {
        let prefix = prefix.to_ascii_lowercase();
        ROOTS.iter().any(|root| root.starts_with(&*prefix) || prefix.starts_with(root))
    };
    let prefix = condition.get("prefix").or(condition.get("path_separated_prefix"));
    match (prefix.or(condition.get("path")), condition.get("path")) {
        (_, Some(path)) => path.as_str().is_some_and(|path| path != "/" && begins(path)),
        (Some(prefix), None) => prefix.as_str().is_some_and(begins),
        (None, None) => true,
    }
}

fn identifies(configuration: &Value) -> bool {
    let mode = &configuration["auth"]["mode"];
    mode == "required" || mode == "optional" || configuration.get("consumer_header").is_some()
}

fn has_consumers(configuration: &Value) -> bool {
    configuration["consumers"].as_array().is_some_and(|all| !all.is_empty())
        || configuration.get("consumers_from").is_some()
}

/// The limits of money, by their places.
fn costs(configuration: &Value) -> impl Iterator<Item = (usize, &Value)> {
    let limits = configuration["limits"].as_array().into_iter().flatten().enumerate();
    limits.filter(|(_, limit)| limit.get("cost_usd").is_some())
}

/// Each provider's cluster.
fn clusters_of_providers(configuration: &Value) -> BTreeMap<String, String> {
    let providers = configuration["providers"].as_object().into_iter().flatten();
    let cluster = |(name, provider): (&String, &Value)| {
        (name.clone(), provider["cluster"].as_str().unwrap_or(name).to_owned())
    };
    providers.map(cluster).collect()
}

fn has_provider_role(cluster: &Value) -> bool {
    let mut found = false;
    walk(cluster, "", &mut |_, object| {
        found |= object.get("root_id").is_some_and(|id| id == "provider");
        // Its configuration comes by ECDS.
        found |= object.contains_key("config_discovery");
    });
    found
}

const BY_MODEL: &str =
    "expected a matcher of the filter state wasm.llm_cluster, or cluster_header: x-llm-cluster";
const ROOTS: [&str; 4] = ["/v1/", "/v1beta/", "/api/", "/openai/"];
