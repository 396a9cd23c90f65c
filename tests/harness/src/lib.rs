//! What the developer command and the end-to-end tests share.

pub mod commands;
pub mod envoy;
pub mod http;
pub mod model_server;
pub mod process;
pub mod progress;
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
    static ROOT: LazyLock<PathBuf> = LazyLock::new(preflight::root);
    &ROOT
}

pub use preflight::target_dir;

/// Asks until there is an answer. An error of `ask` is final. A wait that takes long says so, past
/// what captures a test's output: if the test never ends, it is known why.
pub fn wait_for<T>(
    what: &str,
    limit: Duration,
    mut ask: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let (began, deadline) = (Instant::now(), Instant::now() + limit);
    let mut told = false;
    loop {
        if let Some(answer) = ask()? {
            return Ok(answer);
        }
        if Instant::now() > deadline {
            bail!("{what} was not ready within {limit:?}");
        }
        if !told && began.elapsed() > LONG {
            told = true;
            let name = thread::current().name().unwrap_or_default().to_owned();
            progress::say(&format!("{name} waits for {what}, at most {limit:?}"));
        }
        thread::sleep(Duration::from_millis(10));
    }
}

const LONG: Duration = Duration::from_secs(30);
