//! The generic cell rate algorithm in integers that neither drift nor overflow.
//!
//! The state of a key is its debt: what it took and time has not paid back yet. Debt is counted in
//! *parts*: a unit (a request, a token, a micro-dollar) is as many parts as the window has
//! nanoseconds, and each nanosecond pays back as many parts as the limit has units. Both are whole
//! numbers, so nothing is ever rounded but what is shown. The usual form of the algorithm, a
//! theoretical arrival time, would need fractions of a nanosecond for most limits, and its meaning
//! would change with the limit; a debt says what was used, whatever the limit is now.
//!
//! A take passes if the debt stays within the burst. Equivalently, and this is what the tests
//! compare with: no interval of time holds more than the burst and what the interval pays back.
//!
//! Debt that [`Quota::settle`] adds may exceed the burst (an answer was longer than estimated); later
//! takes wait until it is paid. It never exceeds the burst by more than [`MAX_WINDOWS`] limits: what
//! is above that is charged as so much, so that nobody is locked out for longer than as many
//! windows, whatever a provider says. Debt that it returns never goes below nothing. So from an empty
//! state on, whatever is reserved, used and returned, all use is at most the burst and what time
//! paid back, and what is above it was under-estimated.
//!
//! Bounds: limit, burst and costs are at most 2^53 units, a window less than 2^52 ns. Hence a burst
//! or a cost is below 2^105 parts, a debt below 2^110, a payment below 2^117: sums stay far inside
//! 128 bits. A burst is at most 1024 limits, so a debt is paid back within 1040 windows: waits stay
//! inside 64 bits.

use std::time::Duration;

use crate::host::Timestamp;

/// So many units per window, and how many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    limit: u64,
    window: u64,
    burst: u64,
}

/// Why a [`Quota`] cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuotaError {
    #[error("a limit is 1 to 2^53")]
    Limit,
    #[error("a window is 1s to 31d")]
    Window,
    #[error("a burst is 1 to 1024 times the limit, at most 2^53")]
    Burst,
}

/// What a key owes, as of a time. The default owes nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Debt {
    pub(super) parts: u128,
    pub(super) at: Timestamp,
}

/// A cost that an idle key could pay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost(u128);

/// The cost is above the burst: no waiting helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Never;

/// The cost is possible, later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotNow {
    /// The take passes after exactly this many nanoseconds, and not one earlier, if nobody else
    /// takes in between.
    pub wait: u64,
}

/// What a key sees of its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    pub limit: u64,
    /// Whole units owed, rounded up.
    pub used: u64,
    /// Whole units that a take could have now.
    pub remaining: u64,
    /// Nanoseconds until nothing is owed.
    pub reset: u64,
}

impl Quota {
    /// `burst` is the limit if not given.
    pub fn new(limit: u64, window: Duration, burst: Option<u64>) -> Result<Self, QuotaError> {
        let burst = burst.unwrap_or(limit);
        if !(1..=MAX_UNITS).contains(&limit) {
            return Err(QuotaError::Limit);
        }
        if !(MIN_WINDOW..=MAX_WINDOW).contains(&window) {
            return Err(QuotaError::Window);
        }
        if !(1..=limit.saturating_mul(MAX_BURST_RATIO).min(MAX_UNITS)).contains(&burst) {
            return Err(QuotaError::Burst);
        }
        let window = u64::try_from(window.as_nanos()).map_err(|_| QuotaError::Window)?;
        Ok(Self { limit, window, burst })
    }

    pub fn window(&self) -> Duration {
        Duration::from_nanos(self.window)
    }

    pub fn cost(&self, units: u64) -> Result<Cost, Never> {
        if units > self.burst {
            return Err(Never);
        }
        Ok(Cost(self.parts(units)))
    }

    /// The debt with `cost` on top. A cost of nothing always passes.
    pub fn take(&self, debt: Debt, cost: Cost, now: Timestamp) -> Result<Debt, NotNow> {
        let Debt { parts, at } = self.pay_back(debt, now);
        let parts = parts + cost.0;
        let excess = parts.saturating_sub(self.parts(self.burst));
        if excess == 0 || cost.0 == 0 {
            return Ok(Debt { parts, at });
        }
        let ready = at.0.saturating_add(self.nanos_to_pay(excess));
        Err(NotNow { wait: ready.saturating_sub(now.0) })
    }

    /// Replaces `reserved` units, taken earlier, by what was used.
    pub fn settle(&self, debt: Debt, reserved: u64, used: u64, now: Timestamp) -> Debt {
        let Debt { parts, at } = self.pay_back(debt, now);
        let parts = (parts + self.parts(used)).saturating_sub(self.parts(reserved));
        Debt { parts: parts.min(self.max_debt()), at }
    }

    pub fn standing(&self, debt: Debt, now: Timestamp) -> Standing {
        let Debt { parts, at } = self.pay_back(debt, now);
        let used = u64::try_from(parts.div_ceil(self.window.into())).unwrap_or(u64::MAX);
        Standing {
            limit: self.limit,
            used,
            remaining: self.burst.saturating_sub(used),
            reset: (at.0 - now.0).saturating_add(self.nanos_to_pay(parts)),
        }
    }

    /// When nothing will be owed any more.
    pub fn drained(&self, debt: Debt) -> Timestamp {
        Timestamp(debt.at.0.saturating_add(self.nanos_to_pay(debt.parts)))
    }

    /// The debt at `now`, or at its own time if that is a little later: workers read the clock
    /// before they get to the state, so a later reading may be stored first. Counting the time
    /// between the two twice would admit too much. A state from far ahead means that the clock was
    /// set back; its debt is then counted from `now`, so that no key waits for the old time.
    fn pay_back(&self, debt: Debt, now: Timestamp) -> Debt {
        let at = if debt.at.0 > now.0.saturating_add(CLOCK_STEP) { now } else { debt.at.max(now) };
        let paid = u128::from(at.0.saturating_sub(debt.at.0)) * u128::from(self.limit);
        Debt { parts: debt.parts.min(self.max_debt()).saturating_sub(paid), at }
    }

    fn parts(&self, units: u64) -> u128 {
        u128::from(units.min(MAX_UNITS)) * u128::from(self.window)
    }

    fn max_debt(&self) -> u128 {
        let units = u128::from(self.burst) + u128::from(self.limit) * u128::from(MAX_WINDOWS);
        units * u128::from(self.window)
    }

    fn nanos_to_pay(&self, parts: u128) -> u64 {
        u64::try_from(parts.div_ceil(self.limit.into())).unwrap_or(u64::MAX)
    }
}

/// The integers that a double holds exactly, as the configuration may come as doubles.
pub const MAX_UNITS: u64 = 1 << 53;
pub const MIN_WINDOW: Duration = Duration::from_secs(1);
pub const MAX_WINDOW: Duration = Duration::from_secs(31 * 24 * 60 * 60);
/// A full burst is paid back within so many windows.
pub const MAX_BURST_RATIO: u64 = 1024;
/// Debt above the burst that would take longer than so many windows to pay back is forgiven: many
/// enough for what a real answer uses beyond its estimate, few enough for one that is wrong.
pub const MAX_WINDOWS: u64 = 16;
const CLOCK_STEP: u64 = 10_000_000_000;

const _: () = assert!(MAX_WINDOW.as_nanos() < 1 << 52);
const _: () = assert!(
    MAX_WINDOW.as_nanos() * ((MAX_BURST_RATIO + MAX_WINDOWS) as u128) < 1 << 62,
    "a wait is nanoseconds in 64 bits, behind a time of day"
);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: Timestamp = Timestamp(1_800_000_000_000_000_000);
    const MINUTE: Duration = Duration::from_secs(60);

    fn after(now: Timestamp, nanos: u64) -> Timestamp {
        Timestamp(now.0 + nanos)
    }

    fn quota(limit: u64, window: Duration) -> Quota {
        Quota::new(limit, window, None).unwrap()
    }

    #[test]
    fn a_burst_passes_at_once_and_then_one_unit_each_share_of_the_window() {
        let quota = quota(3, MINUTE);
        let one = quota.cost(1).unwrap();
        let mut debt = Debt::default();
        for remaining in [2, 1, 0] {
            debt = quota.take(debt, one, START).unwrap();
            assert_eq!(quota.standing(debt, START).remaining, remaining);
        }
        assert_eq!(quota.take(debt, one, START), Err(NotNow { wait: 20_000_000_000 }));
        assert_eq!(
            quota.standing(debt, START),
            Standing { limit: 3, used: 3, remaining: 0, reset: 60_000_000_000 }
        );
        debt = quota.take(debt, one, after(START, 20_000_000_000)).unwrap();
        assert!(quota.take(debt, one, after(START, 39_999_999_999)).is_err());
        assert!(quota.take(debt, one, after(START, 40_000_000_000)).is_ok());
    }

    #[test]
    fn more_than_the_burst_is_never_possible() {
        let quota = Quota::new(10, MINUTE, Some(4)).unwrap();
        assert!(quota.cost(4).is_ok());
        assert_eq!(quota.cost(5), Err(Never));
        assert_eq!(quota.cost(u64::MAX), Err(Never));
    }

    #[test]
    fn nothing_drifts_however_often_the_debt_is_stored() {
        let quota = quota(3, Duration::from_secs(1));
        let one = quota.cost(1).unwrap();
        let (mut debt, mut admitted, mut elapsed) = (Debt::default(), 0, 0);
        for step in 0..100_000 {
            elapsed = step * 142_857_143;
            debt = quota.settle(debt, 0, 0, after(START, elapsed));
            while let Ok(next) = quota.take(debt, one, after(START, elapsed)) {
                debt = next;
                admitted += 1;
            }
        }
        assert_eq!(admitted, 3 + elapsed * 3 / 1_000_000_000);
    }

    #[test]
    fn a_changed_limit_judges_the_same_debt() {
        let (small, large) = (quota(60, MINUTE), quota(600, MINUTE));
        let debt = small.take(Debt::default(), small.cost(60).unwrap(), START).unwrap();
        assert_eq!(large.standing(debt, START).used, 60);
        assert_eq!(large.standing(debt, START).remaining, 540);
        let debt = large.take(Debt::default(), large.cost(600).unwrap(), START).unwrap();
        assert_eq!(small.standing(debt, START).remaining, 0);
        assert_eq!(
            small.take(debt, small.cost(1).unwrap(), START),
            Err(NotNow { wait: 541_000_000_000 })
        );
    }

    #[test]
    fn a_clock_reading_that_is_a_little_older_pays_nothing_back_twice() {
        let quota = quota(10, Duration::from_secs(1));
        let later = after(START, 500_000_000);
        let debt = quota.take(Debt::default(), quota.cost(10).unwrap(), later).unwrap();
        let debt = quota.settle(debt, 0, 0, START);
        assert_eq!(debt.at, later);
        assert_eq!(quota.standing(debt, after(later, 100_000_000)).remaining, 1);
        // The wait counts from the caller's own reading.
        assert_eq!(
            quota.take(debt, quota.cost(1).unwrap(), START),
            Err(NotNow { wait: 600_000_000 })
        );
    }

    #[test]
    fn a_clock_set_back_freezes_no_key() {
        let quota = quota(10, Duration::from_secs(1));
        let debt = quota.take(Debt::default(), quota.cost(10).unwrap(), START).unwrap();
        let day_before = Timestamp(START.0 - 86_400_000_000_000);
        let NotNow { wait } = quota.take(debt, quota.cost(1).unwrap(), day_before).unwrap_err();
        assert_eq!(wait, 100_000_000);
    }

    #[test]
    fn nobody_is_locked_out_for_longer_than_some_windows() {
        let quota = quota(100, MINUTE);
        let one = quota.cost(1).unwrap();
        let debt = quota.settle(Debt::default(), 10, u64::MAX, START);
        assert_eq!(quota.standing(debt, START).used, 100 + 16 * 100);
        let NotNow { wait } = quota.take(debt, one, START).unwrap_err();
        assert!(wait <= 17 * 60_000_000_000, "{wait}");
        // What is within that is charged to the unit.
        let debt = quota.settle(Debt::default(), 10, 1234, START);
        assert_eq!(quota.standing(debt, START).used, 1224);
        // So is a debt that an earlier version let grow for 146 years.
        let old = Debt { parts: u128::from(1u64 << 62) * 100, at: START };
        assert_eq!(quota.standing(old, START).used, 1700);
    }

    #[test]
    fn impossible_quotas_are_refused() {
        let day = Duration::from_secs(86400);
        assert_eq!(Quota::new(0, MINUTE, None), Err(QuotaError::Limit));
        assert_eq!(Quota::new(MAX_UNITS + 1, MINUTE, None), Err(QuotaError::Limit));
        assert_eq!(Quota::new(1, Duration::from_millis(999), None), Err(QuotaError::Window));
        assert_eq!(Quota::new(1, day * 31 + MIN_WINDOW, None), Err(QuotaError::Window));
        assert_eq!(Quota::new(1, MINUTE, Some(0)), Err(QuotaError::Burst));
        assert_eq!(Quota::new(1, MINUTE, Some(1025)), Err(QuotaError::Burst));
        assert!(Quota::new(MAX_UNITS, day * 31, Some(MAX_UNITS)).is_ok());
    }

    fn quotas() -> impl Strategy<Value = Quota> {
        let limits = prop_oneof![1..20u64, 1..1_000_000u64, 1..=MAX_UNITS];
        let windows = prop_oneof![
            (1..=3600u64).prop_map(Duration::from_secs),
            (MIN_WINDOW.as_nanos() as u64..=MAX_WINDOW.as_nanos() as u64)
                .prop_map(Duration::from_nanos),
        ];
        (limits, windows, 1..=4u64, 1..=4u64).prop_map(|(limit, window, times, parts)| {
            let burst = (limit.saturating_mul(times) / parts).clamp(1, MAX_UNITS);
            Quota::new(limit, window, Some(burst)).unwrap()
        })
    }

    /// Takes as shares of the burst, and pauses as shares of the window, in thousandths.
    fn arrivals() -> impl Strategy<Value = Vec<(u64, u64)>> {
        prop::collection::vec((0..=1000u64, prop_oneof![Just(0), 0..=30u64, 0..=2000u64]), 1..40)
    }

    fn share(whole: u64, thousandths: u64) -> u64 {
        (u128::from(whole) * u128::from(thousandths) / 1000) as u64
    }

    proptest! {
        /// The reference knows no state: a take passes if no interval that ends with it holds more
        /// than the burst and what the interval pays back.
        #[test]
        fn decisions_equal_the_definition(quota in quotas(), arrivals in arrivals()) {
            let (mut debt, mut now) = (Debt::default(), START);
            let mut admitted: Vec<(Timestamp, i128)> = Vec::new();
            for (cost, pause) in arrivals {
                now = after(now, share(quota.window, pause));
                let units = share(quota.burst, cost);
                let cost = i128::from(units) * i128::from(quota.window);
                let burst = i128::from(quota.burst) * i128::from(quota.window);
                let mut sum = cost;
                let fits = cost <= burst && admitted.iter().rev().all(|(at, parts)| {
                    sum = sum.checked_add(*parts).unwrap();
                    let paid = i128::from(now.0 - at.0) * i128::from(quota.limit);
                    sum <= burst + paid || units == 0
                });
                let taken = quota.take(debt, quota.cost(units).unwrap(), now);
                prop_assert_eq!(taken.is_ok(), fits);
                if let Ok(next) = taken {
                    debt = next;
                    admitted.push((now, cost));
                }
            }
        }

        #[test]
        fn waiting_as_told_passes_and_a_nanosecond_less_does_not(
            quota in quotas(), arrivals in arrivals(), debts in 0..=5u64, skew in 0..=1_000_000_000u64,
        ) {
            let (mut debt, mut now) = (Debt::default(), after(START, CLOCK_STEP));
            debt = quota.settle(debt, 0, quota.burst.saturating_mul(debts), now);
            for (cost, pause) in arrivals {
                now = after(now, share(quota.window, pause));
                let early = Timestamp(now.0 - skew);
                let cost = quota.cost(share(quota.burst, cost)).unwrap();
                if let Err(NotNow { wait }) = quota.take(debt, cost, early) {
                    prop_assert!(wait > 0);
                    prop_assert_eq!(
                        quota.take(debt, cost, after(early, wait - 1)),
                        Err(NotNow { wait: 1 })
                    );
                    prop_assert!(quota.take(debt, cost, after(early, wait)).is_ok());
                }
                debt = quota.take(debt, cost, now).unwrap_or(debt);
            }
        }

        #[test]
        fn what_is_shown_as_remaining_can_be_taken_and_one_more_cannot(
            quota in quotas(), arrivals in arrivals(),
        ) {
            let (mut debt, mut now) = (Debt::default(), START);
            for (cost, pause) in arrivals {
                now = after(now, share(quota.window, pause));
                debt = quota.take(debt, quota.cost(share(quota.burst, cost)).unwrap(), now)
                    .unwrap_or(debt);
                let Standing { remaining, reset, .. } = quota.standing(debt, now);
                prop_assert!(quota.take(debt, quota.cost(remaining).unwrap(), now).is_ok());
                if let Ok(cost) = quota.cost(remaining + 1) {
                    prop_assert!(quota.take(debt, cost, now).is_err());
                }
                prop_assert_eq!(quota.standing(debt, after(now, reset)).used, 0);
                prop_assert_eq!(quota.drained(debt).0.max(now.0), now.0 + reset);
            }
        }

        #[test]
        fn settling_keeps_the_account(
            quota in quotas(), reserved in 0..=1000u64, used in 0..=3000u64, before in 0..=1000u64,
        ) {
            let [reserved, used, before] = [reserved, used, before].map(|s| share(quota.burst, s));
            let used = used.min(MAX_UNITS);
            let held = quota.settle(Debt::default(), 0, before + reserved, START);
            let exact = quota.settle(Debt::default(), 0, before + used, START);
            prop_assume!(before + reserved.max(used) <= MAX_UNITS);
            prop_assert_eq!(quota.settle(held, reserved, used, START), exact);
        }

        #[test]
        fn no_stored_state_overflows(
            quota in quotas(), parts: u128, at: u64, now: u64, units: u64, used: u64,
        ) {
            let debt = Debt { parts, at: Timestamp(at) };
            let now = Timestamp(now);
            let _ = quota.cost(units).map(|cost| quota.take(debt, cost, now));
            let _ = quota.settle(debt, units, used, now);
            let _ = (quota.standing(debt, now), quota.drained(debt));
        }
    }
}
