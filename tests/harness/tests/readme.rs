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

#[test]
fn the_envoy_is_the_one_that_is_tested() {
    let text = document("README.md");
    let oldest = tools::OLDEST_ENVOY;
    let says = format!("Needs Envoy {}.{} or newer", oldest.major, oldest.minor);
    assert!(text.contains(&says), "{says}");
    let says = format!("tested with {}", tools::ENVOY.version);
    assert!(text.contains(&says), "{says}");
}
