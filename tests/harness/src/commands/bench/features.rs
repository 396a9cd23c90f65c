//! What limits cost: the gateway with them against the gateway without.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_configuration_is_one_that_the_filter_takes() {
        for subject in &limited() {
            let configuration = subject.configuration().unwrap().to_string();
            let read = llm_gateway::config::Gateway::from_bytes(configuration.as_bytes());
            assert!(read.is_ok(), "{}: {:?}", subject.name, read.err());
        }
    }
}
