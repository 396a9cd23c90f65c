//! The configuration of `root_id: provider`.

use std::fmt;

use super::azure::{API_VERSION, AzureVersion};
use super::mistakes::{Mistakes, Notes};
use super::names::{PROVIDER_NAME, header_name, provider_name};
use super::schema::{Node, Object};
use super::shown::Quoted;
use super::wire;
use crate::host::SafeValue;
use crate::identity::CREDENTIAL_HEADERS;
use crate::protocol::hygiene::can_be_forwarded;

/// How one cluster's provider wants to be spoken to, resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provider {
    pub name: Box<str>,
    pub api: Api,
    /// `:authority` of the request upstream; `None`: as the client sent it.
    pub host: Option<Box<str>>,
    /// Before the path of each call, without a slash at its end; may be empty.
    pub base_path: Box<str>,
    /// Azure's, and there always.
    pub api_version: Option<AzureVersion>,
    /// `None` where another filter adds it.
    pub credential: Option<Credential>,
    /// Names in lower case.
    pub headers: Vec<(Box<str>, Box<str>)>,
    /// Headers that pass although they would end at the gateway, both ways; in lower case.
    pub forward_headers: Vec<Box<str>>,
}

/// Whose wire format a provider speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Api {
    #[default]
    OpenAi,
    AzureOpenAi,
    Anthropic,
    Gemini,
    Bedrock,
    Ollama,
    Cohere,
}

/// A header that proves who pays. Its value is shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// In lower case.
    pub header: Box<str>,
    pub value: Box<str>,
}

impl Api {
    /// The words of the configuration.
    pub const NAMES: [(&str, Self); 7] = [
        ("openai", Self::OpenAi),
        ("azure_openai", Self::AzureOpenAi),
        ("anthropic", Self::Anthropic),
        ("gemini", Self::Gemini),
        ("bedrock", Self::Bedrock),
        ("ollama", Self::Ollama),
        ("cohere", Self::Cohere),
    ];

    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, api)| *api == self).map_or("", |(name, _)| name)
    }

    fn base_path(self) -> &'static str {
        match self {
            Self::OpenAi | Self::Anthropic => "/v1",
            Self::AzureOpenAi => "/openai",
            Self::Gemini => "/v1beta",
            Self::Cohere => "/v2",
            Self::Bedrock | Self::Ollama => "",
        }
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("header", &self.header).finish_non_exhaustive()
    }
}

impl Provider {
    /// Reads what Envoy hands over: the bytes of a `google.protobuf.Struct`, or JSON. `env` looks
    /// up environment variables.
    pub fn from_bytes(
        bytes: &[u8],
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Mistakes> {
        let notes = Notes::default();
        let tree = wire::decode(bytes);
        let read = match &tree {
            Ok(tree) => provider(&Node::root(tree, &notes).object(&KEYS), env),
            Err(why) => {
                notes.add("", why.to_string());
                Self::default()
            }
        };
        notes.finish().map(|_| read)
    }
}

impl Default for Provider {
    fn default() -> Self {
        Self {
            name: Box::default(),
            api: Api::default(),
            host: None,
            base_path: Api::default().base_path().into(),
            api_version: None,
            credential: None,
            headers: Vec::new(),
            forward_headers: Vec::new(),
        }
    }
}

fn provider(root: &Object<'_>, env: &dyn Fn(&str) -> Option<String>) -> Provider {
    let name = root
        .need("provider", PROVIDER_NAME)
        .and_then(|node| node.text(PROVIDER_NAME, |text| provider_name(text).then_some(text)));
    let api = root.get("api").and_then(|node| node.word(&Api::NAMES)).unwrap_or_default();
    let host = root
        .get("host")
        .and_then(|node| node.text(HOST, |text| is_authority(text).then_some(text)));
    let base_path = root
        .get("base_path")
        .and_then(|node| node.text(BASE_PATH, |text| is_base_path(text).then_some(text)));
    let api_version = root.get("api_version").and_then(|node| {
        if api != Api::AzureOpenAi {
            node.mistake("a version", "none: only azure_openai has one");
        }
        node.text(API_VERSION, AzureVersion::read)
    });
    let default_version = || (api == Api::AzureOpenAi).then(AzureVersion::default);
    let auth = root.get("auth").map(Node::secret);
    let credential = auth.as_ref().and_then(|node| credential(node, env));
    let headers = root.get("headers").map(Node::secret);
    let headers = headers.map(|node| headers_of(&node, credential.as_ref())).unwrap_or_default();
    let forward = root.get("forward_headers").map(|node| forwarded(&node)).unwrap_or_default();
    Provider {
        name: name.unwrap_or_default().into(),
        api,
        host: host.map(Into::into),
        base_path: base_path.unwrap_or(api.base_path()).into(),
        api_version: api_version.or_else(default_version),
        credential,
        headers,
        forward_headers: forward,
    }
}

/// `{header: x-api-key, env: NAME}` or `{bearer_env: NAME}`.
fn credential(node: &Node<'_>, env: &dyn Fn(&str) -> Option<String>) -> Option<Credential> {
    let object = node.object(&["header", "env", "bearer_env"]);
    let header = object.get("header");
    match (object.get("bearer_env"), object.get("env")) {
        (Some(node), None) => {
            if let Some(header) = header {
                header.mistake("a header", "none beside bearer_env, which is authorization");
            }
            let value = format!("Bearer {}", variable(&node, env)?);
            Some(Credential { header: "authorization".into(), value: value.into() })
        }
        (Some(node), Some(_)) => {
            node.mistake("both env and bearer_env", "one of them");
            None
        }
        (None, Some(node)) => {
            let value = variable(&node, env);
            let header = object.need("header", HEADER_NAME).map(Node::plain);
            let header =
                header.and_then(|node| node.text(HEADER_NAME, |text| own_header(text, &[])));
            Some(Credential { header: header?, value: value?.into() })
        }
        (None, None) if node.is_object() => {
            object.missing("env", "the name of an environment variable, here or at bearer_env");
            None
        }
        (None, None) => None,
    }
}

/// What an environment variable holds.
fn variable(node: &Node<'_>, env: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let name = node.text(VARIABLE, |text| is_variable(text).then_some(text))?;
    let value = env(name).unwrap_or_default();
    // Who wrote the key itself here must not find it in a log.
    let shown = if name.bytes().any(|b| b.is_ascii_lowercase()) { "of this name" } else { name };
    if value.is_empty() {
        node.mistake(
            format_args!("no environment variable {shown}"),
            "one with a value, that vm_config.environment_variables passes on",
        );
    } else if !header_value(&value) {
        node.mistake(format_args!("another value in the environment variable {shown}"), VALUE);
    } else {
        return Some(value);
    }
    None
}

fn headers_of(node: &Node<'_>, credential: Option<&Credential>) -> Vec<(Box<str>, Box<str>)> {
    let mut headers: Vec<(Box<str>, Box<str>)> = Vec::new();
    for (name, node) in node.map("headers", MAX_HEADERS) {
        let value = node.text(VALUE, |text| header_value(text).then_some(text));
        let Some(name) = own_header(name, &CREDENTIAL_HEADERS) else {
            node.mistake(Quoted(name), format_args!("{HEADER_NAME}, and credentials in auth"));
            continue;
        };
        let taken = headers.iter().any(|(other, _)| *other == name);
        if taken || credential.is_some_and(|credential| credential.header == name) {
            node.mistake(Quoted(&name), "each header once, whatever its case, and not in auth too");
        }
        if let Some(value) = value {
            headers.push((name, value.into()));
        }
    }
    headers
}

fn forwarded(node: &Node<'_>) -> Vec<Box<str>> {
    let mut names: Vec<Box<str>> = Vec::new();
    for node in node.list("header names", MAX_HEADERS) {
        let name = node.text(FORWARDED, |text| {
            own_header(text, &CREDENTIAL_HEADERS).filter(|name| can_be_forwarded(name))
        });
        let Some(name) = name else { continue };
        if names.contains(&name) {
            node.wrong("each header once, whatever its case");
        }
        names.push(name);
    }
    names
}

/// The name in lower case, if an operator may set that header.
fn own_header(name: &str, others: &[&str]) -> Option<Box<str>> {
    let name = name.to_ascii_lowercase();
    let reserved = RESERVED.contains(&name.as_str()) || others.contains(&name.as_str());
    let ours = name.starts_with("x-llm-") || name.starts_with("x-envoy-");
    (header_name(&name) && !reserved && !ours).then(|| name.into())
}

fn header_value(text: &str) -> bool {
    let whole = text.trim_ascii() == text && !text.is_empty();
    whole && text.len() <= MAX_VALUE_BYTES && SafeValue::new(text.as_bytes()).is_some()
}

/// `api.example.com`, `api.example.com:8443`, `[2001:db8::1]:443`
fn is_authority(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    };
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let named = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    let host = match address {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => (1..=253).contains(&host.len()) && host.bytes().all(named),
    };
    host && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
}

fn is_base_path(path: &str) -> bool {
    let plain = |b: u8| b.is_ascii_graphic() && !matches!(b, b'?' | b'#' | b'\\');
    let climbs = path.split('/').any(|part| matches!(part, "." | ".."));
    let shaped = path.is_empty() || (path.starts_with('/') && !path.ends_with('/'));
    shaped
        && path.len() <= MAX_PATH_BYTES
        && path.bytes().all(plain)
        && !climbs
        && !path.contains("//")
}

fn is_variable(name: &str) -> bool {
    let letter = |b: u8| b.is_ascii_alphabetic() || b == b'_';
    name.len() <= MAX_VARIABLE_BYTES
        && name.bytes().next().is_some_and(letter)
        && name.bytes().all(|b| letter(b) || b.is_ascii_digit())
}

const KEYS: [&str; 8] =
    ["provider", "api", "host", "base_path", "api_version", "auth", "headers", "forward_headers"];
/// Headers that are about the connection, the body or the address, and so not the operator's.
const RESERVED: [&str; 10] = [
    "host",
    "connection",
    "content-length",
    "content-encoding",
    "content-type",
    "expect",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
const HOST: &str = "a host name, an IPv4 address or an IPv6 one in [], with or without a port";
const BASE_PATH: &str = r#"a path like "/v1", without a slash at its end, or """#;
const HEADER_NAME: &str = "the name of a header that is free to be set";
const FORWARDED: &str =
    "the name of a header, none of credentials, of the connection or the body, x-llm- or x-envoy-";
const VARIABLE: &str = "the name of an environment variable";
const VALUE: &str = "1 to 8192 bytes, no control characters, no space at the ends";
const MAX_HEADERS: usize = 64;
const MAX_VARIABLE_BYTES: usize = 128;
const MAX_VALUE_BYTES: usize = 8192;
const MAX_PATH_BYTES: usize = 256;
