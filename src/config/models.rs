//! `providers`, `models`, `default_model` and `attempts`: what becomes the routing table.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use super::mistakes::nearest;
use super::schema::{Node, Object, Quoted, Words};
use crate::price::{self, Price};
use crate::protocol::probe::MAX_MODEL_BYTES;
use crate::routing::{
    Alias, AliasEntry, Allow, Attempts, Capabilities, MAX_CHOICES, Model, Pattern, Provider,
    ProviderModels, RetryOn, Table, served,
};

pub(super) fn read(root: &Object<'_>) -> Table {
    let attempts = root.get("attempts").map(|node| attempts(&node)).unwrap_or_default();
    let providers = providers(root);
    let aliases = aliases(root, &providers, &attempts);
    let default = root.get("default_model").and_then(|node| {
        let name = node.text(EXACT_NAME, |text| exact_name(text).then_some(text))?;
        Some((node, name))
    });
    let default_name = default.as_ref().map(|(_, name)| Box::from(*name));
    let table = Table::new(providers, aliases, &attempts, default_name);
    if let Some((node, name)) = default
        && table.mapping(name).next().is_none()
    {
        node.wrong(REACHED);
    }
    table
}

/// Patterns over the names that clients ask for; each must be able to match one.
pub(super) fn allow(node: &Node<'_>, reach: &Reach) -> Allow {
    let mut seen = BTreeSet::new();
    let patterns = node.list("model names", MAX_PATTERNS).into_iter().filter_map(|node| {
        let pattern = model_pattern(&node)?;
        if !seen.insert(pattern.as_str().to_owned()) {
            node.wrong("each name once");
        } else if !reach.reaches(&pattern) {
            node.wrong(REACHED);
        }
        Some(pattern)
    });
    Allow::Only(patterns.collect())
}

/// What clients can ask for.
pub(super) struct Reach(Vec<Reached>);

struct Reached {
    name: Pattern,
    priced: bool,
}

impl Reach {
    pub(super) fn of(table: &Table) -> Self {
        let reached = table.reachable().map(|(name, mut targets)| Reached {
            name,
            priced: targets.any(|target| target.price.is_some()),
        });
        Self(reached.collect())
    }

    fn reaches(&self, pattern: &Pattern) -> bool {
        self.0.iter().any(|reached| reached.name.overlaps(pattern))
    }

    /// Whether anything that `allow` lets through has a price.
    pub(super) fn priced(&self, allow: &Allow) -> bool {
        self.0.iter().filter(|reached| reached.priced).any(|reached| match allow {
            Allow::Everything => true,
            Allow::Only(patterns) => patterns.iter().any(|p| p.overlaps(&reached.name)),
        })
    }
}

fn providers(root: &Object<'_>) -> Vec<ProviderModels> {
    let section = root.need("providers", "an object of providers");
    let entries = section.map(|node| node.map("providers", MAX_CHOICES)).unwrap_or_default();
    entries.into_iter().map(|(name, node)| provider(name, &node)).collect()
}

fn provider(name: &str, node: &Node<'_>) -> ProviderModels {
    if !provider_name(name) {
        node.mistake(Quoted(name), PROVIDER_NAME);
    }
    let object = node.object(&["cluster", "priority", "models"]);
    let cluster = object.get("cluster").and_then(|node| self::cluster(&node));
    let priority = object.get("priority").and_then(|node| priority(&node)).unwrap_or(0);
    let models = object.need("models", "a list of model names").map(|node| models(&node));
    let provider = Provider { name: name.into(), cluster: cluster.unwrap_or(name).into() };
    ProviderModels { provider: Arc::new(provider), priority, models: models.unwrap_or_default() }
}

fn models(node: &Node<'_>) -> Vec<Model> {
    let mut seen = BTreeSet::new();
    let mut models = Vec::new();
    for node in node.list("model names", MAX_MODELS) {
        let Some(model) = model(&node) else { continue };
        if !seen.insert(model.name.as_str().to_owned()) {
            node.mistake(Quoted(model.name.as_str()), "each model once");
            continue;
        }
        models.push(model);
    }
    models
}

fn model(node: &Node<'_>) -> Option<Model> {
    if !node.is_object() {
        let name = model_pattern(node)?;
        let capabilities = Capabilities::UNCHECKED;
        return Some(Model { name, capabilities, context_window: None, price: None });
    }
    let object = node.object(&["name", "capabilities", "context_window", "price"]);
    let capabilities = object
        .get("capabilities")
        .map(|node| {
            let words = node.words(&Capabilities::NAMES);
            words.into_iter().fold(Capabilities::NONE, Capabilities::and)
        })
        .unwrap_or(Capabilities::UNCHECKED);
    let context_window =
        object.get("context_window").and_then(|node| node.whole(1..=MAX_CONTEXT_WINDOW));
    let price = object.get("price").and_then(|node| price(&node, capabilities));
    let name = object.need("name", MODEL_NAME).and_then(|node| model_pattern(&node))?;
    Some(Model { name, capabilities, context_window, price })
}

/// What is not said costs what it most resembles; `output` may be left out only where there is none.
fn price(node: &Node<'_>, capabilities: Capabilities) -> Option<Price> {
    const KEYS: [&str; 5] = ["input", "cached_input", "cache_write", "output", "reasoning"];
    let object = node.object(&KEYS);
    let rate = |node: Node<'_>| node.number(RATE, price::rate);
    let optional = |key: &str| object.get(key).and_then(rate);
    let input = object.need("input", RATE).and_then(rate);
    let speaks = [Capabilities::CHAT, Capabilities::COMPLETION, Capabilities::RESPONSES];
    let output = match object.get("output") {
        None if !speaks.iter().any(|one| capabilities.covers(*one)) => Some(0),
        None => object.need("output", RATE).and_then(rate),
        Some(node) => rate(node),
    };
    let (cached_input, cache_write) = (optional("cached_input"), optional("cache_write"));
    let reasoning = optional("reasoning");
    let (input, output) = (input?, output?);
    Some(Price {
        input,
        cached_input: cached_input.unwrap_or(input),
        cache_write: cache_write.unwrap_or(input),
        output,
        reasoning: reasoning.unwrap_or(output),
    })
}

fn aliases(root: &Object<'_>, providers: &[ProviderModels], defaults: &Attempts) -> Vec<Alias> {
    let section = root.get("models");
    let entries = section.map(|node| node.map("names", MAX_MODELS)).unwrap_or_default();
    entries.into_iter().map(|(name, node)| alias(name, &node, providers, defaults)).collect()
}

fn alias(name: &str, node: &Node<'_>, providers: &[ProviderModels], defaults: &Attempts) -> Alias {
    if !is_model_pattern(name) {
        node.mistake(Quoted(name), MODEL_NAME);
    }
    let name = Pattern::new(name);
    if let Some(shadow) = shadow(&name, providers) {
        node.mistake(
            Quoted(name.as_str()),
            format_args!("a name that {shadow} does not answer before"),
        );
    }
    let mut seen = BTreeMap::new();
    let mut entries = Vec::new();
    for node in node.list("entries with provider and model", MAX_CHOICES) {
        let Some(entry) = entry(&node, &name, providers, defaults) else { continue };
        let key = (entry.provider.clone(), entry.model.as_str().to_owned());
        match seen.get(&key) {
            Some(first) => {
                node.mistake(format_args!("the same as {first}"), "each provider and model once");
            }
            None => {
                seen.insert(key, node.path().to_owned());
                entries.push(entry);
            }
        }
    }
    Alias { name, entries }
}

/// `openai/gpt-*` is never reached where the provider `openai` itself answers all of `gpt-*`.
fn shadow<'p>(name: &Pattern, providers: &'p [ProviderModels]) -> Option<&'p str> {
    let (prefix, rest) = name.as_str().split_once('/').filter(|_| name.is_wildcard())?;
    let by = providers.iter().find(|by| *by.provider.name == *prefix)?;
    let rest = Pattern::new(rest);
    by.models.iter().any(|model| model.name.covers(&rest)).then_some(&by.provider.name)
}

fn entry(
    node: &Node<'_>,
    alias: &Pattern,
    providers: &[ProviderModels],
    defaults: &Attempts,
) -> Option<AliasEntry> {
    let object = node.object(&["provider", "model", "priority", "weight", "attempts"]);
    let by = object.need("provider", "the name of a provider").and_then(|node| {
        let name = node.text("the name of a provider", Some)?;
        let by = providers.iter().find(|by| *by.provider.name == *name);
        if by.is_none() {
            node.wrong(one_of_providers(name, providers));
        }
        by
    });
    let model = object.need("model", MODEL_NAME).and_then(|node| {
        let model = model_pattern(&node)?;
        if model.is_wildcard() && model != *alias {
            node.wrong(format_args!("one model, or {} as in the name", Quoted(alias.as_str())));
            return None;
        }
        if let Some(by) = by
            && served(&by.models, model.as_str()).is_none()
        {
            node.wrong(format_args!("a model that {} serves", by.provider.name));
            return None;
        }
        Some(model)
    });
    let priority = object.get("priority").and_then(|node| priority(&node));
    let weight = object.get("weight").and_then(|node| node.whole(WEIGHTS));
    let own = object.get("attempts").map(|node| attempts(&node)).unwrap_or_default();
    let weight = weight.and_then(|weight| u32::try_from(weight).ok());
    Some(AliasEntry {
        provider: by?.provider.name.clone(),
        model: model?,
        priority,
        weight: weight.and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN),
        attempts: Attempts {
            per_try_timeout: own.per_try_timeout.or(defaults.per_try_timeout),
            retry_on: own.retry_on.or_else(|| defaults.retry_on.clone()),
        },
    })
}

fn one_of_providers(name: &str, providers: &[ProviderModels]) -> String {
    let names: Vec<&str> = providers.iter().map(|by| &*by.provider.name).collect();
    match nearest(name, names.iter().copied()) {
        Some(meant) => format!("a provider, perhaps {meant}"),
        None if names.len() <= MAX_LISTED => format!("a provider: {}", Words(&names)),
        None => "the name of one of the providers".to_owned(),
    }
}

fn attempts(node: &Node<'_>) -> Attempts {
    let object = node.object(&["per_try_timeout", "retry_on"]);
    Attempts {
        per_try_timeout: object
            .get("per_try_timeout")
            .and_then(|node| node.duration(PER_TRY_TIMEOUT)),
        retry_on: object.get("retry_on").map(|node| Arc::new(retry_on(&node))),
    }
}

/// Conditions in Envoy's words, and the status codes that it knows no word for.
fn retry_on(node: &Node<'_>) -> RetryOn {
    let mut seen = BTreeSet::new();
    let (mut words, mut codes) = (Vec::new(), Vec::new());
    for node in node.list(CONDITION, MAX_CONDITIONS) {
        let Some(condition) = node.term(CONDITION, condition) else { continue };
        if !seen.insert(condition) {
            node.wrong("each condition once");
        }
        match condition {
            Condition::Word(word) => words.push(word),
            Condition::Status(code) => codes.push(code.to_string()),
        }
    }
    if !codes.is_empty() {
        words.push("retriable-status-codes");
    }
    RetryOn { conditions: words.join(",").into(), status_codes: codes.join(",").into() }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Condition {
    Word(&'static str),
    Status(u16),
}

fn condition(text: &str) -> Option<Condition> {
    let word = CONDITIONS.iter().find(|(name, _)| *name == text);
    let status = || text.parse().ok().filter(|code| (400..=599).contains(code));
    word.map(|(_, word)| Condition::Word(word)).or_else(|| status().map(Condition::Status))
}

fn priority(node: &Node<'_>) -> Option<u32> {
    node.whole(PRIORITIES).and_then(|priority| u32::try_from(priority).ok())
}

fn model_pattern(node: &Node<'_>) -> Option<Pattern> {
    node.text(MODEL_NAME, |text| is_model_pattern(text).then(|| Pattern::new(text)))
}

pub(super) fn cluster<'a>(node: &Node<'a>) -> Option<&'a str> {
    node.text(CLUSTER, |text| visible(text, MAX_CLUSTER_BYTES).then_some(text))
}

fn exact_name(name: &str) -> bool {
    is_model_pattern(name) && !name.contains('*')
}

fn is_model_pattern(name: &str) -> bool {
    visible(name, MAX_MODEL_BYTES) && !name.contains([';', '=']) && !name.contains("**")
}

/// Names of providers are labels of metrics and stand before the `/` in `provider/model`.
pub(super) fn provider_name(name: &str) -> bool {
    label(name) && !name.contains(['/', '*'])
}

/// Can be a value in the name of a metric, where `;` and `=` separate.
pub(super) fn label(name: &str) -> bool {
    visible(name, MAX_LABEL_BYTES) && !name.contains([';', '='])
}

fn visible(text: &str, max: usize) -> bool {
    (1..=max).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

const CONDITIONS: [(&str, &str); 6] = [
    ("connect", "connect-failure"),
    ("refused", "refused-stream"),
    ("reset", "reset"),
    ("reset-before-request", "reset-before-request"),
    ("gateway-error", "gateway-error"),
    ("5xx", "5xx"),
];
const CONDITION: &str =
    "connect, refused, reset, reset-before-request, gateway-error, 5xx or a status of 400 to 599";
const MODEL_NAME: &str =
    "a model name: 1 to 256 visible ASCII characters without ; and =, no two * in a row";
const EXACT_NAME: &str = "the name of one model, without *";
const REACHED: &str = "a name that clients can ask for";
pub(super) const PROVIDER_NAME: &str =
    "a name: 1 to 64 visible ASCII characters without ; = / and *";
pub(super) const LABEL: &str = "a name: 1 to 64 visible ASCII characters without ; and =";
const CLUSTER: &str = "a cluster name: 1 to 256 visible ASCII characters";
const RATE: &str = "USD per million tokens, 0 to 1000000 with at most six decimals";

const MAX_LABEL_BYTES: usize = 64;
const MAX_CLUSTER_BYTES: usize = 256;
const MAX_MODELS: usize = 1024;
const MAX_PATTERNS: usize = 256;
const MAX_CONDITIONS: usize = 32;
const MAX_LISTED: usize = 8;
const MAX_CONTEXT_WINDOW: u64 = 100_000_000;
const PRIORITIES: RangeInclusive<u64> = 0..=1000;
const WEIGHTS: RangeInclusive<u64> = 1..=1_000_000;
const PER_TRY_TIMEOUT: RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_secs(24 * 60 * 60);
