//! Saying what takes long.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Something that is going on. It is said at the beginning, from time to time, and, if it took long,
/// at the end.
#[derive(Debug)]
pub struct Step {
    what: String,
    began: Instant,
    end: Option<Sender<()>>,
    ticker: Option<JoinHandle<()>>,
}

impl Step {
    pub fn begin(what: impl Into<String>) -> Self {
        Self::measured(what.into(), None)
    }

    /// A download into a folder that grows by this much.
    pub fn download(what: impl Into<String>, dir: &Path, megabytes: u32) -> Self {
        let what = format!("{} ({megabytes} MB)", what.into());
        Self::measured(what, Some((dir.to_owned(), megabytes)))
    }

    /// Something whose beginning was said otherwise.
    pub fn ticking(what: impl Into<String>) -> Self {
        Self::start(what.into(), None)
    }

    fn measured(what: String, dir: Option<(PathBuf, u32)>) -> Self {
        say(&what);
        Self::start(what, dir)
    }

    fn start(what: String, dir: Option<(PathBuf, u32)>) -> Self {
        let began = Instant::now();
        let (end, ended) = mpsc::channel::<()>();
        let name = what.clone();
        let ticker = thread::spawn(move || {
            let mut interval = FIRST;
            while ended.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
                interval = (interval * 2).min(LONGEST);
                let so_far = dir.as_ref().map(|(dir, megabytes)| {
                    format!(", {} of {megabytes} MB", (size(dir) >> 20).min((*megabytes).into()))
                });
                let seconds = began.elapsed().as_secs();
                say(&format!("  still {name}: {seconds} s{}", so_far.unwrap_or_default()));
            }
        });
        Self { what, began, end: Some(end), ticker: Some(ticker) }
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(ticker) = self.ticker.take() {
            let _ = ticker.join();
        }
        if self.began.elapsed() >= FIRST {
            let seconds = self.began.elapsed().as_secs();
            say(&format!("  took {seconds} s: {}", self.what));
        }
    }
}

/// A line that a test's captured output does not swallow: a test that hangs shows what it does.
pub fn say(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// The bytes in the files under a folder.
fn size(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let of = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(data) if data.is_dir() => size(&entry.path()),
        Ok(data) => data.len(),
        Err(_) => 0,
    };
    entries.map(of).sum()
}

const FIRST: Duration = Duration::from_secs(15);
const LONGEST: Duration = Duration::from_secs(60);
