//! `breaker`: when a model of a provider is tried last.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::schema::Node;
use crate::routing::BreakerSettings;

pub(super) fn settings(node: &Node<'_>) -> BreakerSettings {
    let object = node.object(&["failures", "rest"]);
    let default = BreakerSettings::default();
    let failures = object.get("failures").and_then(|node| node.whole(FAILURES));
    let rest = object.get("rest").and_then(|node| node.duration(REST));
    BreakerSettings {
        failures: failures.and_then(|n| u32::try_from(n).ok()).unwrap_or(default.failures),
        // Who writes the section wants it.
        rest: rest.unwrap_or(DEFAULT_REST),
    }
}

const DEFAULT_REST: Duration = Duration::from_secs(10);
const FAILURES: RangeInclusive<u64> = 1..=1000;
const REST: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(60 * 60);
