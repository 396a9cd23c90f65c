//! A watcher that ends the children of this process, and theirs, when this process is gone, however
//! it went. The kernel could tell the children themselves, but not those that they have started.

use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::LazyLock;

/// The watcher's standard input. It ends with this process.
static GUARD: LazyLock<Option<ChildStdin>> = LazyLock::new(start);

/// Has the command's process group ended when this process ends. The child says so itself, before
/// it becomes the program: there is no moment in which nobody knows of it.
pub(super) fn watch(command: &mut Command) {
    let Some(input) = &*GUARD else {
        // The children that this process knows are still tied to it.
        return;
    };
    // SAFETY: between fork and exec only system calls are made, which neither allocate nor lock.
    unsafe {
        command.pre_exec(move || {
            let group = rustix::process::getpid().as_raw_nonzero().get().unsigned_abs();
            let mut line = [0; LINE];
            let _ = rustix::io::write(input.as_fd(), written(b'+', group, &mut line));
            Ok(())
        });
    }
}

/// The group is gone, or shall stay.
pub(super) fn forget(group: u32) {
    if let Some(input) = &*GUARD {
        let _ = rustix::io::write(input.as_fd(), written(b'-', group, &mut [0; LINE]));
    }
}

/// `+ 123`, in one write, which no other interrupts.
fn written(what: u8, group: u32, line: &mut [u8; LINE]) -> &[u8] {
    let mut at = LINE - 1;
    line[at] = b'\n';
    let mut rest = group;
    loop {
        at -= 1;
        line[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    line[at - 1] = b' ';
    line[at - 2] = what;
    &line[at - 2..]
}

/// A sign, a space, ten digits and a line's end.
const LINE: usize = 13;

fn start() -> Option<ChildStdin> {
    let mut shell = Command::new("sh");
    // A group of its own: what is sent to this process' group is not meant for it.
    shell.args(["-c", SCRIPT, "guard"]).process_group(0);
    shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    shell.spawn().ok()?.stdin.take()
}

const SCRIPT: &str = r#"trap '' HUP INT TERM
groups=' '
while read -r what group; do
  case $what in
  +) groups="$groups$group " ;;
  -) case $groups in *" $group "*) groups="${groups%%" $group "*} ${groups#*" $group "}" ;; esac ;;
  esac
done
for group in $groups; do kill -s KILL -- "-$group"; done
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_written_as_a_line() {
        for (group, line) in [(7, "+ 7\n"), (1234, "+ 1234\n"), (u32::MAX, "+ 4294967295\n")] {
            assert_eq!(written(b'+', group, &mut [0; LINE]), line.as_bytes());
        }
    }
}
