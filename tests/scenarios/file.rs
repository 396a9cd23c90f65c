//! What a scenario file says.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_norway::Value as Yaml;

/// Cases with what they share. A case replaces or adds single sections of the configurations.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    #[serde(default)]
    pub(crate) gateway: BTreeMap<String, Value>,
    /// The provider role's configuration in a cluster; a cluster that is not here has none.
    #[serde(default)]
    pub(crate) clusters: BTreeMap<String, Value>,
    /// The provider role's environment.
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) gateway: BTreeMap<String, Value>,
    #[serde(default)]
    pub(crate) clusters: BTreeMap<String, Value>,
    pub(crate) steps: Vec<Step>,
}

/// What happens, in the order of these fields, and what must be true then.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Step {
    /// Go on as another worker of the same process; the first is 0. Each has a stream of its own.
    pub(crate) worker: Option<usize>,
    pub(crate) advance_ms: Option<u64>,
    /// Host calls that fail, by the name of `fake::Call`: the next one of each.
    #[serde(default)]
    pub(crate) fail: Vec<String>,
    /// Other workers win so many of the next compare-and-swaps.
    pub(crate) collide: Option<u32>,
    /// What other streams of the worker hold from now on, in bytes.
    pub(crate) others_hold: Option<usize>,
    /// A new stream begins.
    pub(crate) request: Option<Request>,
    /// More of a request that is `open`.
    pub(crate) upload: Option<Upload>,
    /// What Envoy's router does with it. The last one's answer reaches the gateway.
    #[serde(default)]
    pub(crate) attempts: Vec<Attempt>,
    /// The answer to the filter's own HTTP request.
    pub(crate) called: Option<Called>,
    /// The worker's timer: who waits looks again, and what is done without a request is done.
    #[serde(default)]
    pub(crate) tick: bool,
    /// What comes back: of the last attempt, or of Envoy itself if it has `details`.
    pub(crate) answer: Option<Answer>,
    /// The stream ends and is logged; a text is Envoy's response code details.
    pub(crate) end: Option<End>,
    /// The status that Envoy logs, where it answered past the filters.
    pub(crate) code: Option<u16>,
    #[serde(default)]
    pub(crate) expect: Expect,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    pub(crate) get: Option<String>,
    pub(crate) post: Option<String>,
    /// Another method, with `path`.
    pub(crate) method: Option<String>,
    pub(crate) path: Option<String>,
    /// Besides the usual ones; `null` takes a usual one away.
    #[serde(default)]
    pub(crate) headers: Headers,
    pub(crate) body: Option<Body>,
    /// The body in pieces, without a content-length.
    pub(crate) chunks: Option<Vec<Body>>,
    pub(crate) trailers: Option<Headers>,
    /// The end comes in a call of its own, as of HTTP/1.
    #[serde(default)]
    pub(crate) end_apart: bool,
    /// The end does not come.
    #[serde(default)]
    pub(crate) open: bool,
    /// No host has a connection for it yet.
    #[serde(default)]
    pub(crate) waits_for_host: bool,
    /// `source.address`
    pub(crate) from: Option<String>,
    /// The cluster of Envoy's route.
    pub(crate) route: Option<String>,
    /// The digest of the certificate that the client showed.
    pub(crate) certificate: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Upload {
    pub(crate) chunks: Vec<Body>,
    #[serde(default)]
    pub(crate) open: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Attempt {
    /// The cluster that filter state must name.
    pub(crate) cluster: String,
    /// What the provider gets.
    #[serde(default)]
    pub(crate) sees: Message,
    /// Host calls of the provider role until the request is gone.
    pub(crate) calls: Option<u64>,
    /// `None`: no answer, as of a refused connection, or one of a later step.
    pub(crate) answer: Option<Answer>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Answer {
    /// `None`: more of an answer that is `open`.
    pub(crate) status: Option<u16>,
    #[serde(default)]
    pub(crate) headers: Headers,
    pub(crate) body: Option<Body>,
    pub(crate) chunks: Option<Vec<Body>>,
    /// The chunks come so often.
    pub(crate) repeat: Option<usize>,
    pub(crate) trailers: Option<Headers>,
    #[serde(default)]
    pub(crate) end_apart: bool,
    #[serde(default)]
    pub(crate) open: bool,
    /// Response code details: it is no provider's answer.
    pub(crate) details: Option<String>,
    /// The case is played again for each place where the body can be cut in two, and with a chunk
    /// for each byte.
    #[serde(default)]
    pub(crate) cut_everywhere: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Called {
    /// `None`: the call failed.
    pub(crate) status: Option<u16>,
    pub(crate) body: Option<Body>,
    /// As webdis answers: what the process stored there, or 404.
    #[serde(default)]
    pub(crate) by_store: bool,
    /// So many bytes are lost at the end.
    #[serde(default)]
    pub(crate) lost: usize,
}

#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum End {
    Plain(bool),
    Details(String),
}

/// What must be true after a step. What is not written is not compared.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expect {
    /// What the gateway sent on: before any attempt.
    pub(crate) sent: Option<Message>,
    /// What the client has got so far.
    pub(crate) got: Option<Message>,
    /// The chunks that the client got in this step.
    pub(crate) pieces: Option<Vec<Body>>,
    /// Flows of the gateway role in this step, in the events' order.
    pub(crate) flows: Option<Vec<Flow>>,
    /// Filter state; `null`: none of that name.
    #[serde(default)]
    pub(crate) state: BTreeMap<String, Value>,
    /// Stats of any kind, by full name; a histogram is the list of its values.
    #[serde(default)]
    pub(crate) metrics: BTreeMap<String, Value>,
    /// All counters that are not 0.
    pub(crate) counters: Option<BTreeMap<String, Value>>,
    /// All lines of this step, as JSON that may have more members.
    pub(crate) logs: Option<Vec<Value>>,
    /// Parts of lines of level error in this step, in order; without this there must be none.
    #[serde(default)]
    pub(crate) errors: Vec<String>,
    /// All host calls of the gateway role in this step.
    pub(crate) calls: Option<u64>,
    /// Whether the exchange wants ticks.
    pub(crate) waits: Option<bool>,
    /// All HTTP requests of the filter's own in this stream: cluster, method, path, milliseconds.
    pub(crate) requests: Option<Vec<(String, String, String, u64)>>,
}

/// Headers and body of a message, as far as they matter.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Message {
    pub(crate) status: Option<u16>,
    /// Response code details of the gateway's own reply.
    pub(crate) details: Option<String>,
    #[serde(default)]
    pub(crate) headers: Headers,
    /// Byte for byte, or JSON with `"*"` for whatever.
    pub(crate) body: Option<Body>,
    /// It is whole.
    pub(crate) ended: Option<bool>,
    /// Nothing of it came.
    #[serde(default)]
    pub(crate) nothing: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Flow {
    Continue,
    Pause,
}

/// Text as it is; anything else as JSON.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    Text(String),
    Json { text: String, value: Value },
}

impl Body {
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) | Self::Json { text, .. } => text.as_bytes(),
        }
    }
}

impl<'de> Deserialize<'de> for Body {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        Ok(match Yaml::deserialize(from)? {
            Yaml::String(text) => Self::Text(text),
            // The text keeps the order of the members.
            other => Self::Json {
                text: serde_json::to_string(&other).map_err(D::Error::custom)?,
                value: serde_json::to_value(&other).map_err(D::Error::custom)?,
            },
        })
    }
}

/// One value, several, or `null` for none.
pub(crate) type Headers = BTreeMap<String, Header>;

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Header {
    None,
    One(String),
    Number(u64),
    Many(Vec<String>),
}

impl Header {
    pub(crate) fn values(&self) -> Vec<String> {
        match self {
            Self::None => Vec::new(),
            Self::One(value) => vec![value.clone()],
            Self::Number(number) => vec![number.to_string()],
            Self::Many(values) => values.clone(),
        }
    }
}

pub(crate) fn read(text: &str) -> Result<File, String> {
    serde_norway::from_str(text).map_err(|why| why.to_string())
}
