//! `cargo xtask fuzz`.
//!
//! libFuzzer with the stable compiler: coverage needs no more than compiler passes that are in
//! every rustc, and a sanitizer, which would need nightly, has little to find in code without
//! `unsafe`. Debug assertions and overflow checks are on instead.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::{root, shell, target_dir};

/// Feed the parsers what nobody would send; without a target each in turn
#[derive(Debug, clap::Args)]
pub struct Args {
    /// One of the targets in tests/fuzz/fuzz_targets
    target: Option<String>,
    /// How long each target runs
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Only show what this file does to the target
    #[arg(long, value_name = "FILE", requires = "target")]
    input: Option<PathBuf>,
}

pub fn run(args: &Args) -> Result<()> {
    let all = targets()?;
    let chosen = match &args.target {
        Some(target) if !all.contains(target) => {
            bail!("no target {target:?}: there are {}", all.join(", "))
        }
        Some(target) => vec![target.clone()],
        None => all,
    };
    let binaries = build()?;
    if let (Some(input), [target]) = (&args.input, &chosen[..]) {
        let mut again = Command::new(binaries.join(target));
        again.arg(input);
        return shell::run(again);
    }
    let mut failed = Vec::new();
    for target in &chosen {
        println!("== {target}, {} s", args.seconds);
        if !fuzz(&binaries.join(target), target, args.seconds)? {
            failed.push(target.as_str());
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    bail!(
        "failed: {}\n  mend: cargo xtask fuzz TARGET --input FILE shows it again; fixed, the file belongs into tests/fuzz/seeds/TARGET",
        failed.join(", ")
    );
}

/// The names of the files in `fuzz_targets`.
fn targets() -> Result<Vec<String>> {
    let folder = root().join("tests/fuzz/fuzz_targets");
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("no {}", folder.display()))? {
        names.extend(entry?.path().file_stem().map(|name| name.to_string_lossy().into_owned()));
    }
    names.sort_unstable();
    Ok(names)
}

/// The folder with the instrumented binaries.
fn build() -> Result<PathBuf> {
    if !shell::has("c++") {
        bail!("c++ is missing: libFuzzer is C++.\n  mend: apt-get install build-essential");
    }
    let host = host()?;
    eprintln!("building the fuzz targets");
    let mut build = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    build
        .current_dir(root())
        .args(["build", "--quiet", "--release", "--manifest-path", "tests/fuzz/Cargo.toml"])
        // With a target, build scripts are built without the flags.
        .args(["--target", &host, "--target-dir"])
        .arg(folder())
        .env("RUSTFLAGS", COVERAGE.join(" "));
    shell::run(build).context("the fuzz targets do not build")?;
    Ok(folder().join(host).join("release"))
}

/// The triple that rustc builds for by itself.
fn host() -> Result<String> {
    let mut rustc = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc.current_dir(root()).arg("-vV");
    let version = shell::output(rustc)?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc names no host")?.to_owned())
}

/// Whether the target withstood it.
fn fuzz(binary: &Path, target: &str, seconds: u32) -> Result<bool> {
    let corpus = folder().join("corpus").join(target);
    let artifacts = folder().join("artifacts").join(target);
    for folder in [&corpus, &artifacts] {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
    }
    let log = artifacts.join("log");
    let mut command = Command::new(binary);
    command
        // What it finds goes to the first folder.
        .arg(&corpus)
        .arg(root().join("tests/fuzz/seeds").join(target))
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .arg(format!("-max_total_time={seconds}"))
        .args(["-max_len=4096", "-timeout=10", "-rss_limit_mb=2048", "-verbosity=0"])
        .arg("-print_final_stats=1")
        .env("RUST_BACKTRACE", "0")
        .stderr(File::create(&log)?);
    let limit = Duration::from_secs(u64::from(seconds) + 600);
    let status = shell::run_within(command, limit)?;
    let said = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
    let number = |name: &str| {
        let stat = said.lines().find_map(|line| line.strip_prefix(name));
        stat.map_or("?", str::trim).to_owned()
    };
    if !status.is_some_and(|status| status.success()) {
        // A panic's message and the file that caused it; in between are addresses.
        let panic = said.lines().skip_while(|line| !line.contains("panicked")).take(5);
        panic.for_each(|line| println!("  {line}"));
        let end = said.lines().filter(|line| line.contains("SUMMARY") || line.contains("written"));
        end.for_each(|line| println!("  {line}"));
        println!("  all of it: {}", log.display());
        return Ok(false);
    }
    println!(
        "   {} inputs, {} of them new ways through the code",
        number("stat::number_of_executed_units:"),
        number("stat::new_units_added:"),
    );
    Ok(true)
}

fn folder() -> PathBuf {
    target_dir().join("fuzz")
}

/// What libFuzzer needs of the compiler, as cargo-fuzz sets it.
const COVERAGE: [&str; 8] = [
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=1",
    "-Cdebuginfo=line-tables-only",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_has_seeds() {
        for target in targets().unwrap() {
            let seeds = root().join("tests/fuzz/seeds").join(&target);
            assert!(fs::read_dir(&seeds).unwrap().next().is_some(), "{target}");
        }
    }
}
