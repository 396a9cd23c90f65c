//! `attempts`: how long one may take and what makes the next one.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use super::schema::Node;
use crate::routing::{Attempts, RetryOn};

/// What is not written is the default's.
pub(super) fn read(node: &Node<'_>, default: &Attempts) -> Attempts {
    let object = node.object(&["per_try_timeout", "retry_on"]);
    let timeout = object.get("per_try_timeout").and_then(|node| node.duration(PER_TRY_TIMEOUT));
    let retry_on = object.get("retry_on").map(|node| Arc::new(retry_on(&node)));
    Attempts {
        per_try_timeout: timeout.or(default.per_try_timeout),
        retry_on: retry_on.or_else(|| default.retry_on.clone()),
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
const MAX_CONDITIONS: usize = 32;
const PER_TRY_TIMEOUT: RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_secs(24 * 60 * 60);
