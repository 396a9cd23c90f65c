//! `cargo xtask`: looks whether all is there that the developer command needs, says what it will
//! download, and becomes that command. It has no dependencies, so it answers within seconds.

mod plan;

use std::env;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use plan::Plan;
use preflight::probe::{self, Missing};
use preflight::{root, target_dir};

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args_os().skip(1).collect();
    let words: Vec<_> = arguments.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let mut command = Command::new(probe::cargo());
    if let Some(plan) = Plan::of(&words) {
        let downloads = plan.downloads();
        if !downloads.is_empty() {
            announce(&downloads);
        }
        let (needed, optional) = plan.check();
        if !needed.is_empty() {
            eprint!("error: {}", list("cargo xtask needs what is not here", &needed));
            eprint!("{}", list("and some tests would be skipped without", &optional));
            return ExitCode::FAILURE;
        }
        eprint!("{}", list("tests are skipped without", &optional));
        if plan.wasm_target && !probe::has_wasm_target() {
            // Asked and refused a moment ago.
            command.env("XTASK_TARGET_REFUSED", "1");
        }
    }
    let first = !target_dir().join("debug/xtask").exists();
    if first {
        eprintln!("building the developer command (a minute or two, once)");
    }
    command.arg("run").args((!first).then_some("--quiet"));
    command.arg("--manifest-path").arg(root().join("Cargo.toml"));
    command.args(["--package", "llm-gateway-harness", "--bin", "xtask", "--"]).args(&arguments);
    eprintln!("error: cargo does not start: {}", command.exec());
    ExitCode::FAILURE
}

fn announce(downloads: &[(String, u32)]) {
    let total: u32 = downloads.iter().map(|(_, megabytes)| megabytes).sum();
    eprintln!("to download, once, about {total} MB:");
    for (name, megabytes) in downloads {
        eprintln!("  {megabytes:>4} MB  {name}");
    }
}

fn list(title: &str, all: &[Missing]) -> String {
    if all.is_empty() {
        return String::new();
    }
    let lines = all.iter().map(|Missing { what, mend }| format!("  {what}\n    mend: {mend}\n"));
    format!("{title}:\n{}", lines.collect::<String>())
}
