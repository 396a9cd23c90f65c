//! `limits` and `limiter`: who may have how much in which time.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::names::{self, LABEL, Reach, label};
use super::schema::{Node, Object};
use super::shown::Quoted;
use crate::identity::{self, Auth};
use crate::limit::gcra::{MAX_BURST_RATIO, MAX_UNITS, MAX_WINDOW, MIN_WINDOW, Quota};
use crate::limit::{Amount, DEFAULT_SLOTS, KeyPart, Mode, OnContention, Spec};
use crate::price;
use crate::routing::{Allow, Meant, Table};

/// What all limits share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimiterSettings {
    pub slots: NonZeroU32,
    pub on_contention: OnContention,
    /// The estimate for a request that does not bound its answer, in tokens.
    pub default_output_tokens: u64,
    pub unpriced: Unpriced,
}

/// What becomes of a limit of money that is about models without a price.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unpriced {
    /// The load is refused.
    #[default]
    Refuse,
    /// They cost nothing.
    Free,
}

impl Default for LimiterSettings {
    fn default() -> Self {
        let on_contention = OnContention::default();
        let default_output_tokens = DEFAULT_OUTPUT_TOKENS;
        let unpriced = Unpriced::default();
        Self { slots: DEFAULT_SLOTS, on_contention, default_output_tokens, unpriced }
    }
}

pub(super) fn settings(node: &Node<'_>) -> LimiterSettings {
    let object = node.object(&["slots", "on_contention", "default_output_tokens", "unpriced"]);
    let slots = object.get("slots").and_then(|node| node.whole(SLOTS));
    let slots = slots.and_then(|slots| NonZeroU32::new(u32::try_from(slots).ok()?));
    let on_contention = object.get("on_contention").and_then(|node| node.word(&ON_CONTENTION));
    let tokens = object.get("default_output_tokens").and_then(|node| node.whole(OUTPUT_TOKENS));
    let unpriced = object.get("unpriced").and_then(|node| node.word(&UNPRICED));
    let default = LimiterSettings::default();
    LimiterSettings {
        slots: slots.unwrap_or(default.slots),
        on_contention: on_contention.unwrap_or(default.on_contention),
        default_output_tokens: tokens.unwrap_or(default.default_output_tokens),
        unpriced: unpriced.unwrap_or(default.unpriced),
    }
}

/// What limits speak of.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) auth: &'a Auth,
    pub(super) reach: &'a Reach,
    pub(super) table: &'a Table,
    pub(super) unpriced: Unpriced,
}

pub(super) fn read(node: &Node<'_>, known: Known<'_>) -> Vec<Spec> {
    let mut names = BTreeMap::new();
    let specs = node.list("limits", MAX_LIMITS).into_iter().filter_map(|node| {
        let object = node.object(&KEYS);
        let spec = spec(&object, known)?;
        if let Some(first) = names.insert(spec.name.clone(), format!("{}.name", node.path())) {
            object.get("name")?.wrong(format_args!("another name than {first}"));
        }
        Some(spec)
    });
    specs.collect()
}

fn spec(object: &Object<'_>, known: Known<'_>) -> Option<Spec> {
    let Known { auth, reach, .. } = known;
    let name = object
        .need("name", LABEL)
        .and_then(|node| node.text(LABEL, |text| label(text).then_some(text)));
    let key = object.need("key", "a list: [] for one debt that all share").map(|node| {
        let key = if node.is_empty_list() { Vec::new() } else { node.words(&KEY_PARTS) };
        if key.contains(&KeyPart::Consumer) && nobody(auth) {
            node.mistake("consumer", "consumers in this configuration: else nobody is one");
        }
        key
    });
    let window =
        object.need("window", WINDOW).and_then(|node| node.duration(MIN_WINDOW..=MAX_WINDOW));
    let models = object.get("models").map(|node| names::allow(&node, reach));
    let models = models.unwrap_or(Allow::Everything);
    let consumers = object.get("consumers").map(|node| consumers(&node, auth));
    let mode = object.get("mode").and_then(|node| node.word(&MODES));
    let units = |node: &Node<'_>| node.whole(1..=MAX_UNITS);
    let usd = |node: &Node<'_>| {
        let read = |usd| price::micros(usd).filter(|micros| (1..=MAX_UNITS).contains(micros));
        node.number(USD, read)
    };
    let amount = |key: &str, read: &dyn Fn(&Node<'_>) -> Option<u64>| {
        object.get(key).map(|node| amount(&node, window, read))
    };
    let requests = amount("requests", &units);
    let tokens = amount("tokens", &units);
    let cost = amount("cost_usd", &usd);
    if requests.is_none() && tokens.is_none() && cost.is_none() {
        object.nothing("requests, tokens or cost_usd");
    }
    if let Some(node) = object.get("cost_usd") {
        check_prices(&node, &models, known);
    }
    Some(Spec {
        name: name?.into(),
        key: key?,
        requests: requests.flatten(),
        tokens: tokens.flatten(),
        cost_microusd: cost.flatten(),
        window: window?,
        models,
        consumers: consumers.unwrap_or_default(),
        mode: mode.unwrap_or_default(),
    })
}

/// A limit of money sees only what has a price. With one model that has none, whoever is over the
/// limit goes on there.
fn check_prices(node: &Node<'_>, models: &Allow, known: Known<'_>) {
    let meant = Meant::new(models);
    let mut prices = BTreeMap::new();
    for (name, targets) in known.table.reachable() {
        let targets: Vec<_> = targets.collect();
        if meant.may_mean(&name, targets.iter().copied()) {
            prices.extend(targets.iter().map(|target| (target.index, *target)));
        }
    }
    let without: Vec<_> = prices.values().filter(|target| target.price.is_none()).collect();
    if prices.is_empty() || without.is_empty() {
        return;
    }
    if known.unpriced == Unpriced::Free {
        if without.len() == prices.len() {
            node.mistake("a limit of money", "a price at one of the models that it is about");
        }
        return;
    }
    let names = without
        .iter()
        .take(MAX_NAMED)
        .map(|target| Quoted(&format!("{}/{}", target.provider.name, target.label)).to_string());
    let more = match without.len().checked_sub(MAX_NAMED) {
        Some(more @ 1..) => format!(" and {more} more"),
        _ => String::new(),
    };
    let names = names.collect::<Vec<_>>().join(", ");
    node.mistake(
        "a limit of money",
        format_args!("a price (0 is one) at {names}{more}, or limiter.unpriced: free"),
    );
}

/// `60`, or `{limit: 60, burst: 10}`.
fn amount(
    node: &Node<'_>,
    window: Option<Duration>,
    read: &dyn Fn(&Node<'_>) -> Option<u64>,
) -> Option<Amount> {
    if !node.is_object() {
        return read(node).map(|limit| Amount { limit, burst: None });
    }
    let object = node.object(&["limit", "burst"]);
    let limit = object.need("limit", "an amount").and_then(|node| read(&node));
    let given = object.get("burst");
    let burst = given.as_ref().and_then(read);
    let (limit, window) = (limit?, window?);
    if let (Err(_), Some(node)) = (Quota::new(limit, window, burst), given) {
        node.wrong(format_args!("at most {MAX_BURST_RATIO} times the limit"));
        return None;
    }
    Some(Amount { limit, burst })
}

fn consumers(node: &Node<'_>, auth: &Auth) -> Vec<Box<str>> {
    let mut names: Vec<Box<str>> = Vec::new();
    for node in node.list("names of consumers", auth.consumers.len().max(1)) {
        let Some(name) = node.text(CONSUMER, Some) else { continue };
        if !auth.consumers.iter().any(|consumer| *consumer.name == *name) {
            node.wrong(CONSUMER);
        } else if names.iter().any(|other| **other == *name) {
            node.wrong("each consumer once");
        }
        names.push(name.into());
    }
    names
}

/// Whether no request has a consumer.
fn nobody(auth: &Auth) -> bool {
    auth.consumer_header.is_none() && auth.mode == identity::Mode::Off
}

const KEYS: [&str; 9] =
    ["name", "key", "requests", "tokens", "cost_usd", "window", "models", "consumers", "mode"];
const KEY_PARTS: [(&str, KeyPart); 4] = [
    ("consumer", KeyPart::Consumer),
    ("client_ip", KeyPart::ClientIp),
    ("model", KeyPart::Model),
    ("provider", KeyPart::Provider),
];
const MODES: [(&str, Mode); 2] = [("enforce", Mode::Enforce), ("shadow", Mode::Shadow)];
const ON_CONTENTION: [(&str, OnContention); 2] =
    [("deny", OnContention::Deny), ("allow", OnContention::Allow)];
const UNPRICED: [(&str, Unpriced); 2] = [("refuse", Unpriced::Refuse), ("free", Unpriced::Free)];
const WINDOW: &str = "a duration";
const USD: &str = "an amount in USD above 0, at most six decimals";
const CONSUMER: &str = "the name of a consumer";

const MAX_LIMITS: usize = 64;
const MAX_NAMED: usize = 8;
/// About 30 KB to 500 MB of shared data.
const SLOTS: RangeInclusive<u64> = 64..=1 << 20;
const OUTPUT_TOKENS: RangeInclusive<u64> = 1..=10_000_000;
const DEFAULT_OUTPUT_TOKENS: u64 = 1024;
