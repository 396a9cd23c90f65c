//! What the gateway's own features cost: the gateway with them against the gateway without.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Result;
use serde_json::{Value, json};

use super::cases;
use super::compare::{self, Effort};
use super::report::{Bound, Report};
use super::subject::Subject;
use super::upstream::{MODEL, Shared};

/// Small chats under no limit, one and three. None of them ever refuses.
pub(super) async fn limits(
    upstream: SocketAddr,
    effort: Effort,
    shared: &Arc<Shared>,
    report: &mut Report,
) -> Result<()> {
    let running = compare::start(&limited(), upstream)?;
    let all = compare::measure(&running, &cases::chat(300), effort, shared).await?;
    compare::print("Limits, chats of 300 B", &all);
    if let [none, one, three] = &all[..] {
        let more = one.cpu.more_than(&none.cpu).median();
        report.aim("CPU of one limit", more, Bound::AtMost(5.0), "us");
        let more = three.cpu.more_than(&none.cpu).median() / 3.0;
        report.aim("CPU of each of three limits", more, Bound::AtMost(5.0), "us");
    }
    report.add("limits", compare::to_json(&all));
    Ok(())
}

/// Answers that are in the cache, and answers that come into it.
pub(super) async fn cache(
    upstream: SocketAddr,
    effort: Effort,
    shared: &Arc<Shared>,
    report: &mut Report,
) -> Result<()> {
    let running = compare::start(&cached(), upstream)?;
    for (key, title, load) in [
        ("cache_hit", "Cache, the same chat of 300 B", cases::chat(300)),
        ("cache_miss", "Cache, different chats of 300 B", cases::different_chats(300)),
    ] {
        let all = compare::measure(&running, &load, effort, shared).await?;
        compare::print(title, &all);
        report.add(key, compare::to_json(&all));
    }
    Ok(())
}

fn limited() -> [Subject; 3] {
    // A limit of money needs a price; the others get it too, so that only the rules differ.
    let model = json!({"name": MODEL, "price": {"input": 2.5, "output": 10}});
    let with = |name: &str, rules: &[Value]| {
        let mut extra = json!({"providers": {"local": {"models": [model.clone()]}}});
        if !rules.is_empty() {
            extra["limits"] = rules.into();
        }
        Subject::gateway_with(name, extra)
    };
    let rules = [
        json!({"name": "requests", "key": ["client_ip"], "requests": 100_000_000, "window": "1m"}),
        json!({"name": "tokens", "key": [], "tokens": 1_000_000_000_000_u64, "window": "1h"}),
        json!({"name": "spend", "key": ["model"], "cost_usd": 1_000_000, "window": "1d"}),
    ];
    [with("no limit", &[]), with("with one limit", &rules[..1]), with("with three limits", &rules)]
}

fn cached() -> [Subject; 2] {
    let cache = json!({"cache": {"ttl": "1h", "scope": "global", "max_entries": 1024}});
    [Subject::gateway(), Subject::gateway_with("with the cache", cache)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_configuration_is_one_that_the_filter_takes() {
        for subject in limited().iter().chain(&cached()) {
            let configuration = subject.configuration().unwrap().to_string();
            let read = llm_gateway::config::Gateway::from_bytes(configuration.as_bytes());
            assert!(read.is_ok(), "{}: {:?}", subject.name, read.err());
        }
    }
}
