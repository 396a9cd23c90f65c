//! `providers`, `models`, `default_model` and `attempts`: what becomes the routing table.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::sync::Arc;

use super::attempts;
use super::mistakes::nearest;
use super::names::{
    self, EXACT_NAME, MODEL_NAME, PROVIDER_NAME, REACHED, Reach, exact_name, is_model_pattern,
    model_pattern, provider_name,
};
use super::schema::{Node, Object};
use super::shown::{Quoted, Words};
use crate::price::{self, Price};
use crate::routing::{
    Alias, AliasEntry, Attempts, Capabilities, MAX_CHOICES, Model, Pattern, Provider,
    ProviderModels, Table, served,
};

/// The table, and what clients can ask for of it.
pub(super) fn read(root: &Object<'_>) -> (Table, Reach) {
    let none = Attempts::default();
    let attempts = root.get("attempts").map_or(none.clone(), |node| attempts::read(&node, &none));
    let providers = providers(root);
    let aliases = aliases(root, &providers, &attempts);
    let default = root.get("default_model");
    let default_name = default
        .as_ref()
        .and_then(|node| node.text(EXACT_NAME, |text| exact_name(text).then_some(text)));
    let table = Table::new(providers, aliases, &attempts, default_name.map(Into::into));
    let reach = Reach::of(&table);
    if let (Some(node), Some(name)) = (default, default_name)
        && !reach.reaches(&Pattern::new(name))
    {
        node.wrong(REACHED);
    }
    (table, reach)
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
    let cluster = object.get("cluster").and_then(|node| names::cluster(&node));
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
        if by.is_none() && !providers.is_empty() {
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
    let attempts = object
        .get("attempts")
        .map_or_else(|| defaults.clone(), |node| attempts::read(&node, defaults));
    let weight = weight.and_then(|weight| u32::try_from(weight).ok());
    Some(AliasEntry {
        provider: by?.provider.name.clone(),
        model: model?,
        priority,
        weight: weight.and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN),
        attempts,
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

fn priority(node: &Node<'_>) -> Option<u32> {
    node.whole(PRIORITIES).and_then(|priority| u32::try_from(priority).ok())
}

const RATE: &str = "USD per million tokens, 0 to 1000000 with at most six decimals";

const MAX_MODELS: usize = 1024;
const MAX_LISTED: usize = 8;
const MAX_CONTEXT_WINDOW: u64 = 100_000_000;
const PRIORITIES: RangeInclusive<u64> = 0..=1000;
const WEIGHTS: RangeInclusive<u64> = 1..=1_000_000;
