//! The developer command: one module a subcommand.

pub mod build;

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
    Build(build::Args),
}

impl Cli {
    pub fn run(self) -> Result<()> {
        match self.command {
            Command::Build(args) => build::run(&args),
        }
    }
}
