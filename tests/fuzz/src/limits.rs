//! What limits hold: to the unit what was taken and used, and within bounds whatever is stored where
//! they keep it.

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroU32;
use std::time::Duration;

use llm_gateway::host::fake::Fake;
use llm_gateway::host::{Expect, SharedStore as _, Timestamp};
use llm_gateway::limit::{
    Amount, KeyPart, Limiter, Mode, OnContention, Reservation, Rules, Spec, Spend, Subject,
};
use llm_gateway::routing::{Allow, Spelled};

/// Any order of takes, settlements and pauses, over callers who share a few slots. Four bytes each.
pub(crate) fn limiter(data: &[u8]) {
    let host = Fake::new();
    let limiter = Limiter::open(&host, rules(), SLOTS, OnContention::Deny).expect("a limiter");
    let mut run = Run {
        host,
        limiter,
        now: START,
        debts: BTreeMap::new(),
        held: VecDeque::new(),
        is_exact: true,
    };
    let mut rest = data;
    while let Some((&[kind, caller, amount, more], tail)) = rest.split_first_chunk() {
        rest = tail;
        let caller = CALLERS[usize::from(caller) % CALLERS.len()];
        match kind % 8 {
            0..=2 => run.take(caller, u64::from(amount)),
            3 => run.settle(u64::from(amount)),
            // What a provider says that it used may be anything.
            4 => run.settle(u64::from(amount) << (more % 64)),
            5 => run.now = Timestamp(run.now.0 + (u64::from(amount) << (more % 40))),
            6 => {
                // The clock is set back.
                run.now = Timestamp(run.now.0.saturating_sub(u64::from(amount) << (more % 50)));
                run.is_exact = false;
            }
            _ => rest = run.spoil(rest, usize::from(amount), usize::from(more)),
        }
        run.check();
    }
}

struct Run {
    host: Fake,
    limiter: Limiter,
    now: Timestamp,
    /// What each caller owes in parts, and since when: the definition, without slots and bytes.
    debts: BTreeMap<&'static str, (u128, Timestamp)>,
    held: VecDeque<(&'static str, u64, Reservation)>,
    /// Nothing has happened that the definition does not know.
    is_exact: bool,
}

impl Run {
    fn take(&mut self, caller: &'static str, units: u64) {
        let subject = subject(caller);
        let ticket = self.limiter.admit_request(&self.host, &subject, self.now);
        let Ok(ticket) = ticket else { panic!("requests are not limited") };
        let estimate = Spend { tokens: units, cost_microusd: 0 };
        let taken = ticket.reserve(&self.limiter, &self.host, &subject, estimate, self.now);
        let debt = self.owed(caller);
        let fits = units == 0 || debt + parts(units) <= parts(BURST);
        if self.is_exact {
            assert_eq!(taken.is_ok(), fits, "{units} on top of {debt}");
        }
        if let Ok(reservation) = taken {
            self.debts.insert(caller, (debt + parts(units), self.now));
            self.held.push_back((caller, units, reservation));
        }
    }

    fn settle(&mut self, used: u64) {
        let Some((caller, units, reservation)) = self.held.pop_front() else { return };
        let debt = self.owed(caller) + parts(used.min(MAX_UNITS));
        let debt = debt.saturating_sub(parts(units)).min(parts(BURST + 16 * LIMIT));
        self.debts.insert(caller, (debt, self.now));
        let spent = Spend { tokens: used, cost_microusd: u64::MAX };
        drop(reservation.settle(&self.host, spent, self.now));
    }

    /// Something else is stored in a place of the limiter's.
    fn spoil<'d>(&mut self, rest: &'d [u8], which: usize, length: usize) -> &'d [u8] {
        let keys = self.host.shared_keys();
        let slots: Vec<_> = keys.iter().filter(|key| key.starts_with(b"llm-limit")).collect();
        let (value, rest) = rest.split_at(length.min(rest.len()));
        if let Some(key) = slots.get(which % slots.len().max(1)) {
            // Behind the version that the limiter knows, so that it is read.
            let value = [&b"limits-1"[..], value].concat();
            self.host.save(key, &value, Expect::Anything).expect("a value");
            self.is_exact = false;
        }
        rest
    }

    /// What the limiter says of every caller.
    fn check(&self) {
        for caller in CALLERS {
            let subject = subject(caller);
            let Ok(ticket) = self.limiter.admit_request(&self.host, &subject, self.now) else {
                panic!("requests are not limited")
            };
            let nothing = Spend::default();
            let looked = ticket.reserve(&self.limiter, &self.host, &subject, nothing, self.now);
            let Ok(looked) = looked else { panic!("nothing is always there") };
            let standing = looked.standings().tokens.expect("a limit of tokens");
            assert!(standing.used <= BURST + 16 * LIMIT, "{standing:?}");
            assert_eq!(standing.remaining, BURST.saturating_sub(standing.used));
            // A clock that was set back may count a little of the past twice.
            assert!(standing.reset <= 32 * WINDOW.as_nanos() as u64, "{standing:?}");
            if self.is_exact {
                let used = self.owed(caller).div_ceil(WINDOW.as_nanos());
                assert_eq!(u128::from(standing.used), used, "{caller}");
            }
            drop(looked.release(&self.host, self.now));
        }
        assert!(self.host.shared_bytes() < SLOTS.get() as usize * 600, "more than the slots hold");
    }

    fn owed(&self, caller: &str) -> u128 {
        let Some((debt, at)) = self.debts.get(caller) else { return 0 };
        let paid = u128::from(self.now.0.saturating_sub(at.0)) * u128::from(LIMIT);
        debt.saturating_sub(paid)
    }
}

fn rules() -> Rules {
    let spec = Spec {
        name: "words".into(),
        key: vec![KeyPart::Consumer],
        requests: None,
        tokens: Some(Amount { limit: LIMIT, burst: Some(BURST) }),
        cost_microusd: None,
        window: WINDOW,
        models: Allow::Everything,
        consumers: Vec::new(),
        mode: Mode::Enforce,
    };
    Rules::new(&[spec]).expect("rules")
}

fn subject(caller: &'static str) -> Subject<'static> {
    static NAMES: Spelled = Spelled::none();
    Subject { consumer: Some(caller), client_ip: None, model: "m", provider: "p", names: &NAMES }
}

fn parts(units: u64) -> u128 {
    u128::from(units) * WINDOW.as_nanos()
}

const CALLERS: [&str; 5] = ["a", "b", "c", "d", "e"];
const SLOTS: NonZeroU32 = NonZeroU32::new(2).unwrap();
const START: Timestamp = Timestamp(1_800_000_000_000_000_000);
const WINDOW: Duration = Duration::from_secs(60);
const LIMIT: u64 = 100;
const BURST: u64 = 150;
const MAX_UNITS: u64 = 1 << 53;
