//! Is it there, and if it is not, can it be fetched? Nothing here takes longer than a few seconds,
//! but for what is fetched by the way: the crates, the filter's target and Debian's lists.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::pins::{COMPILER, Debian, OLDEST_NODE, OLDEST_PYTHON, Packages, Wheel};
use crate::shell::{ask, has, which};
use crate::{WASM, root, target_dir, tools_dir};

/// What is missing, and the command that mends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    pub what: String,
    pub mend: String,
}

pub type Probe = Result<(), Missing>;

fn missing(what: impl Into<String>, mend: impl Into<String>) -> Probe {
    Err(Missing { what: what.into(), mend: mend.into() })
}

/// Build scripts and procedural macros are linked by the C toolchain, and one crate is C.
pub fn c_compiler() -> Probe {
    if has("cc") || env::var_os("CC").is_some() {
        return Ok(());
    }
    missing(
        "cc, a C compiler",
        install("apt-get install build-essential", "xcode-select --install (macOS)"),
    )
}

/// For the commands that the demo prints, which a test runs.
pub fn curl() -> Probe {
    if has("curl") {
        return Ok(());
    }
    missing("curl", install("apt-get install curl", "https://curl.se/download.html"))
}

pub fn python() -> Probe {
    let mend = install("apt-get install python3 python3-pip", "https://www.python.org/downloads");
    if !has("python3") {
        return missing("python3", mend);
    }
    let version = ask(Command::new("python3").arg("--version"), QUICK);
    let version = version.as_deref().unwrap_or_default().trim();
    if python_version(version).is_none_or(|found| found < OLDEST_PYTHON) {
        let (major, minor) = OLDEST_PYTHON;
        return missing(
            format!("python3 of version {major}.{minor} or newer (this one: {version:?})"),
            mend,
        );
    }
    if let Err(why) = ask(Command::new("python3").args(["-m", "pip", "--version"]), QUICK) {
        return missing(
            format!("pip for python3 ({why})"),
            install("apt-get install python3-pip", "python3 -m ensurepip"),
        );
    }
    Ok(())
}

/// `Python 3.11.2`
fn python_version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.strip_prefix("Python ")?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// `rustfmt` or `clippy`; `subcommand` is how cargo calls it.
pub fn component(name: &str, subcommand: &str) -> Probe {
    match ask(Command::new(cargo()).args([subcommand, "--version"]), QUICK) {
        Ok(_) => Ok(()),
        Err(_) => missing(name, format!("rustup component add {name}")),
    }
}

/// Room for what is built and fetched.
pub fn disk(gigabytes: u64) -> Probe {
    let dir = target_dir();
    if fs::create_dir_all(&dir).is_err() {
        return Ok(());
    }
    let script = "import shutil, sys; print(shutil.disk_usage(sys.argv[1]).free)";
    let free = ask(Command::new("python3").args(["-c", script]).arg(&dir), QUICK);
    let free = free.ok().and_then(|free| free.trim().parse::<u64>().ok());
    match free {
        Some(free) if free < gigabytes << 30 => missing(
            format!(
                "{gigabytes} GB of free space in {} ({:.1} GB are)",
                dir.display(),
                free as f64 / (1_u64 << 30) as f64
            ),
            "free some, or CARGO_TARGET_DIR=/a/roomy/place cargo xtask ...",
        ),
        _ => Ok(()),
    }
}

pub fn writable_target() -> Probe {
    let dir = tools_dir();
    let file = dir.join(format!("probe-{}", std::process::id()));
    match fs::create_dir_all(&dir).and_then(|()| File::create(&file)) {
        Ok(_) => {
            let _ = fs::remove_file(file);
            Ok(())
        }
        Err(error) => missing(
            format!("a folder to build in: {} cannot be written ({error})", dir.display()),
            "make it writable, or CARGO_TARGET_DIR=/a/writable/place cargo xtask ...",
        ),
    }
}

/// Whether cargo has to download crates.
pub fn has_crates() -> bool {
    ask(fetch().arg("--offline"), QUICK).is_ok()
}

/// The crates of `Cargo.lock`, fetched at once.
pub fn crates() -> Probe {
    if has_crates() {
        return Ok(());
    }
    match ask(&mut fetch(), DOWNLOAD) {
        Ok(_) => Ok(()),
        Err(why) => missing(
            format!("the crates of Cargo.lock: cargo cannot download them ({why})"),
            "cargo fetch --locked, with access to the registry that cargo is configured with (CARGO_HOME must be writable)",
        ),
    }
}

fn fetch() -> Command {
    let mut fetch = Command::new(cargo());
    fetch.args(["fetch", "--quiet", "--locked", "--manifest-path"]).arg(root().join("Cargo.toml"));
    if let Some(host) = host() {
        fetch.args(["--target", &host]);
    }
    fetch.args(["--target", WASM]);
    fetch
}

/// The triple that rustc builds for by itself.
fn host() -> Option<String> {
    let version = ask(Command::new(rustc()).arg("-vV"), QUICK).ok()?;
    Some(version.lines().find_map(|line| line.strip_prefix("host: "))?.to_owned())
}

/// Whether the current compiler has the standard library of the filter's target.
pub fn has_wasm_target() -> bool {
    let mut libdir = Command::new(rustc());
    libdir.current_dir(root()).args(["--print", "target-libdir", "--target", WASM]);
    let Ok(dir) = ask(&mut libdir, QUICK) else { return false };
    let files = fs::read_dir(dir.trim()).into_iter().flatten().flatten();
    files.into_iter().any(|file| file.file_name().to_string_lossy().starts_with("libcore-"))
}

/// The filter's target: there, added by rustup, or built with Debian's compiler.
pub fn wasm_target() -> Probe {
    if has_wasm_target() || has_compiler() {
        return Ok(());
    }
    let add = format!("rustup target add {WASM}");
    let why = if has("rustup") {
        let mut rustup = Command::new("rustup");
        match ask(rustup.current_dir(root()).args(["target", "add", WASM]), RUSTUP) {
            Ok(_) if has_wasm_target() => return Ok(()),
            Ok(_) => "rustup added it to another compiler".to_owned(),
            Err(why) => why,
        }
    } else {
        "rustup is missing".to_owned()
    };
    debian_packages().map_err(|instead| Missing {
        what: format!(
            "the library of the target {WASM} ({add}: {why}; Debian's: {})",
            instead.what
        ),
        mend: format!("{add}, with access to static.rust-lang.org"),
    })
}

/// Whether Debian's compiler was unpacked for an earlier build.
pub fn has_compiler() -> bool {
    tools_dir().join(COMPILER.folder()).is_dir()
}

/// Whether the Python index, or what pip is configured with in its place, has these.
pub fn python_index(wheels: &[Wheel], packages: &[Packages]) -> Probe {
    let wheels = wheels.iter().map(|wheel| format!("{}=={}", wheel.package, wheel.version));
    let first = packages.iter().filter_map(|packages| packages.names.first());
    let wanted: Vec<_> = wheels.chain(first.map(|name| (*name).to_owned())).collect();
    for name in &wanted {
        let (package, version) = name.split_once("==").unwrap_or((name, ""));
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "--disable-pip-version-check", "--retries", "1", "--timeout", "10"]);
        pip.args(["index", "versions", package]);
        let problem = match ask(&mut pip, INDEX) {
            Ok(answer) if lists(&answer, version) => continue,
            Ok(_) => format!("it has no {name}"),
            // An old pip cannot ask; the download itself will tell.
            Err(why) if why.contains("unknown command") => return Ok(()),
            Err(why) => why,
        };
        return missing(
            format!("{}: pip cannot get them from its index ({problem})", wanted.join(", ")),
            "python3 -m pip config list shows the index; --proxy, --index-url or a network mend it",
        );
    }
    Ok(())
}

/// `Available versions: 1.40.0, 1.39.0`
fn lists(answer: &str, version: &str) -> bool {
    let lines = answer.lines().filter_map(|line| line.strip_prefix("Available versions:"));
    lines.flat_map(|versions| versions.split(',')).any(|listed| listed.trim() == version)
}

/// npm's registry, if there is an npm to ask with; else Node comes from the Python index first.
pub fn npm_registry(packages: &Packages) -> Probe {
    let (Some(first), true) = (packages.names.first(), has_node()) else { return Ok(()) };
    let mut npm = Command::new("npm");
    npm.args(["view", first, "version", "--fetch-retries=0", "--fetch-timeout=10000", "--cache"]);
    match ask(npm.arg(tools_dir().join("npm-cache")), INDEX) {
        Ok(_) => Ok(()),
        Err(why) => missing(
            format!("{}: npm cannot get them from its registry ({why})", packages.names.join(", ")),
            "npm config get registry shows it; npm config set proxy, or a network, mends it",
        ),
    }
}

/// A Node with npm on the `PATH` that is new enough.
pub fn has_node() -> bool {
    if !has("npm") {
        return false;
    }
    let version = ask(Command::new("node").arg("--version"), QUICK).unwrap_or_default();
    node_version(version.trim()).is_some_and(|major| major >= OLDEST_NODE)
}

/// `v20.20.2`
fn node_version(text: &str) -> Option<u32> {
    text.strip_prefix('v')?.split('.').next()?.parse().ok()
}

/// A program of a Debian package: on the `PATH`, fetched before, or to be had.
pub fn debian(tool: &Debian) -> Probe {
    if has_debian(tool) {
        return Ok(());
    }
    debian_packages().map_err(|missing| Missing {
        what: format!("{} ({})", tool.name, missing.what),
        mend: format!("install it; on Debian: apt-get install {}", tool.package),
    })
}

pub fn has_debian(tool: &Debian) -> bool {
    tool.programs.iter().any(|program| has(program)) || tools_dir().join(tool.folder()).is_dir()
}

/// Debian's packages can be fetched and unpacked; nobody has to be root for that.
pub fn debian_packages() -> Probe {
    for program in ["apt-get", "dpkg"] {
        if which(program).is_none() {
            return missing("this is no Debian to get it from", "");
        }
    }
    match update_lists() {
        Ok(()) => Ok(()),
        Err(why) => missing(format!("apt-get update: {why}"), "apt-get update"),
    }
}

/// Debian's lists of packages, read into folders of our own, at most once an hour.
fn update_lists() -> Result<(), String> {
    let stamp = tools_dir().join("apt/updated");
    let lock = tools_dir().join("apt.lock");
    fs::create_dir_all(tools_dir().join("apt")).map_err(|error| error.to_string())?;
    let lock = File::create(lock).map_err(|error| error.to_string())?;
    lock.lock().map_err(|error| error.to_string())?;
    let age = stamp.metadata().and_then(|data| data.modified()).map(|time| time.elapsed());
    if age.is_ok_and(|age| age.is_ok_and(|age| age < HOUR)) {
        return Ok(());
    }
    let apt = &mut apt_get().map_err(|error| error.to_string())?;
    ask(apt.arg("update"), APT)?;
    File::create(stamp).map(drop).map_err(|error| error.to_string())
}

/// apt-get with its lists under `target/tools`, so that it works for everybody and changes nothing
/// on the machine. What is installed is known.
pub fn apt_get() -> std::io::Result<Command> {
    let dir = tools_dir().join("apt");
    for part in ["lists/partial", "cache/archives/partial"] {
        fs::create_dir_all(dir.join(part))?;
    }
    // A list of settings in a file, because a value in `-o` must not have spaces.
    let config = dir.join("apt.conf");
    fs::write(&config, apt_settings(&dir))?;
    let mut apt = Command::new("apt-get");
    apt.arg("-qq").env("APT_CONFIG", config).env("DEBIAN_FRONTEND", "noninteractive");
    Ok(apt)
}

fn apt_settings(dir: &Path) -> String {
    let dir = dir.display();
    format!(
        "Dir::State::lists \"{dir}/lists\";\nDir::Cache \"{dir}/cache\";\nAPT::Sandbox::User \"root\";\n\
         Acquire::Retries \"1\";\nAcquire::http::Timeout \"20\";\nAcquire::https::Timeout \"20\";\n\
         Acquire::Languages \"none\";\n"
    )
}

/// The mend for Debian, and for others.
fn install(debian: &str, others: &str) -> String {
    if !has("apt-get") {
        return others.to_owned();
    }
    // Who is not root says who is.
    let root = ask(Command::new("id").arg("-u"), QUICK).is_ok_and(|id| id.trim() == "0");
    if root { debian.to_owned() } else { format!("sudo {debian}") }
}

/// The cargo that runs this.
pub fn cargo() -> PathBuf {
    env::var_os("CARGO").map_or_else(|| "cargo".into(), PathBuf::from)
}

fn rustc() -> PathBuf {
    env::var_os("RUSTC").map_or_else(|| "rustc".into(), PathBuf::from)
}

const QUICK: Duration = Duration::from_secs(30);
const INDEX: Duration = Duration::from_secs(40);
const RUSTUP: Duration = Duration::from_secs(60);
const APT: Duration = Duration::from_secs(90);
const DOWNLOAD: Duration = Duration::from_secs(600);
const HOUR: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_they_are_printed() {
        assert_eq!(python_version("Python 3.11.2"), Some((3, 11)));
        assert_eq!(python_version("Python 3.13.0rc1"), Some((3, 13)));
        assert_eq!(python_version(""), None);
        assert_eq!(node_version("v20.20.2"), Some(20));
        assert_eq!(node_version("20"), None);
    }

    #[test]
    fn a_version_is_listed_as_a_whole() {
        let answer = "envoy (1.40.0)\nAvailable versions: 1.40.0, 1.39.10\n";
        assert!(lists(answer, "1.40.0") && lists(answer, "1.39.10"));
        assert!(!lists(answer, "1.39.1"));
    }
}
