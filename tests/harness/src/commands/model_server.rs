//! `cargo xtask model-server`.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::model_server::{ModelServer, Options};

/// Run the built-in model server alone, in every provider's protocol, until it is killed
#[derive(Debug, clap::Args)]
pub struct Args {
    /// 0: any free port; the first line of the output names it
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Time between two tokens
    #[arg(long, default_value_t = 0, value_name = "MILLISECONDS")]
    pause_ms: u64,
}

pub fn run(args: &Args) -> Result<()> {
    let pause = Duration::from_millis(args.pause_ms);
    let server = ModelServer::start(Options { port: args.port, pause, ..Options::default() })
        .with_context(|| format!("cannot listen on port {}", args.port))?;
    println!("listening http://{}", server.address());
    loop {
        thread::park();
    }
}
