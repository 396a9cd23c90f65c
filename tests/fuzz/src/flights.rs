//! Identical requests in flight.

use std::num::NonZeroU32;
use std::time::Duration;

use llm_gateway::cache::flight::{Flights, Lease, Outcome, Role, Sight};
use llm_gateway::cache::key::Key;
use llm_gateway::host::{Expect, SharedStore, Timestamp};

use super::answers::workers;

/// Of each key at most one leads, nobody waits for nobody, and no wait outlasts a lease.
pub(crate) fn flights(data: &[u8]) {
    let Some((&size, steps)) = data.split_first() else { return };
    let places = NonZeroU32::MIN.saturating_add(u32::from(size % 4));
    let flights = Flights::new(places, LEASE);
    let workers = workers();
    let mut now = Timestamp(1_800_000_000_000_000_000);
    let mut leading: Vec<(Key, Timestamp, Lease)> = Vec::new();
    for (number, step) in steps.chunks_exact(3).take(300).enumerate() {
        let &[what, which, how] = step else { return };
        let worker = &workers[usize::from(what >> 6) % workers.len()];
        let key = Key::from_bytes([which % 6; 32]);
        let leads = |leading: &[(Key, Timestamp, Lease)]| {
            leading.iter().any(|(led, until, _)| *led == key && until.millis() > now.millis())
        };
        match what % 8 {
            0..=2 => {
                if how & 1 == 1 {
                    worker.collide(u32::from(how % 4));
                }
                match flights.join(worker, &key, number as u64, now) {
                    Ok(Role::Lead(lease)) => {
                        assert!(!leads(&leading), "two lead");
                        let until = Timestamp(now.0 + LEASE.as_nanos() as u64);
                        leading.push((key, until, lease));
                    }
                    Ok(Role::Follow) => assert!(leads(&leading), "nobody leads"),
                    Ok(Role::Alone) | Err(_) => {}
                }
                worker.collide(0);
            }
            3 => match flights.watch(worker, &key, now) {
                Ok(Sight::Running) => assert!(leads(&leading), "nobody runs"),
                Ok(Sight::Over | Sight::NotStored) | Err(_) => {}
            },
            4 | 5 => {
                let Some(at) = leading.iter().position(|(led, ..)| *led == key) else { continue };
                let (_, until, lease) = leading.remove(at);
                let outcome = if how & 1 == 0 { Outcome::Stored } else { Outcome::NotStored };
                let lived = until.millis() > now.millis();
                let ended = match how & 2 {
                    0 => flights.finish(worker, lease, outcome, now),
                    _ => flights.abandon(worker, lease),
                };
                // Whoever waits for a leader that has ended stops waiting.
                if ended.is_ok() && lived {
                    assert_ne!(flights.watch(worker, &key, now), Ok(Sight::Running));
                }
            }
            6 => now = Timestamp(now.0 + u64::from(how) * 5_000_000),
            // What another version left, or nobody.
            _ => {
                let keys = worker.shared_keys();
                let Some(name) = keys.get(usize::from(which) % keys.len().max(1)) else { continue };
                let rest = &steps[number * 3..];
                let _ =
                    worker.save(name, &rest[..rest.len().min(usize::from(how))], Expect::Anything);
                // What looks like another's lease is believed until its time is over.
                let _ = (flights.watch(worker, &key, now), flights.join(worker, &key, 1, now));
                return;
            }
        }
        assert!(workers[0].shared_keys().len() <= places.get() as usize);
    }
    // Whoever vanished is forgotten when its time is over.
    let later = Timestamp(now.0 + LEASE.as_nanos() as u64 + 1_000_000_000);
    for which in 0..6 {
        let key = Key::from_bytes([which; 32]);
        assert_eq!(flights.watch(&workers[0], &key, later), Ok(Sight::Over));
    }
}

const LEASE: Duration = Duration::from_secs(2);
