//! The bound on memory.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use harness::envoy::Envoy;
use serde_json::json;

use super::cached;
use crate::support::{CHAT, chat};

/// What Envoy's allocator has given out, and what the process has of the machine.
#[derive(Clone, Copy, Debug)]
struct Memory {
    allocated: u64,
    resident: u64,
}

impl Memory {
    fn of(envoy: &Envoy) -> Self {
        let memory = envoy.admin().get("/memory").unwrap().json().unwrap();
        let allocated = memory["allocated"].as_str().unwrap().parse().unwrap();
        Self { allocated, resident: envoy.usage().unwrap().resident_bytes }
    }
}

#[test]
fn ten_times_the_capacity_stays_within_the_bound() {
    const ENTRIES: u32 = 128;
    const ENTRY_BYTES: u64 = 64 << 10;
    let cache = json!({"ttl": "1h", "max_entries": ENTRIES, "max_entry_bytes": "64KiB"});
    let gateway = cached(cache);
    // As the README tells.
    let bound = u64::from(ENTRIES) * (ENTRY_BYTES + 238);
    let answers = |begin: u32, end: u32, controls: &str| {
        let next = AtomicU32::new(begin);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    loop {
                        let n = next.fetch_add(1, Ordering::Relaxed);
                        if n >= end {
                            break;
                        }
                        let answer = gateway.told(controls, CHAT, &chat(&format!("number {n}")));
                        let status = answer.header("cache-status").unwrap();
                        assert_eq!(status, "llm-gateway; fwd=miss; stored", "{n}");
                    }
                });
            }
        });
    };
    // Whatever else grows with use has grown before the first figure is taken: those are too small
    // to fill anything.
    answers(0, 200, "size=1");
    let before = Memory::of(&gateway.envoy);
    let large = format!("size={}", ENTRY_BYTES - 1024);
    answers(1000, 1000 + 10 * ENTRIES, &large);
    let after = Memory::of(&gateway.envoy);
    let (entries, bytes) = gateway.wait_for_entries(u64::from(ENTRIES));
    let grown = after.allocated.saturating_sub(before.allocated);
    let resident = after.resident.saturating_sub(before.resident);
    println!(
        "{} answers of {} KiB into {ENTRIES} places: {entries} entries of {bytes} bytes; Envoy has \
         {grown} bytes more allocated and {resident} more resident, the bound is {bound}",
        10 * ENTRIES,
        ENTRY_BYTES >> 10,
    );
    assert!(bytes <= bound && bytes > bound * 9 / 10, "{bytes} of {bound}");
    // Two megabytes for what has nothing to do with the cache: connections, buffers, stats.
    assert!(grown < bound + (2 << 20), "{grown}, bound {bound}");
    // The rest of that are the buffers that V8 and the allocator keep for the next answer.
    assert!(resident < 3 * bound, "{resident}, bound {bound}");
    gateway.assert_unharmed();
}
