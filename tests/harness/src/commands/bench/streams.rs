//! What a stream costs: a later first event, processor time per event, and time on its way. The
//! streams run in lockstep, so an event that waits for the next one would end the bench.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use super::cases;
use super::compare::{Effort, turns};
use super::figures::{Samples, percentile};
use super::load::{Load, Run, Until};
use super::report::{Bound, Report, spread, table};
use super::subject::{Running, Subject};
use super::upstream::{Pace, Shared};

/// One number of parallel streams on one subject, a sample a round. Times are in microseconds.
#[derive(Clone, Debug, Default)]
pub(super) struct Measured {
    /// From the request to the first event.
    first: Samples,
    /// Processor time per event.
    pub(super) cpu: Samples,
    /// How long an event was on its way.
    delay: Samples,
    delay_p99: Samples,
}

pub(super) async fn run(
    subjects: &[Running],
    effort: Effort,
    shared: &Arc<Shared>,
    report: &mut Report,
) -> Result<()> {
    let mut parts = Map::new();
    for parallel in PARALLEL {
        let load = cases::stream(EVENTS, Pace::Lockstep, parallel);
        let all = measure(subjects, |_| load.clone(), effort, shared).await?;
        println!(
            "\nStreams of {EVENTS} events, each sent when the one before has come; {parallel} parallel"
        );
        print(subjects, &all);
        parts.insert(parallel.to_string(), to_json(subjects, &all));
        if let (Some(bare), Some(gateway)) = (all.first(), all.last()) {
            let more = gateway.cpu.more_than(&bare.cpu).median();
            let what = format!("CPU per event more than bare, {parallel} streams");
            report.aim(what, more, Bound::AtMost(5.0), "us");
        }
    }
    report.add("streams", Value::from(parts));
    Ok(())
}

pub(super) async fn measure(
    subjects: &[Running],
    load: impl Fn(&Subject) -> Load,
    effort: Effort,
    shared: &Arc<Shared>,
) -> Result<Vec<Measured>> {
    let mut connections = Vec::new();
    for subject in subjects {
        let name = &subject.subject.name;
        let mut opened = load(&subject.subject).connect(subject.address, shared).await?;
        opened.run(Until::Elapsed(effort.time)).await.with_context(|| name.clone())?;
        connections.push(opened);
    }
    let mut all = vec![Measured::default(); subjects.len()];
    for round in 0..effort.rounds {
        for index in turns(round, subjects.len()) {
            let subject = &subjects[index];
            let before = subject.cpu()?;
            let run = connections[index]
                .run(Until::Elapsed(effort.time))
                .await
                .with_context(|| subject.subject.name.clone())?;
            all[index].add(&run, subject.cpu()?.saturating_sub(before));
        }
    }
    Ok(all)
}

impl Measured {
    fn add(&mut self, run: &Run, cpu: Duration) {
        self.first.push(percentile(&run.firsts, 0.5) as f64);
        self.cpu.push(cpu.as_secs_f64() * 1e6 / run.delays.len() as f64);
        self.delay.push(percentile(&run.delays, 0.5) as f64);
        self.delay_p99.push(percentile(&run.delays, 0.99) as f64);
    }
}

pub(super) fn print(subjects: &[Running], all: &[Measured]) {
    let Some(base) = all.first() else { return };
    let header = [
        "",
        "first event us",
        "more us",
        "CPU us/event",
        "more us",
        "on its way p50 us",
        "more us",
        "p99 us",
    ];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    for (subject, one) in subjects.iter().zip(all) {
        rows.push(vec![
            subject.subject.name.clone(),
            format!("{:.0}", one.first.median()),
            spread(&one.first.more_than(&base.first), 0),
            spread(&one.cpu, 1),
            spread(&one.cpu.more_than(&base.cpu), 1),
            format!("{:.0}", one.delay.median()),
            spread(&one.delay.more_than(&base.delay), 0),
            format!("{:.0}", one.delay_p99.median()),
        ]);
    }
    println!("{}", table(&rows));
}

pub(super) fn to_json(subjects: &[Running], all: &[Measured]) -> Value {
    let figures = subjects.iter().zip(all).map(|(subject, one)| {
        let figures = json!({
            "first_event_us": one.first.to_json(),
            "cpu_us_per_event": one.cpu.to_json(),
            "on_its_way_p50_us": one.delay.to_json(),
            "on_its_way_p99_us": one.delay_p99.to_json(),
        });
        (subject.subject.name.clone(), figures)
    });
    Value::from(figures.collect::<Map<_, _>>())
}

const PARALLEL: [usize; 3] = [1, 16, 64];
pub(super) const EVENTS: u32 = 1000;
