//! The configuration of `root_id: gateway`.

use super::auth;
use super::breaker;
use super::cache::{self, CacheSettings};
use super::limits::{self, LimiterSettings};
use super::mistakes::{Mistakes, Notes};
use super::models;
use super::schema::{Node, Object};
use super::wire;
use crate::held;
use crate::identity::Auth;
use crate::limit::{Rules, Spec};
use crate::routing::{BreakerSettings, Table};

/// What the operator wants of the gateway, resolved. It never changes: a new configuration is a
/// new object, and requests in flight keep the one that they began with.
#[derive(Debug)]
pub struct Gateway {
    pub routing: Table,
    pub auth: Auth,
    /// Proxies in front whose `x-forwarded-for` is believed.
    pub trusted_hops: u32,
    pub max_request_bytes: usize,
    /// Of each worker.
    pub max_held_bytes: usize,
    pub unmatched: Unmatched,
    pub log_requests: LogRequests,
    pub limits: Rules,
    pub limiter: LimiterSettings,
    pub cache: Option<CacheSettings>,
    pub breaker: BreakerSettings,
    /// 16 hexadecimal digits that tell configurations apart, the same for YAML and JSON.
    pub hash: Box<str>,
}

/// What becomes of a request that is no LLM call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unmatched {
    #[default]
    Pass,
    Reject,
}

/// Which requests get a line in the log of the filter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogRequests {
    None,
    #[default]
    Errors,
    All,
}

impl Gateway {
    /// Reads what Envoy hands over: the bytes of a `google.protobuf.Struct`, or JSON.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Mistakes> {
        let notes = Notes::default();
        let tree = wire::decode(bytes);
        let read = match &tree {
            Ok(tree) => gateway(&Node::root(tree, &notes).object(&KEYS)),
            Err(why) => {
                notes.add("", why.to_string());
                Self::default()
            }
        };
        let digest = notes.finish()?;
        let hash = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect::<String>();
        Ok(Self { hash: hash.into(), ..read })
    }
}

impl Default for Gateway {
    fn default() -> Self {
        Self {
            routing: Table::default(),
            auth: Auth::default(),
            trusted_hops: 0,
            max_request_bytes: DEFAULT_REQUEST_BYTES,
            max_held_bytes: held::DEFAULT_LIMIT,
            unmatched: Unmatched::default(),
            log_requests: LogRequests::default(),
            limits: Rules::default(),
            limiter: LimiterSettings::default(),
            cache: None,
            breaker: BreakerSettings::default(),
            hash: Box::default(),
        }
    }
}

/// Section after section; each goes on after its mistakes.
fn gateway(root: &Object<'_>) -> Gateway {
    let (routing, reach) = models::read(root);
    let auth = auth::read(root, &reach);
    let limiter = root.get("limiter").map(|node| limits::settings(&node));
    let unpriced = limiter.unwrap_or_default().unpriced;
    let known = limits::Known { auth: &auth, reach: &reach, table: &routing, unpriced };
    let limits = root.get("limits").map(|node| rules(&node, &limits::read(&node, known)));
    let cache = root.get("cache").and_then(|node| cache::read(&node, &reach));
    let breaker = root.get("breaker").map(|node| breaker::settings(&node));
    let client_ip = root.get("client_ip").map(|node| node.object(&["trusted_hops"]));
    let hops = client_ip.and_then(|section| section.get("trusted_hops"));
    let hops = hops.and_then(|node| node.whole(0..=MAX_HOPS));
    let bytes = root.get("max_request_bytes").and_then(|node| node.size(REQUEST_BYTES));
    let held = root.get("max_held_bytes").and_then(|node| node.size(HELD_BYTES));
    let unmatched = root.get("unmatched").and_then(|node| node.word(&UNMATCHED));
    let log = root.get("log").map(|node| node.object(&["requests"]));
    let log = log.and_then(|section| section.get("requests"));
    let log = log.and_then(|node| node.word(&LOG_REQUESTS));
    // Where callers are told apart, nothing goes past that which nobody judges.
    let default_unmatched = match auth.identifies() {
        true => Unmatched::Reject,
        false => Unmatched::Pass,
    };
    let default = Gateway::default();
    Gateway {
        routing,
        auth,
        trusted_hops: hops.and_then(|hops| u32::try_from(hops).ok()).unwrap_or(0),
        max_request_bytes: (bytes.and_then(|bytes| usize::try_from(bytes).ok()))
            .unwrap_or(default.max_request_bytes),
        max_held_bytes: (held.and_then(|bytes| usize::try_from(bytes).ok()))
            .unwrap_or(default.max_held_bytes),
        unmatched: unmatched.unwrap_or(default_unmatched),
        log_requests: log.unwrap_or_default(),
        limits: limits.unwrap_or_default(),
        limiter: limiter.unwrap_or_default(),
        cache,
        breaker: breaker.unwrap_or_default(),
        hash: default.hash,
    }
}

fn rules(node: &Node<'_>, specs: &[Spec]) -> Rules {
    Rules::new(specs).unwrap_or_else(|invalid| {
        node.say(invalid.to_string());
        Rules::default()
    })
}

const KEYS: [&str; 16] = [
    "providers",
    "models",
    "default_model",
    "attempts",
    "breaker",
    "auth",
    "consumers",
    "consumer_header",
    "limits",
    "limiter",
    "cache",
    "client_ip",
    "max_request_bytes",
    "max_held_bytes",
    "unmatched",
    "log",
];
const UNMATCHED: [(&str, Unmatched); 2] =
    [("pass", Unmatched::Pass), ("reject", Unmatched::Reject)];
const LOG_REQUESTS: [(&str, LogRequests); 3] =
    [("none", LogRequests::None), ("errors", LogRequests::Errors), ("all", LogRequests::All)];
const MAX_HOPS: u64 = 16;
const REQUEST_BYTES: std::ops::RangeInclusive<u64> = 1 << 10..=128 << 20;
/// More would leave no room in a worker's VM for the work itself.
const HELD_BYTES: std::ops::RangeInclusive<u64> = 1 << 20..=768 << 20;
const DEFAULT_REQUEST_BYTES: usize = 4 << 20;
