//! Debts of many keys in few values: each slot holds up to [`WAYS`] keys, told apart by their tags.
//!
//! One value is a version and a record of 40 bytes for each key in it; a value of any other form
//! counts as empty. A key without a record owes nothing, so a record that is paid back is
//! free room. If there is none, the record that is nearest to being paid back makes room: of all of
//! them, forgetting it gives away least.
//!
//! # Bounds
//! `slots` values of at most 8 + 8 * 40 = 328 bytes under keys of 17 bytes, whatever callers send;
//! with some 130 bytes that the host spends on an entry, at most 31 MB at the default of 65536
//! slots. A key loses its record only if more than eight keys with debt meet in one slot: with
//! 100,000 keys that all have debt at the same time that happens to 2 of 10,000.

use crate::host::{SharedStore, Timestamp};
use crate::store::{self, Address, Edit, Lost};

use super::gcra::{Debt, Quota};

/// Changes the debt at `address` by `change`, which runs again when another worker was faster.
pub(super) fn update<T>(
    store: &impl SharedStore,
    address: Address,
    now: Timestamp,
    mut change: impl FnMut(Debt) -> Change<T>,
) -> Result<(T, Eviction), Lost> {
    store::update(store, &slot_key(address.slot), |value| {
        let old = find(value, address.tag);
        match change(old.map_or_else(Debt::default, |record| record.debt)) {
            Change::Keep(out) => Edit::Keep((out, Eviction::None)),
            Change::Owe(out, quota, debt) => {
                let record = Record { tag: address.tag, drained: quota.drained(debt), debt };
                Edit::Save((out, put(value, record, now)))
            }
        }
    })
}

/// What becomes of a debt.
pub(super) enum Change<T> {
    Keep(T),
    Owe(T, Quota, Debt),
}

/// Whether another key's debt had to be forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Eviction {
    None,
    Evicted,
}

type Packed = [[u8; 8]; 5];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Record {
    tag: u64,
    /// When the debt will be paid back. It is stored because only the rule of this key could tell,
    /// and keys of all rules share a slot.
    drained: Timestamp,
    debt: Debt,
}

impl Record {
    fn decode(packed: &Packed) -> Self {
        let [tag, drained, at, low, high] = packed.map(u64::from_le_bytes);
        let parts = u128::from(high) << 64 | u128::from(low);
        Self { tag, drained: Timestamp(drained), debt: Debt { parts, at: Timestamp(at) } }
    }

    fn encode(self) -> Packed {
        let Debt { parts, at } = self.debt;
        [self.tag, self.drained.0, at.0, parts as u64, (parts >> 64) as u64].map(u64::to_le_bytes)
    }
}

fn records(value: &[u8]) -> &[Packed] {
    match value.as_chunks() {
        ([VERSION, words @ ..], []) => match words.as_chunks() {
            (records, []) if records.len() <= WAYS => records,
            _ => &[],
        },
        _ => &[],
    }
}

fn find(value: &[u8], tag: u64) -> Option<Record> {
    records(value).iter().map(Record::decode).find(|record| record.tag == tag)
}

fn put(value: &mut Vec<u8>, record: Record, now: Timestamp) -> Eviction {
    if records(value).is_empty() {
        *value = VERSION.to_vec();
    }
    let (index, eviction) = place(records(value), record.tag, now);
    let packed = record.encode();
    let words = value.as_chunks_mut().0.get_mut(1..).unwrap_or_default();
    match words.as_chunks_mut().0.get_mut(index) {
        Some(target) => *target = packed,
        None => value.extend_from_slice(packed.as_flattened()),
    }
    eviction
}

/// The index where `tag` goes, which may be one past the end.
fn place(records: &[Packed], tag: u64, now: Timestamp) -> (usize, Eviction) {
    let mut nearest = (Timestamp(u64::MAX), records.len());
    for (index, record) in records.iter().map(Record::decode).enumerate() {
        if record.tag == tag {
            return (index, Eviction::None);
        }
        if record.drained <= nearest.0 {
            nearest = (record.drained, index);
        }
    }
    match nearest {
        (drained, index) if drained <= now => (index, Eviction::None),
        (_, index) if records.len() >= WAYS => (index, Eviction::Evicted),
        _ => (records.len(), Eviction::None),
    }
}

fn slot_key(slot: u32) -> [u8; 17] {
    let mut key = *b"llm-limit:v1:\0\0\0\0";
    key.iter_mut().rev().zip(slot.to_be_bytes().iter().rev()).for_each(|(to, from)| *to = *from);
    key
}

/// As many as make overflow rare; a longer value costs the host next to nothing.
const WAYS: usize = 8;
const VERSION: [u8; 8] = *b"limits-1";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::host::Expect;
    use crate::host::fake::Fake;

    const RECORD: usize = size_of::<Packed>();
    const NOW: Timestamp = Timestamp(1_800_000_000_000_000_000);

    fn quota() -> Quota {
        Quota::new(60, Duration::from_secs(60), None).unwrap()
    }

    fn owe(fake: &Fake, slot: u32, tag: u64, units: u64, now: Timestamp) -> Eviction {
        let change = |debt| Change::Owe((), quota(), quota().settle(debt, 0, units, now));
        update(fake, Address { slot, tag }, now, change).unwrap().1
    }

    fn owed(fake: &Fake, slot: u32, tag: u64, now: Timestamp) -> u64 {
        let look = |debt| Change::Keep(quota().standing(debt, now).used);
        update(fake, Address { slot, tag }, now, look).unwrap().0
    }

    #[test]
    fn keys_of_one_slot_have_debts_of_their_own() {
        let fake = Fake::new();
        for tag in 0..WAYS as u64 {
            assert_eq!(owe(&fake, 3, tag, tag + 1, NOW), Eviction::None);
        }
        for tag in 0..WAYS as u64 {
            assert_eq!(owed(&fake, 3, tag, NOW), tag + 1);
        }
        owe(&fake, 3, 2, 10, NOW);
        assert_eq!((owed(&fake, 3, 1, NOW), owed(&fake, 3, 2, NOW)), (2, 13));
        assert_eq!(owed(&fake, 4, 2, NOW), 0);
    }

    #[test]
    fn a_full_slot_forgets_the_key_that_is_nearest_to_owing_nothing() {
        let fake = Fake::new();
        for tag in 0..WAYS as u64 {
            owe(&fake, 0, tag, 10 + (tag + 5) % 8, NOW);
        }
        assert_eq!(owe(&fake, 0, 100, 1, NOW), Eviction::Evicted);
        assert_eq!((owed(&fake, 0, 3, NOW), owed(&fake, 0, 100, NOW)), (0, 1));
        assert_eq!(owe(&fake, 0, 101, 1, NOW), Eviction::Evicted);
        assert_eq!((owed(&fake, 0, 100, NOW), owed(&fake, 0, 4, NOW)), (0, 11));
    }

    #[test]
    fn what_is_paid_back_is_free_room() {
        let fake = Fake::new();
        for tag in 0..WAYS as u64 {
            owe(&fake, 0, tag, tag + 1, NOW);
        }
        let later = Timestamp(NOW.0 + 3_000_000_000);
        for tag in 100..103 {
            assert_eq!(owe(&fake, 0, tag, 20, later), Eviction::None);
        }
        assert_eq!(owe(&fake, 0, 103, 20, later), Eviction::Evicted);
        assert_eq!(owed(&fake, 0, 7, later), 5);
    }

    #[test]
    fn a_value_of_another_form_counts_as_empty_and_is_replaced() {
        let too_many = [&VERSION[..], &[9; RECORD * (WAYS + 1)]].concat();
        let other_version = [&b"limits-0"[..], &[9; RECORD]].concat();
        let cut = [&VERSION[..], &[9; RECORD - 1]].concat();
        for foreign in [&VERSION[..], b"x", &too_many, &other_version, &cut] {
            let fake = Fake::new();
            fake.save(&slot_key(0), foreign, Expect::Anything).unwrap();
            assert_eq!(owed(&fake, 0, u64::from_le_bytes([9; 8]), NOW), 0);
            owe(&fake, 0, 1, 5, NOW);
            assert_eq!(owed(&fake, 0, 1, NOW), 5);
            assert_eq!(fake.load(&slot_key(0)).unwrap().value.unwrap().len(), 8 + RECORD);
        }
    }

    #[test]
    fn a_slot_that_is_full_of_debts_without_end_does_not_grow() {
        let fake = Fake::new();
        fake.save(&slot_key(0), &[&VERSION[..], &[0xff; RECORD * WAYS]].concat(), Expect::Anything)
            .unwrap();
        assert_eq!(owe(&fake, 0, 1, 5, NOW), Eviction::Evicted);
        assert_eq!(fake.load(&slot_key(0)).unwrap().value.unwrap().len(), 8 + RECORD * WAYS);
    }

    #[test]
    fn every_slot_has_a_key_of_its_own() {
        assert_ne!(slot_key(1), slot_key(256));
        assert_eq!(slot_key(0x0102_0304), *b"llm-limit:v1:\x01\x02\x03\x04");
    }
}
