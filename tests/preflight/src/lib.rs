//! What the developer command needs: what has to be there, and what it fetches.

pub mod pins;
pub mod probe;
pub mod shell;

use std::path::{Path, PathBuf};

/// The target of the filter.
pub const WASM: &str = "wasm32-wasip1";

/// The top of the repository.
pub fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize().unwrap_or(root)
}

/// Where cargo and the developer command keep what can be made again.
pub fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// Where fetched tools are kept.
pub fn tools_dir() -> PathBuf {
    target_dir().join("tools")
}
