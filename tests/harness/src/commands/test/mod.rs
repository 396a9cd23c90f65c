//! `cargo xtask test`.

mod tally;

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::{root, wasm};
use tally::Tally;

/// Run every check and test; the last line sums them up
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only what needs no Envoy: format, lints, unit tests
    #[arg(long)]
    unit: bool,
}

pub fn run(args: &Args) -> Result<()> {
    let mut total = Tally::default();
    total += check(
        "format",
        cargo(&["fmt", "--all", "--check"]),
        "rustup component add rustfmt; cargo fmt --all",
    )?;
    total += check(
        "lints",
        cargo(&["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]),
        CLIPPY,
    )?;
    total += wasm_lints()?;
    total +=
        tests("unit tests", &mut cargo(&["test", "--package", "llm-gateway", "--no-fail-fast"]))?;
    let mut harness = cargo(&["test", "--package", "llm-gateway-harness", "--no-fail-fast"]);
    if args.unit {
        total += tests(
            "harness",
            harness.args(["--lib", "--bins", "--test", "readme", "--test", "repository"]),
        )?;
    } else {
        total += built()?;
        total += tests("harness and end to end", &mut harness)?;
    }
    println!("{total}");
    if total.failed > 0 {
        bail!("not everything passed");
    }
    Ok(())
}

/// The lints see the filter's own target too, where the plugin exists. Debian's compiler, the
/// fallback, brings no clippy that fits it.
fn wasm_lints() -> Result<Tally> {
    if let Err(error) = wasm::add_target() {
        println!("== lints for {}: skipped: {error:#}", wasm::TARGET);
        return Ok(Tally { skipped: 1, ..Tally::default() });
    }
    let lint = ["clippy", "--quiet", "--target", wasm::TARGET, "--", "-D", "warnings"];
    check(&format!("lints for {}", wasm::TARGET), cargo(&lint), CLIPPY)
}

/// The end-to-end tests would all fail with the same message if the filter did not build.
fn built() -> Result<Tally> {
    println!("== the filter");
    match wasm::module() {
        Ok(_) => Ok(Tally { passed: 1, ..Tally::default() }),
        Err(error) => {
            println!("{error:#}");
            Ok(Tally { failed: 1, ..Tally::default() })
        }
    }
}

fn check(name: &str, mut command: Command, mend: &str) -> Result<Tally> {
    println!("== {name}");
    let status = command.status().with_context(|| format!("cannot run {command:?}"))?;
    if status.success() {
        return Ok(Tally { passed: 1, ..Tally::default() });
    }
    println!("{name}: failed\n  mend: {mend}");
    Ok(Tally { failed: 1, ..Tally::default() })
}

/// Runs `cargo test`, passes its output on as it comes and counts the results in it.
fn tests(name: &str, command: &mut Command) -> Result<Tally> {
    println!("== {name}");
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {command:?}"))?;
    let output = child.stdout.take().context("no output")?;
    let mut tally = Tally::default();
    let mut screen = std::io::stdout();
    for line in BufReader::new(output).split(b'\n') {
        let line = line?;
        screen.write_all(&line)?;
        screen.write_all(b"\n")?;
        tally += Tally::of_line(&String::from_utf8_lossy(&line)).unwrap_or_default();
    }
    // Tests that do not compile, or a test process that crashes, print no result.
    if !child.wait()?.success() && tally.failed == 0 {
        tally.failed = 1;
    }
    Ok(tally)
}

fn cargo(args: &[&str]) -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root()).args(args);
    cargo
}

const CLIPPY: &str = "rustup component add clippy, if it is missing";
