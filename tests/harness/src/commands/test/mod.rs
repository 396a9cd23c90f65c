//! `cargo xtask test`.

mod tally;
mod tools;
mod watch;

use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};
use preflight::probe;

use crate::shell::with_direct_loopback;
use crate::{root, wasm};
use tally::Tally;
use tools::Skip;
use watch::Run;

/// Run every check and test; the last line sums them up
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only what needs no Envoy: format, lints, unit tests
    #[arg(long)]
    unit: bool,
    /// When a run that has not come to its end is stopped
    #[arg(long, default_value_t = 90, value_name = "MINUTES")]
    limit: u64,
}

pub fn run(args: &Args) -> Result<()> {
    let run = Run::begin(Duration::from_secs(args.limit * 60));
    let mut total = Tally::default();
    let mut skips = if args.unit { Vec::new() } else { run.step("downloads", tools::fetch)?? };
    total += run.check(
        "format",
        cargo(&["fmt", "--all", "--check"]),
        "rustup component add rustfmt; cargo fmt --all",
    )?;
    total += run.check(
        "lints",
        cargo(&["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]),
        CLIPPY,
    )?;
    let quick = ["test", "--package", "llm-gateway", "--package", "preflight", "--no-fail-fast"];
    let mut harness = cargo(&["test", "--package", "llm-gateway-harness", "--no-fail-fast"]);
    if args.unit {
        total += wasm_lints(&run, &mut skips)?;
        total += run.tests("unit tests", cargo(&quick))?;
        harness.args(["--lib", "--bins", "--test", "readme", "--test", "repository"]);
        total += run.tests("harness", harness)?;
    } else {
        total += run.step("the filter", built)?;
        total += wasm_lints(&run, &mut skips)?;
        total += run.tests("unit tests", cargo(&quick))?;
        harness.arg("--").args(skips.iter().flat_map(Skip::arguments));
        with_direct_loopback(&mut harness);
        total += run.tests("harness and end to end", harness)?;
    }
    println!("{total}{}", tools::reasons(&skips));
    if total.failed > 0 {
        bail!("not everything passed");
    }
    Ok(())
}

/// The lints see the filter's own target too, where the plugin exists.
fn wasm_lints(run: &Run, skips: &mut Vec<Skip>) -> Result<Tally> {
    let name = format!("lints for {}", wasm::TARGET);
    if let Err(why) = wasm::can_lint() {
        println!("== {name}: skipped: {why:#}");
        skips.push(Skip::of_stage(name, format!("{why:#}")));
        return Ok(Tally { skipped: 1, ..Tally::default() });
    }
    let lint = ["clippy", "--quiet", "--target", wasm::TARGET, "--", "-D", "warnings"];
    run.check(&name, cargo(&lint), CLIPPY)
}

/// The end-to-end tests would all fail with the same message if the filter did not build.
fn built() -> Tally {
    match wasm::module() {
        Ok(_) => Tally { passed: 1, ..Tally::default() },
        Err(error) => {
            println!("{error:#}");
            Tally { failed: 1, ..Tally::default() }
        }
    }
}

fn cargo(args: &[&str]) -> Command {
    let mut cargo = Command::new(probe::cargo());
    cargo.current_dir(root()).args(args);
    cargo
}

const CLIPPY: &str = "rustup component add clippy, if it is missing";
