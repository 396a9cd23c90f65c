//! Stored answers: their other form, and the places where they lie.

use std::num::NonZeroU32;
use std::time::Duration;

use llm_gateway::cache::convert::{MAX_BYTES, Obstacle, convert};
use llm_gateway::cache::key::Key;
use llm_gateway::cache::policy::Directives;
use llm_gateway::cache::record::{Entry, Form, Tokens, Ttl};
use llm_gateway::cache::table::{Found, Table};
use llm_gateway::host::fake::Fake;
use llm_gateway::host::{Expect, SharedStore, Timestamp};
use serde_json::Value;

use super::{choose, operation};

/// There and back again, nothing that was said is missing or changed.
pub(crate) fn conversion(data: &[u8]) {
    let Some((operation, data)) = operation(data) else { return };
    let Some((from, body)) = choose(data, &[Form::Json, Form::Stream]) else { return };
    let to_json = |body: &[u8]| convert(operation, Form::Stream, body, true);
    let to_stream = |body: &[u8]| convert(operation, Form::Json, body, true);
    let first = match from {
        Form::Json => body.to_vec(),
        // What JSON cannot say of a stream is refused before it becomes one.
        Form::Stream => match to_json(body) {
            Ok(first) => first,
            Err(_) => return,
        },
    };
    let Ok(stream) = to_stream(&first) else { return };
    assert!(stream.len() <= MAX_BYTES);
    let again = match to_json(&stream) {
        Ok(again) => again,
        // JSON without its usage, which no provider sends.
        Err(Obstacle::NoUsage) => return,
        Err(why) => panic!("a stream of our own: {why:?}"),
    };
    if let (Some(said), Some(says)) = (json(&first), json(&again)) {
        assert!(holds(&says, &said), "{said}\n{says}");
    }
    let third = to_stream(&again).and_then(|stream| to_json(&stream));
    assert_eq!(third.ok().as_deref().map(json), Some(json(&again)));
}

/// Whether `says` has all that `said` has.
fn holds(says: &Value, said: &Value) -> bool {
    match (says, said) {
        (Value::Object(says), Value::Object(said)) => said
            .iter()
            .all(|(name, value)| says.get(name).map_or(value.is_null(), |says| holds(says, value))),
        (Value::Array(says), Value::Array(said)) => {
            says.len() == said.len() && says.iter().zip(said).all(|(a, b)| holds(a, b))
        }
        (says, said) => says == said,
    }
}

/// `None` for numbers beyond a double and for half of a surrogate pair.
fn json(body: &[u8]) -> Option<Value> {
    serde_json::from_slice(body).ok()
}

/// Nobody is served against what a request says, however it says it.
pub(crate) fn directives(data: &[u8]) {
    let mut headers: Vec<_> = data.split(|byte| *byte == b'\n').collect();
    let all = Directives::parse(headers.iter().copied());
    // Each header counts, whatever stands in the others and in whichever order.
    for header in &headers {
        let one = Directives::parse([*header]);
        assert!(all.no_cache || !one.no_cache);
        assert!(all.no_store || !one.no_store);
        assert!(all.only_if_cached || !one.only_if_cached);
    }
    headers.reverse();
    let reversed = Directives::parse(headers.iter().copied());
    assert_eq!((all.no_cache, all.no_store), (reversed.no_cache, reversed.no_store));
    // A directive of ours after theirs is seen, unless it stands within their quotes.
    let quotes = data.iter().filter(|byte| **byte == b'"').count();
    if quotes % 2 == 0 && headers.len() == 1 {
        let with = [data, b", NO-STORE , no-cache"].concat();
        let with = Directives::parse([&*with]);
        assert!(with.no_store && with.no_cache);
    }
    let plain = |word: &str| {
        data.to_ascii_lowercase().windows(word.len()).any(|part| part == word.as_bytes())
    };
    assert!(!all.no_store || plain("no-store"));
    assert!(!all.no_cache || plain("no-cache"));
    assert!(all.max_age.is_none() || plain("max-age"));
}

/// What is read was written under that key, is not too old, and lies in the places that there are.
pub(crate) fn table(data: &[u8]) {
    let Some((&size, steps)) = data.split_first() else { return };
    let places = NonZeroU32::MIN.saturating_add(u32::from(size % 20));
    let table = Table::new(places, 512);
    let workers = workers();
    let mut now = Timestamp(1_800_000_000_000_000_000);
    // When each body was written, and for how long.
    let mut written: Vec<(Key, Vec<u8>, Timestamp, Duration)> = Vec::new();
    let mut forged = false;
    for (number, step) in steps.chunks_exact(3).take(200).enumerate() {
        let &[what, which, how] = step else { return };
        let worker = &workers[usize::from(what >> 6) % workers.len()];
        let key = Key::from_bytes([which % 32; 32]);
        let form = if how & 1 == 0 { Form::Json } else { Form::Stream };
        match what % 8 {
            0..=2 => {
                let ttl = Duration::from_millis(u64::from(how) * 40 + 1);
                let mut body = vec![b'x'; usize::from(how) * 3];
                body.extend_from_slice(number.to_string().as_bytes());
                let entry = Entry {
                    key: &key,
                    form,
                    status: 200,
                    strips: false,
                    content_type: b"application/json",
                    tokens: Tokens::default(),
                    created: now,
                    ttl: Ttl::new(ttl).expect("more than nothing"),
                    body: &body,
                };
                let _ = table.put(worker, &entry, now);
                written.push((key, body, now, ttl));
            }
            3..=5 => {
                let max_age = (how & 2 == 2).then(|| Duration::from_millis(u64::from(how) * 10));
                let found = table.get(worker, &key, form, max_age, now);
                if let Ok(Found::Answer(record)) = found {
                    assert_eq!(record.key, key);
                    let known = written
                        .iter()
                        .find(|(key, body, ..)| *key == record.key && *body == record.body());
                    let (.., then, ttl) = known.expect("an answer that was stored under this key");
                    let age = Duration::from_nanos(now.0.saturating_sub(then.0));
                    assert!(age < *ttl, "{age:?} of {ttl:?}");
                    assert!(
                        forged
                            || max_age
                                .is_none_or(|most| age.as_millis() <= most.as_millis() + 1000)
                    );
                }
            }
            6 => now = Timestamp(now.0 + u64::from(how) * 20_000_000),
            // A worker that died in the midst, or another version.
            _ => {
                let keys = worker.shared_keys();
                let Some(name) = keys.get(usize::from(which) % keys.len().max(1)) else { continue };
                let mut value =
                    worker.load(name).ok().and_then(|stored| stored.value).unwrap_or_default();
                match value.get_mut(usize::from(how)) {
                    // The version of a value, or what an index says: never a body's own bytes.
                    Some(byte) if !is_body(name) => *byte ^= 0x55,
                    _ => value.truncate(usize::from(how)),
                }
                let _ = worker.save(name, &value, Expect::Anything);
                forged = true;
            }
        }
        let keys = workers[0].shared_keys();
        let bodies = keys.iter().filter(|name| is_body(name)).count();
        assert!(bodies <= places.get() as usize, "{bodies} of {places}");
        let bytes = keys.iter().map(|name| {
            workers[0]
                .load(name)
                .ok()
                .and_then(|stored| stored.value)
                .map_or(0, |value| value.len())
        });
        // An index has slots for places that a small table does not have.
        let slots = 512 * u64::from(places.get());
        assert!(forged || bytes.sum::<usize>() as u64 <= table.max_bytes() + slots);
    }
}

fn is_body(name: &[u8]) -> bool {
    name.starts_with(b"llm-cache:v1:b")
}

/// Three of one process.
pub(crate) fn workers() -> [Fake; 3] {
    let one = Fake::new();
    let (two, three) = (one.worker(), one.worker());
    [one, two, three]
}
