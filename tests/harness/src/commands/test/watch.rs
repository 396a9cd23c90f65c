//! Running the stages: none for ever, and nothing is left of one that was stopped.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::tally::Tally;
use crate::process::{Lifetime, Process};
use crate::progress::Step;

/// The whole run.
pub(super) struct Run {
    limit: Duration,
    deadline: Instant,
}

impl Run {
    pub(super) fn begin(limit: Duration) -> Self {
        Self { limit, deadline: Instant::now() + limit }
    }

    /// Something that this process does itself.
    pub(super) fn step<T: Send + 'static>(
        &self,
        name: &str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        println!("== {name}");
        let (sender, done) = mpsc::channel();
        thread::spawn(move || sender.send(work()));
        loop {
            match done.recv_timeout(POLL) {
                Ok(done) => return Ok(done),
                Err(RecvTimeoutError::Timeout) => self.go_on(name)?,
                Err(RecvTimeoutError::Disconnected) => bail!("{name} broke off"),
            }
        }
    }

    /// A stage that passes or fails as a whole.
    pub(super) fn check(&self, name: &str, mut command: Command, mend: &str) -> Result<Tally> {
        println!("== {name}");
        let _step = Step::ticking(name);
        command.stdin(Stdio::null());
        let mut process = Process::spawn(name, command, Lifetime::Owner)?;
        while process.wait(POLL)?.is_none() {
            self.go_on(name)?;
        }
        if process.exited()?.is_some_and(|status| status.success()) {
            return Ok(Tally { passed: 1, ..Tally::default() });
        }
        println!("{name}: failed\n  mend: {mend}");
        Ok(Tally { failed: 1, ..Tally::default() })
    }

    /// Runs `cargo test`, passes its output on as it comes and counts the results in it.
    pub(super) fn tests(&self, name: &str, mut command: Command) -> Result<Tally> {
        println!("== {name}");
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut process = Process::spawn(name, command, Lifetime::Owner)?;
        let lines = lines(process.pipes().0);
        let mut seen = Seen::new(Instant::now());
        loop {
            match lines.recv_timeout(POLL) {
                Ok(line) => {
                    println!("{line}");
                    seen.line(&line, Instant::now());
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.go_on(name)?;
            if let Some(why) = seen.overdue(Instant::now()) {
                println!("{name}: stopped: {why}");
                return Ok(seen.stopped());
            }
        }
        let mut status: Option<ExitStatus> = None;
        while status.is_none() {
            status = process.wait(POLL)?;
            self.go_on(name)?;
        }
        Ok(seen.ended(status.is_some_and(|status| status.success())))
    }

    /// An error ends the run, and with the run's process all that it has started.
    fn go_on(&self, name: &str) -> Result<()> {
        if Instant::now() > self.deadline {
            bail!(
                "the run took longer than {} minutes and was stopped in {name:?}.\n  mend: find out what hangs, or give it more with --limit",
                self.limit.as_secs() / 60
            );
        }
        Ok(())
    }
}

/// The lines of a pipe, from a thread of their own.
fn lines(pipe: Option<std::process::ChildStdout>) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        let Some(pipe) = pipe else { return };
        for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
            let _ = std::io::stdout().flush();
            if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                return;
            }
        }
    });
    lines
}

/// What the output has told.
struct Seen {
    total: Tally,
    /// Of the test program that runs now.
    current: Tally,
    /// Tests that said that they take long, and since when they run.
    slow: BTreeMap<String, Instant>,
    last: Instant,
}

impl Seen {
    fn new(now: Instant) -> Self {
        Self {
            total: Tally::default(),
            current: Tally::default(),
            slow: BTreeMap::new(),
            last: now,
        }
    }

    fn line(&mut self, line: &str, now: Instant) {
        self.last = now;
        if let Some(tally) = Tally::of_line(line) {
            self.total += tally;
            self.current = Tally::default();
            self.slow.clear();
        } else if let Some(name) = slow(line) {
            self.slow.insert(name.to_owned(), now - WARNING);
        } else if let Some((name, tally)) = Tally::of_test(line) {
            self.slow.remove(name);
            self.current += tally;
        }
    }

    fn overdue(&self, now: Instant) -> Option<String> {
        let late = |since: &&Instant| now.saturating_duration_since(**since) > TEST_LIMIT;
        let late: Vec<_> = self.slow.iter().filter(|(_, since)| late(since)).collect();
        if !late.is_empty() {
            let names: Vec<_> = late.iter().map(|(name, _)| name.as_str()).collect();
            let minutes = TEST_LIMIT.as_secs() / 60;
            return Some(format!(
                "{} did not end within {minutes} minutes; what it waits for stands above",
                names.join(", ")
            ));
        }
        (now.saturating_duration_since(self.last) > SILENCE_LIMIT)
            .then(|| format!("nothing was heard for {} minutes", SILENCE_LIMIT.as_secs() / 60))
    }

    /// It did not end by itself.
    fn stopped(mut self) -> Tally {
        self.total += self.current;
        self.total.failed += self.slow.len().max(1) as u64;
        self.total
    }

    fn ended(mut self, well: bool) -> Tally {
        self.total += self.current;
        // Tests that do not compile, or a test process that crashes, print no result.
        if !well && self.total.failed == 0 {
            self.total.failed = 1;
        }
        self.total
    }
}

/// `test a::b has been running for over 60 seconds`
fn slow(line: &str) -> Option<&str> {
    line.strip_prefix("test ")?.strip_suffix(" has been running for over 60 seconds")
}

const POLL: Duration = Duration::from_millis(100);
/// When a test program says that a test takes long.
const WARNING: Duration = Duration::from_secs(60);
/// No test takes a minute on a quiet machine.
const TEST_LIMIT: Duration = Duration::from_secs(10 * 60);
/// On one processor a test program tells nothing of a test that takes long; a build is silent too.
const SILENCE_LIMIT: Duration = Duration::from_secs(20 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_test_that_hangs_is_named_and_counted_as_failed() {
        let now = Instant::now();
        let mut seen = Seen::new(now);
        seen.line("test a::quick ... ok", now);
        seen.line("test a::slow has been running for over 60 seconds", now);
        seen.line("test a::hangs has been running for over 60 seconds", now);
        seen.line("test a::slow ... ok", now);
        assert_eq!(seen.overdue(now + TEST_LIMIT - WARNING), None);
        let why = seen.overdue(now + TEST_LIMIT).unwrap();
        assert!(why.contains("a::hangs did not end") && !why.contains("a::slow"), "{why}");
        assert_eq!(seen.stopped(), Tally { passed: 2, failed: 1, skipped: 0 });
    }

    #[test]
    fn a_program_that_says_nothing_is_not_waited_for() {
        let now = Instant::now();
        let mut seen = Seen::new(now);
        seen.line("running 3 tests", now);
        assert_eq!(seen.overdue(now + SILENCE_LIMIT), None);
        assert!(seen.overdue(now + SILENCE_LIMIT * 2).unwrap().contains("nothing was heard"));
    }

    #[test]
    fn a_crash_counts_as_a_failure_and_what_was_seen_is_not_lost() {
        let now = Instant::now();
        let mut seen = Seen::new(now);
        seen.line("test a ... ok", now);
        assert_eq!(seen.ended(false), Tally { passed: 1, failed: 1, skipped: 0 });
        let results = "echo 'test a ... ok'; echo 'test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 2 filtered out; x'";
        let tally = Run::begin(Duration::from_secs(60)).tests("results", sh(results)).unwrap();
        assert_eq!(tally, Tally { passed: 1, failed: 0, skipped: 2 });
    }

    #[test]
    fn the_limit_ends_a_run() {
        let began = Instant::now();
        let run = Run::begin(Duration::from_millis(200));
        let error = run.check("slow", sh("sleep 600"), "").unwrap_err().to_string();
        assert!(error.contains("--limit") && error.contains("slow"), "{error}");
        run.tests("slow", sh("sleep 600")).unwrap_err();
        run.step("slow", || thread::sleep(Duration::from_secs(600))).unwrap_err();
        assert!(began.elapsed() < Duration::from_secs(60));
    }
}
