//! What all workers of one Envoy process share.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::host::{MetricKind, Status, Timestamp};

#[derive(Default)]
pub(super) struct Process(Mutex<State>);

struct State {
    now: Timestamp,
    seed: u64,
    shared: BTreeMap<Vec<u8>, (Vec<u8>, u32)>,
    /// One counter for all keys, so that no key sees a version twice.
    next_version: u32,
    metrics: BTreeMap<Stat, Metric>,
}

/// The kind, by its number, and the name of a stat: two kinds may share a name.
pub(super) type Stat = (u32, String);

impl Default for State {
    fn default() -> Self {
        Self {
            now: Timestamp(1_700_000_000_000_000_000),
            seed: 0,
            shared: BTreeMap::new(),
            next_version: 1,
            metrics: BTreeMap::new(),
        }
    }
}

/// A stat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Metric {
    Counter(u64),
    Gauge(u64),
    /// All values recorded, oldest first.
    Histogram(Vec<u64>),
}

impl Metric {
    fn new(kind: MetricKind) -> Self {
        match kind {
            MetricKind::Counter => Self::Counter(0),
            MetricKind::Gauge => Self::Gauge(0),
            MetricKind::Histogram => Self::Histogram(Vec::new()),
        }
    }

    pub(super) fn add(&mut self, delta: i64) -> Result<(), Status> {
        match self {
            Self::Counter(value) if delta > 0 => *value = value.wrapping_add_signed(delta),
            Self::Gauge(value) => *value = value.wrapping_add_signed(delta),
            Self::Counter(_) | Self::Histogram(_) => return Err(Status::BadArgument),
        }
        Ok(())
    }

    pub(super) fn record(&mut self, new: u64) {
        match self {
            Self::Counter(value) => *value = value.wrapping_add(new),
            Self::Gauge(value) => *value = new,
            Self::Histogram(values) => values.push(new),
        }
    }

    pub(super) fn value(&self) -> Result<u64, Status> {
        match self {
            Self::Counter(value) | Self::Gauge(value) => Ok(*value),
            Self::Histogram(_) => Err(Status::BadArgument),
        }
    }
}

impl Process {
    pub(super) fn now(&self) -> Timestamp {
        self.state().now
    }

    pub(super) fn set_time(&self, now: Timestamp) {
        self.state().now = now;
    }

    /// SplitMix64: the same sequence in every test run.
    pub(super) fn random(&self) -> u64 {
        let mut state = self.state();
        state.seed = state.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mix = (state.seed ^ (state.seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mix = (mix ^ (mix >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mix ^ (mix >> 31)
    }

    pub(super) fn keys(&self) -> Vec<Vec<u8>> {
        self.state().shared.keys().cloned().collect()
    }

    pub(super) fn load(&self, key: &[u8]) -> Option<(Vec<u8>, u32)> {
        self.state().shared.get(key).cloned()
    }

    pub(super) fn save(&self, key: &[u8], value: &[u8], cas: u32) -> Result<(), Status> {
        let mut state = self.state();
        match state.shared.get(key) {
            Some((_, version)) if cas != 0 && cas != *version => Err(Status::CasMismatch),
            _ => {
                let version = state.next_version();
                state.shared.insert(key.to_vec(), (value.to_vec(), version));
                Ok(())
            }
        }
    }

    /// Writes the key's own value again: only its version is new.
    pub(super) fn touch(&self, key: &[u8]) {
        let mut state = self.state();
        let version = state.next_version();
        state.shared.entry(key.to_vec()).or_default().1 = version;
    }

    /// A stat that exists keeps its value.
    pub(super) fn define(&self, kind: MetricKind, name: &str) -> Stat {
        let stat = (kind as u32, name.to_owned());
        self.state().metrics.entry(stat.clone()).or_insert_with(|| Metric::new(kind));
        stat
    }

    pub(super) fn change<T>(
        &self,
        stat: &Stat,
        change: impl FnOnce(&mut Metric) -> Result<T, Status>,
    ) -> Result<T, Status> {
        self.state().metrics.get_mut(stat).ok_or(Status::NotFound).and_then(change)
    }

    pub(super) fn metric(&self, kind: MetricKind, name: &str) -> Option<Metric> {
        self.state().metrics.get(&(kind as u32, name.to_owned())).cloned()
    }

    pub(super) fn metric_names(&self, kind: MetricKind) -> Vec<String> {
        let state = self.state();
        let named = state.metrics.keys().filter(|(k, _)| *k == kind as u32);
        named.map(|(_, name)| name.clone()).collect()
    }

    /// A test that failed on another thread must not hide its own message behind a poisoned lock.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// 0 is never a version: it means "whatever is there".
    fn next_version(&mut self) -> u32 {
        let version = self.next_version;
        self.next_version = version.checked_add(1).unwrap_or(1);
        version
    }
}
