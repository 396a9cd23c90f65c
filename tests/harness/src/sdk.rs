//! The official client libraries and servers of their languages, for tests that use them as their
//! users do.

use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::shell;
use crate::tools::{NODE_SDKS, PYTHON_SDKS, Packages, node, python};

/// Python with the packages of [`PYTHON_SDKS`]; installed on first use.
pub fn python() -> Result<Command> {
    python_with(&PYTHON_SDKS)
}

/// Python with these packages; installed on first use.
pub fn python_with(packages: &Packages) -> Result<Command> {
    let packages = python::fetch_packages(packages)?;
    let mut python = python::python()?;
    // Neither the user's own packages nor their bytecode.
    python.env("PYTHONPATH", packages).env("PYTHONNOUSERSITE", "1").arg("-B");
    shell::without_proxies(&mut python);
    Ok(python)
}

/// Runs a piece of Python; its output.
pub fn run_python(script: &str, args: &[&str]) -> Result<String> {
    let mut python = python()?;
    python.arg("-c").arg(script).args(args);
    output(python)
}

/// Node with the packages of [`NODE_SDKS`]; installed on first use.
pub fn node() -> Result<Command> {
    node_with(&NODE_SDKS)
}

/// Node with these packages; installed on first use.
pub fn node_with(packages: &Packages) -> Result<Command> {
    let modules = node::fetch_packages(packages)?;
    let mut node = node::node()?;
    // Modules are found from the working folder upwards.
    node.current_dir(modules);
    shell::without_proxies(&mut node);
    Ok(node)
}

/// Runs an ES module; its output.
pub fn run_node(script: &str, args: &[&str]) -> Result<String> {
    let mut node = node()?;
    node.args(["--input-type=module", "--eval", script, "--"]).args(args);
    output(node)
}

fn output(command: Command) -> Result<String> {
    let said = shell::captured(command, LIMIT)?;
    if !said.status.success() {
        bail!("the client failed ({}): {}", said.status, said.stderr.trim());
    }
    Ok(said.stdout.trim().to_owned())
}

/// A script of all calls takes seconds on a quiet machine.
const LIMIT: Duration = Duration::from_secs(300);
