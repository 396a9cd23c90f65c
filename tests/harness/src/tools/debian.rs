//! Programs of Debian packages. They are unpacked under `target/tools`, together with what they
//! need and this machine has not: nobody has to be root, and nothing on the machine changes.

use std::collections::BTreeSet;
use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use preflight::probe;

use super::{CHROMIUM, Debian, PROMETHEUS, REDIS, WEBDIS, install};
use crate::progress::Step;
use crate::shell;

/// Prometheus or its `promtool`.
pub fn prometheus(name: &str) -> Result<Command> {
    match shell::which(name) {
        Some(path) => Ok(Command::new(path)),
        None => program(&PROMETHEUS, &format!("usr/bin/{name}")),
    }
}

/// A Redis server.
pub fn redis_server() -> Result<Command> {
    installed(&REDIS).map_or_else(|| program(&REDIS, "usr/bin/redis-server"), Ok)
}

/// Redis over HTTP.
pub fn webdis() -> Result<Command> {
    installed(&WEBDIS).map_or_else(|| program(&WEBDIS, "usr/bin/webdis"), Ok)
}

/// A Chromium or Chrome: `$CHROMIUM`, else on the `PATH`, else unpacked.
pub fn chromium() -> Result<Command> {
    if let Some(path) = env::var_os("CHROMIUM") {
        return Ok(Command::new(path));
    }
    // What is in `usr/bin` is a script for an installed one.
    installed(&CHROMIUM).map_or_else(|| program(&CHROMIUM, "usr/lib/chromium/chromium"), Ok)
}

fn installed(tool: &Debian) -> Option<Command> {
    tool.programs.iter().find_map(|name| shell::which(name)).map(Command::new)
}

/// A program of an unpacked package.
fn program(tool: &Debian, path: &str) -> Result<Command> {
    let dir = unpacked(tool, &[tool.package])?;
    let mut command = Command::new(dir.join(path));
    command.env("LD_LIBRARY_PATH", library_path(&dir)?);
    Ok(command)
}

/// The folder with packages and what they need; fetched on first use.
pub fn unpacked(tool: &Debian, packages: &[&str]) -> Result<PathBuf> {
    install(&tool.folder(), |dir| fill(tool, packages, dir)).with_context(|| {
        format!(
            "{} is missing.\n  mend: install it; on Debian: apt-get install {}",
            tool.name,
            packages.join(" ")
        )
    })
}

/// Where the libraries of unpacked packages are.
pub fn library_path(dir: &Path) -> Result<OsString> {
    let mut libraries = vec![dir.join("usr/lib")];
    for libs in [dir.join("usr/lib"), dir.join("lib")] {
        let dirs = fs::read_dir(libs).into_iter().flatten();
        libraries.extend(dirs.filter_map(|entry| Some(entry.ok()?.path())));
    }
    env::join_paths(libraries).context("a path with a colon")
}

fn fill(tool: &Debian, packages: &[&str], dir: &Path) -> Result<()> {
    if let Err(missing) = probe::debian_packages() {
        bail!("{}", missing.what);
    }
    let _step = Step::download(format!("fetching {} from Debian", tool.name), dir, tool.megabytes);
    let mut simulate = probe::apt_get()?;
    simulate.args(["--simulate", "install", "--no-install-recommends"]).args(packages);
    let plan = shell::output(simulate)?;
    // Those that are asked for, even if this machine has them, and what else they need.
    let mut all: BTreeSet<&str> = packages.iter().copied().collect();
    all.extend(plan.lines().filter_map(|line| line.strip_prefix("Inst ")?.split(' ').next()));
    let mut download = probe::apt_get()?;
    download.arg("download").args(&all).current_dir(dir);
    shell::run(download)?;
    let files = fs::read_dir(dir)?.filter_map(|entry| Some(entry.ok()?.path()));
    let archives: Vec<_> =
        files.filter(|path| path.extension() == Some(OsStr::new("deb"))).collect();
    if archives.len() != all.len() {
        bail!("apt-get fetched {archives:?} for {all:?}");
    }
    for archive in archives {
        let mut unpack = Command::new("dpkg");
        unpack.arg("-x").arg(&archive).arg(dir);
        shell::run(unpack)?;
        fs::remove_file(archive)?;
    }
    Ok(())
}

/// The newest `lld` whose package this Debian has, from 19 on.
pub fn newest_lld() -> Result<String> {
    if let Err(missing) = probe::debian_packages() {
        bail!("{}", missing.what);
    }
    let apt = probe::apt_get()?;
    let mut names = Command::new("apt-cache");
    names.envs(apt.get_envs().filter_map(|(key, value)| Some((key, value?))));
    let names = shell::output({
        names.args(["pkgnames", "lld-"]);
        names
    })?;
    let versions = names.lines().filter_map(|name| name.strip_prefix("lld-")?.parse::<u32>().ok());
    let newest = versions.max().filter(|version| *version >= OLDEST_LLD);
    Ok(format!("lld-{}", newest.with_context(|| format!("no lld-{OLDEST_LLD} or newer"))?))
}

/// The first that links what the filter's compiler makes.
pub const OLDEST_LLD: u32 = 19;
