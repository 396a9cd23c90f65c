//! A Redis, and a webdis in front of it, for tests: the second level of the cache.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::envoy::free_port;
use crate::process::{Lifetime, Process};
use crate::tools::debian;
use crate::wait_for;

/// A Redis that keeps nothing when it ends. It listens on a socket in its folder only.
#[derive(Debug)]
pub struct Redis {
    process: Process,
    socket: PathBuf,
}

impl Redis {
    /// `dir` must not be longer than the name of a socket may be.
    pub fn start(dir: &Path) -> Result<Self> {
        fs::create_dir_all(dir)?;
        let socket = dir.join("redis.sock");
        let mut command = debian::redis_server()?;
        command.args(["--port", "0", "--save", "", "--appendonly", "no"]);
        command.arg("--unixsocket").arg(&socket).arg("--dir").arg(dir);
        command.stdin(Stdio::null()).stdout(File::create(dir.join("redis.log"))?);
        let mut redis =
            Self { process: Process::spawn("Redis", command, Lifetime::Owner)?, socket };
        wait_for("Redis", PATIENCE, || {
            if let Some(status) = redis.process.exited()? {
                bail!("Redis ended ({status}): see {}", dir.display());
            }
            Ok(redis.command("PING").ok().filter(|answer| answer == "+PONG"))
        })?;
        Ok(redis)
    }

    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// What it answers to an inline command, in its own protocol.
    pub fn command(&self, command: &str) -> Result<String> {
        let mut stream = UnixStream::connect(&self.socket)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(format!("{command}\r\nQUIT\r\n").as_bytes())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        Ok(answer.trim_end_matches("+OK\r\n").trim_end().to_owned())
    }

    pub fn keys(&self) -> Result<Vec<String>> {
        let answer = self.command("KEYS *")?;
        let lines = answer.lines().filter(|line| !line.starts_with(['*', '$']));
        Ok(lines.map(str::to_owned).collect())
    }

    pub fn stop(mut self) -> Result<()> {
        self.process.stop(PATIENCE).map(drop)
    }
}

/// A webdis that takes its `configuration` but for where it listens and where its Redis is.
#[derive(Debug)]
pub struct Webdis {
    process: Process,
    address: SocketAddr,
}

impl Webdis {
    pub fn start(dir: &Path, configuration: &Value, redis: &Path) -> Result<Self> {
        Self::start_at(dir, configuration, redis, (Ipv4Addr::LOCALHOST, free_port()).into())
    }

    pub fn start_at(
        dir: &Path,
        configuration: &Value,
        redis: &Path,
        address: SocketAddr,
    ) -> Result<Self> {
        fs::create_dir_all(dir)?;
        let mut configuration = configuration.clone();
        for (key, value) in [
            ("redis_host", json!(redis)),
            ("http_host", json!(address.ip())),
            ("http_port", json!(address.port())),
            ("logfile", json!(dir.join("webdis.log"))),
        ] {
            configuration[key] = value;
        }
        let file = dir.join("webdis.json");
        fs::write(&file, configuration.to_string())?;
        let mut command = debian::webdis()?;
        command.arg(&file).stdin(Stdio::null());
        command.stdout(File::create(dir.join("webdis.out"))?);
        let mut process = Process::spawn("webdis", command, Lifetime::Owner)?;
        wait_for("webdis", PATIENCE, || {
            if let Some(status) = process.exited()? {
                bail!("webdis ended ({status}): see {}", dir.display());
            }
            Ok(TcpStream::connect(address).ok().map(drop))
        })?;
        Ok(Self { process, address })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// It takes connections and answers nothing.
    pub fn freeze(&self) -> Result<()> {
        self.process.signal(Signal::STOP).context("webdis")
    }

    pub fn thaw(&self) -> Result<()> {
        self.process.signal(Signal::CONT).context("webdis")
    }
}

const PATIENCE: Duration = Duration::from_secs(20);
