//! `cache`: which answers are kept, where and for how long.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::names::{self, Reach};
use super::scalar::Bytes;
use super::schema::Node;
use crate::cache::policy::{Mode, Policy, Scope};
use crate::cache::record::Ttl;
use crate::protocol::Operation;
use crate::routing::Allow;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheSettings {
    pub policy: Policy,
    /// Names as they are asked for whose answers may be kept.
    pub models: Allow,
    pub max_entries: NonZeroU32,
    /// How long a request waits for the answer to an identical one in flight; zero: not at all.
    pub single_flight_wait: Duration,
    /// Headers, lower case and sorted, of which an answer depends on each.
    pub vary: Box<[Box<str>]>,
    pub backend: Option<Backend>,
}

/// A store that a fleet shares, behind the entries of this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backend {
    pub cluster: Box<str>,
    pub protocol: BackendProtocol,
    /// The longest that an answer is delayed by it.
    pub timeout: Duration,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BackendProtocol {
    /// Redis over HTTP.
    #[default]
    Webdis,
}

pub(super) fn read(node: &Node<'_>, reach: &Reach) -> Option<CacheSettings> {
    let object = node.object(&KEYS);
    let ttl = object.need("ttl", "a duration").and_then(|node| node.duration(TTL));
    let max_entries = object.get("max_entries").and_then(|node| node.whole(ENTRIES));
    let max_entries = max_entries.unwrap_or(DEFAULT_ENTRIES);
    let max_entry_bytes = object.get("max_entry_bytes").and_then(|node| node.size(ENTRY_BYTES));
    let max_entry_bytes = max_entry_bytes.unwrap_or(DEFAULT_ENTRY_BYTES);
    let all = max_entries.saturating_mul(max_entry_bytes);
    if all > MAX_TOTAL_BYTES {
        node.mistake(
            format_args!("max_entries x max_entry_bytes of {}", Bytes(all)),
            format_args!("at most {}", Bytes(MAX_TOTAL_BYTES)),
        );
    }
    let scope = object.get("scope").and_then(|node| node.word(&SCOPES));
    let operations = object.get("operations").map(|node| node.words(&OPERATIONS));
    let operations = operations.unwrap_or_else(|| OPERATIONS.map(|(_, all)| all).into());
    let mode = object.get("mode").and_then(|node| node.word(&MODES));
    let models = object.get("models").map(|node| names::allow(&node, reach));
    let wait = object.get("single_flight_wait").and_then(|node| node.duration(WAIT));
    let vary = object.get("vary").map(|node| vary(&node)).unwrap_or_default();
    let backend = object.get("backend").and_then(|node| backend(&node));
    Some(CacheSettings {
        policy: Policy {
            mode: mode.unwrap_or_default(),
            ttl: Ttl::new(ttl?)?,
            max_entry_bytes: usize::try_from(max_entry_bytes).ok()?,
            scope: scope.unwrap_or_default(),
            operations: operations.concat(),
        },
        models: models.unwrap_or(Allow::Everything),
        max_entries: NonZeroU32::new(u32::try_from(max_entries).ok()?)?,
        single_flight_wait: wait.unwrap_or(DEFAULT_WAIT),
        vary,
        backend,
    })
}

/// The order in which they are written says nothing.
fn vary(node: &Node<'_>) -> Box<[Box<str>]> {
    let mut names = BTreeSet::<Box<str>>::new();
    for node in node.list("names of headers", MAX_VARY) {
        let lower = |name: &str| !name.bytes().any(|byte| byte.is_ascii_uppercase());
        let name = node.text(HEADER, |name| {
            (names::header_name(name) && lower(name)).then(|| Box::<str>::from(name))
        });
        if let Some(name) = name
            && !names.insert(name)
        {
            node.wrong("each name once");
        }
    }
    names.into_iter().collect()
}

fn backend(node: &Node<'_>) -> Option<Backend> {
    let object = node.object(&["cluster", "protocol", "timeout"]);
    let protocol = object.get("protocol").and_then(|node| node.word(&PROTOCOLS));
    let timeout = object.get("timeout").and_then(|node| node.duration(TIMEOUT));
    let cluster = object.need("cluster", "the name of a cluster");
    Some(Backend {
        cluster: cluster.and_then(|node| names::cluster(&node))?.into(),
        protocol: protocol.unwrap_or_default(),
        timeout: timeout.unwrap_or(DEFAULT_TIMEOUT),
    })
}

const KEYS: [&str; 10] = [
    "ttl",
    "max_entries",
    "max_entry_bytes",
    "scope",
    "operations",
    "mode",
    "models",
    "single_flight_wait",
    "vary",
    "backend",
];
const SCOPES: [(&str, Scope); 2] = [("consumer", Scope::Consumer), ("global", Scope::Global)];
const MODES: [(&str, Mode); 3] = [("on", Mode::On), ("off", Mode::Off), ("shadow", Mode::Shadow)];
/// One word for the same thing in every dialect.
const OPERATIONS: [(&str, &[Operation]); 4] = [
    (
        "chat",
        &[
            Operation::Chat,
            Operation::Messages,
            Operation::OllamaChat,
            Operation::GeminiGenerate,
            Operation::GeminiStream,
        ],
    ),
    ("completion", &[Operation::Completion, Operation::OllamaGenerate]),
    (
        "embedding",
        &[
            Operation::Embedding,
            Operation::OllamaEmbed,
            Operation::GeminiEmbed,
            Operation::GeminiBatchEmbed,
        ],
    ),
    ("responses", &[Operation::Responses]),
];
const PROTOCOLS: [(&str, BackendProtocol); 1] = [("webdis", BackendProtocol::Webdis)];

const HEADER: &str = "the name of a header, in lower case";
const MAX_VARY: usize = 16;

const TTL: RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_secs(31 * 24 * 60 * 60);
const ENTRIES: RangeInclusive<u64> = 1..=1 << 20;
const DEFAULT_ENTRIES: u64 = 1024;
const ENTRY_BYTES: RangeInclusive<u64> = 1 << 10..=16 << 20;
const DEFAULT_ENTRY_BYTES: u64 = 256 << 10;
const MAX_TOTAL_BYTES: u64 = 16 << 30;
const WAIT: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(60);
const DEFAULT_WAIT: Duration = Duration::from_millis(250);
const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(10);
const DEFAULT_TIMEOUT: Duration = Duration::from_millis(20);
