//! `cargo xtask build`.

use anyhow::Result;

use crate::wasm::{self, Toolchain};

/// Build the filter: target/wasm32-wasip1/release/llm_gateway.wasm
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which compiler builds it
    #[arg(long, value_enum, default_value_t)]
    toolchain: Toolchain,
}

pub fn run(args: &Args) -> Result<()> {
    let module = wasm::build(args.toolchain, &[])?;
    println!("{}", module.display());
    Ok(())
}
