//! Who listens on a port. Linux only, and only what this user may see.

use std::fs;

/// The process, and the name of its program.
pub(super) fn of(port: u16) -> Option<(u32, String)> {
    let sockets: Vec<_> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| {
            table.lines().filter_map(|line| listening(line, port)).collect::<Vec<_>>()
        })
        .collect();
    if sockets.is_empty() {
        return None;
    }
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let pid = { pids }.find(|pid| {
        let files = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        let links = files.filter_map(|file| fs::read_link(file.path()).ok());
        { links }.any(|link| sockets.iter().any(|socket| link.as_os_str() == socket.as_str()))
    })?;
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    Some((pid, name.trim().to_owned()))
}

/// `sl local_address rem_address st ... inode`, of one that listens on the port.
fn listening(line: &str, port: u16) -> Option<String> {
    let fields: Vec<_> = line.split_ascii_whitespace().collect();
    let (_, local) = fields.get(1)?.rsplit_once(':')?;
    let listens = u16::from_str_radix(local, 16).ok()? == port && *fields.get(3)? == "0A";
    listens.then(|| format!("socket:[{}]", fields.get(9).unwrap_or(&"")))
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    #[test]
    fn who_listens_is_known() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(of(port).map(|(pid, _)| pid), Some(std::process::id()));
        drop(listener);
        assert_eq!(of(port), None);
    }

    #[test]
    fn only_a_socket_that_listens_counts() {
        let line = |state: &str| {
            format!(
                "  0: 0100007F:2710 00000000:0000 {state} 00000000:00000000 00:00000000 0 0 0 42 1"
            )
        };
        assert_eq!(listening(&line("0A"), 10000).as_deref(), Some("socket:[42]"));
        assert_eq!(listening(&line("01"), 10000), None);
        assert_eq!(listening(&line("0A"), 10001), None);
        assert_eq!(listening("sl local_address rem_address st", 10000), None);
    }
}
