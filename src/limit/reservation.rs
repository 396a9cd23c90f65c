//! Taking from several rules, all or nothing, and settling what was taken.
//!
//! A [`Ticket`] and a [`Reservation`] own what they took. Both end by value, exactly once; dropping
//! them would leave the estimate charged, because giving back needs the host.

use std::cmp::Reverse;

use super::gcra::{Never, NotNow, Quota, Standing};
use super::refusal::{Cause, Refused};
use super::rules::{Mode, Rule, Subject, Unit};
use super::table::{self, Change, Eviction};
use super::{Limiter, OnContention};
use crate::host::{SharedStore, Timestamp};
use crate::store::{Address, Lost};

/// What a request spends: an estimate before, the truth after.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spend {
    pub tokens: u64,
    pub cost_microusd: u64,
}

/// For metrics: what happened besides the result.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// Positions in [`Limiter::rules`] of the rule that refused, and of shadow rules that would have.
    pub refused: Vec<usize>,
    /// Other keys whose debt was forgotten.
    pub evictions: u32,
    /// Debts that could not be written.
    pub lost: u32,
}

/// The most constrained enforced rule of each unit that callers are told about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standings {
    pub requests: Option<Standing>,
    pub tokens: Option<Standing>,
}

impl Standings {
    fn see(&mut self, unit: Unit, standing: Standing) {
        let seen = match unit {
            Unit::Requests => &mut self.requests,
            Unit::Tokens => &mut self.tokens,
            Unit::Cost => return,
        };
        let constraint = |s: &Standing| (s.remaining, Reverse(s.reset));
        if seen.is_none_or(|seen| constraint(&standing) < constraint(&seen)) {
            *seen = Some(standing);
        }
    }
}

/// A request that was counted.
#[derive(Debug)]
#[must_use = "reserve, spend or give back"]
pub struct Ticket {
    taken: Taken,
}

/// A request whose estimate was taken.
#[derive(Debug)]
#[must_use = "settle or release"]
pub struct Reservation {
    taken: Taken,
}

impl Limiter {
    /// Counts one request against every rule that limits requests.
    pub fn admit_request(
        &self,
        store: &impl SharedStore,
        subject: &Subject<'_>,
        now: Timestamp,
    ) -> Result<Ticket, Box<Refused>> {
        let mut taken = Taken::default();
        taken.take(self, store, subject, Ask::Request, now)?;
        Ok(Ticket { taken })
    }
}

impl Ticket {
    pub fn notes(&self) -> &Notes {
        &self.taken.notes
    }

    pub fn standings(&self) -> Standings {
        self.taken.standings()
    }

    /// Takes the estimate from every rule that limits tokens or money; if one of them refuses, the
    /// request itself is given back too.
    pub fn reserve(
        mut self,
        limiter: &Limiter,
        store: &impl SharedStore,
        subject: &Subject<'_>,
        estimate: Spend,
        now: Timestamp,
    ) -> Result<Reservation, Box<Refused>> {
        self.taken.notes = Notes::default();
        self.taken.take(limiter, store, subject, Ask::Spend(estimate), now)?;
        Ok(Reservation { taken: self.taken })
    }

    /// The request was answered without a provider, by the cache or by a refusal of another kind.
    pub fn spend(self) {}

    /// The request shall not count.
    pub fn give_back(mut self, store: &impl SharedStore, now: Timestamp) -> Notes {
        self.taken.notes = Notes::default();
        self.taken.give_back(store, now);
        self.taken.notes
    }
}

impl Reservation {
    pub fn notes(&self) -> &Notes {
        &self.taken.notes
    }

    pub fn standings(&self) -> Standings {
        self.taken.standings()
    }

    /// Charges what was used instead of the estimate. The request stays counted.
    pub fn settle(self, store: &impl SharedStore, used: Spend, now: Timestamp) -> Notes {
        let mut notes = Notes::default();
        for mut hold in self.taken.holds {
            if let Some(units) = Ask::Spend(used).units(hold.unit) {
                hold.settle(store, units, now, &mut notes);
            }
        }
        notes
    }

    /// Returns the whole estimate: nothing was used. The request stays counted.
    pub fn release(self, store: &impl SharedStore, now: Timestamp) -> Notes {
        self.settle(store, Spend::default(), now)
    }
}

#[derive(Clone, Copy)]
enum Ask {
    Request,
    Spend(Spend),
}

impl Ask {
    fn units(self, unit: Unit) -> Option<u64> {
        match (self, unit) {
            (Self::Request, Unit::Requests) => Some(1),
            (Self::Spend(spend), Unit::Tokens) => Some(spend.tokens),
            (Self::Spend(spend), Unit::Cost) => Some(spend.cost_microusd),
            _ => None,
        }
    }
}

/// What a request took so far. A hold of nothing is there for its standing.
#[derive(Debug, Default)]
struct Taken {
    holds: Vec<Hold>,
    notes: Notes,
}

impl Taken {
    /// Takes from the rules in order. From the first refusal on the rest is only looked at, to find
    /// the rule that makes the caller wait longest, and what was taken goes back.
    fn take(
        &mut self,
        limiter: &Limiter,
        store: &impl SharedStore,
        subject: &Subject<'_>,
        ask: Ask,
        now: Timestamp,
    ) -> Result<(), Box<Refused>> {
        let mut binding: Option<Box<Refused>> = None;
        for (index, rule) in limiter.rules.iter().enumerate() {
            let Some(units) = ask.units(rule.unit).filter(|_| rule.applies(subject)) else {
                continue;
            };
            let mut hold = Hold::of_nothing(rule, rule.address(&limiter.slots, subject));
            let units_to_take = if binding.is_none() { units } else { 0 };
            match hold.attempt(store, units, units_to_take, now, &mut self.notes) {
                Ok(()) => self.holds.push(hold),
                Err(Cause::Unavailable) if rule.mode == Mode::Shadow => {}
                Err(Cause::Unavailable) if limiter.on_contention == OnContention::Allow => {}
                Err(_) if rule.mode == Mode::Shadow => self.notes.refused.push(index),
                Err(cause) => {
                    if binding.as_ref().is_none_or(|b| b.cause < cause) {
                        let refused = Refused::new(index, rule, units, cause, hold.standing);
                        binding = Some(Box::new(refused));
                    }
                    self.holds.push(hold);
                }
            }
        }
        let Some(mut refused) = binding else { return Ok(()) };
        self.give_back(store, now);
        refused.standings = self.standings();
        refused.notes = std::mem::take(&mut self.notes);
        refused.notes.refused.push(refused.rule);
        Err(refused)
    }

    fn give_back(&mut self, store: &impl SharedStore, now: Timestamp) {
        for hold in &mut self.holds {
            hold.settle(store, 0, now, &mut self.notes);
        }
    }

    fn standings(&self) -> Standings {
        let mut standings = Standings::default();
        for hold in self.holds.iter().filter(|hold| hold.mode == Mode::Enforce) {
            if let Some(standing) = hold.standing {
                standings.see(hold.unit, standing);
            }
        }
        standings
    }
}

/// What was taken from one key of one rule. It needs no rule to be settled, so a reload in between
/// changes nothing.
#[derive(Debug)]
struct Hold {
    address: Address,
    quota: Quota,
    unit: Unit,
    mode: Mode,
    units: u64,
    standing: Option<Standing>,
}

impl Hold {
    fn of_nothing(rule: &Rule, address: Address) -> Self {
        let &Rule { quota, unit, mode, .. } = rule;
        Self { address, quota, unit, mode, units: 0, standing: None }
    }

    /// Whether `wanted` units are there, and takes `taken` of them if so.
    fn attempt(
        &mut self,
        store: &impl SharedStore,
        wanted: u64,
        taken: u64,
        now: Timestamp,
        notes: &mut Notes,
    ) -> Result<(), Cause> {
        let quota = self.quota;
        let decide = |debt| {
            let cost = quota.cost(wanted).map_err(|Never| Cause::Never);
            let next = cost.and_then(|cost| {
                quota.take(debt, cost, now).map_err(|NotNow { wait }| Cause::NotNow { wait })
            });
            match next {
                Ok(next) if taken > 0 => {
                    Change::Owe((Ok(taken), quota.standing(next, now)), quota, next)
                }
                other => Change::Keep((other.map(|_| 0), quota.standing(debt, now))),
            }
        };
        let (verdict, standing) = notes
            .keep(table::update(store, self.address, now, decide))
            .ok_or(Cause::Unavailable)?;
        self.standing = Some(standing);
        self.units = verdict?;
        Ok(())
    }

    /// Replaces what is held by what was used.
    fn settle(&mut self, store: &impl SharedStore, used: u64, now: Timestamp, notes: &mut Notes) {
        let (quota, held) = (self.quota, std::mem::take(&mut self.units));
        if used == held {
            return;
        }
        let settled = table::update(store, self.address, now, |debt| {
            let next = quota.settle(debt, held, used, now);
            let standing = quota.standing(next, now);
            if next == debt {
                return Change::Keep(standing);
            }
            Change::Owe(standing, quota, next)
        });
        self.standing = notes.keep(settled).or(self.standing);
    }
}

impl Notes {
    fn keep<T>(&mut self, result: Result<(T, Eviction), Lost>) -> Option<T> {
        match result {
            Ok((value, eviction)) => {
                self.evictions += u32::from(eviction == Eviction::Evicted);
                Some(value)
            }
            Err(_) => {
                self.lost += 1;
                None
            }
        }
    }
}
