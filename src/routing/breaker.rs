//! Targets that keep failing are tried last for a while.
//!
//! Envoy's outlier detection rests an address while its cluster has others. It cannot rest a whole
//! provider: of a cluster without a healthy host it either asks one all the same or answers 503 for
//! it, and that is not retried. So what is rested here is a place in the chain: the others come
//! first, and where all rest, all are tried as ever.
//!
//! What a worker knows is its own, learned from the requests that it ends.

use std::cell::Cell;
use std::time::Duration;

use super::Entry;
use crate::host::Timestamp;

/// When a target is rested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerSettings {
    /// In a row.
    pub failures: u32,
    /// Zero: never.
    pub rest: Duration,
}

/// What is known of every target of one table.
#[derive(Debug)]
pub struct Breaker {
    settings: BreakerSettings,
    /// By their index.
    targets: Box<[Cell<Health>]>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Health {
    /// In a row.
    failures: u32,
    /// Until then it is tried last.
    until: Timestamp,
}

impl Default for BreakerSettings {
    /// Nobody rests: the order of a chain is what the configuration says.
    fn default() -> Self {
        Self { failures: 5, rest: Duration::ZERO }
    }
}

impl Breaker {
    pub fn new(settings: BreakerSettings, targets: usize) -> Self {
        Self { settings, targets: (0..targets).map(|_| Cell::default()).collect() }
    }

    /// Puts those that rest behind the others. One whose rest is over is tried again by one
    /// request; the others wait for what becomes of that.
    pub fn order(&self, entries: &mut [Entry<'_>], now: Timestamp) {
        if entries.len() < 2 || !entries.iter().any(|entry| self.has_failed(entry)) {
            return;
        }
        entries.sort_by_key(|entry| self.rests(entry, now));
        if let Some(first) = entries.first().filter(|first| self.has_failed(first)) {
            self.rest(first.target.index, now);
        }
    }

    /// An attempt failed. `true`: the target rests from now on.
    pub fn failed(&self, target: usize, now: Timestamp) -> bool {
        let Some(cell) = self.targets.get(target) else { return false };
        let mut health = cell.get();
        health.failures = health.failures.saturating_add(1);
        cell.set(health);
        let tripped = health.failures == self.settings.failures && !self.settings.rest.is_zero();
        if health.failures >= self.settings.failures {
            self.rest(target, now);
        }
        tripped
    }

    /// It cannot be asked at all, and whoever tries loses the request.
    pub fn lost(&self, target: usize, now: Timestamp) -> bool {
        let Some(cell) = self.targets.get(target) else { return false };
        let missing = self.settings.failures.saturating_sub(cell.get().failures);
        cell.update(|health| Health {
            failures: health.failures.saturating_add(missing),
            ..health
        });
        self.rest(target, now);
        missing > 0 && !self.settings.rest.is_zero()
    }

    pub fn answered(&self, target: usize) {
        if let Some(cell) = self.targets.get(target) {
            cell.set(Health::default());
        }
    }

    fn rest(&self, target: usize, now: Timestamp) {
        let rest = u64::try_from(self.settings.rest.as_nanos()).unwrap_or(u64::MAX);
        if let Some(cell) = self.targets.get(target) {
            cell.update(|health| Health { until: Timestamp(now.0.saturating_add(rest)), ..health });
        }
    }

    fn rests(&self, entry: &Entry<'_>, now: Timestamp) -> bool {
        self.has_failed(entry) && now < self.health(entry).until
    }

    fn has_failed(&self, entry: &Entry<'_>) -> bool {
        self.health(entry).failures >= self.settings.failures
    }

    fn health(&self, entry: &Entry<'_>) -> Health {
        self.targets.get(entry.target.index).map(Cell::get).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::routing::{Attempts, Capabilities, Provider, Target};

    const REST: u64 = 10_000_000_000;

    fn targets() -> Vec<Target> {
        let target = |index| Target {
            index,
            provider: Arc::new(Provider { name: "p".into(), cluster: "p".into() }),
            label: "m".into(),
            capabilities: Capabilities::default(),
            context_window: None,
            price: None,
        };
        (0..3).map(target).collect()
    }

    struct Setup {
        breaker: Breaker,
        targets: Vec<Target>,
        attempts: Attempts,
    }

    fn setup(failures: u32) -> Setup {
        let settings = BreakerSettings { failures, rest: Duration::from_nanos(REST) };
        let breaker = Breaker::new(settings, 3);
        Setup { breaker, targets: targets(), attempts: Attempts::default() }
    }

    impl Setup {
        fn order(&self, now: u64) -> Vec<usize> {
            let entry =
                |target| Entry { target, model: "m", priority: 0, attempts: &self.attempts };
            let mut entries: Vec<_> = self.targets.iter().map(entry).collect();
            self.breaker.order(&mut entries, Timestamp(now));
            entries.iter().map(|entry| entry.target.index).collect()
        }

        fn fail(&self, target: usize, now: u64) -> bool {
            self.breaker.failed(target, Timestamp(now))
        }
    }

    #[test]
    fn enough_failures_in_a_row_are_a_reason_to_rest() {
        let setup = setup(3);
        assert!(!setup.fail(0, 1) && !setup.fail(0, 2));
        setup.breaker.answered(0);
        assert!(!setup.fail(0, 3) && !setup.fail(0, 4));
        assert_eq!(setup.order(5), [0, 1, 2]);
        assert!(setup.fail(0, 6));
        assert_eq!(setup.order(7), [1, 2, 0]);
        assert!(!setup.fail(0, 8), "it is at rest already");
    }

    #[test]
    fn after_its_rest_one_request_tries_it_and_the_others_wait_for_that() {
        let setup = setup(1);
        setup.fail(0, 0);
        assert_eq!(setup.order(REST - 1), [1, 2, 0]);
        assert_eq!(setup.order(REST), [0, 1, 2], "the one");
        assert_eq!(setup.order(REST + 1), [1, 2, 0]);
        setup.breaker.answered(0);
        assert_eq!(setup.order(REST + 2), [0, 1, 2]);
    }

    #[test]
    fn a_trial_that_fails_or_tells_nothing_is_followed_by_another_rest() {
        let setup = setup(1);
        setup.fail(0, 0);
        assert_eq!(setup.order(REST), [0, 1, 2]);
        setup.fail(0, REST + 5);
        assert_eq!(setup.order(2 * REST + 4), [1, 2, 0]);
        assert_eq!(setup.order(2 * REST + 5), [0, 1, 2]);
        assert_eq!(setup.order(3 * REST + 4), [1, 2, 0]);
        assert_eq!(setup.order(3 * REST + 5), [0, 1, 2]);
    }

    #[test]
    fn where_all_rest_all_are_tried_in_their_order() {
        let setup = setup(1);
        assert!((0..3).all(|target| setup.fail(target, 0)));
        assert_eq!(setup.order(1), [0, 1, 2]);
    }

    #[test]
    fn one_that_cannot_be_asked_rests_at_once() {
        let setup = setup(5);
        assert!(setup.breaker.lost(1, Timestamp(0)));
        assert!(!setup.breaker.lost(1, Timestamp(1)));
        assert_eq!(setup.order(2), [0, 2, 1]);
    }

    #[test]
    fn without_a_time_nothing_rests() {
        let mut setup = setup(1);
        setup.breaker.settings.rest = Duration::ZERO;
        assert!(!setup.fail(0, 0) && !setup.breaker.lost(0, Timestamp(0)));
        assert_eq!(setup.order(0), [0, 1, 2]);
        assert!(!setup.fail(7, 0), "no such target");
    }
}
