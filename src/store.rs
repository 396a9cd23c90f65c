//! Fixed slots in shared data, and the one compare-and-swap loop.
//!
//! Shared data has no deletion and no expiry, so whatever callers choose (consumers, addresses) is
//! hashed to one of a fixed number of slots and never becomes a key of its own. The hash is
//! SipHash-2-4 under a secret of this process: who does not know it can neither aim at a slot nor
//! make two keys look the same, and at some 40 ns it is far cheaper than a digest. The secret lies in
//! shared data itself, as all workers must find the same slots.

use std::hash::Hasher;
use std::num::NonZeroU32;

use siphasher::sip128::{Hasher128, SipHasher24};

use crate::host::{Random, SharedStore, Status, Stored};

/// What an edit does with the value that it saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edit<T> {
    Keep(T),
    /// The value was changed in place and goes back to the store.
    Save(T),
}

/// Nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// Others wrote first, [`ATTEMPTS`] times.
    #[error("too many writers")]
    Contended,
    #[error(transparent)]
    Host(#[from] Status),
}

/// Reads the value under `key` (empty if there is none), lets `edit` change it, and writes it back
/// if nobody else did in between; else `edit` runs again on what they wrote.
pub fn update<T>(
    store: &impl SharedStore,
    key: &[u8],
    mut edit: impl FnMut(&mut Vec<u8>) -> Edit<T>,
) -> Result<T, Lost> {
    for _ in 0..ATTEMPTS {
        let Stored { value, version } = store.load(key)?;
        let mut value = value.unwrap_or_default();
        let out = match edit(&mut value) {
            Edit::Keep(out) => return Ok(out),
            Edit::Save(out) => out,
        };
        match store.save(key, &value, version) {
            Ok(()) => return Ok(out),
            Err(Status::CasMismatch) => {}
            Err(status) => return Err(Lost::Host(status)),
        }
    }
    Err(Lost::Contended)
}

/// The slots of one table.
#[derive(Clone, Debug)]
pub struct Slots {
    secret: [u8; SECRET_BYTES],
    count: NonZeroU32,
}

/// Where a key's state lies, and how it is told from others in the same slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    pub slot: u32,
    /// Does not depend on the number of slots.
    pub tag: u64,
}

impl Slots {
    /// Finds the process's secret, or makes it. For configuration time.
    pub fn open(host: &(impl SharedStore + Random), count: NonZeroU32) -> Result<Self, Lost> {
        let mut fresh = [0; SECRET_BYTES];
        host.fill(&mut fresh)?;
        let secret = update(host, SECRET_KEY, |value| match value.as_slice().try_into() {
            Ok(secret) => Edit::Keep(secret),
            Err(_) => {
                *value = fresh.to_vec();
                Edit::Save(fresh)
            }
        })?;
        Ok(Self { secret, count })
    }

    /// No two lists of parts share an address but by chance: parts are delimited, and an absent
    /// part differs from an empty one.
    pub fn address<'a>(&self, parts: impl IntoIterator<Item = Option<&'a [u8]>>) -> Address {
        let mut hasher = SipHasher24::new_with_key(&self.secret);
        for part in parts {
            match part {
                Some(bytes) => {
                    hasher.write_u64(bytes.len() as u64);
                    hasher.write(bytes);
                }
                None => hasher.write_u64(u64::MAX),
            }
        }
        let hash = hasher.finish128();
        // Multiply and shift: the quotient is below `count`, evenly, without a division.
        let slot = (u64::from(hash.h1 as u32) * u64::from(self.count.get())) >> 32;
        Address { slot: slot as u32, tag: hash.h2 }
    }
}

/// Each failure means that another worker's write succeeded, so even dozens of workers on one slot
/// rarely need more than a few.
pub const ATTEMPTS: u32 = 32;
const SECRET_KEY: &[u8] = b"llm-secret:v1";
const SECRET_BYTES: usize = 16;

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::collections::HashSet;

    use super::*;
    use crate::host::fake::Fake;
    use crate::host::{Expect, Timestamp};

    const COUNT: NonZeroU32 = NonZeroU32::new(100).unwrap();

    fn increment(value: &mut Vec<u8>) -> Edit<u8> {
        let next = value.first().map_or(1, |n| n + 1);
        *value = vec![next];
        Edit::Save(next)
    }

    #[test]
    fn an_update_creates_and_then_changes() {
        let fake = Fake::new();
        assert_eq!(update(&fake, b"k", increment), Ok(1));
        assert_eq!(update(&fake, b"k", increment), Ok(2));
        assert_eq!(update(&fake, b"k", |value| Edit::<usize>::Keep(value.len())), Ok(1));
    }

    #[test]
    fn a_lost_race_runs_the_edit_again_on_what_the_winner_wrote() {
        let fake = Fake::new();
        let other = fake.worker();
        for already_there in [0, 5] {
            let key = [already_there];
            if already_there > 0 {
                fake.save(&key, &[already_there], Expect::Anything).unwrap();
            }
            let runs = Cell::new(0);
            let result = update(&fake, &key, |value| {
                runs.set(runs.get() + 1);
                if runs.get() <= 3 {
                    update(&other, &key, increment).unwrap();
                }
                increment(value)
            });
            assert_eq!(runs.get(), 4, "the race did not happen");
            assert_eq!(result, Ok(already_there + 4));
        }
    }

    #[test]
    fn endless_contention_ends() {
        let fake = Fake::new();
        let other = fake.worker();
        let runs = Cell::new(0);
        let result = update(&fake, b"k", |value| {
            runs.set(runs.get() + 1);
            update(&other, b"k", increment).unwrap();
            increment(value)
        });
        assert_eq!((result, runs.get()), (Err(Lost::Contended), ATTEMPTS));
    }

    #[test]
    fn all_workers_of_a_process_find_the_same_addresses_and_others_do_not() {
        let parts = || [Some(&b"rule"[..]), None];
        let first = Fake::new();
        first.set_time(Timestamp(1));
        let address = Slots::open(&first, COUNT).unwrap().address(parts());
        assert_eq!(Slots::open(&first.worker(), COUNT).unwrap().address(parts()), address);
        let elsewhere = Fake::new();
        elsewhere.save(SECRET_KEY, &[7; SECRET_BYTES], Expect::Anything).unwrap();
        assert_ne!(Slots::open(&elsewhere, COUNT).unwrap().address(parts()), address);
    }

    #[test]
    fn parts_are_delimited() {
        let slots = Slots { secret: [1; SECRET_BYTES], count: COUNT };
        let lists: [&[Option<&[u8]>]; 6] = [
            &[],
            &[None],
            &[Some(b"")],
            &[Some(b"ab")],
            &[Some(b"a"), Some(b"b")],
            &[Some(b"ab"), Some(b"")],
        ];
        let tags: HashSet<u64> =
            lists.iter().map(|parts| slots.address(parts.iter().copied()).tag).collect();
        assert_eq!(tags.len(), lists.len());
    }

    #[test]
    fn keys_spread_evenly_over_the_slots() {
        let slots = Slots { secret: [1; SECRET_BYTES], count: COUNT };
        let mut hits = [0; COUNT.get() as usize];
        for n in 0..100_000u32 {
            hits[slots.address([Some(&n.to_le_bytes()[..])]).slot as usize] += 1;
        }
        assert!(hits.iter().all(|n| (850..1150).contains(n)), "{hits:?}");
    }

    #[test]
    fn a_foreign_value_in_the_secrets_place_is_replaced() {
        let fake = Fake::new();
        fake.save(SECRET_KEY, b"short", Expect::Anything).unwrap();
        let slots = Slots::open(&fake, COUNT).unwrap();
        assert_eq!(fake.load(SECRET_KEY).unwrap().value.unwrap(), slots.secret);
    }
}
