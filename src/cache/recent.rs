//! Where this worker has found answers within the last second, so that the next hit reads no index.
//!
//! What is remembered is a place and nothing more. The body that lies there tells whose answer it is
//! and until when it may be served, so a place that was given away meanwhile costs one read and is
//! forgotten. An answer is looked up by its index once a second all the same, which notes its use.

use std::cell::Cell;
use std::time::Duration;

use super::key::Key;
use super::record::Form;
use super::table::{Found, Table};
use crate::host::{SharedStore, Timestamp};
use crate::store::Lost;

/// The places that one worker remembers: two keys that meet in one forget each other.
#[derive(Clone, Debug)]
pub(super) struct Recent(Box<[Cell<Option<Seen>>]>);

#[derive(Clone, Copy, Debug)]
struct Seen {
    /// Enough to be right about nearly always.
    tag: [u8; 8],
    form: Form,
    way: usize,
    at_ms: u64,
}

impl Recent {
    pub(super) fn new() -> Self {
        Self(vec![Cell::new(None); PLACES].into())
    }

    /// What [`Table::get`] would find, unless another worker has just written a newer answer.
    pub(super) fn get(
        &self,
        table: &Table,
        store: &impl SharedStore,
        key: &Key,
        form: Form,
        max_age: Duration,
        now: Timestamp,
    ) -> Result<Found, Lost> {
        if let Some(seen) = self.seen(key, form, now) {
            if let Some(record) = table.at(store, key, form, seen.way, max_age, now)? {
                return Ok(Found::Answer(record));
            }
            self.set(key, None);
        }
        let (found, way) = table.search(store, key, form, Some(max_age), now)?;
        if let (Found::Answer(record), Some(way)) = (&found, way)
            && record.form == form
        {
            self.set(key, Some(Seen { tag: tag(key), form, way, at_ms: now.millis() }));
        }
        Ok(found)
    }

    fn seen(&self, key: &Key, form: Form, now: Timestamp) -> Option<Seen> {
        let seen = self.place(key)?.get()?;
        let lately = now.millis().checked_sub(seen.at_ms).is_some_and(|age| age < REMEMBERED_MS);
        (seen.tag == tag(key) && seen.form == form && lately).then_some(seen)
    }

    fn set(&self, key: &Key, seen: Option<Seen>) {
        if let Some(place) = self.place(key) {
            place.set(seen);
        }
    }

    fn place(&self, key: &Key) -> Option<&Cell<Option<Seen>>> {
        let [first, ..] = key.as_bytes();
        self.0.get(usize::from(*first))
    }
}

/// Of the bytes that choose neither set nor place.
fn tag(key: &Key) -> [u8; 8] {
    let (_, tag) = key.as_bytes().split_last_chunk().unwrap_or((&[], &[0; 8]));
    *tag
}

/// One for each first byte of a key; some ten kilobytes.
const PLACES: usize = 1 << u8::BITS;
const REMEMBERED_MS: u64 = 1000;

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::cache::record::{Entry, Tokens, Ttl};
    use crate::host::fake::{Call, Fake};

    const NOW: Timestamp = Timestamp(1_800_000_000_000_000_000);
    const TTL: Duration = Duration::from_secs(60);

    fn later(millis: u64) -> Timestamp {
        Timestamp(NOW.0 + millis * 1_000_000)
    }

    fn table() -> Table {
        Table::new(NonZeroU32::MIN, 1000)
    }

    fn key(n: u8) -> Key {
        let mut bytes = [n; 32];
        // All meet in one place here too.
        bytes[0] = 0;
        Key::from_bytes(bytes)
    }

    fn put(fake: &Fake, n: u8, body: &[u8], created: Timestamp) {
        let entry = Entry {
            key: &key(n),
            form: Form::Json,
            strips: false,
            status: 200,
            content_type: b"application/json",
            tokens: Tokens::default(),
            created,
            ttl: Ttl::new(TTL).unwrap(),
            body,
        };
        table().put(fake, &entry, created).unwrap();
    }

    fn get(recent: &Recent, fake: &Fake, n: u8, form: Form, now: Timestamp) -> Option<Vec<u8>> {
        match recent.get(&table(), fake, &key(n), form, TTL, now).unwrap() {
            Found::Answer(record) => Some(record.body().to_vec()),
            Found::Nothing(_) => None,
        }
    }

    #[test]
    fn within_a_second_a_hit_reads_the_body_only_and_then_notes_its_use() {
        let (fake, recent) = (Fake::new(), Recent::new());
        put(&fake, 1, b"one", NOW);
        let calls = |now| {
            fake.reset_calls();
            assert_eq!(get(&recent, &fake, 1, Form::Json, now), Some(b"one".to_vec()));
            (fake.calls(Call::Load), fake.calls(Call::Save))
        };
        assert_eq!(calls(later(1)), (2, 0));
        assert_eq!(calls(later(2)), (1, 0));
        assert_eq!(calls(later(1000)), (1, 0));
        assert_eq!(calls(later(1001)), (3, 1), "the use is noted");
        assert_eq!(calls(later(1002)), (1, 0));
        assert_eq!(calls(later(1)), (2, 0), "a clock that was set back");
    }

    #[test]
    fn a_place_that_was_given_away_is_no_answer() {
        let (one, recent) = (Fake::new(), Recent::new());
        let two = one.worker();
        put(&one, 1, b"one", NOW);
        get(&recent, &one, 1, Form::Json, NOW);
        put(&two, 2, b"two", NOW);
        assert_eq!(get(&recent, &one, 1, Form::Json, NOW), None);
        assert_eq!(get(&recent, &one, 2, Form::Json, NOW), Some(b"two".to_vec()));
        put(&two, 2, b"newer", later(5));
        assert_eq!(get(&recent, &one, 2, Form::Json, later(5)), Some(b"newer".to_vec()));
    }

    #[test]
    fn what_may_not_be_served_is_not() {
        let (fake, recent) = (Fake::new(), Recent::new());
        put(&fake, 1, b"one", NOW);
        get(&recent, &fake, 1, Form::Json, later(59_500));
        assert!(get(&recent, &fake, 1, Form::Json, later(59_999)).is_some());
        assert_eq!(get(&recent, &fake, 1, Form::Json, later(60_000)), None);

        put(&fake, 1, b"one", NOW);
        get(&recent, &fake, 1, Form::Json, later(5000));
        let aged = |seconds| {
            let max_age = Duration::from_secs(seconds);
            recent.get(&table(), &fake, &key(1), Form::Json, max_age, later(5001)).unwrap()
        };
        assert!(matches!(aged(6), Found::Answer(_)));
        assert!(matches!(aged(5), Found::Nothing(_)));
        assert!(matches!(aged(6), Found::Answer(_)));
        // The other form has a place of its own.
        assert!(get(&recent, &fake, 1, Form::Stream, later(5001)).is_some());
    }

    #[test]
    fn a_body_over_the_cap_of_this_configuration_is_not_served() {
        let (fake, recent) = (Fake::new(), Recent::new());
        put(&fake, 1, &[b'x'; 500], NOW);
        get(&recent, &fake, 1, Form::Json, NOW);
        let small = Table::new(NonZeroU32::MIN, 400);
        let found = recent.get(&small, &fake, &key(1), Form::Json, TTL, NOW).unwrap();
        assert!(matches!(found, Found::Nothing(_)));
    }
}
