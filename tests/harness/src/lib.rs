//! What the developer command and the end-to-end tests share.

pub mod commands;
pub mod envoy;
pub mod http;
pub mod model_server;
pub mod process;
pub mod redis;
pub mod sdk;
pub mod shell;
pub mod tools;
pub mod wasm;
pub mod wire;

use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// The top of the repository.
pub fn root() -> &'static Path {
    static ROOT: LazyLock<PathBuf> = LazyLock::new(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        root.canonicalize().unwrap_or(root)
    });
    &ROOT
}

/// Where cargo and this command keep what can be made again.
pub fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// Asks until there is an answer. An error of `ask` is final.
pub fn wait_for<T>(
    what: &str,
    limit: Duration,
    mut ask: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(answer) = ask()? {
            return Ok(answer);
        }
        if Instant::now() > deadline {
            bail!("{what} was not ready within {limit:?}");
        }
        thread::sleep(Duration::from_millis(10));
    }
}
