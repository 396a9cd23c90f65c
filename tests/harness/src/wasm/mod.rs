//! Building the filter.

mod debian;

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
pub use preflight::WASM as TARGET;
use preflight::probe;

use crate::progress::{self, Step};
use crate::{root, shell, target_dir};

/// Which compiler builds the filter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Toolchain {
    /// The current one, with rustup's library for the target; Debian's if rustup cannot get that
    #[default]
    Auto,
    /// Only the current one
    Rustup,
    /// Debian's compiler and library sources
    Debian,
}

/// The filter, built once per run.
pub fn module() -> Result<&'static Path> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let built =
        BUILT.get_or_init(|| build(Toolchain::Auto, &[]).map_err(|error| format!("{error:#}")));
    built.as_deref().map_err(|error| anyhow::anyhow!("{error}"))
}

/// Builds the filter and returns its path. A build with features is for tests: it keeps a target
/// folder of its own, so that it never takes the place of the shipped one, and is made quickly.
pub fn build(toolchain: Toolchain, features: &[&str]) -> Result<PathBuf> {
    if let Err(missing) = probe::c_compiler() {
        bail!("{} is missing.\n  mend: {}", missing.what, missing.mend);
    }
    let mut dir = target_dir();
    if !features.is_empty() {
        dir = dir.join(format!("with-{}", features.join("-")));
    }
    fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let lock = File::create(dir.join("wasm.lock"))?;
    lock.lock().context("cannot lock the build")?;

    let mut build = match toolchain {
        Toolchain::Rustup => add_target().map(|()| cargo())?,
        Toolchain::Debian => debian::cargo()?,
        Toolchain::Auto if !has_target() && debian::is_ready() => debian::cargo()?,
        Toolchain::Auto => add_target().map(|()| cargo()).or_else(|error| {
            progress::say(&format!("{error:#}\nfalling back to Debian's compiler"));
            debian::cargo()
        })?,
    };
    let with = if features.is_empty() { String::new() } else { format!(" with {features:?}") };
    let _step = Step::begin(format!("building the filter{with}"));
    build
        .current_dir(root())
        .args(["build", "--quiet", "--release", "--package", "llm-gateway", "--target", TARGET])
        .args(["--features", &features.join(",")])
        .arg("--target-dir")
        .arg(&dir);
    if !features.is_empty() {
        for quick in ["lto=false", "opt-level=1", "codegen-units=16"] {
            build.arg("--config").arg(format!("profile.release.{quick}"));
        }
    }
    shell::run(build).context("the filter does not build")?;
    let module = dir.join(TARGET).join("release/llm_gateway.wasm");
    if !module.is_file() {
        bail!("cargo left no {}", module.display());
    }
    Ok(module)
}

/// Whether the current compiler has the target's standard library.
fn has_target() -> bool {
    static HAS: OnceLock<bool> = OnceLock::new();
    // It does not go away; whether it has come is asked again.
    *HAS.get().unwrap_or(&false) || {
        let has = probe::has_wasm_target();
        if has {
            let _ = HAS.set(true);
        }
        has
    }
}

/// Has rustup add the target's library to the current compiler, if it is missing.
pub fn add_target() -> Result<()> {
    if has_target() {
        return Ok(());
    }
    if !shell::has("rustup") {
        bail!(
            "there is no library for {TARGET}, and rustup is missing.\n  mend: install rustup (https://rustup.rs), then rustup target add {TARGET}"
        );
    }
    if env::var_os("XTASK_TARGET_REFUSED").is_some() {
        bail!("rustup cannot get the library for {TARGET}");
    }
    let _step = Step::begin(format!("rustup target add {TARGET}"));
    let mut add = Command::new("rustup");
    add.current_dir(root()).args(["target", "add", TARGET]);
    match shell::run_within(add, RUSTUP_LIMIT)? {
        Some(status) if status.success() && has_target() => Ok(()),
        Some(status) => bail!("rustup target add {TARGET} failed ({status})"),
        None => bail!("rustup target add {TARGET} took longer than {RUSTUP_LIMIT:?}"),
    }
}

/// Whether the filter's own target can be linted: by the current compiler, not by Debian's, which
/// brings no clippy that fits it.
pub fn can_lint() -> Result<()> {
    if !has_target() && debian::is_ready() {
        bail!("Debian's compiler builds for it, and brings no clippy");
    }
    add_target()
}

fn cargo() -> Command {
    Command::new(probe::cargo())
}

const RUSTUP_LIMIT: Duration = Duration::from_secs(60);
