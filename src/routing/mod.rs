//! From the model that was asked for to an ordered chain of providers that serve it.
//!
//! A name is looked up as written (names of the `models` section, then models of the providers),
//! then as `provider/model`, then among wildcards, the longest first. Inside one name, a lower
//! priority number comes first; equals are drawn by weight.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, Kind};
use crate::price::Price;

mod breaker;
mod capability;
mod chain;
mod pattern;
mod spelling;

pub use breaker::{Breaker, BreakerSettings};
pub use capability::Capabilities;
pub use chain::{Chain, Entry, MAX_CHAIN, MAX_CHOICES};
pub use pattern::{Allow, Pattern};
use spelling::Spellings;
pub use spelling::{Meant, Spelled};

/// Every model and every provider of one configuration.
#[derive(Debug, Default)]
pub struct Table {
    /// Sorted by provider name.
    providers: Box<[Served]>,
    names: Names,
    targets: Box<[Arc<Target>]>,
    spellings: Spellings,
    default_model: Option<Box<str>>,
}

/// An upstream cluster that speaks for models.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provider {
    pub name: Box<str>,
    pub cluster: Box<str>,
}

/// A provider and a model of it: what an attempt goes to, and what metrics count.
#[derive(Debug, PartialEq, Eq)]
pub struct Target {
    /// Position in [`Table::targets`].
    pub index: usize,
    pub provider: Arc<Provider>,
    /// The model's name or wildcard as the configuration has it: bounded, unlike what callers ask.
    pub label: Box<str>,
    pub capabilities: Capabilities,
    pub context_window: Option<u64>,
    pub price: Option<Price>,
}

/// How long one attempt may take and what makes the next one; what is `None` is the route's affair.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attempts {
    pub per_try_timeout: Option<Duration>,
    pub retry_on: Option<Arc<RetryOn>>,
}

/// Retry conditions in Envoy's own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryOn {
    /// `x-envoy-retry-on`
    pub conditions: Box<str>,
    /// `x-envoy-retriable-status-codes`; empty where there are none.
    pub status_codes: Box<str>,
}

/// A line of `GET /v1/models`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed<'a> {
    pub id: &'a str,
    /// The name of the provider that is asked first.
    pub owned_by: &'a str,
    pub target: &'a Target,
}

/// Why a model has no chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal<'a> {
    Unknown { asked: &'a str },
    Incapable { asked: &'a str, missing: Capabilities },
}

impl Table {
    /// Builds the table from a validated configuration. Of an alias, entries that name an unknown
    /// provider or a model it does not serve are left out: [`served`] is how validation finds them.
    pub fn new(
        providers: Vec<ProviderModels>,
        aliases: Vec<Alias>,
        attempts: &Attempts,
        default_model: Option<Box<str>>,
    ) -> Self {
        let mut targets = Targets::default();
        let mut names: BTreeMap<Box<str>, Vec<Choice>> = BTreeMap::new();
        let mut served_by = Vec::new();
        for ProviderModels { provider, priority, models } in &providers {
            let mut own = BTreeMap::new();
            for model in models {
                let choice = Choice {
                    target: targets.of(provider, model.name.as_str(), model),
                    model: upstream_name(&model.name),
                    priority: *priority,
                    weight: NonZeroU32::MIN,
                    attempts: attempts.clone(),
                };
                names.entry(model.name.as_str().into()).or_default().push(choice.clone());
                own.insert(model.name.as_str().into(), vec![choice]);
            }
            served_by.push(Served { provider: provider.clone(), names: Names::new(own) });
        }
        for alias in aliases {
            let choices = alias.entries.into_iter().filter_map(|entry| {
                let by = providers.iter().find(|p| p.provider.name == entry.provider)?;
                let model = served(&by.models, entry.model.as_str())?;
                Some(Choice {
                    target: targets.of(&by.provider, entry.model.as_str(), model),
                    model: upstream_name(&entry.model),
                    priority: entry.priority.unwrap_or(by.priority),
                    weight: entry.weight,
                    attempts: entry.attempts,
                })
            });
            names.insert(alias.name.as_str().into(), choices.collect());
        }
        served_by.sort_by(|a, b| a.provider.name.cmp(&b.provider.name));
        Self {
            providers: served_by.into(),
            names: Names::new(names),
            spellings: Spellings::new(targets.all.iter().map(|target| &*target.label)),
            targets: targets.all.into(),
            default_model,
        }
    }

    /// What to try for `asked`, in order. `pick` gives random numbers and is called only where
    /// equals must be ordered.
    pub fn resolve<'a>(
        &'a self,
        asked: &'a str,
        need: Capabilities,
        pick: &mut dyn FnMut() -> u64,
    ) -> Result<Chain<'a>, Refusal<'a>> {
        let (name, model) = self.find(asked).ok_or(Refusal::Unknown { asked })?;
        Chain::draw(name, model, need, pick).ok_or_else(|| Refusal::Incapable {
            asked,
            missing: name.choices.first().map_or(need, |c| need.without(c.target.capabilities)),
        })
    }

    /// Every target that serves `asked`, by priority, without a draw.
    pub fn mapping<'a>(&'a self, asked: &'a str) -> impl Iterator<Item = Entry<'a>> {
        self.find(asked).into_iter().flat_map(|(name, model)| {
            name.choices.iter().map(move |choice| Entry::new(choice, model))
        })
    }

    /// The providers that have at least one model with everything in `need`, by name.
    pub fn compatible(&self, need: Capabilities) -> impl Iterator<Item = &Provider> {
        let able = move |served: &&Served| {
            served.names.all().any(|name| {
                name.choices.iter().any(|choice| choice.target.capabilities.covers(need))
            })
        };
        self.providers.iter().filter(able).map(|served| &*served.provider)
    }

    /// The names that `allow` lets a caller ask for, sorted; no wildcards.
    pub fn models<'a>(&'a self, allow: &'a Allow) -> impl Iterator<Item = Listed<'a>> {
        self.names.exact.iter().filter(|name| allow.allows(name.name.as_str())).filter_map(|name| {
            let target = &*name.choices.first()?.target;
            Some(Listed { id: name.name.as_str(), owned_by: &target.provider.name, target })
        })
    }

    /// One model by any name that reaches it, also by wildcard and as `provider/model`.
    pub fn model<'a>(&'a self, id: &'a str, allow: &Allow) -> Option<Listed<'a>> {
        let (name, _) = self.find(id).filter(|_| allow.allows(id))?;
        let target = &*name.choices.first()?.target;
        Some(Listed { id, owned_by: &target.provider.name, target })
    }

    /// What a request gets that names no model.
    pub fn default_model(&self) -> Option<&str> {
        self.default_model.as_deref()
    }

    /// Everything a caller can ask for, with what stands behind it: each name, and each model of a
    /// provider as `provider/model`. For checks of a configuration.
    pub fn reachable<'a>(
        &'a self,
    ) -> impl Iterator<Item = (Pattern, impl Iterator<Item = &'a Target>)> {
        let whole = self.names.all().map(|name| (name.name.clone(), name));
        let prefixed = self.providers.iter().flat_map(|served| {
            served.names.all().map(|name| {
                let full = format!("{}/{}", served.provider.name, name.name.as_str());
                (Pattern::new(full), name)
            })
        });
        whole.chain(prefixed).map(|(pattern, name): (_, &'a Name)| {
            (pattern, name.choices.iter().map(|choice| &*choice.target))
        })
    }

    /// The one name by which limits count a provider's `model`.
    pub fn counted_as(&self, model: &str) -> &str {
        self.spellings.counted_as(model)
    }

    /// Every target, for metrics that are defined once.
    pub fn targets(&self) -> &[Arc<Target>] {
        &self.targets
    }

    pub fn providers(&self) -> impl Iterator<Item = &Provider> {
        self.providers.iter().map(|served| &*served.provider)
    }

    /// The name that serves `asked`, and `asked` without a provider's prefix.
    fn find<'a>(&'a self, asked: &'a str) -> Option<(&'a Name, &'a str)> {
        let prefixed = || {
            let (prefix, model) = asked.split_once('/')?;
            let at = self.providers.binary_search_by(|s| (*s.provider.name).cmp(prefix)).ok()?;
            let names = &self.providers.get(at)?.names;
            Some((names.exact(model).or_else(|| names.wildcard(model))?, model))
        };
        let whole = |name| (name, asked);
        (self.names.exact(asked).map(whole))
            .or_else(prefixed)
            .or_else(|| self.names.wildcard(asked).map(whole))
    }
}

/// A provider as the configuration describes it.
#[derive(Clone, Debug)]
pub struct ProviderModels {
    pub provider: Arc<Provider>,
    pub priority: u32,
    pub models: Vec<Model>,
}

/// A model, or all models under a wildcard, of one provider.
#[derive(Clone, Debug)]
pub struct Model {
    pub name: Pattern,
    pub capabilities: Capabilities,
    pub context_window: Option<u64>,
    pub price: Option<Price>,
}

/// A name that clients use. A wildcard's entries may name the same wildcard, which sends the name
/// on as it was asked.
#[derive(Clone, Debug)]
pub struct Alias {
    pub name: Pattern,
    pub entries: Vec<AliasEntry>,
}

/// One provider behind an [`Alias`].
#[derive(Clone, Debug)]
pub struct AliasEntry {
    pub provider: Box<str>,
    pub model: Pattern,
    /// Default: the provider's.
    pub priority: Option<u32>,
    pub weight: NonZeroU32,
    pub attempts: Attempts,
}

/// The model of `models` that serves `name`: as written, else by the longest wildcard.
pub fn served<'m>(models: &'m [Model], name: &str) -> Option<&'m Model> {
    let wildcards = || models.iter().filter(|model| model.name.is_wildcard());
    (models.iter().find(|model| model.name.as_str() == name)).or_else(|| {
        wildcards()
            .filter(|model| model.name.matches(name))
            .min_by(|a, b| a.name.precedence().cmp(&b.name.precedence()))
    })
}

#[derive(Debug)]
struct Served {
    provider: Arc<Provider>,
    names: Names,
}

/// Names to look up: exact ones sorted, wildcards with the longest first.
#[derive(Debug, Default)]
struct Names {
    exact: Box<[Name]>,
    wild: Box<[Name]>,
}

/// What stands behind one name, sorted by priority.
#[derive(Debug)]
struct Name {
    name: Pattern,
    choices: Box<[Choice]>,
}

#[derive(Clone, Debug)]
struct Choice {
    target: Arc<Target>,
    /// `None`: as asked.
    model: Option<Box<str>>,
    priority: u32,
    weight: NonZeroU32,
    attempts: Attempts,
}

impl Names {
    fn new(names: BTreeMap<Box<str>, Vec<Choice>>) -> Self {
        let (mut wild, exact): (Vec<_>, Vec<_>) = names
            .into_iter()
            .map(|(name, mut choices)| {
                choices.sort_by_key(|choice| choice.priority);
                Name { name: Pattern::new(name), choices: choices.into() }
            })
            .partition(|name| name.name.is_wildcard());
        wild.sort_by(|a, b| a.name.precedence().cmp(&b.name.precedence()));
        Self { exact: exact.into(), wild: wild.into() }
    }

    fn exact(&self, asked: &str) -> Option<&Name> {
        let at = self.exact.binary_search_by(|name| name.name.as_str().cmp(asked)).ok()?;
        self.exact.get(at)
    }

    fn wildcard(&self, asked: &str) -> Option<&Name> {
        self.wild.iter().find(|name| name.name.matches(asked))
    }

    fn all(&self) -> impl Iterator<Item = &Name> {
        self.exact.iter().chain(&self.wild)
    }
}

/// One target per provider and label.
#[derive(Default)]
struct Targets {
    all: Vec<Arc<Target>>,
    known: BTreeMap<(Box<str>, Box<str>), Arc<Target>>,
}

impl Targets {
    fn of(&mut self, provider: &Arc<Provider>, label: &str, model: &Model) -> Arc<Target> {
        let new = || {
            let target = Arc::new(Target {
                index: self.all.len(),
                provider: provider.clone(),
                label: label.into(),
                capabilities: model.capabilities,
                context_window: model.context_window,
                price: model.price,
            });
            self.all.push(target.clone());
            target
        };
        self.known.entry((provider.name.clone(), label.into())).or_insert_with(new).clone()
    }
}

fn upstream_name(name: &Pattern) -> Option<Box<str>> {
    (!name.is_wildcard()).then(|| name.as_str().into())
}

impl From<Refusal<'_>> for Error {
    fn from(refusal: Refusal<'_>) -> Self {
        match refusal {
            Refusal::Unknown { asked } => {
                let message = format!("The model `{}` does not exist", Shown(asked));
                Self::new(Kind::ModelNotFound, message).param("model")
            }
            Refusal::Incapable { asked, missing } => {
                let message = format!("The model `{}` does not support: {missing}", Shown(asked));
                Self::new(Kind::UnsupportedCapability, message).param("model")
            }
        }
    }
}

/// A name from outside, short enough for a message.
struct Shown<'a>(&'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(SHOWN_CHARS) {
            None => f.write_str(self.0),
            Some((end, _)) => write!(f, "{}...", self.0.get(..end).unwrap_or_default()),
        }
    }
}

const SHOWN_CHARS: usize = 64;

#[cfg(test)]
mod tests;
