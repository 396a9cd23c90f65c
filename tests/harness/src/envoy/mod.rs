//! A real Envoy, started from a configuration and stopped when it is dropped.
//!
//! Envoy chooses its own free ports (port 0), so parallel tests never race for one.

mod admin;
mod bootstrap;

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

pub use admin::Admin;
pub use bootstrap::{Bootstrap, Plugin, free_port};

use crate::process::{Lifetime, Process, Usage};
use crate::{root, shell, target_dir, tools, wait_for};

/// How to start an Envoy.
#[derive(Clone, Debug)]
pub struct Launch {
    bootstrap: Bootstrap,
    concurrency: u32,
    log_level: String,
    lifetime: Lifetime,
    dir: Option<PathBuf>,
    env: Vec<(String, String)>,
    args: Vec<String>,
}

impl Launch {
    /// One worker, log level `info`, a new folder for its files. The ports are those of the
    /// bootstrap; [`Bootstrap::any_ports`] frees it from them.
    pub fn new(bootstrap: Bootstrap) -> Self {
        Self {
            bootstrap,
            concurrency: 1,
            log_level: "info".into(),
            lifetime: Lifetime::Owner,
            dir: None,
            env: Vec::new(),
            args: Vec::new(),
        }
    }

    pub fn concurrency(mut self, workers: u32) -> Self {
        self.concurrency = workers;
        self
    }

    pub fn log_level(mut self, level: &str) -> Self {
        self.log_level = level.into();
        self
    }

    pub fn lifetime(mut self, lifetime: Lifetime) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// Where configuration, log and access log go.
    pub fn dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = Some(dir.into());
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// A further argument of Envoy's command line.
    pub fn arg(mut self, arg: &str) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Starts it and returns when its workers accept connections. If it refuses to start, the
    /// error ends with what it said.
    pub fn start(self) -> Result<Envoy> {
        let mut envoy = self.spawn()?;
        match envoy.wait_until_ready() {
            Ok(()) => Ok(envoy),
            Err(error) => {
                let complaint = envoy.complaint();
                Err(error.context(format!("{complaint}\n(log: {})", envoy.log_path().display())))
            }
        }
    }

    /// Starts it and expects that it refuses its configuration; returns its log.
    pub fn start_refused(self) -> Result<String> {
        let mut envoy = self.spawn()?;
        match envoy.wait_until_ready() {
            Ok(()) => bail!("Envoy accepted the configuration"),
            Err(_) => Ok(envoy.log()),
        }
    }

    /// Has Envoy read the configuration, and load the filter, without serving anything.
    pub fn validate(self) -> Result<()> {
        let (_, config) = self.write()?;
        let mut validate = Command::new(tools::envoy::find()?);
        validate.current_dir(root()).args(["--mode", "validate", "-c"]).arg(&config);
        validate.args(&self.args).envs(self.env);
        let said = shell::captured(validate, STARTUP * 2)?;
        if !said.status.success() {
            bail!("{}", complaint(&said.stderr));
        }
        Ok(())
    }

    /// The folder for its files, and the configuration in it.
    fn write(&self) -> Result<(PathBuf, PathBuf)> {
        let dir = self.dir.clone().unwrap_or_else(fresh_dir);
        fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
        let config = dir.join("envoy.json");
        fs::write(&config, self.bootstrap.to_string())?;
        Ok((dir, config))
    }

    fn spawn(self) -> Result<Envoy> {
        let (dir, config) = self.write()?;
        let address_file = dir.join("admin-address");
        if address_file.exists() {
            fs::remove_file(&address_file)?;
        }
        let mut command = Command::new(tools::envoy::find()?);
        command
            .current_dir(root())
            .arg("-c")
            .arg(&config)
            .arg("--admin-address-path")
            .arg(&address_file)
            .args(["--concurrency", &self.concurrency.to_string()])
            .args(["--log-level", &self.log_level])
            .args(["--file-flush-interval-msec", "20"])
            .args(["--disable-hot-restart", "--drain-time-s", "5"])
            .args(&self.args)
            .envs(self.env)
            .stdin(Stdio::null())
            .stdout(File::create(dir.join(ACCESS_LOG))?)
            .stderr(File::create(dir.join(LOG))?);
        let process = Process::spawn("Envoy", command, self.lifetime)?;
        Ok(Envoy { process, admin: Admin::unknown(), address_file, dir })
    }
}

/// A running Envoy.
#[derive(Debug)]
pub struct Envoy {
    process: Process,
    admin: Admin,
    address_file: PathBuf,
    dir: PathBuf,
}

impl Envoy {
    pub fn admin(&self) -> &Admin {
        &self.admin
    }

    /// Where the listener of that name really listens.
    pub fn address(&self, listener: &str) -> Result<SocketAddr> {
        self.admin.listener(listener)
    }

    /// `http://ADDRESS` of a listener, without a slash at the end.
    pub fn url(&self, listener: &str) -> Result<String> {
        Ok(format!("http://{}", self.address(listener)?))
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    pub fn usage(&self) -> Result<Usage> {
        self.process.usage()
    }

    /// How it ended, if it did.
    pub fn exited(&mut self) -> Result<Option<ExitStatus>> {
        self.process.exited()
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        read_lossy(&self.log_path())
    }

    pub fn log_path(&self) -> PathBuf {
        self.dir.join(LOG)
    }

    pub fn access_log_path(&self) -> PathBuf {
        self.dir.join(ACCESS_LOG)
    }

    /// The entries of the JSON access log that goes to the standard output.
    pub fn access_log(&self) -> Vec<Value> {
        let text = read_lossy(&self.access_log_path());
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Waits for an entry: they are written when a request has ended, a moment after its answer.
    pub fn access_log_entry(&self, is_it: impl Fn(&Value) -> bool) -> Result<Value> {
        wait_for("the access log entry", PATIENCE, || {
            Ok(self.access_log().into_iter().find(|entry| is_it(entry)))
        })
    }

    /// Waits for a piece of text in the log.
    pub fn wait_for_log(&self, text: &str) -> Result<()> {
        wait_for(&format!("{text:?} in Envoy's log"), PATIENCE, || {
            Ok(self.log().contains(text).then_some(()))
        })
    }

    /// Ends it as an operator would.
    pub fn stop(mut self) -> Result<ExitStatus> {
        self.process.stop(PATIENCE)
    }

    /// Leaves it running; returns its pid.
    pub fn release(mut self) -> u32 {
        self.process.release()
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let address = wait_for("Envoy's admin interface", STARTUP, || {
            if let Some(status) = self.process.exited()? {
                bail!("Envoy ended ({status})");
            }
            // The file appears empty for a moment.
            Ok(read_lossy(&self.address_file).trim().parse().ok())
        })?;
        self.admin = Admin::new(address);
        wait_for("Envoy", STARTUP, || {
            if let Some(status) = self.process.exited()? {
                bail!("Envoy ended ({status})");
            }
            Ok(self.admin.is_ready().then_some(()))
        })
    }

    fn complaint(&self) -> String {
        complaint(&self.log())
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("Envoy's log: {}\n{}", self.log_path().display(), self.complaint());
        }
    }
}

/// The part of a log that says what is wrong.
fn complaint(log: &str) -> String {
    let serious = |line: &&str| line.contains("[critical]") || line.contains("[error]");
    let complaints: Vec<_> = log.lines().filter(serious).collect();
    if complaints.is_empty() {
        let lines: Vec<_> = log.lines().collect();
        return lines[lines.len().saturating_sub(10)..].join("\n");
    }
    complaints.join("\n")
}

/// A folder that no other Envoy of any run uses at the same time.
fn fresh_dir() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    target_dir().join("e2e").join(format!("envoy-{}-{count}", std::process::id()))
}

fn read_lossy(path: &Path) -> String {
    fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

const LOG: &str = "envoy.log";
const ACCESS_LOG: &str = "access.log";
const STARTUP: Duration = Duration::from_secs(30);
const PATIENCE: Duration = Duration::from_secs(10);
