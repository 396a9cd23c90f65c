//! The filter's plugins in an Envoy configuration, wherever they stand.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};

use super::documents::Document;
use super::open;

/// A plugin, and what it would get of Envoy.
pub(super) struct Plugin {
    /// Empty if it stands alone.
    path: String,
    pub(super) root_id: String,
    pub(super) configuration: Vec<u8>,
    pub(super) environment: Environment,
    /// The clusters there are, where the file has them all.
    pub(super) clusters: Option<BTreeSet<String>>,
    /// What is legal but open.
    pub(super) open: Vec<String>,
}

/// The environment of a plugin's VM.
pub(super) enum Environment {
    /// That of Envoy: the file does not say.
    Unknown,
    Passed {
        values: BTreeMap<String, String>,
        host: BTreeSet<String>,
    },
}

impl Plugin {
    pub(super) fn place(&self) -> String {
        match self.path.as_str() {
            "" => self.root_id.clone(),
            path => format!("{path} ({})", self.root_id),
        }
    }
}

/// The plugins that load the filter; or the document itself, if it is the configuration of one.
pub(super) fn plugins(document: &Document) -> Result<Vec<Plugin>> {
    let mut plugins = Vec::new();
    walk(&document.value, "", &mut |path, object| {
        let found = in_envoy(path, object, document).or_else(|| in_istio(path, object));
        plugins.extend(found);
    });
    let mut plugins = plugins.into_iter().collect::<Result<Vec<_>>>()?;
    let Value::Object(object) = &document.value else { bail!("it is no object") };
    if plugins.is_empty() && !ENVOYS_KEYS.iter().any(|key| object.contains_key(*key)) {
        let provider = object.contains_key("provider") && !object.contains_key("providers");
        plugins.push(Plugin {
            path: String::new(),
            root_id: if provider { "provider" } else { "gateway" }.to_owned(),
            configuration: document.structure(&document.value).to_string().into(),
            environment: Environment::Unknown,
            clusters: None,
            open: Vec::new(),
        });
    }
    for plugin in plugins.iter_mut().filter(|plugin| plugin.root_id == "gateway") {
        // What is no JSON is a mistake of which the filter tells.
        if let Ok(configuration) = serde_json::from_slice(&plugin.configuration) {
            plugin.open = open::in_gateway(&configuration);
            plugin.open.extend(open::around(&plugin.path, &configuration, &document.value));
        }
    }
    Ok(plugins)
}

/// A `PluginConfig`: of one of the roles, or of another that loads our module by mistake.
fn in_envoy(
    path: &str,
    object: &Map<String, Value>,
    document: &Document,
) -> Option<Result<Plugin>> {
    let root_id = object.get("root_id")?.as_str()?;
    let vm = object.get("vm_config")?;
    let file = vm.pointer("/code/local/filename").and_then(Value::as_str).unwrap_or_default();
    if !ROLES.contains(&root_id) && !file.ends_with(MODULE) {
        return None;
    }
    let configuration = match object.get("configuration") {
        Some(any) => bytes(any, document).with_context(|| format!("{path}.configuration")),
        None => Ok(Vec::new()),
    };
    Some(configuration.map(|configuration| Plugin {
        path: path.to_owned(),
        root_id: root_id.to_owned(),
        configuration,
        environment: environment(vm.get("environment_variables")),
        clusters: clusters(&document.value),
        open: Vec::new(),
    }))
}

/// Istio's `WasmPlugin` hands its configuration over as JSON, and its name as the root id.
fn in_istio(path: &str, object: &Map<String, Value>) -> Option<Result<Plugin>> {
    let root_id = object.get("pluginName")?.as_str()?;
    let configuration = object.get("pluginConfig")?;
    Some(Ok(Plugin {
        path: path.to_owned(),
        root_id: root_id.to_owned(),
        configuration: configuration.to_string().into(),
        environment: Environment::Unknown,
        clusters: None,
        open: Vec::new(),
    }))
}

/// A configuration in either of the forms that Envoy takes.
fn bytes(any: &Value, document: &Document) -> Result<Vec<u8>> {
    let value = any.get("value").context("no value in it")?;
    match any["@type"].as_str() {
        Some(STRUCT) => Ok(document.structure(value).to_string().into()),
        Some(STRING) => Ok(value.as_str().context("the value of a StringValue is a text")?.into()),
        other => bail!("@type {}: expected Struct or StringValue", other.unwrap_or("missing")),
    }
}

fn environment(variables: Option<&Value>) -> Environment {
    let at = |key: &str| variables.and_then(|all| all.get(key));
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let values = at("key_values").and_then(Value::as_object).into_iter().flatten();
    let host = at("host_env_keys").and_then(Value::as_array).into_iter().flatten();
    Environment::Passed {
        values: values.map(|(name, value)| (name.clone(), text(value))).collect(),
        host: host.map(text).collect(),
    }
}

/// `None` where clusters may come from elsewhere.
fn clusters(bootstrap: &Value) -> Option<BTreeSet<String>> {
    if bootstrap.get("dynamic_resources").is_some() {
        return None;
    }
    let clusters = bootstrap.pointer("/static_resources/clusters")?.as_array()?;
    Some(clusters.iter().filter_map(|cluster| Some(cluster["name"].as_str()?.to_owned())).collect())
}

/// Calls `visit` with every object and the path to it.
pub(super) fn walk(value: &Value, path: &str, visit: &mut impl FnMut(&str, &Map<String, Value>)) {
    match value {
        Value::Object(object) => {
            visit(path, object);
            for (key, inner) in object {
                let dot = if path.is_empty() { "" } else { "." };
                walk(inner, &format!("{path}{dot}{key}"), visit);
            }
        }
        Value::Array(items) => {
            for (index, inner) in items.iter().enumerate() {
                walk(inner, &format!("{path}[{index}]"), visit);
            }
        }
        _ => {}
    }
}

const ROLES: [&str; 2] = ["gateway", "provider"];
const MODULE: &str = "llm_gateway.wasm";
const STRUCT: &str = "type.googleapis.com/google.protobuf.Struct";
const STRING: &str = "type.googleapis.com/google.protobuf.StringValue";
/// Any of these at the top tells that a document is more than the configuration of one plugin.
const ENVOYS_KEYS: [&str; 8] = [
    "static_resources",
    "dynamic_resources",
    "admin",
    "node",
    "resources",
    "typed_config",
    "apiVersion",
    "services",
];
