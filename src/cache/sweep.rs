//! Frees what expired, a few sets at each tick, and counts what is left.
//!
//! Every worker ticks. Whoever holds the lease in shared data sweeps, and a worker that vanishes
//! loses it soon. The place to go on from lies in the lease too, so the next worker takes over
//! where the last one stopped. A worker of a newer configuration takes the lease at once and begins
//! anew: while an old listener drains, its configuration must not say what the table may hold.

use crate::host::{SharedStore, Timestamp};
use crate::store::{self, Edit, Lost};

use super::table::Table;

/// What a tick did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sweep {
    /// Another worker sweeps.
    Elsewhere,
    /// Some sets were swept, others are left for the next ticks.
    Going,
    /// The last set was swept: what the whole table holds.
    Done(Held),
}

/// Who sweeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sweeper {
    /// A random number of its own.
    pub id: u64,
    /// When its configuration was loaded.
    pub born: Timestamp,
}

/// For the gauges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    pub entries: u64,
    pub bytes: u64,
}

impl Table {
    /// Sweeps the next `budget` sets, if `sweeper` is the one to do it.
    pub fn sweep(
        &self,
        store: &impl SharedStore,
        sweeper: Sweeper,
        budget: u32,
        now: Timestamp,
    ) -> Result<Sweep, Lost> {
        let Some(mut state) = store::update(store, KEY, |value| {
            let mut state = State::decode(value).unwrap_or_default();
            let newer = sweeper.born.millis() > state.born_ms;
            if state.worker != sweeper.id && state.until_ms > now.millis() && !newer {
                return Edit::Keep(None);
            }
            if state.worker != sweeper.id && newer {
                (state.next, state.held) = (0, Held::default());
            }
            (state.worker, state.born_ms) = (sweeper.id, sweeper.born.millis());
            state.until_ms = now.millis().saturating_add(LEASE_MS);
            state.sets = state.sets.max(self.sets());
            state.encode(value);
            Edit::Save(Some(state))
        })?
        else {
            return Ok(Sweep::Elsewhere);
        };
        let end = state.next.saturating_add(budget.max(1)).min(state.sets);
        for set in state.next..end {
            let remaining = self.sweep_set(store, set, now)?;
            state.held.entries += remaining.entries;
            state.held.bytes += remaining.bytes;
        }
        state.next = end;
        let mut swept = Sweep::Going;
        if end == state.sets {
            swept = Sweep::Done(state.held);
            // Sets that only an earlier configuration had are empty now.
            state = State { next: 0, sets: self.sets(), held: Held::default(), ..state };
        }
        store::update(store, KEY, |value| {
            if State::decode(value).is_some_and(|other| other.worker != sweeper.id) {
                return Edit::Keep(());
            }
            state.encode(value);
            Edit::Save(())
        })?;
        Ok(swept)
    }
}

/// The lease, and how far this round came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct State {
    worker: u64,
    born_ms: u64,
    until_ms: u64,
    next: u32,
    /// As many as any configuration had since the last whole round.
    sets: u32,
    held: Held,
}

impl State {
    /// `None` for anything that [`State::encode`] did not write.
    fn decode(value: &[u8]) -> Option<Self> {
        let (words, rest) = value.strip_prefix(&[VERSION])?.as_chunks::<8>();
        let [worker, born_ms, until_ms, next, sets, entries, bytes] =
            <[[u8; 8]; 7]>::try_from(words).ok()?.map(u64::from_le_bytes);
        let (next, sets) = (u32::try_from(next).ok()?, u32::try_from(sets).ok()?);
        let held = Held { entries, bytes };
        let state = Self { worker, born_ms, until_ms, next, sets, held };
        (rest.is_empty() && next <= sets).then_some(state)
    }

    fn encode(&self, value: &mut Vec<u8>) {
        let Self { worker, born_ms, until_ms, next, sets, held: Held { entries, bytes } } = *self;
        let (next, sets) = (u64::from(next), u64::from(sets));
        value.clear();
        value.push(VERSION);
        for word in [worker, born_ms, until_ms, next, sets, entries, bytes] {
            value.extend_from_slice(&word.to_le_bytes());
        }
    }
}

const KEY: &[u8] = b"llm-cache:v1:sweep";
const VERSION: u8 = 2;
/// Longer than the ticks are apart, or the sweep would wander from worker to worker.
const LEASE_MS: u64 = 10_000;

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::time::Duration;

    use super::*;
    use crate::cache::key::Key;
    use crate::cache::record::{Entry, Form, Tokens, Ttl};
    use crate::cache::table::Found;
    use crate::host::Expect;
    use crate::host::fake::Fake;

    const NOW: Timestamp = Timestamp(1_800_000_000_000_000_000);

    fn later(secs: u64) -> Timestamp {
        Timestamp(NOW.0 + secs * 1_000_000_000)
    }

    fn table(entries: u32) -> Table {
        Table::new(NonZeroU32::new(entries).unwrap(), 1000)
    }

    fn put(table: &Table, fake: &Fake, n: u32, ttl: u64) {
        let key = Key::from_bytes(blake3::hash(&n.to_le_bytes()).into());
        let entry = Entry {
            key: &key,
            form: Form::Json,
            strips: false,
            status: 200,
            content_type: b"application/json",
            tokens: Tokens::default(),
            created: NOW,
            ttl: Ttl::new(Duration::from_secs(ttl)).unwrap(),
            body: b"{}",
        };
        table.put(fake, &entry, NOW).unwrap();
    }

    fn sweeper(id: u64) -> Sweeper {
        Sweeper { id, born: NOW }
    }

    fn bodies(fake: &Fake) -> usize {
        let keys = fake.shared_keys();
        let bodies = keys.iter().filter(|key| key.starts_with(b"llm-cache:v1:b"));
        bodies.filter(|key| fake.load(key).unwrap().value.is_some()).count()
    }

    #[test]
    fn a_round_frees_what_expired_and_counts_the_rest() {
        let (fake, table) = (Fake::new(), table(64));
        (0..10).for_each(|n| put(&table, &fake, n, 60));
        (10..30).for_each(|n| put(&table, &fake, n, 20));
        assert_eq!(bodies(&fake), 30);
        for _ in 0..3 {
            assert_eq!(table.sweep(&fake, sweeper(1), 2, later(20)), Ok(Sweep::Going));
        }
        let Ok(Sweep::Done(held)) = table.sweep(&fake, sweeper(1), 2, later(20)) else { panic!() };
        assert_eq!((held.entries, bodies(&fake)), (10, 10));
        assert_eq!(table.sweep(&fake, sweeper(1), 100, later(20)), Ok(Sweep::Done(held)));
        assert_eq!(
            table.sweep(&fake, sweeper(1), 100, later(60)),
            Ok(Sweep::Done(Held::default()))
        );
        assert_eq!(bodies(&fake), 0);
    }

    #[test]
    fn one_worker_sweeps_until_its_lease_ends() {
        let fake = Fake::new();
        let (table, other) = (table(64), fake.worker());
        assert_eq!(table.sweep(&fake, sweeper(1), 5, later(0)), Ok(Sweep::Going));
        assert_eq!(table.sweep(&other, sweeper(2), 5, later(9)), Ok(Sweep::Elsewhere));
        assert_eq!(table.sweep(&other, sweeper(2), 5, later(10)), Ok(Sweep::Done(Held::default())));
        assert_eq!(table.sweep(&fake, sweeper(1), 5, later(11)), Ok(Sweep::Elsewhere));
    }

    #[test]
    fn an_older_configuration_leaves_the_table_to_the_newer_one() {
        let fake = Fake::new();
        let (old, new, other) = (table(16), table(256), fake.worker());
        let newer = Sweeper { id: 2, born: later(1) };
        assert!(matches!(old.sweep(&fake, sweeper(1), 100, later(1)), Ok(Sweep::Done(_))));
        (0..200).for_each(|n| put(&new, &fake, n, 60));
        let Ok(Sweep::Done(held)) = new.sweep(&other, newer, 100, later(2)) else { panic!() };
        assert!(held.entries > 150, "{held:?}");
        assert_eq!(old.sweep(&fake, sweeper(1), 100, later(3)), Ok(Sweep::Elsewhere));
        assert_eq!(bodies(&fake) as u64, held.entries);
    }

    #[test]
    fn places_of_a_larger_configuration_are_freed_by_the_smaller_one() {
        let (fake, large, small) = (Fake::new(), table(256), table(16));
        (0..200).for_each(|n| put(&large, &fake, n, 60));
        large.sweep(&fake, sweeper(1), 1000, NOW).unwrap();
        let Ok(Sweep::Done(held)) = small.sweep(&fake, sweeper(1), 1000, NOW) else { panic!() };
        assert!(held.entries <= 16 && bodies(&fake) as u64 == held.entries, "{held:?}");
    }

    #[test]
    fn what_can_be_served_survives_a_sweep() {
        let (fake, table) = (Fake::new(), table(8));
        put(&table, &fake, 1, 60);
        table.sweep(&fake, sweeper(1), 100, later(59)).unwrap();
        let key = Key::from_bytes(blake3::hash(&1_u32.to_le_bytes()).into());
        let found = table.get(&fake, &key, Form::Json, None, later(59)).unwrap();
        assert!(matches!(found, Found::Answer(_)));
    }

    #[test]
    fn a_lease_of_garbage_is_no_lease() {
        let (fake, table) = (Fake::new(), table(8));
        for garbage in [&b"x"[..], b"\x01", &[2; 57], &[2; 58]] {
            fake.save(KEY, garbage, Expect::Anything).unwrap();
            assert_eq!(table.sweep(&fake, sweeper(1), 5, NOW), Ok(Sweep::Done(Held::default())));
        }
    }
}
