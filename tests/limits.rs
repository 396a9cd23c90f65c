//! The limiter over all workers of a process, natively: exact under contention, bounded by its
//! slots, fair to who keeps its limit.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use llm_gateway::host::Timestamp;
use llm_gateway::host::fake::Fake;
use llm_gateway::limit::{
    Amount, DEFAULT_SLOTS, KeyPart, Limiter, Mode, OnContention, Rules, Spec, Subject,
};
use llm_gateway::routing::{Allow, Spelled};

const NOW: Timestamp = Timestamp(1_800_000_000_000_000_000);

fn limiter(host: &Fake, key: &[KeyPart], requests: u64, slots: NonZeroU32) -> Limiter {
    let spec = Spec {
        name: "all".into(),
        key: key.to_vec(),
        requests: Some(Amount { limit: requests, burst: None }),
        tokens: None,
        cost_microusd: None,
        window: Duration::from_secs(60),
        models: Allow::Everything,
        consumers: Vec::new(),
        mode: Mode::Enforce,
    };
    Limiter::open(host, Rules::new(&[spec]).unwrap(), slots, OnContention::Deny).unwrap()
}

fn subject(client: u32) -> Subject<'static> {
    let client_ip = Some(IpAddr::V4(Ipv4Addr::from_bits(client)));
    static NAMES: Spelled = Spelled::none();
    Subject { consumer: None, client_ip, model: "m", provider: "p", names: &NAMES }
}

/// Whether a request passes; a place that is contended for is asked again, as a caller would.
fn passes(limiter: &Limiter, host: &Fake, client: u32, now: Timestamp) -> bool {
    loop {
        match limiter.admit_request(host, &subject(client), now) {
            Ok(ticket) => {
                ticket.spend();
                return true;
            }
            Err(refused) if refused.notes.lost > 0 => {}
            Err(_) => return false,
        }
    }
}

/// How many of `WORKERS` times `EACH` requests pass when all workers ask at once.
fn admitted(worker: impl Fn(&Fake) -> u64 + Sync) -> u64 {
    let host = Fake::new();
    let barrier = Barrier::new(WORKERS);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..WORKERS)
            .map(|_| {
                let fake = host.worker();
                let (barrier, worker) = (&barrier, &worker);
                scope.spawn(move || {
                    barrier.wait();
                    worker(&fake)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    })
}

const WORKERS: usize = 4;
const EACH: u64 = 5000;
const LIMIT: u64 = 500;

#[test]
fn workers_that_ask_at_once_admit_exactly_the_limit() {
    let passed = admitted(|host| {
        let limiter = limiter(host, &[], LIMIT, DEFAULT_SLOTS);
        (0..EACH).filter(|_| passes(&limiter, host, 1, NOW)).count() as u64
    });
    assert_eq!(passed, LIMIT);
}

/// What the test above would see of two limiters that are often built.
#[test]
fn a_limiter_per_worker_and_one_that_reads_before_it_writes_would_be_seen() {
    let per_worker = admitted(|_| {
        let own = Fake::new();
        let limiter = limiter(&own, &[], LIMIT, DEFAULT_SLOTS);
        (0..EACH).filter(|_| passes(&limiter, &own, 1, NOW)).count() as u64
    });
    assert_eq!(per_worker, WORKERS as u64 * LIMIT);

    let (count, together) = (AtomicU64::new(0), Barrier::new(WORKERS));
    let read_then_write = admitted(|_| {
        let mut passed = 0;
        for _ in 0..EACH {
            let read = count.load(Ordering::SeqCst);
            together.wait();
            if read < LIMIT {
                passed += 1;
                count.store(read + 1, Ordering::SeqCst);
            }
            together.wait();
        }
        passed
    });
    assert!(read_then_write > LIMIT, "{read_then_write}");
}

#[test]
fn a_million_keys_take_no_more_than_the_slots() {
    let slots = NonZeroU32::new(4096).unwrap();
    let host = Fake::new();
    let limiter = limiter(&host, &[KeyPart::ClientIp], 10, slots);
    let others = host.shared_keys().len();
    for client in 0..1_000_000 {
        assert!(passes(&limiter, &host, client, NOW) || client > 0);
    }
    assert!(host.shared_keys().len() - others <= 4096);
    assert!(host.shared_bytes() < 4096 * 512, "{} bytes", host.shared_bytes());
}

/// One caller that keeps its limit, among as many active ones as the documentation names: the debt
/// it has must not be forgotten, or it could exceed its limit, and it must not be refused.
#[test]
fn a_caller_among_a_hundred_thousand_keeps_its_limit() {
    const ACTIVE: u32 = 100_000;
    const SAMPLES: u32 = 1000;
    let host = Fake::new();
    let limiter = limiter(&host, &[KeyPart::ClientIp], 10, DEFAULT_SLOTS);
    // Everybody has used half of the limit.
    for round in 0..5 {
        for client in 0..ACTIVE {
            let passed = passes(&limiter, &host, client, NOW);
            assert!(passed, "client {client} is refused in round {round}");
        }
    }
    // Who then uses the other half and more gets just that half.
    let kept = (0..SAMPLES)
        .map(|n| n * (ACTIVE / SAMPLES))
        .filter(|client| (0..20).filter(|_| passes(&limiter, &host, *client, NOW)).count() == 5);
    let kept = kept.count();
    assert!(kept * 100 >= SAMPLES as usize * 99, "{kept} of {SAMPLES}");
}
