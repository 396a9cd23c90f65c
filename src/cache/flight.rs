//! One upstream call for identical requests in flight.
//!
//! The first request takes a lease in shared data and leads; those that come while it runs follow:
//! they wait for the answer to appear in the cache, each as long as it likes. A leader that
//! vanishes without a word loses its lease when its time is over.

use std::num::NonZeroU32;
use std::time::Duration;

use super::key::Key;
use crate::host::{SharedStore, Timestamp};
use crate::store::{self, Edit, Lost};

/// The places for leases. Two keys that meet in one place do not wait for each other: the second
/// goes alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flights {
    places: NonZeroU32,
    lease: Duration,
}

/// What a request should do on a miss.
#[derive(Debug, PartialEq, Eq)]
pub enum Role {
    /// Call upstream and end the lease whatever comes of it.
    Lead(Lease),
    /// Wait: someone else is calling upstream.
    Follow,
    /// Call upstream without others waiting.
    Alone,
}

/// What a follower sees when it looks again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// Go on waiting.
    Running,
    /// The leader is gone: look into the cache, and if there is nothing, ask for a role again.
    Over,
    /// The answer came but could not be stored, and the next would not be either: go alone.
    NotStored,
}

/// The right to lead, to be ended by [`Flights::finish`] or [`Flights::abandon`].
#[derive(Debug, PartialEq, Eq)]
#[must_use = "followers wait until it is ended"]
pub struct Lease {
    key: Key,
    owner: u64,
}

/// What became of a leader's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Stored,
    /// It may not be stored, so those who wait should not wait for another leader either.
    NotStored,
}

impl Flights {
    /// `lease` is the longest that anyone would wait for a leader that vanished.
    pub fn new(places: NonZeroU32, lease: Duration) -> Self {
        Self { places, lease }
    }

    /// The role of a request that found nothing in the cache. `owner` is a random number.
    pub fn join(
        &self,
        store: &impl SharedStore,
        key: &Key,
        owner: u64,
        now: Timestamp,
    ) -> Result<Role, Lost> {
        store::update(store, &self.place(key), |value| {
            match State::decode(value).filter(|state| state.until_ms > now.millis()) {
                Some(State { key: other, status: Status::Running, .. }) if other != *key => {
                    Edit::Keep(Role::Alone)
                }
                Some(State { key: same, status, .. }) if same == *key => match status {
                    Status::Running => Edit::Keep(Role::Follow),
                    Status::NotStored => Edit::Keep(Role::Alone),
                },
                _ => {
                    let lease = u64::try_from(self.lease.as_millis()).unwrap_or(u64::MAX);
                    let until_ms = now.millis().saturating_add(lease);
                    State { key: *key, owner, until_ms, status: Status::Running }.encode(value);
                    Edit::Save(Role::Lead(Lease { key: *key, owner }))
                }
            }
        })
    }

    /// How the flight that a follower waits for stands.
    pub fn watch(
        &self,
        store: &impl SharedStore,
        key: &Key,
        now: Timestamp,
    ) -> Result<Sight, Lost> {
        let value = store.load(&self.place(key))?.value.unwrap_or_default();
        Ok(match State::decode(&value) {
            Some(state) if state.key == *key && state.until_ms > now.millis() => {
                match state.status {
                    Status::Running => Sight::Running,
                    Status::NotStored => Sight::NotStored,
                }
            }
            _ => Sight::Over,
        })
    }

    /// The answer is there. A stored one must be in the cache before this.
    pub fn finish(
        &self,
        store: &impl SharedStore,
        lease: Lease,
        outcome: Outcome,
        now: Timestamp,
    ) -> Result<(), Lost> {
        self.end(store, &lease, |state, value| match outcome {
            Outcome::Stored => value.clear(),
            Outcome::NotStored => {
                let until_ms = now.millis().saturating_add(NOT_STORED_MS);
                State { status: Status::NotStored, until_ms, ..state }.encode(value);
            }
        })
    }

    /// There will be no answer from this leader: it failed, was aborted or refused. The next
    /// request, or the first follower that looks, may lead.
    pub fn abandon(&self, store: &impl SharedStore, lease: Lease) -> Result<(), Lost> {
        self.end(store, &lease, |_, value| value.clear())
    }

    /// Changes the lease's place if it still is the lease's.
    fn end(
        &self,
        store: &impl SharedStore,
        lease: &Lease,
        change: impl Fn(State, &mut Vec<u8>),
    ) -> Result<(), Lost> {
        store::update(store, &self.place(&lease.key), |value| match State::decode(value) {
            Some(state) if state.key == lease.key && state.owner == lease.owner => {
                change(state, value);
                Edit::Save(())
            }
            _ => Edit::Keep(()),
        })
    }

    fn place(&self, key: &Key) -> [u8; 18] {
        let (hash, _) = key.as_bytes().split_first_chunk().unwrap_or((&[0; 4], &[]));
        let place = (u64::from(u32::from_le_bytes(*hash)) * u64::from(self.places.get())) >> 32;
        let mut name = *b"llm-cache:v1:f\0\0\0\0";
        name.iter_mut().rev().zip((place as u32).to_le_bytes()).for_each(|(to, from)| *to = from);
        name
    }
}

/// What lies in a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    key: Key,
    owner: u64,
    until_ms: u64,
    status: Status,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Running,
    NotStored,
}

impl State {
    /// `None` for anything that [`State::encode`] did not write.
    fn decode(value: &[u8]) -> Option<Self> {
        let (status, rest) = match value.split_first()? {
            (&RUNNING, rest) => (Status::Running, rest),
            (&NOT_STORED, rest) => (Status::NotStored, rest),
            _ => return None,
        };
        let (key, rest) = rest.split_first_chunk()?;
        let (owner, rest) = rest.split_first_chunk()?;
        let until_ms = u64::from_le_bytes(rest.try_into().ok()?);
        let (key, owner) = (Key::from_bytes(*key), u64::from_le_bytes(*owner));
        Some(Self { key, owner, until_ms, status })
    }

    fn encode(&self, value: &mut Vec<u8>) {
        value.clear();
        value.push(match self.status {
            Status::Running => RUNNING,
            Status::NotStored => NOT_STORED,
        });
        value.extend_from_slice(self.key.as_bytes());
        value.extend_from_slice(&self.owner.to_le_bytes());
        value.extend_from_slice(&self.until_ms.to_le_bytes());
    }
}

const RUNNING: u8 = 1;
const NOT_STORED: u8 = 2;
/// Long enough for followers to see it, short enough that a change of mind upstream is seen soon.
const NOT_STORED_MS: u64 = 1000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Expect;
    use crate::host::fake::Fake;

    const NOW: Timestamp = Timestamp(1_800_000_000_000_000_000);
    const KEY: Key = Key::from_bytes([1; 32]);
    const OTHER: Key = Key::from_bytes([2; 32]);

    fn flights() -> Flights {
        Flights::new(NonZeroU32::MIN, Duration::from_secs(30))
    }

    fn later(millis: u64) -> Timestamp {
        Timestamp(NOW.0 + millis * 1_000_000)
    }

    fn lead(fake: &Fake, owner: u64, now: Timestamp) -> Lease {
        match flights().join(fake, &KEY, owner, now).unwrap() {
            Role::Lead(lease) => lease,
            role => panic!("{role:?}"),
        }
    }

    #[test]
    fn the_first_leads_and_the_others_follow_until_it_lands() {
        let one = Fake::new();
        let two = one.worker();
        let lease = lead(&one, 1, NOW);
        assert_eq!(flights().join(&one, &KEY, 2, NOW), Ok(Role::Follow));
        assert_eq!(flights().join(&two, &KEY, 3, NOW), Ok(Role::Follow));
        assert_eq!(flights().watch(&two, &KEY, later(250)), Ok(Sight::Running));
        flights().finish(&one, lease, Outcome::Stored, later(250)).unwrap();
        assert_eq!(flights().watch(&two, &KEY, later(250)), Ok(Sight::Over));
        lead(&two, 4, later(251)).key.as_bytes();
    }

    #[test]
    fn of_many_at_once_one_leads() {
        let fake = Fake::new();
        fake.collide(1);
        let roles: Vec<_> =
            (0..10).map(|owner| flights().join(&fake, &KEY, owner, NOW).unwrap()).collect();
        assert_eq!(roles.iter().filter(|r| matches!(r, Role::Lead(_))).count(), 1);
        assert_eq!(roles.iter().filter(|r| **r == Role::Follow).count(), 9);
    }

    #[test]
    fn when_a_leader_gives_up_a_follower_may_lead() {
        let fake = Fake::new();
        let lease = lead(&fake, 1, NOW);
        flights().abandon(&fake, lease).unwrap();
        assert_eq!(flights().watch(&fake, &KEY, later(1)), Ok(Sight::Over));
        let _lease = lead(&fake, 2, later(1));
        assert_eq!(flights().join(&fake, &KEY, 3, later(1)), Ok(Role::Follow));
    }

    #[test]
    fn when_an_answer_may_not_be_stored_nobody_waits_for_the_next_one() {
        let fake = Fake::new();
        let lease = lead(&fake, 1, NOW);
        flights().finish(&fake, lease, Outcome::NotStored, NOW).unwrap();
        assert_eq!(flights().watch(&fake, &KEY, later(1)), Ok(Sight::NotStored));
        assert_eq!(flights().join(&fake, &KEY, 2, later(1)), Ok(Role::Alone));
        let _lease = lead(&fake, 3, later(1000));
    }

    #[test]
    fn a_leader_that_vanished_is_replaced_and_cannot_end_the_lease_of_the_next() {
        let fake = Fake::new();
        let vanished = lead(&fake, 1, NOW);
        assert_eq!(flights().watch(&fake, &KEY, later(29_999)), Ok(Sight::Running));
        assert_eq!(flights().watch(&fake, &KEY, later(30_000)), Ok(Sight::Over));
        let _next = lead(&fake, 2, later(30_000));
        flights().finish(&fake, vanished, Outcome::Stored, later(30_001)).unwrap();
        assert_eq!(flights().watch(&fake, &KEY, later(30_001)), Ok(Sight::Running));
    }

    #[test]
    fn keys_that_meet_in_one_place_do_not_wait_for_each_other() {
        let fake = Fake::new();
        let lease = lead(&fake, 1, NOW);
        assert_eq!(flights().join(&fake, &OTHER, 2, NOW), Ok(Role::Alone));
        assert_eq!(flights().watch(&fake, &OTHER, NOW), Ok(Sight::Over));
        flights().finish(&fake, lease, Outcome::NotStored, NOW).unwrap();
        assert!(matches!(flights().join(&fake, &OTHER, 2, NOW), Ok(Role::Lead(_))));
    }

    #[test]
    fn a_place_of_garbage_is_free() {
        let fake = Fake::new();
        for garbage in [&b"x"[..], &[RUNNING; 48], &[RUNNING; 50], &[0; 49]] {
            fake.save(&flights().place(&KEY), garbage, Expect::Anything).unwrap();
            assert_eq!(flights().watch(&fake, &KEY, NOW), Ok(Sight::Over));
            let _lease = lead(&fake, 1, NOW);
        }
    }

    #[test]
    fn any_number_of_keys_takes_no_more_than_its_places() {
        let fake = Fake::new();
        let flights = Flights::new(NonZeroU32::new(16).unwrap(), Duration::from_secs(30));
        for n in 0..1000_u32 {
            let key = Key::from_bytes(blake3::hash(&n.to_le_bytes()).into());
            let _role = flights.join(&fake, &key, 1, NOW).unwrap();
        }
        assert_eq!(fake.shared_keys().len(), 16);
    }
}
