//! One model under many spellings: what limits must take for the same thing, or a caller would get
//! counts of its own for each way to write a name.
//!
//! Servers take more than one spelling of a model where a wildcard sends names on as they were
//! asked: Ollama without regard to case, with the tag `latest` or none, with its registry in front;
//! Gemini with `models/` in front.

use std::borrow::Cow;

use super::{Allow, Pattern, Target};

/// `name` in the one spelling of its model.
pub(super) fn fold(name: &str) -> Cow<'_, str> {
    let mut rest = name.trim();
    while let Some(tail) = PREFIXES.iter().find_map(|prefix| strip_prefix(rest, prefix)) {
        rest = tail;
    }
    if let Some((head, tag)) = rest.rsplit_once(':')
        && tag.eq_ignore_ascii_case(TAG)
        && !head.is_empty()
    {
        rest = head;
    }
    lower(rest)
}

/// The names of one configuration by which limits count.
#[derive(Debug, Default)]
pub(super) struct Spellings {
    /// Models that are named, folded and sorted.
    exact: Box<[Box<str>]>,
    /// Wildcards, the longest first, in lower case.
    wild: Box<[Pattern]>,
}

impl Spellings {
    pub(super) fn new<'t>(labels: impl Iterator<Item = &'t str>) -> Self {
        let (mut exact, mut wild) = (Vec::new(), Vec::new());
        for label in labels {
            match label.contains('*') {
                true => wild.push(Pattern::new(lower(label))),
                false => exact.push(fold(label).into()),
            }
        }
        exact.sort();
        exact.dedup();
        wild.sort_by(|a, b| a.precedence().cmp(&b.precedence()));
        wild.dedup();
        Self { exact: exact.into(), wild: wild.into() }
    }

    /// What a provider's `model` counts as: the configured model that it is, in whatever spelling
    /// and from whichever provider, or else the wildcard that lets it through. So there are never
    /// more counts than the configuration has names, whatever callers invent.
    pub(super) fn counted_as(&self, model: &str) -> &str {
        let folded = fold(model);
        if let Ok(at) = self.exact.binary_search_by(|name| (**name).cmp(&folded)) {
            return self.exact.get(at).map_or("", |name| name);
        }
        let written = lower(model.trim());
        let lets = |pattern: &&Pattern| pattern.matches(&folded) || pattern.matches(&written);
        self.wild.iter().find(lets).map_or("", Pattern::as_str)
    }
}

/// The names of a request's model: what was asked for, and of every provider that may answer its own
/// name for it, alone and behind the provider's.
#[derive(Clone, Debug, Default)]
pub struct Spelled(Vec<String>);

impl Spelled {
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    pub fn new<'a>(asked: &str, behind: impl Iterator<Item = (&'a Target, &'a str)>) -> Self {
        let mut names = Self::none();
        names.add("", asked);
        for (target, model) in behind {
            names.add("", model);
            names.add(&target.provider.name, model);
        }
        names
    }

    /// A name in each spelling that a pattern may be written in.
    fn add(&mut self, provider: &str, model: &str) {
        let behind = |model: &str| match provider {
            "" => model.to_owned(),
            provider => format!("{}/{model}", provider.to_ascii_lowercase()),
        };
        let folded = fold(model);
        let mut all = vec![behind(&lower(model)), behind(&folded)];
        if !folded.contains(':') {
            all.push(behind(&format!("{folded}:{TAG}")));
        }
        all.retain(|name| !self.0.contains(name));
        self.0.append(&mut all);
    }
}

/// Patterns for the model behind a name, in whichever spelling.
#[derive(Clone, Debug, Default)]
pub struct Meant(Allow);

impl Meant {
    pub fn new(patterns: &Allow) -> Self {
        Self(match patterns {
            Allow::Everything => Allow::Everything,
            Allow::Only(patterns) => {
                let lowered = |pattern: &Pattern| Pattern::new(lower(pattern.as_str()));
                Allow::Only(patterns.iter().map(lowered).collect())
            }
        })
    }

    /// Whether it has to be asked.
    pub fn is_everything(&self) -> bool {
        self.0 == Allow::Everything
    }

    pub fn means(&self, names: &Spelled) -> bool {
        match &self.0 {
            Allow::Everything => true,
            Allow::Only(_) => names.0.iter().any(|name| self.0.allows(name)),
        }
    }

    /// Whether it can mean a request that asks for `name` and may be answered by `targets`, each of
    /// which may be a wildcard.
    pub fn may_mean<'t>(&self, name: &Pattern, targets: impl Iterator<Item = &'t Target>) -> bool {
        let Allow::Only(patterns) = &self.0 else { return true };
        let mut names = Spelled::new(name.as_str(), targets.map(|target| (target, &*target.label)));
        let names = names.0.drain(..).map(Pattern::new);
        names.into_iter().any(|name| patterns.iter().any(|pattern| pattern.overlaps(&name)))
    }
}

fn strip_prefix<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    (start.eq_ignore_ascii_case(prefix) && !rest.is_empty()).then_some(rest)
}

fn lower(text: &str) -> Cow<'_, str> {
    match text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => text.to_ascii_lowercase().into(),
        false => text.into(),
    }
}

const PREFIXES: [&str; 5] = ["https://", "http://", "registry.ollama.ai/", "library/", "models/"];
const TAG: &str = "latest";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_model_are_one() {
        for name in [
            "llama3.2",
            "llama3.2:latest",
            "LLaMA3.2:Latest",
            " llama3.2 ",
            "library/llama3.2",
            "registry.ollama.ai/library/llama3.2:latest",
            "https://registry.ollama.ai/library/llama3.2",
            "models/llama3.2",
        ] {
            assert_eq!(fold(name), "llama3.2", "{name}");
        }
        for name in ["llama3.2:1b", "org/llama3.2", ":latest", "models/", "latest"] {
            assert_eq!(fold(name), name);
        }
    }

    #[test]
    fn there_are_no_more_counts_than_configured_names() {
        let labels = ["gpt-4o", "Llama3.2", "gpt-*", "*", "gpt-4*", "*:latest"];
        let spellings = Spellings::new(labels.into_iter());
        for (model, counted) in [
            ("gpt-4o", "gpt-4o"),
            ("GPT-4o", "gpt-4o"),
            ("models/gpt-4o", "gpt-4o"),
            ("llama3.2:latest", "llama3.2"),
            ("gpt-4o-mini", "gpt-4*"),
            ("gpt-5", "gpt-*"),
            ("anything", "*"),
            ("invented:latest", "*:latest"),
            ("", "*"),
        ] {
            assert_eq!(spellings.counted_as(model), counted, "{model}");
        }
        assert_eq!(Spellings::default().counted_as("x"), "");
    }

    #[test]
    fn a_pattern_means_the_model_behind_every_name() {
        let meant = |pattern: &str, asked: &str, provider: &str, model: &str| {
            let target = target(provider, model);
            let names = Spelled::new(asked, [(&target, model)].into_iter());
            Meant::new(&Allow::Only([Pattern::new(pattern)].into())).means(&names)
        };
        for pattern in ["gpt-4o", "fast", "openai/gpt-4o", "gpt-*", "OPENAI/*", "GPT-4O"] {
            assert!(meant(pattern, "fast", "openai", "gpt-4o"), "{pattern}");
        }
        for pattern in ["gpt-4", "openai", "azure/gpt-4o", "openai/fast"] {
            assert!(!meant(pattern, "fast", "openai", "gpt-4o"), "{pattern}");
        }
        for pattern in ["llama3.2", "llama3.2:latest", "llama3.2:*", "local/llama3.2"] {
            for model in ["llama3.2", "llama3.2:latest", "LLAMA3.2", "library/llama3.2"] {
                assert!(meant(pattern, model, "local", model), "{pattern} {model}");
            }
            assert!(!meant(pattern, "llama3.1", "local", "llama3.1"), "{pattern}");
        }
    }

    fn target(provider: &str, label: &str) -> Target {
        let provider = super::super::Provider { name: provider.into(), cluster: "c".into() };
        Target {
            index: 0,
            provider: provider.into(),
            label: label.into(),
            capabilities: super::super::Capabilities::UNCHECKED,
            context_window: None,
            price: None,
        }
    }
}
