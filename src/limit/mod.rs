//! Rate limits in requests, tokens and money, exact over all workers of the process.
//!
//! [`gcra`] is the arithmetic of one key, [`table`] keeps the debts of all keys in a bounded part of
//! shared data, [`rules`] say which requests count against what, [`reservation`] takes from several
//! rules at once and returns what was not used, and [`headers`] and [`refusal`] tell the caller.
//!
//! A request passes in two steps, since what a cache answers costs a request but no tokens:
//! [`Limiter::admit_request`] counts it, [`Ticket::reserve`] takes an estimate of what it will spend,
//! and [`Reservation::settle`] puts what it spent in the place of the estimate.

use std::num::NonZeroU32;

use crate::host::{Random, SharedStore};
use crate::store::{Lost, Slots};

pub mod gcra;
pub mod headers;
mod refusal;
pub mod reservation;
pub mod rules;
mod table;

pub use refusal::{Cause, Refused};
pub use reservation::{Notes, Reservation, Spend, Standings, Ticket};
pub use rules::{Amount, KeyPart, Mode, Rule, Rules, Spec, Subject, Unit};

/// The rules, and where their state is.
#[derive(Clone, Debug)]
pub struct Limiter {
    rules: Rules,
    slots: Slots,
    on_contention: OnContention,
}

/// What becomes of a request whose debt could not be written, since too many others wrote to the
/// same slot or the host refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnContention {
    #[default]
    Deny,
    /// It passes uncounted.
    Allow,
}

impl Limiter {
    /// For configuration time.
    pub fn open(
        host: &(impl SharedStore + Random),
        rules: Rules,
        slots: NonZeroU32,
        on_contention: OnContention,
    ) -> Result<Self, Lost> {
        Ok(Self { rules, slots: Slots::open(host, slots)?, on_contention })
    }

    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }
}

/// Slots if the configuration does not say. The bounds are in [`table`]'s documentation.
pub const DEFAULT_SLOTS: NonZeroU32 = NonZeroU32::new(65536).unwrap();
