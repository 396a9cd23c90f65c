//! The response cache: who may share an answer, where it lies in shared data, and in which form.
//!
//! [`Cache`] is all that the gateway role needs: it asks a [`Question`], gets a [`Lookup`], and on a
//! miss brings a [`Capture`] of the answer back. The parts:
//!
//! - [`key`]: [`key::CACHE_KEY_PREFIX`], and the digest (`calculate_hash`) over [`canonical`] JSON;
//! - [`policy`]: what may be served and stored, and every reason why not;
//! - [`table`]: the bounded slots in shared data (`cache_get` and `cache_set` with a ttl), [`record`]
//!   what lies in one, [`recent`] which of them were just used, [`sweep`] what frees them;
//! - [`convert`]: streams from JSON and JSON from streams;
//! - [`flight`]: identical requests in flight join one upstream call;
//! - [`webdis`]: a second level that a fleet shares.

mod caller;
pub mod canonical;
pub mod capture;
pub mod convert;
pub mod flight;
mod index;
pub mod key;
pub mod policy;
mod recent;
pub mod record;
pub mod serve;
pub mod shadow;
pub mod sweep;
pub mod table;
pub mod webdis;

use std::num::NonZeroU32;
use std::time::Duration;

use self::capture::Capture;
use self::flight::{Flights, Lease, Outcome, Role, Sight};
use self::key::{Key, Subject};
use self::policy::{Answer, Directives, Forward, Mode, Policy, Skip};
use self::recent::Recent;
use self::record::{Entry, Form, Tokens};
use self::serve::Hit;
use self::sweep::{Held, Sweep, Sweeper};
use self::table::{Found, Stored, Table};
use crate::host::{Random, SharedStore, Timestamp};
use crate::protocol::{Operation, promise};
use crate::routing::Allow;

/// The cache under one configuration. What is in it lives in shared data: every worker has one of
/// these, and a reload keeps the entries.
///
/// # What a hit costs
/// One body is copied; the index before it is read once a second for each answer ([`recent`]). The
/// rest is the key, and the reply.
#[derive(Clone, Debug)]
pub struct Cache {
    policy: Policy,
    models: Allow,
    table: Table,
    recent: Recent,
    flights: Flights,
    wait: Duration,
}

/// A request that the cache has a part in. A few dozen bytes, kept until its answer is stored.
#[derive(Clone, Debug)]
pub struct Question {
    key: Key,
    operation: Operation,
    wants: Wants,
    /// How many embeddings it asks for.
    places: Option<usize>,
    /// How old an answer may be; `None` if none will do.
    max_age: Option<Duration>,
}

/// In which form a client wants its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wants {
    pub form: Form,
    /// It asked for the usage event that ends a stream.
    pub usage: bool,
}

/// What the cache says to a question.
#[derive(Debug)]
pub enum Lookup {
    Hit(Hit),
    /// What would have been served if the cache did not only count: call upstream, and compare.
    Shadow(Hit),
    Miss(Miss),
}

/// Why a question goes upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Miss {
    /// For `cache-status`.
    pub why: Forward,
    /// For `llm_cache_skip_total`: there was an answer, but it could not be served, or shared data
    /// failed.
    pub skip: Option<Skip>,
}

/// How a request that missed goes on.
#[derive(Debug, PartialEq, Eq)]
pub enum Joined {
    /// Call upstream, and [`Cache::land`] the lease whatever comes of it.
    Lead(Lease),
    /// The answer has come meanwhile.
    Hit(Hit),
    /// Wait, and [`Cache::look`] at every tick.
    Follow(Follower),
    /// Call upstream; nobody waits for it.
    Alone,
}

/// A request that waits for the answer to an identical one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Follower {
    until: Timestamp,
}

/// What a follower sees.
#[derive(Debug)]
pub enum Look {
    Wait,
    /// Served by the answer that it waited for.
    Hit(Hit),
    /// The leader failed or was aborted: this request leads now.
    Lead(Lease),
    /// The wait is over, or there will be no answer to share: call upstream.
    Alone,
}

impl Cache {
    /// `wait` is the longest that a request waits for an identical one; zero switches that off.
    pub fn new(policy: Policy, models: Allow, max_entries: NonZeroU32, wait: Duration) -> Self {
        let table = Table::new(max_entries, policy.max_entry_bytes);
        let flights = Flights::new(FLIGHTS, LEASE);
        Self { policy, models, table, recent: Recent::new(), flights, wait }
    }

    /// Whether the cache has a part in a request at all. `asked` is the model's name in it.
    pub fn admits(
        &self,
        operation: Operation,
        asked: &str,
        directives: &Directives,
    ) -> Result<(), Skip> {
        self.policy.admits(operation, directives)?;
        if self.models.allows(asked) { Ok(()) } else { Err(Skip::Model) }
    }

    /// What an admitted request asks, or why it has no key. `body` is the request as the client
    /// sent it.
    pub fn question(
        &self,
        subject: &Subject<'_>,
        body: &[u8],
        wants: Wants,
        directives: &Directives,
    ) -> Result<Question, Skip> {
        let key = Key::of(subject, body)?;
        let max_age = self.policy.max_age(directives);
        Ok(Question { key, operation: subject.operation, wants, places: None, max_age })
    }

    /// The stored answer, in the form that the question wants.
    pub fn lookup(&self, store: &impl SharedStore, question: &Question, now: Timestamp) -> Lookup {
        let Some(max_age) = question.max_age else {
            return Lookup::Miss(Miss { why: Forward::Request, skip: None });
        };
        let (key, form) = (&question.key, question.wants.form);
        let found = self.recent.get(&self.table, store, key, form, max_age, now);
        let miss = match found {
            Ok(Found::Answer(record)) => {
                match Hit::new(record, question.operation, question.wants, now) {
                    Ok(hit) if self.policy.mode == Mode::Shadow => return Lookup::Shadow(hit),
                    Ok(hit) => return Lookup::Hit(hit),
                    Err(skip) => Miss { why: Forward::Miss, skip: Some(skip) },
                }
            }
            Ok(Found::Nothing(why)) => Miss { why: why.into(), skip: None },
            Err(_) => Miss { why: Forward::Miss, skip: Some(Skip::Store) },
        };
        Lookup::Miss(miss)
    }

    /// Begins to keep an answer, judged by its head; or why it will not be stored. `length`: of its
    /// body, if the head tells.
    pub fn capture(
        &self,
        question: &Question,
        status: u16,
        content_type: &[u8],
        content_encoding: Option<&[u8]>,
        length: Option<usize>,
    ) -> Result<Capture, Skip> {
        if length.is_some_and(|length| length > self.policy.max_entry_bytes) {
            return Err(Skip::TooLarge);
        }
        let operation = question.operation;
        let capture =
            Capture::new(&self.policy, operation, status, content_type, content_encoding)?;
        // JSON where a stream was asked for, or the other way round, is a provider that is broken.
        if capture.form() == question.wants.form { Ok(capture) } else { Err(Skip::ContentType) }
    }

    /// What is to be stored of an answer that has passed, or why it may not be. `complete`: its
    /// body came to its end; of a stream, the terminal event was seen, and no error.
    pub fn entry<'a>(
        &self,
        question: &'a Question,
        capture: &'a Capture,
        complete: bool,
        tokens: Tokens,
        now: Timestamp,
    ) -> Result<Entry<'a>, Skip> {
        let answer = capture.answer(complete)?;
        self.policy.stores(question.operation, &answer, question.places)?;
        let strips = serve::strips(question.operation, answer.form, answer.body)?;
        Ok(Entry {
            key: &question.key,
            form: answer.form,
            strips,
            status: answer.status,
            content_type: answer.content_type,
            tokens,
            created: now,
            ttl: self.policy.ttl,
            body: answer.body,
        })
    }

    /// Stores it in this process; [`webdis::store`] makes the call that gives it to others.
    pub fn store(
        &self,
        store: &impl SharedStore,
        entry: &Entry<'_>,
        now: Timestamp,
    ) -> Result<Stored, Skip> {
        let stored = self.table.put(store, entry, now).map_err(|_| Skip::Store)?;
        stored.skipped().map_or(Ok(stored), Err)
    }

    /// Asks the second level for what this one does not have; `None` if no answer would do.
    pub fn fetch(&self, question: &Question) -> Option<webdis::Call> {
        question.max_age.map(|_| webdis::fetch(&question.key))
    }

    /// The most that the second level can say of what was stored.
    pub fn max_fetched_bytes(&self) -> usize {
        self.policy.max_entry_bytes.saturating_add(record::AROUND_A_BODY)
    }

    /// What the second level said. What can be served is stored here too. It is judged like an
    /// answer of a provider: others write there, and other versions of this gateway.
    pub fn fetched(
        &self,
        store: &impl SharedStore,
        question: &Question,
        answer: webdis::Answer,
        now: Timestamp,
    ) -> Result<Lookup, webdis::Fault> {
        if answer.body.len() > self.max_fetched_bytes() {
            return Err(webdis::Fault::TooLarge);
        }
        let record = answer.record(&question.key, now)?;
        let entry = record.entry(now).ok_or(webdis::Fault::Expired)?;
        let answer = Answer {
            status: entry.status,
            form: entry.form,
            content_type: entry.content_type,
            content_encoding: None,
            complete: true,
            body: entry.body,
        };
        let operation = question.operation;
        let strips = self
            .policy
            .stores(operation, &answer, question.places)
            .and_then(|()| serve::strips(operation, entry.form, entry.body));
        let strips = strips.map_err(|_| webdis::Fault::Corrupt)?;
        // A copy that could not be stored is fetched again.
        let _ = self.table.put(store, &Entry { strips, ..entry }, now);
        Ok(self.lookup(store, question, now))
    }

    /// What a request that missed does next.
    pub fn join(
        &self,
        host: &(impl SharedStore + Random),
        question: &Question,
        now: Timestamp,
    ) -> Joined {
        // Who wants an answer younger than the wait may be would wait in vain.
        let served = question.max_age.is_some_and(|max_age| max_age >= SECOND);
        if self.wait.is_zero() || !self.serves() || !served {
            return Joined::Alone;
        }
        let mut owner = [0; 8];
        if host.fill(&mut owner).is_err() {
            return Joined::Alone;
        }
        match self.flights.join(host, &question.key, u64::from_le_bytes(owner), now) {
            // Between the look that missed and the lease another may have landed.
            Ok(Role::Lead(lease)) => match self.lookup(host, question, now) {
                Lookup::Hit(hit) => {
                    self.land(host, lease, true, now);
                    Joined::Hit(hit)
                }
                Lookup::Shadow(_) | Lookup::Miss(_) => Joined::Lead(lease),
            },
            Ok(Role::Follow) => {
                let wait = u64::try_from(self.wait.as_nanos()).unwrap_or(u64::MAX);
                Joined::Follow(Follower { until: Timestamp(now.0.saturating_add(wait)) })
            }
            Ok(Role::Alone) | Err(_) => Joined::Alone,
        }
    }

    /// How a follower stands; to be asked at every tick.
    pub fn look(
        &self,
        host: &(impl SharedStore + Random),
        question: &Question,
        follower: Follower,
        now: Timestamp,
    ) -> Look {
        match self.flights.watch(host, &question.key, now) {
            Ok(Sight::Running) if now < follower.until => Look::Wait,
            Ok(Sight::Over) => match self.lookup(host, question, now) {
                Lookup::Hit(hit) => Look::Hit(hit),
                Lookup::Shadow(_) => Look::Alone,
                Lookup::Miss(_) => match self.join(host, question, now) {
                    Joined::Lead(lease) => Look::Lead(lease),
                    Joined::Hit(hit) => Look::Hit(hit),
                    Joined::Follow(_) if now < follower.until => Look::Wait,
                    Joined::Follow(_) | Joined::Alone => Look::Alone,
                },
            },
            Ok(Sight::Running | Sight::NotStored) | Err(_) => Look::Alone,
        }
    }

    /// The leader's answer has passed; `stored`: it is in the cache. If it is not, no other answer
    /// to this question would be either.
    pub fn land(&self, store: &impl SharedStore, lease: Lease, stored: bool, now: Timestamp) {
        let outcome = if stored { Outcome::Stored } else { Outcome::NotStored };
        // A lease that cannot be ended ends by itself.
        let _ = self.flights.finish(store, lease, outcome, now);
    }

    /// There will be no answer from this leader: it failed, or its client left. Another may succeed.
    pub fn abandon(&self, store: &impl SharedStore, lease: Lease) {
        let _ = self.flights.abandon(store, lease);
    }

    /// Frees what expired, at every tick of every worker. What the table holds, whenever this worker
    /// has gone through all of it.
    pub fn sweep(
        &self,
        store: &impl SharedStore,
        sweeper: Sweeper,
        now: Timestamp,
    ) -> Option<Held> {
        match self.table.sweep(store, sweeper, SWEEP, now) {
            Ok(Sweep::Done(held)) => Some(held),
            Ok(Sweep::Elsewhere | Sweep::Going) | Err(_) => None,
        }
    }

    /// Whether anything is ever served.
    pub fn serves(&self) -> bool {
        self.policy.mode == Mode::On
    }

    /// The most that the entries can take of shared data, in bytes.
    pub fn max_bytes(&self) -> u64 {
        self.table.max_bytes()
    }
}

impl Question {
    pub fn key(&self) -> &Key {
        &self.key
    }

    pub fn operation(&self) -> Operation {
        self.operation
    }

    pub fn wants(&self) -> Wants {
        self.wants
    }

    /// Notes what an answer to this request must have, before one is asked for: a hit needs none of
    /// it.
    pub fn expect(&mut self, body: &[u8]) {
        self.places = promise::places(self.operation, body);
    }
}

/// Places for leases: more than there are requests in flight in most processes, at some 50 bytes.
const FLIGHTS: NonZeroU32 = NonZeroU32::MIN.saturating_add(4095);
/// The longest that anyone waits for a leader that vanished.
const LEASE: Duration = Duration::from_secs(30);
const SECOND: Duration = Duration::from_secs(1);
/// Sets that one tick goes through, in half a millisecond: a table of 2048 entries in one tick.
const SWEEP: u32 = 256;

#[cfg(test)]
mod tests;
