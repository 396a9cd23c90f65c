//! `cargo xtask bench`.
//!
//! Load and upstream share one thread of this process on one processor, Envoy has another one: so
//! what Envoy uses is steady, while requests per second and latencies depend on the machine. All
//! subjects run at the same time and get the load in turns.

mod cache;
mod cases;
mod compare;
mod features;
mod figures;
mod load;
mod report;
mod soak;
mod streams;
mod subject;
mod translated;
mod upstream;

use std::env;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use serde_json::json;

use crate::{root, wasm};
use compare::Effort;
use report::Report;
use subject::Subject;
use upstream::Shared;

/// Measure what the gateway costs, next to a bare Envoy, a filter that does nothing, and Envoy's own
/// ai_protocol_manager
///
/// Without an option that names a part: the comparison.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The comparison: requests/s, latencies and CPU per request, for four kinds of requests
    #[arg(long)]
    compare: bool,
    /// Added time to first token and CPU per event, at 1, 16 and 64 parallel streams
    #[arg(long)]
    streams: bool,
    /// Memory of the Envoy process over N requests
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "200000")]
    soak: Option<usize>,
    /// CPU of one limit and of three, against none
    #[arg(long)]
    limits: bool,
    /// Answers from the cache against fresh ones and direct_response, and the cost of a key
    #[arg(long)]
    cache: bool,
    /// CPU of a call that is translated, against one that is passed through; per request and per
    /// event
    #[arg(long)]
    translate: bool,
    /// Only cases whose name contains this
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// How often every measurement is made
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// Of each measurement of the comparison
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Where to write all figures
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

pub fn run(args: &Args) -> Result<()> {
    if cfg!(not(target_os = "linux")) {
        bail!("the bench reads processor times from /proc: it needs Linux");
    }
    if cfg!(debug_assertions) {
        return Err(optimized().into());
    }
    eprintln!("building the filter");
    wasm::module()?;
    subject::pin_load()?;
    let mut report = Report::default();
    report.add("machine", json!({ "processors": std::thread::available_parallelism()?.get() }));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(measure(args, &mut report))?;
    report.print_aims();
    args.json.as_deref().map_or(Ok(()), |file| report.write(file))
}

async fn measure(args: &Args, report: &mut Report) -> Result<()> {
    let shared = &Arc::new(Shared::new());
    let upstream = upstream::start(Arc::clone(shared)).await?;
    let effort = Effort { rounds: args.rounds.into(), time: Duration::from_secs_f64(args.seconds) };
    let named = args.streams || args.soak.is_some() || args.limits || args.cache || args.translate;
    if args.compare || !named {
        let subjects = compare::start(&peers(), upstream)?;
        compare::run(&subjects, args.only.as_deref().unwrap_or(""), effort, shared, report).await?;
    }
    if args.streams {
        let subjects = compare::start(&peers(), upstream)?;
        streams::run(&subjects, effort, shared, report).await?;
    }
    if args.limits {
        features::limits(upstream, effort, shared, report).await?;
    }
    if args.cache {
        cache::run(upstream, effort, shared, report).await?;
    }
    if args.translate {
        translated::run(upstream, effort, shared, report).await?;
    }
    if let Some(requests) = args.soak {
        let subjects = compare::start(&[Subject::bare(), Subject::gateway()], upstream)?;
        soak::run(&subjects, requests, shared, report).await?;
    }
    Ok(())
}

/// Bare first, which the others are compared to; the gateway last.
fn peers() -> [Subject; 4] {
    [Subject::bare(), Subject::noop(), Subject::ai_protocol_manager(), Subject::gateway()]
}

/// The same command from an optimized build, in place of this process: a slow load would measure
/// itself. Returns only if that fails.
fn optimized() -> std::io::Error {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .current_dir(root())
        .args(["run", "--quiet", "--profile", "bench-tool"])
        .args(["--package", "llm-gateway-harness", "--bin", "xtask", "--"])
        .args(env::args_os().skip(1))
        .exec()
}
