//! Running other programs to their end. None runs for ever, and none outlives this process.

use std::io::Read;
use std::process::{Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
pub use preflight::shell::{has, which};

use crate::process::{Lifetime, Process};

/// Runs a command and fails unless it succeeds.
pub fn run(command: Command) -> Result<()> {
    let name = name(&command);
    match run_within(command, LONG)? {
        Some(status) if status.success() => Ok(()),
        Some(status) => bail!("{name} failed ({status})"),
        None => bail!("{name} took longer than {LONG:?} and was stopped"),
    }
}

/// Runs a command and kills it after `limit`; `None` when it had to be killed.
pub fn run_within(mut command: Command, limit: Duration) -> Result<Option<ExitStatus>> {
    let name = name(&command);
    // In a group of its own it may not read from the terminal.
    command.stdin(Stdio::null());
    Process::spawn(&name, command, Lifetime::Owner)?.wait(limit)
}

/// What a command prints, trimmed.
pub fn output(command: Command) -> Result<String> {
    let name = name(&command);
    let said = captured(command, LONG)?;
    if !said.status.success() {
        bail!("{name} failed ({}): {}", said.status, said.stderr.trim());
    }
    Ok(said.stdout.trim().to_owned())
}

/// What a command printed, and how it ended.
#[derive(Clone, Debug)]
pub struct Said {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

/// Runs a command, keeps what it prints, and kills it after `limit`; the error then has what it
/// printed until there.
pub fn captured(mut command: Command, limit: Duration) -> Result<Said> {
    let name = name(&command);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = Process::spawn(&name, command, Lifetime::Owner)?;
    let (stdout, stderr) = process.pipes();
    let (stdout, stderr) = (reader(stdout), reader(stderr));
    let status = process.wait(limit)?;
    // What it has left behind would hold the pipes open.
    drop(process);
    let (stdout, stderr) = (joined(stdout), joined(stderr));
    match status {
        Some(status) => Ok(Said { status, stdout, stderr }),
        None => bail!("{name} did not end within {limit:?}. It said: {stdout}{stderr}"),
    }
}

fn reader(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            let _ = pipe.read_to_end(&mut bytes);
        }
        bytes
    })
}

fn joined(reader: JoinHandle<Vec<u8>>) -> String {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !reader.is_finished() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(1));
    }
    let bytes = if reader.is_finished() { reader.join().unwrap_or_default() } else { Vec::new() };
    String::from_utf8_lossy(&bytes).into_owned()
}

fn name(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

/// The builds of the filter, and installations over a slow network.
const LONG: Duration = Duration::from_secs(30 * 60);

/// Loopback is never behind a proxy, whatever the environment says: for commands that talk to this
/// machine, and perhaps to others too.
pub fn with_direct_loopback(command: &mut Command) -> &mut Command {
    for name in ["no_proxy", "NO_PROXY"] {
        let given = std::env::var(name).unwrap_or_default();
        command.env(name, format!("{LOOPBACK}{}{given}", if given.is_empty() { "" } else { "," }));
    }
    command
}

const LOOPBACK: &str = "127.0.0.1,localhost,::1";

/// For commands that talk to this machine only.
pub fn without_proxies(command: &mut Command) -> &mut Command {
    for name in PROXIES {
        command.env_remove(name);
    }
    command
}

const PROXIES: [&str; 6] =
    ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"];

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_command_that_takes_too_long_is_killed_with_its_children() {
        assert_eq!(run_within(sh("sleep 600"), Duration::from_millis(50)).unwrap(), None);
        let began = Instant::now();
        let error = captured(sh("echo waiting; sleep 600 & sleep 600"), Duration::from_millis(300));
        let error = error.unwrap_err().to_string();
        assert!(error.contains("did not end within") && error.contains("waiting"), "{error}");
        assert!(began.elapsed() < Duration::from_secs(60));
    }

    #[test]
    fn a_failing_command_is_an_error_that_names_it() {
        let error = run(sh("exit 3")).unwrap_err().to_string();
        assert!(error.contains("sh failed"), "{error}");
        let error = output(sh("echo why >&2; exit 3")).unwrap_err().to_string();
        assert!(error.contains("why"), "{error}");
    }
}
