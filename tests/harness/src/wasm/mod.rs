//! Building the filter.

mod debian;

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use crate::{root, shell, target_dir};

pub const TARGET: &str = "wasm32-wasip1";

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
    check_linker()?;
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
        Toolchain::Auto => add_target().map(|()| cargo()).or_else(|error| {
            eprintln!("{error:#}\nfalling back to Debian's compiler");
            debian::cargo()
        })?,
    };
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
    shell::run(&mut build).context("the filter does not build")?;
    let module = dir.join(TARGET).join("release/llm_gateway.wasm");
    if !module.is_file() {
        bail!("cargo left no {}", module.display());
    }
    Ok(module)
}

/// Whether the current compiler has the target's standard library.
fn has_target(rustc: &str) -> bool {
    let mut ask = Command::new(rustc);
    ask.current_dir(root()).args(["--print", "target-libdir", "--target", TARGET]);
    let Ok(dir) = shell::output(ask.stderr(Stdio::null())) else { return false };
    fs::read_dir(dir).is_ok_and(|mut files| {
        files.any(|file| {
            file.is_ok_and(|file| file.file_name().to_string_lossy().starts_with("libcore-"))
        })
    })
}

/// Has rustup add the target's library to the current compiler, if it is missing.
pub fn add_target() -> Result<()> {
    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    if has_target(&rustc) {
        return Ok(());
    }
    if !shell::has("rustup") {
        bail!(
            "{rustc} has no library for {TARGET} and rustup is missing.\n  mend: install rustup (https://rustup.rs), then rustup target add {TARGET}"
        );
    }
    eprintln!("rustup target add {TARGET}");
    let mut add = Command::new("rustup");
    add.current_dir(root()).args(["target", "add", TARGET]).stdin(Stdio::null());
    match shell::run_within(add, RUSTUP_LIMIT)? {
        Some(status) if status.success() && has_target(&rustc) => Ok(()),
        Some(status) => bail!("rustup target add {TARGET} failed ({status})"),
        None => bail!("rustup target add {TARGET} took longer than {RUSTUP_LIMIT:?}"),
    }
}

fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Build scripts and procedural macros of the dependencies are linked by the system's compiler.
fn check_linker() -> Result<()> {
    if !shell::has("cc") {
        bail!(
            "cc is missing: Rust links with the C toolchain.\n  mend: apt-get install build-essential (macOS: xcode-select --install)"
        );
    }
    Ok(())
}

const RUSTUP_LIMIT: Duration = Duration::from_secs(60);
