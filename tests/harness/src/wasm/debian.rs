//! The fallback where rustup's server is out of reach: Debian's compiler, and the standard library
//! for the target built once from Debian's sources.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::TARGET;
use crate::shell;
use crate::tools::debian;
use crate::tools::python::install;

/// Cargo with the settings that build for the target.
pub(super) fn cargo() -> Result<Command> {
    if !is_complete() {
        install_packages()?;
    }
    let linker = linker().context("no wasm-ld-19 or newer in /usr/bin")?;
    let sysroot = sysroot()?;
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // The flags of .cargo/config.toml stay: cargo joins the lists. Debian's compiler is older than
    // the one the workspace names, which the filter's own code does not need.
    cargo
        .env("RUSTC", RUSTC)
        .env_remove("RUSTUP_TOOLCHAIN")
        .arg("--config")
        .arg(format!("target.{TARGET}.linker={linker:?}"))
        .arg("--config")
        .arg(format!("target.{TARGET}.rustflags=[\"--sysroot\", {sysroot:?}]"))
        .env("CARGO_RESOLVER_INCOMPATIBLE_RUST_VERSIONS", "allow");
    Ok(cargo)
}

fn is_complete() -> bool {
    let present = |path: &str| Path::new(path).exists();
    present(RUSTC)
        && present("/usr/bin/cargo")
        && present(&format!("{SOURCES}/vendor"))
        && present(&format!("{WASI_LIBC}/libc.a"))
        && linker().is_some()
}

/// The newest `wasm-ld-N`, from 19 on.
fn linker() -> Option<PathBuf> {
    let version = |path: &Path| -> Option<u32> {
        path.file_name()?.to_str()?.strip_prefix("wasm-ld-")?.parse().ok()
    };
    fs::read_dir("/usr/bin")
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| version(path) >= Some(19))
        .max_by_key(|path| version(path))
}

fn install_packages() -> Result<()> {
    if !shell::has("apt-get") {
        bail!(
            "no library for {TARGET}, and this is no Debian to get one from.\n  mend: rustup target add {TARGET}, with access to static.rust-lang.org"
        );
    }
    let names = shell::output(Command::new("apt-cache").args(["pkgnames", "lld-"]))?;
    let lld = names
        .lines()
        .filter_map(|name| name.strip_prefix("lld-")?.parse::<u32>().ok())
        .max()
        .map_or_else(|| "lld".to_owned(), |version| format!("lld-{version}"));
    let packages = ["rustc-web", "cargo-web", "rust-web-src", &lld, "wasi-libc"];
    eprintln!("installing Debian's compiler (about 150 MB)");
    debian::install_packages(&packages)
}

/// The folder with the target's standard library, built on first use of a compiler version.
fn sysroot() -> Result<PathBuf> {
    let version = shell::output(Command::new(RUSTC).arg("-vV"))?;
    let field =
        |name: &str| version.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let release = field("release:").context("rustc names no release")?;
    let llvm = field("LLVM version:").unwrap_or_default();
    install(&format!("sysroot-{TARGET}-{release}-{llvm}"), |sysroot| {
        eprintln!("building the standard library for {TARGET} once (1 to 2 minutes)");
        let seed = sysroot.join("seed");
        fs::create_dir_all(seed.join("src"))?;
        fs::write(seed.join("src/lib.rs"), "")?;
        fs::write(seed.join("Cargo.toml"), SEED)?;
        let mut cargo = Command::new("/usr/bin/cargo");
        cargo
            .current_dir(&seed)
            .env("RUSTC", RUSTC)
            .env("RUSTC_BOOTSTRAP", "1")
            .env("RUSTFLAGS", "-C embed-bitcode=yes")
            .env("CARGO_TARGET_DIR", seed.join("target"))
            .env_remove("CARGO_BUILD_TARGET")
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .args(["build", "--offline", "--quiet", "--release", "-Zbuild-std=std,panic_abort"])
            .args(["--target", TARGET])
            .args(["--config", "source.crates-io.replace-with=\"vendored\"", "--config"])
            .arg(format!("source.vendored.directory=\"{SOURCES}/vendor\""));
        shell::run(&mut cargo).context("the standard library does not build")?;

        let library = sysroot.join("lib/rustlib").join(TARGET).join("lib");
        let own = library.join("self-contained");
        fs::create_dir_all(&own)?;
        for built in fs::read_dir(seed.join("target").join(TARGET).join("release/deps"))? {
            let path = built?.path();
            let name = path.file_name().unwrap_or_default();
            if path.extension().is_some_and(|end| end == "rlib")
                && !name.to_string_lossy().starts_with("libstdseed")
            {
                fs::copy(&path, library.join(name))?;
            }
        }
        for object in ["crt1-command.o", "crt1-reactor.o", "libc.a"] {
            fs::copy(Path::new(WASI_LIBC).join(object), own.join(object))?;
        }
        Ok(fs::remove_dir_all(seed)?)
    })
}

const RUSTC: &str = "/usr/bin/rustc";
const SOURCES: &str = "/usr/lib/rustlib/src/rust/library";
const WASI_LIBC: &str = "/usr/lib/wasm32-wasi";
const SEED: &str = r#"[package]
name = "stdseed"
version = "0.0.0"
edition = "2021"
[profile.release]
panic = "abort"
[workspace]
"#;
