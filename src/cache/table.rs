//! Answers in shared data, in a fixed number of places.
//!
//! A key belongs to one set of up to eight places. An index value per set says what lies where, so
//! that a miss costs one small read and a body is copied only if it can be served. The bodies lie
//! under keys of their own and carry their whole key and expiry: index and body are written one
//! after the other, and whatever two workers do to one place at the same time, a reader finds
//! either the answer to its own key or a miss. A place that the index tells wrong of is cleared by
//! whoever finds out.
//!
//! # Bounds
//! `max_entries` values of at most `max_entry_bytes`, and [`OVERHEAD_BYTES`] for each.

use std::num::NonZeroU32;
use std::time::Duration;

use super::index::{Index, SLOT_BYTES, Slot, WAYS};
use super::key::Key;
use super::record::{Entry, Form, Record, is_of_the_future};
use crate::host::{Expect, SharedStore, Timestamp};
use crate::store::{self, Edit, Lost};

/// The dimensions of the cache; what is in it lives in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table {
    sets: NonZeroU32,
    ways: usize,
    max_entry_bytes: usize,
}

/// What a reader found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// In the form asked for if it is stored in that, else in the other.
    Answer(Record),
    Nothing(Missing),
}

/// Why there is nothing to serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    Absent,
    /// Its time is over.
    Expired,
    /// Older than this request allows.
    TooOld,
    /// Larger than this configuration allows: another one stored it.
    TooLarge,
    /// The body is not the one that the index told of.
    Overtaken,
}

/// What became of an answer that was to be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// In a place that was free, or its own.
    Placed,
    /// In the place of another that could still have been served.
    Evicted,
    /// Larger than `max_entry_bytes`.
    TooLarge,
}

impl Table {
    /// As many places as can be had in sets of equal size, never more than `max_entries`.
    pub fn new(max_entries: NonZeroU32, max_entry_bytes: usize) -> Self {
        let max_entries = max_entries.get();
        let sets = NonZeroU32::new(max_entries.div_ceil(WAYS as u32)).unwrap_or(NonZeroU32::MIN);
        let ways = max_entries.checked_div(sets.get()).unwrap_or(1) as usize;
        Self { sets, ways, max_entry_bytes }
    }

    /// The most that shared data can hold of this table, in bytes.
    pub fn max_bytes(&self) -> u64 {
        let entries = u64::from(self.sets.get()).saturating_mul(self.ways as u64);
        entries.saturating_mul((self.max_entry_bytes as u64).saturating_add(OVERHEAD_BYTES))
    }

    /// The answer under `key` that is no older than `max_age`. Of both forms, the one in `form`
    /// comes first.
    pub fn get(
        &self,
        store: &impl SharedStore,
        key: &Key,
        form: Form,
        max_age: Option<Duration>,
        now: Timestamp,
    ) -> Result<Found, Lost> {
        self.search(store, key, form, max_age, now).map(|(found, _)| found)
    }

    /// The same with the place in which the answer lies.
    pub(super) fn search(
        &self,
        store: &impl SharedStore,
        key: &Key,
        form: Form,
        max_age: Option<Duration>,
        now: Timestamp,
    ) -> Result<(Found, Option<usize>), Lost> {
        let set = self.set(key);
        let index = store.load(&index_key(set))?.value.unwrap_or_default();
        let index = Index::decode(&index);
        let other = match form {
            Form::Json => Form::Stream,
            Form::Stream => Form::Json,
        };
        let mut missing = Missing::Absent;
        for form in [form, other] {
            let Some((way, slot)) = index.find(key, form) else { continue };
            match self.servable(&slot, max_age, now) {
                Ok(()) => {}
                Err(why) => {
                    missing = why;
                    continue;
                }
            }
            match body(store, set, way, key, form, now)? {
                Some(record) => {
                    touch(store, set, way, &slot, now);
                    return Ok((Found::Answer(record), Some(way)));
                }
                None => {
                    clear(store, set, way, &slot)?;
                    missing = Missing::Overtaken;
                }
            }
        }
        Ok((Found::Nothing(missing), None))
    }

    /// The answer in one place, if it is `key`'s and may be served.
    pub(super) fn at(
        &self,
        store: &impl SharedStore,
        key: &Key,
        form: Form,
        way: usize,
        max_age: Duration,
        now: Timestamp,
    ) -> Result<Option<Record>, Lost> {
        let record = body(store, self.set(key), way, key, form, now)?;
        let servable =
            |record: &Record| record.age(now) <= max_age && record.bytes() <= self.max_entry_bytes;
        Ok(record.filter(servable))
    }

    /// Stores an answer in the place of its former self or of the least valuable one.
    pub fn put(
        &self,
        store: &impl SharedStore,
        entry: &Entry<'_>,
        now: Timestamp,
    ) -> Result<Stored, Lost> {
        let Some(record) = entry.encode().filter(|record| record.len() <= self.max_entry_bytes)
        else {
            return Ok(Stored::TooLarge);
        };
        let set = self.set(entry.key);
        let slot = Slot {
            created_ms: entry.created.millis(),
            expires_ms: entry.expires_ms(),
            used_ms: now.millis(),
            bytes: u32::try_from(record.len()).unwrap_or(u32::MAX),
            ..Slot::new(entry.key, entry.form)
        };
        let (way, stored) = store::update(store, &index_key(set), |value| {
            let mut index = Index::decode(value);
            let way = index.place(entry.key, entry.form, self.ways, now.millis());
            let mut stored = Stored::Placed;
            if let Some(place) = index.slot_mut(way) {
                if place.expires_ms > now.millis() && !place.is_of(entry.key, entry.form) {
                    stored = Stored::Evicted;
                }
                *place = slot;
            }
            index.encode(value);
            Edit::Save((way, stored))
        })?;
        store.save(&body_key(set, way), &record, Expect::Anything)?;
        Ok(stored)
    }

    /// Frees what cannot be served any more in one set; what remains in it.
    pub(super) fn sweep_set(
        &self,
        store: &impl SharedStore,
        set: u32,
        now: Timestamp,
    ) -> Result<Remaining, Lost> {
        let within = set < self.sets.get();
        let dead = |way: usize, slot: &Slot| {
            !within || way >= self.ways || self.servable(slot, None, now).is_err()
        };
        let value = store.load(&index_key(set))?.value.unwrap_or_default();
        let index = Index::decode(&value);
        let mut remaining = Remaining::default();
        for (_, slot) in index.taken().filter(|(way, slot)| !dead(*way, slot)) {
            remaining.entries += 1;
            remaining.bytes += u64::from(slot.bytes);
        }
        for (way, slot) in index.taken().filter(|(way, slot)| dead(*way, slot)) {
            if clear(store, set, way, slot)? {
                store.save(&body_key(set, way), b"", Expect::Anything)?;
            }
        }
        Ok(remaining)
    }

    pub(super) fn sets(&self) -> u32 {
        self.sets.get()
    }

    fn set(&self, key: &Key) -> u32 {
        let (hash, _) = key.as_bytes().split_first_chunk().unwrap_or((&[0; 4], &[]));
        // Multiply and shift: the quotient is below `sets`, evenly, without a division.
        ((u64::from(u32::from_le_bytes(*hash)) * u64::from(self.sets.get())) >> 32) as u32
    }

    fn servable(
        &self,
        slot: &Slot,
        max_age: Option<Duration>,
        now: Timestamp,
    ) -> Result<(), Missing> {
        let age = Duration::from_millis(now.millis().saturating_sub(slot.created_ms));
        if slot.expires_ms <= now.millis() || is_of_the_future(slot.created_ms, now) {
            Err(Missing::Expired)
        } else if max_age.is_some_and(|max_age| age > max_age) {
            Err(Missing::TooOld)
        } else if slot.bytes as usize > self.max_entry_bytes {
            Err(Missing::TooLarge)
        } else {
            Ok(())
        }
    }
}

/// What a set holds after it was swept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Remaining {
    pub(super) entries: u64,
    pub(super) bytes: u64,
}

/// What lies in a place, if it is an answer to `key` whose time is not over.
fn body(
    store: &impl SharedStore,
    set: u32,
    way: usize,
    key: &Key,
    form: Form,
    now: Timestamp,
) -> Result<Option<Record>, Lost> {
    let bytes = store.load(&body_key(set, way))?.value.unwrap_or_default();
    let right = |record: &Record| {
        let whose = record.key == *key && record.form == form;
        whose && record.is_fresh(now) && !record.is_of_the_future(now)
    };
    Ok(Record::parse(bytes).filter(right))
}

/// Notes that a place was used, at most once a while: hits should not contend for their set. To
/// lose this note costs nothing.
fn touch(store: &impl SharedStore, set: u32, way: usize, seen: &Slot, now: Timestamp) {
    if now.millis().saturating_sub(seen.used_ms) < TOUCH_MS {
        return;
    }
    let _ = store::update(store, &index_key(set), |value| {
        let mut index = Index::decode(value);
        match index.slot_mut(way) {
            Some(slot) if slot.is_same(seen) => slot.used_ms = now.millis(),
            _ => return Edit::Keep(()),
        }
        index.encode(value);
        Edit::Save(())
    });
}

/// Empties a place if it is still what was `seen`.
fn clear(store: &impl SharedStore, set: u32, way: usize, seen: &Slot) -> Result<bool, Lost> {
    store::update(store, &index_key(set), |value| {
        let mut index = Index::decode(value);
        match index.slot_mut(way) {
            Some(slot) if slot.is_same(seen) => *slot = Slot::default(),
            _ => return Edit::Keep(false),
        }
        index.encode(value);
        Edit::Save(true)
    })
}

fn index_key(set: u32) -> [u8; 18] {
    let mut key = *b"llm-cache:v1:i\0\0\0\0";
    key.iter_mut().rev().zip(set.to_le_bytes()).for_each(|(to, from)| *to = from);
    key
}

fn body_key(set: u32, way: usize) -> [u8; 19] {
    let mut key = *b"llm-cache:v1:b\0\0\0\0\0";
    let place = set.to_le_bytes().into_iter().chain([way as u8]);
    key.iter_mut().rev().zip(place).for_each(|(to, from)| *to = from);
    key
}

/// For each entry beyond its `max_entry_bytes`: its slot in the index, and what the host's map
/// needs for its own key and node (measured: some 150 bytes a key).
pub const OVERHEAD_BYTES: u64 = (SLOT_BYTES + 19 + 150 + 24) as u64;
const TOUCH_MS: u64 = 1000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::record::{Tokens, Ttl};
    use crate::host::Status;
    use crate::host::fake::{Call, Fake};

    const NOW: Timestamp = Timestamp(1_800_000_000_000_000_000);

    fn later(millis: u64) -> Timestamp {
        Timestamp(NOW.0 + millis * 1_000_000)
    }

    fn table(entries: u32, bytes: usize) -> Table {
        Table::new(NonZeroU32::new(entries).unwrap(), bytes)
    }

    fn key(n: u32) -> Key {
        Key::from_bytes(blake3::hash(&n.to_le_bytes()).into())
    }

    fn entry<'a>(key: &'a Key, form: Form, body: &'a [u8], now: Timestamp) -> Entry<'a> {
        let ttl = Ttl::new(Duration::from_secs(60)).unwrap();
        let content_type = &b"application/json"[..];
        let tokens = Tokens::default();
        let strips = false;
        Entry { key, form, strips, status: 200, content_type, tokens, created: now, ttl, body }
    }

    fn put(table: &Table, fake: &Fake, n: u32, body: &[u8], now: Timestamp) -> Stored {
        table.put(fake, &entry(&key(n), Form::Json, body, now), now).unwrap()
    }

    fn get(table: &Table, fake: &Fake, n: u32, now: Timestamp) -> Found {
        table.get(fake, &key(n), Form::Json, None, now).unwrap()
    }

    fn body(found: Found) -> Option<Vec<u8>> {
        match found {
            Found::Answer(record) => Some(record.body().to_vec()),
            Found::Nothing(_) => None,
        }
    }

    #[test]
    fn an_answer_is_served_until_it_expires() {
        let (fake, table) = (Fake::new(), table(64, 1000));
        assert_eq!(get(&table, &fake, 1, NOW), Found::Nothing(Missing::Absent));
        assert_eq!(put(&table, &fake, 1, b"one", NOW), Stored::Placed);
        assert_eq!(body(get(&table, &fake, 1, later(59_999))), Some(b"one".to_vec()));
        assert_eq!(get(&table, &fake, 1, later(60_000)), Found::Nothing(Missing::Expired));
        assert_eq!(get(&table, &fake, 2, NOW), Found::Nothing(Missing::Absent));
    }

    #[test]
    fn a_newer_answer_replaces_the_older_one() {
        let (fake, table) = (Fake::new(), table(64, 1000));
        put(&table, &fake, 1, b"old", NOW);
        assert_eq!(put(&table, &fake, 1, b"new", later(1)), Stored::Placed);
        assert_eq!(body(get(&table, &fake, 1, later(2))), Some(b"new".to_vec()));
    }

    #[test]
    fn both_forms_live_under_one_key_and_the_one_asked_for_comes_first() {
        let (fake, table) = (Fake::new(), table(64, 1000));
        let key = key(1);
        let form = |form| match table.get(&fake, &key, form, None, NOW).unwrap() {
            Found::Answer(record) => record.form,
            Found::Nothing(why) => panic!("{why:?}"),
        };
        table.put(&fake, &entry(&key, Form::Stream, b"data", NOW), NOW).unwrap();
        assert_eq!((form(Form::Json), form(Form::Stream)), (Form::Stream, Form::Stream));
        table.put(&fake, &entry(&key, Form::Json, b"{}", NOW), NOW).unwrap();
        assert_eq!((form(Form::Json), form(Form::Stream)), (Form::Json, Form::Stream));
    }

    #[test]
    fn a_request_may_refuse_what_is_too_old_for_it() {
        let (fake, table) = (Fake::new(), table(64, 1000));
        put(&table, &fake, 1, b"one", NOW);
        let get = |secs| {
            let max_age = Some(Duration::from_secs(secs));
            table.get(&fake, &key(1), Form::Json, max_age, later(10_000)).unwrap()
        };
        assert!(body(get(10)).is_some());
        assert_eq!(get(9), Found::Nothing(Missing::TooOld));
    }

    #[test]
    fn a_clock_that_is_set_back_makes_no_answer_live_longer() {
        let (fake, table) = (Fake::new(), table(8, 1000));
        put(&table, &fake, 1, b"one", later(120_000));
        assert!(body(get(&table, &fake, 1, later(61_000))).is_some(), "clocks differ a little");
        assert_eq!(get(&table, &fake, 1, NOW), Found::Nothing(Missing::Expired));
        table.sweep_set(&fake, 0, NOW).unwrap();
        assert_eq!(get(&table, &fake, 1, later(120_000)), Found::Nothing(Missing::Absent));
    }

    #[test]
    fn a_miss_reads_no_body_and_a_hit_one() {
        let (fake, table) = (Fake::new(), table(8, 1000));
        put(&table, &fake, 1, b"one", NOW);
        let calls = |n, now| {
            fake.reset_calls();
            get(&table, &fake, n, now);
            (fake.calls(Call::Load), fake.calls(Call::Save))
        };
        assert_eq!(calls(2, NOW), (1, 0));
        assert_eq!(calls(1, later(999)), (2, 0));
        assert_eq!(calls(1, later(60_000)), (1, 0));
        assert_eq!(calls(1, later(1000)), (3, 1), "the use is noted");
        assert_eq!(calls(1, later(1999)), (2, 0), "but not again so soon");
    }

    #[test]
    fn what_is_over_the_cap_is_neither_stored_nor_copied() {
        let (fake, large) = (Fake::new(), table(8, 1000));
        assert_eq!(put(&large, &fake, 1, &[b'x'; 1000], NOW), Stored::TooLarge);
        assert!(fake.shared_keys().is_empty());
        put(&large, &fake, 1, &[b'x'; 800], NOW);
        let small = table(8, 500);
        fake.reset_calls();
        assert_eq!(get(&small, &fake, 1, NOW), Found::Nothing(Missing::TooLarge));
        assert_eq!(fake.calls(Call::Load), 1);
    }

    #[test]
    fn what_was_used_last_stays() {
        let (fake, table) = (Fake::new(), table(8, 1000));
        (0..8).for_each(|n| assert_eq!(put(&table, &fake, n, b"x", NOW), Stored::Placed));
        (0..8).filter(|n| *n != 5).for_each(|n| drop(get(&table, &fake, n, later(2000))));
        assert_eq!(put(&table, &fake, 100, b"x", later(3000)), Stored::Evicted);
        let kept: Vec<_> =
            (0..8).filter(|n| body(get(&table, &fake, *n, later(3000))).is_some()).collect();
        assert_eq!(kept, [0, 1, 2, 3, 4, 6, 7]);
    }

    #[test]
    fn ten_times_the_capacity_stays_within_the_bound() {
        let (fake, table) = (Fake::new(), table(100, 1000));
        let held = || {
            let keys = fake.shared_keys();
            let values = keys.iter().map(|key| fake.load(key).unwrap().value.unwrap_or_default());
            (keys.len(), values.map(|v| v.len() as u64).sum::<u64>())
        };
        for n in 0..1000 {
            put(&table, &fake, n, &vec![b'x'; 1 + n as usize % 900], later(u64::from(n)));
            let (keys, bytes) = held();
            assert!(keys <= 100 + 13 && bytes <= table.max_bytes(), "{keys} {bytes}");
        }
        assert!(held().0 > 100, "the table is in use");
    }

    #[test]
    fn the_places_are_as_many_as_asked_for_or_a_few_less() {
        for (asked, given) in
            [(1, 1), (7, 7), (8, 8), (9, 8), (100, 91), (1000, 1000), (1024, 1024)]
        {
            let table = table(asked, 1000);
            assert_eq!(table.sets.get() as usize * table.ways, given, "{asked}");
        }
    }

    #[test]
    fn a_body_that_is_not_what_the_index_says_is_a_miss_once_and_then_gone() {
        let table = table(8, 1000);
        let foreign = entry(&key(2), Form::Json, b"foreign", NOW).encode().unwrap();
        let stream = entry(&key(1), Form::Stream, b"data", NOW).encode().unwrap();
        let whole = entry(&key(1), Form::Json, b"cut", NOW).encode().unwrap();
        let cut = whole[..whole.len() - 1].to_vec();
        for wrong in [foreign, stream, cut, b"garbage".to_vec(), Vec::new()] {
            let fake = Fake::new();
            put(&table, &fake, 1, b"one", NOW);
            fake.save(&body_key(0, 7), &wrong, Expect::Anything).unwrap();
            assert_eq!(get(&table, &fake, 1, NOW), Found::Nothing(Missing::Overtaken));
            assert_eq!(get(&table, &fake, 1, NOW), Found::Nothing(Missing::Absent));
            put(&table, &fake, 1, b"again", NOW);
            assert_eq!(body(get(&table, &fake, 1, NOW)), Some(b"again".to_vec()));
        }
    }

    #[test]
    fn an_index_of_garbage_is_an_empty_set() {
        let (fake, table) = (Fake::new(), table(8, 1000));
        fake.save(&index_key(0), b"\x01garbage", Expect::Anything).unwrap();
        assert_eq!(get(&table, &fake, 1, NOW), Found::Nothing(Missing::Absent));
        put(&table, &fake, 1, b"one", NOW);
        assert!(body(get(&table, &fake, 1, NOW)).is_some());
    }

    /// Runs `meanwhile` before the n-th call of a worker: every interleaving of two workers that
    /// there is, as each call of the host is atomic.
    struct Interleaved<'a, F: Fn()> {
        worker: &'a Fake,
        calls: std::cell::Cell<u32>,
        at: u32,
        meanwhile: F,
    }

    impl<F: Fn()> Interleaved<'_, F> {
        fn tick(&self) {
            let call = self.calls.get();
            self.calls.set(call + 1);
            if call == self.at {
                (self.meanwhile)();
            }
        }
    }

    impl<F: Fn()> SharedStore for Interleaved<'_, F> {
        fn load(&self, key: &[u8]) -> Result<crate::host::Stored, Status> {
            self.tick();
            self.worker.load(key)
        }

        fn save(&self, key: &[u8], value: &[u8], expect: Expect) -> Result<(), Status> {
            self.tick();
            self.worker.save(key, value, expect)
        }
    }

    /// One place only, so that everyone is in everyone's way.
    #[test]
    fn two_workers_in_one_place_can_only_miss() {
        let table = table(1, 1000);
        let answer = |n: u32| format!("answer {n}").into_bytes();
        let right = |n: u32, found: Found| {
            if let Some(body) = body(found) {
                assert_eq!(body, answer(n));
            }
        };
        let mut hits = 0;
        for at in 0..8 {
            for (first, second) in [(1, 2), (1, 1)] {
                let one = Fake::new();
                let two = one.worker();
                put(&table, &one, 9, &answer(9), NOW);
                let meanwhile = || {
                    put(&table, &two, second, &answer(second), later(1));
                    right(first, get(&table, &two, first, later(1)));
                    table.sweep_set(&two, 0, later(1)).unwrap();
                };
                let store = Interleaved { worker: &one, calls: 0.into(), at, meanwhile };
                let key = key(first);
                let fresh = answer(first);
                table.put(&store, &entry(&key, Form::Json, &fresh, NOW), later(1)).unwrap();
                right(first, table.get(&store, &key, Form::Json, None, later(1)).unwrap());
                for n in [1, 2, 9] {
                    let found = get(&table, &one, n, later(2));
                    hits += u32::from(matches!(found, Found::Answer(_)));
                    right(n, found);
                }
            }
        }
        assert!(hits > 0);
    }

    #[test]
    fn a_host_that_fails_loses_nothing_but_the_answer() {
        let (fake, table) = (Fake::new(), table(8, 1000));
        let key = key(1);
        for call in [Call::Load, Call::Save] {
            fake.fail_next(call, Status::InternalFailure);
            assert!(table.put(&fake, &entry(&key, Form::Json, b"x", NOW), NOW).is_err());
        }
        fake.fail_next(Call::Load, Status::InternalFailure);
        assert!(table.get(&fake, &key, Form::Json, None, NOW).is_err());
        put(&table, &fake, 1, b"one", NOW);
        assert!(body(get(&table, &fake, 1, NOW)).is_some());
    }
}
