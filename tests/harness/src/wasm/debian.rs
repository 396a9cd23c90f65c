//! The fallback where rustup's server is out of reach: Debian's compiler, and the standard library
//! for the target built once from Debian's sources.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use preflight::probe;

use super::TARGET;
use crate::progress::Step;
use crate::shell;
use crate::tools::debian::{OLDEST_LLD, library_path, newest_lld, unpacked};
use crate::tools::{COMPILER, install, make_executable};

/// Cargo with the settings that build for the target.
pub(super) fn cargo() -> Result<Command> {
    let compiler = compiler()?;
    let linker = compiler.tool(&linker(&compiler.dir)?)?;
    let sysroot = sysroot(&compiler)?;
    let mut cargo = Command::new(probe::cargo());
    // The flags of .cargo/config.toml stay: cargo joins the lists. Debian's compiler may be older
    // than the one the workspace names, which the filter's own code does not need.
    cargo
        .env("RUSTC", compiler.tool(Path::new("usr/bin/rustc"))?)
        .env_remove("RUSTUP_TOOLCHAIN")
        .env_remove("RUSTC_WRAPPER")
        .arg("--config")
        .arg(format!("target.{TARGET}.linker={linker:?}"))
        .arg("--config")
        .arg(format!("target.{TARGET}.rustflags=[\"--sysroot\", {sysroot:?}]"))
        .env("CARGO_RESOLVER_INCOMPATIBLE_RUST_VERSIONS", "allow");
    Ok(cargo)
}

/// Whether nothing has to be fetched for it.
pub(super) fn is_ready() -> bool {
    probe::has_compiler()
}

/// The unpacked packages.
struct Compiler {
    dir: PathBuf,
}

fn compiler() -> Result<Compiler> {
    if let Some(dir) = probe::has_compiler().then(|| preflight::tools_dir().join(COMPILER.folder()))
    {
        return Ok(Compiler { dir });
    }
    let lld = newest_lld()?;
    let packages = ["rustc-web", "cargo-web", "rust-web-src", &lld, "wasi-libc"];
    let dir = unpacked(&COMPILER, &packages)?;
    Ok(Compiler { dir })
}

impl Compiler {
    /// A program that finds its libraries. They must not be in the environment of cargo, whose
    /// other children have theirs.
    fn tool(&self, path: &Path) -> Result<PathBuf> {
        let name = path.file_name().context("no name")?;
        let script = self.dir.join("tools").join(name);
        if !script.is_file() {
            fs::create_dir_all(self.dir.join("tools"))?;
            let libraries = library_path(&self.dir)?;
            let quoted =
                |path: &Path| format!("'{}'", path.display().to_string().replace('\'', r"'\''"));
            let text = format!(
                "#!/bin/sh\nLD_LIBRARY_PATH={}${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}} exec {} \"$@\"\n",
                quoted(Path::new(&libraries)),
                quoted(&self.dir.join(path)),
            );
            // Another process may want it at the same time.
            let fresh = script.with_extension(std::process::id().to_string());
            fs::write(&fresh, text)?;
            make_executable(&fresh)?;
            fs::rename(fresh, &script)?;
        }
        Ok(script)
    }
}

/// The newest `wasm-ld-N`.
fn linker(dir: &Path) -> Result<PathBuf> {
    let version = |path: &Path| -> Option<u32> {
        path.file_name()?.to_str()?.strip_prefix("wasm-ld-")?.parse().ok()
    };
    let newest = fs::read_dir(dir.join("usr/bin"))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| version(path) >= Some(OLDEST_LLD))
        .max_by_key(|path| version(path));
    let newest = newest.with_context(|| format!("no wasm-ld-{OLDEST_LLD} or newer"))?;
    Ok(newest.strip_prefix(dir)?.to_owned())
}

/// The folder with the target's standard library, built on first use of a compiler version.
fn sysroot(compiler: &Compiler) -> Result<PathBuf> {
    let rustc = compiler.tool(Path::new("usr/bin/rustc"))?;
    let version = shell::output({
        let mut ask = Command::new(&rustc);
        ask.arg("-vV");
        ask
    })?;
    let field =
        |name: &str| version.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let release = field("release:").context("rustc names no release")?;
    let llvm = field("LLVM version:").unwrap_or_default();
    install(&format!("sysroot-{TARGET}-{release}-{llvm}"), |sysroot| {
        let _step = Step::begin(format!("building the standard library for {TARGET}, once"));
        let seed = sysroot.join("seed");
        fs::create_dir_all(seed.join("src"))?;
        fs::write(seed.join("src/lib.rs"), "")?;
        fs::write(seed.join("Cargo.toml"), SEED)?;
        let vendored = compiler.dir.join(SOURCES).join("vendor");
        let mut cargo = Command::new(compiler.tool(Path::new("usr/bin/cargo"))?);
        cargo
            .current_dir(&seed)
            .env("RUSTC", rustc)
            .env("RUSTC_BOOTSTRAP", "1")
            .env("RUSTFLAGS", "-C embed-bitcode=yes")
            .env("CARGO_TARGET_DIR", seed.join("target"))
            .env_remove("CARGO_BUILD_TARGET")
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .env_remove("RUSTC_WRAPPER")
            .args(["build", "--offline", "--quiet", "--release", "-Zbuild-std=std,panic_abort"])
            .args(["--target", TARGET])
            .args(["--config", "source.crates-io.replace-with=\"vendored\"", "--config"])
            .arg(format!("source.vendored.directory={vendored:?}"));
        shell::run(cargo).context("the standard library does not build")?;

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
            fs::copy(compiler.dir.join(WASI_LIBC).join(object), own.join(object))?;
        }
        Ok(fs::remove_dir_all(seed)?)
    })
}

const SOURCES: &str = "usr/lib/rustlib/src/rust/library";
const WASI_LIBC: &str = "usr/lib/wasm32-wasi";
const SEED: &str = r#"[package]
name = "stdseed"
version = "0.0.0"
edition = "2021"
[profile.release]
panic = "abort"
[workspace]
"#;
