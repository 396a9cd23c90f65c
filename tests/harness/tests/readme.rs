//! The commands and versions that the documents name.

use std::fs;

use clap::{CommandFactory, Parser};
use harness::commands::Cli;
use harness::{root, tools};

fn document(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap()
}

/// `cargo xtask ...` in blocks and between backticks.
fn commands(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| line.starts_with("cargo xtask"));
    let ticked = text.split('`').filter(|part| part.starts_with("cargo xtask "));
    let all = lines.chain(ticked).flat_map(|part| part.split(" && "));
    let commands = all.filter(|command| command.starts_with("cargo xtask"));
    commands.map(|command| command.trim().to_owned()).collect()
}

#[test]
fn every_command_is_one() {
    let mut found = 0;
    for name in ["README.md", "CONTRIBUTING.md"] {
        for command in commands(&document(name)) {
            let words = command.split_whitespace().skip(1);
            if let Err(why) = Cli::try_parse_from(words) {
                panic!("{name}: {command}: {why}");
            }
            found += 1;
        }
    }
    assert!(found >= 8, "{found} commands");
}

#[test]
fn every_subcommand_is_named() {
    let text = document("README.md");
    for command in Cli::command().get_subcommands() {
        let name = format!("cargo xtask {}", command.get_name());
        assert!(text.contains(&name), "{name}");
    }
}

#[test]
fn every_option_of_the_bench_is_one() {
    let text = document("README.md");
    let (_, speed) = text.split_once("\n## Speed\n").unwrap();
    let speed = speed.split("\n## ").next().unwrap();
    for option in speed.split('`').filter(|part| part.starts_with("--")) {
        let words = ["xtask", "bench"].into_iter().chain(option.split_whitespace());
        Cli::try_parse_from(words).unwrap_or_else(|why| panic!("{option}: {why}"));
    }
}

/// The one line that names what has to be there is the preflight's list.
#[test]
fn what_has_to_be_there_is_named() {
    let (major, minor) = tools::OLDEST_PYTHON;
    let needed = format!("a C compiler, Python {major}.{minor} or newer with pip, and curl");
    let says = format!("You need rustup, {needed}.\n");
    assert!(document("README.md").contains(&says), "{says}");
    for name in ["CONTRIBUTING.md", ".ci/run"] {
        let text = document(name).replace("\n# ", " ");
        assert!(text.contains(&needed), "{name}: {needed}");
    }
}

/// The programs that are started by their names: what the README names, what every Unix has, and
/// what is asked for before.
#[test]
fn no_program_is_assumed_that_is_not_named() {
    const NAMED: [&str; 2] = ["rustup", "python3"];
    const EVERYWHERE: [&str; 2] = ["sh", "id"];
    const FOUND_BEFORE: [(&str, &[&str]); 2] = [
        ("tests/preflight/src/probe.rs", &["apt-get", "node", "npm"]),
        ("tests/harness/src/tools", &["apt-cache", "dpkg", "node", "npm"]),
    ];
    let mut open = vec![root().join("tests")];
    let mut found = 0;
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        if path.extension().is_none_or(|end| end != "rs") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let path = path.strip_prefix(root()).unwrap();
        // Not this line.
        for program in text.split(concat!("Command::new", "(\"")).skip(1) {
            let program = program.split('"').next().unwrap();
            let here = FOUND_BEFORE.iter().filter(|(place, _)| path.starts_with(place));
            let mut allowed = here.flat_map(|(_, programs)| *programs).chain(&NAMED);
            let known = allowed.any(|known| *known == program) || EVERYWHERE.contains(&program);
            // Paths are known to those who made them; unit tests use what tests run on.
            assert!(known || program.starts_with('/'), "{}: {program}", path.display());
            found += 1;
        }
    }
    assert!(found > 10, "{found} programs");
}

#[test]
fn the_envoy_is_the_one_that_is_tested() {
    let text = document("README.md");
    let oldest = tools::OLDEST_ENVOY;
    let says = format!("Needs Envoy {}.{} or newer", oldest.major, oldest.minor);
    assert!(text.contains(&says), "{says}");
    let says = format!("tested with {}", tools::ENVOY.version);
    assert!(text.contains(&says), "{says}");
}
