//! The official client libraries and servers of their languages, for tests that use them as their
//! users do.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::shell;
use crate::tools::python::{self, install};
use crate::tools::{NODE_SDKS, PYTHON_SDKS};

/// Python with the packages of [`PYTHON_SDKS`]; installed on first use.
pub fn python() -> Result<Command> {
    python_with(PYTHON_SDKS)
}

/// Python with these packages; installed on first use.
pub fn python_with(packages: &[&str]) -> Result<Command> {
    let packages = install(&name("python", packages), |dir| {
        eprintln!("installing {}", packages.join(" "));
        let mut pip = python::pip()?;
        pip.args(["install", "--quiet", "--disable-pip-version-check", "--target"]).arg(dir);
        pip.arg("--only-binary=:all:").args(packages);
        shell::run(&mut pip).context("the Python packages cannot be installed")
    })?;
    let mut python = python::python()?;
    // Neither the user's own packages nor their bytecode.
    python.env("PYTHONPATH", packages).env("PYTHONNOUSERSITE", "1").arg("-B");
    without_proxies(&mut python);
    Ok(python)
}

/// Runs a piece of Python; its output.
pub fn run_python(script: &str, args: &[&str]) -> Result<String> {
    shell::output(python()?.arg("-c").arg(script).args(args))
}

/// Node with the packages of [`NODE_SDKS`]; installed on first use.
pub fn node() -> Result<Command> {
    node_with(NODE_SDKS)
}

/// Node with these packages; installed on first use.
pub fn node_with(packages: &[&str]) -> Result<Command> {
    let mut node = Command::new("node");
    // Modules are found from the working folder upwards.
    node.current_dir(node_modules(packages)?);
    without_proxies(&mut node);
    Ok(node)
}

/// Runs an ES module; its output.
pub fn run_node(script: &str, args: &[&str]) -> Result<String> {
    shell::output(node()?.args(["--input-type=module", "--eval", script, "--"]).args(args))
}

fn node_modules(packages: &[&str]) -> Result<PathBuf> {
    for program in ["node", "npm"] {
        if !shell::has(program) {
            bail!(
                "{program} is missing.\n  mend: apt-get install nodejs npm (or https://nodejs.org)"
            );
        }
    }
    install(&name("node", packages), |dir| {
        eprintln!("installing {}", packages.join(" "));
        let mut npm = Command::new("npm");
        npm.args(["install", "--silent", "--ignore-scripts", "--no-audit", "--no-fund"])
            .arg("--prefix")
            .arg(dir)
            .args(packages);
        shell::run(&mut npm).context("the Node packages cannot be installed")
    })
}

/// The tests talk to this machine only.
fn without_proxies(command: &mut Command) {
    for name in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"]
    {
        command.env_remove(name);
    }
}

/// Another version is another folder.
fn name(language: &str, packages: &[&str]) -> String {
    let mut hasher = DefaultHasher::new();
    packages.hash(&mut hasher);
    format!("sdk-{language}-{:016x}", hasher.finish())
}
