//! The developer command: one module a subcommand.

pub mod bench;
pub mod build;
pub mod check_config;
pub mod demo;
pub mod fuzz;
pub mod model_server;
pub mod soak;
pub mod test;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Builds, runs and tests the LLM gateway.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Bench(bench::Args),
    Build(build::Args),
    CheckConfig(check_config::Args),
    Demo(demo::Args),
    Fuzz(fuzz::Args),
    ModelServer(model_server::Args),
    Soak(soak::Args),
    Test(test::Args),
}

impl Cli {
    pub fn run(self) -> Result<()> {
        match self.command {
            Command::Bench(args) => bench::run(&args),
            Command::Build(args) => build::run(&args),
            Command::CheckConfig(args) => check_config::run(&args),
            Command::Demo(args) => demo::run(&args),
            Command::Fuzz(args) => fuzz::run(&args),
            Command::ModelServer(args) => model_server::run(&args),
            Command::Soak(args) => soak::run(&args),
            Command::Test(args) => test::run(&args),
        }
    }
}
