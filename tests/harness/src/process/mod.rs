//! Child processes that end with the process that started them, unless they are meant to stay.

mod guard;

use std::fs;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus};
use std::sync::{LazyLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal};

/// A running child. Dropping it kills the child with all that it has started, and collects its exit
/// status.
#[derive(Debug)]
pub struct Process {
    child: Option<Child>,
    name: String,
    lifetime: Lifetime,
}

impl Process {
    pub fn spawn(name: &str, mut command: Command, lifetime: Lifetime) -> Result<Self> {
        // A group of its own: Ctrl-C in the terminal reaches the owner only, which stops its
        // children in order.
        command.process_group(0);
        if lifetime == Lifetime::Owner {
            guard::watch(&mut command);
        }
        let child = match lifetime {
            Lifetime::Owner => spawn_tied(command),
            Lifetime::Detached => command.spawn(),
        };
        let child = child.with_context(|| format!("cannot start {name}"))?;
        Ok(Self { child: Some(child), name: name.into(), lifetime })
    }

    pub fn id(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// How it ended, if it did.
    pub fn exited(&mut self) -> Result<Option<ExitStatus>> {
        let child = self.child.as_mut().context("no child")?;
        child.try_wait().with_context(|| format!("cannot ask for the state of {}", self.name))
    }

    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = self.child.as_ref().map(Pid::from_child).context("no child")?;
        rustix::process::kill_process(pid, signal)
            .with_context(|| format!("cannot signal {}", self.name))
    }

    /// SIGTERM, then SIGKILL for what is still there after `grace`.
    pub fn stop(&mut self, grace: Duration) -> Result<ExitStatus> {
        if let Some(status) = self.exited()? {
            return Ok(status);
        }
        self.signal(Signal::TERM)?;
        let deadline = Instant::now() + grace;
        while Instant::now() < deadline {
            if let Some(status) = self.exited()? {
                return Ok(status);
            }
            thread::sleep(POLL);
        }
        let pid = self.id();
        self.kill();
        bail!("{} (pid {pid}) did not stop within {grace:?} and was killed", self.name)
    }

    /// Waits for its end, but not for ever: `None` if it still runs.
    pub fn wait(&mut self, limit: Duration) -> Result<Option<ExitStatus>> {
        let deadline = Instant::now() + limit;
        loop {
            let status = self.exited()?;
            if status.is_some() || Instant::now() > deadline {
                return Ok(status);
            }
            thread::sleep(POLL);
        }
    }

    /// The pipes that were asked for.
    pub fn pipes(&mut self) -> (Option<ChildStdout>, Option<ChildStderr>) {
        self.child.as_mut().map_or((None, None), |child| (child.stdout.take(), child.stderr.take()))
    }

    /// Leaves the child running; returns its pid.
    pub fn release(&mut self) -> u32 {
        let pid = self.child.take().map_or(0, |child| child.id());
        if self.lifetime == Lifetime::Owner {
            guard::forget(pid);
        }
        pid
    }

    /// The child, and what it has started and left in its group.
    fn kill(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let group = child.id();
        let _ = rustix::process::kill_process_group(Pid::from_child(&child), Signal::KILL);
        let _ = child.kill();
        let _ = child.wait();
        if self.lifetime == Lifetime::Owner {
            guard::forget(group);
        }
    }

    /// What it has used so far. Linux only: read from `/proc`.
    pub fn usage(&self) -> Result<Usage> {
        Usage::of(self.id())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Whether a child outlives its owner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lifetime {
    /// Killed by the kernel when the owner dies, however it dies (Linux); else when dropped.
    #[default]
    Owner,
    Detached,
}

/// Processor time and memory of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// User and system time of all its threads.
    pub cpu: Duration,
    pub resident_bytes: u64,
}

impl Usage {
    pub fn of(pid: u32) -> Result<Self> {
        let read = |file: &str| {
            let path = format!("/proc/{pid}/{file}");
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))
        };
        Self::parse(&read("stat")?, &read("statm")?).context("unknown format of /proc")
    }

    fn parse(stat: &str, statm: &str) -> Option<Self> {
        // The command name, in parentheses, may hold spaces: fields count from behind it.
        let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
        let user: u64 = fields.next()?.parse().ok()?;
        let system: u64 = fields.next()?.parse().ok()?;
        let pages: u64 = statm.split_ascii_whitespace().nth(1)?.parse().ok()?;
        let ticks = rustix::param::clock_ticks_per_second();
        Some(Self {
            cpu: Duration::from_micros((user + system) * 1_000_000 / ticks),
            resident_bytes: pages * rustix::param::page_size() as u64,
        })
    }
}

/// Processor time of all living threads of a process, to the nanosecond. Linux only.
pub fn cpu_time(pid: u32) -> Result<Duration> {
    let mut nanos = 0;
    for thread in threads(pid)? {
        // A thread that ended since it was listed has no file any more.
        let schedstat = fs::read_to_string(format!("/proc/{pid}/task/{thread}/schedstat"));
        let Ok(schedstat) = schedstat else { continue };
        let used = schedstat.split_ascii_whitespace().next().and_then(|used| used.parse().ok());
        nanos += used.unwrap_or(0_u64);
    }
    if nanos == 0 {
        // A kernel without CONFIG_SCHED_INFO counts in ticks only.
        return Ok(Usage::of(pid)?.cpu);
    }
    Ok(Duration::from_nanos(nanos))
}

/// Keeps all threads of a process on one processor, if this process may use one of that number.
/// Threads that they start later stay there too. Linux only.
pub fn pin(pid: u32, processor: usize) -> Result<()> {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
    // Asked once: pinning this process itself changes the answer.
    static USABLE: LazyLock<CpuSet> =
        LazyLock::new(|| sched_getaffinity(None).unwrap_or_else(|_| CpuSet::new()));
    if !USABLE.is_set(processor) {
        return Ok(());
    }
    let mut set = CpuSet::new();
    set.set(processor);
    for thread in threads(pid)? {
        sched_setaffinity(Pid::from_raw(thread), &set)
            .with_context(|| format!("cannot keep process {pid} on processor {processor}"))?;
    }
    Ok(())
}

fn threads(pid: u32) -> Result<Vec<i32>> {
    let path = format!("/proc/{pid}/task");
    let entries = fs::read_dir(&path).with_context(|| format!("cannot read {path}"))?;
    Ok(entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect())
}

/// The address in the line `listening http://ADDRESS` of a server's output; such servers choose
/// their own free port.
pub fn announced_address(output: &Path) -> Result<Option<SocketAddr>> {
    let bytes = fs::read(output).with_context(|| format!("cannot read {}", output.display()))?;
    let text = String::from_utf8_lossy(&bytes);
    // A line that is still being written has no end yet.
    text.split_inclusive('\n')
        .filter(|line| line.ends_with('\n'))
        .find_map(|line| line.strip_prefix("listening http://"))
        .map(|address| address.trim().parse().context("the server announces no address"))
        .transpose()
}

/// The kernel ties a child to the *thread* that started it, and test threads end early: one thread
/// that lives as long as this process starts them all.
fn spawn_tied(command: Command) -> std::io::Result<Child> {
    type Job = (Command, mpsc::Sender<std::io::Result<Child>>);
    static SPAWNER: LazyLock<mpsc::Sender<Job>> = LazyLock::new(|| {
        let (sender, jobs) = mpsc::channel::<Job>();
        thread::spawn(move || {
            for (mut command, reply) in jobs {
                die_with_parent(&mut command);
                let _ = reply.send(command.spawn());
            }
        });
        sender
    });
    let gone = || std::io::Error::other("the spawner thread is gone");
    let (reply, child) = mpsc::channel();
    SPAWNER.send((command, reply)).map_err(|_| gone())?;
    child.recv().map_err(|_| gone())?
}

#[cfg(target_os = "linux")]
fn die_with_parent(command: &mut Command) {
    // SAFETY: between fork and exec only one system call is made, which neither allocates nor locks.
    unsafe {
        command
            .pre_exec(|| Ok(rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?));
    }
}

#[cfg(not(target_os = "linux"))]
fn die_with_parent(_: &mut Command) {}

const POLL: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    fn sleeper(lifetime: Lifetime) -> Process {
        let mut command = Command::new("sh");
        command.args(["-c", "exec sleep 600"]);
        Process::spawn("sleep", command, lifetime).unwrap()
    }

    fn is_alive(pid: u32) -> bool {
        let pid = Pid::from_raw(pid.try_into().unwrap()).unwrap();
        rustix::process::test_kill_process(pid).is_ok()
    }

    #[test]
    fn a_dropped_child_is_gone_and_leaves_no_zombie() {
        let process = sleeper(Lifetime::Owner);
        let pid = process.id();
        assert!(is_alive(pid));
        drop(process);
        assert!(!is_alive(pid));
    }

    /// A shell and its own child, whose number goes to the file.
    fn family(output: &Path) -> Process {
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 600 & echo $!; wait"]).stdout(fs::File::create(output).unwrap());
        Process::spawn("sh", command, Lifetime::Owner).unwrap()
    }

    fn grandchild(output: &Path) -> u32 {
        crate::wait_for("a child of the child", PATIENCE, || {
            Ok(fs::read_to_string(output).unwrap_or_default().trim().parse::<u32>().ok())
        })
        .unwrap()
    }

    fn wait_for_the_end_of(pid: u32) {
        crate::wait_for("its end", PATIENCE, || {
            // Whoever takes in orphans may not have collected it yet.
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            Ok((stat.is_empty() || stat.contains(") Z ")).then_some(()))
        })
        .unwrap();
    }

    #[test]
    fn a_dropped_child_takes_its_own_children_with_it() {
        let output = std::env::temp_dir().join(format!("family-{}", std::process::id()));
        let process = family(&output);
        let grandchild = grandchild(&output);
        assert!(is_alive(grandchild));
        drop(process);
        wait_for_the_end_of(grandchild);
        fs::remove_file(output).unwrap();
    }

    /// The kernel ends the child of a process that was killed; the guard ends the child's child.
    #[test]
    fn a_killed_process_leaves_nobody_behind() {
        const OUTPUT: &str = "OUTPUT_OF_THE_FAMILY";
        if let Some(output) = std::env::var_os(OUTPUT) {
            // This is the process that is killed.
            let _family = family(Path::new(&output));
            thread::sleep(PATIENCE * 10);
            return;
        }
        let output = std::env::temp_dir().join(format!("killed-{}", std::process::id()));
        let mut own = Command::new(std::env::current_exe().unwrap());
        own.args(["--exact", "process::tests::a_killed_process_leaves_nobody_behind"]);
        own.env(OUTPUT, &output).stdout(Stdio::null());
        let mut owner = own.spawn().unwrap();
        let grandchild = grandchild(&output);
        owner.kill().unwrap();
        owner.wait().unwrap();
        wait_for_the_end_of(grandchild);
        fs::remove_file(output).unwrap();
    }

    #[test]
    fn a_child_survives_the_thread_that_asked_for_it() {
        let mut process = thread::spawn(|| sleeper(Lifetime::Owner)).join().unwrap();
        thread::sleep(POLL * 5);
        assert_eq!(process.exited().unwrap(), None);
    }

    #[test]
    fn stopping_reports_how_the_child_ended() {
        use std::os::unix::process::ExitStatusExt;
        let status = sleeper(Lifetime::Owner).stop(Duration::from_secs(5)).unwrap();
        assert_eq!(status.signal(), Some(Signal::TERM.as_raw()));
    }

    #[test]
    fn a_released_child_stays() {
        let pid = sleeper(Lifetime::Detached).release();
        assert!(is_alive(pid));
        let pid = Pid::from_raw(pid.try_into().unwrap()).unwrap();
        rustix::process::kill_process(pid, Signal::KILL).unwrap();
    }

    #[test]
    fn usage_is_read_behind_a_command_name_with_spaces_and_parentheses() {
        let stat = "7 (a ) b) S 1 2 3 4 5 6 7 8 9 10 30 20 0 0 20 0 1";
        let usage = Usage::parse(stat, "100 3 2 1").unwrap();
        let tick = 1_000_000 / rustix::param::clock_ticks_per_second();
        assert_eq!(usage.cpu, Duration::from_micros(50 * tick));
        assert_eq!(usage.resident_bytes, 3 * rustix::param::page_size() as u64);
    }

    #[test]
    fn an_address_is_announced_by_a_whole_line_among_others() {
        let output = std::env::temp_dir().join(format!("announced-{}", std::process::id()));
        for (text, port) in [
            (&b"\xff loading\n"[..], None),
            (b"loading\nlistening http://127.0.0.1:8", None),
            (b"loading\nlistening http://127.0.0.1:81\nmore", Some(81)),
        ] {
            fs::write(&output, text).unwrap();
            assert_eq!(announced_address(&output).unwrap().map(|address| address.port()), port);
        }
        fs::remove_file(output).unwrap();
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn usage_of_this_process_is_not_nothing() {
        assert!(Usage::of(std::process::id()).unwrap().resident_bytes > 1 << 20);
    }
}
