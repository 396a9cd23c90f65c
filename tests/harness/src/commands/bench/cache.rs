//! What an answer from the cache costs, against one that is fetched and one that Envoy has in its
//! configuration; and what the key of a request costs.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Result;
use serde_json::{Map, Value, json};

use super::cases;
use super::compare::{self, Effort, Measured, Pair};
use super::load::{Expect, Load};
use super::report::{Bound, Report, spread, table};
use super::subject::{Running, Subject};
use super::upstream::{Order, Shared};

pub(super) async fn run(
    upstream: SocketAddr,
    effort: Effort,
    shared: &Arc<Shared>,
    report: &mut Report,
) -> Result<()> {
    let running = compare::start(&subjects(), upstream)?;
    let [direct, noop, without, with] = &running[..] else { return Ok(()) };
    let mut parts = Map::new();
    for (number, (key, size)) in ANSWERS.into_iter().enumerate() {
        let order = Order::Sized(size);
        // The cache does not know what is ordered: each answer has a request of its own.
        let same = Load { order, ..cases::chat(REQUEST + number) };
        let different = Load { order, ..cases::different_chats(REQUEST) };
        let pair = |name: &str, subject, load: &Load| Pair {
            name: name.to_owned(),
            subject,
            load: load.clone(),
        };
        let pairs = [
            pair(&direct.subject.name, direct, &same),
            pair("cache, hit", with, &same),
            pair(&noop.subject.name, noop, &same),
            pair("cache, miss that is stored", with, &different),
            pair("no cache", without, &different),
        ];
        let all = compare::measure_each(&pairs, effort, shared).await?;
        compare::print(&format!("Cache, answers of {} KiB", size >> 10), &all);
        if let ([direct, hit, ..], "answer_1kib") = (&all[..], key) {
            let ratio = hit.cpu.ratio_to(&direct.cpu).median();
            report.aim("CPU of a hit of 1 KiB, to direct_response", ratio, Bound::AtMost(1.5), "");
        }
        parts.insert(key.to_owned(), compare::to_json(&all));
    }
    parts.insert("key".to_owned(), keys(with, effort, shared, report).await?);
    report.add("cache", Value::from(parts));
    Ok(())
}

/// Requests that want a cached answer or none, of which there is none, beside the same that the
/// cache has no part in: the gateway answers both alike, and only the first have a key that is
/// looked up, at the price of one small value of shared data.
async fn keys(
    subject: &Running,
    effort: Effort,
    shared: &Arc<Shared>,
    report: &mut Report,
) -> Result<Value> {
    let mut rows = vec![["", "us", "aim"].map(str::to_owned).to_vec()];
    let mut parts = Map::new();
    for (key, size, aim) in KEYS {
        let refused = |control| Load {
            control: Some(control),
            expect: Expect::Status(504),
            ..cases::chat(size)
        };
        let pair =
            |name: &str, control| Pair { name: name.to_owned(), subject, load: refused(control) };
        let pairs = [pair("no key", "no-store, only-if-cached"), pair("a key", "only-if-cached")];
        let all = compare::measure_each(&pairs, effort, shared).await?;
        let [without, with]: &[Measured; 2] = all.as_slice().try_into()?;
        let cost = with.cpu.more_than(&without.cpu);
        let title = format!("key of a request of {} KiB, looked up", size >> 10);
        report.aim(title.clone(), cost.median(), Bound::AtMost(aim), "us");
        rows.push(vec![title, spread(&cost, 1), format!("{aim}")]);
        parts.insert(key.to_owned(), cost.to_json());
    }
    println!("\nCache, keys\n{}", table(&rows));
    Ok(parts.into())
}

fn subjects() -> [Subject; 4] {
    let cache = json!({"cache": {"ttl": "1h", "scope": "global", "max_entries": 256}});
    let sizes = ANSWERS.map(|(_, size)| size);
    [
        Subject::direct_response(&sizes),
        Subject::noop_direct_response(&sizes),
        Subject::gateway(),
        Subject::gateway_with("gateway with the cache", cache),
    ]
}

const REQUEST: usize = 300;
const ANSWERS: [(&str, usize); 3] =
    [("answer_1kib", 1 << 10), ("answer_16kib", 16 << 10), ("answer_200kib", 200 << 10)];
/// With what they may cost, in microseconds.
const KEYS: [(&str, usize, f64); 2] =
    [("request_16kib", 16 << 10, 40.0), ("request_100kib", 100 << 10, 250.0)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_configuration_is_one_that_the_filter_takes() {
        for configuration in subjects().iter().filter_map(Subject::configuration) {
            let configuration = configuration.to_string();
            let read = llm_gateway::config::Gateway::from_bytes(configuration.as_bytes());
            assert!(read.is_ok(), "{configuration}: {:?}", read.err());
        }
    }
}
