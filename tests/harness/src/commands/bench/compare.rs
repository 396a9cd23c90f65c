//! Subjects side by side: the same load on each in turn, round after round.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use super::cases;
use super::figures::{Samples, percentile};
use super::load::{Connections, Load, Until};
use super::report::{Bound, Report, spread, table};
use super::subject::{Running, Subject};
use super::upstream::Shared;

/// How long to measure.
#[derive(Clone, Copy, Debug)]
pub(super) struct Effort {
    pub(super) rounds: usize,
    /// Of one subject in one round.
    pub(super) time: Duration,
}

/// What was measured of one subject, a sample a round.
#[derive(Clone, Debug, Default)]
pub(super) struct Measured {
    pub(super) name: String,
    pub(super) rate: Samples,
    pub(super) p50: Samples,
    pub(super) p99: Samples,
    /// Microseconds of processor time per request.
    pub(super) cpu: Samples,
}

/// Every case whose key contains `only`.
pub(super) async fn run(
    subjects: &[Running],
    only: &str,
    effort: Effort,
    shared: &Arc<Shared>,
    report: &mut Report,
) -> Result<()> {
    let mut parts = Map::new();
    for case in cases::all().iter().filter(|case| case.key.contains(only)) {
        let all = measure(subjects, &case.load, effort, shared).await?;
        print(case.title, &all);
        parts.insert(case.key.to_owned(), to_json(&all));
        if let (Some(bare), Some(gateway), "chat_300b") = (all.first(), all.last(), case.key) {
            let cpu = gateway.cpu.ratio_to(&bare.cpu).median();
            report.aim("CPU of a small chat, to bare", cpu, Bound::AtMost(1.35), "");
            let rate = gateway.rate.ratio_to(&bare.rate).median();
            report.aim("throughput of small chats, to bare", rate, Bound::AtLeast(0.75), "");
        }
    }
    report.add("compare", Value::from(parts));
    Ok(())
}

/// A load on a subject, and what to call that.
pub(super) struct Pair<'a> {
    pub(super) name: String,
    pub(super) subject: &'a Running,
    pub(super) load: Load,
}

/// Measures `load` on all subjects; the first is what the others are compared to.
pub(super) async fn measure(
    subjects: &[Running],
    load: &Load,
    effort: Effort,
    shared: &Arc<Shared>,
) -> Result<Vec<Measured>> {
    measure_each(&pairs(subjects, |_| load.clone()), effort, shared).await
}

/// Each subject with a load of its own.
pub(super) fn pairs(subjects: &[Running], load: impl Fn(&Subject) -> Load) -> Vec<Pair<'_>> {
    let pair = |running: &Running| (running.subject.name.clone(), load(&running.subject));
    let pairs = subjects.iter().map(|subject| (subject, pair(subject)));
    pairs.map(|(subject, (name, load))| Pair { name, subject, load }).collect()
}

/// Measures each load on its subject.
pub(super) async fn measure_each(
    pairs: &[Pair<'_>],
    effort: Effort,
    shared: &Arc<Shared>,
) -> Result<Vec<Measured>> {
    let mut connections = Vec::new();
    for Pair { name, subject, load } in pairs {
        let mut opened = load.clone().connect(subject.address, shared).await?;
        // The engine compiles hot code a second time, and better, in the background.
        opened.run(Until::Elapsed(WARM_UP)).await.with_context(|| name.clone())?;
        connections.push(opened);
    }
    let mut all: Vec<Measured> = pairs
        .iter()
        .map(|pair| Measured { name: pair.name.clone(), ..Measured::default() })
        .collect();
    for round in 0..effort.rounds {
        for index in turns(round, pairs.len()) {
            let (pair, measured) = (&pairs[index], &mut all[index]);
            one(pair.subject, &mut connections[index], effort.time, measured)
                .await
                .with_context(|| pair.name.clone())?;
        }
    }
    Ok(all)
}

async fn one(
    subject: &Running,
    connections: &mut Connections,
    time: Duration,
    measured: &mut Measured,
) -> Result<()> {
    let before = subject.cpu()?;
    let run = connections.run(Until::Elapsed(time)).await?;
    let cpu = subject.cpu()?.saturating_sub(before);
    measured.rate.push(run.requests as f64 / run.elapsed.as_secs_f64());
    measured.p50.push(percentile(&run.latencies, 0.5) as f64 / 1e3);
    measured.p99.push(percentile(&run.latencies, 0.99) as f64 / 1e3);
    measured.cpu.push(cpu.as_secs_f64() * 1e6 / run.requests as f64);
    Ok(())
}

/// The order of a round: another one begins each time, and every second round goes backwards, so
/// that no subject always follows the same one.
pub(super) fn turns(round: usize, subjects: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..subjects).map(|index| (index + round / 2) % subjects).collect();
    if round % 2 == 1 {
        order.reverse();
    }
    order
}

pub(super) fn start(subjects: &[Subject], upstream: SocketAddr) -> Result<Vec<Running>> {
    subjects.iter().map(|subject| subject.start(upstream)).collect()
}

pub(super) fn print(title: &str, all: &[Measured]) {
    let Some(base) = all.first() else { return };
    let header =
        ["", "requests/s", "ratio", "p50 ms", "p99 ms", "CPU us/request", "ratio", "more us"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    for one in all {
        rows.push(vec![
            one.name.clone(),
            format!("{:.0}", one.rate.median()),
            spread(&one.rate.ratio_to(&base.rate), 2),
            format!("{:.2}", one.p50.median()),
            format!("{:.2}", one.p99.median()),
            spread(&one.cpu, 0),
            spread(&one.cpu.ratio_to(&base.cpu), 2),
            spread(&one.cpu.more_than(&base.cpu), 1),
        ]);
    }
    println!("\n{title}\n{}", table(&rows));
}

pub(super) fn to_json(all: &[Measured]) -> Value {
    let Some(base) = all.first() else { return Value::Null };
    let subjects = all.iter().map(|one| {
        let figures = json!({
            "requests_per_second": one.rate.to_json(),
            "requests_per_second_ratio": one.rate.ratio_to(&base.rate).to_json(),
            "p50_ms": one.p50.to_json(),
            "p99_ms": one.p99.to_json(),
            "cpu_us_per_request": one.cpu.to_json(),
            "cpu_ratio": one.cpu.ratio_to(&base.cpu).to_json(),
        });
        (one.name.clone(), figures)
    });
    Value::from(subjects.collect::<Map<_, _>>())
}

const WARM_UP: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_subject_has_one_turn_a_round_and_no_fixed_place() {
        let rounds: Vec<_> = (0..6).map(|round| turns(round, 3)).collect();
        for round in &rounds {
            let mut sorted = round.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2]);
        }
        for place in 0..3 {
            let mut there: Vec<_> = rounds.iter().map(|round| round[place]).collect();
            there.sort_unstable();
            assert_eq!(there, [0, 0, 1, 1, 2, 2]);
        }
    }
}
