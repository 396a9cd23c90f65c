//! An Envoy bootstrap that is read from YAML and adapted before it is used.

use std::fmt;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

/// The configuration as plain data, for edits that the methods here do not cover.
#[derive(Clone, Debug)]
pub struct Bootstrap(pub Value);

impl Bootstrap {
    pub fn read(path: &Path) -> Result<Self> {
        let text =
            fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("{} is no YAML", path.display()))
    }

    pub fn parse(yaml: &str) -> Result<Self> {
        Ok(Self(serde_norway::from_str(yaml)?))
    }

    /// Every listener and the admin interface take a free port of 127.0.0.1.
    pub fn any_ports(mut self) -> Self {
        for listener in self.list_mut("/static_resources/listeners") {
            listener["address"] = socket(([127, 0, 0, 1], 0).into());
        }
        self.admin_port(0)
    }

    /// Also the cluster of the admin interface, if there is one, goes there: it has to know the port
    /// before Envoy starts, so that 0 stands for a port that is free now.
    pub fn admin_port(mut self, port: u16) -> Self {
        let known = self.has_cluster(ADMIN);
        let port = if port == 0 && known { free_port() } else { port };
        let address = socket(([127, 0, 0, 1], port).into());
        if known {
            for cluster in self.list_mut("/static_resources/clusters") {
                if cluster["name"] == ADMIN {
                    cluster["load_assignment"]["endpoints"] =
                        json!([{"lb_endpoints": [{"endpoint": {"address": address}}]}]);
                }
            }
        }
        self.0["admin"]["address"] = address;
        self
    }

    pub fn listener_port(mut self, listener: &str, port: u16) -> Result<Self> {
        let found = self
            .list_mut("/static_resources/listeners")
            .find(|value| value["name"] == listener)
            .with_context(|| format!("no listener {listener:?}"))?;
        found["address"]["socket_address"]["port_value"] = port.into();
        Ok(self)
    }

    pub fn has_cluster(&self, name: &str) -> bool {
        self.has("/static_resources/clusters", name)
    }

    pub fn has_listener(&self, name: &str) -> bool {
        self.has("/static_resources/listeners", name)
    }

    fn has(&self, list: &str, name: &str) -> bool {
        let items = self.0.pointer(list).and_then(Value::as_array);
        items.is_some_and(|all| all.iter().any(|item| item["name"] == name))
    }

    /// Gives the cluster this one endpoint.
    pub fn endpoint(mut self, cluster: &str, address: SocketAddr) -> Result<Self> {
        let found = self
            .list_mut("/static_resources/clusters")
            .find(|value| value["name"] == cluster)
            .with_context(|| format!("no cluster {cluster:?}"))?;
        found["type"] = "STATIC".into();
        found["load_assignment"] = json!({
            "cluster_name": cluster,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": socket(address)}}]}],
        });
        Ok(self)
    }

    /// Every plugin that loads the filter loads it from this file.
    pub fn module(mut self, path: &Path) -> Self {
        each_object(&mut self.0, &mut String::new(), &mut |_, object| {
            let Some(filename) = object.get_mut("filename") else { return };
            if filename.as_str().is_some_and(|name| name.ends_with(MODULE)) {
                *filename = path.display().to_string().into();
            }
        });
        self
    }

    /// Changes the configuration of every plugin with that root id.
    pub fn configure(mut self, root_id: &str, mut edit: impl FnMut(&mut Value)) -> Result<Self> {
        let mut mistake = None;
        let mut found = false;
        each_object(&mut self.0, &mut String::new(), &mut |path, object| {
            if object.get("root_id").is_none_or(|id| id != root_id) {
                return;
            }
            found = true;
            match Configuration::of(object.get("configuration")) {
                Ok(mut configuration) => {
                    edit(&mut configuration.value);
                    object["configuration"] = configuration.into();
                }
                Err(error) => mistake = Some(error.context(path.to_owned())),
            }
        });
        match mistake {
            Some(error) => Err(error),
            None if !found => bail!("no plugin with root_id {root_id:?}"),
            None => Ok(self),
        }
    }

    /// The plugins of the filter, wherever they stand.
    pub fn plugins(&self) -> Result<Vec<Plugin>> {
        let mut plugins = Vec::new();
        each_object(&mut self.0.clone(), &mut String::new(), &mut |path, object| {
            let Some(root_id) = object.get("root_id").and_then(Value::as_str) else { return };
            if object.contains_key("vm_config") {
                plugins.push((
                    path.to_owned(),
                    root_id.to_owned(),
                    object.get("configuration").cloned(),
                ));
            }
        });
        plugins
            .into_iter()
            .map(|(path, root_id, configuration)| {
                let value =
                    Configuration::of(configuration.as_ref()).with_context(|| path.clone())?.value;
                Ok(Plugin { path, root_id, configuration: value })
            })
            .collect()
    }

    fn list_mut(&mut self, pointer: &str) -> impl Iterator<Item = &mut Value> {
        self.0.pointer_mut(pointer).and_then(Value::as_array_mut).into_iter().flatten()
    }
}

impl fmt::Display for Bootstrap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.0)
    }
}

/// A wasm plugin inside a bootstrap.
#[derive(Clone, Debug, PartialEq)]
pub struct Plugin {
    /// Where it stands, for messages.
    pub path: String,
    pub root_id: String,
    pub configuration: Value,
}

/// A plugin's configuration, in either of the forms that Envoy takes.
struct Configuration {
    form: Form,
    value: Value,
}

#[derive(Clone, Copy)]
enum Form {
    Struct,
    String,
}

impl Configuration {
    fn of(any: Option<&Value>) -> Result<Self> {
        let any = any.context("no configuration")?;
        let value = any.get("value").context("no value in configuration")?;
        match any["@type"].as_str() {
            Some(STRUCT) => Ok(Self { form: Form::Struct, value: value.clone() }),
            Some(STRING) => {
                let text = value.as_str().context("the value of a StringValue is no string")?;
                let value = serde_json::from_str(text).context("configuration is no JSON")?;
                Ok(Self { form: Form::String, value })
            }
            other => bail!("configuration of type {other:?}: expected Struct or StringValue"),
        }
    }
}

impl From<Configuration> for Value {
    fn from(configuration: Configuration) -> Self {
        match configuration.form {
            Form::Struct => json!({"@type": STRUCT, "value": configuration.value}),
            Form::String => json!({"@type": STRING, "value": configuration.value.to_string()}),
        }
    }
}

fn socket(address: SocketAddr) -> Value {
    json!({"socket_address": {"address": address.ip().to_string(), "port_value": address.port()}})
}

/// Calls `visit` with each object of the tree and the path to it.
fn each_object(
    value: &mut Value,
    path: &mut String,
    visit: &mut impl FnMut(&str, &mut serde_json::Map<String, Value>),
) {
    let length = path.len();
    match value {
        Value::Object(object) => {
            visit(path, object);
            for (key, inner) in object {
                if length > 0 {
                    path.push('.');
                }
                path.push_str(key);
                each_object(inner, path, visit);
                path.truncate(length);
            }
        }
        Value::Array(items) => {
            for (index, inner) in items.iter_mut().enumerate() {
                path.push_str(&format!("[{index}]"));
                each_object(inner, path, visit);
                path.truncate(length);
            }
        }
        _ => {}
    }
}

/// A port that nobody listens on, and that nobody gets who asks the system for any: it lies below
/// those that Linux gives. Neither does another call of this process get it. 0 if there is none.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let start = std::process::id().wrapping_mul(61);
    let candidates = std::iter::repeat_with(|| NEXT.fetch_add(1, Ordering::Relaxed));
    let ports = candidates.map(|n| start.wrapping_add(n) % PORTS.len() as u32);
    let ports = ports.filter_map(|n| u16::try_from(u32::from(PORTS.start) + n).ok());
    let mut tried = ports.take(PORTS.len());
    tried.find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok()).unwrap_or(0)
}

/// Above the usual ports of services, below `net.ipv4.ip_local_port_range`.
const PORTS: Range<u16> = 20_000..32_000;
const ADMIN: &str = "admin";
const MODULE: &str = "llm_gateway.wasm";
const STRUCT: &str = "type.googleapis.com/google.protobuf.Struct";
const STRING: &str = "type.googleapis.com/google.protobuf.StringValue";

#[cfg(test)]
mod tests {
    use super::*;

    const YAML: &str = r#"
static_resources:
  listeners:
  - name: gateway
    address: {socket_address: {address: 127.0.0.1, port_value: 10000}}
    plugins:
    - {root_id: gateway, vm_config: {code: {local: {filename: target/llm_gateway.wasm}}},
       configuration: {"@type": type.googleapis.com/google.protobuf.Struct, value: {unmatched: pass}}}
    - {root_id: other, vm_config: {code: {local: {filename: other.wasm}}},
       configuration: {"@type": type.googleapis.com/google.protobuf.StringValue, value: '{"a": 1}'}}
  clusters: [{name: local, type: STRICT_DNS}]
"#;

    fn bootstrap() -> Bootstrap {
        Bootstrap::parse(YAML).unwrap()
    }

    #[test]
    fn only_the_filters_own_module_is_replaced() {
        let text = bootstrap().module(Path::new("/x/llm_gateway.wasm")).to_string();
        assert!(text.contains("/x/llm_gateway.wasm") && text.contains("\"other.wasm\""), "{text}");
    }

    #[test]
    fn plugins_are_found_with_their_path_and_configuration_in_both_forms() {
        let plugins = bootstrap().plugins().unwrap();
        assert_eq!(plugins[0].path, "static_resources.listeners[0].plugins[0]");
        assert_eq!(plugins[0].configuration, json!({"unmatched": "pass"}));
        assert_eq!(plugins[1].configuration, json!({"a": 1}));
    }

    #[test]
    fn an_edit_keeps_the_form_of_the_configuration() {
        let edited = bootstrap()
            .configure("gateway", |value| value["unmatched"] = "reject".into())
            .and_then(|edited| edited.configure("other", |value| value["a"] = 2.into()))
            .unwrap();
        let plugins = edited.plugins().unwrap();
        assert_eq!(plugins[0].configuration, json!({"unmatched": "reject"}));
        assert_eq!(plugins[1].configuration, json!({"a": 2}));
        assert!(edited.to_string().contains(r#""{\"a\":2}""#));
    }

    #[test]
    fn what_is_not_there_cannot_be_edited() {
        let address = ([127, 0, 0, 1], 1).into();
        assert!(bootstrap().endpoint("remote", address).is_err());
        assert!(bootstrap().listener_port("other", 1).is_err());
        assert!(bootstrap().configure("nobody", |_| ()).is_err());
    }

    #[test]
    fn the_admin_interface_and_its_cluster_move_together() {
        let yaml = YAML.replace("clusters: [", "clusters: [{name: admin, load_assignment: {}}, ");
        for port in [0, 9901] {
            let Bootstrap(value) = Bootstrap::parse(&yaml).unwrap().admin_port(port);
            let endpoint = "/load_assignment/endpoints/0/lb_endpoints/0/endpoint/address";
            let address = value["static_resources"]["clusters"][0].pointer(endpoint);
            assert_eq!(address, Some(&value["admin"]["address"]));
            let chosen = &value["admin"]["address"]["socket_address"]["port_value"];
            assert_eq!(chosen == &json!(9901), port == 9901, "{chosen}");
            assert_ne!(chosen, &json!(0));
        }
    }

    #[test]
    fn any_ports_frees_listeners_and_admin() {
        let Bootstrap(value) = bootstrap().any_ports();
        let port = "/address/socket_address/port_value";
        assert_eq!(value["static_resources"]["listeners"][0].pointer(port), Some(&json!(0)));
        assert_eq!(value["admin"].pointer(port), Some(&json!(0)));
    }
}
