//! Asking other programs, for a limited time.

use std::env;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// The program of that name on the `PATH`.
pub fn which(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|dir| dir.join(program)).find(|path| path.is_file())
}

pub fn has(program: &str) -> bool {
    which(program).is_some()
}

/// What a command says on both channels, if it succeeds within the limit; else the last line of
/// what it said, or why there is none.
pub fn ask(command: &mut Command, limit: Duration) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("{name} does not start: {error}"))?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let (out, err) = (thread::spawn(|| read(out)), thread::spawn(|| read(err)));
    let deadline = Instant::now() + limit;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < deadline => thread::sleep(Duration::from_millis(5)),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("no answer within {} s", limit.as_secs()));
            }
        }
    };
    // Whoever still holds the pipes, such as a child of the child, is not waited for.
    let said = |reader: thread::JoinHandle<String>| {
        let patience = Instant::now() + Duration::from_secs(1);
        while !reader.is_finished() && Instant::now() < patience {
            thread::sleep(Duration::from_millis(5));
        }
        if reader.is_finished() { reader.join().unwrap_or_default() } else { String::new() }
    };
    let (out, err) = (said(out), said(err));
    if status.success() {
        return Ok(format!("{out}{err}"));
    }
    let last = out.lines().chain(err.lines()).rfind(|line| !line.trim().is_empty());
    let last = last.map_or_else(|| status.to_string(), |line| line.trim().to_owned());
    Err(last)
}

fn read(pipe: Option<impl Read>) -> String {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        let _ = pipe.read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn an_answer_is_all_that_was_said_and_a_failure_is_its_last_line() {
        let limit = Duration::from_secs(20);
        assert_eq!(ask(&mut sh("echo a; echo b >&2"), limit), Ok("a\nb\n".into()));
        assert_eq!(ask(&mut sh("echo why >&2; exit 3"), limit), Err("why".into()));
        assert!(ask(&mut Command::new("/no/such/program"), limit).is_err());
    }

    #[test]
    fn who_does_not_answer_is_not_waited_for() {
        let began = Instant::now();
        let answer = ask(&mut sh("sleep 600"), Duration::from_millis(50));
        assert!(answer.unwrap_err().contains("no answer"));
        assert!(began.elapsed() < Duration::from_secs(60));
    }
}
