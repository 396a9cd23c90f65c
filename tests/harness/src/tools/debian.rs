//! Programs of Debian packages, for tests.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::python::install;
use crate::shell;

/// Prometheus and its `promtool`: those on the `PATH`, else those of the Debian package, unpacked
/// under `target/tools`.
pub fn prometheus(program: &str) -> Result<PathBuf> {
    if let Some(path) = shell::which(program) {
        return Ok(path);
    }
    let package = unpack("prometheus")
        .context("Prometheus is missing.\n  mend: apt-get install prometheus")?;
    Ok(package.join("usr/bin").join(program))
}

/// A Redis server.
pub fn redis_server() -> Result<Command> {
    program("redis-server", "redis-server")
}

/// Redis over HTTP.
pub fn webdis() -> Result<Command> {
    program("webdis", "webdis")
}

/// A program that is on the `PATH`, or in a Debian package that is unpacked under `target/tools`
/// together with what it needs and this machine has not.
fn program(name: &str, package: &str) -> Result<Command> {
    if let Some(path) = shell::which(name) {
        return Ok(Command::new(path));
    }
    let alone = [package];
    let missing = || format!("{name} is missing.\n  mend: apt-get install {package}");
    if !shell::has("apt-get") {
        bail!("{}", missing());
    }
    let dir = install(&format!("debian-{package}-whole"), |dir| {
        shell::run(apt().arg("update"))?;
        let mut simulate = apt();
        simulate.args(["--simulate", "install", "--no-install-recommends", package]);
        let plan = shell::output(&mut simulate)?;
        let packages = plan.lines().filter_map(|line| line.strip_prefix("Inst "));
        let packages: Vec<_> = packages.filter_map(|line| line.split(' ').next()).collect();
        fill(dir, if packages.is_empty() { &alone } else { &packages })
    })
    .with_context(missing)?;
    let mut command = Command::new(dir.join("usr/bin").join(name));
    let mut libraries = Vec::new();
    for libs in [dir.join("usr/lib"), dir.join("lib")] {
        let dirs = fs::read_dir(libs).into_iter().flatten();
        libraries.extend(dirs.filter_map(|entry| Some(entry.ok()?.path())));
    }
    command.env("LD_LIBRARY_PATH", env::join_paths(libraries)?);
    Ok(command)
}

/// A Chromium or Chrome: `$CHROMIUM`, else on the `PATH`, else installed. It needs too many
/// libraries to be unpacked only.
pub fn chromium() -> Result<PathBuf> {
    if let Some(path) = env::var_os("CHROMIUM") {
        return Ok(path.into());
    }
    let known = || CHROMIUM.iter().find_map(|name| shell::which(name));
    if let Some(path) = known() {
        return Ok(path);
    }
    install_packages(&["chromium"])?;
    known().context("the package chromium has no program of that name")
}

/// Installs packages with all they need; only root can.
pub fn install_packages(packages: &[&str]) -> Result<()> {
    let packages_line = packages.join(" ");
    if !shell::has("apt-get") {
        bail!("{packages_line}: not here, and this is no Debian to get it from");
    }
    if !rustix::process::geteuid().is_root() {
        bail!(
            "{packages_line}: not here.\n  mend: sudo apt-get install --no-install-recommends {packages_line}"
        );
    }
    eprintln!("apt-get install {packages_line}");
    shell::run(apt().arg("update"))?;
    shell::run(apt().args(["install", "-y", "--no-install-recommends"]).args(packages))
        .with_context(|| format!("apt-get could not install {packages_line}"))
}

/// The folder with the unpacked package, without what it depends on; fetched on first use.
fn unpack(package: &str) -> Result<PathBuf> {
    install(&format!("debian-{package}"), |dir| fill(dir, &[package]))
}

/// Unpacks packages into a folder.
fn fill(dir: &Path, packages: &[&str]) -> Result<()> {
    eprintln!("fetching Debian's {}", packages.join(", "));
    if download(packages, dir).is_err() {
        // The list of packages may be old or absent.
        shell::run(apt().arg("update"))?;
        download(packages, dir)?;
    }
    let files = fs::read_dir(dir)?.filter_map(|entry| Some(entry.ok()?.path()));
    let archives: Vec<_> =
        files.filter(|path| path.extension() == Some(OsStr::new("deb"))).collect();
    if archives.len() != packages.len() {
        bail!("apt-get fetched {archives:?} for {packages:?}");
    }
    for archive in archives {
        shell::run(Command::new("dpkg").arg("-x").arg(&archive).arg(dir))?;
        fs::remove_file(archive)?;
    }
    Ok(())
}

fn download(packages: &[&str], dir: &Path) -> Result<()> {
    let mut apt = apt();
    apt.args(["-o", "APT::Sandbox::User=root", "download"]).args(packages);
    shell::run(apt.current_dir(dir))
}

fn apt() -> Command {
    let mut apt = Command::new("apt-get");
    apt.args(["-qq", "-o", "DPkg::Lock::Timeout=300"]).env("DEBIAN_FRONTEND", "noninteractive");
    apt
}

const CHROMIUM: [&str; 4] =
    ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
