//! Whether the Envoy process grows: many requests of every kind, and its memory before and after.

use std::sync::Arc;

use anyhow::{Context, Result};
use serde_json::json;

use super::cases;
use super::load::{Body, Expect, Load, Until};
use super::report::{Bound, Report, table};
use super::subject::Running;
use super::upstream::{Pace, Shared};
use crate::process::Usage;

pub(super) async fn run(
    subjects: &[Running],
    requests: usize,
    shared: &Arc<Shared>,
    report: &mut Report,
) -> Result<()> {
    println!(
        "\nMemory over {requests} requests: chats of 300 B and 16 KiB, streams, unknown models"
    );
    let mut names = vec!["requests".to_owned()];
    let mut columns = Vec::new();
    for subject in subjects {
        names.push(format!("{}, MiB", subject.subject.name));
        columns.push(resident(subject, requests, shared).await?);
    }
    let mut rows = vec![names];
    for step in 0..=STEPS {
        let mut row = vec![(requests * step / STEPS).to_string()];
        row.extend(columns.iter().map(|column| format!("{:.1}", column[step])));
        rows.push(row);
    }
    println!("{}", table(&rows));
    for (subject, column) in subjects.iter().zip(&columns) {
        let growth = column[STEPS] - column[STEPS / 5];
        let what = format!("growth after the first fifth, {}", subject.subject.name);
        report.aim(what, growth, Bound::AtMost(NOISE_MIB), "MiB");
    }
    let figures = subjects
        .iter()
        .zip(&columns)
        .map(|(subject, column)| (subject.subject.name.clone(), json!(column)));
    report.add(
        "soak",
        json!({
            "requests": requests,
            "resident_mib": figures.collect::<serde_json::Map<_, _>>(),
        }),
    );
    Ok(())
}

/// Resident memory in MiB: at the start and after each tenth of the requests.
async fn resident(subject: &Running, requests: usize, shared: &Arc<Shared>) -> Result<Vec<f64>> {
    let mut loads = Vec::new();
    for (load, share) in mix(subject) {
        loads.push((load.connect(subject.address, shared).await?, share));
    }
    // Everything is used once: the first request of each kind needs memory that later ones share.
    for (connections, _) in &mut loads {
        connections.run(Until::Requests(50)).await.with_context(|| subject.subject.name.clone())?;
    }
    let mebibytes = || -> Result<f64> {
        Ok(Usage::of(subject.envoy.pid())?.resident_bytes as f64 / f64::from(1 << 20))
    };
    let mut measured = vec![mebibytes()?];
    for _ in 0..STEPS {
        for (connections, share) in &mut loads {
            let each = requests as f64 * *share / (STEPS * CONNECTIONS) as f64;
            connections.run(Until::Requests(each.ceil() as usize)).await?;
        }
        measured.push(mebibytes()?);
    }
    Ok(measured)
}

/// The loads and which share of the requests each is.
fn mix(subject: &Running) -> Vec<(Load, f64)> {
    let small = Load { connections: CONNECTIONS, ..cases::chat(300) };
    let large = Load { connections: CONNECTIONS, ..cases::chat(16 << 10) };
    let stream = cases::stream(20, Pace::Free, CONNECTIONS);
    let mut mix = vec![(large, 0.2), (stream, 0.1)];
    if subject.subject.is_gateway() {
        // Not a 400, after which Envoy closes a connection of HTTP/1.
        let body =
            Body::Same(r#"{"model":"unknown","messages":[{"role":"user","content":"hi"}]}"#.into());
        let refused = Load { body, expect: Expect::Status(404), ..small.clone() };
        mix.push((refused, 0.1));
        mix.push((small, 0.6));
    } else {
        mix.push((small, 0.7));
    }
    mix
}

const STEPS: usize = 10;
const CONNECTIONS: usize = 16;
/// What the allocator keeps or gives back as it pleases.
const NOISE_MIB: f64 = 2.0;
