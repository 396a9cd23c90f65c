//! Names: how they may be written, and which of them clients can ask for.

use std::collections::BTreeSet;

use super::schema::Node;
use crate::protocol::probe::MAX_MODEL_BYTES;
use crate::routing::{Allow, Pattern, Table};

/// What clients can ask for.
pub(super) struct Reach {
    exact: BTreeSet<Pattern>,
    wild: Vec<Pattern>,
    nothing: bool,
}

impl Reach {
    pub(super) fn of(table: &Table) -> Self {
        let mut reach =
            Self { exact: BTreeSet::new(), wild: Vec::new(), nothing: table.targets().is_empty() };
        for (name, _) in table.reachable() {
            if name.is_wildcard() {
                reach.wild.push(name);
            } else {
                reach.exact.insert(name);
            }
        }
        reach
    }

    /// Whether some name that `pattern` matches can be asked for. Where nothing can, that is the
    /// mistake and not this.
    pub(super) fn reaches(&self, pattern: &Pattern) -> bool {
        let exact = || match pattern.is_wildcard() {
            true => self.exact.iter().any(|name| pattern.matches(name.as_str())),
            false => self.exact.contains(pattern),
        };
        self.nothing || exact() || self.wild.iter().any(|name| name.overlaps(pattern))
    }
}

/// Patterns over the names that clients ask for; each must be able to match one.
pub(super) fn allow(node: &Node<'_>, reach: &Reach) -> Allow {
    let mut seen = BTreeSet::new();
    let patterns = node.list("model names", MAX_PATTERNS).into_iter().filter_map(|node| {
        let pattern = model_pattern(&node)?;
        if !seen.insert(pattern.clone()) {
            node.wrong("each name once");
        } else if !reach.reaches(&pattern) {
            node.wrong(REACHED);
        }
        Some(pattern)
    });
    Allow::Only(patterns.collect())
}

pub(super) fn model_pattern(node: &Node<'_>) -> Option<Pattern> {
    node.text(MODEL_NAME, |text| is_model_pattern(text).then(|| Pattern::new(text)))
}

pub(super) fn cluster<'a>(node: &Node<'a>) -> Option<&'a str> {
    node.text(CLUSTER, |text| visible(text, MAX_CLUSTER_BYTES).then_some(text))
}

pub(super) fn exact_name(name: &str) -> bool {
    is_model_pattern(name) && !name.contains('*')
}

pub(super) fn is_model_pattern(name: &str) -> bool {
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

/// A token of RFC 9110, of bounded length.
pub(super) fn header_name(name: &str) -> bool {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    (1..=MAX_HEADER_NAME_BYTES).contains(&name.len()) && name.bytes().all(token)
}

fn visible(text: &str, max: usize) -> bool {
    (1..=max).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

pub(super) const MODEL_NAME: &str =
    "a model name: 1 to 256 visible ASCII characters without ; and =, no two * in a row";
pub(super) const EXACT_NAME: &str = "the name of one model, without *";
pub(super) const REACHED: &str = "a name that clients can ask for";
pub(super) const PROVIDER_NAME: &str =
    "a name: 1 to 64 visible ASCII characters without ; = / and *";
pub(super) const LABEL: &str = "a name: 1 to 64 visible ASCII characters without ; and =";
const CLUSTER: &str = "a cluster name: 1 to 256 visible ASCII characters";
const MAX_LABEL_BYTES: usize = 64;
const MAX_CLUSTER_BYTES: usize = 256;
const MAX_HEADER_NAME_BYTES: usize = 128;
const MAX_PATTERNS: usize = 256;
