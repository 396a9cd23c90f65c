//! The bytes that a worker holds for what is on its way, and the budget for them.
//!
//! A worker's VM ends at 1 GiB, and with it everything that the worker was about to answer. So each
//! worker has one [`Ledger`], which both roles ask before they take more: new work is refused, and
//! work that is under way ends with an error, or does without what is dear. What a stream holds is
//! told by its state after each event and entered as its [`Hold`]: nothing has to be given back by
//! hand. Bytes that the host keeps while a role pauses count too, since the role is why they are kept.
//!
//! Whoever works on a whole message has copies of it for a moment. Workers do one thing at a time, so
//! [`Ledger::can_work_on`] leaves room for one such moment beside everything that is held.

use std::cell::Cell;
use std::rc::Rc;

use crate::error::{Error, Kind, Retry};
use crate::host::{SharedStore, Timestamp};
use crate::protocol::wire::MAX_ALL_ITEMS;
use crate::store::{self, Edit, Lost};

/// Bytes that are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// In the VM.
    pub here: usize,
    /// By the host, while a role pauses.
    pub there: usize,
}

/// What one worker holds.
#[derive(Debug)]
pub struct Ledger {
    held: Cell<Held>,
    limit: Cell<usize>,
}

/// What one stream holds of it.
#[derive(Debug)]
pub struct Hold {
    ledger: Rc<Ledger>,
    held: Held,
}

impl Held {
    pub fn here(here: usize) -> Self {
        Self { here, there: 0 }
    }

    pub fn there(there: usize) -> Self {
        Self { here: 0, there }
    }

    pub fn all(self) -> usize {
        self.here.saturating_add(self.there)
    }

    pub fn and(self, other: Self) -> Self {
        Self {
            here: self.here.saturating_add(other.here),
            there: self.there.saturating_add(other.there),
        }
    }

    fn without(self, other: Self) -> Self {
        Self {
            here: self.here.saturating_sub(other.here),
            there: self.there.saturating_sub(other.there),
        }
    }
}

impl Default for Ledger {
    fn default() -> Self {
        Self { held: Cell::default(), limit: Cell::new(DEFAULT_LIMIT) }
    }
}

impl Ledger {
    pub fn new(limit: usize) -> Rc<Self> {
        Rc::new(Self { held: Cell::default(), limit: Cell::new(limit) })
    }

    pub fn limit_to(&self, bytes: usize) {
        self.limit.set(bytes);
    }

    pub fn held(&self) -> usize {
        self.held.get().all()
    }

    /// Whether new work would only wait for room.
    pub fn is_full(&self) -> bool {
        self.held() >= self.limit.get()
    }

    /// Whether `more` bytes can be held.
    pub fn has_room(&self, more: usize) -> bool {
        self.held().saturating_add(more) <= self.limit.get()
    }

    /// Whether a whole message of so many bytes can be read, changed and written.
    pub fn can_work_on(&self, bytes: usize) -> bool {
        let work = bytes.saturating_mul(COPIES).saturating_add(STRUCTURE);
        self.held.get().here.saturating_add(work) <= VM
    }
}

impl Hold {
    pub fn new(ledger: &Rc<Ledger>) -> Self {
        Self { ledger: ledger.clone(), held: Held::default() }
    }

    /// What the stream holds now.
    pub fn set(&mut self, held: Held) {
        if held != self.held {
            let others = self.ledger.held.get().without(self.held);
            self.ledger.held.set(others.and(held));
            self.held = held;
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.set(Held::default());
    }
}

/// The refusal of work for which there is no room.
pub fn overloaded() -> Error {
    Error::new(Kind::ServiceUnavailable, "The gateway is busy. Please try again in a moment.")
        .code(OVERLOADED)
        .retry(Retry::AfterMillis(1000))
}

/// The code of that refusal.
pub const OVERLOADED: &str = "overloaded";

/// Its response code details where the provider role has no room: the gateway role knows it by them.
pub const DETAILS: &str = "llm_overloaded";

/// Says in shared data what this worker holds; returns what all of them do. A worker that says
/// nothing for a while is gone, and what it held with it: a gauge that each added to would stick.
pub fn report(
    store: &impl SharedStore,
    worker: u64,
    bytes: usize,
    now: Timestamp,
) -> Result<u64, Lost> {
    let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
    store::update(store, KEY, |value| {
        let (others, mut sum, mut kept) =
            entries(value).fold((0usize, bytes, Vec::new()), |(others, sum, mut kept), entry| {
                if entry.worker == worker || entry.at_ms.saturating_add(GONE_MS) < now.millis() {
                    return (others, sum, kept);
                }
                entry.write(&mut kept);
                (others + 1, sum.saturating_add(entry.bytes), kept)
            });
        if bytes > 0 && others < MAX_WORKERS {
            Entry { worker, bytes, at_ms: now.millis() }.write(&mut kept);
        } else {
            sum = sum.saturating_sub(bytes);
        }
        if kept == *value || (kept.is_empty() && value.as_slice() == NOTHING) {
            return Edit::Keep(sum);
        }
        // An empty value could not be told from none.
        *value = if kept.is_empty() { NOTHING.to_vec() } else { kept };
        Edit::Save(sum)
    })
}

/// What one worker said.
struct Entry {
    worker: u64,
    bytes: u64,
    at_ms: u64,
}

impl Entry {
    fn write(&self, out: &mut Vec<u8>) {
        for word in [self.worker, self.bytes, self.at_ms] {
            out.extend_from_slice(&word.to_le_bytes());
        }
    }
}

/// The entries of a value; anything else in it is none.
fn entries(value: &[u8]) -> impl Iterator<Item = Entry> {
    let (words, _) = value.as_chunks::<8>();
    let (entries, _) = words.as_chunks::<3>();
    entries.iter().map(|entry| {
        let [worker, bytes, at_ms] = entry.map(u64::from_le_bytes);
        Entry { worker, bytes, at_ms }
    })
}

/// Unless the configuration says otherwise: half of the VM.
pub const DEFAULT_LIMIT: usize = 512 << 20;

/// What a stream is counted with beside its bytes: its state, and its place in tables.
pub const STREAM: usize = 1 << 10;

/// Half an event of a stream may always be kept up to here: most events that are cut at all are
/// small, and whole with the next bytes.
pub const SMALL: usize = 16 << 10;

/// What a VM can use of its 1 GiB: some of it is code, configuration and gaps between what is used.
const VM: usize = 960 << 20;

/// How many times its own size a message takes while it is worked on, at most: measured for every
/// translation in `tests/memory.rs`.
pub const COPIES: usize = 18;

/// And what each item of a list takes beside that, however small it is.
pub const ITEM: usize = 2 << 10;

/// What all items of a message take.
const STRUCTURE: usize = MAX_ALL_ITEMS * ITEM;

const KEY: &[u8] = b"llm-held:v1";
const NOTHING: &[u8] = b"-";
/// Several ticks.
const GONE_MS: u64 = 5_000;
const MAX_WORKERS: usize = 1024;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::host::Clock;
    use crate::host::fake::{Call, Fake};

    #[test]
    fn what_is_held_is_given_back_however_a_stream_ends() {
        let ledger = Ledger::new(100);
        let mut one = Hold::new(&ledger);
        let mut two = Hold::new(&ledger);
        one.set(Held { here: 20, there: 40 });
        two.set(Held::here(30));
        assert_eq!(ledger.held(), 90);
        assert!(ledger.has_room(10) && !ledger.has_room(11) && !ledger.is_full());
        two.set(Held::there(40));
        assert!(ledger.is_full() && ledger.has_room(0));
        one.set(Held::here(5));
        assert_eq!(ledger.held(), 45);
        drop(two);
        assert_eq!(ledger.held(), 5);
        drop(one);
        assert_eq!(ledger.held(), 0);
    }

    #[test]
    fn a_message_is_worked_on_only_if_its_copies_fit_beside_what_is_held() {
        let ledger = Ledger::new(DEFAULT_LIMIT);
        let mut hold = Hold::new(&ledger);
        assert!(ledger.can_work_on(32 << 20));
        hold.set(Held::here(DEFAULT_LIMIT));
        assert!(ledger.can_work_on(4 << 20), "a request of the default size");
        assert!(!ledger.can_work_on(usize::MAX) && !ledger.can_work_on(128 << 20));
        hold.set(Held::there(DEFAULT_LIMIT));
        assert!(ledger.can_work_on(32 << 20), "what the host keeps is not in the VM");
    }

    #[test]
    fn workers_tell_each_other_what_they_hold_and_one_that_is_gone_is_forgotten() {
        let host = Fake::new();
        let said = |worker: u64, bytes: usize| report(&host, worker, bytes, host.now()).unwrap();
        assert_eq!(said(1, 0), 0);
        assert_eq!(host.calls(Call::Save), 0, "nothing to say");
        assert_eq!(said(1, 100), 100);
        assert_eq!(said(2, 20), 120);
        assert_eq!(said(2, 30), 130);
        assert_eq!(said(1, 0), 30);
        assert_eq!(said(1, 7), 37);
        host.advance(Duration::from_secs(4));
        assert_eq!(said(2, 30), 37);
        host.advance(Duration::from_secs(4));
        assert_eq!(said(2, 30), 30, "worker 1 was silent for eight seconds");
        host.advance(Duration::from_secs(8));
        assert_eq!(said(3, 0), 0);
        assert_eq!(said(3, 0), 0);
    }

    #[test]
    fn a_crowd_of_workers_is_bounded_and_a_garbled_value_is_none() {
        let host = Fake::new();
        host.save(KEY, b"what is this?", crate::host::Expect::Anything).unwrap();
        for worker in 0..2 * MAX_WORKERS as u64 {
            report(&host, worker, 1, host.now()).unwrap();
        }
        assert!(host.load(KEY).unwrap().value.unwrap().len() <= MAX_WORKERS * 24);
    }
}
