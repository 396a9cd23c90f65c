//! What a caller is told who has to wait.

use std::time::Duration;

use super::gcra::Standing;
use super::headers::{GoDuration, millis};
use super::reservation::{Notes, Standings};
use super::rules::{Rule, Unit};
use crate::error::{Error, Kind, Retry};

/// A request that one or more rules refuse, of which none keeps anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Position in [`Limiter::rules`](super::Limiter::rules) of the rule that binds longest.
    pub rule: usize,
    pub unit: Unit,
    pub cause: Cause,
    pub standings: Standings,
    pub notes: Notes,
    window: Duration,
    requested: u64,
    standing: Option<Standing>,
}

/// In the order of how much they bind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// The state could not be written.
    Unavailable,
    /// Enough is there after so many nanoseconds.
    NotNow { wait: u64 },
    /// More than the rule ever allows.
    Never,
}

impl Refused {
    pub(super) fn new(
        index: usize,
        rule: &Rule,
        requested: u64,
        cause: Cause,
        standing: Option<Standing>,
    ) -> Self {
        Self {
            rule: index,
            unit: rule.unit,
            cause,
            standings: Standings::default(),
            notes: Notes::default(),
            window: rule.quota.window(),
            requested,
            standing,
        }
    }

    /// In OpenAI's words, which clients parse. Neither keys of callers nor amounts of money are told.
    pub fn error(&self, model: &str) -> Error {
        match (self.cause, self.unit) {
            (Cause::Unavailable, _) => {
                Error::new(Kind::ServiceUnavailable, "The rate limiter is busy. Please try again.")
                    .retry(Retry::AfterMillis(BUSY_MILLIS))
            }
            (Cause::Never, Unit::Cost) => Error::new(
                Kind::QuotaExceeded,
                format!("This request may cost more than your quota {}.", self.per()),
            )
            .retry(Retry::Never),
            (Cause::Never, _) => Error::new(
                Kind::InvalidRequest,
                format!(
                    "Request too large for {model} on {}: Limit {}, Requested {}. The input or \
                     output tokens must be reduced in order to run successfully.",
                    self.per(),
                    self.limit(),
                    self.requested
                ),
            )
            .code("request_too_large"),
            (Cause::NotNow { wait }, Unit::Cost) => Error::new(
                Kind::QuotaExceeded,
                format!(
                    "You exceeded your current quota {}. Please try again in {}.",
                    self.per(),
                    GoDuration(millis(wait))
                ),
            )
            .retry(Retry::AfterMillis(millis(wait))),
            (Cause::NotNow { wait }, unit) => Error::new(
                if unit == Unit::Requests { Kind::RequestLimit } else { Kind::TokenLimit },
                format!(
                    "Rate limit reached for {model} on {}: Limit {}, Used {}, Requested {}. Please \
                     try again in {}.",
                    self.per(),
                    self.limit(),
                    self.standing.map_or(0, |standing| standing.used),
                    self.requested,
                    GoDuration(millis(wait))
                ),
            )
            .retry(Retry::AfterMillis(millis(wait))),
        }
    }

    fn limit(&self) -> u64 {
        self.standing.map_or(0, |standing| standing.limit)
    }

    /// `tokens per min (TPM)`
    fn per(&self) -> String {
        let (what, initial) = match self.unit {
            Unit::Requests => ("requests", 'R'),
            Unit::Tokens => ("tokens", 'T'),
            Unit::Cost => ("of spending", '$'),
        };
        let (window, letter) = match self.window.as_nanos() / 1_000_000 {
            1_000 => ("sec", 'S'),
            60_000 => ("min", 'M'),
            3_600_000 => ("hour", 'H'),
            86_400_000 => ("day", 'D'),
            millis => {
                return format!("{what} per {}", GoDuration(millis.try_into().unwrap_or(u64::MAX)));
            }
        };
        match self.unit {
            Unit::Cost => format!("{what} per {window}"),
            _ => format!("{what} per {window} ({initial}P{letter})"),
        }
    }
}

const BUSY_MILLIS: u64 = 1000;
